"""A deposit now, the rest later: placed by the API, paid by API and by link, and given back if a part does not come."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.asking import post
from tests.e2e.page import form_of, text_of
from tests.e2e.problem import pointers, refusal
from tests.e2e.shop import Shop, checkout_body, until
from tests.e2e.stopped import nothing_decided

DEPOSIT, REST = 7700, 50_000
THIRD = 19_000
DAY = timedelta(days=1)
SOON = timedelta(seconds=15)
"""Time enough to pay the first part, on a machine that stands still now and then."""
CARD = {"method": "card", "token": "tok_ok"}


def later(wait: timedelta) -> str:
    """So long from now, as the API writes it."""
    return (datetime.now(UTC) + wait).isoformat()


def plan(*later_parts: tuple[int, str | None], first: int = DEPOSIT) -> list[dict[str, Any]]:
    """A schedule: so much now, the others then."""
    return [
        {"amount": first, "due_at": None},
        *({"amount": amount, "due_at": due_at} for amount, due_at in later_parts),
    ]


def ask(shop: Shop, customer: str, **changes: Any) -> httpx.Response:
    """A checkout that pays the deposit of two parts, its rest due in a month; ``changes`` replace parts of the body."""
    body = {
        "payments": [CARD | {"amount": DEPOSIT}],
        "payment_schedule": plan((REST, later(30 * DAY))),
        "payment_mode": "accumulate",
    }
    return shop.checkout(customer=customer, points=0, **(body | changes))


def begun(shop: Shop, customer: str, **changes: Any) -> dict[str, Any]:
    """An order whose deposit is paid."""
    answer = ask(shop, customer, **changes)
    assert answer.status_code == 201, answer.text
    order: dict[str, Any] = answer.json()
    assert (order["status"], order["payment_requests"][0]["status"]) == ("pending_payment", "partially_paid")
    return order


def parts_of(order: dict[str, Any]) -> list[tuple[int, int, str]]:
    """Amount, what of it is paid, and status of each part."""
    [request] = order["payment_requests"]
    return [(part["amount"], part["paid"], part["status"]) for part in request["schedule"]]


def shelf(shop: Shop) -> list[Any]:
    """Pieces that are held for somebody."""
    return shop.sql("SELECT sku, on_hand, held, committed FROM stock WHERE store_id = 'demo' ORDER BY sku")


def pay(shop: Shop, number: str, *amounts: int) -> httpx.Response:
    """POST payments by card."""
    legs = [CARD | {"amount": amount} for amount in amounts]
    return post(shop.http, f"/v1/orders/{number}/payments", {"payments": legs}, Idempotency_Key=uuid4().hex)


def captured(shop: Shop, number: str, amount: int) -> dict[str, Any]:
    """The order once so much is captured."""

    def found() -> dict[str, Any] | None:
        order = shop.order(number)
        return order if order["totals"]["captured"] == amount else None

    return until(f"{amount} is captured", found)


@pytest.fixture
def browser(shop: Shop) -> Iterator[httpx.Client]:
    """A customer's browser: no key, English."""
    with httpx.Client(base_url=shop.demo["api"], timeout=30, headers={"Accept-Language": "en"}) as client:
        yield client


def approve(browser: httpx.Client, sent: httpx.Response) -> None:
    """On the PG's own page, and back."""
    assert sent.status_code == 303, sent.text
    decided = httpx.post(sent.headers["location"], data={"action": "approve"}, timeout=30)
    assert browser.get(decided.headers["location"]).status_code == 303


# Refusals


REFUSED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "atomic": ({"payment_mode": "atomic"}, {"/payment_mode": "accumulate_required"}),
    "one part": ({"payment_schedule": plan(first=57_700)}, {"/payment_schedule": "too_short"}),
    "thirteen parts": (
        {"payment_schedule": plan(*((4000, later(n * DAY)) for n in range(1, 13)), first=9700)},
        {"/payment_schedule": "too_long"},
    ),
    "a part of nothing": (
        {"payment_schedule": plan((0, later(DAY)), (REST, later(2 * DAY)))},
        {"/payment_schedule/1/amount": "greater_than_equal"},
    ),
    "a deposit that is not now": (
        {"payment_schedule": [{"amount": DEPOSIT, "due_at": later(DAY)}, {"amount": REST, "due_at": later(2 * DAY)}]},
        {"/payment_schedule/0/due_at": "due_at_not_accepted"},
    ),
    "a rest without a time": (
        {"payment_schedule": plan((REST, None))},
        {"/payment_schedule/1/due_at": "due_at_required"},
    ),
    "a rest in the past": (
        {"payment_schedule": plan((REST, later(-DAY)))},
        {"/payment_schedule/1/due_at": "in_the_past"},
    ),
    "too far away": (
        {"payment_schedule": plan((REST, later(61 * DAY)))},
        {"/payment_schedule/1/due_at": "too_far_away"},
    ),
    "not rising": (
        {"payment_schedule": plan((10_000, later(3 * DAY)), (40_000, later(2 * DAY)))},
        {"/payment_schedule/2/due_at": "not_rising"},
    ),
    "no time": (
        {"payment_schedule": plan((REST, "next month"))},
        {"/payment_schedule/1/due_at": "not_a_time"},
    ),
    "a sum that is off": (
        {"payment_schedule": plan((REST - 1, later(DAY)))},
        {"/payment_schedule": "sum_mismatch"},
    ),
}


