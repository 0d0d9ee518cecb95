"""Adyen's words and ours: every status and code, what is unreadable, and what is sent."""

import dataclasses
from typing import Any

import pytest

from domain.gateway import Issue, OperationKind, Outcome, Retry
from gateways.adyen import wire
from gateways.adyen.adapter import AdyenGateway
from gateways.adyen.currency import Inexact, from_value, to_value
from gateways.gateway import MisconfiguredGateway
from tests.gateways.rigs.adyen_said import ACCOUNT, AUTHORISED, MODIFICATION, PSP, RECEIVED, Answering, a_call, about


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ("Authorised", Outcome.SUCCEEDED),
        ("PartiallyAuthorised", Outcome.SUCCEEDED),
        ("Refused", Outcome.DECLINED),
        ("Error", Outcome.DECLINED),
        ("Cancelled", Outcome.DECLINED),
        ("Pending", Outcome.PENDING),
        ("Received", Outcome.PENDING),
        ("AuthenticationFinished", Outcome.PENDING),
        ("AuthenticationNotRequired", Outcome.PENDING),
        ("Success", Outcome.PENDING),
        ("NobodyHasHeardOfIt", Outcome.PENDING),
    ],
)
async def test_every_result_code_has_one_meaning(result: str, outcome: Outcome) -> None:
    answer = await Answering(AUTHORISED | {"resultCode": result}).asked(a_call())
    assert answer.outcome is outcome
    assert answer.reference == PSP
    assert (answer.decline is not None) == (outcome is Outcome.DECLINED)
    assert answer.issues == ((Issue.AMOUNT_MISMATCH,) if result == "PartiallyAuthorised" else ())


@pytest.mark.parametrize("result", ["RedirectShopper", "IdentifyShopper", "ChallengeShopper", "PresentToShopper"])
async def test_what_the_shopper_must_do_is_an_action(result: str) -> None:
    action = {"type": "redirect", "url": "https://acs.example/x", "method": "POST", "data": {"MD": "1"}}
    answer = await Answering({"resultCode": result, "action": action}).asked(a_call())
    assert answer.outcome is Outcome.ACTION_REQUIRED
    assert answer.action is not None
    redirected = result == "RedirectShopper"
    assert (answer.action.url, answer.action.fields) == (
        ("https://acs.example/x", {"MD": "1"}) if redirected else (None, {})
    )


