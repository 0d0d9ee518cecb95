"""The sandbox's Adyen over real HTTP: keys, errors, test cards, redirects, sessions, and the adapter against them."""

import asyncio
import dataclasses
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest

from domain.gateway import FORGED_RETURN, Call, Issue, OperationKind, Outcome
from tests.gateways.rig import AUTHORIZE, KEY, LOOKUP, SandboxServer, eventually, settled, succeeded
from tests.gateways.rigs.adyen import MERCHANT, RETURN_URL, AdyenRig, a_card, a_payment, post

TRANSIENT = {"additionalData": {"RequestedTestErrorResponseCode": "NO_CONNECTION_AVAILABLE"}}
BROKEN = {"additionalData": {"requestedTestErrorResponseCode": "IOEXCEPTION_RECEIVED"}}
ERROR_FIELDS = {"status", "errorCode", "message", "errorType"}


def test_a_key_has_one_answer_whatever_comes_under_it(adyen: AdyenRig) -> None:
    body, key = a_payment(), uuid4().hex
    first = post(adyen, "/v72/payments", body, key=key)
    for path, other in (("/v72/payments", body), ("/v71/payments", {**body, "amount": {}}), ("/v72/cancels", {})):
        again = post(adyen, path, other, key=key)
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["idempotency-key"] == key
    assert adyen.net(body["reference"]) == 1000


async def test_a_second_key_charges_again_and_the_lookup_gives_it_to_a_person(adyen: AdyenRig) -> None:
    call = adyen.charge()
    await succeeded(adyen, call)
    again = await adyen.gateway.perform(dataclasses.replace(call, key=call.key + "-again"))
    assert again.outcome is Outcome.SUCCEEDED
    assert adyen.money(call).net == 20_000
    eventually(
        lambda: [e for e in adyen.heard.all() if e.merchant_ref == call.merchant_ref], lambda seen: len(seen) == 2
    )
    assert (await adyen.gateway.perform(adyen.about(call, LOOKUP))).issues == (Issue.REFERENCE_MISMATCH,)


def test_after_a_transient_error_the_key_is_as_new(adyen: AdyenRig) -> None:
    body, key = a_payment(), uuid4().hex
    refused = post(adyen, "/v72/payments", {**body, **TRANSIENT}, key=key)
    assert (refused.status_code, refused.headers["transient-error"]) == (500, "true")
    assert post(adyen, "/v72/payments", body, key=key).json()["resultCode"] == "Authorised"
    assert adyen.net(body["reference"]) == 1000


async def test_a_final_error_stays_under_its_key_and_the_webhook_tells_what_happened(adyen: AdyenRig) -> None:
    call = adyen.charge(1000)
    body = {**a_payment(), **BROKEN, "reference": call.merchant_ref, "amount": {"currency": "KRW", "value": 1000}}
    first = post(adyen, "/v72/payments", body, key=call.key)
    assert first.status_code == 500
    assert "transient-error" not in first.headers
    assert (await adyen.gateway.perform(call)).outcome is Outcome.UNKNOWN
    await succeeded(adyen, adyen.about(call, LOOKUP))
    assert adyen.money(call).net == 1000


