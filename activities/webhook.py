"""Events that came before their order's rows are matched later; hints that were not sent are found.

So are orders that nobody looks after any more.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from pydantic import TypeAdapter
from sqlalchemy import text
from temporalio import activity
from typing_extensions import override

from activities.desk import utc_now
from activities.promise import promise
from contracts.webhook import DENIED_EVERY, Hint, WebhookSteps, doubt_of
from domain.capture import BEFORE_LAPSE
from models.database import Database
from queries.webhook import MONEY_IS_DUE, ORDER_OF_EVENT, TAKEN_BACK, UNRESOLVED

log = structlog.get_logger()

HINT_AFTER = timedelta(seconds=30)
"""The server sends a hint within seconds of the row; one that is older was not sent."""
MATCHED_WITHIN = timedelta(days=1)
"""For so long an event that is about no order is looked at again; then only a person does."""
UNASKED_WITHIN = timedelta(hours=6)
"""For so long an event may say no to what is only then known to have succeeded; later the settlement tells of it."""
MOST_EVENTS = 1000
MOST_HINTS = 100
FORGOTTEN_AFTER = timedelta(minutes=10)
"""An order that waits for a PG writes more often than this, by its longest ladder: its workflow is gone, or stuck. One
that makes no progress all the same is told as rarely."""
OVERDUE_AFTER = timedelta(minutes=5)
"""A payment window that is over, or a hold that had to be captured, for so long."""
HINTS = TypeAdapter(tuple[Hint, ...])

_MATCH = text(
    f"""
    UPDATE webhook_event w SET order_id = f.order_id, store_id = f.store_id
      FROM (SELECT e.id, ({ORDER_OF_EVENT}) AS order_id,
                   coalesce(e.store_id, (SELECT store_id FROM gateway_account WHERE id = e.account)) AS store_id
              FROM (SELECT * FROM webhook_event
                     WHERE delivered_at IS NULL AND reviewed_at IS NULL AND order_id IS NULL AND received_at > :since
                     ORDER BY received_at DESC LIMIT :limit) e) f
     WHERE w.id = f.id AND w.order_id IS NULL
       AND (f.order_id IS NOT NULL OR f.store_id IS DISTINCT FROM w.store_id)
    """
)
_SETTLE = text(
    f"""
    UPDATE webhook_event found SET delivered_at = :now
     WHERE delivered_at IS NULL AND reviewed_at IS NULL AND order_id IS NOT NULL AND NOT takes_back
       AND NOT {MONEY_IS_DUE}
    """
)
_HINTS = text(
    """
    SELECT o.store_id AS store, o.number, array_agg(e.id ORDER BY e.id) AS events
      FROM webhook_event e JOIN orders o ON o.id = e.order_id
     WHERE e.delivered_at IS NULL AND e.reviewed_at IS NULL AND NOT e.takes_back AND e.received_at < :before
     GROUP BY o.id ORDER BY min(e.received_at) LIMIT :limit
    """
)
# A hold is looked for until it has lapsed. Captures, voids and refunds at an account that rests are not overdue.
_FORGOTTEN = text(
    f"""
    WITH due AS (
        SELECT p.order_id FROM operation p
         WHERE p.outcome IN ({UNRESOLVED}) AND p.initiated_at < :untouched_since
           AND (p.kind NOT IN ('capture', 'void', 'refund') OR p.outcome NOT IN ('initiated', 'unknown')
                OR (SELECT g.paused_at FROM attempt a JOIN gateway_account g ON g.id = a.account
                     WHERE a.id = p.attempt_id) IS NULL)
         UNION
        SELECT o.id FROM orders o WHERE o.status = 'pending_payment' AND o.expires_at < :over_before
         UNION
        SELECT c.order_id FROM order_change c JOIN payment_request r ON r.id = c.request_id
         WHERE c.status = 'awaiting_payment' AND r.due_at < :over_before
         UNION
        SELECT a.order_id FROM attempt a
          JOIN payment y ON y.id = a.payment_id JOIN payment_request r ON r.id = y.request_id
         WHERE a.outcome = 'succeeded' AND a.authorized_until > :now AND a.authorized_until < :lapses_before
           AND y.authorized > y.captured + y.voided AND r.status IN ('paid', 'partially_paid')
           AND NOT EXISTS (SELECT FROM operation d WHERE d.payment_id = y.id AND (d.reversed_amount > 0
                              OR (d.outcome = 'declined' AND d.kind IN ('capture', 'void'))))),
    forgotten AS (
        SELECT d.order_id FROM due d LEFT JOIN hint h ON h.order_id = d.order_id
         WHERE (SELECT t.at FROM timeline t WHERE t.order_id = d.order_id ORDER BY t.id DESC LIMIT 1) < :untouched_since
         ORDER BY h.told_at NULLS FIRST LIMIT :limit),
    told AS (
        INSERT INTO hint AS h (order_id, told_at) SELECT order_id, :now FROM forgotten ORDER BY order_id
        ON CONFLICT (order_id) DO UPDATE SET told_at = EXCLUDED.told_at WHERE h.told_at < :untouched_since
        RETURNING order_id)
    SELECT o.store_id AS store, o.number, CAST('{{}}' AS uuid[]) AS events
      FROM told JOIN orders o ON o.id = told.order_id
    """
)
# An event that came before its operation was known to have succeeded, or its order was known, was not asked about yet.
_UNASKED = text(
    f"""
    SELECT e.account, e.event_id, o.id, r.store_id, r.number
      FROM (SELECT * FROM webhook_event WHERE trust = 'signed' AND outcome = 'declined' AND received_at > :since
             ORDER BY received_at DESC LIMIT :limit) e {TAKEN_BACK}
       AND NOT EXISTS (SELECT FROM operation q WHERE q.order_id = o.order_id AND q.subject_id = o.id)
    """
)
# News that nobody signed, and that came too soon after a question about its attempt to be asked about at once.
_HEARSAY = text(
    """
    SELECT DISTINCT ON (o.id) e.account, e.event_id, o.id, r.store_id, r.number
      FROM (SELECT * FROM webhook_event WHERE trust = 'unsigned' AND order_id IS NOT NULL AND received_at > :since
               AND outcome IN ('succeeded', 'action_required') ORDER BY received_at DESC LIMIT :limit) e
      JOIN attempt a ON a.account = e.account AND a.merchant_ref = e.merchant_ref
      JOIN operation o ON o.attempt_id = a.id AND o.kind = 'authorize' AND o.outcome = 'succeeded' AND o.capture_now
      JOIN payment y ON y.id = o.payment_id AND y.method = 'virtual_account'
      JOIN orders r ON r.id = o.order_id
     WHERE (e.outcome = 'succeeded') = (o.reversed_amount > 0) AND NOT o.contradicted AND e.received_at > o.resolved_at
       AND NOT EXISTS (SELECT FROM operation q WHERE q.subject_id = o.id AND (q.initiated_at > e.received_at
                          OR (e.outcome = 'action_required' AND q.initiated_at > :denied_since)))
     ORDER BY o.id, e.received_at DESC
    """
)
_NOTE = text("UPDATE webhook_event SET delivered_at = :now WHERE id = ANY(:ids) AND delivered_at IS NULL")


class WebhookActivities(WebhookSteps):
    """Reads and marks webhook events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    @activity.defn
    async def find_hints(self) -> tuple[Hint, ...]:
        """Name the orders that wait for money and were told nothing of an event, and those that nobody looks after.

        Events are matched first as far as they can be by now. What they take back is asked about by commands.
        """
        now = utc_now()
        async with self._database.transaction() as connection:
            await connection.execute(_MATCH, {"since": now - MATCHED_WITHIN, "limit": MOST_EVENTS})
            await connection.execute(_SETTLE, {"now": now})
            rows = await connection.execute(_HINTS, {"before": now - HINT_AFTER, "limit": MOST_HINTS})
            untold = HINTS.validate_python([dict(row) for row in rows.mappings()])
            since = {"since": now - UNASKED_WITHIN, "limit": MOST_EVENTS}
            unasked = [
                *await connection.execute(_UNASKED, since),
                *await connection.execute(_HEARSAY, since | {"denied_since": now - DENIED_EVERY}),
            ]
            questions = [doubt_of(*row[:3], store=row[3], number=row[4]) for row in unasked]
            await promise(connection, questions, now)
        return untold + await self._find_forgotten(now)

    @override
    @activity.defn
    async def note_hints(self, events: tuple[UUID, ...]) -> None:
        """These events have reached their orders."""
        async with self._database.statement() as connection:
            await connection.execute(_NOTE, {"now": utc_now(), "ids": list(events)})

    async def _find_forgotten(self, now: datetime) -> tuple[Hint, ...]:
        """Orders with something overdue that nobody has touched for `FORGOTTEN_AFTER`.

        They are noted as told at once: none is told again before that time, whatever becomes of the hint.
        """
        moments = {"now": now, "untouched_since": now - FORGOTTEN_AFTER, "over_before": now - OVERDUE_AFTER}
        moments["lapses_before"] = now - OVERDUE_AFTER + BEFORE_LAPSE
        async with self._database.statement() as connection:
            rows = (await connection.execute(_FORGOTTEN, moments | {"limit": MOST_HINTS})).mappings().all()
        if rows:
            log.warning("orders.forgotten", orders=[row["number"] for row in rows])
        return HINTS.validate_python([dict(row) for row in rows])
