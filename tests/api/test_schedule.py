"""Schedules in JSON and on the pay page: what is taken, what is shown, what is offered."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from api.pay.link import PayLinks
from api.pay.view import offers, view_of
from api.schemas.checkout import CheckoutIn
from api.schemas.example import CARD_CHECKOUT, SCHEDULE_CHECKOUT
from api.schemas.moment import rfc3339
from api.schemas.order import Links, OrderOut, order_out
from domain.checkout import AskedPayment
from domain.errors import Invalid
from domain.order import Order
from domain.schedule import LONGEST_SCHEDULE, AskedPart
from domain.states import OrderStatus
from queries.order import OrderView
from tests.api.test_schemas import changed, refusal
from tests.domain.desk import OK, START, Desk, a_checkout, declined
from tests.domain.scheduled import SECOND, THIRD, WINDOW, expires, pays, scheduled
from tests.domain.test_paying_actions import deposit

LINKS = Links("http://ui", "shops", PayLinks("http://shop", "a secret"))


def shown(order: Order) -> dict[str, Any]:
    """The order as a client reads it."""
    document: dict[str, Any] = json.loads(to_json(order_out(OrderView(order, ()), LINKS)))
    return document


def schedule_of(order: Order) -> list[tuple[int, str, int, str]]:
    """The parts as a client reads them."""
    return [(p["amount"], p["due_at"], p["paid"], p["status"]) for p in shown(order)["payment_requests"][0]["schedule"]]


def begun(*payments: AskedPayment) -> Desk:
    """An order whose first part is paid."""
    desk = Desk(scheduled(*payments), accounts=("a",))
    desk.succeed()
    return desk


# Asking


def test_the_example_of_the_documentation_is_taken_and_pays_in_parts_by_itself() -> None:
    checkout = CheckoutIn.model_validate(SCHEDULE_CHECKOUT).to_domain()
    assert "payment_mode" not in SCHEDULE_CHECKOUT
    assert checkout.payment_mode == "accumulate"
    first, second = checkout.payment_schedule
    assert (first, second.amount) == (AskedPart(5000), 14_900)
    assert second.due_at is not None
    assert timedelta(0) < second.due_at - datetime.now(UTC) < LONGEST_SCHEDULE


def test_without_a_schedule_a_payment_is_atomic_and_a_mode_that_is_named_stays() -> None:
    unnamed = {name: value for name, value in CARD_CHECKOUT.items() if name != "payment_mode"}
    assert CheckoutIn.model_validate(unnamed).to_domain().payment_mode == "atomic"
    assert CheckoutIn.model_validate(unnamed | {"payment_schedule": None}).to_domain().payment_schedule == ()
    atomic = CheckoutIn.model_validate(SCHEDULE_CHECKOUT | {"payment_mode": "atomic"}).to_domain()
    assert atomic.payment_mode == "atomic", "to be refused, not corrected"


def test_a_plain_date_is_included() -> None:
    body = changed(SCHEDULE_CHECKOUT, ("payment_schedule", 1, "due_at"), "2026-12-01")
    [_, second] = CheckoutIn.model_validate(body).to_domain().payment_schedule
    assert second.due_at == datetime(2026, 12, 2, tzinfo=UTC)


PARTS = SCHEDULE_CHECKOUT["payment_schedule"]


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ((), [], "too_short"),
        ((), PARTS[:1], "too_short"),
        ((), PARTS * 7, "too_long"),
        ((), {"0": PARTS[0]}, "list_type"),
        ((0, "amount"), 0, "greater_than_equal"),
        ((0, "amount"), -1, "greater_than_equal"),
        ((0, "amount"), 5000.0, "int_type"),
        ((0, "amount"), None, "int_type"),
        ((1, "due_at"), "tomorrow", "not_a_time"),
        ((1, "due_at"), "2026-12-01T00:00:00", "not_a_time"),
        ((1, "due_at"), 1796083200, "not_a_time"),
        ((1, "paid"), 0, "extra_forbidden"),
    ],
)
def test_a_schedule_that_is_misshapen_is_refused_where_it_is(path: tuple[Any, ...], value: object, code: str) -> None:
    where = ("payment_schedule", *path)
    assert refusal(CheckoutIn, changed(SCHEDULE_CHECKOUT, where, value)) == (where, code)


def test_a_part_lacks_no_amount() -> None:
    with pytest.raises(ValidationError):
        CheckoutIn.model_validate(SCHEDULE_CHECKOUT | {"payment_schedule": [{}, {}]})


# Showing


def test_the_parts_are_shown_as_they_stand() -> None:
    desk = Desk(scheduled(), accounts=("a",))
    first, second, third = rfc3339(WINDOW), rfc3339(SECOND), rfc3339(THIRD)
    assert schedule_of(desk.order) == [
        (10_000, first, 0, "due"),
        (20_000, second, 0, "upcoming"),
        (32_700, third, 0, "upcoming"),
    ]
    desk.succeed()
    pays(desk, 25_000)
    desk.succeed()
    assert schedule_of(desk.order) == [
        (10_000, first, 10_000, "paid"),
        (20_000, second, 20_000, "paid"),
        (32_700, third, 5_000, "due"),
    ]
    order = shown(desk.order)
    [request] = order["payment_requests"]
    assert (request["status"], request["paid"], request["due_at"]) == ("partially_paid", 35_000, third)
    assert (order["expires_at"], request["url"] is not None) == (third, True)
    pays(desk, 27_700)
    desk.succeed()
    assert {part["status"] for part in shown(desk.order)["payment_requests"][0]["schedule"]} == {"paid"}
    assert shown(desk.order)["payment_requests"][0]["url"] is None


def test_a_request_without_a_schedule_shows_none() -> None:
    assert shown(Desk(a_checkout()).order)["payment_requests"][0]["schedule"] == []


def test_an_order_in_parts_has_the_shape_that_the_documentation_tells() -> None:
    order = order_out(OrderView(begun().order, ()), LINKS)
    assert TypeAdapter(OrderOut).validate_python(order, strict=True, extra="forbid") == order


@pytest.mark.parametrize(("days", "until"), [(2, START + timedelta(days=2)), (30, SECOND)])
def test_the_customer_is_told_no_later_time_to_deposit_than_the_part_has(days: int, until: datetime) -> None:
    desk = begun()
    pays(desk, 20_000, method="virtual_account")
    desk.answer(desk.due()[0], deposit(days))
    assert shown(desk.order)["payments"][1]["next_action"]["due_at"] == rfc3339(until)
    view = view_of(desk.order, desk.order.requests[0], desk.now)
    assert view.deposit is not None
    assert (view.state, view.deposit.amount, view.deposit.due_at) == ("deposit", 20_000, until)


# The page


def test_the_page_asks_for_the_next_part_and_offers_all_that_is_left_until_the_last() -> None:
    desk = begun()
    view = view_of(desk.order, desk.order.requests[0], desk.now)
    assert (view.state, view.amounts, view.left, view.due_at) == ("open", (20_000, 52_700), 52_700, SECOND)
    assert [part.status for part in view.parts] == ["paid", "due", "upcoming"]
    pays(desk, 20_000)
    assert view_of(desk.order, desk.order.requests[0], desk.now).state == "busy"
    desk.answer(desk.due()[0], OK)
    view = view_of(desk.order, desk.order.requests[0], desk.now)
    assert (view.state, view.amounts, view.due_at) == ("open", (32_700,), THIRD)
    pays(desk, 32_700)
    desk.succeed()
    assert view_of(desk.order, desk.order.requests[0], desk.now).state == "paid"


def test_after_a_decline_the_same_part_is_asked_for_again() -> None:
    desk = begun()
    pays(desk, 20_000)
    desk.answer(desk.due()[0], declined())
    view = view_of(desk.order, desk.order.requests[0], desk.now)
    assert (view.state, view.amounts, view.declined) == ("open", (20_000, 52_700), "generic")


def test_the_page_of_an_order_that_was_given_back_says_that_it_is_over() -> None:
    desk = begun()
    expires(desk, SECOND)
    assert desk.order.status is OrderStatus.EXPIRED
    assert view_of(desk.order, desk.order.requests[0], desk.now).state == "over"


def test_the_page_of_a_request_without_a_schedule_offers_all_of_it() -> None:
    desk = Desk(a_checkout())
    desk.answer(desk.due()[0], declined())
    view = view_of(desk.order, desk.order.requests[0], desk.now)
    assert (view.amounts, view.parts) == ((62_700,), ())


@pytest.mark.parametrize(
    ("limits", "amounts", "methods"),
    [
        ({"card": (1, 99), "transfer": (1, 99)}, (20, 50), ["card", "transfer"]),
        ({"card": (1, 30), "transfer": (1, 99)}, (20,), ["card", "transfer"]),
        ({"card": (30, 99), "transfer": (60, 99)}, (50,), ["card"]),
        ({"card": (1, 9)}, (), []),
        ({}, (), []),
    ],
    ids=["both take both", "one takes only the part", "one takes only the rest", "none takes any", "no account"],
)
def test_every_method_that_is_offered_takes_every_amount_that_is_offered(
    limits: dict[str, tuple[int, int]], amounts: tuple[int, ...], methods: list[str]
) -> None:
    taken = offers((20, 50), lambda amount: [m for m, (low, high) in limits.items() if low <= amount <= high])
    assert taken == (amounts, methods)


def test_a_schedule_in_an_atomic_checkout_points_at_the_mode() -> None:
    with pytest.raises(Invalid) as refused:
        Desk(replace(scheduled(), payment_mode="atomic"))
    assert [(f.pointer, f.code) for f in refused.value.flaws] == [("/payment_mode", "accumulate_required")]
