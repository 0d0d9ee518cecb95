"""Saving an order: cascade, then one statement that writes the whole difference and its timeline.

Rows travel as one JSON document and are typed by Postgres itself (`json_populate_recordset`), so the statement's text
depends only on which tables are touched. The caller holds the order's row lock.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.cascade import cascade
from domain.errors import OutOfStock
from domain.order import COLLECTIONS, HEADER, Difference, Order, changed_entities, differences
from domain.section import stock_moves
from models.mapping import HEADER_TABLE, TABLES, table_name
from queries.order import load_order

_HEADER = TypeAdapter(dict[str, Any])
_ROWS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(list[kind]) for kind, name in COLLECTIONS.items()}  # type: ignore[valid-type]
_ANY = TypeAdapter(Any)

_LOCK = text("SELECT 1 FROM orders WHERE store_id = :store AND number = :number FOR UPDATE")


@dataclass(frozen=True, slots=True)
class Cause:
    """Who changes an order, why, and by which command; stands on every timeline row."""

    cause: str
    actor: str
    workflow_id: str
    now: datetime
    command_id: UUID | None = None


async def lock_order(connection: AsyncConnection, store: str, number: str) -> Order:
    """The order, locked until the transaction ends. Raises `UnknownOrder`."""
    await connection.execute(_LOCK, {"store": store, "number": number})
    return await load_order(connection, store, number)


async def save_order(connection: AsyncConnection, before: Order | None, after: Order, cause: Cause) -> Order:
    """Write what differs, with its timeline and stock. Nothing differs: nothing is written.

    Raises `OutOfStock` if the shelf does not hold what the change takes from it.
    """
    after = cascade(after)
    found = differences(before, after)
    if not found:
        return after
    after = replace(after, version=after.version + 1)
    changed = changed_entities(before, after)
    parameters = {name: _ROWS[name].dump_json(rows).decode() for name, rows in changed.items()}
    header = {name: getattr(after, name) for name in HEADER}
    parameters["header"] = _HEADER.dump_json(header).decode()
    parameters["timeline"] = _timeline(after, found, cause)
    await connection.execute(_write(tuple(changed)), parameters)
    await _move_stock(connection, before, after)
    return after


def _timeline(order: Order, found: list[Difference], cause: Cause) -> str:
    shared = {
        "store_id": order.store_id,
        "order_id": str(order.id),
        "version": order.version,
        "cause": cause.cause,
        "command_id": str(cause.command_id) if cause.command_id else None,
        "actor": cause.actor,
        "workflow_id": cause.workflow_id,
        "at": cause.now.isoformat(),
    }
    rows = [
        shared
        | {
            "entity": d.entity,
            "entity_id": str(d.entity_id),
            "field": d.field,
            "old": _as_text(d.old),
            "new": _as_text(d.new),
        }
        for d in found
    ]
    return json.dumps(rows)


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    plain = _ANY.dump_python(value, mode="json")
    return plain if isinstance(plain, str) else json.dumps(plain)


@cache
def _write(names: tuple[str, ...]) -> TextClause:
    """The one statement that writes a header, rows of these collections, and the timeline."""
    parts = [_upsert("header", table_name(HEADER_TABLE), list(HEADER_TABLE.__table__.columns.keys()))]  # type: ignore[attr-defined]
    for name in names:
        row = TABLES[name]
        parts.append(_upsert(name, table_name(row), list(row.__table__.columns.keys())))  # type: ignore[attr-defined]
    columns = (
        "store_id, order_id, version, entity, entity_id, field, old, new, cause, command_id, actor, workflow_id, at"
    )
    timeline = (
        f"INSERT INTO timeline ({columns}) SELECT {columns} FROM "
        "json_populate_recordset(NULL::timeline, CAST(:timeline AS json))"
    )
    return text(f"WITH {', '.join(parts)} {timeline}")


def _upsert(name: str, table: str, columns: list[str]) -> str:
    listed = ", ".join(columns)
    updates = ", ".join(f"{c} = EXCLUDED.{c}" for c in columns if c != "id")
    source = "json_populate_record" if name == "header" else "json_populate_recordset"
    return (
        f"w_{name} AS (INSERT INTO {table} ({listed}) SELECT {listed} FROM {source}(NULL::{table}, "
        f"CAST(:{name} AS json)) ON CONFLICT (id) DO UPDATE SET {updates})"
    )


_MOVE_STOCK = text(
    """
    WITH wanted AS (SELECT * FROM jsonb_to_recordset(CAST(:moves AS jsonb))
                      AS w(sku text, on_hand bigint, held bigint, committed bigint)),
    locked AS (SELECT s.sku FROM stock s JOIN wanted w ON w.sku = s.sku
                WHERE s.store_id = :store ORDER BY s.sku FOR UPDATE OF s)
    UPDATE stock s SET on_hand = s.on_hand + w.on_hand, held = s.held + w.held, committed = s.committed + w.committed
      FROM wanted w JOIN locked l ON l.sku = w.sku
     WHERE s.store_id = :store AND s.sku = w.sku
       AND (w.held + w.committed <= 0
            OR s.on_hand + w.on_hand >= s.held + w.held + s.committed + w.committed)
    RETURNING s.sku
    """
)
_AVAILABLE = text(
    "SELECT sku, on_hand - held - committed FROM stock WHERE store_id = :store AND sku = ANY(:skus) ORDER BY sku"
)


async def _move_stock(connection: AsyncConnection, before: Order | None, after: Order) -> None:
    moves = stock_moves(before.items if before else (), after.items)
    if not moves:
        return
    rows = [{"sku": sku, "on_hand": h, "held": d, "committed": c} for sku, (h, d, c) in moves.items()]
    done = await connection.execute(_MOVE_STOCK, {"moves": json.dumps(rows), "store": after.store_id})
    short = sorted(set(moves) - {sku for (sku,) in done})
    if short:
        left = await connection.execute(_AVAILABLE, {"store": after.store_id, "skus": short})
        figures = [{"sku": sku, "wanted": moves[sku][1], "available": max(0, n)} for sku, n in left]
        raise OutOfStock(f"not enough stock: {', '.join(short)}", figures={"skus": figures})
