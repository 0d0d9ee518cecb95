"""The adapter's happy paths against localstripe, a stateful Stripe that nobody here wrote (GPL: a process of its own).

It knows neither idempotency nor search, so it proves that what we send is understood, and nothing about safety.
"""

import dataclasses
import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from domain.gateway import Amounts, Answer, Call, OperationKind, Outcome, Retry
from gateways.gateway import Account
from gateways.stripe.adapter import StripeGateway

AUTHORIZE, CAPTURE, VOID, REFUND = (
    OperationKind.AUTHORIZE,
    OperationKind.CAPTURE,
    OperationKind.VOID,
    OperationKind.REFUND,
)
KEY = "sk_test_localstripe"
READY_SECONDS = 60.0
LAUNCHER = (
    "from aiohttp import web; from localstripe.server import app, store; "
    "store.dump_to_disk = lambda: None; "  # else it leaves a file in the folder for temporary files
    "web.run_app(app, host='127.0.0.1', port={port}, print=None)"
)

pytestmark = pytest.mark.skipif(importlib.util.find_spec("localstripe") is None, reason="localstripe is not installed")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", LAUNCHER.format(port=port)], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            httpx.get(f"{url}/v1/refunds", headers={"Authorization": f"Bearer {KEY}"}, trust_env=False)
            break
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait(timeout=10)


@pytest.fixture
async def gateway(address: str) -> AsyncIterator[StripeGateway]:
    built = StripeGateway(Account("local", address, KEY))
    yield built
    await built.close()


def a_card(address: str, number: str = "4242424242424242") -> str:
    card = {"number": number, "exp_month": "12", "exp_year": "2034", "cvc": "123"}
    body = {"type": "card", **{f"card[{name}]": value for name, value in card.items()}}
    headers = {"Authorization": f"Bearer {KEY}"}
    made = httpx.post(f"{address}/v1/payment_methods", data=body, headers=headers, trust_env=False).raise_for_status()
    return str(made.json()["id"])


def a_charge(token: str, *, capture_now: bool = True) -> Call:
    unique = uuid4()
    return Call(
        operation_id=unique,
        kind=AUTHORIZE,
        account="local",
        merchant_ref=f"local-{unique.hex[:20]}",
        key=f"{unique.hex}-a1",
        amount=10_000,
        currency="KRW",
        method="card",
        token=token,
        capture_now=capture_now,
    )


def follow(call: Call, kind: OperationKind, amount: int, reference: str | None) -> Call:
    unique = uuid4()
    return dataclasses.replace(
        call, operation_id=unique, kind=kind, key=f"{unique.hex}-f", amount=amount, reference=reference
    )


def about(call: Call, reference: str | None) -> Call:
    asked = follow(call, OperationKind.LOOKUP, call.amount, reference)
    return dataclasses.replace(asked, subject=call.kind, subject_key=call.key)


def charge_at(address: str, answer: Answer) -> dict[str, Any]:
    """The charge in localstripe's own books."""
    headers = {"Authorization": f"Bearer {KEY}"}
    found = httpx.get(f"{address}/v1/charges/{answer.operation_ref}", headers=headers, trust_env=False)
    charge: dict[str, Any] = found.raise_for_status().json()
    return charge


async def done(gateway: StripeGateway, call: Call) -> Answer:
    answer = await gateway.perform(call)
    assert (answer.outcome, answer.issues) == (Outcome.SUCCEEDED, ())
    return answer


async def test_taken_at_once_and_given_back_in_parts(gateway: StripeGateway, address: str) -> None:
    call = a_charge(a_card(address))
    taken = await done(gateway, call)
    assert (taken.reference or "").startswith("pi_")
    assert taken.amounts is None, "it does not state what was received"
    back = await done(gateway, follow(call, REFUND, 4_000, taken.reference))
    assert (back.operation_ref or "").startswith("re_")
    found = await done(gateway, about(call, taken.reference))
    assert found.operation_ref == taken.operation_ref
    assert charge_at(address, taken)["amount_refunded"] == 4_000


async def test_held_then_taken_in_part_with_the_rest_released(gateway: StripeGateway, address: str) -> None:
    call = a_charge(a_card(address), capture_now=False)
    held = await done(gateway, call)
    assert held.amounts == Amounts(authorized=10_000, captured=0, refunded=0, voided=0)
    assert not charge_at(address, held)["captured"]
    await done(gateway, follow(call, CAPTURE, 7_000, held.reference))
    charge = charge_at(address, held)
    assert (charge["captured"], charge["amount_refunded"]) == (True, 3_000)


async def test_held_then_released(gateway: StripeGateway, address: str) -> None:
    call = a_charge(a_card(address), capture_now=False)
    held = await done(gateway, call)
    await done(gateway, follow(call, VOID, 10_000, held.reference))
    gone = await gateway.perform(about(call, held.reference))
    assert gone.outcome is Outcome.NOT_EXECUTED


async def test_a_refused_card(gateway: StripeGateway, address: str) -> None:
    answer = await gateway.perform(a_charge(a_card(address, "4000000000000341")))
    assert answer.outcome is Outcome.DECLINED
    assert answer.decline is not None
    assert answer.decline.retry is Retry.OTHER_PG


async def test_a_card_that_must_be_authenticated(gateway: StripeGateway, address: str) -> None:
    call = a_charge(a_card(address, "4000002500003155"))
    answer = await gateway.perform(call)
    assert answer.outcome is Outcome.ACTION_REQUIRED
    asked = follow(call, OperationKind.NEUTRALIZE, call.amount, answer.reference)
    waiting = await gateway.perform(dataclasses.replace(asked, subject=AUTHORIZE, subject_key=call.key))
    assert waiting.outcome is Outcome.UNKNOWN, "it refuses cancellation_reason, and that proves nothing"
