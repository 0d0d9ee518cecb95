"""The page of a link offers what routing would take: nobody is sent to where it cannot be paid."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.page import form_of
from tests.e2e.shop import Shop, until

TOTAL = 57_700


@pytest.fixture
def browser(shop: Shop) -> Iterator[httpx.Client]:
    """A customer's browser: no key."""
    with httpx.Client(base_url=shop.demo["api"], timeout=30) as client:
        yield client


def unpaid(shop: Shop, customer: str) -> tuple[str, str]:
    """The number and the link of an order whose card was refused for good."""
    order = shop.checkout(token="tok_lost", customer=customer, points=0).json()
    [request] = order["payment_requests"]
    return order["number"], request["url"]


def methods_on(browser: httpx.Client, link: str) -> list[str]:
    """What the page lets the customer choose."""
    page = browser.get(f"{link}?lang=en")
    assert page.status_code == 200
    return re.findall(r'name="method" value="([^"]+)"', page.text)


def chosen(browser: httpx.Client, link: str) -> str:
    """Where the page sends a customer who chooses the card."""
    action, hidden, _ = form_of(browser.get(f"{link}?lang=en"))
    sent = browser.post(action, data=hidden | {"method": "card"})
    assert sent.status_code == 303
    return sent.headers["location"]


def failures(shop: Shop, account: str) -> set[tuple[str, str]]:
    """When an account last failed technically, by method, as far as the routing remembers it."""
    health = shop.admin.get("/v1/routing").json()["health"]
    failed = (each for each in health if each["account"] == account and each["last_failure_at"])
    return {(each["method"], each["last_failure_at"]) for each in failed}


@contextmanager
def constrained(shop: Shop, *constraints: dict[str, Any]) -> Iterator[None]:
    """The demo's rule with these constraints; without them again afterwards."""
    before = shop.admin.get("/v1/routing").json()
    rule = {name: before[name] for name in ("strategy", "by", "weights", "fallback", "constraints")}
    shop.admin.put("/v1/routing", json=rule | {"constraints": list(constraints)}).raise_for_status()
    try:
        yield
    finally:
        shop.admin.put("/v1/routing", json=rule).raise_for_status()


def test_what_the_accounts_have_no_page_for_is_not_offered(shop: Shop, browser: httpx.Client) -> None:
    """An account that has no page at all is none of the demo's: `tests/domain/test_offer.py` has one."""
    _, link = unpaid(shop, "c-122")
    known = failures(shop, "stripe-demo")
    with shop.ruled("single", stripe_demo=100):
        assert methods_on(browser, link) == ["card"]
        by_page = [{"method": "transfer", "amount": TOTAL, "return_url": "https://shop.test/back"}]
        refused = shop.checkout(points=0, customer="c-122", payments=by_page).json()["payments"][0]
        by_token = shop.checkout(points=0, customer="c-122").json()
    assert (refused["status"], refused["attempts"]) == ("declined", [])
    assert "stripe-demo: method_not_offered" in refused["decline"]["message"]
    assert shop.charged(shop.order(by_token["number"])) == TOTAL
    assert failures(shop, "stripe-demo") <= known
    assert methods_on(browser, link) == ["card", "transfer"]


def test_what_the_rule_forbids_is_not_offered(shop: Shop, browser: httpx.Client) -> None:
    _, link = unpaid(shop, "c-123")
    assert methods_on(browser, link) == ["card", "transfer"]
    accounts = ("sandbox-a", "sandbox-b")
    with constrained(shop, *({"account": name, "methods": ["card"]} for name in accounts)):
        assert methods_on(browser, link) == ["card"]
        action, hidden, _ = form_of(browser.get(f"{link}?lang=en"))
        assert "changed" in browser.post(action, data=hidden | {"method": "transfer"}).headers["location"]
    with constrained(shop, *({"account": name, "max_amount": TOTAL - 1} for name in accounts)):
        assert "Payment is not possible right now" in browser.get(f"{link}?lang=en").text


def test_what_nobody_can_take_now_is_not_offered(shop: Shop, browser: httpx.Client) -> None:
    _, link = unpaid(shop, "c-124")
    with shop.ruled("single", toss_demo=100):
        assert methods_on(browser, link) == ["card", "transfer", "virtual_account"]
        shop.admin.post("/v1/gateways/toss-demo/pause", headers={"Idempotency-Key": uuid4().hex}).raise_for_status()
        try:
            assert "Payment is not possible right now" in browser.get(f"{link}?lang=en").text
        finally:
            resume = "/v1/gateways/toss-demo/resume"
            shop.admin.post(resume, headers={"Idempotency-Key": uuid4().hex}).raise_for_status()


