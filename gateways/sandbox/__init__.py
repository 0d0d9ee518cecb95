"""The sandbox PG: the adapter that OPMS speaks through, and in ``server`` the gateway itself, which knows no OPMS."""
