"""Taking money: one PG at a time, own value first, all or nothing where that was asked for."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.cancellation import cancel
from domain.capture import capture
from domain.checkout import AskedPayment
from domain.errors import AmountExceeded, IllegalTransition, Invalid, NothingToDo, TotalMismatch
from domain.gateway import OperationKind, Retry
from domain.paying import pay
from domain.payment import LIVE_REQUESTS
from domain.states import OrderStatus, RequestStatus, SectionStatus, TenderStatus
from domain.taking import TRIES_AT_ONE_ACCOUNT, open_attempt, over
from tests.domain.desk import NOT_EXECUTED, OK, PENDING, UNKNOWN, Desk, a_checkout, declined

AUTHORIZE, CAPTURE, VOID, REFUND = (
    OperationKind.AUTHORIZE,
    OperationKind.CAPTURE,
    OperationKind.VOID,
    OperationKind.REFUND,
)
TWO_CARDS = (AskedPayment("card", 30000, "tok-1"), AskedPayment("card", 32700, "tok-2"))


def expire(desk: Desk) -> None:
    desk.now += timedelta(hours=1)
    request = desk.order.requests[0]
    desk.decide(lambda m: over(desk.order, request, RequestStatus.EXPIRED, m))


def pays(desk: Desk, *legs: AskedPayment) -> None:
    desk.decide(lambda m: pay(desk.order, None, legs, m, command_id=desk.new_id()))


def asked(desk: Desk) -> list[tuple[str, str, int]]:
    return [(o.kind.value, o.outcome.value, o.amount) for o in desk.order.operations]


def test_no_pg_is_asked_before_our_own_value_is_held() -> None:
    desk = Desk(a_checkout(AskedPayment("card", 50000, "tok"), AskedPayment("points", 12700)), points=100)
    assert [(p.method, p.status) for p in desk.order.payments] == [
        ("points", TenderStatus.DECLINED),
        ("card", TenderStatus.CANCELED),
    ]
    assert asked(desk) == [("authorize", "declined", 12700)]


def test_the_last_card_is_captured_with_its_authorization_and_the_points_after_it() -> None:
    desk = Desk(a_checkout(AskedPayment("points", 7700), AskedPayment("card", 55000, "tok")))
    assert desk.payment(1).status is TenderStatus.PROCESSING
    desk.succeed()
    assert asked(desk) == [
        ("authorize", "succeeded", 7700),
        ("authorize", "succeeded", 55000),
        ("capture", "succeeded", 7700),
    ]
    assert desk.order.status is OrderStatus.PLACED
    assert desk.points == 10**9 - 7700


def test_two_cards_are_asked_one_after_the_other() -> None:
    desk = Desk(a_checkout(*TWO_CARDS))
    assert [o.payment_id for o in desk.due()] == [desk.payment(0).id]
    desk.answer(desk.due()[0], OK)
    assert desk.payment(0).status is TenderStatus.AUTHORIZED
    assert [o.payment_id for o in desk.due()] == [desk.payment(1).id]
    desk.succeed()
    assert [p.captured for p in desk.order.payments] == [30000, 32700]


def test_an_atomic_payment_whose_second_card_is_declined_leaves_no_financial_effect() -> None:
    desk = Desk(a_checkout(*TWO_CARDS))
    desk.answer(desk.due()[0], OK)
    desk.answer(desk.due()[0], declined())
    assert [(o.kind, o.amount) for o in desk.due()] == [(VOID, 30000)]
    assert desk.order.requests[0].paid == 0
    desk.succeed()
    assert [p.status for p in desk.order.payments] == [TenderStatus.VOIDED, TenderStatus.DECLINED]
    assert desk.order.status is OrderStatus.PENDING_PAYMENT
    assert sum(p.exposed for p in desk.order.payments) == 0


def test_what_is_just_being_given_back_pays_nothing() -> None:
    desk = Desk(a_checkout(*TWO_CARDS))
    desk.answer(desk.due()[0], OK)
    desk.answer(desk.due()[0], declined())
    with pytest.raises(TotalMismatch):
        pays(desk, AskedPayment("card", 32700, "tok-3"))
    with pytest.raises(AmountExceeded):
        pays(desk, AskedPayment("card", 62700, "tok-3"))
    desk.succeed()
    pays(desk, AskedPayment("card", 62700, "tok-3"))
    desk.succeed()
    assert (desk.order.status, desk.order.captured) == (OrderStatus.PLACED, 62700)


@pytest.mark.parametrize("retry", [Retry.NEVER, Retry.AFTER_CUSTOMER_ACTION, Retry.SAME_PG_LATER])
def test_only_a_decline_that_allows_it_goes_to_another_account(retry: Retry) -> None:
    desk = Desk(a_checkout())
    desk.answer(desk.due()[0], declined(retry))
    assert desk.payment(0).status is TenderStatus.DECLINED
    assert len(desk.order.attempts) == 1
    other = Desk(a_checkout())
    other.answer(other.due()[0], declined(Retry.OTHER_PG))
    assert [a.account for a in other.order.attempts] == ["a", "b"]
    other.answer(other.due()[0], declined(Retry.OTHER_PG))
    assert other.payment(0).status is TenderStatus.DECLINED


def test_an_account_that_was_never_reached_is_replaced_by_another_and_then_tried_again_a_few_times() -> None:
    desk = Desk(a_checkout(), accounts=("a", "b"))
    while desk.due():
        desk.answer(desk.due()[0], NOT_EXECUTED)
    accounts = [a.account for a in desk.order.attempts]
    assert accounts[:2] == ["a", "b"]
    assert sorted(accounts) == ["a"] * TRIES_AT_ONE_ACCOUNT + ["b"] * TRIES_AT_ONE_ACCOUNT
    assert (desk.payment(0).status, desk.payment(0).decline_code) == (TenderStatus.DECLINED, "not_executed")


def test_an_account_that_has_declined_is_not_tried_again() -> None:
    desk = Desk(a_checkout(), accounts=("a", "b"))
    desk.answer(desk.due()[0], declined(Retry.OTHER_PG))
    while desk.due():
        desk.answer(desk.due()[0], NOT_EXECUTED)
    assert [a.account for a in desk.order.attempts] == ["a", *["b"] * TRIES_AT_ONE_ACCOUNT]


def test_a_payment_that_no_account_can_take_is_declined_and_says_so() -> None:
    desk = Desk(a_checkout(), accounts=())
    assert (desk.payment(0).status, desk.payment(0).decline_category) == (TenderStatus.DECLINED, "no_gateway")


def test_an_order_that_accumulates_waits_for_the_rest() -> None:
    desk = Desk(a_checkout(AskedPayment("card", 20000, "tok"), mode="accumulate"))
    desk.succeed()
    assert desk.order.requests[0].status is RequestStatus.PARTIALLY_PAID
    with pytest.raises(AmountExceeded):
        pays(desk, AskedPayment("card", 42701, "tok"))
    pays(desk, AskedPayment("card", 42700, "tok"))
    desk.succeed()
    assert desk.order.status is OrderStatus.PLACED


@pytest.mark.parametrize("amounts", [(0,), (62700, -1), (72700, -10000)])
def test_legs_that_pay_nothing_or_less_are_refused(amounts: tuple[int, ...]) -> None:
    desk = Desk(a_checkout())
    desk.answer(desk.due()[0], declined())
    with pytest.raises(Invalid):
        pays(desk, *(AskedPayment("card", a, "tok") for a in amounts))


def test_a_payment_that_an_account_may_still_take_gets_no_second_attempt() -> None:
    desk = Desk(a_checkout())
    assert open_attempt(desk.order, desk.payment(0), desk.moment) == desk.order


def test_of_several_open_requests_one_must_be_named() -> None:
    desk = Desk(a_checkout())
    desk.answer(desk.due()[0], declined())
    other = replace(desk.order.requests[0], id=desk.new_id(), purpose="difference")
    order = desk.order.put(other)
    with pytest.raises(Invalid) as refused:
        pay(order, None, [AskedPayment("card", 62700)], desk.moment, command_id=desk.new_id())
    assert [f.code for f in refused.value.flaws] == ["ambiguous"]
    paid = pay(order, other.id, [AskedPayment("card", 62700)], desk.moment, command_id=desk.new_id())
    assert paid.payments[-1].request_id == other.id


def test_only_an_open_request_can_be_paid() -> None:
    desk = Desk(a_checkout())
    desk.succeed()
    for request_id in (None, desk.order.requests[0].id):
        with pytest.raises(IllegalTransition):
            pay(desk.order, request_id, [AskedPayment("card", 1)], desk.moment, command_id=desk.new_id())
    with pytest.raises(Invalid):
        pay(desk.order, desk.new_id(), [AskedPayment("card", 1)], desk.moment, command_id=desk.new_id())


def test_an_order_that_expires_gives_stock_and_points_back() -> None:
    desk = Desk(a_checkout(AskedPayment("points", 7700), AskedPayment("card", 55000, "tok")))
    desk.answer(desk.due()[0], declined())
    pays(desk, AskedPayment("points", 62700))
    assert desk.order.status is OrderStatus.PLACED
    unpaid = Desk(a_checkout(AskedPayment("points", 7700), mode="accumulate"))
    assert unpaid.held_points == 7700
    expire(unpaid)
    assert (unpaid.order.status, unpaid.held_points, unpaid.points) == (OrderStatus.EXPIRED, 0, 10**9)
    assert {s.status for s in unpaid.order.sections} == {SectionStatus.EXPIRED}


def test_a_payment_in_doubt_when_the_order_expires_is_given_back_if_it_turns_out_to_have_happened() -> None:
    desk = Desk(a_checkout())
    desk.answer(desk.due()[0], UNKNOWN)
    expire(desk)
    assert [o.abandoning for o in desk.due()] == [True]
    desk.answer(desk.due()[0], OK)
    assert [(o.kind, o.amount) for o in desk.due()] == [(REFUND, 62700)]
    desk.succeed()
    assert (desk.order.status, desk.order.captured, desk.order.refunded) == (OrderStatus.EXPIRED, 62700, 62700)


def test_an_abandoned_payment_that_is_declined_is_not_tried_elsewhere() -> None:
    desk = Desk(a_checkout())
    desk.answer(desk.due()[0], PENDING)
    expire(desk)
    desk.answer(desk.due()[0], declined(Retry.OTHER_PG))
    assert (desk.payment(0).status, len(desk.order.attempts)) == (TenderStatus.EXPIRED, 1)


@pytest.mark.parametrize("kind", [VOID, REFUND])
def test_a_pg_that_will_not_give_back_is_asked_once_and_a_person_is_told(kind: OperationKind) -> None:
    desk = Desk(a_checkout(AskedPayment("card", 20000, "tok"), mode="accumulate", capture="manual"))
    if kind is REFUND:
        desk = Desk(a_checkout(AskedPayment("card", 20000, "tok"), mode="accumulate"))
    desk.succeed()
    expire(desk)
    assert [o.kind for o in desk.due()] == [kind]
    desk.answer(desk.due()[0], declined())
    assert desk.due() == []
    assert desk.order.requires_review


def test_nothing_more_than_is_owed_is_ever_captured() -> None:
    desk = Desk(a_checkout(capture="manual"))
    desk.succeed()
    desk.decide(lambda m: cancel(desk.order, (), 2, m, reason="no", command_id=desk.new_id()))
    with pytest.raises(AmountExceeded) as refused:
        capture(desk.order, 62700, desk.moment)
    assert refused.value.figures == {"requested": 62700, "capturable": 42800}
    desk.decide(lambda m: capture(desk.order, None, m))
    desk.succeed(CAPTURE)
    assert (desk.order.captured, [(o.kind, o.amount) for o in desk.due()]) == (42800, [(VOID, 19900)])
    desk.succeed()
    assert desk.payment(0).status is TenderStatus.CAPTURED


def test_captures_by_hand_count_what_is_on_its_way() -> None:
    desk = Desk(a_checkout(capture="manual"))
    desk.succeed()
    desk.decide(lambda m: capture(desk.order, 60000, m))
    with pytest.raises(AmountExceeded):
        capture(desk.order, 2701, desk.moment)
    desk.decide(lambda m: capture(desk.order, 2700, m, payment_id=desk.payment(0).id))
    with pytest.raises(NothingToDo):
        capture(desk.order, None, desk.moment)
    with pytest.raises(Invalid):
        capture(desk.order, 0, desk.moment)
    desk.succeed()
    assert desk.order.captured == 62700


def test_what_pays_only_a_part_is_not_captured_by_hand() -> None:
    desk = Desk(a_checkout(AskedPayment("card", 20000, "tok"), mode="accumulate", capture="manual"))
    desk.succeed()
    assert [r.status in LIVE_REQUESTS for r in desk.order.requests] == [True]
    with pytest.raises(NothingToDo):
        capture(desk.order, None, desk.moment)


def test_a_declined_capture_needs_a_person_until_it_is_made_up_for() -> None:
    desk = Desk(a_checkout(*TWO_CARDS))
    desk.succeed(AUTHORIZE)
    desk.answer(desk.due(CAPTURE)[0], declined())
    assert desk.order.requires_review
    desk.decide(lambda m: capture(desk.order, None, m))
    desk.succeed()
    assert (desk.order.requires_review, desk.order.captured) == (False, 62700)
