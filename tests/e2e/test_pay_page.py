"""A customer pays by link: the page, the PG's own page, and back; and links that open nothing."""

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.e2e.page import form_of, text_of
from tests.e2e.shop import Shop, until
from tests.e2e.stopped import nothing_decided

CHECKING = "We are checking your payment"
SENT_AWAY = "Your payment is waiting for you"


def unpaid(shop: Shop, customer: str, token: str = "tok_lost") -> tuple[str, str]:
    """The number and the link of an order whose card was refused for good."""
    order = shop.checkout(token=token, customer=customer, points=0).json()
    [request] = order["payment_requests"]
    assert request["url"].startswith(f"{shop.demo['api']}/pay/")
    return order["number"], request["url"]


@pytest.fixture
def browser(shop: Shop) -> Iterator[httpx.Client]:
    """A customer's browser: no key."""
    with httpx.Client(base_url=shop.demo["api"], timeout=30) as client:
        yield client


def chosen(browser: httpx.Client, link: str, method: str = "card") -> tuple[str, dict[str, str]]:
    """Where the form of the page goes, and its fields as a browser sends them."""
    action, hidden, _ = form_of(browser.get(link, headers={"Accept-Language": "en"}))
    return action, hidden | {"method": method}


def approved(shop: Shop, browser: httpx.Client, customer: str) -> tuple[str, str, str, str]:
    """A customer has approved on the PG's page: the order's number, its link, that page, and the way back."""
    number, link = unpaid(shop, customer)
    action, form = chosen(browser, link)
    pg = browser.post(action, data=form).headers["location"]
    shop.arm("webhook_never", None)
    decided = httpx.post(pg, data={"action": "approve"}, timeout=30)
    assert decided.status_code == 303
    return number, link, pg, decided.headers["location"]


def is_thanked(page: httpx.Response, pg: str) -> bool:
    """Whether the payment is known to be made; until then the page says that it is looked at."""
    text = text_of(page)
    assert pg not in page.text, "whoever has paid is not sent to pay again"
    assert SENT_AWAY not in text
    assert "Thank you" in text or CHECKING in text, text
    return "Thank you" in text


@pytest.mark.parametrize(("decision", "status"), [("approve", "placed"), ("decline", "pending_payment")])
def test_a_customer_pays_on_the_pgs_page_and_comes_back(
    shop: Shop, browser: httpx.Client, decision: str, status: str
) -> None:
    number, link = unpaid(shop, f"c-{90 + len(decision)}")
    action, form = chosen(browser, link)
    sent = [browser.post(action, data=form) for _ in range(2)]
    assert {answer.status_code for answer in sent} == {303}
    assert len(shop.order(number)["payments"]) == 2, "a double click is one payment"
    pg = sent[0].headers["location"]
    assert pg.startswith(shop.demo["sandbox"])
    decided = httpx.post(pg, data={"action": decision}, timeout=30)
    assert decided.status_code == 303
    home = browser.get(decided.headers["location"])
    assert home.status_code == 303
    assert SENT_AWAY not in text_of(browser.get(home.headers["location"]))
    until(f"the order is {status}", lambda: shop.order(number)["status"] == status)
    said = "Thank you" if decision == "approve" else 'role="alert"'
    until("the page says what became of it", lambda: said in browser.get(f"{link}?lang=en").text)
    after = browser.get(f"{link}?lang=en")
    if decision == "approve":
        assert "Thank you" in after.text
        assert shop.charged(shop.order(number)) == 57700
    else:
        assert 'role="alert"' in after.text
        assert "It was not confirmed that the payment was yours" in text_of(after)
        assert form_of(after)[1]["once"] != form["once"]
        assert shop.charged(shop.order(number)) == 0


