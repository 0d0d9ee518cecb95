"""Refunds, and the calculation before one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic_core import to_json
from starlette.responses import Response

from api.asking import COMMAND, Door, ask, load
from api.auth import Caller, require
from api.numbering import named
from api.once import once
from api.schemas.refund import RefundIn, RefundPreviewIn, RefundPreviewOut, refund_preview_out
from api.version import etag, refuse_stale
from commands.idempotency import Claim
from domain.errors import Rejected

router = APIRouter(prefix="/orders/{number}/refunds", tags=["refunds"])

Refunder = Annotated[Caller, Depends(require("refunds:write"))]


@router.post(
    "/preview", summary="Calculate a refund", response_model=None, responses={200: {"model": RefundPreviewOut}}
)
async def preview(request: Request, number: str, body: RefundPreviewIn, caller: Refunder) -> Response:
    """Lines, legs and what each payment has left; nothing is stored. Refused as the refund itself would be."""

    async def run(claim: Claim) -> Response:
        return await _calculate(Door(request, caller, number), body, claim.subject)

    return await once(request, caller, route="refund.preview", required=False, number=None, run=run)


@router.post("", summary="Give money back", **COMMAND)
async def refund(request: Request, number: str, body: RefundIn, caller: Refunder) -> Response:
    """For pieces of items, for shipping, or as an amount. Reserved before any PG is called."""
    return await ask(Door(request, caller, number), lambda _: body.to_command(), route="refund")


async def _calculate(door: Door, body: RefundIn, refund_id: UUID) -> Response:
    view, after = await load(door, named(door.number), body.to_command(), refund_id)
    refuse_stale(door.request.headers, view.order.version, number=view.order.number)
    if isinstance(after, Rejected):
        raise after
    headers = {"ETag": etag(view.order.version)}
    return Response(to_json(refund_preview_out(view.order, after)), headers=headers, media_type="application/json")