@pytest.mark.parametrize(("changes", "flaws"), REFUSED.values(), ids=REFUSED)
def test_a_schedule_that_cannot_be_kept_is_refused_where_it_is(
    shop: Shop, changes: dict[str, Any], flaws: dict[str, str]
) -> None:
    before = shelf(shop)
    assert pointers(ask(shop, "c-181", **changes)) == flaws
    assert shelf(shop) == before
    assert shop.http.get("/v1/orders", params={"customer": "c-181"}).json()["items"] == []


@pytest.mark.parametrize(("amount", "due"), [(DEPOSIT - 1, DEPOSIT), (57_701, 57_700)])
def test_a_checkout_pays_its_first_part_or_more_and_no_more_than_all(shop: Shop, amount: int, due: int) -> None:
    problem = refusal(ask(shop, "c-181", payments=[CARD | {"amount": amount}]), 409, "total_mismatch")
    figures = problem["figures"]
    assert (figures["payments"], figures["total"], figures["due"]) == (amount, 57_700, due)
    assert shop.http.get("/v1/orders", params={"customer": "c-181"}).json()["items"] == []


# Paying


def test_an_order_is_placed_once_every_part_is_paid(shop: Shop) -> None:
    second, third = later(10 * DAY), later(20 * DAY)
    order = begun(shop, "c-182", payment_schedule=plan((20_000, second), (30_000, third)))
    number = order["number"]
    assert parts_of(order) == [(7700, 7700, "paid"), (20_000, 0, "due"), (30_000, 0, "upcoming")]
    assert shop.charged(order) == DEPOSIT, "a deposit is captured, not only held"
    [request] = order["payment_requests"]
    due = [datetime.fromisoformat(part["due_at"]) for part in request["schedule"]]
    assert due[1:] == [datetime.fromisoformat(second), datetime.fromisoformat(third)]
    assert request["due_at"] == order["expires_at"] == request["schedule"][1]["due_at"]

    figures = refusal(pay(shop, number, 19_999), 409, "total_mismatch")["figures"]
    assert figures == {"amount": 57_700, "covered": 7700, "left": 50_000, "payments": 19_999, "due": 20_000}
    refusal(pay(shop, number, 50_001), 409, "amount_exceeded")
    refusal(post(shop.http, f"/v1/orders/{number}/refunds", {"amount": 1, "reason": "no"}), 409, "illegal_transition")
    order = pay(shop, number, 5000, 15_000).json()
    assert parts_of(order) == [(7700, 7700, "paid"), (20_000, 20_000, "paid"), (30_000, 0, "due")]
    until("both cards are captured", lambda: shop.charged(shop.order(number)) == 27_700)
    alone = shop.http.get(f"/v1/payment-requests/{request['id']}").json()
    assert (alone["schedule"], alone["due_at"]) == (order["payment_requests"][0]["schedule"], order["expires_at"])
    assert alone["schedule"][2]["due_at"] == alone["due_at"]

    order = pay(shop, number, 30_000).json()
    assert (order["status"], order["payment_status"], order["expires_at"]) == ("placed", "paid", None)
    assert {status for _, _, status in parts_of(order)} == {"paid"}
    assert shop.charged(order) == 57_700
    assert shop.deliver_all(number)["fulfillment_status"] == "delivered"


def test_the_mode_need_not_be_named_and_all_may_be_paid_at_once(shop: Shop) -> None:
    body = checkout_body(points=0, customer="c-183") | {"payment_schedule": plan((REST, later(DAY)))}
    del body["payment_mode"]
    answer = post(shop.http, "/v1/checkouts", body, Idempotency_Key=uuid4().hex)
    assert answer.status_code == 201, answer.text
    order = answer.json()
    assert (order["status"], order["payment_mode"]) == ("placed", "accumulate")
    assert parts_of(order) == [(DEPOSIT, DEPOSIT, "paid"), (REST, REST, "paid")]


