"""A schedule: parts that add up, due times that were agreed, money that fills the parts in their order."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cancellation import cancel
from domain.checkout import AskedPayment, Checkout, quote
from domain.errors import AmountExceeded, IllegalTransition, Invalid, TotalMismatch
from domain.gateway import OperationKind
from domain.payment import Part, PaymentRequest
from domain.refund import AskedRefund, grant
from domain.schedule import LONGEST_SCHEDULE, AskedPart, action_due, agreed, due_time, next_amount, standing
from domain.states import ItemState, OrderStatus, RequestStatus, TenderStatus
from tests.domain.desk import CATALOG, OK, START, Desk, a_checkout, declined
from tests.domain.scheduled import SECOND, THIRD, WINDOW, expires, pays, scheduled
from tests.domain.test_paying_actions import deposit

DAY = timedelta(days=1)
A_TABLE = (Part(10_000, WINDOW), Part(20_000, SECOND), Part(32_700, THIRD))


def a_request(paid: int = 0, due_at: datetime = WINDOW, schedule: tuple[Part, ...] = A_TABLE) -> PaymentRequest:
    """A request by itself."""
    ids = Desk(a_checkout()).order
    amount = sum(part.amount for part in schedule)
    return PaymentRequest(
        ids.id, ids.id, "order", amount, RequestStatus.OPEN, "checkout", due_at, paid, schedule=schedule
    )


def asked(*parts: tuple[int, datetime | None]) -> tuple[AskedPart, ...]:
    """Parts as a client asks for them."""
    return tuple(AskedPart(amount, due_at) for amount, due_at in parts)


# What may be agreed


GOOD = asked((10_000, None), (52_700, SECOND))
FLAWS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "atomic": ({"payment_mode": "atomic"}, {"/payment_mode": "accumulate_required"}),
    "one part": ({"payment_schedule": asked((62_700, None))}, {"/payment_schedule": "too_short"}),
    "thirteen parts": (
        {"payment_schedule": asked((10_000, None), *((4000, START + n * DAY) for n in range(1, 13)))},
        {"/payment_schedule": "too_long"},
    ),
    "a part of nothing": (
        {"payment_schedule": asked((62_700, None), (0, SECOND))},
        {"/payment_schedule/1/amount": "too_small"},
    ),
    "a part that takes away": (
        {"payment_schedule": asked((-1, None), (62_701, SECOND))},
        {"/payment_schedule/0/amount": "too_small"},
    ),
    "a deposit that is not now": (
        {"payment_schedule": asked((10_000, SECOND), (52_700, THIRD))},
        {"/payment_schedule/0/due_at": "due_at_not_accepted"},
    ),
    "a rest without a time": (
        {"payment_schedule": asked((10_000, None), (52_700, None))},
        {"/payment_schedule/1/due_at": "due_at_required"},
    ),
    "due this very moment": (
        {"payment_schedule": asked((10_000, None), (52_700, START))},
        {"/payment_schedule/1/due_at": "in_the_past"},
    ),
    "two at one time": (
        {"payment_schedule": asked((10_000, None), (20_000, SECOND), (32_700, SECOND))},
        {"/payment_schedule/2/due_at": "not_rising"},
    ),
    "the later one before": (
        {"payment_schedule": asked((10_000, None), (20_000, THIRD), (32_700, SECOND))},
        {"/payment_schedule/2/due_at": "not_rising"},
    ),
    "too far away": (
        {"payment_schedule": asked((10_000, None), (52_700, START + LONGEST_SCHEDULE + timedelta(microseconds=1)))},
        {"/payment_schedule/1/due_at": "too_far_away"},
    ),
    "less than the total": (
        {"payment_schedule": asked((10_000, None), (52_699, SECOND))},
        {"/payment_schedule": "sum_mismatch"},
    ),
    "more than the total": (
        {"payment_schedule": asked((10_001, None), (52_700, SECOND))},
        {"/payment_schedule": "sum_mismatch"},
    ),
    "all at once": (
        {"payment_mode": "atomic", "payment_schedule": asked((0, THIRD), (20_000, None), (1, START - DAY))},
        {
            "/payment_mode": "accumulate_required",
            "/payment_schedule/0/amount": "too_small",
            "/payment_schedule/0/due_at": "due_at_not_accepted",
            "/payment_schedule/1/due_at": "due_at_required",
            "/payment_schedule/2/due_at": "in_the_past",
        },
    ),
}


def priced(checkout: Checkout) -> int:
    """The total of a checkout that is taken."""
    return quote(checkout, CATALOG, currency="KRW", now=START).total


@pytest.mark.parametrize(("changed", "flaws"), FLAWS.values(), ids=FLAWS)
def test_a_schedule_that_cannot_be_kept_is_pointed_at(changed: dict[str, Any], flaws: dict[str, str]) -> None:
    terms: dict[str, Any] = {"payment_mode": "accumulate", "payment_schedule": GOOD} | changed
    with pytest.raises(Invalid) as refused:
        priced(replace(a_checkout(), **terms))
    assert {flaw.pointer: flaw.code for flaw in refused.value.flaws} == flaws


def test_parts_that_do_not_add_up_are_answered_with_the_figures() -> None:
    with pytest.raises(Invalid) as refused:
        priced(scheduled(parts=asked((10_000, None), (50_000, SECOND))))
    assert refused.value.figures == {"total": 62_700, "payment_schedule": 60_000}


@pytest.mark.parametrize("parts", [2, 12])
def test_the_last_part_may_be_as_far_away_as_the_stock_is_held(parts: int) -> None:
    last = START + LONGEST_SCHEDULE
    later = [(1000, last - n * DAY) for n in reversed(range(1, parts - 1))]
    left = 62_700 - 10_000 - 1000 * len(later)
    assert priced(scheduled(parts=asked((10_000, None), *later, (left, last)))) == 62_700


@pytest.mark.parametrize("paid", [(10_000,), (4000, 6000), (10_001,), (30_000,), (62_700,), ()])
def test_a_checkout_pays_the_first_part_or_more_or_nothing_yet(paid: tuple[int, ...]) -> None:
    assert priced(replace(scheduled(), payments=tuple(AskedPayment("card", a, "tok") for a in paid))) == 62_700


@pytest.mark.parametrize(("paid", "due"), [((9999,), 10_000), ((4000, 5000), 10_000), ((62_701,), 62_700)])
def test_a_checkout_that_pays_less_than_the_first_part_or_more_than_all_is_refused(
    paid: tuple[int, ...], due: int
) -> None:
    with pytest.raises(TotalMismatch, match=f"due is {due}$") as refused:
        priced(replace(scheduled(), payments=tuple(AskedPayment("card", a, "tok") for a in paid)))
    figures = refused.value.figures
    assert (figures["payments"], figures["total"], figures["due"]) == (sum(paid), 62_700, due)


@pytest.mark.parametrize(
    ("window", "first"),
    [(WINDOW, WINDOW), (SECOND, SECOND), (SECOND + DAY, SECOND)],
    ids=["before the second part", "with it", "after it"],
)
def test_the_first_part_is_due_with_the_window_but_never_after_the_second(window: datetime, first: datetime) -> None:
    assert agreed(GOOD, window) == (Part(10_000, first), Part(52_700, SECOND))
    assert agreed((), window) == ()


# Where a request stands


@pytest.mark.parametrize(
    ("paid", "due", "following", "statuses"),
    [
        (0, WINDOW, 10_000, "due upcoming upcoming"),
        (9_999, WINDOW, 1, "due upcoming upcoming"),
        (10_000, SECOND, 20_000, "paid due upcoming"),
        (10_001, SECOND, 19_999, "paid due upcoming"),
        (29_999, SECOND, 1, "paid due upcoming"),
        (30_000, THIRD, 32_700, "paid paid due"),
        (62_699, THIRD, 1, "paid paid due"),
    ],
)
def test_the_first_part_that_is_not_covered_is_waited_for(
    paid: int, due: datetime, following: int, statuses: str
) -> None:
    assert due_time(a_request(), paid) == due
    request = a_request(paid, due)
    assert next_amount(request, paid) == following
    parts = standing(request)
    assert [p.status for p in parts] == statuses.split()
    assert sum(p.paid for p in parts) == paid
    assert next(p.due_at for p in parts if p.status == "due") == due


def test_a_request_that_is_paid_waits_for_nothing_more() -> None:
    request = a_request(62_700, THIRD)
    assert due_time(request, 62_700) == THIRD
    assert {p.status for p in standing(request)} == {"paid"}
    assert next_amount(request, 62_700) == 0


def test_a_request_without_a_schedule_is_one_part() -> None:
    request = replace(a_request(20_000), schedule=())
    assert (due_time(request, 20_000), next_amount(request, 20_000), standing(request)) == (WINDOW, 42_700, ())


SCHEDULES = st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), min_size=2, max_size=12)


@given(SCHEDULES, st.data())
def test_however_much_is_paid_the_parts_add_up_to_the_request(
    drawn: list[tuple[int, int]], data: st.DataObject
) -> None:
    times = [START + timedelta(seconds=s) for s in accumulate(seconds for _, seconds in drawn)]
    parts = asked(*((amount, at if n else None) for n, ((amount, _), at) in enumerate(zip(drawn, times, strict=True))))
    schedule = agreed(parts, WINDOW)
    request = a_request(due_at=schedule[0].due_at, schedule=schedule)
    assert [p.amount for p in schedule] == [amount for amount, _ in drawn]
    dues = [p.due_at for p in schedule]
    assert dues == sorted(dues)
    assert dues[1:] == times[1:]
    before: datetime | None = None
    for paid in sorted(data.draw(st.lists(st.integers(0, request.amount), min_size=1, max_size=5))):
        request = replace(request, paid=paid, due_at=due_time(request, paid))
        stand = standing(request)
        assert sum(p.amount for p in stand) == request.amount
        assert sum(p.paid for p in stand) == paid
        assert all(0 <= p.paid <= p.amount for p in stand)
        assert [p.status for p in stand] == sorted((p.status for p in stand), key=["paid", "due", "upcoming"].index)
        assert sum(p.status == "due" for p in stand) == (paid < request.amount)
        assert all((p.paid == p.amount) == (p.status == "paid") for p in stand)
        assert next_amount(request, paid) == sum(p.amount - p.paid for p in stand if p.status == "due")
        assert request.due_at is not None
        assert before is None or before <= request.due_at, "paying never brings a due time nearer"
        before = request.due_at


# An order that is paid by schedule


def test_each_part_moves_the_time_until_all_is_paid_and_the_order_is_placed() -> None:
    desk = Desk(scheduled())
    assert (desk.order.expires_at, desk.order.requests[0].due_at) == (WINDOW, WINDOW)
    seen = []
    for amount in (0, 20_000, 32_700):
        if amount:
            pays(desk, amount)
        desk.succeed()
        request = desk.order.requests[0]
        seen.append((request.paid, request.status.value, request.due_at, desk.order.expires_at))
    assert seen == [
        (10_000, "partially_paid", SECOND, SECOND),
        (30_000, "partially_paid", THIRD, THIRD),
        (62_700, "paid", THIRD, None),
    ]
    assert (desk.order.status, desk.order.captured) == (OrderStatus.PLACED, 62_700)
    assert sum(a.captured for a in desk.order.allocations) == 62_700


def test_two_parts_paid_at_once_are_both_behind() -> None:
    desk = Desk(scheduled(AskedPayment("card", 10_000, "tok"), AskedPayment("card", 20_000, "tok")))
    desk.succeed()
    assert (desk.order.expires_at, [p.status for p in standing(desk.order.requests[0])]) == (
        THIRD,
        ["paid", "paid", "due"],
    )
    whole = Desk(scheduled(AskedPayment("card", 62_700, "tok")))
    whole.succeed()
    assert whole.order.status is OrderStatus.PLACED


def test_a_payment_of_a_part_is_the_next_part_or_more_up_to_the_rest() -> None:
    desk = Desk(scheduled())
    with pytest.raises(TotalMismatch) as early:
        pays(desk, 19_999)  # The first part may still be charged: the second is what comes next.
    assert early.value.figures["covered"] == 10_000
    desk.succeed()
    with pytest.raises(TotalMismatch) as little:
        pays(desk, 19_999)
    assert little.value.figures == {
        "amount": 62_700,
        "covered": 10_000,
        "left": 52_700,
        "payments": 19_999,
        "due": 20_000,
    }
    with pytest.raises(AmountExceeded):
        pays(desk, 52_701)
    pays(desk, 12_000, 9000)
    desk.succeed()
    pays(desk, 31_700)
    desk.succeed()
    assert desk.order.status is OrderStatus.PLACED


def test_after_a_declined_card_the_rest_of_its_part_is_what_comes_next() -> None:
    desk = Desk(scheduled())
    desk.succeed()
    pays(desk, 15_000, 5000)
    desk.answer(desk.due()[0], OK)
    desk.answer(desk.due()[0], declined())
    assert (desk.order.requests[0].paid, desk.order.expires_at) == (25_000, SECOND)
    with pytest.raises(TotalMismatch):
        pays(desk, 4999)
    pays(desk, 5000)
    desk.succeed()
    assert desk.order.expires_at == THIRD


@pytest.mark.parametrize("declined_first", [True, False])
def test_an_unpaid_first_part_expires_with_the_payment_window(declined_first: bool) -> None:
    desk = Desk(scheduled() if declined_first else replace(scheduled(), payments=()))
    if declined_first:
        desk.answer(desk.due()[0], declined())
    seen = []
    for late in (WINDOW - timedelta(microseconds=1), WINDOW):
        expires(desk, late)
        seen.append(desk.order.status)
    assert seen == [OrderStatus.PENDING_PAYMENT, OrderStatus.EXPIRED]


def test_a_part_that_is_missing_exactly_when_it_is_due_gives_everything_back_the_last_taken_first() -> None:
    desk = Desk(scheduled(AskedPayment("points", 4000), AskedPayment("card", 6000, "tok")))
    desk.succeed()
    pays(desk, 20_000)
    desk.succeed()
    expires(desk, THIRD - timedelta(microseconds=1))
    assert (desk.order.status, desk.order.captured) == (OrderStatus.PENDING_PAYMENT, 26_000)
    expires(desk, THIRD)
    assert desk.order.status is OrderStatus.EXPIRED
    assert {i.state for i in desk.order.items} == {ItemState.CANCELED}, "its stock is free again"
    assert [(o.kind, o.amount) for o in desk.due()] == [(OperationKind.REFUND, 20_000), (OperationKind.REFUND, 6000)]
    desk.succeed()
    assert (desk.order.refunded, desk.held_points, desk.points) == (26_000, 0, 10**9)
    assert sum(p.exposed for p in desk.order.payments) == 0


def test_a_part_in_doubt_when_it_is_due_is_given_back_too_if_it_turns_out_to_have_been_paid() -> None:
    desk = Desk(scheduled())
    desk.succeed()
    pays(desk, 20_000)
    expires(desk, SECOND)
    assert [o.abandoning for o in desk.due(OperationKind.AUTHORIZE)] == [True]
    desk.succeed()
    assert (desk.order.status, desk.order.captured, desk.order.refunded) == (OrderStatus.EXPIRED, 30_000, 30_000)


def test_while_parts_are_missing_nothing_can_be_refunded_in_part_and_all_can_be_canceled() -> None:
    desk = Desk(scheduled())
    desk.succeed()
    with pytest.raises(IllegalTransition):
        grant(desk.order, AskedRefund(amount=1), desk.moment, command_id=None)
    desk.decide(lambda m: cancel(desk.order, (), None, m, reason="changed mind", command_id=None))
    desk.succeed()
    assert (desk.order.status, desk.order.refunded) == (OrderStatus.CANCELED, 10_000)


# Deposits


@pytest.mark.parametrize(("days", "waits"), [(2, 2 * DAY), (9, 5 * DAY)])
def test_the_first_part_waits_for_a_deposit_as_any_request_does(days: int, waits: timedelta) -> None:
    desk = Desk(scheduled(AskedPayment("virtual_account", 10_000)), accounts=("a",))
    desk.answer(desk.due()[0], deposit(days))
    assert desk.order.expires_at == desk.order.requests[0].due_at == START + waits
    assert standing(desk.order.requests[0])[0].due_at == START + waits
    desk.now = START + waits - timedelta(hours=1)
    desk.succeed()
    assert desk.order.expires_at == desk.order.requests[0].due_at == SECOND


def test_a_deposit_for_the_first_part_is_not_waited_for_beyond_the_second() -> None:
    soon = START + DAY
    desk = Desk(
        scheduled(AskedPayment("virtual_account", 10_000), parts=asked((10_000, None), (52_700, soon))), accounts=("a",)
    )
    desk.answer(desk.due()[0], deposit(3))
    assert desk.order.expires_at == desk.order.requests[0].due_at == soon
    assert action_due(desk.order.requests[0], desk.payment(0)) == soon


@pytest.mark.parametrize("late", [timedelta(hours=1), 5 * DAY])
def test_a_deposit_for_a_later_part_does_not_move_what_was_agreed(late: timedelta) -> None:
    desk = Desk(scheduled(), accounts=("a",))
    desk.succeed()
    desk.now = SECOND - late
    pays(desk, 20_000, method="virtual_account")
    desk.answer(desk.due()[0], deposit(30))
    assert desk.order.expires_at == desk.order.requests[0].due_at == SECOND
    assert desk.payment(1).status is TenderStatus.AWAITING_DEPOSIT
    assert action_due(desk.order.requests[0], desk.payment(1)) == SECOND
    desk.succeed()
    assert desk.order.expires_at == desk.order.requests[0].due_at == THIRD


def test_what_a_pg_says_is_due_earlier_or_not_at_all_stays_so() -> None:
    request = a_request(due_at=SECOND)
    payment = Desk(a_checkout()).payment(0)
    assert action_due(request, payment) is None
    assert action_due(request, replace(payment, action_due_at=WINDOW)) == WINDOW
    assert action_due(replace(request, due_at=None), replace(payment, action_due_at=THIRD)) == THIRD
