"""Canceling before goods leave: the money follows, wherever it is by then."""

import pytest

from domain.cancellation import cancel
from domain.capture import capture, capture_shipped
from domain.checkout import AskedPayment
from domain.errors import IllegalTransition, NothingToDo
from domain.fulfillment import Pieces, ship
from domain.gateway import Action, Answer, OperationKind, Outcome
from domain.moment import Moment
from domain.order import Order
from domain.refund import AskedRefund, grant
from domain.resolution import Ask
from domain.states import BalanceState, ItemState, OrderStatus, PaidStatus, SectionStatus, TenderStatus
from tests.domain.desk import OK, UNKNOWN, Desk, a_checkout, declined

CAPTURE, VOID, REFUND = OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND
MIXED = (AskedPayment("points", 7700), AskedPayment("card", 55000, "tok"))
TWO_CARDS = (AskedPayment("card", 30000, "tok-1"), AskedPayment("card", 32700, "tok-2"))


def placed(*legs: AskedPayment, capture: str = "automatic") -> Desk:
    desk = Desk(a_checkout(*legs, capture=capture))
    desk.succeed()
    return desk


def cancels(desk: Desk, *pieces: Pieces, section: int | None = None) -> None:
    command = desk.new_id()
    desk.decide(lambda m: cancel(desk.order, pieces, section, m, reason="changed mind", command_id=command))


def test_a_paid_order_that_is_canceled_goes_back_to_where_it_came_from() -> None:
    desk = placed(*MIXED)
    cancels(desk)
    assert desk.order.status is OrderStatus.PLACED
    desk.succeed()
    order = desk.order
    assert (order.status, order.payment_status, order.refunded) == (OrderStatus.CANCELED, PaidStatus.REFUNDED, 62700)
    assert desk.points == 10**9
    assert {i.state for i in order.items} == {ItemState.CANCELED}


def test_what_is_only_authorized_is_released() -> None:
    desk = placed(capture="manual")
    cancels(desk)
    assert [(o.kind, o.amount) for o in desk.due()] == [(VOID, 62700)]
    desk.succeed()
    assert (desk.order.status, desk.payment(0).status) == (OrderStatus.CANCELED, TenderStatus.VOIDED)


@pytest.mark.parametrize("captured", [True, False])
def test_a_capture_on_its_way_when_the_order_is_canceled_is_given_back_whatever_becomes_of_it(captured: bool) -> None:
    desk = Desk(a_checkout(*TWO_CARDS))
    desk.succeed(OperationKind.AUTHORIZE)
    [capturing] = desk.due(CAPTURE)
    cancels(desk)
    assert not desk.due(VOID), "a PG releases all that it holds: not while it captures"
    desk.succeed(REFUND)
    desk.answer(capturing, OK if captured else declined())
    desk.succeed()
    order = desk.order
    assert (order.captured - order.refunded, order.balance) == (0, BalanceState.SETTLED)
    assert sum(p.authorized - p.voided for p in order.payments) == order.captured
    assert (order.status, order.requires_review) == (OrderStatus.CANCELED, False)


def test_the_rest_of_a_hold_is_not_released_while_a_part_of_it_is_being_captured() -> None:
    desk = placed(capture="manual")
    desk.decide(lambda m: capture(desk.order, 20000, m))
    cancels(desk)
    assert [o.kind for o in desk.due()] == [CAPTURE]
    desk.succeed(CAPTURE)
    assert sorted((o.kind.value, o.amount) for o in desk.due()) == [("refund", 20000), ("void", 42700)]
    desk.succeed()
    assert (desk.order.status, desk.order.balance) == (OrderStatus.CANCELED, BalanceState.SETTLED)


def test_a_section_is_canceled_with_its_shipping_and_the_rest_goes_on() -> None:
    desk = placed()
    cancels(desk, section=2)
    desk.succeed()
    assert (desk.order.refunded, desk.section(2).status) == (19900, SectionStatus.CANCELED)
    assert (desk.order.status, desk.section(1).status) == (OrderStatus.PLACED, SectionStatus.OPEN)
    with pytest.raises(NothingToDo):
        cancels(desk, section=2)
    cancels(desk)
    desk.succeed()
    assert desk.order.status is OrderStatus.CANCELED


def test_pieces_are_canceled_at_their_share_and_only_once() -> None:
    desk = placed()
    tee = desk.item("TEE").id
    cancels(desk, Pieces(tee, 1))
    assert desk.order.refunds[0].amount == 19900
    gone = next(i for i in desk.order.items if i.state is ItemState.CANCELED)
    with pytest.raises(NothingToDo):
        cancels(desk, Pieces(gone.id, 1))
    cancels(desk, Pieces(tee, 1))
    assert desk.order.refunds[1].amount == 19900 + 3000


def test_what_has_left_cannot_be_canceled() -> None:
    desk = placed()
    desk.ships(1)
    for pieces, section in (((), None), ((), 1), ((Pieces(desk.item("TEE").id, 1),), None)):
        with pytest.raises(IllegalTransition):
            cancels(desk, *pieces, section=section)
    cancels(desk, section=2)


def test_an_order_can_be_canceled_after_goodwill() -> None:
    desk = placed()
    desk.decide(lambda m: grant(desk.order, AskedRefund(amount=5000), m, command_id=None))
    desk.succeed()
    cancels(desk)
    desk.succeed()
    assert (desk.order.status, desk.order.refunded) == (OrderStatus.CANCELED, 62700)


def test_the_rest_of_a_hold_is_released_without_touching_what_was_captured_for_another_section() -> None:
    desk = placed(capture="on_shipment")

    def shipping(moment: Moment) -> Order:
        order, value = ship(desk.order, 1, (), moment, carrier="CJ", tracking_number="1")
        return capture_shipped(order, value, moment, section_id=order.section(1).id, command_id=desk.new_id())

    desk.decide(shipping)
    desk.succeed()
    cancels(desk, section=2)
    desk.succeed()
    assert (desk.order.captured, desk.payment(0).voided) == (42800, 19900)
    assert [(a.authorized, a.captured) for a in desk.order.allocations] == [(42800, 42800), (0, 0)]


def test_an_unpaid_order_is_canceled_as_a_whole() -> None:
    desk = Desk(a_checkout(*MIXED))
    for pieces, section in (((Pieces(desk.item("TEE").id, 1),), None), ((), 1)):
        with pytest.raises(IllegalTransition):
            cancels(desk, *pieces, section=section)
    desk.answer(desk.due()[0], Answer(Outcome.ACTION_REQUIRED, action=Action("redirect", "https://pg")))
    cancels(desk)
    assert (desk.order.status, desk.held_points) == (OrderStatus.CANCELED, 0)
    [doubt] = desk.due()
    assert doubt.abandoning
    desk.answer(doubt, UNKNOWN, Ask.NEUTRALIZE)
    desk.answer(doubt, OK, Ask.NEUTRALIZE)
    assert (desk.payment(1).status, desk.due()) == (TenderStatus.EXPIRED, [])