@pytest.mark.parametrize(
    ("code", "retry"),
    [
        *((str(code), Retry.OTHER_PG) for code in (0, 2, 3, 4, 9, 10, 21, 27)),
        *((str(code), Retry.NEVER) for code in (5, 7, 14, 20, 22, 25, 26, 31, 40, 46)),
        *((str(code), Retry.AFTER_CUSTOMER_ACTION) for code in (6, 8, 11, 12, 15, 16, 17, 18, 19, 23, 24, 28, 29)),
        *((str(code), Retry.AFTER_CUSTOMER_ACTION) for code in (32, 33, 34, 35, 36, 37, 38, 39, 41, 42)),
        ("13", Retry.NEVER),
        ("999", Retry.NEVER),
        ("", Retry.NEVER),
    ],
)
async def test_a_refusal_says_whether_another_pg_may_be_tried(code: str, retry: Retry) -> None:
    body = {"resultCode": "Refused", "pspReference": PSP, "refusalReason": "No", "refusalReasonCode": code}
    answer = await Answering(body).asked(a_call())
    assert answer.decline is not None
    assert (answer.outcome, answer.decline.retry) == (Outcome.DECLINED, retry)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"resultCode": None},
        {"resultCode": "Authorised"},
        AUTHORISED | {"pspReference": 7},
        AUTHORISED | {"amount": "1000"},
        AUTHORISED | {"amount": {"currency": "EUR", "value": "1000"}},
        {"resultCode": "RedirectShopper"},
        {"resultCode": "RedirectShopper", "action": {"type": "redirect"}},
        {"resultCode": "RedirectShopper", "action": {"type": "redirect", "url": "https://a.example", "data": "x"}},
    ],
)
async def test_an_answer_without_its_parts_is_unknown(body: Any) -> None:
    assert (await Answering(body).asked(a_call())).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        *((422, code, Outcome.DECLINED) for code in ("101", "103", "105", "129", "140", "141", "153", "800", "803")),
        (422, "167", Outcome.DECLINED),
        *((422, code, Outcome.NOT_EXECUTED) for code in ("100", "130", "137", "138", "158", "192")),
        *((422, code, Outcome.NOT_EXECUTED) for code in ("14_004", "14_006", "14_030", "29_001", "29_100")),
        (400, "702", Outcome.NOT_EXECUTED),
        (422, "704", Outcome.UNKNOWN),
        (409, "704", Outcome.UNKNOWN),
        (429, "", Outcome.UNKNOWN),
        (422, "nobody_has_heard_of_it", Outcome.UNKNOWN),
        (500, "905", Outcome.UNKNOWN),
    ],
)
async def test_an_error_means_what_its_code_means(status: int, code: str, outcome: Outcome) -> None:
    body = {"status": status, "errorCode": code, "message": "no", "errorType": "validation", "pspReference": PSP}
    for kind in (OperationKind.AUTHORIZE, OperationKind.CAPTURE):
        assert (await Answering(body, status=status).asked(a_call(kind))).outcome is outcome
    undo = about(OperationKind.AUTHORIZE, OperationKind.NEUTRALIZE)
    assert (await Answering(body, status=status).asked(undo)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("marked", ["true", "TRUE"])
async def test_a_transient_error_was_not_executed(marked: str) -> None:
    adyen = Answering({"status": 429, "errorCode": "029"}, status=429, Transient_Error=marked)
    assert (await adyen.asked(a_call())).outcome is Outcome.NOT_EXECUTED


@pytest.mark.parametrize("status", [422, 409])
async def test_a_transient_error_of_a_key_in_progress_proves_nothing_of_the_first(status: int) -> None:
    adyen = Answering({"status": status, "errorCode": "704"}, status=status, Transient_Error="true")
    for kind in (OperationKind.AUTHORIZE, OperationKind.CAPTURE, OperationKind.REFUND):
        assert (await adyen.asked(a_call(kind))).outcome is Outcome.UNKNOWN


async def test_a_request_is_named_by_the_header_where_the_body_does_not_name_it() -> None:
    answer = await Answering({"status": 400, "errorCode": "702"}, status=400, pspReference=PSP).asked(a_call())
    assert answer.evidence.request_id == PSP


@pytest.mark.parametrize(("status", "code"), [(401, "000"), (403, "901"), (403, "010"), (404, "")])
async def test_a_wrong_key_or_merchant_account_is_for_a_person(status: int, code: str) -> None:
    with pytest.raises(MisconfiguredGateway):
        await Answering({"status": status, "errorCode": code}, status=status).asked(a_call())


def test_an_hmac_key_that_is_not_hex_is_for_a_person() -> None:
    with pytest.raises(MisconfiguredGateway):
        AdyenGateway(dataclasses.replace(ACCOUNT, webhook_secret="not hex"))


async def test_a_charge_is_sent_whole_and_the_same_each_time() -> None:
    adyen = Answering(AUTHORISED)
    call = a_call(customer="c-1", instalments=3, description="Order 261122-7K3M9QX <b>", capture_now=False)
    for _ in range(2):
        await adyen.asked(call)
    first, second = adyen.requests
    assert (first.url.path, first.headers["x-api-key"]) == ("/v72/payments", "secret-key")
    assert first.headers["idempotency-key"] == call.key
    assert first.content == second.content
    assert adyen.sent == {
        "merchantAccount": "TestMerchant",
        "reference": "ref-000001",
        "amount": {"currency": "EUR", "value": 1000},
        "paymentMethod": {"type": "scheme", "storedPaymentMethodId": "tok_ok"},
        "shopperInteraction": "ContAuth",
        "recurringProcessingModel": "CardOnFile",
        "channel": "Web",
        "returnUrl": "https://shop.example/return",
        "additionalData": {"manualCapture": "true"},
        "shopperReference": "c-1",
        "installments": {"value": 3},
        "shopperStatement": "Order 261122-7K3M9QX b",
    }
    await adyen.asked(a_call(return_url=None))
    assert (adyen.sent["captureDelayHours"], adyen.sent["returnUrl"]) == (0, "http://pg.test")


async def test_what_the_customer_brought_back_is_handed_in_under_a_key_of_its_own() -> None:
    adyen = Answering(AUTHORISED)
    answer = await adyen.asked(a_call(details={"redirect_result": "X6XtfGC3!Y"}))
    (request,) = adyen.requests
    assert (request.url.path, adyen.sent) == ("/v72/payments/details", {"details": {"redirectResult": "X6XtfGC3!Y"}})
    assert request.headers["idempotency-key"] != "0123456789abcdef-a1"
    assert len(request.headers["idempotency-key"]) <= wire.LONGEST_KEY
    assert answer.outcome is Outcome.SUCCEEDED
    assert "X6XtfGC3" not in answer.evidence.detail


@pytest.mark.parametrize(
    ("kind", "path"),
    [(OperationKind.CAPTURE, "captures"), (OperationKind.VOID, "cancels"), (OperationKind.REFUND, "refunds")],
)
async def test_a_modification_is_received_and_no_more(kind: OperationKind, path: str) -> None:
    adyen = Answering(RECEIVED, status=201)
    answer = await adyen.asked(a_call(kind))
    assert adyen.requests[0].url.path == f"/v72/payments/{PSP}/{path}"
    assert len(adyen.sent["reference"]) <= 80
    assert (answer.outcome, answer.reference, answer.operation_ref) == (Outcome.PENDING, PSP, MODIFICATION)
    assert answer.issues == ()
    assert (await adyen.asked(a_call(kind, reference="OTHER"))).issues == (Issue.REFERENCE_MISMATCH,)
    assert (await Answering({"status": "received"}, status=201).asked(a_call(kind))).outcome is Outcome.UNKNOWN
    assert (await adyen.asked(a_call(kind, reference=None))).outcome is Outcome.NOT_EXECUTED


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.REFUND])
async def test_a_modification_of_another_amount_carries_the_issue(kind: OperationKind) -> None:
    assert (await Answering(RECEIVED, status=201).asked(a_call(kind, amount=999))).issues == (Issue.AMOUNT_MISMATCH,)
    bare = {name: value for name, value in RECEIVED.items() if name != "amount"}
    assert (await Answering(bare, status=201).asked(a_call(kind))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("currency", "ours", "theirs"), [("ISK", 27, 2700), ("CLP", 5, 500), ("IDR", 700, 7)])
def test_adyens_own_decimals_are_converted_exactly(currency: str, ours: int, theirs: int) -> None:
    assert (to_value(ours, currency), from_value(theirs, currency)) == (theirs, ours)
    assert (to_value(ours, "EUR"), from_value(theirs, "XXX")) == (ours, theirs)


async def test_an_amount_that_adyen_cannot_express_is_not_sent() -> None:
    with pytest.raises(Inexact):
        to_value(150, "CVE")
    adyen = Answering(AUTHORISED)
    for kind in (OperationKind.AUTHORIZE, OperationKind.CAPTURE):
        assert (await adyen.asked(a_call(kind, amount=150, currency="CVE"))).outcome is Outcome.NOT_EXECUTED
    assert adyen.requests == []
