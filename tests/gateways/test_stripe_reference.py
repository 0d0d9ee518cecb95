"""What Stripe's API reference has beside taking a payment: customers, lists, search, events, balance."""

import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import stripe

from gateways.sandbox.server.vendors.stripe_instrument import INSTRUMENTS
from tests.gateways.rig import KEY, SandboxServer, eventually
from tests.gateways.rigs.stripe import Merchant, a_card_payment, set_search_lag

GUIDE = Path(__file__).parents[2] / "docs/guides/gateways/stripe.md"
OPTIONAL = {"Optional", "NoneType", "ClassVar"}
"""How the SDK's types say that a field may be missing or null, or is none."""


@pytest.fixture
def merchant(sandbox: SandboxServer) -> Merchant:
    """An account of the test's own, whose search is not late."""
    sandbox.http.delete("/_faults").raise_for_status()
    account = f"stripe-{uuid4().hex[:12]}"
    set_search_lag(sandbox, account, 0)
    return Merchant(sandbox, account)


def ids(page: dict[str, Any]) -> list[str]:
    return [one["id"] for one in page["data"]]


def test_every_object_has_what_the_sdk_names_and_nothing_else(merchant: Merchant) -> None:
    customer = merchant.post("/customers", email="kim@shop.test", name="Kim")
    paid = merchant.pay(customer=customer["id"], **{"expand[]": "latest_charge.balance_transaction"})
    charge = paid["latest_charge"]
    refund = merchant.post("/refunds", payment_intent=paid["id"], amount="100")
    event = merchant.get("/events")["data"][0]
    seen = (
        (paid, stripe.PaymentIntent),
        (charge, stripe.Charge),
        (charge["balance_transaction"], stripe.BalanceTransaction),
        (charge["payment_method_details"]["card"], stripe.Charge.PaymentMethodDetails.Card),
        (merchant.get(f"/payment_methods/{paid['payment_method']}"), stripe.PaymentMethod),
        (refund, stripe.Refund),
        (customer, stripe.Customer),
        (event, stripe.Event),
        (merchant.get("/balance"), stripe.Balance),
    )
    for body, kind in seen:
        named: dict[str, Any] = kind.__annotations__
        always = {name for name, hint in named.items() if not OPTIONAL & set(re.split(r"\W", str(hint)))}
        always -= {"transfer"}  # only of a charge that is passed on to a connected account
        assert set(body) <= set(named), (kind, set(body) - set(named))
        assert always <= set(body), (kind, always - set(body))
    assert {"allowed_payment_method_types", "payment_record", "shipping", "customer_account"} <= set(paid)
    assert "electronic_commerce_indicator" in charge["payment_method_details"]["card"]


def test_ids_are_as_long_as_stripes(merchant: Merchant) -> None:
    paid = merchant.pay()
    customer, answer = merchant.post("/customers"), merchant.send("GET", f"/payment_intents/{paid['id']}")
    lengths = {
        paid["id"]: ("pi_3", 27),
        paid["latest_charge"]: ("ch_3", 27),
        paid["payment_method"]: ("pm_1", 27),
        customer["id"]: ("cus_", 18),
        answer.headers["request-id"]: ("req_", 18),
    }
    for name, (start, length) in lengths.items():
        assert (name[: len(start)], len(name)) == (start, length)
    assert paid["client_secret"].startswith(f"{paid['id']}_secret_")