def test_the_customer_pays_part_after_part_by_one_link(shop: Shop, browser: httpx.Client) -> None:
    schedule = plan((20_000, later(10 * DAY)), (30_000, later(20 * DAY)))
    answer = ask(shop, "c-184", payments=[], payment_schedule=schedule)
    assert answer.status_code == 201, answer.text
    number, link = answer.json()["number"], answer.json()["payment_requests"][0]["url"]
    for amount, all_left in ((DEPOSIT, 57_700), (20_000, 50_000)):
        page = browser.get(link)
        action, hidden, amounts = form_of(page)
        assert amounts == [str(amount), str(all_left)]
        assert page.text.count(" checked>") == 2, "the next part, and one method"
        assert f'value="{amount}" required checked' in page.text
        approve(browser, browser.post(action, data=hidden | {"method": "card", "amount": str(amount)}))
        captured(shop, number, 57_700 - all_left + amount)
    page = browser.get(link)
    action, hidden, amounts = form_of(page)
    assert (amounts, hidden["amount"]) == ([], "30000")
    assert "Payment plan" in page.text
    assert [page.text.count(f'<span class="soft">{word}') for word in ("paid", "due", "upcoming")] == [2, 1, 0]
    korean = text_of(browser.get(f"{link}?lang=ko"))
    assert "분할 결제 일정" in korean
    assert "30,000 KRW 결제하기" in korean
    approve(browser, browser.post(action, data=hidden | {"method": "card"}))
    until("the order is placed", lambda: shop.order(number)["status"] == "placed")
    assert "Thank you" in browser.get(link).text
    assert shop.charged(shop.order(number)) == 57_700


def test_the_customer_may_pay_all_that_is_left_by_link(shop: Shop, browser: httpx.Client) -> None:
    order = begun(shop, "c-185", payment_schedule=plan((20_000, later(DAY)), (30_000, later(2 * DAY))))
    number, link = order["number"], order["payment_requests"][0]["url"]
    action, hidden, amounts = form_of(browser.get(link))
    assert amounts == ["20000", "50000"]
    sent = [browser.post(action, data=hidden | {"method": "card", "amount": "50000"}) for _ in range(2)]
    approve(browser, sent[0])
    until("the order is placed", lambda: shop.order(number)["status"] == "placed")
    assert len(shop.order(number)["payments"]) == 2, "a double click is one payment"
    assert shop.charged(shop.order(number)) == 57_700


def test_a_page_that_shows_an_amount_which_is_no_longer_due_charges_nothing(shop: Shop, browser: httpx.Client) -> None:
    order = begun(shop, "c-186", payment_schedule=plan((20_000, later(DAY)), (30_000, later(2 * DAY))))
    number, link = order["number"], order["payment_requests"][0]["url"]
    action, hidden, _ = form_of(browser.get(link))
    assert pay(shop, number, 20_000).status_code == 201
    for amount in ("20000", "50000", "1", "-1", "", "x"):
        sent = browser.post(action, data=hidden | {"method": "card", "amount": amount})
        assert (sent.status_code, sent.headers["location"]) == (303, f"{action}&changed")
    assert browser.post(action, data=hidden | {"method": "card"}).headers["location"] == f"{action}&changed"
    assert len(shop.order(number)["payments"]) == 2
    assert shop.charged(shop.order(number)) == 27_700


def three_thirds(shop: Shop, customer: str) -> tuple[str, str]:
    """The number and the link of an order of three equal parts, none of which is paid."""
    thirds = plan((THIRD, later(10 * DAY)), (THIRD, later(20 * DAY)), first=THIRD)
    cheaper = {"discounts": [{"code": "WELCOME", "amount": 5700}], "expected_total": 3 * THIRD}
    answer = ask(shop, customer, payments=[], payment_schedule=thirds, **cheaper)
    assert answer.status_code == 201, answer.text
    return answer.json()["number"], answer.json()["payment_requests"][0]["url"]


def two_tabs(browser: httpx.Client, link: str) -> tuple[str, list[dict[str, str]]]:
    """Where the forms of two tabs go, and what each sends for the first third: only ``once`` tells them apart."""
    tabs = [form_of(browser.get(link)) for _ in range(2)]
    (action, one, amounts), (_, other, _) = tabs
    assert amounts == [str(THIRD), str(3 * THIRD)]
    assert one["once"] != other["once"]
    assert one["left"] == other["left"] == str(3 * THIRD)
    return action, [hidden | {"method": "card", "amount": str(THIRD)} for _, hidden, _ in tabs]


