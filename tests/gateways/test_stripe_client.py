"""What breaks on the way to Stripe, or is no result, means what the table says; the SDK hides none of it."""

import dataclasses
from datetime import date
from typing import Any
from uuid import UUID

import httpx
import pytest

from domain.gateway import Answer, Call, OperationKind, Outcome
from gateways.gateway import Account, GatewayUnavailable, MisconfiguredGateway
from gateways.stripe.adapter import StripeGateway

AUTHORIZE, CAPTURE, VOID, REFUND, LOOKUP, NEUTRALIZE = OperationKind
KEY = "0123456789abcdef-a1"
NOW = 1_700_000_000


def a_call(kind: OperationKind = AUTHORIZE, **changes: Any) -> Call:
    fixed = Call(
        operation_id=UUID(int=7),
        kind=kind,
        account="stripe-a",
        merchant_ref="attempt-1",
        key=KEY,
        amount=10_000,
        currency="KRW",
        method="card",
        token="pm_card_visa",
        reference=None if kind is AUTHORIZE else "pi_1",
    )
    return dataclasses.replace(fixed, **changes)


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


def a_transaction(**changes: Any) -> dict[str, Any]:
    source = {"id": "re_1", "object": "refund", "payment_intent": "pi_1", "metadata": {"attempt": "attempt-1"}}
    fixed = {"id": "txn_1", "reporting_category": "refund", "amount": -4_000, "fee": 0, "net": -4_000}
    return {**fixed, "currency": "krw", "created": NOW, "source": source, **changes}


async def performed(result: httpx.Response | Exception, call: Call, key: str = "sk_test_1") -> Answer:
    def respond(_request: httpx.Request) -> httpx.Response:
        if isinstance(result, Exception):
            raise result
        return result

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
        gateway = StripeGateway(Account("stripe-a", "http://stripe.test", key), client=client)
        answer = await gateway.perform(call)
        await gateway.close()
        return answer


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (httpx.ConnectError, Outcome.NOT_EXECUTED),
        (httpx.ConnectTimeout, Outcome.NOT_EXECUTED),
        (httpx.PoolTimeout, Outcome.NOT_EXECUTED),
        (httpx.WriteError, Outcome.UNKNOWN),
        (httpx.ReadTimeout, Outcome.UNKNOWN),
        (httpx.ReadError, Outcome.UNKNOWN),
        (httpx.RemoteProtocolError, Outcome.UNKNOWN),
        (httpx.ProxyError, Outcome.UNKNOWN),
        (AttributeError, Outcome.UNKNOWN),
    ],
)
async def test_what_breaks_on_the_way_is_told_apart(error: type[Exception], outcome: Outcome) -> None:
    answer = await performed(error("no"), a_call())
    assert (answer.outcome, answer.evidence.detail) == (outcome, error.__name__)
    asked = a_call(LOOKUP, subject=AUTHORIZE, subject_key=KEY)
    assert (await performed(error("no"), asked)).outcome is Outcome.UNKNOWN


def an_error(status: int, **error: Any) -> httpx.Response:
    return httpx.Response(status, json={"error": {"type": "api_error", "message": "No.", **error}})


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (an_error(500), Outcome.UNKNOWN),
        (an_error(503), Outcome.UNKNOWN),
        (an_error(409, type="idempotency_error", code="idempotency_key_in_use"), Outcome.UNKNOWN),
        (an_error(424), Outcome.UNKNOWN),
        (an_error(429, code="rate_limit"), Outcome.NOT_EXECUTED),
        (an_error(429, code="lock_timeout"), Outcome.NOT_EXECUTED),
        (an_error(400, code="rate_limit"), Outcome.NOT_EXECUTED),
        (an_error(402, type="card_error", code="card_declined"), Outcome.DECLINED),
        (httpx.Response(200, content=b"<html>"), Outcome.UNKNOWN),
        (httpx.Response(200, json=[]), Outcome.UNKNOWN),
        (httpx.Response(200, json={}), Outcome.UNKNOWN),
        (httpx.Response(200, content=b"\xff"), Outcome.UNKNOWN),
        (httpx.Response(200, content=b"[" * 100_000), Outcome.UNKNOWN),
        (httpx.Response(302, json={}), Outcome.UNKNOWN),
        (httpx.Response(400, json={"error": None}), Outcome.UNKNOWN),
        (httpx.Response(400, json={"error": "text"}), Outcome.UNKNOWN),
        (httpx.Response(400, json={"error": ["list"]}), Outcome.UNKNOWN),
        (httpx.Response(502, content=b"Bad gateway"), Outcome.UNKNOWN),
    ],
)
async def test_every_answer_that_is_not_a_result(response: httpx.Response, outcome: Outcome) -> None:
    answer = await performed(response, a_call())
    assert answer.outcome is outcome
    assert answer.evidence.http_status == response.status_code


@pytest.mark.parametrize(
    "response",
    [an_error(401), an_error(403), httpx.Response(404, content=b"nothing here"), httpx.Response(401, content=b"")],
)
async def test_a_refused_key_and_an_unknown_route_need_a_person(response: httpx.Response) -> None:
    with pytest.raises(MisconfiguredGateway):
        await performed(response, a_call())


@pytest.mark.parametrize("key", ["", "sk_test\n", " sk_test", "sk_té"])
def test_a_key_that_cannot_be_sent_is_refused_at_once(key: str) -> None:
    with pytest.raises(MisconfiguredGateway):
        StripeGateway(Account("stripe-a", "http://stripe.test", key))


@pytest.mark.parametrize("url", ["stripe.test", "ftp://stripe.test", "http://stripe.test:port"])
async def test_an_address_that_cannot_be_called_needs_a_person(url: str) -> None:
    gateway = StripeGateway(Account("stripe-a", url, "sk_test_1"))
    with pytest.raises(MisconfiguredGateway):
        await gateway.perform(a_call())
    await gateway.close()


async def test_what_cannot_be_asked_is_not_sent() -> None:
    sent = httpx.Response(200, json=an_intent("succeeded"))
    for call in (
        a_call(CAPTURE, reference=None),
        a_call(instalments=3),
        a_call(amount=5_123, currency="KWD"),
    ):
        assert (await performed(sent, call)).outcome is Outcome.NOT_EXECUTED
    for kind in (LOOKUP, NEUTRALIZE):
        assert (await performed(sent, a_call(kind))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "response",
    [an_error(500), an_error(400), httpx.Response(200, json={"data": [a_transaction(net=None)]}), httpx.ReadError("x")],
)
async def test_a_settlement_that_cannot_be_read_is_no_empty_one(response: httpx.Response | Exception) -> None:
    def respond(_request: httpx.Request) -> httpx.Response:
        if isinstance(response, Exception):
            raise response
        return response

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
        gateway = StripeGateway(Account("stripe-a", "http://stripe.test", "sk_test_1"), client=client)
        with pytest.raises(GatewayUnavailable):
            _ = [line async for line in gateway.settlement_lines(date(2026, 11, 23))]
        await gateway.close()
