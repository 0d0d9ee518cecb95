"""`python -m cli seed`: the demo store with its catalogue, customers, keys, PG accounts and routing rule.

Everything is inserted only where it is missing: seeding again changes nothing, neither stock nor prices nor balances.
Only a key that differs is pointed to the new one.
"""

import asyncio
import hashlib
import json
import secrets
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

import asyncpg

from cli.accounts import ACCOUNTS, NAMES, WEIGHTS
from cli.addresses import read_addresses
from cli.assortment import assortment
from cli.refusal import Refusal
from domain.value import code_hash, last_four

STORE = "demo"
CUSTOMERS = 200
POINTS = 10_000_000
"""KRW of points that each customer begins with."""
GIFT_CARDS = ((1_000_000, None, False), (50_000, 365, False), (10_000, 30, True))
"""KRW, days until it expires, promotional: what each gift card of the demo is good for, in the order of their codes."""
SHOP_SCOPES = ("checkout", "orders:read", "orders:write", "refunds:write", "catalog:write", "routing:write")
ADMIN_SCOPES = ("admin",)

_STORE = """
    INSERT INTO store (id, name, currency, timezone, payment_window_seconds, created_at)
    VALUES ($1, 'Demo Store', 'KRW', 'Asia/Seoul', 1800, now()) ON CONFLICT (id) DO NOTHING
"""
_SKUS = """
    INSERT INTO sku (store_id, sku, name, price, tax_rate, tracked, updated_at)
    SELECT $1, n.sku, n.name, n.price, n.tax_rate, n.on_hand IS NOT NULL, now()
      FROM jsonb_to_recordset($2::jsonb) AS n(sku text, name text, price bigint, tax_rate int, on_hand bigint)
    ON CONFLICT (store_id, sku) DO NOTHING
"""
_OPTIONS = """
    INSERT INTO sku_option (store_id, sku, name, value)
    SELECT $1, n.sku, o.key, o.value
      FROM jsonb_to_recordset($2::jsonb) AS n(sku text, options jsonb), jsonb_each_text(n.options) AS o
    ON CONFLICT (store_id, sku, name) DO NOTHING
"""
_STOCK = """
    INSERT INTO stock (store_id, sku, on_hand, held, committed)
    SELECT $1, n.sku, n.on_hand, 0, 0
      FROM jsonb_to_recordset($2::jsonb) AS n(sku text, on_hand bigint) WHERE n.on_hand IS NOT NULL
    ON CONFLICT (store_id, sku) DO NOTHING
"""
_POINTS = """
    WITH new AS (
        SELECT uuidv7() AS lot, 'c-' || n AS owner, 'seed-' || $1::text || '-c-' || n AS key
          FROM generate_series(1, $2::int) AS n
         WHERE NOT EXISTS (SELECT FROM value_entry WHERE key = 'seed-' || $1::text || '-c-' || n)),
    given AS (
        INSERT INTO value_lot (id, store_id, kind, owner, currency, amount, held, spent, promotional, created_at)
        SELECT lot, $1::text, 'points', owner, 'KRW', $3, 0, 0, false, now() FROM new)
    INSERT INTO value_entry (key, part, lot_id, operation, amount, actor, at)
    SELECT key, 0, lot, 'grant', $3, 'seed', now() FROM new
"""
_GIFT_CARDS = """
    WITH new AS (
        SELECT uuidv7() AS lot, c.* FROM jsonb_to_recordset($2::jsonb)
            AS c(owner text, last_four text, amount bigint, days int, promotional boolean)
         WHERE NOT EXISTS (SELECT FROM value_lot l WHERE l.kind = 'gift_card' AND l.owner = c.owner)),
    given AS (
        INSERT INTO value_lot (id, store_id, kind, owner, last_four, currency, amount, held, spent, expires_at,
                               promotional, created_at)
        SELECT lot, $1::text, 'gift_card', owner, last_four, 'KRW', amount, 0, 0, now() + make_interval(days => days),
               promotional, now() FROM new)
    INSERT INTO value_entry (key, part, lot_id, operation, amount, actor, at)
    SELECT 'seed-' || lot, 0, lot, 'grant', amount, 'seed', now() FROM new
"""
_POINT_KEY = """
    UPDATE api_key SET key_hash = $3::text, scopes = $4, revoked_at = NULL
     WHERE store_id = $1::text AND label = $2::text AND key_hash <> $3
"""
_NEW_KEY = """
    INSERT INTO api_key (id, store_id, label, key_hash, scopes, created_at)
    SELECT uuidv7(), $1::text, $2::text, $3::text, $4::text[], now()
     WHERE NOT EXISTS (SELECT FROM api_key WHERE store_id = $1 AND label = $2)
"""
_ACCOUNTS = """
    INSERT INTO gateway_account (id, store_id, vendor, enabled, created_at)
    SELECT a.name, $1::text, a.vendor, true, now() FROM unnest($2::text[], $3::text[]) AS a(name, vendor)
        ON CONFLICT (id) DO NOTHING
"""
_RULE = """
    WITH rule AS (
        INSERT INTO routing_rule (id, store_id, version, strategy, by, fallback, constraints, active_from, created_at,
                                  created_by)
        SELECT uuidv7(), $1::text, 1, 'ratio', 'count', to_jsonb($2::text[]), '[]', now(), now(), 'seed'
         WHERE NOT EXISTS (SELECT FROM routing_rule WHERE store_id = $1)
        RETURNING id),
    weights AS (
        INSERT INTO routing_weight (rule_id, account, position, weight)
        SELECT rule.id, w.account, w.position - 1, w.weight
          FROM rule, unnest($2::text[], $3::int[]) WITH ORDINALITY AS w(account, weight, position)
        RETURNING rule_id, account)
    INSERT INTO routing_state (rule_id, deficits, decisions, volume)
    SELECT rule.id, array_fill(0::bigint, ARRAY[cardinality($2::text[])]), 0, 0 FROM rule
"""


