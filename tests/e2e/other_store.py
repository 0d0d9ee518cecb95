"""A second store in the running system, with a key of its own: what happens there cannot touch the demo store."""

import hashlib
import secrets
from collections.abc import Sequence

from tests.e2e.shop import Shop

_STORE = """
    INSERT INTO store (id, name, currency, timezone, payment_window_seconds, created_at)
    VALUES ($1, $1, 'KRW', 'Asia/Seoul', 1800, now()) ON CONFLICT (id) DO NOTHING
"""
_ACCOUNT = """
    INSERT INTO gateway_account (id, store_id, vendor, enabled, created_at)
    VALUES ($2, $1, 'sandbox', false, now()) ON CONFLICT (id) DO NOTHING
"""
_KEY = """
    INSERT INTO api_key (id, store_id, label, key_hash, scopes, created_at)
    VALUES (uuidv7(), $1, 'test', $2, $3, now())
"""
_POINTS = """
    INSERT INTO value_lot (id, store_id, kind, owner, currency, amount, held, spent, promotional, created_at)
    SELECT uuidv7(), $1::text, 'points', $2::text, 'KRW', 10000000, 0, 0, false, now()
     WHERE NOT EXISTS (SELECT FROM value_lot WHERE store_id = $1 AND owner = $2)
"""


def new_key(shop: Shop, store: str, scopes: Sequence[str] = ("admin",)) -> str:
    """A fresh key of ``store``."""
    key = secrets.token_urlsafe(24)
    shop.sql(_KEY, store, hashlib.sha256(key.encode()).hexdigest(), list(scopes))
    return key


def new_store(shop: Shop, store: str, *, customer: str) -> str:
    """A store with one customer who has points, and one PG account that takes nothing; its admin key."""
    shop.sql(_STORE, store)
    shop.sql(_ACCOUNT, store, f"{store}-pg")
    shop.sql(_POINTS, store, customer)
    return new_key(shop, store)
