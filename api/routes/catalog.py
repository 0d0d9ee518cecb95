"""SKUs: ``PUT /v1/skus``, ``GET /v1/skus``."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from api.auth import Caller, require
from api.cursor import decode, encode, invalid_cursor
from api.resources import resources_of
from api.schemas.catalog import MoneyIn, SkuPage, SkusIn, SkusPut, sku_out
from commands.catalog import put_skus
from domain.errors import Flaw, Invalid
from queries.catalog import list_skus, load_shelf

router = APIRouter(tags=["catalogue"])


@router.put("/skus", summary="Create or replace SKUs")
async def replace_skus(
    request: Request, body: SkusIn, caller: Annotated[Caller, Depends(require("catalog:write"))]
) -> SkusPut:
    """All or none, in one transaction. A count below what orders hold is refused (409), naming the SKUs."""
    database = resources_of(request).database
    priced = {place: sku.price for place, sku in enumerate(body.skus) if isinstance(sku.price, MoneyIn)}
    if priced:
        async with database.reading() as connection:
            currency = (await load_shelf(connection, caller.store, ())).currency
        flaws = [
            Flaw(f"/skus/{place}/price/currency", "wrong_currency", f"this store sells in {currency}")
            for place, price in priced.items()
            if price.currency != currency
        ]
        if flaws:
            raise Invalid("a price is not in the store's currency", flaws=flaws)
    stocked = await put_skus(database, caller.store, [sku.to_terms() for sku in body.skus])
    return SkusPut(created=stocked.created, updated=stocked.updated)


@router.get("/skus", summary="List SKUs")
async def get_skus(
    request: Request,
    caller: Annotated[Caller, Depends(require("catalog:write", "orders:read", "checkout"))],
    q: Annotated[str, Query(max_length=100, description="Part of a code or a name.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> SkuPage:
    """SKUs by code."""
    [after] = decode(cursor, 1) if cursor is not None else [""]
    if not isinstance(after, str):
        raise invalid_cursor()
    async with resources_of(request).database.reading() as connection:
        currency = (await load_shelf(connection, caller.store, ())).currency
        views = await list_skus(connection, caller.store, q=q, after=after, limit=limit + 1)
    page = views[:limit]
    following = encode([page[-1].sku]) if len(views) > limit else None
    return SkuPage(items=[sku_out(view, currency) for view in page], next_cursor=following)
