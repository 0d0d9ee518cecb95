"""What the law suite needs of a vendor: its gateway, a way to break it, and a look into its own ledger."""

import asyncio
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import pytest
from typing_extensions import override

from domain.gateway import Answer, Call, Flow, OperationKind, Outcome
from gateways.gateway import Account, Gateway
from tests.gateways.rigs.receiver import Receiver

READY_SECONDS = 60.0
SETTLE_SECONDS = 60.0
KEY = "key-of-the-laws"
OK = "tok_ok"
ACCOUNT = "sandbox-b"
"""Where the tests of the server itself pay; the laws use another."""

AUTHORIZE, CAPTURE, VOID, REFUND = (
    OperationKind.AUTHORIZE,
    OperationKind.CAPTURE,
    OperationKind.VOID,
    OperationKind.REFUND,
)
LOOKUP, NEUTRALIZE = OperationKind.LOOKUP, OperationKind.NEUTRALIZE
MOVES = (AUTHORIZE, CAPTURE, VOID, REFUND)
NOTHING: Mapping[str, str] = {}
Seen = TypeVar("Seen")


class SandboxServer:
    """A sandbox PG in a process of its own, on a free port of loopback."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        self._arguments = arguments
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self.process = self._start()

    def arm(self, fault: str, operation: str | None = None, *, times: int = 1, ms: int = 3000, **more: str) -> None:
        """Arm a fault for every account, or for ``account=``."""
        body = {"fault": fault, "operation": operation, "times": times, "ms": ms, **more}
        self.http.post("/_faults", json={k: v for k, v in body.items() if v is not None}).raise_for_status()

    def ledger(self, **query: Any) -> dict[str, Any]:
        """``GET /_ledger``."""
        found: dict[str, Any] = self.http.get("/_ledger", params=query).raise_for_status().json()
        return found

    def kill(self) -> None:
        """As with ``kill -9``."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)

    def restart(self) -> None:
        """Start again on the same folder and port."""
        self.process = self._start()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=30)

    def close(self) -> None:
        """Stop if it runs, and release the client."""
        if self.process.poll() is None:
            self.stop()
        self.http.close()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "gateways.sandbox", "--port", str(self._port), "--data", str(self._folder)]
        process = subprocess.Popen([*command, *self._arguments])
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if self.http.get("/healthz").status_code == 200:
                    return process
            except httpx.TransportError:
                time.sleep(0.02)
        process.kill()
        process.wait(timeout=30)
        raise RuntimeError("the sandbox PG did not become ready")


@dataclasses.dataclass(frozen=True, slots=True)
class Money:
    """What the PG's own ledger says of one merchant_ref. Minor units."""

    net: int
    held: int
    rows: tuple[tuple[str, int, str], ...]