async def test_a_key_in_progress_is_704_and_unknown(adyen: AdyenRig) -> None:
    call = adyen.charge()
    adyen.arm("delay", AUTHORIZE, ms=400)
    first = asyncio.create_task(adyen.gateway.perform(call))
    await asyncio.to_thread(eventually, lambda: adyen.money(call).rows, bool)
    second = await asyncio.to_thread(post, adyen, "/v72/payments", a_payment(), key=call.key)
    assert (second.status_code, second.json()["errorCode"]) == (422, "704")
    assert second.headers["transient-error"] == "true"
    assert set(second.json()) == ERROR_FIELDS
    assert (await first).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"merchantAccount": None}, 403, "901"),
        ({"merchantAccount": " "}, 403, "901"),
        ({"amount": None}, 422, "100"),
        ({"amount": {"currency": "EUR", "value": 0}}, 422, "137"),
        ({"amount": {"currency": "EUR", "value": "10"}}, 422, "137"),
        ({"amount": {"currency": "eur", "value": 10}}, 422, "138"),
        ({"amount": {"currency": "EUX", "value": 10}}, 422, "138"),
        ({"channel": "Fax"}, 422, "192"),
        ({"recurringProcessingModel": ["CardOnFile"]}, 422, "192"),
        ({"shopperInteraction": "ecommerce"}, 422, "000"),
        ({"countryCode": "NLD"}, 422, "200"),
        ({"reference": ""}, 422, "130"),
        ({"reference": 7}, 422, "192"),
        ({"reference": "r" * 81}, 422, "29_001"),
        ({"returnUrl": None}, 422, "14_030"),
        ({"paymentMethod": None}, 422, "14_006"),
        ({"paymentMethod": {"type": "scheme"}}, 422, "14_004"),
        ({"paymentMethod": {"type": "scheme", "storedPaymentMethodId": "8416038790273850"}}, 422, "803"),
        ({"paymentMethod": {"type": "scheme", "encryptedCardNumber": "test_4111111111111112"}}, 422, "101"),
        ({"captureDelayHours": -1}, 422, "702"),
        ({"paymentMethod": {"type": "ideal"}}, 500, "905_1"),
    ],
)
def test_a_request_that_is_not_right_has_its_error(adyen: AdyenRig, change: Any, status: int, code: str) -> None:
    answer = post(adyen, "/v72/payments", {**a_payment(), **change})
    assert (answer.status_code, answer.json()["status"], answer.json()["errorCode"]) == (status, status, code)
    assert set(answer.json()) == ERROR_FIELDS | {"pspReference"}


def test_without_a_key_or_json_nothing_is_done(adyen: AdyenRig) -> None:
    url = f"{adyen.url}/adyen/{adyen.account}/v72/payments"
    nobody = httpx.post(url, json=a_payment(), trust_env=False)
    assert (nobody.status_code, nobody.json()["errorCode"]) == (401, "000")
    assert set(nobody.json()) == ERROR_FIELDS
    basic = httpx.post(url, json=a_payment(), auth=("ws@Company.Laws", KEY), trust_env=False)
    assert basic.json()["resultCode"] == "Authorised"
    broken = httpx.post(url, content=b"{", headers={"X-API-Key": KEY}, trust_env=False)
    assert (broken.status_code, broken.json()["errorCode"]) == (400, "702")
    long = post(adyen, "/v72/payments", a_payment(), key="k" * 65)
    assert (long.status_code, adyen.net("")) == (422, 0)


def test_configured_keys_open_their_own_account_alone(start: Any) -> None:
    server: SandboxServer = start("--keys", '{"adyen-x": "right", "adyen-y": "other"}')
    url = f"{server.url}/adyen/adyen-x/v72/paymentMethods"
    for key, status in (("right", 200), ("other", 401), ("wrong", 401)):
        answer = httpx.post(url, json={"merchantAccount": MERCHANT}, headers={"X-API-Key": key}, trust_env=False)
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("method", "result", "code"),
    [
        (a_card(), "Authorised", None),
        (a_card(encryptedCardNumber="test_5555444433331111"), "Authorised", None),
        ({"type": "scheme", "number": "370000000000002", "expiryMonth": "3", "expiryYear": "2030"}, "Authorised", None),
        (a_card(holderName="DECLINED"), "Refused", "2"),
        (a_card(holderName="BLOCK_CARD"), "Refused", "5"),
        (a_card(holderName="NOT_ENOUGH_BALANCE"), "Refused", "12"),
        (a_card(holderName="ERROR"), "Error", "4"),
        (a_card(holderName="CANCELLED"), "Cancelled", "15"),
        (a_card(encryptedExpiryYear="test_2029"), "Refused", "6"),
        (a_card(encryptedSecurityCode="test_000"), "Refused", "24"),
        ({"type": "scheme", "storedPaymentMethodId": "tok_lost"}, "Refused", "5"),
        ({"type": "scheme", "storedPaymentMethodId": "tok_of_nobody"}, "Refused", "8"),
    ],
)
def test_adyens_test_cards_go_as_documented(adyen: AdyenRig, method: Any, result: str, code: str | None) -> None:
    body = a_payment(paymentMethod=method)
    answer = post(adyen, "/v72/payments", body)
    said = answer.json()
    assert (answer.status_code, said["resultCode"], said.get("refusalReasonCode")) == (200, result, code)
    assert said["merchantReference"] == body["reference"]
    assert len(said["pspReference"]) == 16
    assert adyen.net(body["reference"]) == (1000 if result == "Authorised" else 0)
    (event,) = eventually(lambda: adyen.events(body["reference"], "AUTHORISATION"), bool)
    assert (event.outcome is Outcome.SUCCEEDED, event.reference) == (result == "Authorised", said["pspReference"])


