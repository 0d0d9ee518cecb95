"""The sandbox adapter never believes what it cannot read, and believes a webhook only when it is signed."""

import dataclasses
import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx
import pytest

from domain.gateway import Answer, Call, OperationKind, Outcome
from gateways.catalog import build_gateway
from gateways.gateway import Account, GatewayUnavailable, MisconfiguredGateway, WebhookRefused, WebhookTrust
from gateways.sandbox.adapter import SandboxGateway
from gateways.sandbox.server.delivery import sign
from gateways.transport import Patience
from tests.gateways.rig import KEY, Rig, SandboxRig, SandboxServer

NOW = 1_700_000_000.0
EVENT = {
    "id": "evt_1",
    "type": "payment.captured",
    "reference": "pay_1",
    "merchant_ref": "ref-000001",
    "occurred_at": "2026-11-22T10:00:00.000Z",
}
PAYMENT = {
    "reference": "pay_1",
    "merchant_ref": "ref-000001",
    "status": "captured",
    "amount": 1000,
    "currency": "KRW",
    "authorized": 1000,
    "captured": 1000,
    "refunded": 0,
    "voided": 0,
}
OPERATION = {"id": "op_1", "status": "succeeded", "merchant_ref": "ref-000001", "amount": 1000, "currency": "KRW"}


@pytest.fixture
async def rig(sandbox: SandboxServer) -> AsyncIterator[Rig]:
    """The sandbox's own: these are its words and no laws."""
    sandbox.http.delete("/_faults").raise_for_status()
    built = SandboxRig(build_gateway("sandbox", Account("sandbox-a", sandbox.url, KEY)), sandbox, "sandbox-a")
    yield built
    await built.close()


async def answered(call: Call, body: Any, *, status: int = 201) -> Answer:
    respond = httpx.MockTransport(lambda _request: httpx.Response(status, json=body))
    async with httpx.AsyncClient(transport=respond) as client:
        return await SandboxGateway(Account("sandbox-a", "http://pg.test", KEY), client=client).perform(call)


@pytest.fixture
def charge(rig: Rig) -> Call:
    return dataclasses.replace(rig.charge(1000), merchant_ref="ref-000001")


async def test_an_unknown_status_is_pending(charge: Call) -> None:
    body = {"operation": OPERATION, "payment": PAYMENT | {"status": "in_review"}}
    assert (await answered(charge, body)).outcome is Outcome.PENDING


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"payment": None},
        {"payment": "captured"},
        {"operation": OPERATION, "payment": {"status": "captured"}},
        {"operation": OPERATION, "payment": PAYMENT | {"amount": "1000"}},
        {"operation": OPERATION, "payment": PAYMENT | {"captured": True}},
        {"operation": OPERATION, "payment": PAYMENT | {"reference": None}},
        {"operation": OPERATION, "payment": PAYMENT | {"status": "requires_action"}},
        {"operation": OPERATION, "payment": PAYMENT | {"status": "declined"}},
        {"error": "no"},
    ],
)
async def test_a_success_without_its_parts_is_unknown(charge: Call, body: Any) -> None:
    assert (await answered(charge, body)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (429, "not_accepted", Outcome.NOT_EXECUTED),
        (400, "invalid_field", Outcome.NOT_EXECUTED),
        (409, "idempotency_in_progress", Outcome.UNKNOWN),
        (422, "idempotency_mismatch", Outcome.UNKNOWN),
        (409, "merchant_ref_taken", Outcome.UNKNOWN),
        (418, "nobody_has_heard_of_it", Outcome.UNKNOWN),
    ],
)
async def test_a_refusal_means_what_its_code_means(charge: Call, status: int, code: str, outcome: Outcome) -> None:
    body = {"error": {"code": code, "message": "no"}}
    assert (await answered(charge, body, status=status)).outcome is outcome


async def test_a_wrong_key_or_account_is_for_a_person(charge: Call) -> None:
    for status, code in ((401, "unauthorized"), (404, "no_such_route")):
        with pytest.raises(MisconfiguredGateway):
            await answered(charge, {"error": {"code": code, "message": "no"}}, status=status)
    with pytest.raises(MisconfiguredGateway):
        build_gateway("nobody", Account("sandbox-a", "http://pg.test", KEY))