def test_a_customer_is_made_changed_found_and_deleted(merchant: Merchant) -> None:
    form = {"email": "kim@shop.test", "metadata[7]": "seven", "address[city]": "Seoul", "shipping[name]": "Kim"}
    customer = merchant.post("/customers", **form)
    assert (customer["metadata"], customer["address"]["city"]) == ({"7": "seven"}, "Seoul")
    assert (customer["shipping"]["name"], customer["shipping"]["address"]["line1"]) == ("Kim", None)
    changed = merchant.post(f"/customers/{customer['id']}", name="Lee", **{"metadata[7]": "", "metadata[b]": "2"})
    assert (changed["name"], changed["email"], changed["metadata"]) == ("Lee", "kim@shop.test", {"b": "2"})
    assert ids(merchant.get("/customers", email="kim@shop.test")) == [customer["id"]]
    assert merchant.get("/customers", email="nobody@shop.test")["data"] == []
    assert ids(merchant.get("/customers/search", query='name:"lee"')) == [customer["id"]]
    gone = {"id": customer["id"], "object": "customer", "deleted": True}
    assert merchant.send("DELETE", f"/customers/{customer['id']}").json() == gone
    assert merchant.get(f"/customers/{customer['id']}") == gone
    assert merchant.get("/customers")["data"] == []
    assert merchant.get("/customers/search", query='name:"lee"')["data"] == []
    refused = merchant.error("POST", "/payment_intents", a_card_payment(customer=customer["id"]))
    assert (refused["http"], refused["code"], refused["param"]) == (400, "resource_missing", "customer")


def test_the_guide_names_every_test_card() -> None:
    table = GUIDE.read_text().partition("| Test cards |")[2].partition("\n\n")[0]
    named = re.findall(r"`(\w+)`", " ".join(line.split("|")[2] for line in table.splitlines()[2:]))
    known = [name.removeprefix("pm_card_") for name in INSTRUMENTS if name.startswith("pm_card_")]
    assert sorted(named) == sorted(name for name in known if not name.startswith("visa_charge"))


@pytest.mark.parametrize(
    ("method", "card", "risk", "settled"),
    [
        ("us", {"country": "US", "last4": "4242"}, "normal", "pending"),
        ("jp", {"country": "JP", "last4": "0003"}, "normal", "pending"),
        ("mastercard_prepaid", {"brand": "mastercard", "funding": "prepaid"}, "normal", "pending"),
        ("riskLevelElevated", {"last4": "9235"}, "elevated", "pending"),
        ("riskLevelHighest", {"last4": "4954"}, "highest", "pending"),
        ("createDispute", {"last4": "0259"}, "normal", "pending"),
        ("bypassPending", {"last4": "0077"}, "normal", "available"),
    ],
)
def test_what_stripes_test_cards_are_is_told(
    merchant: Merchant, method: str, card: dict[str, str], risk: str, settled: str
) -> None:
    paid = merchant.pay(f"pm_card_{method}", **{"expand[]": "latest_charge.balance_transaction"})
    charge = paid["latest_charge"]
    assert (paid["status"], charge["outcome"]["risk_level"]) == ("succeeded", risk)
    assert card.items() <= charge["payment_method_details"]["card"].items()
    assert charge["balance_transaction"]["status"] == settled
    assert len(merchant.get("/balance")[settled]) == 1


def test_a_payment_method_belongs_to_its_customer(merchant: Merchant) -> None:
    customer, other = merchant.post("/customers")["id"], merchant.post("/customers")["id"]
    card = {"card[number]": "5555 5555 5555 4444", "card[exp_month]": "3", "card[exp_year]": "34"}
    method = merchant.post("/payment_methods", type="card", **card, **{"billing_details[name]": "Kim"})
    shown = (method["card"]["brand"], method["card"]["last4"], method["card"]["exp_month"], method["card"]["exp_year"])
    assert shown == ("mastercard", "4444", 3, 2034)
    path = f"/payment_methods/{method['id']}"
    assert merchant.post(f"{path}/attach", customer=customer)["customer"] == customer
    for of, found in ((customer, [method["id"]]), (other, [])):
        assert ids(merchant.get("/payment_methods", customer=of, type="card")) == found
        assert ids(merchant.get(f"/customers/{of}/payment_methods")) == found
        status = merchant.send("GET", f"/customers/{of}/payment_methods/{method['id']}").status_code
        assert status == (200 if found else 404)
    for named in ({}, {"customer": other}):
        refused = merchant.error("POST", "/payment_intents", a_card_payment(method["id"], **named))
        assert (refused["http"], refused["param"]) == (400, "payment_method")
    paid = merchant.pay(method["id"], customer=customer, **{"expand[]": "customer"})
    assert (paid["status"], paid["customer"]["id"]) == ("succeeded", customer)
    changed = merchant.post(path, **{"billing_details[email]": "kim@shop.test", "metadata[a]": "1"})
    billing = changed["billing_details"]
    assert (billing["name"], billing["email"], changed["metadata"]) == ("Kim", "kim@shop.test", {"a": "1"})
    assert merchant.post(f"{path}/detach")["customer"] is None
    assert merchant.error("POST", f"{path}/detach")["http"] == 400


