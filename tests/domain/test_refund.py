"""Giving money back: ceilings, policies, legs that fail, and money that was still on its way."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.capture import capture
from domain.checkout import AskedPayment
from domain.errors import AmountExceeded, IllegalTransition, Invalid, NothingToDo
from domain.fulfillment import Pieces
from domain.gateway import OperationKind
from domain.refund import AskedLeg, AskedRefund, BankAccountRequired, RefundWindowOver, grant, settle_refunds
from domain.states import BalanceState, LegStatus, OrderStatus, PaidStatus, RefundStatus
from tests.domain.desk import OK, UNKNOWN, Desk, a_checkout, declined

THREE = (AskedPayment("points", 10000), AskedPayment("card", 20000, "tok-1"), AskedPayment("card", 32700, "tok-2"))
REFUND = OperationKind.REFUND


def placed(*legs: AskedPayment, capture: str = "automatic") -> Desk:
    desk = Desk(a_checkout(*legs, capture=capture))
    desk.succeed()
    return desk


def refunds(desk: Desk, asked: AskedRefund) -> None:
    command = desk.new_id()
    desk.decide(lambda m: grant(desk.order, asked, m, command_id=command))


def legs(desk: Desk) -> list[tuple[str, int]]:
    methods = {p.id: f"{p.method}-{p.position}" for p in desk.order.payments}
    return [(methods[g.payment_id], g.amount) for g in desk.order.legs]


@pytest.mark.parametrize(
    ("policy", "amount", "expected"),
    [
        ("reverse", 40000, [("card-2", 32700), ("card-1", 7300)]),
        ("card_first", 60000, [("card-2", 32700), ("card-1", 20000), ("points-0", 7300)]),
        ("store_value_first", 12000, [("points-0", 10000), ("card-2", 2000)]),
        ("section_bound", 1000, [("card-2", 1000)]),
        ("proportional", 62699, [("points-0", 10000), ("card-1", 20000), ("card-2", 32699)]),
    ],
)
def test_a_refund_is_spread_by_its_policy(policy: str, amount: int, expected: list[tuple[str, int]]) -> None:
    desk = placed(*THREE)
    refunds(desk, AskedRefund(amount=amount, policy=policy))  # type: ignore[arg-type]
    assert legs(desk) == expected
    desk.succeed()
    assert (desk.order.refunded, desk.order.refunds[0].status) == (amount, RefundStatus.SUCCEEDED)


@given(amounts=st.lists(st.integers(1, 30000), max_size=8), policy=st.sampled_from(["reverse", "proportional"]))
def test_no_sequence_of_refunds_gives_back_more_than_was_taken(amounts: list[int], policy: str) -> None:
    desk = placed(*THREE)
    given_back = 0
    for amount in amounts:
        asked = AskedRefund(amount=amount, policy=policy)  # type: ignore[arg-type]
        if given_back + amount > 62700:
            with pytest.raises(AmountExceeded):
                refunds(desk, asked)
        else:
            refunds(desk, asked)
            given_back += amount
    desk.succeed()
    assert desk.order.refunded == given_back
    assert desk.order.balance is BalanceState.SETTLED


def test_an_item_is_refunded_once_at_what_was_paid_for_it() -> None:
    desk = Desk(a_checkout(discount=5000))
    desk.succeed()
    tee = desk.item("TEE").id
    refunds(desk, AskedRefund((Pieces(tee, 1),)))
    assert desk.order.refunds[0].amount == 36162 // 2
    refunds(desk, AskedRefund((Pieces(tee, 1),)))
    rest = [i for i in desk.order.items if i.sku == "TEE"]
    assert sum(i.credited for i in rest) == 36162
    with pytest.raises(AmountExceeded) as refused:
        refunds(desk, AskedRefund((Pieces(rest[1].id, 1),)))
    assert refused.value.figures["refunded"] == 18081


def test_shipping_is_refunded_once() -> None:
    desk = placed()
    refunds(desk, AskedRefund(shipping=True))
    assert desk.order.refunds[0].amount == 8000
    with pytest.raises(NothingToDo):
        refunds(desk, AskedRefund(shipping=True))
    assert (desk.order.payment_status, desk.order.refunded) == (PaidStatus.OVERPAID, 0)
    desk.succeed()
    assert (desk.order.payment_status, desk.order.refunded) == (PaidStatus.PARTIALLY_REFUNDED, 8000)


def test_a_double_click_cannot_refund_twice() -> None:
    desk = placed()
    refunds(desk, AskedRefund(amount=40000))
    assert desk.payment(0).refund_pending == 40000
    with pytest.raises(AmountExceeded) as refused:
        refunds(desk, AskedRefund(amount=40000))
    assert refused.value.figures == {"requested": 40000, "refundable": 22700}


def test_an_amount_beside_items_is_within_what_is_left_of_the_order() -> None:
    desk = placed()
    mug = Pieces(desk.item("MUG").id, 1)
    with pytest.raises(AmountExceeded):
        refunds(desk, AskedRefund((mug,), amount=62700 - 14900 + 1))
    refunds(desk, AskedRefund((mug,), amount=62700 - 14900))
    desk.succeed()
    assert desk.order.payment_status == PaidStatus.REFUNDED


def test_goods_given_back_after_goodwill_are_worth_what_is_left() -> None:
    desk = placed()
    refunds(desk, AskedRefund(amount=10000))
    refunds(desk, AskedRefund((Pieces(desk.item("TEE").id, 2), Pieces(desk.item("MUG").id, 1)), shipping=True))
    desk.succeed()
    assert (desk.order.refunded, desk.order.credited, desk.order.goodwill) == (62700, 62700, 0)


def test_when_all_was_given_back_goods_add_nothing() -> None:
    desk = placed()
    refunds(desk, AskedRefund(amount=62700))
    with pytest.raises(NothingToDo):
        refunds(desk, AskedRefund((Pieces(desk.item("MUG").id, 1),)))


def nobody(desk: Desk) -> Desk:
    """The same order of a customer whom nobody knows."""
    desk.order = replace(desk.order, customer_id="")
    return desk


def test_a_leg_that_fails_is_planned_again_elsewhere_then_it_becomes_store_credit_then_a_person_decides() -> None:
    desk = placed(*THREE)
    refunds(desk, AskedRefund(amount=10000))
    desk.answer(desk.due(REFUND)[0], declined())
    assert legs(desk) == [("card-2", 10000), ("card-1", 10000)]
    desk.answer(desk.due(REFUND)[0], declined())
    assert legs(desk)[-1] == ("points-0", 10000)
    assert [g.status for g in desk.order.legs] == [LegStatus.FAILED, LegStatus.FAILED, LegStatus.SUCCEEDED]
    assert desk.order.refunds[0].status == RefundStatus.SUCCEEDED
    known = placed()
    refunds(known, AskedRefund(amount=10000))
    known.answer(known.due(REFUND)[0], declined())
    assert [(g.destination, g.status) for g in known.order.legs] == [
        ("payment", LegStatus.FAILED),
        ("store_credit", LegStatus.SUCCEEDED),
    ]
    assert (known.store_credit, known.order.refunds[0].status) == (10000, RefundStatus.SUCCEEDED)
    assert (known.order.refunded, known.order.requires_review) == (10000, False)
    assert known.order.balance is BalanceState.SETTLED
    alone = nobody(placed())
    refunds(alone, AskedRefund(amount=10000))
    alone.answer(alone.due(REFUND)[0], declined())
    assert alone.store_credit == 0
    assert alone.order.refunds[0].status is RefundStatus.PARTIALLY_EXECUTED
    assert (alone.order.requires_review, alone.order.balance) == (True, BalanceState.CREDIT)


def test_what_other_payments_cannot_take_in_full_becomes_store_credit_for_the_rest() -> None:
    desk = placed(*THREE)
    refunds(desk, AskedRefund(amount=50000))
    for _ in range(2):
        desk.answer(desk.due(REFUND)[0], declined())
    assert (desk.store_credit, desk.order.refunded) == (40000, 50000)
    assert [(m, a) for m, a in legs(desk) if m == "points-0"] == [("points-0", 10000)]
    credited = {
        desk.order.payment(g.payment_id).position: g.amount for g in desk.order.legs if g.destination != "payment"
    }
    assert credited == {2: 32700, 1: 7300}
    assert desk.order.refunds[0].status is RefundStatus.SUCCEEDED
    with pytest.raises(AmountExceeded):
        refunds(desk, AskedRefund(amount=12701))


@given(
    amounts=st.lists(st.integers(1, 30000), min_size=1, max_size=6),
    takes=st.lists(st.booleans(), min_size=1, max_size=6),
    policy=st.sampled_from(["reverse", "proportional", "card_first", "store_value_first"]),
)
def test_whatever_pgs_refuse_the_customer_gets_each_unit_once_and_own_value_never_as_credit(
    amounts: list[int], takes: list[bool], policy: str
) -> None:
    desk = placed(*THREE)
    granted = turn = 0
    for amount in amounts:
        if granted + amount <= 62700:
            refunds(desk, AskedRefund(amount=amount, policy=policy))  # type: ignore[arg-type]
            granted += amount
        while due := desk.due(REFUND):
            desk.answer(due[0], OK if takes[turn % len(takes)] else declined())
            turn += 1
    assert desk.order.refunded == granted
    assert not desk.order.requires_review
    credited = [g for g in desk.order.legs if g.destination == "store_credit"]
    assert sum(g.amount for g in credited) == desk.store_credit <= 52700
    assert not any(desk.order.payment(g.payment_id).internal for g in credited)


def test_own_value_that_could_not_go_back_goes_nowhere_else() -> None:
    desk = placed(*THREE)
    refunds(desk, AskedRefund(amount=10000, policy="store_value_first"))
    [leg] = desk.order.legs
    stuck = replace(leg, status=LegStatus.FAILED)
    refund = replace(desk.order.refunds[0], status=RefundStatus.EXECUTING)
    payment = replace(desk.payment(0), refunded=0)
    before = desk.order.put(stuck, refund, payment)
    after = settle_refunds(before, desk.moment)
    assert after.legs == before.legs
    assert after.refunds[0].status is RefundStatus.PARTIALLY_EXECUTED


def test_a_person_gives_back_what_could_not_be_without_giving_it_twice() -> None:
    desk = nobody(placed())
    refunds(desk, AskedRefund(amount=10000))
    desk.answer(desk.due(REFUND)[0], declined())
    refunds(desk, AskedRefund(amount=10000, policy="manual", legs=(AskedLeg(desk.payment(0).id, 10000),)))
    assert desk.order.goodwill == 10000
    desk.succeed()
    assert (desk.order.refunded, desk.order.balance) == (10000, BalanceState.SETTLED)
    assert not desk.order.requires_review


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_refund_waits_for_money_that_is_still_being_captured(succeeds: bool) -> None:
    desk = Desk(a_checkout(*THREE[1:], AskedPayment("points", 10000)))
    desk.succeed(OperationKind.AUTHORIZE)
    [capturing] = desk.due(OperationKind.CAPTURE)
    desk.answer(capturing, UNKNOWN)
    refunds(desk, AskedRefund((Pieces(desk.item("TEE").id, 2), Pieces(desk.item("MUG").id, 1)), shipping=True))
    assert [r.status for r in desk.order.refunds] == [RefundStatus.EXECUTING]
    desk.succeed(REFUND)
    desk.answer(desk.due(OperationKind.CAPTURE)[0], UNKNOWN if succeeds else declined())
    desk.succeed()
    assert (desk.order.captured - desk.order.refunded, desk.order.balance) == (0, BalanceState.SETTLED)
    assert sum(p.capturable for p in desk.order.payments) == 0
    assert [r.status for r in desk.order.refunds] == [RefundStatus.SUCCEEDED]


def test_a_refund_of_a_partly_captured_order_lowers_what_is_still_to_be_captured() -> None:
    desk = placed(capture="manual")
    desk.decide(lambda m: capture(desk.order, 20000, m))
    desk.succeed()
    refunds(desk, AskedRefund((Pieces(desk.item("TEE").id, 2),)))
    assert desk.order.refunds[0].returnable == 0
    desk.decide(lambda m: capture(desk.order, None, m))
    desk.succeed()
    assert (desk.order.captured, desk.order.balance) == (62700 - 39800, BalanceState.SETTLED)


@pytest.mark.parametrize(
    ("amount", "wanted"),
    [(1000, [500]), (1000, [500, 500, 0]), (1000, [1500, -500]), (40000, [40000])],
    ids=["too little", "nothing", "less than nothing", "too much"],
)
def test_legs_by_hand_must_fit(amount: int, wanted: list[int]) -> None:
    desk = placed(*THREE)
    chosen = tuple(AskedLeg(desk.payment(2 - n).id, part) for n, part in enumerate(wanted))
    with pytest.raises((Invalid, AmountExceeded)):
        refunds(desk, AskedRefund(amount=amount, policy="manual", legs=chosen))


def test_a_payment_is_named_once() -> None:
    desk = placed(*THREE)
    twice = (AskedLeg(desk.payment(2).id, 500),) * 2
    with pytest.raises(Invalid):
        refunds(desk, AskedRefund(amount=1000, policy="manual", legs=twice))


@pytest.mark.parametrize("amount", [0, -5])
def test_an_amount_is_at_least_one(amount: int) -> None:
    with pytest.raises(Invalid):
        refunds(placed(), AskedRefund(amount=amount))


def test_an_unpaid_order_is_canceled_not_refunded() -> None:
    with pytest.raises(IllegalTransition):
        refunds(Desk(a_checkout()), AskedRefund(amount=1))


def test_a_refund_reopens_a_completed_order_until_it_is_done() -> None:
    desk = placed()
    for n in (1, 2):
        desk.ships(n)
        desk.delivers(n)
    assert (desk.order.status, desk.order.payment_status) == (OrderStatus.COMPLETED, PaidStatus.PAID)
    refunds(desk, AskedRefund((Pieces(desk.item("MUG").id, 1),)))
    assert (desk.order.status, desk.order.payment_status) == (OrderStatus.PLACED, PaidStatus.OVERPAID)
    desk.succeed()
    assert (desk.order.status, desk.order.payment_status) == (OrderStatus.COMPLETED, PaidStatus.PARTIALLY_REFUNDED)


def paid_days_ago(days: int, *, customer: str = "c-1") -> Desk:
    desk = Desk(a_checkout(), refund_days=30)
    desk.succeed()
    desk.order = replace(desk.order, customer_id=customer)
    desk.now += timedelta(days=days)
    return desk


def test_a_payment_too_old_for_its_pg_becomes_store_credit() -> None:
    desk = paid_days_ago(29)
    refunds(desk, AskedRefund(amount=5000))
    assert [g.destination for g in desk.order.legs] == ["payment"]
    desk = paid_days_ago(30)
    refunds(desk, AskedRefund(amount=5000))
    assert [(g.destination, g.status) for g in desk.order.legs] == [("store_credit", LegStatus.SUCCEEDED)]
    assert (desk.store_credit, desk.order.refunds[0].status) == (5000, RefundStatus.SUCCEEDED)


def test_a_payment_too_old_is_not_named_by_hand_and_nobody_unknown_gets_credit() -> None:
    desk = paid_days_ago(31, customer="")
    by_hand = AskedRefund(amount=5000, policy="manual", legs=(AskedLeg(desk.payment(0).id, 5000),))
    with pytest.raises(RefundWindowOver):
        refunds(desk, by_hand)
    with pytest.raises(AmountExceeded) as refused:
        refunds(desk, AskedRefund(amount=5000))
    assert refused.value.figures["too_late"] == [str(desk.payment(0).id)]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_many_refunds_in_proportion_are_as_one(amounts: list[int]) -> None:
    desk = placed(AskedPayment("points", 6270), AskedPayment("card", 56430, "tok-1"))
    for amount in amounts:
        refunds(desk, AskedRefund(amount=amount, policy="proportional"))
        desk.succeed()
    assert abs(desk.payment(0).refunded - sum(amounts) / 10) < 1
    assert desk.order.refunded == sum(amounts)


def test_cards_come_before_a_deposit_whose_account_nobody_has_named() -> None:
    desk = Desk(a_checkout(AskedPayment("card", 30000, "tok-1"), AskedPayment("virtual_account", 32700)))
    desk.succeed()
    refunds(desk, AskedRefund(amount=10000, policy="card_first"))
    assert legs(desk) == [("card-0", 10000)]
    with pytest.raises(BankAccountRequired):
        refunds(desk, AskedRefund(amount=40000, policy="card_first"))


def test_a_refund_that_is_bound_to_its_section_is_taken_from_what_paid_for_it() -> None:
    desk = placed(AskedPayment("card", 30000, "tok-1"), AskedPayment("card", 32700, "tok-2"))
    paid = {a.payment_id: a.amount for a in desk.order.allocations if a.section_id == desk.section(2).id}
    last = paid[desk.payment(1).id]
    refunds(desk, AskedRefund((Pieces(desk.item("MUG").id, 1),), policy="section_bound"))
    assert 0 < last < 14900
    assert legs(desk) == [("card-1", last), ("card-0", 14900 - last)]
