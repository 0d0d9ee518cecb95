"""Keeping circuits: read with the rule, written only on a failure or by a probe: a healthy payment costs nothing.

A circuit is advice, not money: it is written in a transaction of its own, after the order's, and a mark that is lost
with its process costs one more failed payment.
"""

import json
from datetime import datetime, timedelta

import structlog
from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.health import PROBE_LEASE, RETRY_AFTER, WINDOW, Circuit, Heard, answered, failed, state_of
from models.database import Database

log = structlog.get_logger()

LOOK_BACK = timedelta(hours=1)
"""Answers before this say nothing about an account that fails now."""

_FIRST = text(
    """
    INSERT INTO gateway_health (account, method, "window", successes, changed_at)
    SELECT id, :method, '[]', 0, :since FROM gateway_account WHERE id = :account ON CONFLICT DO NOTHING
    """
)
_LOCK = text(
    """
    SELECT account, method, "window", opened_at, probe_at, successes, changed_at FROM gateway_health
     WHERE account = :account AND method = :method FOR UPDATE
    """
)
_ANSWERED = text(
    """
    SELECT count(*) FROM (
        SELECT FROM attempt a JOIN payment p ON p.id = a.payment_id
         WHERE a.account = :account AND p.method = :method AND a.created_at > :since AND a.created_at <= :now
           AND a.outcome NOT IN ('initiated', 'unknown', 'not_executed')
         ORDER BY a.created_at DESC LIMIT :most) recent
    """
)
_SAVE = text(
    """
    UPDATE gateway_health SET "window" = CAST(:window AS jsonb), opened_at = :opened_at, probe_at = :probe_at,
           successes = :successes, changed_at = :now
     WHERE account = :account AND method = :method
    """
)
_CLAIM = text(
    """
    UPDATE gateway_health SET probe_at = :now
     WHERE account = :account AND method = :method AND opened_at <= :opened_before
       AND (probe_at IS NULL OR probe_at <= :lost_before) RETURNING account
    """
)
_RELEASE = text(
    "UPDATE gateway_health SET probe_at = NULL WHERE account = :account AND method = :method AND probe_at = :at"
)
_CIRCUIT = TypeAdapter(Circuit)


async def note_health(database: Database, news: Heard, now: datetime) -> Circuit | None:
    """Write what a call says of its account's health, and give the circuit after it (None: no such account)."""
    key = {"account": news.account, "method": news.method}
    async with database.transaction() as connection:
        if news.technical:
            await connection.execute(_FIRST, key | {"since": now - LOOK_BACK})
        row = (await connection.execute(_LOCK, key)).mappings().one_or_none()
        if row is None:
            return None
        before = _CIRCUIT.validate_python({name: row[name] for name in row if name != "changed_at"})
        after = answered(before)
        if news.technical:
            since = max(row["changed_at"], now - LOOK_BACK)
            count = await connection.execute(_ANSWERED, key | {"since": since, "now": now, "most": WINDOW})
            after = failed(before, now, answered_before=count.scalar_one())
        if after != before:
            await connection.execute(_SAVE, key | _columns(after) | {"now": now})
    if (was := state_of(before, now)) is not (is_now := state_of(after, now)):
        log.warning("gateway.circuit", account=news.account, method=news.method, was=was.value, now=is_now.value)
    return after


async def claim_probe(connection: AsyncConnection, account: str, method: str, now: datetime) -> bool:
    """Be the one payment that finds out whether a half-open circuit may close. False: another one is."""
    parameters = {"account": account, "method": method, "now": now}
    limits = {"opened_before": now - RETRY_AFTER, "lost_before": now - PROBE_LEASE}
    return (await connection.execute(_CLAIM, parameters | limits)).first() is not None


async def release_probe(connection: AsyncConnection, account: str, method: str, at: datetime) -> None:
    """The payment that was to be the probe of ``at`` does not happen."""
    await connection.execute(_RELEASE, {"account": account, "method": method, "at": at})


def _columns(circuit: Circuit) -> dict[str, object]:
    window = [call.isoformat() if call else None for call in circuit.window]
    return {
        "window": json.dumps(window),
        "opened_at": circuit.opened_at,
        "probe_at": circuit.probe_at,
        "successes": circuit.successes,
    }