async def test_calls_that_do_not_say_enough_are_not_sent(rig: Rig) -> None:
    charge = rig.charge()
    capture = rig.follow(charge, OperationKind.CAPTURE, 1, None)
    assert (await rig.gateway.perform(capture)).outcome is Outcome.NOT_EXECUTED
    for kind in (OperationKind.LOOKUP, OperationKind.NEUTRALIZE):
        nameless = dataclasses.replace(capture, kind=kind)
        assert (await rig.gateway.perform(nameless)).outcome is Outcome.UNKNOWN


async def test_a_slow_answer_is_waited_for_only_so_long(sandbox: SandboxServer, rig: Rig) -> None:
    hasty = SandboxGateway(Account("sandbox-a", sandbox.url, KEY), patience=Patience(read=0.1))
    call = rig.charge(token="tok_slow")
    assert (await hasty.perform(call)).outcome is Outcome.UNKNOWN
    assert (await rig.gateway.perform(rig.about(call, OperationKind.LOOKUP))).outcome is Outcome.SUCCEEDED
    await hasty.close()


async def test_a_request_that_was_held_up_past_its_time_is_not_executed(sandbox: SandboxServer, rig: Rig) -> None:
    late = SandboxGateway(Account("sandbox-a", sandbox.url, KEY), clock=lambda: NOW)
    call = rig.charge()
    answer = await late.perform(call)
    assert (answer.outcome, answer.evidence.detail) == (Outcome.NOT_EXECUTED, "request_expired")
    assert rig.money(call).rows == ()
    await late.close()


@pytest.mark.parametrize("body", [{}, {"lines": [{}], "next": None}, {"lines": "all", "next": None}])
async def test_a_settlement_that_cannot_be_read_is_unavailable(body: Any) -> None:
    respond = httpx.MockTransport(lambda _request: httpx.Response(200, json=body))
    async with httpx.AsyncClient(transport=respond) as client:
        gateway = SandboxGateway(Account("sandbox-a", "http://pg.test", KEY), client=client)
        with pytest.raises(GatewayUnavailable):
            [line async for line in gateway.settlement_lines(date(2026, 11, 22))]


def gateway_at(now: float) -> SandboxGateway:
    return SandboxGateway(Account("sandbox-a", "http://pg.test", KEY), clock=lambda: now)


def test_a_signed_webhook_is_translated_and_its_repetition_has_the_same_id() -> None:
    raw = json.dumps({"events": [EVENT]}).encode()
    headers = {"Sandbox-Signature": sign(KEY, raw, NOW)}
    batches = [gateway_at(NOW).parse_webhook(raw, headers) for _ in range(2)]
    assert batches[0] == batches[1]
    (event,) = batches[0].events
    assert (batches[0].trust, event.event_id, event.reference) == (WebhookTrust.SIGNED, "evt_1", "pay_1")


@pytest.mark.parametrize(
    ("raw", "signature"),
    [
        (b'{"events":[]}', ""),
        (b'{"events":[]}', "t=1,v1=zz"),
        (b'{"events":[]}', sign("another key", b'{"events":[]}', NOW)),
        (b'{"events":[]} ', sign(KEY, b'{"events":[]}', NOW)),
        (b'{"events":[]}', sign(KEY, b'{"events":[]}', NOW - 301)),
        (b'{"events":[]}', sign(KEY, b'{"events":[]}', NOW + 301)),
        (b"garbage", sign(KEY, b"garbage", NOW)),
        (b"[]", sign(KEY, b"[]", NOW)),
        (b'{"events":[{"id":1}]}', sign(KEY, b'{"events":[{"id":1}]}', NOW)),
        (b'{"events":["x"]}', sign(KEY, b'{"events":["x"]}', NOW)),
        (b" " * 65_537, sign(KEY, b" " * 65_537, NOW)),
    ],
)
def test_a_forged_stale_or_malformed_webhook_is_refused(raw: bytes, signature: str) -> None:
    with pytest.raises(WebhookRefused):
        gateway_at(NOW).parse_webhook(raw, {"sandbox-signature": signature})