def test_a_payment_method_that_is_kept_for_later_is_attached(merchant: Merchant) -> None:
    customer = merchant.post("/customers")["id"]
    paid = merchant.pay(customer=customer, setup_future_usage="off_session")
    again = merchant.pay(paid["payment_method"], customer=customer, off_session="true")
    assert (paid["setup_future_usage"], again["status"]) == ("off_session", "succeeded")


def test_a_payment_method_may_be_described_in_the_payment(merchant: Merchant) -> None:
    described = {
        "payment_method_data[type]": "card",
        "payment_method_data[card][token]": "tok_visa_chargeDeclinedLostCard",
    }
    form = {"amount": "5000", "currency": "krw", "payment_method_types[]": "card", "confirm": "true", **described}
    error = merchant.error("POST", "/payment_intents", form)
    assert (error["http"], error["decline_code"], error["payment_method"]["card"]["last4"]) == (
        402,
        "lost_card",
        "9987",
    )
    strange = {**form, "payment_method_data[card][token]": "tok_of_nobody"}
    assert merchant.error("POST", "/payment_intents", strange)["code"] == "resource_missing"


def test_a_payment_intent_can_be_changed_until_it_is_paid(merchant: Merchant) -> None:
    form = {"shipping[name]": "Kim", "shipping[address][line1]": "12 Teheran-ro", "receipt_email": "kim@shop.test"}
    intent = merchant.post("/payment_intents", amount="1000", currency="krw", **form)
    path = f"/payment_intents/{intent['id']}"
    changed = merchant.post(path, amount="2000", payment_method="pm_card_visa", **{"metadata[attempt]": "later-1"})
    assert (changed["amount"], changed["status"], changed["shipping"]["name"]) == (
        2_000,
        "requires_confirmation",
        "Kim",
    )
    found = merchant.get("/payment_intents/search", query="metadata['attempt']:'later-1'")
    assert ids(found) == [intent["id"]]
    paid = merchant.post(f"{path}/confirm", return_url="https://shop.test/", **{"expand[]": "latest_charge"})
    charge = paid["latest_charge"]
    assert (paid["amount_received"], charge["amount"]) == (2_000, 2_000)
    assert (charge["shipping"]["address"]["line1"], charge["receipt_email"]) == ("12 Teheran-ro", "kim@shop.test")
    assert merchant.post(path, description="paid")["description"] == "paid"
    refused = merchant.error("POST", path, {"amount": "3000"})
    assert (refused["code"], refused["payment_intent"]["id"]) == ("payment_intent_unexpected_state", intent["id"])
    assert "amount could not be updated because it has a status of succeeded" in refused["message"]


def test_another_payment_method_takes_the_place_of_one_that_must_be_authenticated(merchant: Merchant) -> None:
    waiting = merchant.pay("pm_card_threeDSecure2Required", return_url="https://shop.test/")
    path = f"/payment_intents/{waiting['id']}"
    changed = merchant.post(path, payment_method="pm_card_visa")
    assert (changed["status"], changed["next_action"]) == ("requires_confirmation", None)
    assert merchant.post(f"{path}/confirm")["status"] == "succeeded"
    kept = merchant.server.ledger(account=merchant.account)["net"]
    assert sorted(kept.values()) == [0, 5_000]


