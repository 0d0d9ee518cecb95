"""Adyen's webhooks: the documented signature, every event, and everything that is refused."""

import dataclasses
import json
from typing import Any

import pytest

from domain.gateway import Outcome
from gateways.adyen import wire
from gateways.adyen.adapter import AdyenGateway
from gateways.adyen.webhook import read_webhook, signature
from gateways.gateway import WebhookRefused, WebhookTrust
from tests.gateways.rigs.adyen_said import ACCOUNT, KEY, PSP

DOCUMENTED = {
    "amount": {"currency": "EUR", "value": 1130},
    "pspReference": "7914073381342284",
    "originalReference": "",
    "eventCode": "AUTHORISATION",
    "eventDate": "2021-01-01T01:00:00+01:00",
    "merchantAccountCode": "TestMerchant",
    "merchantReference": "TestPayment-1407325143704",
    "paymentMethod": "visa",
    "operations": ["CANCEL", "CAPTURE", "REFUND"],
    "reason": "",
    "success": "true",
}
DOCUMENTED_SIGNATURE = "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="


def signed(item: dict[str, Any]) -> dict[str, Any]:
    return {"NotificationRequestItem": item | {"additionalData": {"hmacSignature": signature(item, KEY)}}}


def a_body(*items: dict[str, Any]) -> bytes:
    return json.dumps({"live": "false", "notificationItems": list(items)}).encode()


def test_the_documented_signature() -> None:
    assert signature(DOCUMENTED, KEY) == DOCUMENTED_SIGNATURE
    absent = {name: value for name, value in DOCUMENTED.items() if name != "originalReference"}
    assert signature(absent, KEY) == DOCUMENTED_SIGNATURE


def test_a_signed_webhook_is_translated() -> None:
    batch = read_webhook(a_body(signed(DOCUMENTED)), key=KEY, merchant="TestMerchant")
    (event,) = batch.events
    assert (batch.trust, batch.ack_status) == (WebhookTrust.SIGNED, 202)
    assert event.event_id == "AUTHORISATION:7914073381342284:true"
    assert (event.reference, event.merchant_ref) == ("7914073381342284", "TestPayment-1407325143704")
    assert (event.outcome, event.amount, event.currency) == (Outcome.SUCCEEDED, 1130, "EUR")
    assert (event.operation_ref, event.operation_mark, event.reason) == (None, None, None)


@pytest.mark.parametrize(
    ("code", "success", "outcome"),
    [
        ("AUTHORISATION", "false", Outcome.DECLINED),
        ("CAPTURE", "true", Outcome.SUCCEEDED),
        ("CAPTURE", "false", Outcome.DECLINED),
        ("CAPTURE_FAILED", "true", Outcome.DECLINED),
        ("CANCELLATION", "true", Outcome.SUCCEEDED),
        ("TECHNICAL_CANCEL", "true", Outcome.SUCCEEDED),
        ("TECHNICAL_CANCEL", "false", Outcome.DECLINED),
        ("REFUND", "true", Outcome.SUCCEEDED),
        ("REFUND", "false", Outcome.DECLINED),
        ("REFUND_FAILED", "true", Outcome.DECLINED),
        ("REFUNDED_REVERSED", "true", Outcome.DECLINED),
        ("CHARGEBACK", "true", None),
        ("EXPIRE", "true", None),
        ("REPORT_AVAILABLE", "true", None),
        ("NOBODY_HAS_HEARD_OF_IT", "true", None),
    ],
)
def test_every_event_says_what_it_says_and_no_more(code: str, success: str, outcome: Outcome | None) -> None:
    reference = wire.modification_reference("ref-000001", "some-key-00000001")
    item = DOCUMENTED | {"eventCode": code, "success": success, "originalReference": PSP, "reason": "why"}
    batch = read_webhook(a_body(signed(item | {"merchantReference": reference})), key=KEY, merchant="TestMerchant")
    (event,) = batch.events
    assert (event.kind, event.outcome, event.reference) == (code, outcome, PSP)
    assert (event.merchant_ref, event.operation_mark) == ("ref-000001", wire.key_mark("some-key-00000001"))
    worded = outcome is Outcome.DECLINED or code == "REPORT_AVAILABLE"
    assert event.reason == ("why" if worded else None)


def test_every_item_is_verified_and_another_merchants_is_left_out() -> None:
    other = signed(DOCUMENTED | {"merchantAccountCode": "Sister"})
    batch = read_webhook(a_body(signed(DOCUMENTED), other), key=KEY, merchant="TestMerchant")
    assert len(batch.events) == 1
    forged = {"NotificationRequestItem": other["NotificationRequestItem"] | {"pspReference": "X"}}
    with pytest.raises(WebhookRefused):
        read_webhook(a_body(signed(DOCUMENTED), forged), key=KEY, merchant="TestMerchant")


@pytest.mark.parametrize(
    "change",
    [
        {"pspReference": "X"},
        {"originalReference": "X"},
        {"merchantAccountCode": "X"},
        {"merchantReference": "X"},
        {"amount": {"currency": "EUR", "value": 1131}},
        {"amount": {"currency": "USD", "value": 1130}},
        {"amount": {"currency": "EUR", "value": True}},
        {"amount": None},
        {"eventCode": "CAPTURE"},
        {"success": "false"},
        {"success": True},
        {"additionalData": {}},
        {"additionalData": None},
        {"additionalData": {"hmacSignature": ""}},
        {"additionalData": {"hmacSignature": 1}},
        {"additionalData": {"hmacSignature": "é"}},
    ],
)
def test_a_changed_or_unsigned_item_is_refused(change: dict[str, Any]) -> None:
    item = signed(DOCUMENTED)["NotificationRequestItem"] | change
    with pytest.raises(WebhookRefused):
        read_webhook(a_body({"NotificationRequestItem": item}), key=KEY, merchant="TestMerchant")


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b"null", a_body(), b'{"notificationItems":[1]}', b" " * 262_145, b'{"notificationItems":1}'],
)
def test_a_body_that_is_no_webhook_is_refused(raw: bytes) -> None:
    with pytest.raises(WebhookRefused):
        read_webhook(raw, key=KEY, merchant="TestMerchant")


def test_without_an_hmac_key_every_webhook_is_refused() -> None:
    gateway = AdyenGateway(dataclasses.replace(ACCOUNT, webhook_secret=""))
    with pytest.raises(WebhookRefused):
        gateway.parse_webhook(a_body(signed(DOCUMENTED)), {})


def test_an_amount_that_our_minor_units_cannot_express_is_none() -> None:
    for value, ours in ((1500, 15), (150, None)):
        item = signed(DOCUMENTED | {"amount": {"currency": "ISK", "value": value}})
        assert read_webhook(a_body(item), key=KEY, merchant="TestMerchant").events[0].amount == ours
