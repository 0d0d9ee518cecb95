"""An order that is not paid in time gives everything back: stock, points, and what a card may still be charged."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.checkout import AskedPayment
from domain.states import OrderStatus, TenderStatus
from tests.stack import STORE, Shop, a_checkout

WINDOW_SECONDS = 2


@pytest.fixture
async def hasty(shop: Shop) -> AsyncIterator[Shop]:
    """The store gives its customers two seconds to pay."""
    change = "UPDATE store SET payment_window_seconds = :seconds WHERE id = :store"
    await shop.sql(change, seconds=WINDOW_SECONDS, store=STORE)
    yield shop
    await shop.sql(change, seconds=1800, store=STORE)


async def shelf(shop: Shop) -> list[tuple[Any, ...]]:
    """Pieces of what the checkout takes, and the customer's points."""
    stock = await shop.sql("SELECT sku, on_hand, held, committed FROM stock WHERE store_id = :s ORDER BY sku", s=STORE)
    points = await shop.sql("SELECT amount, held, spent FROM value_lot WHERE kind = 'points' AND owner = 'c-1'")
    return [*stock, *points]


@pytest.mark.parametrize("card", [None, "tok_3ds", "tok_lost"], ids=["nothing more", "3-D Secure", "declined"])
async def test_stock_and_points_come_back_when_the_window_closes(hasty: Shop, card: str | None) -> None:
    before = await shelf(hasty)
    legs = (AskedPayment("points", 7700), *((AskedPayment("card", 50000, card),) if card else ()))
    placed = await hasty.checkout(a_checkout(payments=legs, payment_mode="accumulate"))
    assert placed.answer is not None
    assert placed.answer.status == "pending_payment"
    assert await shelf(hasty) != before
    await hasty.becomes(placed.number, "the window closes", lambda o: o.status is OrderStatus.EXPIRED)
    order = await hasty.becomes(placed.number, "all is given back", lambda o: not o.in_flight)
    assert await shelf(hasty) == before
    assert order.payments[0].status is TenderStatus.VOIDED
    assert sum(p.exposed for p in order.payments) == 0
    await hasty.closes(placed.number)
