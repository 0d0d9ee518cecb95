"""Checkout Sessions as Stripe documents them: asked for by the official SDK, paid on their page, told by webhooks."""

import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import stripe

from gateways.gateway import WebhookEvent
from gateways.stripe.webhook import read_webhook
from tests.gateways.rig import KEY, SandboxServer, eventually
from tests.gateways.rigs.stripe import Merchant, set_search_lag
from tests.gateways.test_stripe_reference import OPTIONAL, ids
from tests.gateways.test_stripe_webhook import NOW, SECRET, an_event, signed

BACK = "https://shop.test/back?session={CHECKOUT_SESSION_ID}"
AWAY = "https://shop.test/cart"
PRICE = "line_items[0][price_data]"
FORM = {
    "mode": "payment",
    "line_items[0][quantity]": "2",
    f"{PRICE}[currency]": "krw",
    f"{PRICE}[unit_amount]": "2500",
    f"{PRICE}[product_data][name]": "Order 1",
    "success_url": BACK,
    "cancel_url": AWAY,
    "client_reference_id": "attempt-1",
    "payment_intent_data[metadata][attempt]": "attempt-1",
}


@pytest.fixture
def merchant(sandbox: SandboxServer) -> Merchant:
    """An account of the test's own, whose search is not late."""
    sandbox.http.delete("/_faults").raise_for_status()
    account = f"stripe-{uuid4().hex[:12]}"
    set_search_lag(sandbox, account, 0)
    return Merchant(sandbox, account)


@pytest.fixture
async def sdk(merchant: Merchant) -> AsyncIterator[stripe.StripeClient]:
    """The official SDK as it comes."""
    http_client = stripe.HTTPXClient(timeout=60)
    address = f"{merchant.server.url}/stripe/{merchant.account}"
    yield stripe.StripeClient(KEY, base_addresses={"api": address}, max_network_retries=0, http_client=http_client)
    await http_client.close_async()  # type: ignore[no-untyped-call]


def opened(merchant: Merchant, **more: str) -> dict[str, Any]:
    return merchant.post("/checkout/sessions", **{**FORM, **more})


def press(session: Any, action: str) -> httpx.Response:
    """What the customer does on the page."""
    return httpx.post(session["url"], data={"action": action}, trust_env=False)


def told(merchant: Merchant) -> list[str]:
    """The types of all events, the oldest first."""
    return [one["type"] for one in merchant.get("/events", limit="100")["data"]][::-1]


@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")
async def test_the_unmodified_sdk_opens_lists_reads_and_ends_sessions(sdk: stripe.StripeClient) -> None:
    sessions = sdk.v1.checkout.sessions
    price: Any = {"currency": "krw", "unit_amount": 5_000, "product_data": {"name": "Order 1"}}
    wanted: Any = {
        "mode": "payment",
        "line_items": [{"price_data": price, "quantity": 1}],
        "success_url": BACK,
        "cancel_url": AWAY,
        "client_reference_id": "attempt-1",
        "metadata": {"attempt": "attempt-1"},
        "payment_intent_data": {"metadata": {"attempt": "attempt-1"}, "capture_method": "manual"},
        "expires_at": int(time.time()) + 3_600,
    }
    session = await sessions.create_async(wanted, {"idempotency_key": "one-key-for-it"})
    again = await sessions.create_async(wanted, {"idempotency_key": "one-key-for-it"})
    assert (session.id, session.url, session.expires_at) == (again.id, again.url, wanted["expires_at"])
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert (session.amount_total, session.currency, session.client_reference_id) == (5_000, "krw", "attempt-1")
    assert press(session, "pay").headers["location"] == BACK.replace("{CHECKOUT_SESSION_ID}", session.id)
    paid = await sessions.retrieve_async(session.id, {"expand": ["payment_intent.latest_charge"]})
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "unpaid", None)
    intent = paid.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert (intent.status, intent.metadata.to_dict()) == ("requires_capture", {"attempt": "attempt-1"})
    await sdk.v1.payment_intents.capture_async(intent.id)
    assert (await sessions.retrieve_async(session.id)).payment_status == "paid", "once its money is taken"
    found = await sessions.list_async({"payment_intent": intent.id})
    assert [one.id for one in found.data] == [session.id]
    with pytest.raises(stripe.InvalidRequestError, match="status of `complete`"):
        await sessions.expire_async(session.id)
    other = await sessions.create_async(wanted)
    over = await sessions.expire_async(other.id)
    assert (over.status, over.url, over.payment_intent) == ("expired", None, None)


