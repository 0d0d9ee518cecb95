"""New items because of earlier ones: what they cost, what the old are worth, and how it is undone."""

from datetime import timedelta
from typing import Any

import pytest

from domain.cancellation import cancel
from domain.checkout import AskedPayment, quote
from domain.errors import (
    AmountExceeded,
    ChangeOpen,
    DifferenceUnsettled,
    IllegalTransition,
    Invalid,
    OutOfStock,
)
from domain.fulfillment import Pieces, deliver, release
from domain.gateway import OperationKind
from domain.paying import expire, pay
from domain.refund import AskedLeg, AskedRefund, grant
from domain.reorder import AWAITING_RETURN, DIFFERENCE_WAITS, AskedReorder, Wanted, again, reorder
from domain.states import (
    BalanceState,
    ChangeStatus,
    ItemState,
    OrderStatus,
    PaidStatus,
    RefundStatus,
    RequestStatus,
    ReturnState,
    SectionStatus,
)
from tests.domain.desk import BUSAN, CATALOG, SEOUL, START, Desk, a_checkout, declined


def shipped(*, deliver_too: bool = True) -> Desk:
    desk = Desk(a_checkout())
    desk.succeed()
    for n in (1, 2):
        desk.ships(n)
        if deliver_too:
            desk.delivers(n)
    return desk


def sends(desk: Desk, kind: Any, *wanted: Wanted, **terms: Any) -> None:
    command = desk.new_id()
    asked = AskedReorder(kind, wanted, **terms)
    desk.decide(lambda m: reorder(desk.order, asked, CATALOG, m, command_id=command))


def pays(desk: Desk, amount: int) -> None:
    command = desk.new_id()
    desk.decide(lambda m: pay(desk.order, None, [AskedPayment("card", amount, "tok")], m, command_id=command))


def refunds(desk: Desk, asked: AskedRefund) -> None:
    desk.decide(lambda m: grant(desk.order, asked, m, command_id=None))


def cancels(desk: Desk, *pieces: Pieces, section: int | None = None) -> None:
    desk.decide(lambda m: cancel(desk.order, pieces, section, m, reason="no", command_id=desk.new_id()))


def test_a_reship_sends_the_same_pieces_for_nothing() -> None:
    desk = shipped()
    sends(desk, "reship", Wanted(desk.item("TEE").id, 1), destination=BUSAN)
    new = desk.section(3)
    assert (new.status, new.payment_status, new.city) == (SectionStatus.OPEN, PaidStatus.PAID, "Busan")
    [item] = desk.order.section_items(new)
    assert (item.state, item.paid, item.origin_item_id) == (ItemState.ALLOCATED, 0, desk.item("TEE").id)
    assert (desk.order.status, desk.order.balance) == (OrderStatus.PLACED, BalanceState.SETTLED)
    cancels(desk, section=3)
    assert desk.order.status is OrderStatus.COMPLETED


def test_an_exchange_that_costs_more_waits_for_its_difference_and_its_return() -> None:
    desk = shipped()
    sends(desk, "exchange", Wanted(desk.item("MUG").id, 1, "TEE"))
    assert desk.section(3).status is SectionStatus.AWAITING_PAYMENT
    assert [(r.amount, r.status, r.purpose) for r in desk.order.requests[1:]] == [
        (5000, RequestStatus.OPEN, "difference")
    ]
    assert desk.item("MUG").return_state is ReturnState.APPROVED
    pays(desk, 5000)
    desk.succeed()
    assert [h.reason for h in desk.order.active_holds(desk.section(3))] == [AWAITING_RETURN]
    assert desk.section(3).payment_status is PaidStatus.PAID
    assert desk.order.changes[0].status is ChangeStatus.CONFIRMED
    desk.decide(lambda m: release(desk.order, 3, AWAITING_RETURN, m))
    assert desk.section(3).status is SectionStatus.OPEN
    assert desk.order.balance is BalanceState.SETTLED


def test_an_exchange_that_costs_less_gives_the_difference_back() -> None:
    desk = shipped()
    sends(desk, "exchange", Wanted(desk.item("TEE").id, 1, "MUG"), difference="refund", return_first=False)
    desk.succeed()
    assert (desk.order.refunded, desk.order.balance) == (5000, BalanceState.SETTLED)
    assert desk.section(3).status is SectionStatus.OPEN
    assert desk.section(3).payment_status is PaidStatus.PAID


@pytest.mark.parametrize(("old", "new"), [("MUG", "TEE"), ("TEE", "MUG"), ("MUG", None)])
def test_a_waived_difference_moves_no_money(old: str, new: str | None) -> None:
    desk = shipped()
    sends(desk, "exchange", Wanted(desk.item(old).id, 1, new), difference="waive", return_first=False)
    assert (desk.due(), desk.order.captured, desk.order.balance) == ([], 62700, BalanceState.SETTLED)


