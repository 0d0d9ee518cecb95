"""``POST /v1/checkouts``: place an order."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request
from fastapi.openapi.models import Example
from pydantic_core import to_json
from starlette.responses import Response

from api.asking import links_of
from api.auth import Caller, require
from api.numbering import fresh_number
from api.once import once, renumber
from api.prefer import applied, wait_of
from api.problem import Refused, StoredProblem, request_id_of
from api.resources import resources_of
from api.schemas.checkout import CheckoutIn
from api.schemas.example import CARD_CHECKOUT, CHECKOUT, ORDER, SCHEDULE_CHECKOUT
from api.schemas.order import OrderOut, order_response, order_to_come
from commands.idempotency import Claim
from commands.order import Placed, place_order
from commands.started import is_started
from contracts.order import PlaceOrder
from domain.checkout import Checkout, quote
from domain.errors import UnknownOrder
from queries.catalog import load_shelf
from queries.order import OrderView, view_order

router = APIRouter(tags=["checkout"])

ROUTE = "checkout"
DEFAULT_WAIT = 10
"""Seconds for which a checkout waits for its outcome."""
SHORTEST_WAIT = timedelta(seconds=1)
"""Temporal needs a moment to accept the order at all, also when the client does not want to wait."""
EXAMPLES: dict[str, Example] = {
    "two_sections": {"summary": "Two destinations, points and a card", "value": CHECKOUT},
    "card": {"summary": "One destination, one card", "value": CARD_CHECKOUT},
    "schedule": {"summary": "A deposit now, the rest later", "value": SCHEDULE_CHECKOUT},
}


@router.post(
    "/checkouts",
    summary="Place an order",
    status_code=201,
    response_model=None,
    responses={
        201: {
            "model": OrderOut,
            "description": "The order with the outcome of its payment; a decline is an outcome too.",
            "headers": {"Location": {"schema": {"type": "string"}}, "ETag": {"schema": {"type": "string"}}},
            "content": {"application/json": {"example": ORDER}},
        },
        202: {"description": "Accepted, without an outcome within `Prefer: wait=N` (10 s). It goes on by itself."},
    },
)
async def place(
    request: Request,
    body: Annotated[CheckoutIn, Body(openapi_examples=EXAMPLES)],
    caller: Annotated[Caller, Depends(require("checkout"))],
) -> Response:
    """Prices come from the catalogue; a total or stock that does not fit is refused with the server's figures."""
    wait = wait_of(request.headers)
    checkout = body.to_domain()

    async def run(claim: Claim) -> Response:
        if not claim.taken_over:
            await _refuse_early(request, caller, checkout)
        placed = await _place(request, caller, claim, checkout, wait=DEFAULT_WAIT if wait is None else wait)
        return await _answer(request, caller, checkout, claim, placed, applied(wait))

    number = await fresh_number(request, caller.store)
    return await once(request, caller, route=ROUTE, required=True, number=number, run=run)


async def _refuse_early(request: Request, caller: Caller, checkout: Checkout) -> None:
    """What the catalogue refuses needs no workflow. A run taken over may hold the stock itself, and is not asked."""
    skus = [item.sku for section in checkout.sections for item in section.items]
    async with resources_of(request).database.reading() as connection:
        shelf = await load_shelf(connection, caller.store, skus)
    _ = quote(checkout, shelf.skus, currency=shelf.currency, now=datetime.now(UTC))


async def _place(request: Request, caller: Caller, claim: Claim, checkout: Checkout, *, wait: int) -> Placed:
    async def draw() -> str:
        number = await fresh_number(request, caller.store)
        await renumber(request, caller, route=ROUTE, number=number)
        return number

    resources = resources_of(request)
    placement = PlaceOrder(claim.subject, f"key:{caller.label}", checkout, request_id_of(request))
    placing = partial(place_order, resources.client, resources.database, caller.store)
    return await placing(
        claim.number or await draw(), placement, wait=max(SHORTEST_WAIT, timedelta(seconds=wait)), draw=draw
    )


async def _answer(
    request: Request, caller: Caller, checkout: Checkout, claim: Claim, placed: Placed, headers: dict[str, str]
) -> Response:
    if placed.answer is not None and placed.answer.refused is not None:
        raise StoredProblem(placed.answer.refused)
    headers = {"Location": f"/v1/orders/{placed.number}", **headers}
    view = await _find(request, caller.store, placed.number)
    if view is not None and view.order.checkout_id == claim.subject:
        status = 202 if placed.answer is None else 201
        return order_response(view, links_of(request), status=status, headers=headers)
    if view is not None or not await is_started(resources_of(request).client, caller.store, placed.number):
        raise Refused("unavailable", "the workflow engine has not answered; send the same request again")
    document = order_to_come(checkout, caller.store, placed.number, links_of(request))
    return Response(to_json(document), status_code=202, headers=headers, media_type="application/json")


async def _find(request: Request, store: str, number: str) -> OrderView | None:
    async with resources_of(request).database.reading() as connection:
        try:
            return await view_order(connection, store, number)
        except UnknownOrder:
            return None