def test_who_has_paid_is_not_sent_to_the_pgs_page_again_however_long_the_pg_takes_to_say_so(
    shop: Shop, browser: httpx.Client
) -> None:
    number, link, pg, back = approved(shop, browser, "c-101")
    shop.arm("delay", ms=1500)
    home = browser.get(back)
    assert home.status_code == 303
    until("the customer is thanked", lambda: is_thanked(browser.get(home.headers["location"]), pg))
    assert shop.charged(shop.order(number)) == 57700
    assert "Thank you" in browser.get(f"{link}?lang=en").text


def test_who_has_paid_is_not_sent_to_the_pgs_page_again_while_nobody_can_be_told(
    shop: Shop, browser: httpx.Client
) -> None:
    number, _, pg, back = approved(shop, browser, "c-102")
    with nothing_decided(shop):
        home = browser.get(back)
        assert home.status_code == 303
        assert not is_thanked(browser.get(home.headers["location"]), pg)
    until("the customer is thanked", lambda: is_thanked(browser.get(home.headers["location"]), pg))
    assert shop.charged(shop.order(number)) == 57700


def test_a_deposit_that_is_awaited_is_asked_for_and_not_called_paid(shop: Shop, browser: httpx.Client) -> None:
    number, link = unpaid(shop, "c-103")
    with shop.ruled("single", toss_demo=100):
        action, form = chosen(browser, link, "virtual_account")
        browser.post(action, data=form)
    until("the account is issued", lambda: shop.order(number)["payments"][-1]["status"] == "awaiting_deposit")
    page = browser.get(f"{link}?lang=en")
    text = text_of(page)
    assert "Please deposit Bank Woori Bank Account" in text
    assert "Amount 57,700 KRW By 20" in text
    assert "Already paid" not in text
    assert page.text.count("<time datetime=") == 1
    attempt = shop.order(number)["payments"][-1]["attempts"][-1]
    bank = f"{shop.demo['sandbox']}/toss/toss-demo/deposit/{attempt['reference']}"
    httpx.post(bank, data={"action": "deposit"}).raise_for_status()
    until("it has arrived", lambda: "Thank you" in text_of(browser.get(f"{link}?lang=en")))


@pytest.mark.parametrize(
    ("token", "english", "korean"),
    [
        ("tok_lost", "Please try another card or another way to pay", "다른 카드나 다른 결제 수단을 이용하시거나"),
        ("tok_insufficient", "There was not enough money or credit left for it.", "잔액이나 한도가 부족했습니다."),
    ],
)
def test_a_decline_is_told_in_our_words_and_in_the_customers_language(
    shop: Shop, browser: httpx.Client, token: str, english: str, korean: str
) -> None:
    number, link = unpaid(shop, f"c-104-{token}", token)
    payment = shop.order(number)["payments"][-1]
    decline, [attempt] = payment["decline"], payment["attempts"]
    assert decline["message"], "for the shop's people"
    for language, words in (("en", english), ("ko", korean)):
        text = text_of(browser.get(f"{link}?lang={language}"))
        assert words in text
        assert ".." not in text
        assert not [inside for inside in (decline["message"], decline["code"], attempt["gateway"]) if inside in text]


def test_whatever_else_is_brought_back_is_no_error_and_is_not_kept(shop: Shop, browser: httpx.Client) -> None:
    number, link = unpaid(shop, "c-96")
    action, form = chosen(browser, link)
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
    answers = {answer.status_code: answer for answer in (browser.get(f"/pay/{'A' * 43}") for _ in range(30))}
    assert answers.keys() == {404, 429}
    assert "Retry-After" not in answers[404].headers
    assert answers[429].headers["Retry-After"] == "60"


def test_a_good_link_that_is_opened_too_often_says_when_to_come_again(shop: Shop, browser: httpx.Client) -> None:
    _, link = unpaid(shop, "c-105")
    answer = until("it is too often", lambda: next(iter([a] if (a := browser.get(link)).is_error else []), None))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert browser.post(link, data={"method": "card"}).headers["Retry-After"] == "60"
