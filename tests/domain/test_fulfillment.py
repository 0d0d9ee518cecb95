"""Goods on their way: in parts, held, delivered, and captured as they leave."""

from functools import partial

import pytest

from domain.capture import capture_shipped
from domain.errors import IllegalTransition, Invalid, NothingToDo
from domain.fulfillment import Pieces, deliver, hold, prepare, release, ship
from domain.gateway import OperationKind
from domain.moment import Moment
from domain.order import Order
from domain.refund import AskedRefund, grant
from domain.states import FulfillmentStatus, ItemState, OrderStatus, SectionStatus, TenderStatus
from tests.domain.desk import Desk, a_checkout


def placed(capture: str = "automatic") -> Desk:
    desk = Desk(a_checkout(capture=capture))
    desk.succeed()
    return desk


def ships(desk: Desk, number: int, *pieces: Pieces) -> None:
    def rule(moment: Moment) -> Order:
        order, value = ship(desk.order, number, pieces, moment, carrier="CJ", tracking_number="1")
        section = order.section(number).id
        return capture_shipped(order, value, moment, section_id=section, command_id=desk.new_id())

    desk.decide(rule)


def _held(desk: Desk, reason: str, moment: Moment) -> Order:
    return hold(desk.order, 1, reason, moment)


def delivers(desk: Desk, number: int, *pieces: Pieces, shipment: int | None = None) -> None:
    shipment_id = None if shipment is None else desk.order.shipments[shipment].id
    desk.decide(lambda m: deliver(desk.order, number, pieces, m, shipment_id=shipment_id))


def test_preparing_is_for_open_sections_and_twice_is_once() -> None:
    desk = placed()
    desk.decide(lambda _: prepare(desk.order, 1))
    assert [i.state for i in desk.order.items] == [ItemState.PREPARING, ItemState.ALLOCATED]
    assert prepare(desk.order, 1) == desk.order
    assert prepare(desk.order, 9) == desk.order
    desk.decide(lambda m: hold(desk.order, 2, "fraud", m))
    assert prepare(desk.order, 2) == desk.order


def test_two_parcels_of_one_row_are_two_rows_that_arrive_alone() -> None:
    desk = placed()
    tee = desk.item("TEE").id
    ships(desk, 1, Pieces(tee, 1))
    assert desk.section(1).fulfillment_status is FulfillmentStatus.PARTIALLY_SHIPPED
    ships(desk, 1)
    delivers(desk, 1, shipment=1)
    assert sorted((i.quantity, i.state) for i in desk.order.items if i.sku == "TEE") == [
        (1, ItemState.DELIVERED),
        (1, ItemState.SHIPPED),
    ]
    assert [s.delivered_at is not None for s in desk.order.shipments] == [False, True]
    with pytest.raises(NothingToDo):
        delivers(desk, 1, shipment=1)
    delivers(desk, 1)
    assert all(s.delivered_at for s in desk.order.shipments)
    assert desk.section(1).status is SectionStatus.COMPLETED


def test_a_parcel_of_two_may_arrive_in_two_parts() -> None:
    desk = placed()
    ships(desk, 1)
    delivers(desk, 1, Pieces(desk.item("TEE").id, 1))
    assert [p.quantity for p in desk.order.shipment_items] == [1, 1]
    assert desk.order.shipments[0].delivered_at is None
    assert desk.order.fulfillment_status is FulfillmentStatus.PARTIALLY_DELIVERED


def test_with_capture_on_shipment_each_parcel_takes_what_has_left() -> None:
    desk = placed("on_shipment")
    assert (desk.order.captured, desk.payment(0).status) == (0, TenderStatus.AUTHORIZED)
    ships(desk, 1, Pieces(desk.item("TEE").id, 1))
    desk.succeed()
    assert desk.order.captured == 19900 + 3000
    ships(desk, 1)
    ships(desk, 2)
    desk.succeed()
    assert (desk.order.captured, desk.payment(0).status) == (62700, TenderStatus.CAPTURED)
    by_section = {a.section_id: a.captured for a in desk.order.allocations}
    assert by_section == {desk.section(1).id: 42800, desk.section(2).id: 19900}


