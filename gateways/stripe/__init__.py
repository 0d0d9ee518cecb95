"""Stripe: adapter, wire and webhooks."""
