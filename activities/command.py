"""Deciding commands: the row that makes each happen once, the rule for each kind, and when it is finished."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import structlog
from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.desk import Desk
from activities.saving import WRITE_COMMAND, Cause, Decision
from contracts.command import Command, Reorder
from contracts.order import ApplyCommand, NewOrder, PlaceOrder
from contracts.rules import apply_body, skus_of
from domain.errors import Problem
from domain.gateway import OperationKind, Outcome
from domain.order import Order
from domain.payment import UNRESOLVED
from domain.reorder import again
from domain.states import RefundStatus
from queries.catalog import Shelf, load_shelf

log = structlog.get_logger()

_JSON = TypeAdapter(Any)

_DECIDE = text(WRITE_COMMAND)
_FINISH = text(
    """
    UPDATE command c SET status = f.status, problem = f.problem, finished_at = :now
      FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS f(id uuid, status text, problem jsonb)
     WHERE c.id = f.id AND c.status = 'accepted'
    """
)
_RENUMBER = text(
    "UPDATE command SET result = result || jsonb_build_object('order', CAST(:number AS text)) WHERE id = :id"
)
WAITING = UNRESOLVED - {Outcome.ACTION_REQUIRED}
"""A command is finished when nothing it asked for waits for a PG; what waits for the customer is not the command's."""


async def decide_command(
    connection: AsyncConnection, desk: Desk, order: Order, request: ApplyCommand
) -> tuple[Order, Shelf | None]:
    """The order after a command that nobody has decided. Raises `Rejected`: the caller rolls back and notes it."""
    command = request.command
    shelf = await shelf_for(connection, order, command)
    catalog = shelf.skus if shelf else {}
    after = await desk.decide(lambda moment: apply_body(order, command.id, command.body, catalog, moment))
    cause = Cause(command.body.kind, command.actor, request.workflow_id, desk.now, command.id)
    return await desk.save(order, after, cause, lambda saved: _decision(order, saved, command, desk.now)), shelf


def _decision(before: Order, saved: Order, command: Command, now: datetime) -> Decision:
    """Applied, failed, or accepted as long as a PG has not answered what it asked for."""
    open_ended = any(o.command_id == command.id and o.outcome in WAITING for o in saved.operations)
    ending = {"status": "accepted", "problem": None} if open_ended else _ending(saved, command.id)
    finished_at = None if open_ended else now
    return _row(command, now) | ending | {"finished_at": finished_at, "result": _result(before, saved, command)}


async def refuse_command(connection: AsyncConnection, command: Command, problem: Problem, now: datetime) -> None:
    """Write a refusal on the command's row, unless it has been decided before."""
    refusal = {"status": "rejected", "problem": problem, "result": {}, "finished_at": now}
    await connection.execute(_DECIDE, {"command": _JSON.dump_json(_row(command, now) | refusal).decode()})


def _row(command: Command, now: datetime) -> dict[str, Any]:
    return {
        "id": command.id,
        "store_id": command.store,
        "number": command.number,
        "kind": command.body.kind,
        "actor": command.actor,
        "request_id": command.request_id,
        "decided_at": now,
    }


def broken_fence(command: Command, fence: IntegrityError) -> Problem:
    """The last line of defence has held: a bug of ours, which must not stop the order."""
    log.error("command.broke_a_fence", command=str(command.id), kind=command.body.kind, rule=str(fence.orig))
    return Problem("storage_refused", "the database's own rules refuse this change; nothing was changed")


async def finish_commands(connection: AsyncConnection, before: Order, after: Order, now: datetime) -> None:
    """Give their final status to the commands whose last operation has just ended."""
    was_open = {o.command_id for o in before.operations if o.outcome in WAITING}
    is_open = {o.command_id for o in after.operations if o.outcome in WAITING}
    ended = sorted(c for c in was_open - is_open if c)
    if ended:
        rows = [{"id": str(c)} | _ending(after, c) for c in ended]
        await connection.execute(_FINISH, {"rows": json.dumps(rows), "now": now})


def _ending(order: Order, command_id: UUID) -> dict[str, Any]:
    """How a command has ended: applied, or failed and why."""
    problem = _failure(order, command_id)
    return {"status": "failed", "problem": asdict(problem)} if problem else {"status": "applied", "problem": None}


async def renumber_result(connection: AsyncConnection, command_id: UUID, number: str) -> None:
    """The new order of a command has another number than was drawn at first."""
    await connection.execute(_RENUMBER, {"id": command_id, "number": number})


def new_order_of(order: Order, command: Command, shelf: Shelf | None) -> NewOrder | None:
    """The order that "buy again" starts; the same each time it is asked, so that it starts once."""
    body = command.body
    if not isinstance(body, Reorder) or body.reorder != "again" or not body.new_number or shelf is None:
        return None
    place = PlaceOrder(
        id=uuid5(command.id, "again"),
        actor=command.actor,
        checkout=again(order, body.items, shelf.skus),
        request_id=command.request_id,
    )
    return NewOrder(body.new_number, place, command.id)


async def shelf_for(connection: AsyncConnection, order: Order, command: Command) -> Shelf | None:
    """The catalogue's view of the goods that a command names; None if it names none."""
    wanted = skus_of(order, command.body)
    return await load_shelf(connection, order.store_id, wanted) if wanted else None


def _result(before: Order, after: Order, command: Command) -> dict[str, object]:
    """What the command made, for whoever asked: ids of refunds, sections, shipments, requests, the new order."""
    made: dict[str, object] = {}
    for name in ("refunds", "shipments", "payments", "requests"):
        old = {e.id for e in getattr(before, name)}
        new = [str(e.id) for e in getattr(after, name) if e.id not in old]
        if new:
            made["payment_requests" if name == "requests" else name] = new
    sections = [s.number for s in after.sections if s.number not in {o.number for o in before.sections}]
    if sections:
        made["sections"] = sections
    if isinstance(command.body, Reorder) and command.body.new_number:
        made["order"] = command.body.new_number
    return made


def _failure(order: Order, command_id: UUID) -> Problem | None:
    """Why what a command asked for did not come about."""
    for operation in order.operations:
        if operation.command_id != command_id or operation.outcome is not Outcome.DECLINED:
            continue
        if operation.kind in {OperationKind.CAPTURE, OperationKind.VOID}:
            return Problem(
                "gateway_declined", f"{operation.kind} was declined: {operation.detail or 'no reason given'}"
            )
    for refund in order.refunds:
        if refund.command_id == command_id and refund.status is RefundStatus.PARTIALLY_EXECUTED:
            return Problem("refund_incomplete", "no payment is left that could take the rest; a person must decide")
    return None