def test_what_a_refund_has_made_free_is_not_captured_when_it_ships() -> None:
    desk = placed("on_shipment")
    ships(desk, 1)
    desk.succeed()
    mug = Pieces(desk.item("MUG").id, 1)
    desk.decide(lambda m: grant(desk.order, AskedRefund((mug,), shipping=True), m, command_id=None))
    ships(desk, 2)
    desk.succeed()
    assert desk.order.captured - desk.order.refunded == 2 * 19900
    assert desk.order.captured + desk.payment(0).voided == 62700


def test_parcels_that_leave_at_once_are_not_charged_beyond_what_a_refund_has_left() -> None:
    desk = placed("on_shipment")
    ships(desk, 1, Pieces(desk.item("TEE").id, 1))
    desk.succeed()
    gone = next(i for i in desk.order.items if i.state is ItemState.SHIPPED)
    desk.decide(lambda m: grant(desk.order, AskedRefund((Pieces(gone.id, 1),)), m, command_id=None))
    ships(desk, 1)
    ships(desk, 2)
    assert sum(o.amount for o in desk.due(OperationKind.CAPTURE)) == 19900
    desk.succeed()
    assert (desk.order.captured - desk.order.refunded, desk.order.balance.value) == (42800, "settled")


def test_holds_stop_a_section_and_are_released_one_by_one() -> None:
    desk = placed()
    for reason in ("fraud", "address", "fraud"):
        desk.decide(partial(_held, desk, reason))
    assert (desk.section(1).status, len(desk.order.holds)) == (SectionStatus.ON_HOLD, 2)
    with pytest.raises(IllegalTransition) as refused:
        ships(desk, 1)
    assert refused.value.figures["holds"] == ["fraud", "address"]
    desk.decide(lambda m: release(desk.order, 1, "fraud", m))
    assert desk.section(1).status is SectionStatus.ON_HOLD
    with pytest.raises(NothingToDo):
        release(desk.order, 1, "fraud", desk.moment)
    desk.decide(lambda m: release(desk.order, 1, "address", m))
    ships(desk, 1)


def test_what_cannot_move_is_refused_with_what_could() -> None:
    unpaid = Desk(a_checkout())
    for act in (lambda: ships(unpaid, 1), lambda: hold(unpaid.order, 1, "x", unpaid.moment)):
        with pytest.raises(IllegalTransition):
            act()
    desk = placed()
    tee, mug = desk.item("TEE").id, desk.item("MUG").id
    with pytest.raises(NothingToDo):
        delivers(desk, 1)
    with pytest.raises(IllegalTransition):
        delivers(desk, 1, Pieces(tee, 1))
    with pytest.raises(Invalid):
        ships(desk, 1, Pieces(mug, 1))
    for quantity in (0, 3):
        with pytest.raises(Invalid):
            ships(desk, 1, Pieces(tee, quantity))
    with pytest.raises(Invalid):
        ships(desk, 3)
    ships(desk, 1)
    with pytest.raises(NothingToDo):
        ships(desk, 1)
    with pytest.raises(Invalid):
        deliver(desk.order, 1, (Pieces(tee, 1),), desk.moment, shipment_id=desk.order.shipments[0].id)
    with pytest.raises(Invalid):
        deliver(desk.order, 2, (), desk.moment, shipment_id=desk.order.shipments[0].id)


def test_an_order_is_completed_with_its_last_parcel() -> None:
    desk = placed()
    for number in (1, 2):
        ships(desk, number)
        delivers(desk, number)
    assert (desk.order.status, desk.order.fulfillment_status) == (OrderStatus.COMPLETED, FulfillmentStatus.DELIVERED)
    assert not desk.due(OperationKind.CAPTURE)
