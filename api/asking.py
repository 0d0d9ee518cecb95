"""Commands at the door: refused early by the same rules that decide later, then accepted durably."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from api.auth import Caller
from api.numbering import named
from api.once import once
from api.pay.link import links_to_pay
from api.prefer import wait_of
from api.problem import Refused, request_id_of
from api.resources import capabilities_of, resources_of
from api.routes.command import answer_command
from api.schemas.command import CommandAnswer
from api.schemas.order import Links
from api.version import refuse_stale
from commands.command import submit
from commands.idempotency import Claim
from commands.preview import dry_run
from contracts.command import SECTION_COMMANDS, Body, Command
from contracts.rules import skus_of
from domain.errors import Rejected
from domain.order import Order
from queries.catalog import load_shelf
from queries.order import OrderView, view_order

PATIENCE = timedelta(seconds=1.5)
"""How long a command waits at the door for earlier ones of its order that are accepted and not yet decided."""
LOOK_SECONDS = 0.03


class Answering(TypedDict):
    """What a route tells FastAPI of its answers, as keywords of its decorator."""

    status_code: int
    response_model: None
    responses: dict[int | str, dict[str, Any]]


COMMAND: Answering = {
    "status_code": 202,
    "response_model": None,
    "responses": {
        200: {"model": CommandAnswer, "description": "Final within the time of `Prefer: wait=N`."},
        202: {
            "model": CommandAnswer,
            "description": "Accepted for good; `Location` tells what becomes of it.",
            "headers": {"Location": {"schema": {"type": "string"}, "description": "The command."}},
        },
    },
}
"""How every command answers: ``@router.post(path, summary=..., **COMMAND)``."""


@dataclass(frozen=True, slots=True)
class Door:
    """One command request: who asks, and for which order."""

    request: Request
    caller: Caller
    number: str
    """As the client typed it."""


def links_of(request: Request) -> Links:
    """Where workflows are looked at."""
    settings = resources_of(request).settings
    return Links(settings.temporal_ui_url, settings.temporal_namespace, links_to_pay(request))


async def ask(door: Door, make: Callable[[Claim], Body], *, route: str, proposal: str | None = None) -> Response:
    """Refuse early or accept, once for an Idempotency-Key; 202, or 200 if final within ``Prefer: wait``.

    ``make`` gives the command's body; ``proposal`` is an order number for commands that make an order.
    """
    wait = wait_of(door.request.headers)

    async def run(claim: Claim) -> Response:
        await accept(door, claim, make(claim))
        return await answer_command(door.request, door.caller, claim.subject, wait=wait)

    return await once(door.request, door.caller, route=route, required=False, number=proposal, run=run)


async def accept(door: Door, claim: Claim, body: Body) -> None:
    """Refuse what the rules refuse now, else make the command durable. A command that was accepted is not refused.

    Raises `Rejected`, `UnknownOrder`; `Refused` for a stale ``If-Match`` and a section that does not exist.
    """
    number = named(door.number)
    await _refuse_early(door, number, body, claim.subject)
    resources = resources_of(door.request)
    command = Command(
        id=claim.subject,
        store=door.caller.store,
        number=number,
        actor=f"key:{door.caller.label}",
        body=body,
        request_id=request_id_of(door.request),
    )
    await submit(resources.client, resources.database, command)


async def load(door: Door, number: str, body: Body, command_id: UUID) -> tuple[OrderView, Order | Rejected]:
    """The order as it stands, and as the command would leave it, or why the command is refused."""
    store = door.caller.store
    async with resources_of(door.request).database.reading() as connection:
        view = await view_order(connection, store, number)
        wanted = skus_of(view.order, body)
        catalog = (await load_shelf(connection, store, wanted)).skus if wanted else {}
    once = {account for account, can in capabilities_of(door.request).items() if can.captures_once}
    now = datetime.now(UTC)
    try:
        return view, dry_run(view.order, body, catalog, now, command_id=command_id, capturing_once=once)
    except Rejected as no:
        return view, no


async def _refuse_early(door: Door, number: str, body: Body, command_id: UUID) -> None:
    """Commands of a moment ago that nobody has decided yet may change the answer: they are waited for.

    If they stay undecided (no worker runs), nothing is refused: the workflow decides all of them in order.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + PATIENCE.total_seconds()
    while True:
        view, after = await load(door, number, body, command_id)
        if any(c.id == command_id for c in view.commands):
            return
        undecided = [c.accepted_at for c in view.commands if c.decided_at is None]
        if not undecided or max(undecided) < datetime.now(UTC) - PATIENCE or clock() >= deadline:
            break
        await asyncio.sleep(LOOK_SECONDS)
    refuse_stale(door.request.headers, view.order.version, number=number)
    _refuse_missing_section(view.order, body)
    if isinstance(after, Rejected) and not undecided:
        raise after


def _refuse_missing_section(order: Order, body: Body) -> None:
    """The section is part of the address here."""
    if isinstance(body, SECTION_COMMANDS) and body.section not in {s.number for s in order.sections}:
        raise Refused("not_found", f"order {order.number} has no section {body.section}")
