"""Cancellations: before goods leave."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api.asking import COMMAND, Door, ask
from api.auth import Caller, require
from api.schemas.cancellation import CancelIn

router = APIRouter(tags=["orders"])


@router.post("/orders/{number}/cancellations", summary="Cancel pieces, a section or the order", **COMMAND)
async def cancel(
    request: Request, number: str, body: CancelIn, caller: Annotated[Caller, Depends(require("orders:write"))]
) -> Response:
    """Nothing named: the whole order. What was paid for it goes back in the same step."""
    return await ask(Door(request, caller, number), lambda _: body.to_command(), route="cancellation")
