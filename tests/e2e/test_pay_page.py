"""A customer pays by link: the page, the PG's own page, and back; and links that open nothing."""

import re
from collections.abc import Iterator
from html import unescape
from uuid import uuid4

import httpx
import pytest

from tests.e2e.shop import Shop, until


def unpaid(shop: Shop, customer: str) -> tuple[str, str]:
    """The number and the link of an order whose card was refused for good."""
    order = shop.checkout(token="tok_lost", customer=customer, points=0).json()
    [request] = order["payment_requests"]
    assert request["url"].startswith(f"{shop.demo['api']}/pay/")
    return order["number"], request["url"]


def form_of(page: httpx.Response, **chosen: str) -> tuple[str, dict[str, str]]:
    """Where the page's form goes, and its fields as a browser sends them."""
    assert page.status_code == 200, page.text
    found = re.search(r'<form method="post" action="([^"]+)"', page.text)
    assert found, page.text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)"', page.text))
    return unescape(found[1]), hidden | chosen


@pytest.fixture
def browser(shop: Shop) -> Iterator[httpx.Client]:
    """A customer's browser: no key."""
    with httpx.Client(base_url=shop.demo["api"], timeout=30) as client:
        yield client


@pytest.mark.parametrize(("decision", "status"), [("approve", "placed"), ("decline", "pending_payment")])
def test_a_customer_pays_on_the_pgs_page_and_comes_back(
    shop: Shop, browser: httpx.Client, decision: str, status: str
) -> None:
    number, link = unpaid(shop, f"c-{90 + len(decision)}")
    action, form = form_of(browser.get(link, headers={"Accept-Language": "en"}), method="card")
    sent = [browser.post(action, data=form) for _ in range(2)]
    assert {answer.status_code for answer in sent} == {303}
    assert len(shop.order(number)["payments"]) == 2, "a double click is one payment"
    pg = sent[0].headers["location"]
    assert pg.startswith(shop.demo["sandbox"])
    decided = httpx.post(pg, data={"action": decision}, timeout=30)
    assert decided.status_code == 303
    home = browser.get(decided.headers["location"])
    assert home.status_code == 303
    until(f"the order is {status}", lambda: shop.order(number)["status"] == status)
    said = "Thank you" if decision == "approve" else 'role="alert"'
    until("the page says what became of it", lambda: said in browser.get(f"{link}?lang=en").text)
    after = browser.get(f"{link}?lang=en")
    if decision == "approve":
        assert "Thank you" in after.text
        assert shop.charged(shop.order(number)) == 57700
    else:
        assert 'role="alert"' in after.text
        assert form_of(after)[1]["once"] != form["once"]
        assert shop.charged(shop.order(number)) == 0


def test_whatever_else_is_brought_back_is_no_error_and_is_not_kept(shop: Shop, browser: httpx.Client) -> None:
    number, link = unpaid(shop, "c-96")
    action, form = form_of(browser.get(link, headers={"Accept-Language": "en"}), method="card")
    pg = browser.post(action, data=form).headers["location"]
    payment = shop.order(number)["payments"][-1]
    many = {f"name{n}": "x" for n in range(60)}
    returns = [
        browser.get(f"{link}/back?paymentKey=%00&lang=%00"),
        browser.get(f"{link}/back?%00=x"),
        browser.get(f"{link}/back", params=many),
        browser.post(f"{link}/back", data=many),
        browser.post(f"{link}/back", content=b"paymentKey=%00"),
        browser.post(f"{link}/back", content=b"x" * 20_000),
    ]
    assert [answer.status_code for answer in returns] == [303] * 6
    for details in (many, {"paymentKey": "\x00"}, {f"n{n}": "x" * 4000 for n in range(5)}):
        path = f"/v1/orders/{number}/payments/{payment['id']}/completions"
        refused = shop.http.post(path, json={"details": details}, headers={"Idempotency-Key": str(uuid4())})
        assert refused.status_code == 422, refused.text
    decided = httpx.post(pg, data={"action": "approve"}, timeout=30)
    assert browser.get(decided.headers["location"]).status_code == 303
    until("the order is placed", lambda: shop.order(number)["status"] == "placed")
    assert shop.charged(shop.order(number)) == 57700


def test_the_page_speaks_both_languages_and_keeps_to_itself(shop: Shop, browser: httpx.Client) -> None:
    number, link = unpaid(shop, "c-99")
    korean = browser.get(link, headers={"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"})
    english = browser.get(f"{link}?lang=en", headers={"Accept-Language": "ko"})
    assert '<html lang="ko">' in korean.text
    assert "결제 금액" in korean.text
    assert '<html lang="en">' in english.text
    assert "57,700 KRW" in english.text
    assert number in english.text
    assert english.headers["cache-control"] == "no-store"
    assert english.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in english.headers["content-security-policy"]
    assert "Minji" not in english.text, "the link shows nobody's name or address"


def test_the_request_by_its_id_names_its_order_and_link(shop: Shop) -> None:
    number, link = unpaid(shop, "c-98")
    [request] = shop.order(number)["payment_requests"]
    found = shop.http.get(f"/v1/payment-requests/{request['id']}").json()
    assert (found["order"], found["url"], found["amount"], found["currency"]) == (number, link, 57700, "KRW")
    missing = shop.http.get(f"/v1/payment-requests/{uuid4()}")
    assert (missing.status_code, missing.json()["code"]) == (404, "payment_request_not_found")


def test_a_link_that_is_paid_or_forged_opens_nothing_to_pay(shop: Shop, browser: httpx.Client) -> None:
    number, link = unpaid(shop, "c-97")
    shop.applied(number, "cancellations", {"reason": "changed mind"})
    assert "no longer valid" in browser.get(f"{link}?lang=en").text
    forged = link[:-1] + ("A" if link[-1] != "A" else "B")
    for bad in (forged, link[:-5], f"{shop.demo['api']}/pay/%00", f"{shop.demo['api']}/pay/x"):
        assert browser.get(bad).status_code == 404
        assert browser.post(bad, data={"method": "card"}).status_code in {404, 405}


def test_whoever_guesses_links_is_slowed_down(browser: httpx.Client) -> None:
    answers = {browser.get(f"/pay/{'A' * 43}").status_code for _ in range(30)}
    assert answers == {404, 429}
