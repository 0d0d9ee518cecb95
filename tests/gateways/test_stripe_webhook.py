"""An event of Stripe is believed once its signature fits, and is then a hint."""

import hashlib
import hmac
import json
from typing import Any

import pytest
import stripe

from domain.gateway import Outcome
from gateways.gateway import WebhookRefused, WebhookTrust
from gateways.stripe.webhook import read_webhook

KEY = "0123456789abcdef-a1"
SECRET = "whsec_test"
NOW = 1_700_000_000
VECTOR_BODY = b'{"id":"evt_1","object":"event"}'
VECTOR = "t=1700000000,v1=4c15fb2a43f93ef61eaa3e0893866d57cad9cad4223242cfb96f362480cb4021"


def an_intent(status: str, **changes: Any) -> dict[str, Any]:
    fixed = {
        "id": "pi_1",
        "object": "payment_intent",
        "status": status,
        "amount": 10_000,
        "amount_received": 10_000 if status == "succeeded" else 0,
        "currency": "krw",
        "metadata": {"attempt": "attempt-1"},
        "latest_charge": None,
        "next_action": None,
        "last_payment_error": None,
    }
    return {**fixed, **changes}


def a_refund(status: str, **changes: Any) -> dict[str, Any]:
    fixed = {
        "id": "re_1",
        "object": "refund",
        "status": status,
        "amount": 10_000,
        "currency": "krw",
        "payment_intent": "pi_1",
        "metadata": {"attempt": "attempt-1", "operation": KEY},
    }
    return {**fixed, **changes}


