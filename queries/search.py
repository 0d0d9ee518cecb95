"""The list of orders: filters, search and a keyset that stays stable while orders are being placed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Invalid
from domain.number import parse_number
from domain.order import Order


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; what is empty does not filter. Statuses of one kind are alternatives, kinds add up.

    ``placed_from`` is included, ``placed_to`` is not. ``q``: an order number, the beginning of one, or a part of the
    customer's name, e-mail or id.
    """

    status: tuple[str, ...] = ()
    payment_status: tuple[str, ...] = ()
    fulfillment_status: tuple[str, ...] = ()
    return_status: tuple[str, ...] = ()
    sku: str | None = None
    customer: str | None = None
    gateway: str | None = None
    placed_from: datetime | None = None
    placed_to: datetime | None = None
    q: str | None = None
    needs_attention: bool | None = None


@dataclass(frozen=True, slots=True)
class Keyset:
    """The last order of the page before."""

    created_at: datetime
    id: UUID


_CLAUSES = {
    "status": "o.status = ANY(:status)",
    "payment_status": "o.payment_status = ANY(:payment_status)",
    "fulfillment_status": "o.fulfillment_status = ANY(:fulfillment_status)",
    "return_status": "o.return_status = ANY(:return_status)",
    "sku": "EXISTS (SELECT 1 FROM item i WHERE i.order_id = o.id AND i.sku = :sku)",
    "customer": "o.customer_id = :customer",
    "gateway": "EXISTS (SELECT 1 FROM attempt a WHERE a.order_id = o.id AND a.account = :gateway)",
    "placed_from": "o.placed_at >= :placed_from",
    # An order is created before it is placed: the second condition lets the index on created_at end the walk.
    "placed_to": "o.placed_at < :placed_to AND o.created_at < :placed_to",
    "needs_attention": "(o.requires_review OR o.has_unknown_payment) = :needs_attention",
}
_BY_NUMBER = "o.number = :q"
_BY_WORDS = (
    "(o.number LIKE :prefix ESCAPE '\\' OR o.customer_name ILIKE :part ESCAPE '\\'"
    " OR o.customer_email ILIKE :part ESCAPE '\\' OR o.customer_id ILIKE :part ESCAPE '\\')"
)
_HEADS = TypeAdapter(tuple[Order, ...])


async def search_orders(
    connection: AsyncConnection, store: str, search: Search, *, after: Keyset | None, limit: int
) -> tuple[Order, ...]:
    """The heads of orders, newest first, behind ``after``: what belongs to them (sections, items ...) is left out."""
    clauses, parameters = _where(search)
    if after is not None:
        clauses.append("(o.created_at, o.id) < (:after_created, :after_id)")
        parameters |= {"after_created": after.created_at, "after_id": after.id}
    statement = text(
        f"SELECT to_jsonb(o) FROM orders o WHERE {' AND '.join(['o.store_id = :store', *clauses])}"
        " ORDER BY o.created_at DESC, o.id DESC LIMIT :limit"
    )
    rows = await connection.execute(statement, parameters | {"store": store, "limit": limit})
    return _HEADS.validate_python([row[0] for row in rows])


def _where(search: Search) -> tuple[list[str], dict[str, Any]]:
    """Only the conditions that are asked for, so that Postgres plans for them; their text is all ours."""
    clauses: list[str] = []
    parameters: dict[str, Any] = {}
    for name, clause in _CLAUSES.items():
        value = getattr(search, name)
        if value is None or value == ():
            continue
        clauses.append(clause)
        parameters[name] = list(value) if isinstance(value, tuple) else value
    if search.q:
        clause, words = _words(search.q)
        clauses.append(clause)
        parameters |= words
    return clauses, parameters


def _words(q: str) -> tuple[str, dict[str, Any]]:
    try:
        return _BY_NUMBER, {"q": parse_number(q)}
    except Invalid:
        literal = q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return _BY_WORDS, {"prefix": f"{literal.upper()}%", "part": f"%{literal}%"}
