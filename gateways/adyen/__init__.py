"""Adyen: Checkout API v72, standard webhooks, settlement details reports."""
