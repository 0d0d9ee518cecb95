"""One whole order in one statement, and the list of orders."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import UnknownOrder
from domain.order import Order
from models.mapping import TABLES, table_name

_PARTS = " || ".join(
    f"""',"{name}":' || (SELECT coalesce(json_agg(t ORDER BY t.id), '[]') FROM {table_name(row)} t
    WHERE t.order_id = o.id)::text"""
    for name, row in TABLES.items()
)
# One JSON text put together as text: `jsonb` would build, sort and print the whole order once more.
DOCUMENT = f"left(row_to_json(o)::text, -1) || {_PARTS} || '}}'"
"""The SQL of one order `o` as JSON text, for `ORDER` to read."""
_ORDER = text(f"SELECT {DOCUMENT} FROM orders o WHERE o.store_id = :store AND o.number = :number")
_COMMANDS = """
    (SELECT coalesce(jsonb_agg(to_jsonb(c) - 'body' ORDER BY c.accepted_at), '[]') FROM command c
      WHERE c.store_id = o.store_id AND c.number = o.number)
"""
_VIEW = text(
    f"SELECT {DOCUMENT}, CAST({_COMMANDS} AS text) FROM orders o WHERE o.store_id = :store AND o.number = :number"
)
ORDER = TypeAdapter(Order)
"""Reads an order from its document; strings become ids, times and states."""


@dataclass(frozen=True, slots=True)
class CommandView:
    """A command and what became of it."""

    id: UUID
    store_id: str
    number: str
    kind: str
    status: str
    actor: str
    request_id: str | None
    problem: dict[str, Any] | None
    result: dict[str, Any]
    accepted_at: datetime
    decided_at: datetime | None
    finished_at: datetime | None


COMMANDS = TypeAdapter(tuple[CommandView, ...])


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order with the commands that were given to it."""

    order: Order
    commands: tuple[CommandView, ...]


async def load_order(connection: AsyncConnection, store: str, number: str) -> Order:
    """The order as it stands. Raises `UnknownOrder`."""
    document = (await connection.execute(_ORDER, {"store": store, "number": number})).scalar()
    if document is None:
        raise UnknownOrder(f"no order {number} in this store")
    return ORDER.validate_json(document)


async def view_order(connection: AsyncConnection, store: str, number: str) -> OrderView:
    """The order with its commands. Raises `UnknownOrder`."""
    row = (await connection.execute(_VIEW, {"store": store, "number": number})).first()
    if row is None:
        raise UnknownOrder(f"no order {number} in this store")
    return OrderView(ORDER.validate_json(row[0]), COMMANDS.validate_json(row[1]))


_TIMELINE_BACK = text(
    "SELECT entity, entity_id, field, old FROM timeline WHERE order_id = :order AND at > :moment ORDER BY id DESC"
)
_VERSION_AT = text("SELECT max(version) FROM timeline WHERE order_id = :order AND at <= :moment")
_COLLECTION = {
    "section": "sections",
    "item": "items",
    "hold": "holds",
    "shipment": "shipments",
    "shipmentitem": "shipment_items",
    "discount": "discounts",
    "paymentrequest": "requests",
    "payment": "payments",
    "attempt": "attempts",
    "operation": "operations",
    "allocation": "allocations",
    "refund": "refunds",
    "refundline": "refund_lines",
    "leg": "legs",
    "change": "changes",
}


_OBJECTS = frozenset({"action_fields", "decision"})
"""Fields that the timeline has as JSON."""


async def order_as_of(connection: AsyncConnection, store: str, number: str, moment: datetime) -> OrderView:
    """The order as it was then: today's with every later difference undone. Raises `UnknownOrder` before its birth."""
    row = (await connection.execute(_VIEW, {"store": store, "number": number})).first()
    if row is None or ORDER.validate_json(row[0]).created_at > moment:
        raise UnknownOrder(f"no order {number} in this store at {moment.isoformat()}")
    document: dict[str, Any] = json.loads(row[0])
    parts = {word: {e["id"]: e for e in document[name]} for word, name in _COLLECTION.items()}
    for entity, entity_id, name, old in await connection.execute(
        _TIMELINE_BACK, {"order": document["id"], "moment": moment}
    ):
        if entity == "order":
            document[name] = old
        elif name == "created":
            parts[entity].pop(str(entity_id), None)
        elif str(entity_id) in parts[entity]:
            parts[entity][str(entity_id)][name] = json.loads(old) if old and name in _OBJECTS else old
    for word, name in _COLLECTION.items():
        document[name] = list(parts[word].values())
    document["version"] = (
        await connection.execute(_VERSION_AT, {"order": document["id"], "moment": moment})
    ).scalar() or 1
    commands = COMMANDS.validate_json(row[1])
    return OrderView(ORDER.validate_python(document), tuple(c for c in commands if c.accepted_at <= moment))
