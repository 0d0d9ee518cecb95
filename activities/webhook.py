"""Events that came before their order's rows are matched later; hints that were not sent are found."""

from datetime import timedelta
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from temporalio import activity
from typing_extensions import override

from activities.desk import utc_now
from contracts.webhook import Hint, WebhookSteps
from models.database import Database
from queries.webhook import MONEY_IS_DUE, ORDER_OF_EVENT

HINT_AFTER = timedelta(seconds=30)
"""The server sends a hint within seconds of the row; one that is older was not sent."""
MATCHED_WITHIN = timedelta(days=1)
"""For so long an event that is about no order is looked at again; then only a person does."""
MOST_EVENTS = 1000
MOST_HINTS = 100
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
_NOTE = text("UPDATE webhook_event SET delivered_at = :now WHERE id = ANY(:ids) AND delivered_at IS NULL")


class WebhookActivities(WebhookSteps):
    """Reads and marks webhook events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    @activity.defn
    async def find_hints(self) -> tuple[Hint, ...]:
        """Match what can be matched by now, and name the orders that still wait for money and were told nothing."""
        now = utc_now()
        async with self._database.transaction() as connection:
            await connection.execute(_MATCH, {"since": now - MATCHED_WITHIN, "limit": MOST_EVENTS})
            await connection.execute(_SETTLE, {"now": now})
            rows = await connection.execute(_HINTS, {"before": now - HINT_AFTER, "limit": MOST_HINTS})
            return HINTS.validate_python([dict(row) for row in rows.mappings()])

    @override
    @activity.defn
    async def note_hints(self, events: tuple[UUID, ...]) -> None:
        """These events have reached their orders."""
        async with self._database.statement() as connection:
            await connection.execute(_NOTE, {"now": utc_now(), "ids": list(events)})
