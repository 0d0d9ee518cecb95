"""What PGs are told is free of tax: of each payment, and of what goes back (rule M10)."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cancellation import cancel
from domain.checkout import AskedItem, AskedPayment, AskedSection, CatalogSku
from domain.errors import Rejected
from domain.fulfillment import Pieces
from domain.gateway import OperationKind, Retry
from domain.moment import Routed
from domain.owing import owed
from domain.paying import pay
from domain.payment import PaymentRequest
from domain.refund import AskedRefund, grant
from domain.reorder import AskedReorder, Wanted, reorder
from domain.resolution import call_for
from domain.states import ChangeStatus, RequestStatus
from domain.taking import over
from tests.domain.desk import CATALOG, NOT_EXECUTED, OK, SEOUL, Desk, a_checkout, declined

TAXED, FREE = 19_900, 10_000
"""A shirt, and a gift card, which is sold without tax."""
MIXED = AskedSection(SEOUL, "standard", 0, (AskedItem("TEE", 1), AskedItem("CARD", 2)))
DEAR = {"DEAR": CatalogSku("DEAR", "Large gift card", 50_000, 0, tracked=False, available=0)}
AUTHORIZE, REFUND, VOID = OperationKind.AUTHORIZE, OperationKind.REFUND, OperationKind.VOID
BY_THREE = (AskedPayment("points", 5_000), AskedPayment("card", 15_000, "tok-1"), AskedPayment("card", 19_900, "tok-2"))


def placed(
    *payments: AskedPayment, section: AskedSection = MIXED, discount: int = 0, capture: str = "automatic"
) -> Desk:
    desk = Desk(a_checkout(*payments, sections=(section,), discount=discount, capture=capture))
    desk.succeed()
    return desk


def refunds(desk: Desk, **asked: Any) -> None:
    command = desk.new_id()
    desk.decide(lambda m: grant(desk.order, AskedRefund(**asked), m, command_id=command))


def told(desk: Desk, kind: OperationKind) -> list[int]:
    return [o.tax_free for o in desk.order.operations if o.kind is kind]


def test_a_payment_is_told_what_of_it_has_no_tax() -> None:
    assert told(placed(), AUTHORIZE) == [2 * FREE]


def test_shipping_and_discount_follow_their_rows() -> None:
    section = replace(MIXED, shipping_fee=3_000)
    desk = placed(section=section, discount=3_990)
    cards = desk.item("CARD")
    assert (cards.discount, cards.shipping) == (2_000, 1_504)
    assert told(desk, AUTHORIZE) == [2 * FREE - 2_000 + 1_504]


def test_several_payments_are_told_all_of_it_together() -> None:
    parts = told(placed(*BY_THREE), AUTHORIZE)
    assert sum(parts) == 2 * FREE
    assert parts == [2_506, 7_519, 9_975]


def test_what_goes_back_is_free_as_what_it_was_paid_for() -> None:
    desk = placed()
    cards, shirt = desk.item("CARD"), desk.item("TEE")
    refunds(desk, items=(Pieces(cards.id, 1),))
    assert told(desk, REFUND) == [FREE]
    refunds(desk, items=(Pieces(shirt.id, 1),))
    assert told(desk, REFUND) == [FREE, 0]
    desk.succeed()
    refunds(desk, items=(Pieces(cards.id, 1),))
    assert told(desk, REFUND) == [FREE, 0, FREE]


def test_goodwill_is_free_in_proportion() -> None:
    desk = placed()
    refunds(desk, amount=399)
    assert told(desk, REFUND) == [200]
    refunds(desk, amount=399)
    assert told(desk, REFUND) == [200, 200]


def test_what_goes_back_to_several_payments_is_free_together() -> None:
    desk = placed(*BY_THREE)
    refunds(desk, items=(Pieces(desk.item("TEE").id, 1), Pieces(desk.item("CARD").id, 1)), policy="proportional")
    assert [o.amount for o in desk.order.operations if o.kind is REFUND] == [3_747, 11_241, 14_912]
    assert sum(told(desk, REFUND)) == FREE


def test_a_second_account_and_a_second_try_are_told_the_same() -> None:
    desk = Desk(a_checkout(sections=(MIXED,)))
    desk.answer(desk.due()[0], declined(Retry.OTHER_PG))
    desk.answer(desk.due()[0], NOT_EXECUTED)
    desk.succeed()
    assert told(desk, AUTHORIZE) == [2 * FREE] * 3


def test_a_leg_that_failed_is_planned_again_with_its_part() -> None:
    desk = placed(*BY_THREE)
    refunds(desk, items=(Pieces(desk.item("CARD").id, 2),))
    [first, second] = desk.due(REFUND)
    assert (first.tax_free, second.tax_free) == (9_975, 100)
    assert first.amount + second.amount == 2 * FREE
    desk.answer(first, declined())
    desk.answer(second, OK)
    desk.succeed()
    kept = [o.tax_free for o in desk.order.operations if o.kind is REFUND and o.id != first.id]
    assert sum(kept) == 2_506 + 7_519, "all that the other payments were told"


def test_what_is_released_takes_its_part_with_it() -> None:
    desk = placed(capture="manual")
    command = desk.new_id()
    pieces = (Pieces(desk.item("CARD").id, 2),)
    desk.decide(lambda m: cancel(desk.order, pieces, None, m, reason="x", command_id=command))
    refunds(desk, items=(Pieces(desk.item("TEE").id, 1),))
    desk.succeed()
    assert told(desk, VOID) == [2 * FREE]


@pytest.mark.parametrize("told", [False, True])
def test_only_an_account_that_reports_tax_is_told(monkeypatch: pytest.MonkeyPatch, *, told: bool) -> None:
    routed = Routed("a", 1, {"reason": "first in line"}, reports_tax=told)
    monkeypatch.setattr(Desk, "_route", lambda *_, **__: routed)
    desk = placed()
    refunds(desk, items=(Pieces(desk.item("CARD").id, 2),))
    calls = [call_for(desk.order, o).tax_free for o in desk.order.operations if o.kind in {AUTHORIZE, REFUND}]
    assert calls == [2 * FREE * told] * 2


def waiting_for_an_exchange(old: str, new: str) -> Desk:
    """Two shirts and a gift card are there; one of them is to become something dearer, which is not paid yet."""
    desk = placed(section=AskedSection(SEOUL, "standard", 0, (AskedItem("TEE", 2), AskedItem("CARD", 1))))
    desk.ships(1)
    desk.delivers(1)
    wanted = (Wanted(desk.item(old).id, 1, new),)
    asked, command = AskedReorder("exchange", wanted, return_first=False), desk.new_id()
    desk.decide(lambda m: reorder(desk.order, asked, CATALOG | DEAR, m, command_id=command))
    assert desk.order.changes[-1].status is ChangeStatus.AWAITING_PAYMENT
    return desk


def difference(desk: Desk) -> PaymentRequest:
    [request] = [r for r in desk.order.requests if r.purpose != "checkout"]
    return request


@pytest.mark.parametrize(
    ("old", "new", "back", "free"),
    [("CARD", "TEE", "TEE", 0), ("TEE", "DEAR", "CARD", FREE), ("TEE", "DEAR", "TEE", 0)],
)
def test_an_exchange_that_is_not_paid_yet_counts_for_nothing(old: str, new: str, back: str, free: int) -> None:
    desk = waiting_for_an_exchange(old, new)
    there = next(i for i in desk.order.items if i.sku == back and i.section_id == desk.section(1).id and not i.credited)
    refunds(desk, items=(Pieces(there.id, there.quantity),))
    desk.succeed()
    assert told(desk, REFUND) == [free]
    desk.decide(lambda m: over(desk.order, difference(desk), RequestStatus.CANCELED, m))
    assert sum(told(desk, AUTHORIZE)) - sum(told(desk, REFUND)) == _free(desk)


@pytest.mark.parametrize(("old", "new", "free"), [("CARD", "TEE", 0), ("TEE", "DEAR", 30_100)])
def test_the_difference_is_free_as_far_as_the_new_cost_is(old: str, new: str, free: int) -> None:
    desk = waiting_for_an_exchange(old, new)
    request, command = difference(desk), desk.new_id()
    legs = (AskedPayment("card", request.amount, "tok-2"),)
    desk.decide(lambda m: pay(desk.order, request.id, legs, m, command_id=command))
    desk.succeed()
    assert told(desk, AUTHORIZE) == [FREE, free]


@pytest.mark.parametrize("sku", ["TEE", "CARD"])
def test_all_of_one_kind_is_all_or_nothing(sku: str) -> None:
    desk = placed(section=AskedSection(SEOUL, "standard", 500, (AskedItem(sku, 3),)))
    refunds(desk, amount=701)
    refunds(desk, shipping=True)
    whole = sku == "CARD"
    assert all(o.tax_free == (o.amount if whole else 0) for o in desk.order.operations if o.kind in {AUTHORIZE, REFUND})


@given(
    shirts=st.integers(0, 3),
    cards=st.integers(0, 3),
    fee=st.integers(0, 5_000),
    discount=st.integers(0, 5_000),
    cuts=st.lists(st.floats(0.01, 0.99), max_size=2),
    asked=st.lists(st.one_of(st.integers(1, 9_000), st.sampled_from(["TEE", "CARD", "shipping"])), max_size=6),
    policy=st.sampled_from(["reverse", "proportional", "card_first"]),
)
def test_nothing_drifts(  # noqa: PLR0913 - what an order is made of
    shirts: int, cards: int, fee: int, discount: int, cuts: list[float], asked: list[int | str], policy: str
) -> None:
    """What PGs hold for free is what the order costs for free, as far as the payments that give back allow."""
    rows = [AskedItem(sku, n) for sku, n in (("TEE", shirts), ("CARD", cards)) if n]
    if not rows:
        return
    total = shirts * TAXED + cards * FREE + fee - discount
    ends = sorted({0, total, *(int(total * cut) for cut in cuts)})
    payments = [AskedPayment("card", b - a, f"tok-{b}") for a, b in pairwise(ends)]
    desk = placed(*payments, section=AskedSection(SEOUL, "standard", fee, tuple(rows)), discount=discount)
    assert sum(told(desk, AUTHORIZE)) == _free(desk)
    for what in asked:
        before = len(told(desk, REFUND))
        try:
            if isinstance(what, int):
                refunds(desk, amount=what, policy=policy)
            elif what == "shipping":
                refunds(desk, shipping=True, policy=policy)
            else:
                refunds(desk, items=(Pieces(desk.item(what).id, 1),), policy=policy)
        except (Rejected, StopIteration):
            continue
        desk.succeed()
        off = sum(told(desk, AUTHORIZE)) - sum(told(desk, REFUND)) - _free(desk)
        for operation in [o for o in desk.order.operations if o.kind is REFUND][before:]:
            assert not off or _is_bound(desk, operation.payment_id, more=off > 0)
    if not owed(desk.order):
        assert sum(told(desk, AUTHORIZE)) == sum(told(desk, REFUND))


def _free(desk: Desk) -> int:
    """What of the order's cost has no tax, from its rows."""
    goods = sum(i.paid - i.credited for i in desk.order.items if not i.tax_rate)
    section = desk.section(1)
    shares = sum(i.shipping for i in desk.order.items if not i.tax_rate)
    left = section.shipping_fee - section.shipping_credited
    free = goods + (round(left * shares / section.shipping_fee) if section.shipping_fee else 0)
    cost = owed(desk.order)
    return free - int(free * desk.order.goodwill / (cost + desk.order.goodwill) + 0.5) if cost else 0


def _is_bound(desk: Desk, payment_id: object, *, more: bool) -> bool:
    """The payment has nothing more that is free to give back, or nothing more that is taxed."""
    mine = [o for o in desk.order.operations if o.payment_id == payment_id]
    sums = {
        k: (sum(o.amount for o in mine if o.kind is k), sum(o.tax_free for o in mine if o.kind is k))
        for k in (AUTHORIZE, REFUND)
    }
    (there, free), (back, free_back) = sums[AUTHORIZE], sums[REFUND]
    [last] = [o for o in mine if o.kind is REFUND][-1:]
    if more:
        return free == free_back or last.tax_free == last.amount
    return there - free == back - free_back or last.tax_free == 0