def test_lists_are_filtered_and_turned_over_in_both_directions(merchant: Merchant) -> None:
    customer = merchant.post("/customers")["id"]
    paid = [merchant.pay(customer=customer) if number % 2 else merchant.pay() for number in range(5)]
    newest = [one["id"] for one in reversed(paid)]
    first = merchant.get("/payment_intents", limit="2")
    assert (first["object"], first["url"], first["has_more"]) == ("list", "/v1/payment_intents", True)
    assert ids(first) == newest[:2]
    assert ids(merchant.get("/payment_intents", limit="2", starting_after=newest[1])) == newest[2:4]
    last = merchant.get("/payment_intents", limit="2", starting_after=newest[3])
    assert (ids(last), last["has_more"]) == (newest[4:], False)
    assert ids(merchant.get("/payment_intents", limit="2", ending_before=newest[4])) == newest[2:4]
    assert ids(merchant.get("/payment_intents", customer=customer)) == [paid[3]["id"], paid[1]["id"]]
    assert merchant.get("/payment_intents", **{"created[lt]": "1000"})["data"] == []
    assert ids(merchant.get("/charges", payment_intent=paid[0]["id"])) == [paid[0]["latest_charge"]]
    expanded = merchant.get("/payment_intents", limit="1", **{"expand[]": "data.latest_charge"})
    assert expanded["data"][0]["latest_charge"]["object"] == "charge"


def test_the_refunds_of_a_payment_are_turned_over_like_any_list(merchant: Merchant) -> None:
    paid, other = merchant.pay(), merchant.pay()
    made = [merchant.post("/refunds", payment_intent=paid["id"], amount="100")["id"] for _ in range(4)][::-1]
    strange = merchant.post("/refunds", charge=other["latest_charge"])["id"]
    by = {"payment_intent": paid["id"], "limit": "2"}
    assert ids(merchant.get("/refunds", **by, starting_after=made[0])) == made[1:3]
    assert ids(merchant.get("/refunds", **by, ending_before=made[3])) == made[1:3]
    assert ids(merchant.get("/refunds", charge=paid["latest_charge"])) == made
    assert ids(merchant.get("/refunds")) == [strange, *made]
    refused = merchant.error("GET", "/refunds", {**by, "starting_after": strange})
    assert (refused["code"], refused["param"]) == ("resource_missing", "starting_after")
    changed = merchant.post(f"/refunds/{made[0]}", **{"metadata[a]": "1"})
    assert changed["metadata"] == {"a": "1"}
    assert merchant.error("POST", f"/refunds/{made[0]}/cancel")["http"] == 400


def test_a_charge_is_captured_under_its_own_name_too(merchant: Merchant) -> None:
    held = merchant.pay(capture_method="manual")
    charge = merchant.post(f"/charges/{held['latest_charge']}/capture", amount="4000")
    assert (charge["captured"], charge["amount_captured"], charge["amount_refunded"]) == (True, 4_000, 1_000)
    assert merchant.get(f"/payment_intents/{held['id']}")["status"] == "succeeded"
    assert merchant.error("POST", f"/charges/{charge['id']}/capture")["http"] == 400
    (line,) = merchant.get("/balance/history")["data"]
    assert merchant.get(f"/balance/history/{line['id']}") == line


