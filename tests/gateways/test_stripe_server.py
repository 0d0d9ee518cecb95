"""The sandbox's Stripe over real HTTP: asked by the unmodified SDK, by plain requests and by our adapter."""

import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
import stripe

from tests.gateways.rig import (
    KEY,
    SandboxServer,
    eventually,
)
from tests.gateways.rigs.stripe import set_search_lag

ACCOUNT = "stripe-server"
Start = Callable[..., SandboxServer]
Received = list[tuple[bytes, dict[str, str]]]


def post(server: SandboxServer, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    sent = {"Authorization": f"Bearer {KEY}", **headers}
    return server.http.post(f"/stripe/{ACCOUNT}/v1{path}", data=body, headers=sent)


def get(server: SandboxServer, path: str, **query: Any) -> httpx.Response:
    return server.http.get(f"/stripe/{ACCOUNT}/v1{path}", params=query, headers={"Authorization": f"Bearer {KEY}"})


def a_payment(**changes: Any) -> dict[str, Any]:
    fixed = {"amount": "1000", "currency": "krw", "payment_method": "pm_card_visa", "confirm": "true"}
    return {"metadata[attempt]": f"plain-{uuid4().hex[:20]}", "payment_method_types[]": "card", **fixed, **changes}


@pytest.fixture
async def sdk(sandbox: SandboxServer) -> AsyncIterator[stripe.StripeClient]:
    """The official SDK as it comes."""
    http_client = stripe.HTTPXClient(timeout=60)
    address = f"{sandbox.url}/stripe/{ACCOUNT}"
    yield stripe.StripeClient(KEY, base_addresses={"api": address}, max_network_retries=0, http_client=http_client)
    await http_client.close_async()  # type: ignore[no-untyped-call]


@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")
async def test_the_unmodified_sdk_pays_takes_gives_back_and_lists(
    sdk: stripe.StripeClient, sandbox: SandboxServer
) -> None:
    client = sdk
    attempt = f"sdk-{uuid4().hex[:20]}"
    card: Any = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    method = await client.v1.payment_methods.create_async({"type": "card", "card": card})
    intent = await client.v1.payment_intents.create_async(
        {
            "amount": 5_000,
            "currency": "krw",
            "capture_method": "manual",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": {"attempt": attempt},
        }
    )
    assert intent.status == "requires_payment_method"
    intent = await client.v1.payment_intents.confirm_async(intent.id, {"payment_method": method.id})
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 5_000)
    intent = await client.v1.payment_intents.capture_async(
        intent.id, {"amount_to_capture": 4_000, "expand": ["latest_charge.balance_transaction", "payment_method"]}
    )
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
    assert isinstance(intent.payment_method, stripe.PaymentMethod)
    assert (intent.status, intent.amount_received, charge.amount_refunded) == ("succeeded", 4_000, 1_000)
    for _ in range(3):
        refund = await client.v1.refunds.create_async({"payment_intent": intent.id, "amount": 100})
        assert (refund.status, refund.charge) == ("succeeded", charge.id)
    pages = await client.v1.refunds.list_async({"payment_intent": intent.id, "limit": 2})
    assert [one.amount async for one in pages.auto_paging_iter()] == [100, 100, 100, 1_000]
    lines = await client.v1.balance_transactions.list_async({"limit": 2, "source": charge.id})
    assert [(one.type, one.net) for one in lines.data] == [("charge", 4_000)]
    set_search_lag(sandbox, ACCOUNT, 0)
    found = await client.v1.payment_intents.search_async({"query": f"metadata['attempt']:'{attempt}'"})
    assert [one.id for one in found.data] == [intent.id]
    assert list(sandbox.ledger(merchant_ref=attempt)["net"].values()) == [3_700]


@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")
async def test_the_unmodified_sdk_raises_what_the_documents_say(sdk: stripe.StripeClient) -> None:
    client = sdk
    pay = client.v1.payment_intents.create_async

    def paying(method: str) -> Any:
        fixed = {"amount": 1_000, "currency": "krw", "confirm": True, "payment_method_types": ["card"]}
        return {**fixed, "payment_method": method}

    declines = {
        "pm_card_chargeDeclined": "generic_decline",
        "pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
        "pm_card_chargeDeclinedLostCard": "lost_card",
    }
    for method, decline_code in declines.items():
        with pytest.raises(stripe.CardError) as refused:
            await pay(paying(method))
        error = refused.value.error
        assert error is not None
        assert (refused.value.code, error.decline_code) == ("card_declined", decline_code)
        assert error.payment_intent is not None
        assert error.payment_intent.status == "requires_payment_method"
    with pytest.raises(stripe.InvalidRequestError, match="No such PaymentMethod") as unknown:
        await pay(paying("pm_of_nobody"))
    assert (unknown.value.http_status, unknown.value.param) == (400, "payment_method")
    key = uuid4().hex
    await pay({"amount": 1_000, "currency": "krw"}, {"idempotency_key": key})
    with pytest.raises(stripe.IdempotencyError):
        await pay({"amount": 2_000, "currency": "krw"}, {"idempotency_key": key})
    with pytest.raises(stripe.InvalidRequestError) as missing:
        await client.v1.payment_intents.retrieve_async("pi_nothing")
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")