def test_a_refusal_can_be_asked_for_by_its_code(adyen: AdyenRig) -> None:
    wanted = {"additionalData": {"RequestedTestAcquirerResponseCode": "20"}}
    assert post(adyen, "/v72/payments", {**a_payment(), **wanted}).json()["refusalReason"] == "FRAUD"


@pytest.mark.parametrize(
    ("action", "outcome", "net"), [("approve", Outcome.SUCCEEDED, 10_000), ("decline", Outcome.DECLINED, 0)]
)
async def test_a_redirected_customer_comes_back_and_the_payment_goes_on(
    adyen: AdyenRig, action: str, outcome: Outcome, net: int
) -> None:
    call = adyen.charge(token="tok_3ds")
    asked = await adyen.gateway.perform(call)
    assert asked.action is not None
    assert (asked.outcome, asked.action.kind) == (Outcome.ACTION_REQUIRED, "redirect")
    url = str(asked.action.url)
    async with httpx.AsyncClient(trust_env=False) as shopper:
        assert "Approve" in (await shopper.get(url)).text
        assert (await shopper.post(url, data={"action": "rob"})).status_code == 422
        back = await shopper.post(url, data={"action": action})
        pressed_again = await shopper.post(url, data={"action": "approve"})
    assert back.status_code == 303
    assert back.headers["location"] == pressed_again.headers["location"]
    assert back.headers["location"].startswith(RETURN_URL)
    result = parse_qs(urlsplit(back.headers["location"]).query)["redirectResult"][0]
    assert adyen.money(call).net == 0
    returned = dataclasses.replace(call, details={"redirect_result": result}, reference=asked.reference)
    for _ in range(2):
        assert (await adyen.gateway.perform(returned)).outcome is outcome
    assert (await settled(adyen, adyen.about(call, LOOKUP))).outcome is outcome
    assert adyen.money(call).net == net


async def test_what_is_brought_back_and_not_of_this_payment_counts_for_nothing(adyen: AdyenRig) -> None:
    mine, theirs = (adyen.charge(token="tok_3ds") for _ in range(2))
    my_psp, my_result = await approved(adyen, mine)
    _, their_result = await approved(adyen, theirs)
    waiting = dataclasses.replace(mine, reference=my_psp)
    for wrong in ("forged", their_result):
        turned_away = await adyen.gateway.perform(dataclasses.replace(waiting, details={"redirect_result": wrong}))
        assert turned_away.decline is not None
        assert (turned_away.outcome, turned_away.decline.code) == (Outcome.ACTION_REQUIRED, FORGED_RETURN)
        assert (turned_away.reference, turned_away.issues) == (None, ())
    assert adyen.money(mine).net == 0
    right = await adyen.gateway.perform(dataclasses.replace(waiting, details={"redirect_result": my_result}))
    assert (right.outcome, right.reference, right.issues) == (Outcome.SUCCEEDED, my_psp, ())
    assert adyen.money(mine).net == mine.amount


async def approved(adyen: AdyenRig, call: Call) -> tuple[str, str]:
    """Adyen's reference, and what its page gives a customer who says yes to bring back."""
    asked = await adyen.gateway.perform(call)
    assert asked.action is not None
    assert asked.reference is not None
    async with httpx.AsyncClient(trust_env=False) as shopper:
        back = await shopper.post(str(asked.action.url), data={"action": "approve"})
    return asked.reference, parse_qs(urlsplit(back.headers["location"]).query)["redirectResult"][0]


