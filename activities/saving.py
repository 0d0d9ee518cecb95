"""Saving an order: cascade, then one statement that writes the whole difference, its timeline, stock and command.

Rows travel as one JSON document and are typed by Postgres itself (`json_populate_recordset`), so the statement's text
depends only on which tables are touched. The caller holds the order's row lock.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.cascade import cascade
from domain.errors import OutOfStock, UnknownOrder
from domain.order import COLLECTIONS, HEADER, Difference, Order, changed_entities, differences
from domain.section import stock_moves
from models.mapping import HEADER_TABLE, TABLES, table_name
from queries.order import DOCUMENT, ORDER

_HEADER = TypeAdapter(dict[str, Any])
_ROWS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(list[kind]) for kind, name in COLLECTIONS.items()}  # type: ignore[valid-type]
_ANY = TypeAdapter(Any)

# Where the row had to be waited for, `o` is the newest row and everything else is as old as the statement: its version
# then differs from the one that the statement's own snapshot sees.
_LOCKED = text(
    f"""
    SELECT {DOCUMENT} AS document, o.version = (SELECT seen.version FROM orders seen WHERE seen.id = o.id) AS whole,
           (SELECT c.decided_at IS NOT NULL FROM command c WHERE c.id = CAST(:command AS uuid)) AS decided
      FROM orders o WHERE o.store_id = :store AND o.number = :number FOR UPDATE OF o
    """
)
Decision = Mapping[str, Any]
"""A row of the table ``command``, by column."""


class DecidedMeanwhile(Exception):
    """Another run of the same step has decided the command; the step is to be tried again and will find it decided."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Who changes an order, why, and by which command; stands on every timeline row."""

    cause: str
    actor: str
    workflow_id: str
    now: datetime
    command_id: UUID | None = None


async def lock_order(
    connection: AsyncConnection, store: str, number: str, *, command_id: UUID | None = None
) -> tuple[Order, bool]:
    """The order, locked until the transaction ends, and whether a command has been decided. Raises `UnknownOrder`."""
    wanted = {"store": store, "number": number, "command": command_id}
    row = (await connection.execute(_LOCKED, wanted)).one_or_none()
    if row is None:
        raise UnknownOrder(f"no order {number} in this store")
    if not row.whole:  # It was waited for, and is ours now: a second look sees all that the other one wrote.
        row = (await connection.execute(_LOCKED, wanted)).one()
    return ORDER.validate_json(row.document), bool(row.decided)


async def save_order(
    connection: AsyncConnection,
    before: Order | None,
    after: Order,
    cause: Cause,
    decide: Callable[[Order], Decision] | None = None,
) -> Order:
    """Write what differs, with its timeline, its stock, and the row of the command that asked for it.

    Nothing differs and no command: nothing is written. Raises `OutOfStock` if the shelf does not hold what the change
    takes from it, `DecidedMeanwhile` if the command is decided already.
    """
    after = cascade(after)
    found = differences(before, after)
    parameters: dict[str, str] = {}
    changed: dict[str, list[Any]] = {}
    moves = {}
    if found:
        after = replace(after, version=after.version + 1)
        changed = changed_entities(before, after)
        moves = stock_moves(before.items if before else (), after.items)
        parameters = {name: _ROWS[name].dump_json(rows).decode() for name, rows in changed.items()}
        parameters["header"] = _HEADER.dump_json({name: getattr(after, name) for name in HEADER}).decode()
        parameters["timeline"] = _timeline(after, found, cause)
    if moves:
        rows = [{"sku": sku, "on_hand": h, "held": d, "committed": c} for sku, (h, d, c) in moves.items()]
        parameters |= {"moves": json.dumps(rows), "store": after.store_id}
    if decide is not None:
        parameters["command"] = _ANY.dump_json(decide(after)).decode()
    if parameters:
        write = _write(tuple(changed), header=bool(found), stock=bool(moves), command=decide is not None)
        moved, decided = (await connection.execute(write, parameters)).one()
        if decide is not None and not decided:
            raise DecidedMeanwhile
        await _refuse_shortage(connection, after.store_id, moves, set(moved))
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