def test_a_session_has_what_the_sdk_names_and_nothing_else(merchant: Merchant) -> None:
    session = opened(merchant)
    press(session, "pay")
    named: dict[str, Any] = stripe.checkout.Session.__annotations__
    always = {name for name, hint in named.items() if not OPTIONAL & set(re.split(r"\W", str(hint)))}
    for body in (session, merchant.get(f"/checkout/sessions/{session['id']}")):
        assert set(body) <= set(named), set(body) - set(named)
        assert always <= set(body), always - set(body)


def test_the_types_that_older_scripts_name_are_shown(merchant: Merchant) -> None:
    session = opened(merchant, **{"payment_method_types[]": "card"})
    assert session["payment_method_types"] == ["card"]
    assert press(session, "pay").status_code == 303


def test_a_decimal_price_that_is_whole_is_a_price(merchant: Merchant) -> None:
    form = {name: value for name, value in FORM.items() if name != f"{PRICE}[unit_amount]"}
    session = merchant.post("/checkout/sessions", **form, **{f"{PRICE}[unit_amount_decimal]": "2500.00"})
    assert session["amount_total"] == 5_000


def test_the_words_of_older_versions_mean_the_same(merchant: Merchant) -> None:
    more = {"ui_mode": "hosted", "locale": "ko", "customer_email": "kim@shop.test"}
    session = opened(merchant, **more)
    assert {**more, "ui_mode": "hosted_page"}.items() <= session.items()


def test_its_metadata_can_be_changed(merchant: Merchant) -> None:
    path = f"/checkout/sessions/{opened(merchant, **{'metadata[a]': '1'})['id']}"
    assert merchant.post(path, **{"metadata[b]": "2"})["metadata"] == {"a": "1", "b": "2"}
    assert merchant.get(path)["metadata"] == {"a": "1", "b": "2"}
    assert merchant.error("POST", path, {"line_items[0][quantity]": "2"})["code"] == "parameter_unknown"


def test_its_line_items_are_told_in_the_order_of_the_request(merchant: Merchant) -> None:
    names = ["Order 1", *(f"Thing {number}" for number in range(1, 12))]
    more = {
        f"line_items[{number}]{field}": value
        for number in range(1, 12)
        for field, value in {
            "[quantity]": "1",
            "[price_data][currency]": "krw",
            "[price_data][unit_amount]": "100",
            "[price_data][product_data][name]": names[number],
        }.items()
    }
    session = opened(merchant, **more)
    path = f"/checkout/sessions/{session['id']}"
    assert "line_items" not in session
    first = merchant.get(f"{path}/line_items")
    assert ([one["description"] for one in first["data"]], first["has_more"]) == (names[:10], True)
    assert first["url"] == f"/v1{path}/line_items"
    last = merchant.get(f"{path}/line_items", starting_after=ids(first)[-1])
    assert ([one["description"] for one in last["data"]], last["has_more"]) == (names[10:], False)
    expanded = merchant.get(path, **{"expand[]": ["line_items", "line_items.data.price.product"]})["line_items"]
    assert ids(expanded) == ids(first)
    item = expanded["data"][0]
    assert (item["quantity"], item["amount_total"], item["price"]["unit_amount"]) == (2, 5_000, 2_500)
    assert item["price"]["product"]["name"] == "Order 1"
    for body, kind in (
        (item, stripe.LineItem),
        (item["price"], stripe.Price),
        (item["price"]["product"], stripe.Product),
    ):
        assert set(body) <= set(kind.__annotations__)
    refused = merchant.error("GET", f"{path}/line_items", {"starting_after": "li_none"})
    assert (refused["http"], refused["code"]) == (400, "resource_missing")
    assert merchant.error("GET", "/checkout/sessions/cs_none/line_items")["http"] == 404