def test_the_refunds_of_a_charge_are_made_and_found_below_it(merchant: Merchant) -> None:
    paid, other = merchant.pay()["latest_charge"], merchant.pay()["latest_charge"]
    listed = merchant.get(f"/charges/{paid}", **{"expand[]": "refunds"})["refunds"]["url"].removeprefix("/v1")
    made = [merchant.post(listed, amount="100", **{"metadata[a]": "1"})["id"] for _ in range(3)][::-1]
    assert ids(merchant.get(listed, limit="2")) == made[:2]
    assert ids(merchant.get(listed, limit="2", starting_after=made[1])) == made[2:]
    assert merchant.get(f"{listed}/{made[0]}")["charge"] == paid
    assert merchant.get(f"/charges/{paid}")["amount_refunded"] == 300
    for method, path in (
        ("GET", f"/charges/{other}/refunds/{made[0]}"),
        ("GET", "/charges/ch_none/refunds"),
        ("POST", "/charges/ch_none/refunds"),
    ):
        assert merchant.error(method, path)["http"] == 404, path


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('status:"succeeded" AND amount>1000', [3, 2]),
        ("amount>=1000 AND amount<3000 currency:'krw'", [2, 1]),
        ("amount:1000 OR metadata['color']:'red'", [2, 1]),
        ("-metadata['color']:null", [2]),
        ("metadata['color']~'RE'", [2]),
        ("-status:'canceled' AND created>1000", [3, 2, 1, 0]),
        ("-status:'succeeded'", [4, 0]),
    ],
)
def test_the_search_understands_stripes_language(merchant: Merchant, query: str, found: list[int]) -> None:
    made = [merchant.post("/payment_intents", amount="500", currency="krw")["id"]]
    for amount, more in ((1_000, {}), (2_000, {"metadata[color]": "red"}), (3_000, {})):
        made.append(merchant.pay(amount=amount, **more)["id"])
    made.append(merchant.post("/payment_intents", amount="700", currency="krw")["id"])
    merchant.post(f"/payment_intents/{made[4]}/cancel")
    assert ids(merchant.get("/payment_intents/search", query=query)) == [made[number] for number in found]


@pytest.mark.parametrize(
    "query",
    ["nonsense", "shoe:'9'", "status~'succ'", "amount>'red'", "amount:1 AND amount:2 OR amount:3", "amount:1 AND"],
)
def test_a_query_that_stripe_does_not_understand_is_refused(merchant: Merchant, query: str) -> None:
    refused = merchant.error("GET", "/payment_intents/search", {"query": query})
    assert (refused["http"], refused["type"], refused["param"]) == (400, "invalid_request_error", "query")


def test_a_search_is_read_to_its_end_by_the_sdk(merchant: Merchant) -> None:
    made = {merchant.pay(**{"metadata[batch]": "b"})["id"] for _ in range(5)}
    address = f"{merchant.server.url}/stripe/{merchant.account}"
    client = stripe.StripeClient(KEY, base_addresses={"api": address}, max_network_retries=0)
    for query in ("metadata['batch']:'b'", "status:'succeeded'"):
        pages = client.v1.payment_intents.search({"query": query, "limit": 2}).auto_paging_iter()
        seen = [one.id for one, _ in zip(pages, range(20), strict=False)]
        assert (len(seen), set(seen)) == (5, made)
    assert client.v1.charges.search({"query": "status:'succeeded'", "limit": 1}).has_more


def test_events_are_kept_and_can_be_asked_for(merchant: Merchant) -> None:
    answer = merchant.send("POST", "/payment_intents", a_card_payment(), Idempotency_Key="key-of-events-1")
    intent = answer.json()
    kinds = [one["type"] for one in merchant.get("/events")["data"]]
    assert kinds == ["payment_intent.succeeded", "charge.succeeded", "payment_intent.created"]
    (event,) = merchant.get("/events", type="payment_intent.succeeded")["data"]
    assert event["request"] == {"id": answer.headers["request-id"], "idempotency_key": "key-of-events-1"}
    assert event["data"] == {"object": intent}
    assert merchant.get(f"/events/{event['id']}") == event
    assert len(merchant.get("/events", type="charge.*")["data"]) == 1
    assert len(merchant.get("/events", **{"types[]": ["charge.succeeded", "payment_intent.created"]})["data"]) == 2


def test_an_event_of_a_change_tells_what_was_before_and_what_nobody_asked_for_names_no_request(
    merchant: Merchant,
) -> None:
    paid = merchant.pay("pm_card_pendingRefund")
    merchant.post("/refunds", payment_intent=paid["id"], amount="2000")
    (refunded,) = merchant.get("/events", type="charge.refunded")["data"]
    assert refunded["data"]["previous_attributes"] == {"amount_refunded": 0}
    (updated,) = eventually(lambda: merchant.get("/events", type="refund.updated")["data"], bool)
    assert updated["request"] == {"id": None, "idempotency_key": None}
    assert updated["data"]["previous_attributes"]["status"] == "pending"
    assert "pending_reason" not in updated["data"]["object"]