_TIMELINE_COLUMNS = (
    "store_id, order_id, version, entity, entity_id, field, old, new, cause, command_id, actor, workflow_id, at"
)
_TIMELINE = (
    f"INSERT INTO timeline ({_TIMELINE_COLUMNS}) SELECT {_TIMELINE_COLUMNS} FROM "
    "json_populate_recordset(NULL::timeline, CAST(:timeline AS json))"
)
_MOVE_STOCK = """
    wanted AS (SELECT * FROM jsonb_to_recordset(CAST(:moves AS jsonb))
                 AS w(sku text, on_hand bigint, held bigint, committed bigint)),
    locked AS (SELECT s.sku FROM stock s JOIN wanted w ON w.sku = s.sku
                WHERE s.store_id = :store ORDER BY s.sku FOR UPDATE OF s),
    w_stock AS (UPDATE stock s SET on_hand = s.on_hand + w.on_hand, held = s.held + w.held,
                                   committed = s.committed + w.committed
                  FROM wanted w JOIN locked l ON l.sku = w.sku
                 WHERE s.store_id = :store AND s.sku = w.sku
                   AND (w.held + w.committed <= 0
                        OR s.on_hand + w.on_hand >= s.held + w.held + s.committed + w.committed)
                RETURNING s.sku)
"""
WRITE_COMMAND = """
    INSERT INTO command AS c (id, store_id, number, kind, status, actor, request_id, body, problem, result,
                              accepted_at, decided_at, finished_at)
    SELECT id, store_id, number, kind, status, actor, request_id, '{}', problem, result, decided_at, decided_at,
           finished_at
      FROM json_populate_record(NULL::command, CAST(:command AS json))
    ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status, problem = EXCLUDED.problem, result = EXCLUDED.result,
           decided_at = EXCLUDED.decided_at, finished_at = EXCLUDED.finished_at,
           body = CASE c.kind WHEN 'name_account' THEN '{}' ELSE c.body END
     WHERE c.decided_at IS NULL
    RETURNING c.id
"""
"""Decide a command once, however it came here; no row if it is decided already. A bank account is not kept on it."""
_AVAILABLE = text(
    "SELECT sku, on_hand - held - committed FROM stock WHERE store_id = :store AND sku = ANY(:skus) ORDER BY sku"
)


@cache
def _write(names: tuple[str, ...], *, header: bool, stock: bool, command: bool) -> TextClause:
    """The one statement that writes; it answers with the SKUs that were moved, and how many commands were decided."""
    parts = []
    if header:
        parts.append(_upsert("header", table_name(HEADER_TABLE), list(HEADER_TABLE.__table__.columns.keys())))  # type: ignore[attr-defined]
        parts.append(f"w_timeline AS ({_TIMELINE})")
    for name in names:
        row = TABLES[name]
        parts.append(_upsert(name, table_name(row), list(row.__table__.columns.keys())))  # type: ignore[attr-defined]
    if stock:
        parts.append(_MOVE_STOCK)
    if command:
        parts.append(f"w_command AS ({WRITE_COMMAND})")
    moved = "ARRAY(SELECT sku FROM w_stock)" if stock else "CAST('{}' AS text[])"
    decided = "(SELECT count(*) FROM w_command)" if command else "0"
    return text(f"WITH {', '.join(parts)} SELECT {moved}, {decided}")


def _upsert(name: str, table: str, columns: list[str]) -> str:
    listed = ", ".join(columns)
    updates = ", ".join(f"{c} = EXCLUDED.{c}" for c in columns if c != "id")
    source = "json_populate_record" if name == "header" else "json_populate_recordset"
    return (
        f"w_{name} AS (INSERT INTO {table} ({listed}) SELECT {listed} FROM {source}(NULL::{table}, "
        f"CAST(:{name} AS json)) ON CONFLICT (id) DO UPDATE SET {updates})"
    )


async def _refuse_shortage(
    connection: AsyncConnection, store: str, moves: Mapping[str, tuple[int, int, int]], moved: set[str]
) -> None:
    short = sorted(moves.keys() - moved)
    if short:
        left = await connection.execute(_AVAILABLE, {"store": store, "skus": short})
        figures = [{"sku": sku, "wanted": moves[sku][1], "available": max(0, n)} for sku, n in left]
        raise OutOfStock(f"not enough stock: {', '.join(short)}", figures={"skus": figures})