class Rig(ABC):
    """One gateway under the laws. A new vendor subclasses `SandboxRig` and joins ``RIGS`` in conftest.py."""

    zone: tzinfo = UTC
    """In which the account counts its days."""
    silent: frozenset[OperationKind] = frozenset()
    """Operations whose answers state no amount, and so no currency."""
    states: frozenset[str] = frozenset({"status"})
    """The fields of its answers that say how a payment or an operation stands."""
    listed: frozenset[OperationKind] = frozenset()
    """Operations without a status: that they are in the payment's list is what says that they have happened."""
    beside_code: frozenset[str] = frozenset()
    """What else an answer says of a refused card beside its code, and is listed too."""
    key_of_body = False
    """Its adapter sends a changed call under another key: the PG sees no key twice with another body."""
    later: Mapping[OperationKind, str] = MappingProxyType({AUTHORIZE: "tok_pending"})
    """The instruments with which a declared asynchronous operation is not decided at once; not named: any."""
    leaves_no_trace: frozenset[str] = frozenset()
    """Tokens that are refused before there is anything that a lookup could find."""
    unchecked: frozenset[tuple[str, int]] = frozenset()
    """Amounts in a currency that lie outside the declared limits, and that the judge takes all the same."""
    currency = "KRW"
    method = "card"

    def __init__(self, gateway: Gateway, account: str) -> None:
        self.gateway = gateway
        self.account = account

    @abstractmethod
    def money(self, call: Call) -> Money:
        """What really happened on the call's merchant_ref."""

    def arm(self, fault: str, kind: OperationKind, *, times: int = 1, ms: int = 3000) -> None:
        """Break the next request of ``kind``."""
        self._needs_a_wire()
        raise NotImplementedError(f"nobody breaks {kind} with {fault} {times} times, {ms} ms")

    def another(self, changes: Mapping[str, Any] = NOTHING, **options: Any) -> Gateway:
        """A second gateway of the account, with ``changes`` of its settings and ``options`` of its adapter."""
        self._needs_a_wire()
        raise NotImplementedError(f"nobody builds another gateway with {changes} and {options}")

    def _needs_a_wire(self) -> None:
        """Skips a law about what is lost on the way, where call and answer are one transaction of our own."""
        if self.gateway.capabilities().flows <= {Flow.INTERNAL_VALUE}:
            pytest.skip("declares internal value alone: no request and no answer can be lost on the way")

    def can_find(self, asking: Call) -> bool:
        """Whether a lookup has what its PG finds payments by. A PG that nobody can ask is heard instead."""
        can = self.gateway.capabilities()
        return asking.reference is not None or can.lookup_by_merchant_ref or not can.lookup_by_reference

    async def settlement(self) -> None:
        """Wait until the PG has its settlement of today ready."""

    async def close(self) -> None:
        """Release what was opened for the laws."""
        await self.gateway.close()

    def charge(self, amount: int = 10_000, *, token: str = OK, capture_now: bool = True) -> Call:
        """An authorization of a new attempt."""
        unique = uuid4()
        return Call(
            operation_id=unique,
            kind=OperationKind.AUTHORIZE,
            account=self.account,
            merchant_ref=f"law-{unique.hex[:24]}",
            key=f"{unique.hex}-a1",
            amount=amount,
            currency=self.currency,
            method=self.method,
            token=token,
            capture_now=capture_now,
        )

    def follow(self, call: Call, kind: OperationKind, amount: int, reference: str | None) -> Call:
        """Capture, void or refund on the attempt of ``call``."""
        unique = uuid4()
        key = f"{unique.hex}-f"
        return dataclasses.replace(
            call, operation_id=unique, kind=kind, key=key, amount=amount, reference=reference, token=None
        )

    def about(self, call: Call, kind: OperationKind) -> Call:
        """Lookup or neutralize of ``call``."""
        unique = uuid4()
        return dataclasses.replace(
            call, operation_id=unique, kind=kind, key=f"{unique.hex}-n", subject=call.kind, subject_key=call.key
        )


class SandboxRig(Rig):
    """A vendor that speaks from the sandbox PG, whose ledger is the judge."""

    receiver: Receiver | None = None
    """Where the account's webhooks come to, if the rig itself needs them."""

    def __init__(self, gateway: Gateway, server: SandboxServer, account: str) -> None:
        super().__init__(gateway, account)
        self.url = server.url
        self._server = server

    def settings(self) -> Account:
        """Of the account: its address and its secrets."""
        return Account(self.account, self.url, KEY)

    @override
    def another(self, changes: Mapping[str, Any] = NOTHING, **options: Any) -> Gateway:
        build: Callable[..., Gateway] = type(self.gateway)
        return build(dataclasses.replace(self.settings(), **changes), **options)

    def at(self, now: float) -> Gateway:
        """A second gateway of the account whose clock says ``now``, Unix seconds."""
        return self.another(clock=lambda: now)

    def listen(self, url: str, secret: str) -> None:
        """Have the account's webhooks sent to ``url``, signed with ``secret``."""
        target = {"account": self.account, "url": url, "secret": secret}
        self._server.http.post("/_webhooks", json=target).raise_for_status()

    @override
    def arm(self, fault: str, kind: OperationKind, *, times: int = 1, ms: int = 3000) -> None:
        self._server.arm(fault, kind.value, times=times, ms=ms, account=self.account)

    @override
    def money(self, call: Call) -> Money:
        seen = self._server.ledger(merchant_ref=call.merchant_ref, account=self.account)
        rows = tuple((row["operation"], row["amount"], row["status"]) for row in seen["operations"])
        return Money(sum(seen["net"].values()), sum(seen["held"].values()), rows)


async def prepared(rig: Rig, kind: OperationKind, *, amount: int = 10_000, token: str = OK) -> Call:
    """A call of ``kind``, with what must be there before it. Skips what needs a hold if the PG holds nothing."""
    if kind in {CAPTURE, VOID} and not rig.gateway.capabilities().manual_capture:
        pytest.skip("takes money at once")
    charge = rig.charge(amount, token=token, capture_now=kind in {AUTHORIZE, REFUND})
    if kind is AUTHORIZE:
        return charge
    answer = await rig.gateway.perform(charge)
    return rig.follow(charge, kind, amount, answer.reference)


