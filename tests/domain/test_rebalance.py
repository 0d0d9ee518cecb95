"""Each section shows what was paid for it, whichever payments have paid, and given back, for which."""

import pytest

from domain.cancellation import cancel
from domain.capture import capture_shipped
from domain.checkout import AskedPayment
from domain.fulfillment import Pieces, ship
from domain.moment import Moment
from domain.order import Order
from domain.refund import AskedRefund, grant
from domain.states import PaidStatus
from tests.domain.desk import Desk, a_checkout

MIXED = (AskedPayment("points", 20000), AskedPayment("card", 42700, "tok-1"))
TWO_CARDS = (AskedPayment("card", 30000, "tok-1"), AskedPayment("card", 32700, "tok-2"))
FIRST, SECOND = 2 * 19900 + 3000, 14900 + 5000
PAID, REFUNDED, PARTLY = PaidStatus.PAID, PaidStatus.REFUNDED, PaidStatus.PARTIALLY_REFUNDED
LEGS = pytest.mark.parametrize("legs", [(), MIXED, TWO_CARDS], ids=["a card", "points and a card", "two cards"])
POLICIES = ["reverse", "proportional", "card_first", "store_value_first", "section_bound"]


def placed(legs: tuple[AskedPayment, ...], capture: str = "automatic") -> Desk:
    desk = Desk(a_checkout(*legs, capture=capture))
    desk.succeed()
    return desk


def cancels(desk: Desk, section: int) -> None:
    command = desk.new_id()
    desk.decide(lambda m: cancel(desk.order, (), section, m, reason="changed mind", command_id=command))
    desk.succeed()


def refunds(desk: Desk, asked: AskedRefund) -> None:
    command = desk.new_id()
    desk.decide(lambda m: grant(desk.order, asked, m, command_id=command))
    desk.succeed()


def ships(desk: Desk, number: int) -> None:
    """A section leaves, and its money is taken."""
    section, command = desk.section(number), desk.new_id()

    def rule(moment: Moment) -> Order:
        order, value = ship(desk.order, number, (), moment, carrier="CJ", tracking_number="1")
        return capture_shipped(order, value, moment, section_id=section.id, command_id=command)

    desk.decide(rule)
    desk.succeed()


def shown(desk: Desk) -> dict[int, tuple[PaidStatus, int]]:
    """By section: its status, and what its allocations say is captured and not given back."""
    rows = desk.order.allocations
    net = {s.id: sum(a.captured - a.refunded for a in rows if a.section_id == s.id) for s in desk.order.sections}
    return {s.number: (s.payment_status, net[s.id]) for s in desk.order.sections}


@LEGS
def test_a_section_that_is_canceled_leaves_the_other_one_paid(legs: tuple[AskedPayment, ...]) -> None:
    desk = placed(legs)
    cancels(desk, 2)
    assert shown(desk) == {1: (PAID, FIRST), 2: (REFUNDED, 0)}


@LEGS
@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_refunded_of_a_section_is_refunded_there(legs: tuple[AskedPayment, ...], policy: str) -> None:
    desk = placed(legs)
    refunds(desk, AskedRefund((Pieces(desk.item("MUG").id, 1),), policy=policy))  # type: ignore[arg-type]
    assert shown(desk) == {1: (PAID, FIRST), 2: (PARTLY, 5000)}


@LEGS
def test_what_is_taken_with_a_parcel_is_taken_for_its_section(legs: tuple[AskedPayment, ...]) -> None:
    desk = placed(legs, "on_shipment")
    ships(desk, 1)
    assert shown(desk) == {1: (PAID, FIRST), 2: (PaidStatus.AUTHORIZED, 0)}
    cancels(desk, 2)
    assert shown(desk)[1] == (PAID, FIRST)
    assert shown(desk)[2][1] == 0


@LEGS
def test_goodwill_leaves_every_section_settled(legs: tuple[AskedPayment, ...]) -> None:
    desk = placed(legs)
    refunds(desk, AskedRefund(amount=5000))
    assert [status for status, _ in shown(desk).values()] == [PARTLY, PARTLY]
    cancels(desk, 2)
    assert shown(desk) == {1: (PARTLY, FIRST - 5000), 2: (REFUNDED, 0)}
    refunds(desk, AskedRefund((Pieces(desk.item("TEE").id, 2),), shipping=True))
    assert shown(desk) == {1: (REFUNDED, 0), 2: (REFUNDED, 0)}
