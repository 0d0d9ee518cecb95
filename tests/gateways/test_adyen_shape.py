"""The sandbox's Adyen as a stranger to it meets it: headers, unknown addresses and fields, what comes back."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.gateways.rig import KEY, LOOKUP, eventually
from tests.gateways.rigs.adyen import MERCHANT, AdyenRig, a_card, a_payment, post

EUR = {"currency": "EUR", "value": 1000}
MANUAL = {"additionalData": {"manualCapture": "true"}}
NAMED = {"shopperReference": "shopper-1", "merchantAccount": MERCHANT}


def ask(adyen: AdyenRig, method: str, path: str, *, key: str = KEY, **query: str) -> httpx.Response:
    """Any method with any API key."""
    url = f"{adyen.url}/adyen/{adyen.account}{path}"
    return httpx.request(method, url, params=query, headers={"X-API-Key": key}, trust_env=False)


def test_every_answer_names_its_request_and_its_key_in_the_headers(adyen: AdyenRig) -> None:
    psp = post(adyen, "/v72/payments", a_payment(**MANUAL)).json()["pspReference"]
    adyen.arm("refuse", LOOKUP)
    for path, body, status in (
        ("/paymentMethods", {"merchantAccount": MERCHANT}, 429),
        ("/payments", a_payment(), 200),
        ("/sessions", {name: value for name, value in a_payment().items() if name != "paymentMethod"}, 201),
        (f"/payments/{psp}/captures", {"merchantAccount": MERCHANT, "amount": EUR}, 201),
        ("/payments", a_payment(merchantAccount=""), 403),
        ("/payments", a_payment(amount=None), 422),
        ("/payments", [], 400),
        ("/nothing", {}, 404),
    ):
        for version in ("v71", "v72"):
            key = f"{uuid4().hex}-{version}"
            answers = [post(adyen, f"/{version}{path}", body, key=key) for _ in range(2 if status in {200, 201} else 1)]
            for said in answers:
                assert said.status_code == status
                assert said.headers["content-type"] == "application/json;charset=UTF-8"
                assert said.headers["idempotency-key"] == key
                assert said.headers["pspReference"] == said.json().get("pspReference", said.headers["pspReference"])
                assert len(said.headers["pspReference"]) == 16
            assert len({said.headers["pspReference"] for said in answers}) == 1
            if status == 429:
                break


@pytest.mark.parametrize(
    ("method", "path", "key", "status", "words"),
    [
        ("POST", "/v72/nothing", KEY, 404, "Not Found"),
        ("GET", "/v72/payments/8816118280275544/captures/1", KEY, 404, "Not Found"),
        ("POST", "/v1/payments", KEY, 404, "Not Found"),
        ("GET", "/v72/payments", KEY, 405, "Method Not Allowed"),
        ("PATCH", "/v71/sessions/CS1", KEY, 405, "Method Not Allowed"),
        ("POST", "/v72/nothing", "", 401, "Unauthorized"),
    ],
)
def test_an_address_that_is_not_there_is_answered_as_adyen_does(
    adyen: AdyenRig, method: str, path: str, key: str, status: int, words: str
) -> None:
    said = ask(adyen, method, path, key=key)
    expected = {"errorCode": "000", "message": f"HTTP Status Response - {words}", "errorType": "security"}
    assert (said.status_code, said.json()) == (status, {"status": status, **expected})


@pytest.mark.parametrize(
    ("path", "body", "structure", "name"),
    [
        ("/payments", {**a_payment(), "captureDelay": 1}, "PaymentRequest", "captureDelay"),
        ("/payments", a_payment(amount={**EUR, "values": 1}), "Amount", "values"),
        ("/payments/details", {"details": {"pp": "x"}}, "PaymentCompletionDetails", "pp"),
        ("/payments/X/captures", {"modificationAmount": EUR}, "PaymentCaptureRequest", "modificationAmount"),
        ("/payments/X/cancels", {"amount": EUR}, "PaymentCancelRequest", "amount"),
        ("/cancels", {"originalReference": "x"}, "StandalonePaymentCancelRequest", "originalReference"),
        ("/sessions", {"paymentMethod": {}}, "CreateCheckoutSessionRequest", "paymentMethod"),
    ],
)
def test_a_field_that_the_structure_does_not_have_is_refused_by_its_name(
    adyen: AdyenRig, path: str, body: Any, structure: str, name: str
) -> None:
    said = post(adyen, f"/v72{path}", body)
    words = f"Structure of {structure} contains the following unknown fields: [{name}]"
    assert (said.status_code, said.json()["errorCode"], said.json()["message"]) == (400, "702", words)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/payments", a_payment(reference=None), "Required field 'reference' is not provided."),
        ("/payments", a_payment(reference="r" * 81), "Field 'reference' may not exceed 80 characters."),
        ("/payments", a_payment(amount=None), "Required object 'amount' is not provided."),
        ("/payments", a_payment(amount={**EUR, "value": -1}), "Field 'amount' is not valid."),
        ("/cancels", {"merchantAccount": MERCHANT}, "Required field 'paymentReference' is not provided."),
        ("/storedPaymentMethods", {"merchantAccount": MERCHANT}, "Required field 'shopperReference' is not provided."),
    ],
)
def test_an_error_says_it_in_adyens_words(adyen: AdyenRig, path: str, body: Any, words: str) -> None:
    assert post(adyen, f"/v72{path}", body).json()["message"] == words


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("channel", ["iOS", "Android", "Web"]),
        ("countryCode", ["NL", "KR"]),
        ("recurringProcessingModel", ["CardOnFile", "Subscription", "UnscheduledCardOnFile"]),
        ("shopperInteraction", ["Ecommerce", "ContAuth", "Moto", "POS"]),
    ],
)
def test_every_value_that_a_field_may_have_is_taken(adyen: AdyenRig, field: str, values: list[str]) -> None:
    for value in [*values, None]:
        assert post(adyen, "/v72/payments", a_payment(**{field: value})).status_code == 200, value


def test_both_spellings_of_the_test_error_are_known(adyen: AdyenRig) -> None:
    for name in ("RequestedTestErrorResponseCode", "requestedTestErrorResponseCode"):
        said = post(adyen, "/v72/payments", a_payment(additionalData={name: "IOEXCEPTION_RECEIVED"}))
        assert (said.status_code, "transient-error" in said.headers) == (500, False)


def test_a_refund_gives_back_what_it_was_told_and_takes_documented_reasons_only(adyen: AdyenRig) -> None:
    psp = post(adyen, "/v72/payments", a_payment()).json()["pspReference"]
    told = {"lineItems": [{"id": "1", "quantity": 1}], "merchantRefundReason": "CUSTOMER REQUEST", "store": "s-1"}
    body = {"merchantAccount": MERCHANT, "amount": EUR, **told}
    assert told.items() <= post(adyen, f"/v72/payments/{psp}/refunds", body).json().items()
    joke = post(adyen, f"/v72/payments/{psp}/refunds", {**body, "merchantRefundReason": "JOKE"})
    assert (joke.status_code, joke.json()["message"]) == (422, "Field 'merchantRefundReason' is not valid.")


def test_an_amount_update_is_received_and_refused_by_webhook(adyen: AdyenRig) -> None:
    body = a_payment(**MANUAL)
    psp = post(adyen, "/v72/payments", body).json()["pspReference"]
    change = {"merchantAccount": MERCHANT, "amount": {**EUR, "value": 2000}, "reference": "more"}
    received = post(adyen, f"/v72/payments/{psp}/amountUpdates", change)
    assert (received.status_code, received.json()["status"]) == (201, "received")
    (item,) = eventually(lambda: adyen.items("AUTHORISATION_ADJUSTMENT"), bool)
    assert (item["success"], item["originalReference"], item["merchantReference"]) == ("false", psp, "more")


def test_a_technical_cancel_that_came_too_late_names_the_payment_it_found(adyen: AdyenRig) -> None:
    body = a_payment()
    psp = post(adyen, "/v72/payments", body).json()["pspReference"]
    post(adyen, "/v72/cancels", {"merchantAccount": MERCHANT, "paymentReference": body["reference"]})
    (item,) = eventually(lambda: adyen.items("TECHNICAL_CANCEL"), bool)
    assert (item["success"], item["originalReference"], item["amount"]) == ("false", psp, EUR)
    assert adyen.net(body["reference"]) == 1000


def test_a_session_ends_when_its_merchant_says_and_must_be_asked_for_by_its_result(adyen: AdyenRig) -> None:
    body = {name: value for name, value in a_payment().items() if name != "paymentMethod"}
    for at, status in (("2020-01-01T00:00:00+01:00", "expired"), ("2999-01-01T00:00:00Z", "active")):
        session = post(adyen, "/v72/sessions", {**body, "expiresAt": at}).json()
        assert adyen.get(f"/v72/sessions/{session['id']}?sessionResult=x").json()["status"] == status
    assert post(adyen, "/v72/sessions", {**body, "expiresAt": "tomorrow"}).status_code == 422
    lasting = post(adyen, "/v72/sessions", body).json()["id"]
    missing = adyen.get(f"/v72/sessions/{lasting}").json()["message"]
    unknown = adyen.get("/v72/sessions/CSNOBODY?sessionResult=x").json()["message"]
    assert missing == "Required field 'sessionResult' is not provided."
    assert unknown == "Field 'sessionId' is not valid."


def test_a_card_that_is_stored_with_its_payment_pays_again_until_it_is_deleted(adyen: AdyenRig) -> None:
    enrolled = a_card(encryptedCardNumber="test_5555444433331111")
    stored = {"storePaymentMethod": True, "shopperReference": "shopper-1", "recurringProcessingModel": "CardOnFile"}
    said = post(adyen, "/v72/payments", a_payment(paymentMethod=enrolled, **stored)).json()["additionalData"]
    token = said["tokenization.storedPaymentMethodId"]
    assert said["tokenization.shopperReference"] == "shopper-1"
    listed = ask(adyen, "GET", "/v72/storedPaymentMethods", **NAMED).json()["storedPaymentMethods"]
    assert [(card["id"], card["brand"], card["lastFour"]) for card in listed] == [(token, "mc", "1111")]
    method = {"type": "scheme", "storedPaymentMethodId": token}
    again = post(adyen, "/v72/payments", a_payment(paymentMethod=method, shopperReference="shopper-1"))
    assert again.json()["resultCode"] == "Authorised"
    assert "tokenization.storedPaymentMethodId" not in again.json()["additionalData"]
    gone = ask(adyen, "DELETE", f"/v72/storedPaymentMethods/{token}", **NAMED)
    assert (gone.status_code, gone.content) == (204, b"")
    assert ask(adyen, "DELETE", f"/v72/storedPaymentMethods/{token}", **NAMED).status_code == 404
    assert ask(adyen, "GET", "/v72/storedPaymentMethods", **NAMED).json()["storedPaymentMethods"] == []
    assert post(adyen, "/v72/paymentMethods", NAMED).json()["storedPaymentMethods"] == []


def test_a_card_can_be_stored_by_itself(adyen: AdyenRig) -> None:
    body = {**NAMED, "recurringProcessingModel": "CardOnFile", "paymentMethod": a_card(holderName="Kim")}
    stored = post(adyen, "/v72/storedPaymentMethods", body)
    card = {"brand": "visa", "holderName": "Kim", "lastFour": "1111", "shopperReference": "shopper-1"}
    assert stored.status_code == 201
    assert card.items() <= stored.json().items()
    assert ask(adyen, "GET", "/v72/storedPaymentMethods", shopperReference="shopper-1").status_code == 403
    assert post(adyen, "/v72/storedPaymentMethods", {**body, "paymentMethod": None}).status_code == 422


@pytest.mark.parametrize(
    ("number", "supported", "brands"),
    [
        ("411111", None, [{"type": "visa", "supported": True}]),
        ("test_5555444433331111", ["visa"], [{"type": "mc", "supported": False}]),
        ("999999", None, None),
    ],
)
def test_a_card_number_tells_its_brand(adyen: AdyenRig, number: str, supported: Any, brands: Any) -> None:
    body = {"merchantAccount": MERCHANT, "cardNumber": number} | ({"supportedBrands": supported} if supported else {})
    assert post(adyen, "/v72/cardDetails", body).json().get("brands") == brands


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("/payments", "reference", "\ud800"),
        ("/sessions", "metadata", {"a": float("nan")}),
        ("/payments/X/refunds", "merchantRefundReason", ["OTHER"]),
        ("/sessions", "mode", {}),
        ("/sessions", "expiresAt", "9999-12-31T23:59:59-14:00"),
        ("/paymentLinks", "returnUrl", True),
        ("/paymentLinks", "expiresAt", "0001-01-01T00:00:00+14:00"),
        ("/orders", "expiresAt", 7),
        ("/sessions", "channel", "web"),
        ("/paymentLinks", "countryCode", "N1"),
        ("/paymentLinks", "recurringProcessingModel", "Monthly"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_in_adyens_way(adyen: AdyenRig, path: str, field: str, value: Any) -> None:
    fixed = {"merchantAccount": MERCHANT, "amount": EUR, "reference": "r-1"}
    more: dict[str, Any] = {"returnUrl": "https://shop.example"} if path in {"/payments", "/sessions"} else {}
    paid = {"paymentMethod": a_card()} if path == "/payments" else {}
    raw = json.dumps({**fixed, **more, **paid, field: value})
    url = f"{adyen.url}/adyen/{adyen.account}/v72{path}"
    said = httpx.post(url, content=raw, headers={"X-API-Key": KEY}, trust_env=False)
    assert (said.status_code in {400, 422}, said.json()["errorType"]) == (True, "validation")