def test_a_refund_fails_after_it_has_succeeded_and_the_balance_says_so(merchant: Merchant) -> None:
    paid = merchant.pay("pm_card_refundFail")
    refund = merchant.post("/refunds", payment_intent=paid["id"], amount="2000")
    assert refund["status"] == "succeeded"

    def now() -> dict[str, Any]:
        return merchant.get(f"/refunds/{refund['id']}", **{"expand[]": "failure_balance_transaction"})

    failed = eventually(now, lambda seen: seen["status"] == "failed")
    again = failed["failure_balance_transaction"]
    assert (again["type"], again["amount"], again["source"]) == ("refund_failure", 2_000, refund["id"])
    assert failed["balance_transaction"] == refund["balance_transaction"]
    charge = merchant.get(f"/charges/{paid['latest_charge']}")
    assert (charge["amount_refunded"], charge["refunded"]) == (0, False)
    assert merchant.get("/balance")["pending"] == [
        {"amount": 5_000, "currency": "krw", "source_types": {"card": 5_000}}
    ]
    assert list(merchant.server.ledger(account=merchant.account)["net"].values()) == [5_000]


def test_what_can_be_expanded_may_be_absent(merchant: Merchant) -> None:
    paid = merchant.pay()
    charge = merchant.get(f"/charges/{paid['latest_charge']}", **{"expand[]": ["transfer", "customer", "refunds"]})
    assert ("transfer" in charge, charge["customer"], charge["refunds"]["data"]) == (False, None, [])
    for path, name in ((f"/charges/{charge['id']}", "latest_charge"), (f"/payment_intents/{paid['id']}", "amount")):
        error = merchant.error("GET", path, {"expand[]": name})
        assert (error["http"], error["message"]) == (400, f"This property cannot be expanded ({name}).")


def test_who_took_nothing_is_paid_nothing_and_nothing_is_disputed(merchant: Merchant) -> None:
    for name in ("payouts", "disputes"):
        empty = {"object": "list", "data": [], "has_more": False, "url": f"/v1/{name}"}
        assert merchant.get(f"/{name}") == empty
        assert merchant.error("GET", f"/{name}/xx_none")["code"] == "resource_missing"


def test_an_sdk_that_takes_no_path_finds_its_account_by_its_key(sandbox: SandboxServer) -> None:
    client = stripe.StripeClient("sk_test_any", base_addresses={"api": sandbox.url}, max_network_retries=0)
    made = client.v1.payment_intents.create({"amount": 5_000, "currency": "krw"})
    assert Merchant(sandbox, "stripe").get(f"/payment_intents/{made.id}")["id"] == made.id
    with pytest.raises(stripe.InvalidRequestError, match=r"Unrecognized request URL \(GET: /v1/nothing\)"):
        client.raw_request("get", "/v1/nothing")
    with pytest.raises(stripe.InvalidRequestError, match=r"Unrecognized request URL \(GET: /v2/core/accounts\)"):
        client.raw_request("get", "/v2/core/accounts")
    plain = sandbox.http.get("/v1/payment_intents", headers={"Authorization": "Bearer sk_test_any"})
    assert (plain.status_code, plain.json()["error"]["code"]) == (404, "no_such_route")


def test_below_v1_a_key_opens_the_account_that_it_is_of(start: Any) -> None:
    server = start("--keys", json.dumps({"shop-a": "sk_test_a", "shop-b": "sk_test_b"}))
    for key, account in (("sk_test_a", "shop-a"), ("sk_test_b", "shop-b")):
        client = stripe.StripeClient(key, base_addresses={"api": server.url}, max_network_retries=0)
        made = client.v1.payment_intents.create({"amount": 5_000, "currency": "krw"})
        assert Merchant(server, account, key).get(f"/payment_intents/{made.id}")["id"] == made.id
    stranger = stripe.StripeClient("sk_test_of_a_stranger", base_addresses={"api": server.url}, max_network_retries=0)
    with pytest.raises(stripe.AuthenticationError, match=r"Invalid API Key provided: sk_test_\*+nger"):
        stranger.v1.balance.retrieve()
