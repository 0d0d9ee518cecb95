"""Doubts about money: a person decides what no PG answers for, or a closed attempt is asked about again."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from api.asking import COMMAND, Door, ask
from api.auth import Caller, require
from api.schemas.doubt import DecisionIn
from contracts.command import Doubt, Recheck

router = APIRouter(prefix="/orders/{number}", tags=["payments"])

MerchantRef = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{6,40}$")]


@router.post("/operations/{operation_id}/decisions", summary="Decide an operation in doubt", **COMMAND)
async def decide(
    request: Request,
    number: str,
    operation_id: UUID,
    body: DecisionIn,
    caller: Annotated[Caller, Depends(require("admin"))],
) -> Response:
    """On evidence from elsewhere (the PG's support, its console). What follows is the same as after a PG's answer."""
    return await ask(
        Door(request, caller, number), lambda _: body.to_command(operation_id), route=f"decision.{operation_id}"
    )


@router.post("/attempts/{merchant_ref}/rechecks", summary="Ask a PG again about a closed attempt", **COMMAND)
async def recheck(
    request: Request,
    number: str,
    merchant_ref: MerchantRef,
    caller: Annotated[Caller, Depends(require("orders:write"))],
) -> Response:
    """Money that is found there is given back by itself; an attempt that is still open is asked about anyway."""
    return await ask(Door(request, caller, number), lambda _: Recheck(merchant_ref), route=f"recheck.{merchant_ref}")


@router.post(
    "/operations/{operation_id}/rechecks", summary="Ask a PG again about an operation that had succeeded", **COMMAND
)
async def doubt(
    request: Request,
    number: str,
    operation_id: UUID,
    caller: Annotated[Caller, Depends(require("orders:write"))],
) -> Response:
    """What the PG has taken back is undone in the books: a refund is planned again, a capture waits for a person."""
    return await ask(Door(request, caller, number), lambda _: Doubt(operation_id), route=f"doubt.{operation_id}")
