"""An order that is paid by schedule waits for each part in turn, and gives everything back if one does not come."""

from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.command import Pay
from domain.checkout import AskedPayment
from domain.schedule import AskedPart
from domain.states import OrderStatus, RequestStatus, TenderStatus
from tests.stack import STORE, Shop, a_checkout

A_LITTLE = timedelta(seconds=1)


def in_parts(*later: tuple[int, timedelta], **changed: Any) -> dict[str, Any]:
    """The terms of a checkout whose first part is what remains of 57 700; the others are due so long from now."""
    now = datetime.now(UTC)
    first = 57_700 - sum(amount for amount, _ in later)
    parts = (AskedPart(first), *(AskedPart(amount, now + wait) for amount, wait in later))
    terms = {"payments": (AskedPayment("card", first, "tok_ok"),), "payment_mode": "accumulate"}
    return {"payment_schedule": parts} | terms | changed


async def shelf(shop: Shop) -> list[tuple[Any, ...]]:
    """Pieces of what the checkout takes, and the customer's points."""
    stock = await shop.sql("SELECT sku, on_hand, held, committed FROM stock WHERE store_id = :s ORDER BY sku", s=STORE)
    points = await shop.sql("SELECT amount, held, spent FROM value_lot WHERE kind = 'points' AND owner = 'c-1'")
    return [*stock, *points]


async def expired_at(shop: Shop, number: str) -> datetime:
    """When the order's status became expired."""
    look = """
        SELECT t.at FROM timeline t JOIN orders o ON o.id = t.order_id
         WHERE o.number = :number AND t.entity = 'order' AND t.field = 'status' AND t.new = 'expired'
    """
    [(at,)] = await shop.sql(look, number=number)
    assert isinstance(at, datetime)
    return at


async def test_the_order_waits_for_the_next_part_each_time_one_is_paid(shop: Shop) -> None:
    terms = in_parts((20_000, timedelta(days=30)), (27_700, timedelta(days=60) - A_LITTLE))
    number = (await shop.checkout(a_checkout(**terms))).number
    second, third = (part.due_at for part in terms["payment_schedule"][1:])
    order = await shop.order(number)
    assert (order.status, order.expires_at, order.captured) == (OrderStatus.PENDING_PAYMENT, second, 10_000)
    [request] = order.requests
    assert (request.status, request.due_at, request.paid) == (RequestStatus.PARTIALLY_PAID, second, 10_000)
    await shop.applied(number, Pay((AskedPayment("card", 20_000, "tok_ok"),)))
    order = await shop.order(number)
    assert (order.expires_at, order.requests[0].due_at) == (third, third)
    assert [part.due_at for part in order.requests[0].schedule[1:]] == [second, third], "what was agreed stands"
    await shop.applied(number, Pay((AskedPayment("card", 27_700, "tok_ok"),)))
    order = await shop.becomes(number, "it is placed", lambda o: o.status is OrderStatus.PLACED)
    assert (order.captured, order.expires_at) == (57_700, None)


async def test_a_part_that_is_missing_when_it_is_due_gives_all_of_it_back(shop: Shop) -> None:
    before = await shelf(shop)
    legs = (AskedPayment("points", 4000), AskedPayment("card", 2000, "tok_ok"), AskedPayment("card", 4000, "tok_ok"))
    terms = in_parts((20_000, timedelta(days=1)), (27_700, timedelta(days=2)), payments=legs)
    number = (await shop.checkout(a_checkout(**terms))).number
    third = terms["payment_schedule"][-1].due_at
    await shop.applied(number, Pay((AskedPayment("card", 20_000, "tok_ok"),)))
    order = await shop.order(number)
    assert (order.captured, order.expires_at) == (26_000, third), "the first two parts are there in time"
    assert await shelf(shop) != before
    due = await shop.runs_out(number)
    await shop.becomes(number, "its last part is missing", lambda o: o.status is OrderStatus.EXPIRED)
    assert await expired_at(shop, number) >= due
    order = await shop.becomes(number, "all is given back", lambda o: not o.in_flight)
    assert (order.refunded, sum(p.exposed for p in order.payments)) == (26_000, 0)
    assert order.payments[0].status is TenderStatus.VOIDED, "points were only held"
    assert await shelf(shop) == before
    await shop.closes(number)


async def test_a_checkout_whose_second_part_is_due_before_it_is_opened_is_refused_and_leaves_nothing(
    shop: Shop,
) -> None:
    before = await shelf(shop)
    placed = await shop.checkout(a_checkout(**in_parts((20_000, -A_LITTLE))))
    assert placed.answer is not None
    assert placed.answer.refused is not None
    assert [(f.pointer, f.code) for f in placed.answer.refused.flaws] == [("/payment_schedule/1/due_at", "in_the_past")]
    assert await shelf(shop) == before