def test_the_pages_escape_and_show_an_apps_own_address_only(adyen: AdyenRig) -> None:
    body = a_payment(paymentMethod={"type": "scheme", "storedPaymentMethodId": "tok_3ds"})
    body["returnUrl"] = 'app://shop?"><script>alert(1)</script>'
    url = post(adyen, "/v72/payments", body).json()["action"]["url"]
    shown = httpx.post(url, data={"action": "approve"}, trust_env=False)
    assert shown.status_code == 200
    assert "<script>" not in shown.text
    assert httpx.get(url + "x", trust_env=False).status_code == 404
    assert httpx.post(url, content=b"x" * 3000, trust_env=False).status_code == 413


def test_a_technical_cancel_reaches_a_shopper_who_has_not_come_back(adyen: AdyenRig) -> None:
    body = a_payment(paymentMethod={"type": "scheme", "storedPaymentMethodId": "tok_3ds"})
    url = post(adyen, "/v72/payments", body).json()["action"]["url"]
    cancel = {"merchantAccount": MERCHANT, "paymentReference": body["reference"], "reference": "mine"}
    received = post(adyen, "/v72/cancels", cancel)
    assert (received.status_code, received.json()["status"], received.json()["reference"]) == (201, "received", "mine")
    back = httpx.post(url, data={"action": "approve"}, trust_env=False).headers["location"]
    details = {"details": {"redirectResult": parse_qs(urlsplit(back).query)["redirectResult"][0]}}
    assert post(adyen, "/v72/payments/details", details).json()["resultCode"] == "Cancelled"
    assert adyen.net(body["reference"]) == 0


@pytest.mark.parametrize(
    ("action", "status", "net"), [("pay", "completed", 1000), ("decline", "refused", 0), ("cancel", "canceled", 0)]
)
def test_a_hosted_session_is_paid_on_its_page(adyen: AdyenRig, action: str, status: str, net: int) -> None:
    body = {**a_payment(), "mode": "hosted", "countryCode": "NL", "shopperEmail": "a@shop.example"}
    del body["paymentMethod"]
    created = post(adyen, "/v72/sessions", body)
    session = created.json()
    assert created.status_code == 201
    assert {"expiresAt", "id", "sessionData"} <= set(session)
    assert body.items() <= session.items()
    path = f"/v72/sessions/{session['id']}"
    assert adyen.get(path + "?sessionResult=x").json()["status"] == "active"
    assert adyen.get(path).status_code == 422
    assert "Pay" in httpx.get(session["url"], trust_env=False).text
    back, pressed_again = (
        httpx.post(session["url"], data={"action": action}, trust_env=False).headers["location"] for _ in range(2)
    )
    assert back == pressed_again
    result = parse_qs(urlsplit(back).query)["sessionResult"][0]
    assert adyen.get(f"{path}?sessionResult={result}").json()["status"] == status
    assert adyen.get(path + "?sessionResult=forged").status_code == 422
    assert adyen.net(body["reference"]) == net


def test_payment_methods_and_what_is_stored(adyen: AdyenRig) -> None:
    found = post(adyen, "/v72/paymentMethods", {"merchantAccount": MERCHANT, "shopperReference": "c-1"}).json()
    assert found["paymentMethods"][0]["type"] == "scheme"
    assert found["storedPaymentMethods"][0]["id"] == "tok_ok"
    assert post(adyen, "/v72/paymentMethods", {}).status_code == 403


@pytest.mark.parametrize("fault", ["refuse", "500_before", "wrong_amount", "garbage"])
async def test_faults_strike_what_they_are_armed_for(adyen: AdyenRig, fault: str) -> None:
    adyen.arm(fault, OperationKind.CAPTURE)
    call = adyen.charge(capture_now=False)
    reference = (await succeeded(adyen, call)).reference
    capture = adyen.follow(call, OperationKind.CAPTURE, 10_000, reference)
    answer = await adyen.gateway.perform(capture)
    expected = {"refuse": Outcome.NOT_EXECUTED, "wrong_amount": Outcome.PENDING}.get(fault, Outcome.UNKNOWN)
    assert answer.outcome is expected
    await succeeded(adyen, capture)
    assert adyen.money(call).net == 10_000