def an_event(**changes: Any) -> bytes:
    fixed = {"id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "created": NOW}
    return json.dumps({**fixed, "data": {"object": an_intent("succeeded")}, **changes}).encode()


def signed(raw: bytes, secret: str = SECRET) -> dict[str, str]:
    header = stripe.WebhookSignature.generate_signature_header(raw.decode(), secret, timestamp=NOW)
    return {"Stripe-Signature": header}


def test_the_documented_signature_fits_and_the_sdk_signs_alike() -> None:
    with pytest.raises(WebhookRefused, match="signed but not an event"):
        read_webhook(VECTOR_BODY, {"stripe-signature": VECTOR}, secret=SECRET, now=NOW)
    assert signed(VECTOR_BODY) == {"Stripe-Signature": VECTOR}
    with pytest.raises(WebhookRefused, match="does not fit"):
        read_webhook(VECTOR_BODY + b" ", {"stripe-signature": VECTOR}, secret=SECRET, now=NOW)


def test_an_event_is_a_hint_about_a_payment() -> None:
    batch = read_webhook(an_event(), signed(an_event()), secret=SECRET, now=NOW + 300)
    (event,) = batch.events
    assert batch.trust is WebhookTrust.SIGNED
    assert (event.event_id, event.kind, event.reference) == ("evt_1", "payment_intent.succeeded", "pi_1")
    assert (event.merchant_ref, event.operation_ref, event.outcome) == ("attempt-1", None, Outcome.SUCCEEDED)
    raw = an_event(type="refund.failed", data={"object": a_refund("failed")})
    (event,) = read_webhook(raw, signed(raw), secret=SECRET, now=NOW).events
    assert (event.kind, event.reference, event.operation_ref) == ("refund.failed", "pi_1", "re_1")


A_DISPUTE = {"id": "dp_1", "object": "dispute", "charge": "ch_1", "payment_intent": "pi_1", "metadata": {}}
A_CHARGE = {"id": "ch_1", "object": "charge", "payment_intent": "pi_1", "metadata": {"attempt": "attempt-1"}}


@pytest.mark.parametrize(
    ("kind", "about", "outcome"),
    [
        ("payment_intent.succeeded", an_intent("succeeded"), Outcome.SUCCEEDED),
        ("payment_intent.amount_capturable_updated", an_intent("requires_capture"), Outcome.SUCCEEDED),
        ("charge.succeeded", A_CHARGE, Outcome.SUCCEEDED),
        ("charge.captured", A_CHARGE, Outcome.SUCCEEDED),
        ("payment_intent.payment_failed", an_intent("requires_payment_method"), None),
        ("payment_intent.processing", an_intent("processing"), None),
        ("payment_intent.canceled", an_intent("canceled"), None),
        ("charge.failed", A_CHARGE | {"status": "failed"}, None),
        ("charge.refunded", A_CHARGE, None),
        ("refund.created", a_refund("failed"), None),
        ("refund.updated", a_refund("succeeded"), None),
        ("refund.updated", a_refund("pending"), None),
        ("refund.updated", a_refund("failed"), Outcome.DECLINED),
        ("charge.refund.updated", a_refund("failed"), Outcome.DECLINED),
        ("refund.failed", a_refund("failed"), Outcome.DECLINED),
        ("something.new", an_intent("succeeded"), None),
    ],
)
def test_an_event_states_an_outcome_only_if_it_tells_of_money_or_of_a_refund_that_failed(
    kind: str, about: dict[str, Any], outcome: Outcome | None
) -> None:
    raw = an_event(type=kind, data={"object": about})
    (event,) = read_webhook(raw, signed(raw), secret=SECRET, now=NOW).events
    assert event.outcome is outcome


def test_an_event_about_what_has_no_id_is_taken_and_says_nothing() -> None:
    raw = an_event(type="balance.available", data={"object": {"object": "balance", "available": [], "pending": []}})
    (event,) = read_webhook(raw, signed(raw), secret=SECRET, now=NOW).events
    assert (event.kind, event.reference, event.operation_ref, event.outcome) == ("balance.available", None, None, None)


def test_either_signature_counts_while_a_secret_is_replaced() -> None:
    raw = an_event()
    old = signed(raw, "whsec_old")["Stripe-Signature"]
    both = f"{old},{signed(raw)['Stripe-Signature'].partition(',')[2]}"
    for secret in ("whsec_old", SECRET):
        assert read_webhook(raw, {"Stripe-Signature": both}, secret=secret, now=NOW).events
    with pytest.raises(WebhookRefused):
        read_webhook(raw, {"Stripe-Signature": both}, secret="whsec_third", now=NOW)


@pytest.mark.parametrize(
    "header",
    ["", "t=1700000000", "v1=" + "0" * 64, "t=x,v1=" + "0" * 64, "t=1700000000,v0=" + "0" * 64, VECTOR + ",t=1"],
)
def test_a_malformed_signature_is_refused(header: str) -> None:
    with pytest.raises(WebhookRefused):
        read_webhook(VECTOR_BODY, {"Stripe-Signature": header}, secret=SECRET, now=NOW)


@pytest.mark.parametrize("raw", [b"[]", b"{", b"null", b"\xff", an_event(data=None), an_event(created="now")])
def test_what_is_signed_and_no_event_is_refused(raw: bytes) -> None:
    stamp = str(NOW).encode()

    digest = hmac.new(SECRET.encode(), stamp + b"." + raw, hashlib.sha256).hexdigest()
    with pytest.raises(WebhookRefused, match="not an event"):
        read_webhook(raw, {"Stripe-Signature": f"t={NOW},v1={digest}"}, secret=SECRET, now=NOW)


def test_an_event_that_is_old_too_large_or_without_a_secret_is_refused() -> None:
    raw = an_event()
    for now in (NOW + 301, NOW - 301):
        with pytest.raises(WebhookRefused, match="too old"):
            read_webhook(raw, signed(raw), secret=SECRET, now=now)
    with pytest.raises(WebhookRefused, match="no webhook_secret"):
        read_webhook(raw, signed(raw, ""), secret="", now=NOW)
    with pytest.raises(WebhookRefused, match="too large"):
        read_webhook(b" " * 300_000, signed(raw), secret=SECRET, now=NOW)


@pytest.mark.parametrize(
    ("kind", "asks_back"),
    [
        ("charge.dispute.created", True),
        ("charge.dispute.funds_withdrawn", True),
        ("charge.dispute.closed", False),
        ("charge.succeeded", False),
    ],
)
def test_a_dispute_is_for_a_person_and_says_nothing_of_an_operation(kind: str, asks_back: bool) -> None:
    raw = an_event(type=kind, data={"object": A_DISPUTE})
    (event,) = read_webhook(raw, signed(raw), secret=SECRET, now=NOW).events
    assert (event.asks_back, event.reference) == (asks_back, "pi_1")
    assert not asks_back or event.outcome is None
