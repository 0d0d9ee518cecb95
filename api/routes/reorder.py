"""Reorders: exchange, reship, buy again."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api.asking import COMMAND, Door, ask
from api.auth import Caller, require
from api.numbering import fresh_number
from api.schemas.reorder import ReorderIn

router = APIRouter(tags=["reorders"])


@router.post("/orders/{number}/reorders", summary="Exchange, reship or buy again", **COMMAND)
async def reorder(
    request: Request, number: str, body: ReorderIn, caller: Annotated[Caller, Depends(require("orders:write"))]
) -> Response:
    """Exchange and reship open a new section of the order; ``again`` is a new order, named in the result."""
    proposal = await fresh_number(request, caller.store) if body.kind == "again" else None
    door = Door(request, caller, number)
    return await ask(door, lambda claim: body.to_command(claim.number), route="reorder", proposal=proposal)