async def settled(rig: Rig, call: Call) -> Answer:
    """The answer when there is one: what is declared asynchronous is waited for, by asking what became of it."""
    return await decided(rig, call, await rig.gateway.perform(call))


async def decided(rig: Rig, call: Call, answer: Answer) -> Answer:
    """What the first ``answer`` to a call has come to. None of its answers repeats a secret."""
    known = call if call.reference else dataclasses.replace(call, reference=answer.reference)
    asking = call if call.kind in {LOOKUP, NEUTRALIZE} else rig.about(known, LOOKUP)
    deadline = time.monotonic() + SETTLE_SECONDS
    waiting = answer.outcome in _undecided(rig, call)
    while waiting and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
        answer = await rig.gateway.perform(asking)
        waiting = answer.outcome in _undecided(rig, asking)
    tells_no_secret(call, answer)
    return answer


def tells_no_secret(call: Call, answer: Answer, *more: str) -> None:
    """What is logged, stored and shown to staff has neither the customer's instrument nor a key of ours."""
    secrets = {KEY, call.key, call.token, call.customer, *more} - {None}
    told = repr((answer.evidence, answer.decline))
    assert [secret for secret in secrets if secret and secret in told] == []


def _undecided(rig: Rig, call: Call) -> set[Outcome]:
    """What may still change. A PG that is not asked but heard is unknown until its event has come."""
    can = rig.gateway.capabilities()
    kind = call.subject if call.kind is LOOKUP else call.kind
    asked = can.lookup_by_reference or can.lookup_by_merchant_ref
    unheard = {Outcome.UNKNOWN} if call.kind is LOOKUP and not asked else set()
    return unheard | ({Outcome.PENDING} if kind in can.asynchronous else set())


async def succeeded(rig: Rig, call: Call) -> Answer:
    answer = await settled(rig, call)
    assert (answer.outcome, answer.issues) == (Outcome.SUCCEEDED, ())
    return answer


async def sent_again(rig: Rig, call: Call) -> Answer:
    """A second sending of what has happened. A PG without keys refuses it, and only a lookup says what happened."""
    if rig.gateway.capabilities().idempotency.ttl_seconds:
        return await succeeded(rig, call)
    assert (await rig.gateway.perform(call)).outcome in {Outcome.SUCCEEDED, Outcome.UNKNOWN}
    return await succeeded(rig, rig.about(call, LOOKUP))


async def found(rig: Rig, call: Call, reference: str | None) -> Answer:
    """What a lookup says of what has happened.

    A PG that finds payments by its own ``reference`` alone says without it that it does not know.
    """
    asking = rig.about(call, LOOKUP)
    if not rig.can_find(asking):
        assert (await rig.gateway.perform(asking)).outcome is Outcome.UNKNOWN
        asking = dataclasses.replace(asking, reference=reference)
    return await succeeded(rig, asking)


async def happened(rig: Rig, call: Call) -> int:
    """`effects`, once there is one: what is declared asynchronous may reach the ledger after it was accepted."""
    if call.kind not in rig.gateway.capabilities().asynchronous:
        return effects(rig, call)
    return await asyncio.to_thread(eventually, lambda: effects(rig, call), bool)


def effects(rig: Rig, call: Call) -> int:
    """How often the call's operation has succeeded in the PG's ledger."""
    return [(word, status) for word, _, status in rig.money(call).rows].count((call.kind.value, "succeeded"))


def post(server: SandboxServer, path: str, body: Any, **headers: str) -> httpx.Response:
    sent = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": uuid4().hex, **headers}
    return server.http.post(f"/{ACCOUNT}/v1{path}", content=json.dumps(body), headers=sent)


def a_payment(**changes: Any) -> dict[str, Any]:
    fixed = {"amount": 1000, "currency": "KRW", "method": "card", "token": "tok_ok"}
    return {"merchant_ref": uuid4().hex, **fixed, **changes}


def eventually(look: Callable[[], Seen], wanted: Callable[[Seen], bool], seconds: float = SETTLE_SECONDS) -> Seen:
    deadline = time.monotonic() + seconds
    while not wanted(seen := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return seen
