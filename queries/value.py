"""What a customer has of our own value, lot by lot: what has expired is not shown, it cannot be spent."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class LotView:
    """A lot that has something left. ``left`` minor units are not spent; ``held`` of them wait for a payment."""

    id: UUID
    kind: str
    amount: int
    left: int
    held: int
    expires_at: datetime | None
    promotional: bool
    created_at: datetime


_LOTS = text(
    """
    SELECT id, kind, amount, amount - spent, held, expires_at, promotional, created_at FROM value_lot
     WHERE store_id = :store AND owner = :owner AND kind IN ('points', 'store_credit') AND spent < amount
       AND (expires_at IS NULL OR expires_at > :now)
     ORDER BY kind, expires_at NULLS LAST, id
    """
)


async def customer_lots(connection: AsyncConnection, store: str, customer: str, now: datetime) -> list[LotView]:
    """A customer's points and store credit, in the order in which each is spent; nobody known: no lots."""
    rows = await connection.execute(_LOTS, {"store": store, "owner": customer, "now": now})
    return [LotView(*row) for row in rows]
