"""The statements of our own value's ledger: one for each movement, whoever asks for it.

A statement locks the lots that it may touch, always in the order of their expiry, sees their newest sums by that, and
spreads the amount over them. All of it is covered, or nothing changes. Its key makes it happen once: whoever comes
second with the same key at the very same time breaks the entry's primary key instead of moving value again.
"""

FIRST_TO_EXPIRE = "expires_at NULLS LAST, lot_id"
LAST_TO_EXPIRE = "expires_at DESC NULLS FIRST, lot_id DESC"
"""What was taken last goes back first: the customer gets the longest-living value."""

_USABLE = """
    store_id = :store AND owner = :owner AND kind = :kind AND currency = :currency
    AND (expires_at IS NULL OR expires_at > :at)
"""
_FREE_LOTS = f"""
    SELECT id AS lot_id, amount - held - spent AS free, expires_at FROM value_lot
     WHERE {_USABLE} AND spent < amount AND NOT EXISTS (SELECT FROM known)
     ORDER BY {FIRST_TO_EXPIRE} FOR UPDATE
"""
_HELD_LOTS = """
    SELECT h.lot_id, {free} AS free, l.expires_at FROM value_hold h JOIN value_lot l ON l.id = h.lot_id
     WHERE h.merchant_ref = :merchant_ref AND NOT EXISTS (SELECT FROM known)
     ORDER BY l.expires_at NULLS LAST, h.lot_id FOR UPDATE
"""
_NEW_HOLDS = """
    INSERT INTO value_hold (merchant_ref, lot_id, amount, captured, released, refunded)
    SELECT :merchant_ref, lot_id, amount, 0, 0, 0 FROM parts
"""
_OLD_HOLDS = """
    UPDATE value_hold h SET {column} = {column} + p.amount FROM parts p
     WHERE h.merchant_ref = :merchant_ref AND h.lot_id = p.lot_id
"""


def _movement(operation: str, lots: str, order: str, change: str, holds: str) -> str:
    """One movement: which ``lots`` it may take from or give to, in which ``order``, and what it does to them."""
    return f"""
        WITH known AS (SELECT FROM value_entry WHERE key = :key),
        lots AS MATERIALIZED ({lots}),
        parts AS (
            SELECT lot_id, expires_at, CAST(least(free, CAST(:amount AS bigint) - before) AS bigint) AS amount,
                   row_number() OVER (ORDER BY {order}) - 1 AS part
              FROM (SELECT lot_id, expires_at, free, sum(free) OVER () AS total,
                           sum(free) OVER (ORDER BY {order}) - free AS before
                      FROM lots WHERE free > 0) AS spread
             WHERE total >= CAST(:amount AS bigint) AND before < CAST(:amount AS bigint)),
        moved AS (UPDATE value_lot l SET {change} FROM parts p WHERE l.id = p.lot_id),
        {f"taken AS ({holds})," if holds else ""}
        written AS (
            INSERT INTO value_entry (key, part, lot_id, operation, amount, merchant_ref, reason, actor, at)
            SELECT :key, part, lot_id, '{operation}', amount, :merchant_ref, :reason, :actor, :at FROM parts
            RETURNING 1)
        SELECT EXISTS (SELECT FROM known) OR EXISTS (SELECT FROM written),
               {_KNOWN if lots is _FREE_LOTS else "true"},
               CAST(coalesce(sum(amount) FILTER (WHERE expires_at <= :at), 0) AS bigint),
               max(expires_at) FILTER (WHERE expires_at <= :at)
          FROM parts
        """


_KNOWN = f"CAST(:kind AS text) <> 'gift_card' OR EXISTS (SELECT FROM value_lot WHERE {_USABLE})"
_HELD = _HELD_LOTS.format(free="h.amount - h.captured - h.released")
MOVES = {
    "hold": _movement("hold", _FREE_LOTS, FIRST_TO_EXPIRE, "held = l.held + p.amount", _NEW_HOLDS),
    "capture": _movement(
        "capture",
        _HELD,
        FIRST_TO_EXPIRE,
        "held = l.held - p.amount, spent = l.spent + p.amount",
        _OLD_HOLDS.format(column="captured"),
    ),
    "release": _movement(
        "release", _HELD, LAST_TO_EXPIRE, "held = l.held - p.amount", _OLD_HOLDS.format(column="released")
    ),
    "correct": _movement("correct", _FREE_LOTS, FIRST_TO_EXPIRE, "spent = l.spent + p.amount", ""),
    "refund": _movement(
        "refund",
        _HELD_LOTS.format(free="h.captured - h.refunded"),
        LAST_TO_EXPIRE,
        "spent = l.spent - p.amount",
        _OLD_HOLDS.format(column="refunded"),
    ),
}
"""One statement for each movement; answers with: done, owner known, how much went to expired lots, and their expiry.

Parameters: key, merchant_ref, amount, reason, actor, at; ``hold`` and ``correct`` also store, owner, kind, currency.
"""
GRANT = """
    WITH given AS (
        INSERT INTO value_lot (id, store_id, kind, owner, last_four, currency, amount, held, spent, expires_at,
                               promotional, created_at)
        VALUES (:lot, :store, :kind, :owner, :last_four, :currency, :amount, 0, 0, :expires_at, :promotional, :at)
        ON CONFLICT (id) DO NOTHING
        RETURNING id, amount, created_at)
    INSERT INTO value_entry (key, part, lot_id, operation, amount, merchant_ref, reason, actor, at)
    SELECT :key, 0, id, 'grant', amount, :merchant_ref, :reason, :actor, created_at FROM given
    RETURNING lot_id
"""
"""The one statement that makes value: a new lot and its entry, once for each ``lot``; then no row comes back."""
