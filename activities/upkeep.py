"""The steps of the slow work."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

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
from gateways.transport import BROKEN_OFF
from models.database import Database
from queries.order import load_order

log = structlog.get_logger()

RESEND_AFTER = timedelta(seconds=30)
ANSWERS_KEPT = timedelta(days=7)
BATCH = 200
OFFICES_AT_ONCE = 8
COMMANDS = TypeAdapter(tuple[Command, ...])

_UNDECIDED = text(
    """
    SELECT id, store_id AS store, number, actor, request_id, body FROM command
     WHERE decided_at IS NULL AND accepted_at < :before AND body <> '{}'
     ORDER BY md5(number || :roll), accepted_at LIMIT 100
    """
)
_PURGE = text("DELETE FROM idempotency WHERE created_at < :before")
_UNTOLD = text(
    """
    SELECT t.id, o.number, t.version, t.entity, t.entity_id, t.field, t.old, t.new, t.cause, t.command_id, t.at
      FROM timeline t JOIN orders o ON o.id = t.order_id
     WHERE t.store_id = :store AND t.delivered_at IS NULL AND t.field IN ('status', 'state', 'created')
     ORDER BY t.id LIMIT :limit
    """
)
_TOLD = text("UPDATE timeline SET delivered_at = :now WHERE id = ANY(:ids)")
_ORDERS = text("SELECT id, store_id, number FROM orders WHERE id > :after ORDER BY id LIMIT 500")
_FIRST = "00000000-0000-0000-0000-000000000000"


class Seen(NamedTuple):
    """How far the drift check has come."""

    after: str = _FIRST
    checked: int = 0
    drifted: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class BackOffice:
    """Where a store takes its order events, and the secret that signs them (HMAC-SHA256 of the body)."""

    url: str
    secret: str = field(repr=False)


class UpkeepActivities(UpkeepSteps):
    """Reads the database, tells the back offices (by store)."""

    def __init__(self, database: Database, offices: Mapping[str, BackOffice]) -> None:
        self._database = database
        self._offices = offices

    @override
    @activity.defn
    async def find_lost_commands(self) -> tuple[Command, ...]:
        """Commands that were promised by a row but, a process having died, perhaps never sent.

        Other orders come first each time: some that nobody can decide now do not stand before all others.
        """
        now = utc_now()
        async with self._database.reading() as connection:
            found = await connection.execute(_UNDECIDED, {"before": now - RESEND_AFTER, "roll": now.isoformat()})
            rows = found.mappings().all()
        return COMMANDS.validate_python([dict(row) for row in rows])

    @override
    @activity.defn
    async def deliver_events(self) -> Delivered:
        """One batch of state changes a store, in order, signed; told only once the back office has answered 2xx.

        A back office that does not answer keeps its own events waiting and nobody else's.
        """
        at_once = asyncio.Semaphore(OFFICES_AT_ONCE)

        async def deliver(store: str, office: BackOffice) -> int:
            async with at_once:
                return await self._deliver(http, store, office)

        async with httpx.AsyncClient(timeout=10) as http, asyncio.TaskGroup() as offices:
            told = [offices.create_task(deliver(store, office)) for store, office in self._offices.items()]
        sent = [each.result() for each in told]
        return Delivered(sum(sent), more=BATCH in sent)

    async def _deliver(self, http: httpx.AsyncClient, store: str, office: BackOffice) -> int:
        """How many events a back office has taken."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(_UNTOLD, {"store": store, "limit": BATCH})).mappings().all()
        if not rows or not await _tell(http, store, office, rows):
            return 0
        async with self._database.statement() as connection:
            await connection.execute(_TOLD, {"now": utc_now(), "ids": [r["id"] for r in rows]})
        return len(rows)

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
        """Every order's statuses computed anew and compared; reports, repairs nothing. Goes on where it was cut off."""
        after, checked, drifted = Seen(*activity.info().heartbeat_details or Seen())
        while True:
            async with self._database.reading() as connection:
                batch = (await connection.execute(_ORDERS, {"after": after})).all()
                for row in batch:
                    order = await load_order(connection, row.store_id, row.number)
                    if cascade(order) != order:
                        drifted = (*drifted, order.number)
            checked += len(batch)
            if not batch:
                break
            after = str(batch[-1].id)
            activity.heartbeat(after, checked, drifted)
        if drifted:
            log.error("cascade.drifted", orders=drifted)
        return Drift(checked, tuple(drifted))


async def _tell(http: httpx.AsyncClient, store: str, office: BackOffice, rows: Sequence[RowMapping]) -> bool:
    body = json.dumps({"store": store, "events": [dict(r) for r in rows]}, default=str).encode()
    signature = hmac.new(office.secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"content-type": "application/json", "opms-signature": f"sha256={signature}"}
    try:
        answer = await http.post(office.url, content=body, headers=headers)
        answer.raise_for_status()
    except (httpx.HTTPError, *BROKEN_OFF) as away:
        log.warning("events.not_delivered", store=store, events=len(rows), reason=type(away).__name__)
        return False
    return True
