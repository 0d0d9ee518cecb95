"""The cascade: every derived word comes from the items and the amounts, by the tables of the domain page."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cascade import cascade, fulfillment, paid_status, returns
from domain.checkout import AskedItem, AskedPayment, AskedSection
from domain.fulfillment import hold, release
from domain.gateway import OperationKind, Outcome
from domain.order import Order, changed_entities, differences
from domain.reorder import AskedReorder, Wanted, reorder
from domain.section import Item
from domain.states import (
    BalanceState,
    FulfillmentStatus,
    ItemState,
    OrderStatus,
    PaidStatus,
    ReturnState,
    ReturnStatus,
    SectionStatus,
)
from tests.domain.desk import CATALOG, SEOUL, UNKNOWN, Desk, a_checkout

S = ItemState
F = FulfillmentStatus
P = PaidStatus
MANY = (
    AskedSection(SEOUL, "standard", 3000, (AskedItem("TEE", 2), AskedItem("MUG", 1), AskedItem("PEN", 5))),
    AskedSection(SEOUL, "express", 0, (AskedItem("CARD", 1), AskedItem("TEE", 1))),
)


def placed(capture: str = "automatic") -> Desk:
    desk = Desk(a_checkout(sections=MANY, capture=capture))
    desk.succeed()
    return desk


@given(
    states=st.lists(st.sampled_from([s for s in S if s is not S.PENDING]), min_size=5, max_size=5),
    returned=st.lists(st.sampled_from(list(ReturnState)), min_size=5, max_size=5),
    parts=st.lists(st.integers(0, 1000), min_size=5, max_size=5),
    money=st.lists(st.integers(0, 1000), min_size=4, max_size=4),
    held=st.booleans(),
)
def test_the_cascade_of_any_order_is_settled_after_one_pass(
    states: list[ItemState], returned: list[ReturnState], parts: list[int], money: list[int], held: bool
) -> None:
    desk = placed()
    if held:
        desk.decide(lambda m: hold(desk.order, 1, "fraud", m))
    items = [
        replace(i, state=s, return_state=r, credited=i.paid * part // 1000)
        for i, s, r, part in zip(desk.order.items, states, returned, parts, strict=True)
    ]
    payment = desk.payment(0)
    authorized = payment.amount * money[0] // 1000
    captured = authorized * money[1] // 1000
    refunded = captured * money[2] // 1000
    voided = (authorized - captured) * money[3] // 1000
    payment = replace(payment, authorized=authorized, captured=captured, refunded=refunded, voided=voided)
    before = desk.order.put(*items, payment)
    once = cascade(before)
    assert cascade(once) == once
    assert differences(once, cascade(once)) == []
    for section in once.sections:
        assert section.fulfillment_status is _by_the_page([i.state for i in once.section_items(section)])
    assert once.fulfillment_status is _by_the_page(states)
    assert once.captured - once.refunded - once.target == captured - refunded - (once.total - once.credited)


def _by_the_page(states: list[ItemState]) -> FulfillmentStatus:
    """Domain page 4.4 in its own words; what was lost is on nobody's way any more."""
    alive = [s for s in states if s is not S.CANCELED]
    if not alive:
        return F.CANCELED
    delivered = [s for s in alive if s is S.DELIVERED]
    left = [s for s in alive if s in {S.SHIPPED, S.DELIVERED, S.LOST, S.RETURNED_TO_SENDER}]
    if delivered:
        return F.DELIVERED if all(s in {S.DELIVERED, S.LOST} for s in alive) else F.PARTIALLY_DELIVERED
    if left:
        return F.SHIPPED if len(left) == len(alive) else F.PARTIALLY_SHIPPED
    return F.BACKORDERED if S.BACKORDERED in alive else F.UNFULFILLED