def test_a_replay_is_the_same_to_the_last_byte_and_is_marked(sandbox: SandboxServer) -> None:
    body, key = a_payment(), uuid4().hex
    first = post(sandbox, "/payment_intents", body, **{"Idempotency-Key": key})
    again = post(sandbox, "/payment_intents", body, **{"Idempotency-Key": key})
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request"] == first.headers["request-id"] != again.headers["request-id"]
    assert sum(sandbox.ledger(merchant_ref=body["metadata[attempt]"])["net"].values()) == 1_000


def test_a_key_belongs_to_its_parameters_and_its_endpoint(sandbox: SandboxServer) -> None:
    body, key = a_payment(), uuid4().hex
    paid = post(sandbox, "/payment_intents", body, **{"Idempotency-Key": key}).json()
    other = post(sandbox, "/payment_intents", {**body, "amount": "2000"}, **{"Idempotency-Key": key})
    elsewhere = post(sandbox, "/refunds", {"payment_intent": paid["id"]}, **{"Idempotency-Key": key})
    for refused, word in ((other, "same parameters"), (elsewhere, "same endpoint")):
        assert (refused.status_code, refused.json()["error"]["type"]) == (400, "idempotency_error")
        assert word in refused.json()["error"]["message"]
    assert sum(sandbox.ledger(merchant_ref=body["metadata[attempt]"])["net"].values()) == 1_000


def test_a_decline_is_kept_and_a_validation_error_is_not(sandbox: SandboxServer) -> None:
    declined, key = a_payment(payment_method="pm_card_chargeDeclined"), uuid4().hex
    first = post(sandbox, "/payment_intents", declined, **{"Idempotency-Key": key})
    again = post(sandbox, "/payment_intents", declined, **{"Idempotency-Key": key})
    assert (first.status_code, again.status_code, again.content == first.content) == (402, 402, True)
    assert again.headers["idempotent-replayed"] == "true"
    invalid, key = a_payment(amount="many"), uuid4().hex
    assert post(sandbox, "/payment_intents", invalid, **{"Idempotency-Key": key}).status_code == 400
    assert post(sandbox, "/payment_intents", a_payment(), **{"Idempotency-Key": key}).status_code == 200


def test_a_500_is_kept_only_once_execution_has_begun(sandbox: SandboxServer) -> None:
    sandbox.http.delete("/_faults")
    for fault, later, taken in (("500_before", 200, 1_000), ("500_after", 500, 1_000)):
        body, key = a_payment(), uuid4().hex
        sandbox.arm(fault, "authorize", account=ACCOUNT)
        broken = post(sandbox, "/payment_intents", body, **{"Idempotency-Key": key})
        assert (broken.status_code, broken.json()["error"]["type"]) == (500, "api_error")
        again = post(sandbox, "/payment_intents", body, **{"Idempotency-Key": key})
        assert again.status_code == later
        assert again.headers.get("idempotent-replayed") == ("true" if later == 500 else None)
        assert sum(sandbox.ledger(merchant_ref=body["metadata[attempt]"])["net"].values()) == taken


def test_a_question_that_has_failed_may_be_asked_again(sandbox: SandboxServer) -> None:
    sandbox.http.delete("/_faults")
    sandbox.arm("500_before", "lookup", account=ACCOUNT)
    sandbox.arm("500_before", "authorize", account=ACCOUNT)
    for broken, said in ((get(sandbox, "/balance"), None), (post(sandbox, "/payment_intents", a_payment()), "false")):
        assert (broken.status_code, broken.headers.get("stripe-should-retry")) == (500, said)


