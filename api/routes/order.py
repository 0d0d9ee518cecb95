"""Reading orders: the list, one order, its timeline."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response

from api.asking import links_of
from api.auth import Caller, require
from api.cursor import decode, encode, invalid_cursor
from api.numbering import named
from api.resources import resources_of
from api.schemas.example import ORDER
from api.schemas.moment import Moment, Until
from api.schemas.order import OrderOut, OrderPage, order_head, order_response
from api.schemas.timeline import TimelinePage, timeline_entry_out
from api.version import etag
from domain.states import FulfillmentStatus, OrderStatus, PaidStatus, ReturnStatus
from queries.order import order_as_of, view_order
from queries.search import Keyset, Search, search_orders
from queries.timeline import read_timeline

router = APIRouter(prefix="/orders", tags=["orders"])

Reader = Annotated[Caller, Depends(require("orders:read"))]
Limit = Annotated[int, Field(ge=1, le=200)]
Cursor = Annotated[str, Field(max_length=1000)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
LATEST_ID = 2**63 - 1


class OrderFilters(BaseModel):
    """Filters of the list. A status may be given several times: any of them."""

    model_config = ConfigDict(extra="forbid")

    status: list[OrderStatus] = Field(default_factory=list)
    payment_status: list[PaidStatus] = Field(default_factory=list)
    fulfillment_status: list[FulfillmentStatus] = Field(default_factory=list)
    return_status: list[ReturnStatus] = Field(default_factory=list)
    flag: Literal["needs_attention"] | None = Field(None, description="Money in doubt, or a person must decide.")
    sku: Word | None = None
    customer: Word | None = Field(None, description="The customer's id.")
    gateway: Word | None = Field(None, description="An account of which some payment was tried.")
    placed_from: Moment | None = Field(None, description="Included.")
    placed_to: Until | None = Field(None, description="Not included; a plain date is, to its end in UTC.")
    q: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="A number or the beginning of one, or a part of the customer's name, e-mail or id."
    )
    limit: Limit = 50
    cursor: Cursor | None = None

    def to_search(self) -> Search:
        """What the query looks for."""
        return Search(
            status=tuple(s.value for s in self.status),
            payment_status=tuple(s.value for s in self.payment_status),
            fulfillment_status=tuple(s.value for s in self.fulfillment_status),
            return_status=tuple(s.value for s in self.return_status),
            sku=self.sku,
            customer=self.customer,
            gateway=self.gateway,
            placed_from=self.placed_from,
            placed_to=self.placed_to,
            q=self.q.strip() if self.q else None,
            needs_attention=True if self.flag else None,
        )


@router.get("", summary="List and search orders", response_model=None, responses={200: {"model": OrderPage}})
async def list_orders(request: Request, filters: Annotated[OrderFilters, Query()], caller: Reader) -> Response:
    """Newest first; the pages stay as they are while orders are being placed."""
    after = _keyset(filters.cursor) if filters.cursor is not None else None
    async with resources_of(request).database.reading() as connection:
        orders = await search_orders(
            connection, caller.store, filters.to_search(), after=after, limit=filters.limit + 1
        )
    page = orders[: filters.limit]
    more = len(orders) > filters.limit
    links = links_of(request)
    answer: OrderPage = {
        "items": [order_head(order, links) for order in page],
        "next_cursor": encode([page[-1].created_at.isoformat(), str(page[-1].id)]) if more else None,
    }
    return _json(answer)


@router.get(
    "/{number}",
    summary="One order",
    response_model=None,
    responses={
        200: {
            "model": OrderOut,
            "description": "The order; `ETag` is its version.",
            "headers": {"ETag": {"schema": {"type": "string"}}},
            "content": {"application/json": {"example": ORDER}},
        },
        304: {"description": "Still the version of `If-None-Match`."},
    },
)
async def get_order(
    request: Request,
    number: str,
    caller: Reader,
    as_of: Annotated[Moment | None, Query(description="As it was then.")] = None,
) -> Response:
    """Read from the database only: it answers while every worker is down."""
    async with resources_of(request).database.reading() as connection:
        if as_of is None:
            view = await view_order(connection, caller.store, named(number))
        else:
            view = await order_as_of(connection, caller.store, named(number), as_of)
    if _is_known(request, view.order.version):
        return Response(status_code=304, headers={"ETag": etag(view.order.version)})
    return order_response(view, links_of(request), status=200)


@router.get(
    "/{number}/timeline", summary="Every state change", response_model=None, responses={200: {"model": TimelinePage}}
)
async def get_timeline(
    request: Request,
    number: str,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """Oldest first: what moved from where to where, by which cause, command and person."""
    after = _entry(cursor) if cursor is not None else 0
    async with resources_of(request).database.reading() as connection:
        entries = await read_timeline(connection, caller.store, named(number), after=after, limit=limit + 1)
    page = entries[:limit]
    answer: TimelinePage = {
        "items": [timeline_entry_out(entry) for entry in page],
        "next_cursor": encode([page[-1].id]) if len(entries) > limit else None,
    }
    return _json(answer)


def _keyset(cursor: str) -> Keyset:
    created_at, order_id = decode(cursor, 2)
    try:
        return Keyset(datetime.fromisoformat(str(created_at)).astimezone(UTC), UUID(str(order_id)))
    except (ValueError, OverflowError) as wrong:
        raise invalid_cursor() from wrong


def _entry(cursor: str) -> int:
    [entry] = decode(cursor, 1)
    if not isinstance(entry, int) or not 0 <= entry <= LATEST_ID:
        raise invalid_cursor()
    return entry


def _is_known(request: Request, version: int) -> bool:
    """``If-None-Match`` names the version (weakly: a proxy may have marked it)."""
    given = ",".join(request.headers.getlist("if-none-match"))
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    return "*" in tags or etag(version) in tags


def _json(answer: Any) -> Response:
    return Response(to_json(answer), media_type="application/json")
