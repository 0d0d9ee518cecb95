"""What comes later at the sandbox's Adyen: modifications, their webhooks, failures after success, reports, the SDK."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import Adyen  # type: ignore[import-untyped]
import httpx
import pytest
from Adyen.util import is_valid_hmac_notification  # type: ignore[import-untyped]

from domain.gateway import Call, OperationKind, Outcome
from tests.gateways.rig import (
    CAPTURE,
    KEY,
    LOOKUP,
    NEUTRALIZE,
    REFUND,
    SandboxServer,
    eventually,
    prepared,
    settled,
    succeeded,
)
from tests.gateways.rigs.adyen import HMAC_KEY, MERCHANT, AdyenRig, a_payment, post


async def test_a_webhook_that_comes_twice_is_one_event(adyen: AdyenRig) -> None:
    adyen.arm("webhook_duplicate", CAPTURE)
    capture = await prepared(adyen, CAPTURE)
    await succeeded(adyen, capture)
    codes = eventually(adyen.posted, lambda posted: posted.count("CAPTURE") == 2)
    assert (codes.count("CAPTURE"), len(adyen.events(capture.merchant_ref, "CAPTURE"))) == (2, 1)


async def test_until_a_late_webhook_comes_the_capture_is_unknown_and_then_it_is_known(adyen: AdyenRig) -> None:
    adyen.arm("webhook_late", CAPTURE, ms=500)
    capture = await prepared(adyen, CAPTURE)
    assert (await adyen.gateway.perform(capture)).outcome is Outcome.PENDING
    assert (await adyen.gateway.perform(adyen.about(capture, LOOKUP))).outcome is Outcome.UNKNOWN
    await succeeded(adyen, adyen.about(capture, LOOKUP))


async def test_without_its_webhook_an_operation_is_never_success_and_never_failure(adyen: AdyenRig) -> None:
    adyen.arm("webhook_never", REFUND)
    refund = await prepared(adyen, REFUND)
    assert (await adyen.gateway.perform(refund)).outcome is Outcome.PENDING
    other = await prepared(adyen, REFUND)
    await succeeded(adyen, other)
    assert (await adyen.gateway.perform(adyen.about(refund, LOOKUP))).outcome is Outcome.UNKNOWN
    assert adyen.money(refund).net == 0


@pytest.mark.parametrize("kind", [CAPTURE, REFUND])
async def test_what_succeeded_may_fail_later_and_the_money_goes_back(adyen: AdyenRig, kind: OperationKind) -> None:
    call = await prepared(adyen, kind)
    done = await succeeded(adyen, call)
    failed = adyen.control(f"/_fail/{done.operation_ref}")
    assert (failed.status_code, failed.json()["eventCode"]) == (200, f"{kind.value.upper()}_FAILED")
    answer = await _changed(adyen, adyen.about(call, LOOKUP))
    assert answer is Outcome.DECLINED
    assert adyen.money(call).net == (0 if kind is CAPTURE else 10_000)
    assert adyen.control(f"/_fail/{done.operation_ref}").status_code == 422
    assert adyen.control("/_fail/NOBODY").status_code == 422


async def _changed(adyen: AdyenRig, lookup: Call) -> Outcome:
    """The outcome once it is success no more, or success when that does not come."""
    for _ in range(300):
        outcome = (await adyen.gateway.perform(lookup)).outcome
        if outcome is not Outcome.SUCCEEDED:
            return outcome
        await asyncio.sleep(0.02)
    return Outcome.SUCCEEDED


@pytest.mark.parametrize("captured", [True, False])
async def test_a_technical_cancel_that_finds_nothing_to_cancel_leaves_it_in_doubt(
    adyen: AdyenRig, *, captured: bool
) -> None:
    call = adyen.charge()
    if captured:
        await succeeded(adyen, call)
    undo = adyen.about(call, NEUTRALIZE)
    assert (await adyen.gateway.perform(undo)).outcome is Outcome.PENDING
    heard = eventually(lambda: adyen.events(call.merchant_ref, "TECHNICAL_CANCEL"), bool)
    assert [event.outcome for event in heard] == [Outcome.DECLINED]
    assert (await adyen.gateway.perform(undo)).outcome is Outcome.PENDING
    lookup = await adyen.gateway.perform(adyen.about(call, LOOKUP))
    assert lookup.outcome is (Outcome.SUCCEEDED if captured else Outcome.UNKNOWN)
    assert adyen.money(call).net == (10_000 if captured else 0)


async def test_a_payment_that_arrives_after_a_failed_technical_cancel_is_cancelled_by_the_next(adyen: AdyenRig) -> None:
    call = adyen.charge(capture_now=False)
    undo = adyen.about(call, NEUTRALIZE)
    assert (await adyen.gateway.perform(undo)).outcome is Outcome.PENDING
    eventually(lambda: adyen.events(call.merchant_ref, "TECHNICAL_CANCEL"), bool)
    assert (await adyen.gateway.perform(call)).outcome is Outcome.SUCCEEDED
    await succeeded(adyen, undo)
    assert (adyen.money(call).net, adyen.money(call).held) == (0, 0)
    assert (await adyen.gateway.perform(call)).outcome is Outcome.NOT_EXECUTED


@pytest.mark.parametrize(("captured", "action"), [(True, "refund"), (False, "cancel")])
def test_a_reversal_cancels_or_refunds(adyen: AdyenRig, *, captured: bool, action: str) -> None:
    body = a_payment() | ({} if captured else {"additionalData": {"manualCapture": "true"}})
    psp = post(adyen, "/v72/payments", body).json()["pspReference"]
    received = post(adyen, f"/v72/payments/{psp}/reversals", {"merchantAccount": MERCHANT, "reference": "rev"})
    assert (received.status_code, received.json()["paymentPspReference"]) == (201, psp)
    items = eventually(lambda: adyen.items("CANCEL_OR_REFUND"), bool)
    assert items[0]["additionalData"]["modification.action"] == action
    assert (items[0]["merchantReference"], items[0]["success"], adyen.net(body["reference"])) == ("rev", "true", 0)


@pytest.mark.parametrize("path", ["captures", "cancels", "refunds", "reversals"])
def test_a_modification_needs_its_original_and_its_merchant(adyen: AdyenRig, path: str) -> None:
    psp = post(adyen, "/v72/payments", a_payment()).json()["pspReference"]
    amount = {"amount": {"currency": "EUR", "value": 1}} if path in {"captures", "refunds"} else {}
    for original, merchant in ((psp, "Sister"), ("NOBODY", MERCHANT)):
        body = {"merchantAccount": merchant, **amount}
        refused = post(adyen, f"/v72/payments/{original}/{path}", body)
        assert (refused.status_code, refused.json()["errorCode"]) == (422, "167")


async def test_a_refund_of_what_is_not_captured_is_refused_in_words_by_webhook(adyen: AdyenRig) -> None:
    charge = adyen.charge(capture_now=False)
    reference = (await succeeded(adyen, charge)).reference
    answer = await settled(adyen, adyen.follow(charge, REFUND, 1000, reference))
    assert answer.decline is not None
    assert (answer.outcome, answer.decline.category) == (Outcome.DECLINED, "state")


def test_a_delayed_capture_survives_a_restart_and_happens_when_it_is_due(
    start: Callable[..., SandboxServer], tmp_path: Path
) -> None:
    server = start("--pending-ms", "100")
    url = f"{server.url}/adyen/adyen-delay/v72/payments"
    body = a_payment(captureDelayHours=2)
    answer = httpx.post(url, json=body, headers={"X-API-Key": KEY}, trust_env=False)
    assert answer.json()["resultCode"] == "Authorised"
    assert list(server.ledger(merchant_ref=body["reference"])["held"].values()) == [1000]
    server.stop()
    connection = sqlite3.connect(tmp_path / "sandbox.sqlite3")
    with connection:
        connection.execute("UPDATE jobs SET due_at = due_at - 7200 WHERE name = 'capture'")
    connection.close()
    server.restart()
    seen = eventually(lambda: server.ledger(merchant_ref=body["reference"]), lambda seen: any(seen["net"].values()))
    assert list(seen["net"].values()) == [1000]


async def test_the_report_is_for_those_with_the_key_and_has_a_payout(adyen: AdyenRig) -> None:
    await succeeded(adyen, adyen.charge(1000))
    await adyen.settlement()
    (event,) = [event for event in adyen.heard.all() if event.kind == "REPORT_AVAILABLE"]
    address = str(event.reason)
    assert adyen.fetch(address, key="").status_code == 401
    assert adyen.fetch(address.replace("settlement_detail", "payments_accounting")).status_code == 404
    assert adyen.fetch(address[:-6] + "99.csv").status_code == 404
    assert event.occurred_at is not None
    lines = [line async for line in adyen.gateway.settlement_lines(event.occurred_at.date())]
    assert [(line.kind, line.gross, line.net) for line in lines] == [("charge", 1000, 1000), ("payout", -1000, -1000)]
    assert len({line.line_id for line in lines}) == 2


async def test_the_official_sdk_pays_modifies_and_verifies(adyen: AdyenRig) -> None:
    client = Adyen.Adyen(xapikey=KEY, platform="test")
    checkout = client.checkout
    for api in (checkout.payments_api, checkout.modifications_api):
        api.baseUrl = f"{adyen.url}/adyen/{adyen.account}/v72"
    body = a_payment(additionalData={"manualCapture": "true"})
    paid = await asyncio.to_thread(checkout.payments_api.payments, body, idempotency_key=uuid4().hex)
    psp = paid.message["pspReference"]
    assert (paid.status_code, paid.message["resultCode"]) == (200, "Authorised")
    modify = checkout.modifications_api.capture_authorised_payment
    change: dict[str, Any] = {"merchantAccount": MERCHANT, "amount": body["amount"]}
    received = await asyncio.to_thread(modify, change, psp)
    assert (received.status_code, received.message["status"]) == (201, "received")
    eventually(lambda: adyen.items("CAPTURE"), bool)
    for raw in adyen.receiver.bodies:
        assert is_valid_hmac_notification(json.loads(raw), HMAC_KEY)
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity):
        await asyncio.to_thread(modify, change, "NOBODY")
    with pytest.raises(Adyen.AdyenAPIInvalidPermission):
        await asyncio.to_thread(modify, {**change, "merchantAccount": ""}, psp)
    assert adyen.net(body["reference"]) == 1000
