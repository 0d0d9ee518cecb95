"""Toss Payments (KR): the adapter, its translation, its error codes, its webhooks and its settlement."""