def test_a_card_that_is_declined_leaves_it_open_for_another(merchant: Merchant) -> None:
    session = opened(merchant)
    assert AWAY in httpx.get(session["url"], trust_env=False).text
    assert "declined" in press(session, "decline").text
    tried = merchant.get(f"/checkout/sessions/{session['id']}", **{"expand[]": "payment_intent"})
    assert (tried["status"], tried["url"]) == ("open", session["url"])
    assert tried["payment_intent"]["status"] == "requires_payment_method"
    assert press(session, "pay").status_code == 303
    paid = merchant.get(f"/checkout/sessions/{session['id']}")
    assert (paid["status"], paid["payment_status"]) == ("complete", "paid")
    assert paid["payment_intent"] == tried["payment_intent"]["id"]
    assert "complete" in press(session, "pay").text
    assert merchant.server.ledger(account=merchant.account, merchant_ref="attempt-1")["net"].popitem()[1] == 5_000
    assert told(merchant) == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]


def test_an_ended_session_is_told_and_takes_its_payment_intent_with_it(merchant: Merchant) -> None:
    session = opened(merchant)
    press(session, "decline")
    over = merchant.post(f"/checkout/sessions/{session['id']}/expire", **{"expand[]": "payment_intent"})
    intent = over["payment_intent"]
    assert (over["status"], intent["status"], intent["cancellation_reason"]) == ("expired", "canceled", "expired")
    assert told(merchant)[-2:] == ["payment_intent.canceled", "checkout.session.expired"]
    refused = merchant.error("POST", f"/checkout/sessions/{session['id']}/expire")
    assert (refused["http"], "status of `expired`" in refused["message"]) == (400, True)
    for action in ("pay", "decline"):
        assert "expired" in press(session, action).text


def test_sessions_are_listed_by_what_they_are(merchant: Merchant) -> None:
    paid, open_one, over = opened(merchant), opened(merchant), opened(merchant)
    press(paid, "pay")
    merchant.post(f"/checkout/sessions/{over['id']}/expire")
    assert ids(merchant.get("/checkout/sessions")) == [over["id"], open_one["id"], paid["id"]]
    for status, one in (("complete", paid), ("open", open_one), ("expired", over)):
        assert ids(merchant.get("/checkout/sessions", status=status)) == [one["id"]]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"mode": ""}, "mode"),
        ({"mode": "setup"}, "mode"),
        ({"ui_mode": "elements"}, "ui_mode"),
        ({"ui_mode": "embedded"}, "ui_mode"),
        ({"locale": "klingon"}, "locale"),
        ({"customer_email": "kim at shop"}, "customer_email"),
        ({"success_url": ""}, "success_url"),
        ({"success_url": "shop.test"}, "success_url"),
        ({"client_reference_id": "x" * 201}, "client_reference_id"),
        ({f"{PRICE}[unit_amount]": "-1"}, "unit_amount"),
        ({f"{PRICE}[unit_amount]": "99999999"}, "amount"),
        ({f"{PRICE}[currency]": "xxx"}, "currency"),
        ({f"{PRICE}[product_data][name]": ""}, "name"),
        ({"line_items[0][quantity]": "0"}, "quantity"),
        ({"line_items[1][price]": "price_1"}, "line_items[1][price_data]"),
        ({"line_items[0][price]": "price_1"}, "line_items[0][price]"),
        ({f"{PRICE}[unit_amount_decimal]": "2500"}, "unit_amount_decimal"),
        ({f"{PRICE}[unit_amount]": None, f"{PRICE}[unit_amount_decimal]": "2500.5"}, "unit_amount_decimal"),
        ({"payment_intent_data[statement_descriptor]": "SHOP"}, "statement_descriptor"),
        ({"payment_intent_data[receipt_email]": "kim"}, "receipt_email"),
        ({"expires_at": "in 29 minutes"}, "expires_at"),
        ({"expires_at": "in 1441 minutes"}, "expires_at"),
        ({"payment_intent_data[amount]": "1"}, "payment_intent_data[amount]"),
        ({"payment_method_types[]": ["card", "kr_card"]}, "payment_method_types"),
        ({"payment_method_types[]": "shells"}, "payment_method_types"),
    ],
)
def test_what_stripe_would_refuse_opens_nothing(merchant: Merchant, changes: dict[str, Any], param: str) -> None:
    minutes = re.fullmatch(r"in (\d+) minutes", changes.get("expires_at", ""))
    if minutes:
        changes = {"expires_at": str(int(time.time()) + 60 * int(minutes[1]) + 5)}
    form = {name: value for name, value in {**FORM, **changes}.items() if value is not None}
    refused = merchant.error("POST", "/checkout/sessions", form)
    assert (refused["http"], refused["param"]) == (400, param)
    assert merchant.get("/checkout/sessions")["data"] == []


