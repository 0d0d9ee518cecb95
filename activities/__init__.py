"""The only writers: one PG call or one transaction each, never both. Running one twice changes nothing."""
