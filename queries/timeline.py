"""Every state change of an order, oldest first."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import UnknownOrder


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One field of one entity that moved. ``old`` and ``new`` as text; ``field`` ``created``: it is new."""

    id: int
    version: int
    entity: str
    entity_id: UUID
    field: str
    old: str | None
    new: str | None
    cause: str
    command_id: UUID | None
    actor: str
    workflow_id: str
    at: datetime


_TIMELINE = text(
    """
    SELECT o.id, t.id, t.version, t.entity, t.entity_id, t.field, t.old, t.new, t.cause, t.command_id, t.actor,
           t.workflow_id, t.at
      FROM orders o
      LEFT JOIN LATERAL (SELECT * FROM timeline t WHERE t.order_id = o.id AND t.id > :after
                          ORDER BY t.id LIMIT :limit) t ON true
     WHERE o.store_id = :store AND o.number = :number
     ORDER BY t.id
    """
)


async def read_timeline(
    connection: AsyncConnection, store: str, number: str, *, after: int, limit: int
) -> list[TimelineEntry]:
    """Entries behind the one with the id ``after`` (0: from the beginning). Raises `UnknownOrder`."""
    rows = (
        await connection.execute(_TIMELINE, {"store": store, "number": number, "after": after, "limit": limit})
    ).all()
    if not rows:
        raise UnknownOrder(f"no order {number} in this store")
    return [TimelineEntry(*row[1:]) for row in rows if row[1] is not None]
