"""What moves the goods of a section: shipments, deliveries, holds."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from api.asking import COMMAND, Door, ask
from api.auth import Caller, require
from api.schemas.section import DeliverIn, HoldIn, ShipIn
from contracts.command import Release

router = APIRouter(prefix="/orders/{number}/sections/{n}", tags=["sections"])

Writer = Annotated[Caller, Depends(require("orders:write"))]
SectionNumber = Annotated[int, Path(ge=1, le=10_000, description="The section's number in its order.")]


@router.post("/shipments", summary="A parcel leaves", **COMMAND)
async def ship(request: Request, number: str, n: SectionNumber, body: ShipIn, caller: Writer) -> Response:
    """The pieces named, or all that has not left. With ``capture: on_shipment`` their money is captured."""
    return await ask(Door(request, caller, number), lambda _: body.to_command(n), route="shipment")


@router.post("/deliveries", summary="A parcel has arrived", **COMMAND)
async def deliver(
    request: Request, number: str, n: SectionNumber, caller: Writer, body: DeliverIn | None = None
) -> Response:
    """A shipment, the pieces named, or all that is on its way."""
    wanted = (body or DeliverIn()).to_command(n)
    return await ask(Door(request, caller, number), lambda _: wanted, route="delivery")


@router.post("/holds", summary="Stop a section", **COMMAND)
async def hold(request: Request, number: str, n: SectionNumber, body: HoldIn, caller: Writer) -> Response:
    """For a reason; several may be active, each is released alone."""
    return await ask(Door(request, caller, number), lambda _: body.to_command(n), route="hold")


@router.delete("/holds/{reason:path}", summary="Release a hold", **COMMAND)
async def release(
    request: Request,
    number: str,
    n: SectionNumber,
    reason: Annotated[str, Path(min_length=1, max_length=500)],
    caller: Writer,
) -> Response:
    """By the reason it was placed for, exactly as it was given."""
    return await ask(Door(request, caller, number), lambda _: Release(n, reason.strip()), route="release")
