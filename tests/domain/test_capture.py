"""Accounts that capture once: of what they hold, all that is still owed is taken, or nothing (M6)."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from activities.progress import progress_of
from commands.preview import dry_run
from contracts.command import Capture
from domain.cancellation import cancel
from domain.capture import BEFORE_LAPSE, CapturesOnce, capture, capture_lapsing, capture_shipped, lapses_at
from domain.checkout import AskedPayment
from domain.errors import AmountExceeded, NothingToDo
from domain.fulfillment import ship
from domain.gateway import Answer, OperationKind
from domain.order import Order
from domain.owing import spent
from domain.paying import pay
from domain.payment import Payment
from domain.reorder import AskedReorder, Wanted, reorder
from domain.reversal import doubt
from domain.states import BalanceState, TenderStatus
from gateways.sandbox.adapter import CAPABILITIES
from tests.domain.desk import CATALOG, OK, PENDING, START, UNKNOWN, Desk, a_checkout, declined

CAPTURE, VOID = OperationKind.CAPTURE, OperationKind.VOID
END = START + timedelta(days=7)
CARDS = (AskedPayment("card", 30000, "tok-1"), AskedPayment("card", 32700, "tok-2"))
POINTS = (AskedPayment("points", 7700), AskedPayment("card", 55000, "tok"))


def held(*legs: AskedPayment, capture: str = "manual") -> Desk:
    """An order of 62 700 whose cards are held at an account that captures once."""
    desk = Desk(a_checkout(*legs, capture=capture), accounts=("a",))
    desk.once = ("a",)
    desk.succeed()
    return desk


def held_apart(first: str, second: str, *, once: str = "a", end: datetime = END) -> Desk:
    """A card of 30 000 at one account, whose hold has this end, and a card of 32 700 at another."""
    desk = Desk(a_checkout(*CARDS, capture="manual"), accounts=(first,))
    desk.once, desk.accounts = (once,), (second,)
    for each in (end, END):
        desk.answer(desk.due()[0], replace(OK, authorized_until=each))
    return desk


def captures(desk: Desk, amount: int | None = None, payment: Payment | None = None) -> list[tuple[int, int]]:
    """By hand; the captures that this opens: position of the payment, amount."""
    before = {o.id for o in desk.order.operations}
    one = payment.id if payment else None
    desk.decide(lambda m: capture(desk.order, amount, m, payment_id=one))
    opened = [o for o in desk.order.operations if o.id not in before and o.kind is CAPTURE]
    return [(desk.order.payment(o.payment_id).position, o.amount) for o in opened]


def refused(desk: Desk, amount: int, payment: Payment | None = None) -> tuple[UUID, tuple[int, ...]]:
    """An amount that may not be captured; the payment that it would have split, and what can be captured instead."""
    with pytest.raises(CapturesOnce) as no:
        capture(desk.order, amount, desk.moment, payment_id=payment.id if payment else None)
    figures = no.value.figures
    assert figures["requested"] == amount
    for other in figures["instead"]:
        assert capture(desk.order, other, desk.moment, payment_id=payment.id if payment else None) != desk.order
        assert str(other) in no.value.detail
    return UUID(figures["payment_id"]), tuple(figures["instead"])


def cancels_the_mug(desk: Desk) -> None:
    """19 900 is not owed any more."""
    desk.decide(lambda m: cancel(desk.order, (), 2, m, reason="no", command_id=desk.new_id()))


def ships(desk: Desk, number: int) -> list[tuple[int, int]]:
    """A section leaves; the captures that this opens."""
    before = {o.id for o in desk.order.operations}

    def rule(order: Order) -> Order:
        order, value = ship(order, number, (), desk.moment, carrier="CJ", tracking_number="1")
        section_id = order.section(number).id
        return capture_shipped(order, value, desk.moment, section_id=section_id, command_id=desk.new_id())

    desk.decide(lambda _: rule(desk.order))
    opened = [o for o in desk.order.operations if o.id not in before and o.kind is CAPTURE]
    return [(desk.order.payment(o.payment_id).position, o.amount) for o in opened]


def books(desk: Desk, position: int = 0) -> tuple[int, int, int]:
    """Of a payment: captured, voided, and what it still holds."""
    payment = desk.payment(position)
    return payment.captured, payment.voided, payment.capturable


# By hand


def test_a_part_of_a_hold_is_refused_and_all_of_it_is_captured() -> None:
    desk = held()
    assert refused(desk, 5000) == (desk.payment(0).id, (62700,))
    assert desk.due() == []
    assert captures(desk, 62700) == [(0, 62700)]
    desk.succeed()
    assert (books(desk), desk.order.balance) == ((62700, 0, 0), BalanceState.SETTLED)


def test_an_account_that_captures_as_often_as_it_is_asked_gives_any_part() -> None:
    desk = Desk(a_checkout(capture="manual"), accounts=("b",))
    desk.once = ("a",)
    desk.succeed()
    assert captures(desk, 5000) == [(0, 5000)]
    desk.succeed()
    assert captures(desk) == [(0, 57700)]


def test_more_than_is_owed_is_another_refusal() -> None:
    desk = held()
    with pytest.raises(AmountExceeded):
        capture(desk.order, 62701, desk.moment)


def test_all_that_is_still_owed_is_enough_and_what_is_left_is_let_go() -> None:
    desk = held()
    cancels_the_mug(desk)
    assert refused(desk, 42799) == (desk.payment(0).id, (42800,))
    assert captures(desk, 42800) == [(0, 42800)]
    desk.succeed(CAPTURE)
    [rest] = desk.due()
    assert (rest.kind, rest.amount) == (VOID, 19900)
    desk.succeed()
    assert (books(desk), desk.payment(0).status) == ((42800, 19900, 0), TenderStatus.CAPTURED)
    assert (desk.order.balance, desk.order.requires_review) == (BalanceState.SETTLED, False)


def test_own_value_gives_parts_beside_a_card_that_gives_all_or_nothing() -> None:
    desk = held(*POINTS)
    assert refused(desk, 20000) == (desk.payment(1).id, (7700, 55000))
    assert captures(desk, 5000) == [(0, 5000)]
    assert refused(desk, 20000) == (desk.payment(1).id, (2700, 55000))
    assert captures(desk, 55000) == [(1, 55000)]
    desk.succeed()
    assert captures(desk) == [(0, 2700)]
    assert desk.order.captured == 62700


def test_a_payment_that_is_named_is_captured_whole() -> None:
    desk = held(*POINTS)
    card = desk.payment(1)
    assert refused(desk, 5000, card) == (card.id, (55000,))
    assert captures(desk, 5000, desk.payment(0)) == [(0, 5000)]
    assert captures(desk, None, card) == [(1, 55000)]


def test_the_amounts_are_chosen_so_that_no_hold_is_split_if_they_can_be() -> None:
    desk = held_apart("a", "b", once="b")
    assert captures(desk, 40000) == [(0, 7300), (1, 32700)]
    desk.succeed()
    assert captures(desk) == [(0, 22700)]


def test_of_two_accounts_that_capture_once_each_gives_its_own_whole() -> None:
    desk = held(*CARDS)
    assert refused(desk, 31000) == (desk.payment(1).id, (30000, 32700))
    assert captures(desk, 32700) == [(1, 32700)]
    assert refused(desk, 1) == (desk.payment(0).id, (30000,))


def test_what_another_hold_can_pay_need_not_be_taken_and_the_books_follow_the_pg_at_once() -> None:
    desk = held_apart("a", "b")
    cancels_the_mug(desk)
    assert refused(desk, 10000, desk.payment(0)) == (desk.payment(0).id, (10100,))
    assert captures(desk, 20000) == [(0, 20000)]
    desk.succeed()
    assert (books(desk), books(desk, 1)) == ((20000, 10000, 0), (0, 0, 32700)), "it holds no more, and 22800 is owed"
    assert captures(desk) == [(1, 22800)]
    desk.succeed()
    assert (books(desk, 1), desk.order.balance) == ((22800, 9900, 0), BalanceState.SETTLED)


@pytest.mark.parametrize("answer", [None, UNKNOWN, PENDING])
def test_a_capture_without_an_end_counts_as_done(answer: Answer | None) -> None:
    desk = held_apart("a", "b")
    cancels_the_mug(desk)
    captures(desk, 20000)
    [first] = desk.due(CAPTURE)
    if answer:
        desk.answer(first, answer)
    assert [o.kind for o in desk.due()] == [CAPTURE], "nothing is asked to be released while it captures"
    with pytest.raises(NothingToDo):
        capture(desk.order, None, desk.moment, payment_id=desk.payment(0).id)
    with pytest.raises(AmountExceeded):
        capture(desk.order, 22801, desk.moment)
    assert captures(desk) == [(1, 22800)]


def test_a_capture_that_is_declined_leaves_all_of_the_hold() -> None:
    desk = held()
    captures(desk)
    desk.answer(desk.due()[0], declined())
    assert refused(desk, 5000) == (desk.payment(0).id, (62700,))
    assert captures(desk) == [(0, 62700)]


def test_a_capture_that_is_taken_back_is_tried_again_as_a_whole() -> None:
    desk = held()
    cancels_the_mug(desk)
    captures(desk)
    desk.succeed()
    operation = next(o for o in desk.order.operations if o.kind is CAPTURE)
    assert spent(desk.order, desk.payment(0), desk.moment.captures_once)
    desk.decide(lambda m: doubt(desk.order, operation.id, m))
    desk.answer(desk.due(OperationKind.LOOKUP)[0], declined())
    assert (books(desk), desk.due()) == ((0, 19900, 42800), []), "the hold is there again, and nobody lets go of it"
    assert refused(desk, 5000) == (desk.payment(0).id, (42800,))
    assert captures(desk) == [(0, 42800)]


def test_the_hold_of_an_exchanges_difference_is_a_hold_like_any_other_once_it_is_paid() -> None:
    desk = held()
    for number in (1, 2):
        desk.ships(number)
    asked = AskedReorder("exchange", (Wanted(desk.item("MUG").id, 1, "TEE"),), return_first=False)
    desk.decide(lambda m: reorder(desk.order, asked, CATALOG, m, command_id=desk.new_id()))
    legs = [AskedPayment("card", 5000, "tok")]
    desk.decide(lambda m: pay(desk.order, None, legs, m, command_id=desk.new_id()))
    first, difference = desk.order.payments
    with pytest.raises(AmountExceeded):
        capture(desk.order, 67700, desk.moment)
    assert refused(desk, 5000) == (first.id, (62700,)), "the difference is not paid yet"
    desk.succeed()
    assert refused(desk, 4000) == (first.id, (5000,))
    assert captures(desk, 5000) == [(difference.position, 5000)]
    assert desk.due(CAPTURE)[0].payment_id == difference.id
    assert refused(desk, 5000) == (first.id, (62700,))
    desk.succeed()
    captures(desk)
    desk.succeed()
    assert (desk.order.captured, desk.order.balance) == (67700, BalanceState.SETTLED)


# As goods leave


def test_the_first_parcel_captures_all_that_is_owed() -> None:
    desk = held(capture="on_shipment")
    assert ships(desk, 2) == [(0, 62700)]
    desk.succeed()
    assert ships(desk, 1) == []
    assert desk.order.captured == 62700


def test_own_value_pays_the_parcels_for_which_it_is_enough() -> None:
    points = (AskedPayment("points", 20000), AskedPayment("card", 42700, "tok"))
    desk = held(*points, capture="on_shipment")
    assert ships(desk, 2) == [(0, 19900)]
    assert ships(desk, 1) == [(0, 100), (1, 42700)]
    other = held(*points, capture="on_shipment")
    assert ships(other, 1) == [(0, 100), (1, 42700)], "42 800: the card whole, and points for the rest"
    assert ships(other, 2) == [(0, 19900)]


def test_no_more_holds_are_captured_than_a_parcel_needs() -> None:
    desk = held(*CARDS, capture="on_shipment")
    assert ships(desk, 2) == [(0, 30000)]
    assert ships(desk, 1) == [(1, 32700)]


# Holds that end


def test_a_hold_that_is_captured_once_is_not_captured_again_before_it_lapses() -> None:
    desk = held_apart("a", "b", end=END - timedelta(days=2))
    once, able = desk.moment.captures_once, {"a": replace(CAPABILITIES, multiple_captures=False), "b": CAPABILITIES}
    assert lapses_at(desk.order, once) == END - timedelta(days=2) - BEFORE_LAPSE
    cancels_the_mug(desk)
    captures(desk, 20000)
    desk.answer(desk.due(CAPTURE)[0], UNKNOWN)
    assert lapses_at(desk.order, once) == progress_of(desk.order, able).lapses_at == END - BEFORE_LAPSE
    desk.now = END - BEFORE_LAPSE
    desk.decide(lambda m: capture_lapsing(desk.order, m))
    assert [(o.amount, desk.order.payment(o.payment_id).position) for o in desk.due(CAPTURE)] == [
        (20000, 0),
        (22800, 1),
    ]
    assert lapses_at(desk.order, once) is None


# At the door


def test_the_door_refuses_what_the_workflow_would_refuse() -> None:
    desk = held()
    body = Capture(None, 5000)
    with pytest.raises(CapturesOnce):
        dry_run(desk.order, body, {}, desk.now, capturing_once={"a"})
    assert dry_run(desk.order, body, {}, desk.now, capturing_once={"b"}) != desk.order
    assert dry_run(desk.order, Capture(), {}, desk.now, capturing_once={"a"}) != desk.order
