"""Payments and captures of an order."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import TypeAdapter
from pydantic_core import to_json
from starlette.responses import Response

from api.asking import COMMAND, Door, accept, ask, links_of
from api.auth import Caller, require
from api.numbering import named
from api.once import once
from api.prefer import applied, wait_of
from api.problem import StoredProblem
from api.resources import resources_of
from api.routes.command import wait_for_command
from api.schemas.example import ORDER
from api.schemas.order import OrderOut, order_response
from api.schemas.payment import CaptureIn, CompletionIn, PayIn, PaymentRequestAnswer, payment_request_out
from api.schemas.refund import BankAccountIn
from commands.idempotency import Claim
from domain.errors import Problem
from queries.command import FINAL
from queries.order import view_order
from queries.pay import UnknownPaymentRequest, find_request

router = APIRouter(tags=["payments"])

DEFAULT_WAIT = 10
"""Seconds for which a payment waits for its outcome."""

_PROBLEM = TypeAdapter(Problem)
_ANSWERS: dict[int | str, dict[str, Any]] = {
    201: {
        "model": OrderOut,
        "description": "The order with the outcome of the payment; a decline is an outcome too.",
        "content": {"application/json": {"example": ORDER}},
    },
    202: {"model": OrderOut, "description": "The outcome is not there within `Prefer: wait=N` (10 s)."},
}


@router.post(
    "/orders/{number}/payments",
    summary="Pay an open payment request (again)",
    status_code=201,
    response_model=None,
    responses=_ANSWERS,
)
async def pay(
    request: Request,
    number: str,
    body: PayIn,
    caller: Annotated[Caller, Depends(require("checkout", "orders:write"))],
) -> Response:
    """New payments for what no live payment covers. One open request need not be named.

    Of a request with a schedule: the next part, or more, up to all that is left.
    """
    wait = wait_of(request.headers)

    async def run(claim: Claim) -> Response:
        await accept(Door(request, caller, number), claim, body.to_command())
        database = resources_of(request).database
        seconds = DEFAULT_WAIT if wait is None else wait
        command = await wait_for_command(request, caller, claim.subject, seconds)
        if command.status == "rejected":
            raise StoredProblem(_PROBLEM.validate_python(command.problem))
        async with database.reading() as connection:
            view = await view_order(connection, caller.store, named(number))
        headers = {"Location": f"/v1/orders/{view.order.number}", **applied(wait)}
        status = 201 if command.status in FINAL else 202
        return order_response(view, links_of(request), status=status, headers=headers)

    return await once(request, caller, route="payment", required=False, number=None, run=run)


@router.get(
    "/payment-requests/{request_id}", summary="A payment request and its link", response_model=PaymentRequestAnswer
)
async def get_request(
    request: Request,
    request_id: UUID,
    caller: Annotated[Caller, Depends(require("checkout", "orders:read", "orders:write"))],
) -> Response:
    """What is asked for, for which order, what of it is paid, and where the customer pays it (``url``)."""
    async with resources_of(request).database.reading() as connection:
        place = await find_request(connection, request_id)
        if place.store != caller.store:
            raise UnknownPaymentRequest(f"no payment request {request_id}")
        order = (await view_order(connection, place.store, place.number)).order
    sections = {s.id: s.number for s in order.sections}
    found = payment_request_out(order.request(request_id), sections, links_of(request).pay)
    answer = {**found, "order": place.number, "currency": order.currency}
    return Response(to_json(answer), media_type="application/json")


@router.post(
    "/orders/{number}/payments/{payment_id}/completions", summary="The customer is back from the PG's page", **COMMAND
)
async def complete(
    request: Request,
    number: str,
    payment_id: UUID,
    body: CompletionIn,
    caller: Annotated[Caller, Depends(require("checkout", "orders:write"))],
) -> Response:
    """The PG is told, or asked, at once; without it OPMS asks by and by, and webhooks are waited for."""
    return await ask(Door(request, caller, number), lambda _: body.to_command(payment_id), route="completion")


@router.post(
    "/orders/{number}/payments/{payment_id}/refund-accounts",
    summary="Name the bank account that a deposit goes back to",
    **COMMAND,
)
async def name_account(
    request: Request,
    number: str,
    payment_id: UUID,
    body: BankAccountIn,
    caller: Annotated[Caller, Depends(require("refunds:write"))],
) -> Response:
    """No PG gives a deposit back without one. What waited for it (a deposit that came too late) goes back at once."""
    return await ask(
        Door(request, caller, number), lambda _: body.to_command(payment_id), route=f"refund-account.{payment_id}"
    )


@router.post("/orders/{number}/captures", summary="Capture what is authorized", **COMMAND)
async def capture(
    request: Request,
    number: str,
    caller: Annotated[Caller, Depends(require("orders:write"))],
    body: CaptureIn | None = None,
) -> Response:
    """Of one payment or all of them; no amount: all that is left.

    A PG account that captures a payment once lets go of the rest. An amount that would lose something that is owed is
    409 `captures_once`; one of `figures.instead` can be captured.
    """
    wanted = (body or CaptureIn()).to_command()
    return await ask(Door(request, caller, number), lambda _: wanted, route="capture")