def test_while_an_exchange_waits_a_refund_of_something_else_gives_all_of_it_back() -> None:
    desk = shipped()
    sends(desk, "exchange", Wanted(desk.item("MUG").id, 1, "TEE"))
    refunds(desk, AskedRefund((Pieces(desk.item("TEE").id, 1),)))
    desk.succeed()
    assert desk.order.refunded == 19900
    pays(desk, 5000)
    desk.succeed()
    assert desk.order.balance is BalanceState.SETTLED


def test_an_exchange_that_waits_can_be_canceled_and_is_as_if_it_had_not_been() -> None:
    desk = shipped(deliver_too=False)
    tee = desk.item("TEE").id
    sends(desk, "exchange", Wanted(tee, 2), difference="waive")
    sends(desk, "exchange", Wanted(desk.item("MUG").id, 1, "TEE"))
    with pytest.raises(ChangeOpen):
        sends(desk, "exchange", Wanted(desk.item("MUG").id, 1, "TEE"))
    with pytest.raises(IllegalTransition):
        cancels(desk, Pieces(desk.order.section_items(desk.section(4))[0].id, 1))
    cancels(desk, section=4)
    assert desk.section(4).status is SectionStatus.CANCELED
    assert (desk.item("MUG").credited, desk.item("MUG").return_state) == (0, ReturnState.NONE)
    assert [r.status for r in desk.order.refunds] == [RefundStatus.SUCCEEDED, RefundStatus.CANCELED]
    assert (desk.order.changes[1].status, desk.order.balance) == (ChangeStatus.CANCELED, BalanceState.SETTLED)
    sends(desk, "exchange", Wanted(desk.item("MUG").id, 1), difference="waive")


def test_a_difference_that_nobody_pays_in_time_ends_its_exchange_as_if_it_had_not_been() -> None:
    desk = shipped()
    sends(desk, "exchange", Wanted(desk.item("MUG").id, 1, "TEE"))
    request = desk.order.requests[1]
    assert request.due_at == desk.now + DIFFERENCE_WAITS
    pays(desk, 5000)
    desk.answer(desk.due()[0], declined())
    desk.now = request.due_at - timedelta(seconds=1)
    desk.decide(lambda m: expire(desk.order, m))
    assert desk.order.requests[1].status is RequestStatus.OPEN
    desk.now = request.due_at
    desk.decide(lambda m: expire(desk.order, m))
    assert (desk.order.requests[1].status, desk.section(3).status) == (RequestStatus.EXPIRED, SectionStatus.EXPIRED)
    assert (desk.order.changes[0].status, desk.order.refunds[0].status) == (ChangeStatus.EXPIRED, RefundStatus.CANCELED)
    assert (desk.item("MUG").credited, desk.item("MUG").return_state) == (0, ReturnState.NONE)
    assert (desk.order.status, desk.order.balance) == (OrderStatus.COMPLETED, BalanceState.SETTLED)


def test_pieces_that_arrived_alone_meanwhile_are_owed_again_too_when_their_exchange_is_canceled() -> None:
    desk = shipped(deliver_too=False)
    sends(desk, "exchange", Wanted(desk.item("TEE").id, 2, "TEE"), difference="waive")
    cancels(desk, section=3)
    desk.succeed()
    fresh = Desk(a_checkout())
    fresh.succeed()
    fresh.ships(1)
    tee, mug = fresh.item("TEE").id, fresh.item("MUG").id
    fresh.ships(2)
    sends(fresh, "exchange", Wanted(mug, 1, "TEE"), Wanted(tee, 2))
    fresh.decide(lambda m: deliver(fresh.order, 1, (Pieces(tee, 1),), m, shipment_id=None))
    cancels(fresh, section=3)
    assert {(i.credited, i.return_state) for i in fresh.order.items if i.section_id != fresh.section(3).id} == {
        (0, ReturnState.NONE)
    }
    assert fresh.order.balance is BalanceState.SETTLED


def test_a_difference_that_was_declined_may_be_paid_again() -> None:
    desk = shipped()
    sends(desk, "exchange", Wanted(desk.item("MUG").id, 1, "TEE"))
    pays(desk, 5000)
    desk.answer(desk.due()[0], declined())
    pays(desk, 5000)
    desk.succeed()
    assert desk.order.changes[0].status is ChangeStatus.CONFIRMED
    assert not desk.due(OperationKind.AUTHORIZE)


def test_an_exchange_after_goodwill_costs_no_more_than_the_goods() -> None:
    desk = shipped()
    refunds(desk, AskedRefund(amount=62700))
    desk.succeed()
    sends(desk, "exchange", Wanted(desk.item("TEE").id, 1, "MUG"), difference="refund")
    desk.succeed()
    assert (desk.order.refunded, desk.order.balance) == (62700, BalanceState.SETTLED)