@pytest.mark.parametrize(
    ("target", "authorized", "captured", "refunded", "status"),
    [
        (100, 0, 0, 0, P.UNPAID),
        (100, 40, 0, 0, P.PARTIALLY_AUTHORIZED),
        (100, 100, 0, 0, P.AUTHORIZED),
        (100, 120, 0, 0, P.AUTHORIZED),
        (100, 100, 40, 0, P.PARTIALLY_PAID),
        (100, 100, 100, 0, P.PAID),
        (60, 100, 100, 0, P.OVERPAID),
        (60, 60, 60, 40, P.PARTIALLY_REFUNDED),
        (0, 0, 0, 100, P.REFUNDED),
        (0, 0, 0, 0, P.UNPAID),
    ],
)
def test_payment_status_is_money_against_what_is_owed_now(
    target: int, authorized: int, captured: int, refunded: int, status: PaidStatus
) -> None:
    assert paid_status(target, authorized, captured, refunded) is status


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ("none none", ReturnStatus.NONE),
        ("none requested", ReturnStatus.REQUESTED),
        ("requested approved", ReturnStatus.IN_PROGRESS),
        ("received accepted", ReturnStatus.IN_PROGRESS),
        ("none accepted", ReturnStatus.PARTIALLY_RETURNED),
        ("accepted accepted", ReturnStatus.RETURNED),
        ("rejected none", ReturnStatus.NONE),
    ],
)
def test_return_status_is_how_far_the_way_back_is(states: str, status: ReturnStatus) -> None:
    item = placed().order.items[0]
    items = [replace(item, return_state=ReturnState(s), state=S.DELIVERED) for s in states.split()]
    assert returns(items) is status
    gone = replace(item, state=S.CANCELED, return_state=ReturnState.NONE)
    assert returns([*items, gone]) is status


@pytest.mark.parametrize("states", list(product([S.DELIVERED, S.LOST, S.SHIPPED, S.PREPARING], repeat=2)))
def test_canceled_items_do_not_count_unless_all_are(states: tuple[ItemState, ItemState]) -> None:
    item = placed().order.items[0]
    rows = [replace(item, state=s) for s in states]
    assert fulfillment([*rows, replace(item, state=S.CANCELED)]) is fulfillment(rows)
    assert fulfillment([replace(item, state=S.CANCELED)]) is F.CANCELED


def test_an_order_is_on_hold_only_when_all_that_is_open_is() -> None:
    desk = placed()
    seen = [
        desk.decide(lambda m: hold(desk.order, 1, "fraud", m)).status,
        desk.decide(lambda m: hold(desk.order, 2, "fraud", m)).status,
        desk.decide(lambda m: release(desk.order, 1, "fraud", m)).status,
    ]
    assert seen == [OrderStatus.PLACED, OrderStatus.ON_HOLD, OrderStatus.PLACED]


def test_an_order_is_completed_when_goods_have_arrived_and_no_money_is_due() -> None:
    desk = placed("manual")
    _deliver_all(desk)
    assert (desk.order.status, desk.order.balance) == (OrderStatus.PLACED, BalanceState.DUE)
    paid = placed()
    _deliver_all(paid)
    assert (paid.order.status, paid.order.balance) == (OrderStatus.COMPLETED, BalanceState.SETTLED)
    assert {s.status for s in paid.order.sections} == {SectionStatus.COMPLETED}


def test_a_completed_order_that_waits_for_a_return_is_on_hold_at_once_and_does_not_drift() -> None:
    desk = placed()
    _deliver_all(desk)
    asked = AskedReorder("exchange", (Wanted(desk.item("MUG").id, 1),))
    desk.decide(lambda m: reorder(desk.order, asked, CATALOG, m, command_id=desk.new_id()))
    assert desk.order.status == OrderStatus.ON_HOLD
    assert cascade(desk.order) == desk.order


def test_a_payment_in_doubt_is_a_flag_until_it_is_known() -> None:
    desk = Desk(a_checkout(AskedPayment("card", 62700, "tok")))
    desk.answer(desk.due()[0], UNKNOWN)
    assert desk.order.has_unknown_payment
    desk.succeed()
    assert not desk.order.has_unknown_payment


def test_only_what_differs_becomes_rows() -> None:
    desk = placed()
    before = desk.order
    assert changed_entities(before, before) == {}
    after = cascade(hold(before, 1, "fraud", desk.moment))
    assert set(changed_entities(before, after)) == {"holds", "sections"}
    assert {(d.entity, d.field) for d in differences(before, after)} == {("hold", "created"), ("section", "status")}
    assert ("order", "status") in {(d.entity, d.field) for d in differences(None, after)}


def _deliver_all(desk: Desk) -> None:
    for n in (1, 2):
        desk.ships(n)
        desk.delivers(n)


def test_the_sums_of_the_header_are_those_of_its_parts() -> None:
    order: Order = placed().order
    items: tuple[Item, ...] = order.items
    assert order.items_total == sum(i.gross for i in items) == 2 * 19900 + 14900 + 35 + 10000 + 19900
    assert order.total == order.captured == order.authorized == order.items_total + 3000
    asked = [o for o in order.operations if o.kind is OperationKind.AUTHORIZE]
    assert [o.outcome for o in asked] == [Outcome.SUCCEEDED]
