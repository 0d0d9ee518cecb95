"""Any captures of any holds: at PGs that capture once, too, nothing that is owed is lost, and our books are theirs."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.cancellation import cancel
from domain.capture import capture, capture_shipped
from domain.checkout import AskedPayment
from domain.errors import Rejected
from domain.fulfillment import Pieces, ship
from domain.gateway import Answer, OperationKind
from domain.moment import Moment
from domain.order import Order
from domain.owing import holder, owed, to_capture
from domain.payment import Operation
from domain.states import BalanceState
from tests.domain.desk import OK, Desk, a_checkout, declined

LEGS = st.lists(st.tuples(st.sampled_from(["points", "card", "card"]), st.integers(1, 9)), min_size=1, max_size=4)
PARTS = (1, 5000, 12000, 20000, 30000)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("capture"),
            st.none() | st.sampled_from(PARTS) | st.integers(1, 62700),
            st.none() | st.integers(0, 3),
        ),
        st.tuples(st.just("ship"), st.integers(1, 2), st.integers(1, 2)),
        st.tuples(st.just("cancel"), st.integers(1, 2), st.integers(1, 2)),
        st.tuples(st.just("answer"), st.booleans(), st.just(0)),
    ),
    max_size=12,
)


class Holds:
    """The holds of PGs, of which some capture once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.held: dict[UUID, int] = {}

    def answer(self, operation: Operation, *, no: bool = False) -> Answer:
        """What the PG does about it; ``no``: it refuses a capture."""
        payment, amount = operation.payment_id, operation.amount
        once = holder(self._desk.order, self._desk.order.payment(payment)) in self._desk.once
        match operation.kind:
            case OperationKind.AUTHORIZE:
                self.held[payment] = amount
            case OperationKind.CAPTURE:
                if no or amount > self.held[payment]:
                    return declined()
                self.held[payment] = 0 if once else self.held[payment] - amount
            case OperationKind.VOID:
                assert self.held[payment] in {0 if once else amount, amount}, "a void lets go of all there is"
                self.held[payment] = 0
            case _:
                pass
        return OK


def placed(legs: list[tuple[str, int]], accounts: list[str], once: list[str], mode: str) -> tuple[Desk, Holds]:
    """An order of 62 700 that is paid by these legs, each at an account of its own choice."""
    whole, left, asked = sum(weight for _, weight in legs), 62700, []
    for n, (method, weight) in enumerate(legs):
        part = left if n == len(legs) - 1 else 62700 * weight // whole
        asked.append(AskedPayment(method, part, "tok" if method == "card" else None))
        left -= part
    desk = Desk(a_checkout(*asked, capture=mode), accounts=accounts[:1])
    desk.once = once
    holds = Holds(desk)
    for account in accounts[1:]:
        desk.accounts = [account]
        all_answered(desk, holds, first=True)
    all_answered(desk, holds)
    return desk, holds


def all_answered(desk: Desk, holds: Holds, *, first: bool = False, no: bool = False) -> None:
    """Until nothing is asked any more, or only the first question; ``no``: a first capture is refused."""
    while due := desk.due():
        desk.answer(due[0], holds.answer(due[0], no=no))
        no = False
        if first:
            return
    assert {p.id: p.capturable for p in desk.order.payments if not p.internal} == holds.held, "our books are not theirs"


def tried(desk: Desk, rule: Callable[[Moment], Order]) -> None:
    """A command; refused, it leaves no trace."""
    try:
        after = rule(desk.moment)
    except Rejected:
        return
    desk.decide(lambda _: after)


def act(desk: Desk, holds: Holds, what: str, first: Any, second: Any) -> None:
    """One step of the life of an order."""
    order = desk.order

    def shipping(moment: Moment) -> Order:
        pieces = [Pieces(i.id, 1) for i in order.section_items(order.section(first)) if second == 1][:1]
        after, value = ship(order, first, pieces, moment, carrier="CJ", tracking_number="1")
        return capture_shipped(after, value, moment, section_id=order.section(first).id, command_id=desk.new_id())

    match what:
        case "capture":
            one = None if second is None else order.payments[second % len(order.payments)].id
            tried(desk, lambda m: capture(order, first, m, payment_id=one))
        case "ship":
            tried(desk, shipping)
        case "cancel":
            some = () if second == 1 else [Pieces(i.id, 1) for i in order.section_items(order.section(first))][:1]
            tried(desk, lambda m: cancel(order, some, first, m, reason="no", command_id=desk.new_id()))
        case _:
            all_answered(desk, holds, no=first)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    legs=LEGS,
    accounts=st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4),
    once=st.sampled_from([["a"], ["b"], ["a", "b"]]),
    mode=st.sampled_from(["manual", "on_shipment"]),
    steps=STEPS,
)
def test_whatever_is_captured_in_whatever_parts_all_that_is_owed_is_had_at_last(
    legs: list[tuple[str, int]], accounts: list[str], once: list[str], mode: str, steps: list[tuple[str, Any, Any]]
) -> None:
    desk, holds = placed(legs, accounts, once, mode)
    for step in steps:
        act(desk, holds, *step)
    for _ in desk.order.payments:
        all_answered(desk, holds)
        tried(desk, lambda m: capture(desk.order, None, m))
    all_answered(desk, holds)
    order = desk.order
    assert to_capture(order) == 0, "something that is owed has been let go"
    assert (order.captured - order.refunded, order.balance) == (owed(order), BalanceState.SETTLED)