@pytest.mark.parametrize(("old", "new", "difference"), [("MUG", "TEE", "refund"), ("TEE", "MUG", "collect")])
def test_a_difference_is_settled_in_the_direction_that_it_has(old: str, new: str, difference: str) -> None:
    desk = shipped()
    with pytest.raises(DifferenceUnsettled) as refused:
        sends(desk, "exchange", Wanted(desk.item(old).id, 1, new), difference=difference)
    assert abs(refused.value.figures["difference"]) == 5000


def test_what_was_refunded_cannot_be_exchanged_and_what_was_exchanged_not_refunded() -> None:
    desk = shipped()
    mug = desk.item("MUG").id
    refunds(desk, AskedRefund((Pieces(mug, 1),)))
    with pytest.raises(AmountExceeded):
        sends(desk, "exchange", Wanted(mug, 1), difference="waive")
    tee = desk.item("TEE").id
    sends(desk, "exchange", Wanted(tee, 2), difference="waive")
    with pytest.raises(AmountExceeded):
        refunds(desk, AskedRefund((Pieces(tee, 1),)))


def test_what_cannot_be_sent_again_is_refused() -> None:
    unpaid = Desk(a_checkout())
    with pytest.raises(IllegalTransition):
        sends(unpaid, "reship", Wanted(unpaid.item("TEE").id, 1))
    desk = Desk(a_checkout())
    desk.succeed()
    tee = desk.item("TEE").id
    with pytest.raises(IllegalTransition):
        sends(desk, "reship", Wanted(tee, 1))
    gone = shipped()
    tee = gone.item("TEE").id
    with pytest.raises(Invalid):
        sends(gone, "reship")
    for wrong in (Wanted(tee, 3), Wanted(tee, 0), Wanted(tee, 1, "NO"), Wanted(tee, 1, "MUG")):
        with pytest.raises(Invalid):
            sends(gone, "reship", wrong)
    empty = {sku: s if sku != "TEE" else type(s)("TEE", "T", 19900, 1000, True, 0) for sku, s in CATALOG.items()}
    with pytest.raises(OutOfStock):
        reorder(gone.order, AskedReorder("reship", (Wanted(tee, 1),)), empty, gone.moment, command_id=gone.new_id())


def test_buying_again_is_a_checkout_at_todays_prices() -> None:
    desk = shipped()
    checkout = again(desk.order, (), CATALOG)
    assert (checkout.expected_total, checkout.reorder_of) == (62700, desk.order.number)
    assert [s.destination for s in checkout.sections] == [SEOUL, BUSAN]
    assert quote(checkout, CATALOG, currency="KRW", now=START).total == 62700
    one = again(desk.order, (Wanted(desk.item("MUG").id, 3, "PEN"),), CATALOG)
    assert one.expected_total == 3 * 7 + 5000
    for wrong in (Wanted(desk.item("MUG").id, 1, "NO"), Wanted(desk.item("MUG").id, 0)):
        with pytest.raises(Invalid):
            again(desk.order, (wrong,), CATALOG)


def test_a_refund_does_not_draw_on_a_difference_that_is_still_being_paid() -> None:
    desk = Desk(a_checkout(mode="accumulate"))
    desk.succeed()
    for n in (1, 2):
        desk.ships(n)
        desk.delivers(n)
    sends(desk, "exchange", Wanted(desk.item("MUG").id, 1, "TEE"))
    pays(desk, 2000)
    desk.succeed()
    part = desk.payment(1).id
    with pytest.raises(AmountExceeded, match="still being paid"):
        refunds(desk, AskedRefund(amount=100, policy="manual", legs=(AskedLeg(part, 100),)))
    refunds(desk, AskedRefund((Pieces(desk.item("TEE").id, 2),)))
    desk.succeed()
    assert (desk.payment(0).refunded, desk.payment(1).refunded) == (39800, 0)
    assert desk.order.requests[1].paid == 2000


def test_what_waits_for_its_payment_is_not_refunded() -> None:
    desk = shipped()
    sends(desk, "exchange", Wanted(desk.item("MUG").id, 1, "TEE"))
    [new] = desk.order.section_items(desk.section(3))
    with pytest.raises(IllegalTransition, match="cancel its section"):
        refunds(desk, AskedRefund((Pieces(new.id, 1),)))
    cancels(desk, section=3)
    assert (desk.order.balance, desk.order.refunded) == (BalanceState.SETTLED, 0)


def test_what_is_canceled_while_a_difference_is_asked_for_gives_back_only_what_is_there() -> None:
    desk = Desk(a_checkout())
    desk.succeed()
    desk.ships(2)
    desk.delivers(2)
    sends(desk, "exchange", Wanted(desk.item("MUG").id, 1, "TEE"))
    refunds(desk, AskedRefund(amount=62700))
    desk.succeed()
    cancels(desk, section=1)
    assert (desk.section(1).status, desk.order.refunded) == (SectionStatus.CANCELED, 62700)
