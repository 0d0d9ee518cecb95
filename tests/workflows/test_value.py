"""Our own value in orders: gift cards beside cards, refunds to where it came from, store credit in place of money."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
from sqlalchemy import event

from cli.seed import GIFT_CARDS, seed
from commands.value import Adjustment, GiftCardTerms, Giver, adjust_value, issue_gift_card
from contracts.command import Cancel, Pay, RefundMoney
from domain.checkout import AskedPayment, Customer
from domain.gateway import Call, OperationKind, Outcome
from domain.order import Order
from domain.states import BalanceState, LegStatus, OrderStatus, RefundStatus, TenderStatus
from domain.value import code_hash, new_code
from tests.stack import STORE, Ground, Shop, a_checkout

TOTAL = 57700
GIVER = Giver(STORE, "test")
SUMS = "SELECT kind, amount, held, spent, promotional FROM value_lot WHERE owner = :owner ORDER BY kind, expires_at, id"


async def a_card(shop: Shop, amount: int, *, promotional: bool = False) -> str:
    """A gift card, by what an order knows of its code."""
    terms = GiftCardTerms(amount, "KRW", promotional=promotional)
    card = await issue_gift_card(shop.resources.database, GIVER, terms, card_id=uuid4())
    assert card.code is not None
    return code_hash(card.code)


async def sums(shop: Shop, owner: str) -> list[tuple[object, ...]]:
    """Every lot of an owner: kind, amount, held, spent, promotional."""
    return await shop.sql(SUMS, owner=owner)


async def place(shop: Shop, *legs: AskedPayment, customer: str = "c-2") -> Order:
    """A checkout with these legs, as far as it comes."""
    placed = await shop.checkout(a_checkout(payments=legs, customer=Customer(customer)))
    assert placed.answer is not None
    return await shop.order(placed.number)


async def refund_behind_our_back(shop: Shop, order: Order, amount: int) -> None:
    """Somebody refunds at the PG itself: what OPMS then asks for is more than the PG has left."""
    [card] = [p for p in order.payments if p.method == "card"]
    attempt = next(a for a in order.attempts if a.payment_id == card.id and a.outcome is Outcome.SUCCEEDED)
    call = Call(
        operation_id=uuid4(),
        kind=OperationKind.REFUND,
        account=attempt.account,
        merchant_ref=attempt.merchant_ref,
        key=uuid4().hex,
        amount=amount,
        currency="KRW",
        method="card",
        reference=attempt.reference,
    )
    assert (await shop.gateways[attempt.account].refund(call)).outcome is Outcome.SUCCEEDED


async def test_a_gift_card_and_store_credit_pay_an_order_alone(shop: Shop) -> None:
    token, customer = await a_card(shop, 50_000), uuid4().hex
    gift = Adjustment("store_credit", 10_000, "thanks")
    await adjust_value(shop.resources.database, GIVER, customer, gift, adjustment_id=uuid4())
    legs = (AskedPayment("gift_card", 50_000, token), AskedPayment("store_credit", 7_700))
    order = await place(shop, *legs, customer=customer)
    assert order.status is OrderStatus.PLACED
    assert [(p.method, p.status) for p in order.payments] == [
        ("gift_card", TenderStatus.CAPTURED),
        ("store_credit", TenderStatus.CAPTURED),
    ]
    assert await sums(shop, token) == [("gift_card", 50_000, 0, 50_000, False)]
    assert await sums(shop, customer) == [("store_credit", 10_000, 0, 7_700, False)]


async def test_an_order_with_points_costs_two_statements_of_the_ledger(shop: Shop) -> None:
    sent: list[str] = []

    def note(*args: Any) -> None:
        sent.append(args[2])

    engine = shop.resources.database._writing.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    await shop.placed()
    event.remove(engine, "before_cursor_execute", note)
    assert len([statement for statement in sent if "value_lot" in statement]) == 2


async def test_seeding_again_gives_nothing_twice(ground: Ground) -> None:
    code = new_code(secrets.choice)
    look = (
        "SELECT kind, count(*), sum(amount)::bigint FROM value_lot WHERE store_id = 'demo' GROUP BY kind ORDER BY kind"
    )
    seen = []
    connection = await asyncpg.connect(ground.url)
    for _ in range(2):
        await seed(ground.url, api_key="shop", admin_key="admin", gift_cards=[code])
        seen.append([tuple(row) for row in await connection.fetch(look)])
    owned = await connection.fetch("SELECT amount FROM value_lot WHERE owner = $1", code_hash(code))
    await connection.close()
    assert seen[0] == seen[1]
    assert [row["amount"] for row in owned] == [GIFT_CARDS[0][0]]


async def test_a_card_that_is_declined_leaves_the_gift_card_untouched_and_it_can_pay_again(shop: Shop) -> None:
    token = await a_card(shop, 20_000)
    before = await sums(shop, token)
    legs = (AskedPayment("card", TOTAL - 20_000, "tok_lost"), AskedPayment("gift_card", 20_000, token))
    order = await place(shop, *legs)
    assert order.status is OrderStatus.PENDING_PAYMENT
    assert {p.method: p.status for p in order.payments} == {
        "gift_card": TenderStatus.VOIDED,
        "card": TenderStatus.DECLINED,
    }
    assert await sums(shop, token) == before
    again = Pay((AskedPayment("gift_card", 20_000, token), AskedPayment("card", TOTAL - 20_000, "tok_ok")))
    assert (await shop.applied(order.number, again)).status is OrderStatus.PLACED
    assert await sums(shop, token) == [("gift_card", 20_000, 0, 20_000, False)]


async def test_a_code_that_opens_nothing_is_declined_before_any_card_is_charged(shop: Shop) -> None:
    legs = (AskedPayment("gift_card", 20_000, "0" * 64), AskedPayment("card", TOTAL - 20_000, "tok_ok"))
    order = await place(shop, *legs)
    gift_card, card = order.payments
    assert (gift_card.status, gift_card.decline_code) == (TenderStatus.DECLINED, "gift_card_invalid")
    assert card.status is TenderStatus.CANCELED
    assert not [a for a in order.attempts if a.payment_id == card.id]


async def test_a_gift_card_with_too_little_on_it_is_declined_and_the_points_beside_it_come_back(shop: Shop) -> None:
    token, customer = await a_card(shop, 100), uuid4().hex
    await adjust_value(
        shop.resources.database, GIVER, customer, Adjustment("points", 60_000, "begin"), adjustment_id=uuid4()
    )
    legs = (AskedPayment("points", TOTAL - 101), AskedPayment("gift_card", 101, token))
    order = await place(shop, *legs, customer=customer)
    assert [(p.status, p.decline_code) for p in order.payments] == [
        (TenderStatus.VOIDED, None),
        (TenderStatus.DECLINED, "insufficient_value"),
    ]
    assert await sums(shop, token) == [("gift_card", 100, 0, 0, False)]
    assert await sums(shop, customer) == [("points", 60_000, 0, 0, False)]


async def test_a_partial_refund_goes_back_to_the_lots_and_a_cancellation_restores_them(shop: Shop) -> None:
    customer, soon = uuid4().hex, datetime.now(UTC) + timedelta(days=3)
    for gift in (
        Adjustment("store_credit", 40_000, "refunded"),
        Adjustment("store_credit", 20_000, "promotion", soon, promotional=True),
    ):
        await adjust_value(shop.resources.database, GIVER, customer, gift, adjustment_id=uuid4())
    before = await sums(shop, customer)
    order = await place(shop, AskedPayment("store_credit", TOTAL), customer=customer)
    promotional, bought = ("store_credit", 20_000, 0, 20_000, True), ("store_credit", 40_000, 0, 37_700, False)
    assert await sums(shop, customer) == [promotional, bought]
    await shop.applied(order.number, RefundMoney("late", amount=7_700))
    assert await sums(shop, customer) == [promotional, ("store_credit", 40_000, 0, 30_000, False)]
    order = await shop.applied(order.number, Cancel("changed mind"))
    assert (order.status, order.balance) == (OrderStatus.CANCELED, BalanceState.SETTLED)
    assert await sums(shop, customer) == before


async def test_a_refund_that_the_pg_refuses_goes_to_own_value_and_then_becomes_store_credit(shop: Shop) -> None:
    customer = uuid4().hex
    points = Adjustment("points", 7_700, "begin")
    await adjust_value(shop.resources.database, GIVER, customer, points, adjustment_id=uuid4())
    legs = (AskedPayment("points", 7_700), AskedPayment("card", 50_000, "tok_ok"))
    order = await place(shop, *legs, customer=customer)
    await refund_behind_our_back(shop, order, 40_000)
    order = await shop.applied(order.number, RefundMoney("broken", amount=30_000))
    [refund] = order.refunds
    assert refund.status is RefundStatus.SUCCEEDED
    methods = {p.id: p.method for p in order.payments}
    legs_ = [(methods[g.payment_id], g.destination, g.amount, g.status) for g in order.legs]
    assert sorted(legs_, key=lambda leg: leg[2]) == [
        ("points", "payment", 7_700, LegStatus.SUCCEEDED),
        ("card", "store_credit", 22_300, LegStatus.SUCCEEDED),
        ("card", "payment", 30_000, LegStatus.FAILED),
    ]
    assert (order.refunded, order.balance) == (30_000, BalanceState.SETTLED)
    assert order.requires_review, "what was given behind our back may have been given twice"
    assert await sums(shop, customer) == [
        ("points", 7_700, 0, 0, False),
        ("store_credit", 22_300, 0, 0, False),
    ]
    given = [o for o in order.operations if order.own(o) and o.kind is OperationKind.REFUND]
    assert any(o.detail and "store credit" in o.detail for o in given)
