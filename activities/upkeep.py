"""The steps of the slow work."""

import hashlib
import hmac
import json
import os
from collections.abc import Sequence
from datetime import timedelta

import httpx
import structlog
from pydantic import TypeAdapter
from sqlalchemy import RowMapping, text
from temporalio import activity
from typing_extensions import override

from activities.desk import utc_now
from contracts.command import Command
from contracts.upkeep import Delivered, Drift, UpkeepSteps
from domain.cascade import cascade
from models.database import Database
from queries.order import load_order

log = structlog.get_logger()

RESEND_AFTER = timedelta(seconds=30)
ANSWERS_KEPT = timedelta(days=7)
BATCH = 200
COMMANDS = TypeAdapter(tuple[Command, ...])

_UNDECIDED = text(
    """
    SELECT id, store_id AS store, number, actor, request_id, body FROM command
     WHERE decided_at IS NULL AND accepted_at < :before AND body <> '{}' ORDER BY accepted_at LIMIT 100
    """
)
_PURGE = text("DELETE FROM idempotency WHERE created_at < :before")
_UNTOLD = text(
    """
    SELECT t.id, t.store_id, o.number, t.version, t.entity, t.entity_id, t.field, t.old, t.new, t.cause, t.at,
           s.events_url, s.events_secret_name
      FROM timeline t JOIN orders o ON o.id = t.order_id JOIN store s ON s.id = t.store_id
     WHERE t.delivered_at IS NULL AND t.field IN ('status', 'state', 'created') AND s.events_url IS NOT NULL
     ORDER BY t.id LIMIT :limit
    """
)
_TOLD = text("UPDATE timeline SET delivered_at = :now WHERE id = ANY(:ids)")
_ORDERS = text("SELECT id, store_id, number FROM orders WHERE id > :after ORDER BY id LIMIT 500")
_FIRST = "00000000-0000-0000-0000-000000000000"


class UpkeepActivities(UpkeepSteps):
    """Reads the database, tells the back offices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    @activity.defn
    async def find_lost_commands(self) -> tuple[Command, ...]:
        """Commands that were promised by a row but, a process having died, perhaps never sent."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(_UNDECIDED, {"before": utc_now() - RESEND_AFTER})).mappings().all()
        return COMMANDS.validate_python([dict(row) for row in rows])

    @override
    @activity.defn
    async def deliver_events(self) -> Delivered:
        """One batch of state changes, in order, signed; marked as told only once the back office answered 2xx."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(_UNTOLD, {"limit": BATCH})).mappings().all()
        if not rows:
            return Delivered(0, more=False)
        async with httpx.AsyncClient(timeout=10) as http:
            for url, secret_name in dict.fromkeys((r["events_url"], r["events_secret_name"]) for r in rows):
                mine = [r for r in rows if r["events_url"] == url]
                await _tell(http, url, secret_name, mine)
                async with self._database.statement() as connection:
                    await connection.execute(_TOLD, {"now": utc_now(), "ids": [r["id"] for r in mine]})
        return Delivered(len(rows), more=len(rows) == BATCH)

    @override
    @activity.defn
    async def purge_answers(self) -> int:
        """Forget stored answers after a week."""
        async with self._database.statement() as connection:
            done = await connection.execute(_PURGE, {"before": utc_now() - ANSWERS_KEPT})
        return done.rowcount

    @override
    @activity.defn
    async def find_drift(self) -> Drift:
        """Every order's statuses computed anew and compared; reports, repairs nothing."""
        after, checked, drifted = _FIRST, 0, []
        while True:
            async with self._database.reading() as connection:
                batch = (await connection.execute(_ORDERS, {"after": after})).all()
                for row in batch:
                    order = await load_order(connection, row.store_id, row.number)
                    if cascade(order) != order:
                        drifted.append(order.number)
            checked += len(batch)
            if not batch:
                break
            after = str(batch[-1].id)
            activity.heartbeat(checked)
        if drifted:
            log.error("cascade.drifted", orders=drifted)
        return Drift(checked, tuple(drifted))


async def _tell(http: httpx.AsyncClient, url: str, secret_name: str | None, rows: Sequence[RowMapping]) -> None:
    body = json.dumps({"events": [dict(r) for r in rows]}, default=str).encode()
    secret = os.environ.get(secret_name or "", "").encode()
    signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
    answer = await http.post(
        url, content=body, headers={"content-type": "application/json", "opms-signature": f"sha256={signature}"}
    )
    answer.raise_for_status()
