"""An order that is not paid in time gives everything back: stock, points, and what a card may still be charged."""

from typing import Any

import pytest

from contracts.command import Deliver, Reorder, Ship
from domain.checkout import AskedPayment
from domain.order import Order
from domain.reorder import Wanted
from domain.states import ChangeStatus, OrderStatus, RequestStatus, SectionStatus, TenderStatus
from tests.stack import STORE, Shop, a_checkout


async def shelf(shop: Shop) -> list[tuple[Any, ...]]:
    """Pieces of what the checkout takes, and the customer's points."""
    stock = await shop.sql("SELECT sku, on_hand, held, committed FROM stock WHERE store_id = :s ORDER BY sku", s=STORE)
    points = await shop.sql("SELECT amount, held, spent FROM value_lot WHERE kind = 'points' AND owner = 'c-1'")
    return [*stock, *points]


@pytest.mark.parametrize("card", [None, "tok_3ds", "tok_lost"], ids=["nothing more", "3-D Secure", "declined"])
async def test_stock_and_points_come_back_when_the_window_closes(shop: Shop, card: str | None) -> None:
    before = await shelf(shop)
    legs = (AskedPayment("points", 7700), *((AskedPayment("card", 50000, card),) if card else ()))
    placed = await shop.checkout(a_checkout(payments=legs, payment_mode="accumulate"))
    assert placed.answer is not None
    assert placed.answer.status == "pending_payment"
    assert await shelf(shop) != before
    await shop.runs_out(placed.number)
    await shop.becomes(placed.number, "the window closes", lambda o: o.status is OrderStatus.EXPIRED)
    order = await shop.becomes(placed.number, "all is given back", lambda o: not o.in_flight)
    assert await shelf(shop) == before
    assert order.payments[0].status is TenderStatus.VOIDED
    assert sum(p.exposed for p in order.payments) == 0
    await shop.closes(placed.number)


async def an_unpaid_exchange(shop: Shop) -> Order:
    """A delivered order that waits for the difference of a dearer piece."""
    number = await shop.placed()
    for section in (1, 2):
        await shop.applied(number, Ship(section, carrier="CJ", tracking_number="1"))
        await shop.applied(number, Deliver(section))
    mug = next(i for i in (await shop.order(number)).items if i.sku == "MUG-01")
    swap = Reorder("exchange", (Wanted(mug.id, 1, "TEE-BLK-M"),), difference="collect", policy="ship_first")
    return await shop.applied(number, swap)


async def test_an_exchange_whose_difference_is_not_paid_in_time_is_given_up_by_itself(shop: Shop) -> None:
    before = await shelf(shop)
    order = await an_unpaid_exchange(shop)
    number, request = order.number, order.requests[-1]
    assert request.due_at is not None
    due = "UPDATE payment_request SET due_at = now() + interval '1 second' WHERE id = :id"
    await shop.sql(due, id=request.id)
    await shop.workflow(number).signal("look_again")
    order = await shop.becomes(number, "its time is over", lambda o: o.requests[-1].status is RequestStatus.EXPIRED)
    assert (order.changes[0].status, order.sections[-1].status) == (ChangeStatus.EXPIRED, SectionStatus.EXPIRED)
    assert (order.status, order.total - order.credited) == (OrderStatus.COMPLETED, 57700)
    await shop.closes(number)
    assert [row[2] for row in (await shelf(shop))[:2]] == [row[2] for row in before[:2]], "no piece is held for it"