def configure(parser: ArgumentParser) -> None:
    """Which database, and which keys; by default those of the system that `make up` runs here."""
    parser.add_argument("--database", metavar="URL", help="postgresql://...; default: the database of `make up`")
    parser.add_argument("--api-key", help="the shop's key; made up and printed if there is none")
    parser.add_argument("--admin-key", help="the administrator's key; made up and printed if there is none")


def run(arguments: Namespace) -> int:
    """Seed and print the keys as JSON; raises `Refusal` when the database is not there."""
    running = None if arguments.database else read_addresses()
    url = arguments.database or (running.database if running else "")
    api_key = arguments.api_key or (running.api_key if running else secrets.token_urlsafe(24))
    admin_key = arguments.admin_key or (running.admin_key if running else secrets.token_urlsafe(24))
    try:
        seeded = asyncio.run(seed(url, api_key=api_key, admin_key=admin_key))
    except (OSError, asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as closed:
        raise Refusal(f"The database cannot be reached: {closed}.") from closed
    except asyncpg.UndefinedTableError as bare:
        raise Refusal("The database has no tables yet: run `alembic upgrade head` first.") from bare
    sys.stdout.write(f"{json.dumps(seeded, indent=2)}\n")
    return 0


async def seed(
    database_url: str,
    *,
    api_key: str,
    admin_key: str,
    gift_cards: Sequence[str] = (),
) -> dict[str, str]:
    """Put the demo store into a migrated database; returns ``{"api_key", "admin_key", "store"}``.

    All in one transaction under a lock: two at once are one. Keys and the codes of ``gift_cards`` (at most as many as
    `GIFT_CARDS`) are stored as their SHA-256 in hexadecimal.
    """
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('opms.seed'))")
            await connection.execute(_STORE, STORE)
            await _fill_catalogue(connection)
            await connection.execute(_POINTS, STORE, CUSTOMERS, POINTS)
            await _issue_cards(connection, gift_cards)
            await _point_key(connection, "demo-shop", api_key, SHOP_SCOPES)
            await _point_key(connection, "demo-admin", admin_key, ADMIN_SCOPES)
            await connection.execute(_ACCOUNTS, STORE, list(NAMES), [account.vendor for account in ACCOUNTS])
            await connection.execute(_RULE, STORE, list(WEIGHTS), list(WEIGHTS.values()))
    finally:
        await connection.close()
    return {"api_key": api_key, "admin_key": admin_key, "store": STORE}


async def _fill_catalogue(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    articles = json.dumps(
        [
            {
                "sku": a.sku,
                "name": a.name,
                "price": a.price,
                "tax_rate": a.tax_rate,
                "on_hand": a.on_hand,
                "options": a.options,
            }
            for a in assortment()
        ]
    )
    for statement in (_SKUS, _OPTIONS, _STOCK):
        await connection.execute(statement, STORE, articles)


async def _issue_cards(connection: "asyncpg.Connection[asyncpg.Record]", codes: Sequence[str]) -> None:
    cards = [
        {
            "owner": code_hash(code),
            "last_four": last_four(code),
            "amount": amount,
            "days": days,
            "promotional": promotional,
        }
        for code, (amount, days, promotional) in zip(codes, GIFT_CARDS, strict=False)
    ]
    await connection.execute(_GIFT_CARDS, STORE, json.dumps(cards))


async def _point_key(
    connection: "asyncpg.Connection[asyncpg.Record]", label: str, key: str, scopes: tuple[str, ...]
) -> None:
    digest = hashlib.sha256(key.encode()).hexdigest()
    await connection.execute(_POINT_KEY, STORE, label, digest, list(scopes))
    await connection.execute(_NEW_KEY, STORE, label, digest, list(scopes))
