"""Our own value: issuing gift cards, looking at what a customer has, giving and correcting it."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic_core import to_json
from starlette.responses import Response

from api.auth import Caller, require
from api.once import once
from api.resources import resources_of
from api.schemas.field import Code
from api.schemas.value import (
    AdjustmentIn,
    CustomerValueOut,
    GiftCardIn,
    GiftCardOut,
    customer_value_out,
    gift_card_out,
)
from commands.idempotency import Claim
from commands.value import Giver, IssuedCard, adjust_value, issue_gift_card
from queries.catalog import load_shelf
from queries.value import customer_lots

router = APIRouter(tags=["value"])

Customer = Annotated[Code, Path(description="The id that the shop knows the customer by.")]


@router.post(
    "/gift-cards",
    summary="Issue a gift card",
    status_code=201,
    response_model=None,
    responses={
        201: {"model": GiftCardOut, "description": "The card; its code is told in this answer and never again."}
    },
)
async def issue(
    request: Request, body: GiftCardIn, caller: Annotated[Caller, Depends(require("orders:write"))]
) -> Response:
    """The code is kept by its hash alone. A repeated request answers the card without the code: issue another one."""
    fresh: list[IssuedCard] = []

    async def run(claim: Claim) -> Response:
        card = await issue_gift_card(
            resources_of(request).database, _giver(caller), body.to_terms(), card_id=claim.subject
        )
        fresh.append(card)
        return _json(gift_card_out(card), status=201)

    answer = await once(request, caller, route="gift-card", required=False, number=None, run=run)
    # What is kept for a repeated request has no code in it; only whoever waits for this very answer is told.
    return _json(gift_card_out(fresh[0], code=fresh[0].code), status=201) if fresh else answer


@router.get(
    "/customers/{customer}/value",
    summary="What a customer has of points and store credit",
    response_model=None,
    responses={200: {"model": CustomerValueOut}},
)
async def look(
    request: Request, customer: Customer, caller: Annotated[Caller, Depends(require("orders:read", "orders:write"))]
) -> Response:
    """Balances by kind, with the lots that they are the sum of. A customer whom nobody knows has nothing."""
    return _json(await _value_of(request, caller, customer), status=200)


@router.post(
    "/customers/{customer}/value",
    summary="Give a customer value, or correct it",
    status_code=201,
    response_model=None,
    responses={201: {"model": CustomerValueOut, "description": "What the customer has afterwards."}},
)
async def adjust(
    request: Request,
    customer: Customer,
    body: AdjustmentIn,
    caller: Annotated[Caller, Depends(require("orders:write"))],
) -> Response:
    """A positive amount is a lot of its own; a negative one is taken from what is free, the first to expire first."""

    async def run(claim: Claim) -> Response:
        database = resources_of(request).database
        await adjust_value(database, _giver(caller), customer, body.to_command(), adjustment_id=claim.subject)
        return _json(await _value_of(request, caller, customer), status=201)

    return await once(request, caller, route="value", required=False, number=None, run=run)


async def _value_of(request: Request, caller: Caller, customer: str) -> CustomerValueOut:
    async with resources_of(request).database.reading() as connection:
        currency = (await load_shelf(connection, caller.store, ())).currency
        lots = await customer_lots(connection, caller.store, customer, datetime.now(UTC))
    return customer_value_out(customer, currency, lots)


def _giver(caller: Caller) -> Giver:
    return Giver(caller.store, f"key:{caller.label}")


def _json(document: Any, *, status: int) -> Response:
    return Response(to_json(document), status_code=status, media_type="application/json")