@dataclass(frozen=True)
class Page:
    """A PG's own page: whose it is, where it lies, and what it says after a refusal and once it is paid."""

    account: str
    path: str
    refused: str
    paid: str


ADYEN = Page("adyen_demo", "/checkoutshopper/link/", "refused", "completed")
STRIPE = Page("stripe_demo", "/c/pay/cs_test_", "declined", "complete")
HOSTED = pytest.mark.parametrize("hosted", [ADYEN, STRIPE], ids=lambda page: page.account)


@HOSTED
@pytest.mark.parametrize(("refusals", "others"), [(0, {}), (1, {"sandbox_a": 1})], ids=["alone", "held first"])
def test_a_link_is_paid_on_the_pgs_own_page(
    shop: Shop, browser: httpx.Client, hosted: Page, refusals: int, others: dict[str, int]
) -> None:
    number, link = unpaid(shop, f"c-{hosted.account}-{refusals}")
    with shop.ruled("priority", **{hosted.account: 100 - len(others)}, **others):
        page = chosen(browser, link)
    assert hosted.path in page
    for _ in range(refusals):
        assert hosted.refused in httpx.post(page, data={"action": "decline"}, timeout=30).text
        assert chosen_again(browser, link, hosted) == page, "the same page, for another card"
    paid = httpx.post(page, data={"action": "pay"}, timeout=30)
    assert paid.status_code == 303
    assert browser.get(paid.headers["location"]).status_code == 303
    until("the order is placed", lambda: shop.order(number)["status"] == "placed")
    order = shop.order(number)
    until("the money is taken", lambda: shop.order(number)["payments"][-1]["captured"] == TOTAL)
    [attempt] = order["payments"][-1]["attempts"]
    assert (attempt["gateway"], shop.charged(order)) == (hosted.account.replace("_", "-"), TOTAL)
    assert "Thank you" in browser.get(f"{link}?lang=en").text
    assert hosted.paid in httpx.post(page, data={"action": "pay"}, timeout=30).text


def chosen_again(browser: httpx.Client, link: str, hosted: Page) -> str:
    """Where the page sends a customer who is waited for."""
    found = re.search(rf'href="([^"]+{hosted.path}[^"]*)"', browser.get(f"{link}?lang=en").text)
    assert found
    return found[1]


@HOSTED
def test_a_pgs_own_page_cannot_be_paid_once_its_order_is_over(shop: Shop, browser: httpx.Client, hosted: Page) -> None:
    number, link = unpaid(shop, f"c-{hosted.account}-over")
    with shop.ruled("single", **{hosted.account: 100}):
        page = chosen(browser, link)
    shop.applied(number, "cancellations", {"reason": "changed mind"})
    until("the page is closed", lambda: "expired" in httpx.get(page, timeout=30).text)
    assert "expired" in httpx.post(page, data={"action": "pay"}, timeout=30).text
    until("the payment is over", lambda: shop.order(number)["payments"][-1]["status"] == "expired")
    assert shop.charged(shop.order(number)) == 0


@pytest.mark.parametrize("fault", [None, "drop_after", "500_after"])
def test_a_checkout_without_a_token_is_held_on_stripes_page_and_captured_later(shop: Shop, fault: str | None) -> None:
    """Though the answer that named the page was lost: the same key, or the list of sessions, names it again."""
    if fault is not None:
        shop.arm(fault, account="stripe-demo")
    by_page = [{"method": "card", "amount": TOTAL, "return_url": "https://shop.test/back"}]
    with shop.ruled("single", stripe_demo=100):
        number = shop.checkout(points=0, customer="c-129", payments=by_page, capture="manual").json()["number"]
    page = until("the page is known", lambda: (shop.order(number)["payments"][0]["next_action"] or {}).get("url"))
    assert STRIPE.path in page
    assert httpx.post(page, data={"action": "pay"}, timeout=30).status_code == 303
    held = until("the webhook has told", lambda: authorized(shop, number))
    assert (held["captured"], shop.charged(shop.order(number)), len(held["attempts"])) == (0, 0, 1)
    shop.applied(number, "captures", {})
    until("it is captured", lambda: shop.charged(shop.order(number)) == TOTAL)


def authorized(shop: Shop, number: str) -> dict[str, Any] | None:
    """The only payment, once it is held."""
    [payment] = shop.order(number)["payments"]
    return payment if payment["status"] == "authorized" else None