def test_the_same_key_at_the_same_time_is_a_conflict(sandbox: SandboxServer) -> None:
    sandbox.http.delete("/_faults")
    body, key = a_payment(payment_method="tok_slow"), uuid4().hex
    answers: list[httpx.Response] = []

    def pay() -> None:
        with httpx.Client(base_url=sandbox.url, trust_env=False) as client:
            headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": key}
            answers.append(client.post(f"/stripe/{ACCOUNT}/v1/payment_intents", data=body, headers=headers))

    first = threading.Thread(target=pay)
    first.start()
    eventually(lambda: sandbox.ledger(merchant_ref=body["metadata[attempt]"])["operations"], bool)
    conflict = post(sandbox, "/payment_intents", body, **{"Idempotency-Key": key})
    first.join()
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert conflict.headers["stripe-should-retry"] == "true"
    assert [answer.status_code for answer in answers] == [200]


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "param"),
    [
        ("/payment_intents", {"currency": "krw"}, 400, "parameter_missing", "amount"),
        ("/payment_intents", a_payment(amount="10.5"), 400, "parameter_invalid_integer", "amount"),
        ("/payment_intents", a_payment(amount="100000000"), 400, "amount_too_large", "amount"),
        ("/payment_intents", a_payment(amount="49", currency="usd"), 400, "amount_too_small", "amount"),
        ("/payment_intents", a_payment(surprise="1"), 400, "parameter_unknown", "surprise"),
        ("/payment_intents/pi_nothing/capture", {}, 404, "resource_missing", "intent"),
        ("/refunds", {"payment_intent": "pi_nothing"}, 400, "resource_missing", "payment_intent"),
        ("/nothing", {}, 404, None, None),
    ],
)
def test_errors_have_stripes_shape(
    sandbox: SandboxServer, path: str, body: dict[str, Any], status: int, code: str | None, param: str | None
) -> None:
    refused = post(sandbox, path, body)
    error = refused.json()["error"]
    assert (refused.status_code, error["type"]) == (status, "invalid_request_error")
    assert (error.get("code"), error.get("param")) == (code, param)
    assert error["message"]
    assert refused.headers["request-id"].startswith("req_")


def test_a_key_opens_only_its_own_account(start: Start) -> None:
    server = start("--keys", json.dumps({ACCOUNT: KEY}))
    url = f"/stripe/{ACCOUNT}/v1/payment_intents"
    assert server.http.post(url, data=a_payment(), auth=(KEY, "")).status_code == 200
    for headers in ({}, {"Authorization": "Bearer sk_test_of_somebody"}, {"Authorization": "Basic ???"}):
        refused = server.http.post(url, data=a_payment(), headers=headers)
        assert (refused.status_code, refused.json()["error"]["type"]) == (401, "invalid_request_error")
        assert "of_some" not in refused.text
    assert server.http.post("/stripe/other/v1/refunds", auth=(KEY, "")).status_code == 401


def test_the_search_is_late_and_the_lookup_by_id_is_not(sandbox: SandboxServer) -> None:
    set_search_lag(sandbox, ACCOUNT, 700)
    body = a_payment()
    paid = post(sandbox, "/payment_intents", body).json()
    query = f"metadata['attempt']:'{body['metadata[attempt]']}' AND status:'succeeded'"
    assert get(sandbox, "/payment_intents/search", query=query).json()["data"] == []
    assert get(sandbox, f"/payment_intents/{paid['id']}").json()["id"] == paid["id"]
    found = eventually(lambda: get(sandbox, "/payment_intents/search", query=query).json()["data"], bool)
    assert [one["id"] for one in found] == [paid["id"]]
    assert get(sandbox, "/payment_intents/search", query="nonsense").status_code == 400
    set_search_lag(sandbox, ACCOUNT, 0)


def test_a_customer_authenticates_on_a_page_and_is_sent_back(sandbox: SandboxServer) -> None:
    for action, result, net in (("approve", "succeeded", 1_000), ("decline", "failed", 0)):
        body = a_payment(payment_method="pm_card_authenticationRequired", return_url="https://shop.test/back?order=7")
        intent = post(sandbox, "/payment_intents", body).json()
        assert (intent["status"], intent["next_action"]["type"]) == ("requires_action", "redirect_to_url")
        url = intent["next_action"]["redirect_to_url"]["url"]
        assert "Complete authentication" in sandbox.http.get(url).text
        sent_back = sandbox.http.post(url, data={"action": action})
        assert sent_back.status_code == 303
        query = httpx.URL(sent_back.headers["location"]).params
        assert (query["order"], query["payment_intent"], query["redirect_status"]) == ("7", intent["id"], result)
        assert "Complete authentication" not in sandbox.http.get(url).text
        assert list(sandbox.ledger(merchant_ref=body["metadata[attempt]"])["net"].values()) == [net]
        error = get(sandbox, f"/payment_intents/{intent['id']}").json()["last_payment_error"]
        assert (error or {}).get("code") == (None if net else "payment_intent_authentication_failure")


def test_a_card_may_be_declined_though_its_customer_has_authenticated(sandbox: SandboxServer) -> None:
    method = "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"
    waiting = post(
        sandbox, "/payment_intents", a_payment(payment_method=method, return_url="https://shop.test/")
    ).json()
    page = waiting["next_action"]["redirect_to_url"]["url"]
    sent_back = sandbox.http.post(page, data={"action": "approve"})
    assert "redirect_status=failed" in sent_back.headers["location"]
    error = get(sandbox, f"/payment_intents/{waiting['id']}").json()["last_payment_error"]
    assert (error["code"], error["decline_code"]) == ("card_declined", "insufficient_funds")