def test_a_session_of_nobody_has_no_page(merchant: Merchant) -> None:
    missing = merchant.error("GET", "/checkout/sessions/cs_test_nobody")
    assert (missing["http"], missing["code"], missing["param"]) == (404, "resource_missing", "session")
    page = f"{merchant.server.url}/stripe/{merchant.account}/c/pay/cs_test_nobody"
    assert httpx.get(page, trust_env=False).status_code == 404


@pytest.mark.parametrize("paid", [False, True])
def test_its_time_ends_though_the_server_was_down(
    start: Callable[..., SandboxServer], tmp_path: Path, *, paid: bool
) -> None:
    server = start()
    merchant = Merchant(server, "stripe-late")
    session = opened(merchant)
    if paid:
        press(session, "pay")
    server.stop()
    connection = sqlite3.connect(tmp_path / "sandbox.sqlite3")
    with connection:
        connection.execute("UPDATE jobs SET due_at = due_at - 86400 WHERE name = 'run_out'")
    connection.close()
    server.restart()
    path = f"/checkout/sessions/{session['id']}"
    if paid:
        other = opened(merchant)
        merchant.post(f"/checkout/sessions/{other['id']}/expire")
        assert merchant.get(path)["status"] == "complete"
    else:
        assert eventually(lambda: merchant.get(path)["status"], lambda status: status == "expired") == "expired"
        assert told(merchant) == ["checkout.session.expired"]
        assert "expired" in press(session, "pay").text


def heard(about: dict[str, Any], kind: str = "checkout.session.completed") -> WebhookEvent:
    raw = an_event(type=kind, data={"object": about})
    (event,) = read_webhook(raw, signed(raw), secret=SECRET, now=NOW).events
    return event


@pytest.mark.parametrize("kind", ["checkout.session.completed", "checkout.session.expired"])
def test_an_event_of_a_session_is_a_hint_about_our_attempt(merchant: Merchant, kind: str) -> None:
    session = opened(merchant)
    press(session, "pay")
    paid = merchant.get(f"/checkout/sessions/{session['id']}")
    event = heard(paid, kind)
    assert (event.merchant_ref, event.reference, event.operation_ref, event.outcome) == (
        "attempt-1",
        paid["payment_intent"],
        session["id"],
        None,
    )
    assert (heard(session, kind).reference, heard(session, kind).merchant_ref) == (None, "attempt-1")
    foreign = {**session, "client_reference_id": None, "metadata": {}}
    assert heard(foreign, kind).merchant_ref is None