def one_third_is_paid(shop: Shop, number: str) -> None:
    """By one payment, which the PG has taken once; the next third is due."""
    order = captured(shop, number, THIRD)
    assert [(p["amount"], p["status"]) for p in order["payments"]] == [(THIRD, "captured")]
    assert parts_of(order) == [(THIRD, THIRD, "paid"), (THIRD, 0, "due"), (THIRD, 0, "upcoming")]
    assert [o["operation"] for o in shop.ledger(order) if o["status"] == "succeeded"] == ["authorize", "capture"]
    assert shop.charged(order) == THIRD


def asked(shop: Shop, number: str) -> list[tuple[str, str | None]]:
    """What became of each payment that was asked for by link, and why not."""
    look = "SELECT status, problem->>'code' FROM command WHERE number = $1 AND kind = 'pay' ORDER BY status"
    return shop.sql(look, number)


def test_a_tab_that_was_open_before_its_part_was_paid_pays_no_other_and_shows_what_is_paid(
    shop: Shop, browser: httpx.Client
) -> None:
    number, link = three_thirds(shop, "c-189")
    action, (first, second) = two_tabs(browser, link)
    pg = browser.post(action, data=first)
    early = browser.post(action, data=second)
    assert (early.status_code, early.headers["location"]) == (303, action)
    waiting = text_of(browser.get(action))
    assert "Your payment is waiting for you" in waiting
    assert "To pay now 19,000 KRW" in waiting
    assert "Already paid" not in waiting
    approve(browser, pg)
    one_third_is_paid(shop, number)

    late = browser.post(action, data=second)
    assert (late.status_code, late.headers["location"]) == (303, f"{action}&changed")
    page = browser.get(late.headers["location"])
    assert "Nothing was charged just now" in page.text
    assert "KST" in page.text, "by the clock of the store"
    assert [page.text.count(f'<span class="soft">{word}') for word in ("paid", "due", "upcoming")] == [1, 1, 1]
    assert "Already paid 19,000 KRW" in text_of(page)
    _, anew, amounts = form_of(page)
    assert (anew["left"], amounts) == (str(2 * THIRD), [str(THIRD), str(2 * THIRD)])
    one_third_is_paid(shop, number)


def test_two_tabs_that_ask_for_a_part_before_either_is_decided_are_one_payment(
    shop: Shop, browser: httpx.Client
) -> None:
    number, link = three_thirds(shop, "c-190")
    action, forms = two_tabs(browser, link)
    with ThreadPoolExecutor(max_workers=len(forms)) as tabs, nothing_decided(shop):
        sending = [tabs.submit(browser.post, action, data=form) for form in forms]
        until("both are accepted", lambda: [status for status, _ in asked(shop, number)] == ["accepted", "accepted"])
    sent = [tab.result() for tab in sending]
    assert asked(shop, number) == [("applied", None), ("rejected", "total_mismatch")]
    [payment] = shop.order(number)["payments"]
    pg = payment["next_action"]["url"]
    assert {answer.status_code for answer in sent} == {303}
    assert pg in {answer.headers["location"] for answer in sent} <= {pg, action}, "to the one payment, or to the page"
    assert "Your payment is waiting for you" in browser.get(action).text
    approve(browser, next(answer for answer in sent if answer.headers["location"] == pg))
    one_third_is_paid(shop, number)


# Not paying


def test_a_second_part_that_does_not_come_in_time_gives_everything_back(shop: Shop, browser: httpx.Client) -> None:
    stock, points = shelf(shop), shop.points("c-187")
    legs = [{"method": "points", "amount": 1700}, CARD | {"amount": 6000}]
    order = begun(shop, "c-187", payments=legs, payment_schedule=plan((REST, later(SOON))))
    number, link = order["number"], order["payment_requests"][0]["url"]
    assert shop.charged(order) == 6000
    assert shelf(shop) != stock
    assert shop.points("c-187") == (points[0], points[1] + 1700)
    until("its time is over", lambda: shop.order(number)["status"] == "expired")
    until("the deposit is back", lambda: shop.charged(shop.order(number)) == 0)
    until("the books agree", lambda: shop.order(number)["totals"]["refunded"] == 6000)
    until("its stock and points are free again", lambda: (shelf(shop), shop.points("c-187")) == (stock, points))
    assert "no longer valid" in browser.get(link).text
    refusal(pay(shop, number, REST), 409, "illegal_transition")


def test_an_order_whose_rest_is_missing_can_be_canceled_and_gives_the_deposit_back(shop: Shop) -> None:
    number = begun(shop, "c-188")["number"]
    shop.applied(number, "cancellations", {"reason": "changed mind"})
    until("the deposit is back", lambda: shop.charged(shop.order(number)) == 0)
    assert shop.order(number)["status"] == "canceled"
