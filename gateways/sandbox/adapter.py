"""One account at the sandbox PG, through the interface that every gateway has."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date
from typing import ClassVar

import httpx
from typing_extensions import override

from domain.gateway import (
    Answer,
    Call,
    Capabilities,
    Evidence,
    Flow,
    Idempotency,
    MethodLimit,
    NeutralizeBy,
    OperationKind,
    Outcome,
)
from gateways.gateway import Account, Gateway, GatewayUnavailable, SettlementLine, WebhookBatch
from gateways.sandbox import wire
from gateways.sandbox.webhook import read_webhook
from gateways.transport import USUAL_PATIENCE, Patience, Transport

_ACCEPTED_FOR_SECONDS = 5
"""A keyed request that reaches the PG later than this after its sending is refused, so "not found" becomes final."""
_METHODS = ("card", "transfer")
_CURRENCIES = ("KRW", "JPY", "USD", "EUR", "GBP", "SGD")
_MAXIMUM = 10**12

CAPABILITIES = Capabilities(
    flows=frozenset({Flow.SERVER_TOKEN, Flow.REDIRECT_CONFIRM}),
    limits=tuple(MethodLimit(method, currency, 1, _MAXIMUM) for method in _METHODS for currency in _CURRENCIES),
    manual_capture=True,
    multiple_captures=True,
    partial_capture=True,
    partial_refund=True,
    idempotency=Idempotency(ttl_seconds=86_400, body_compared=True, replays_errors=True),
    lookup_by_reference=True,
    lookup_by_merchant_ref=True,
    not_found_final_after_seconds=_ACCEPTED_FOR_SECONDS,
    neutralize_by=NeutralizeBy.MERCHANT_REFERENCE,
    asynchronous=frozenset({OperationKind.AUTHORIZE}),
    settlement=True,
    webhooks=True,
)


class SandboxGateway(Gateway):
    """Speaks to a sandbox PG server over HTTP."""

    vendor: ClassVar[str] = "sandbox"

    def __init__(
        self,
        account: Account,
        *,
        patience: Patience = USUAL_PATIENCE,
        client: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """The account's ``url`` is the server's root; webhooks are signed with its ``key``. ``clock``: Unix seconds."""
        self._account = account.name
        self._secret = account.key
        self._clock = clock
        self._transport = Transport(
            f"{account.url.rstrip('/')}/{account.name}/v1",
            headers={"Authorization": f"Bearer {account.key}", "Content-Type": "application/json"},
            patience=patience,
            client=client,
        )

    @override
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    @override
    async def authorize(self, call: Call) -> Answer:
        if call.method not in _METHODS or call.instalments > 1:
            return Answer(Outcome.NOT_EXECUTED, evidence=Evidence(detail="not offered; not sent"))
        return await self._perform_keyed(call, wire.charge(call))

    @override
    async def capture(self, call: Call) -> Answer:
        return await self._change(call)

    @override
    async def void(self, call: Call) -> Answer:
        return await self._change(call)

    @override
    async def refund(self, call: Call) -> Answer:
        return await self._change(call)

    @override
    async def lookup(self, call: Call) -> Answer:
        question = wire.question(call)
        if question is None:
            return Answer(Outcome.UNKNOWN, evidence=Evidence(detail="the lookup names no subject_key"))
        reply = await self._transport.send(call.kind, question.method, question.path)
        return reply if isinstance(reply, Answer) else wire.read_lookup(call, reply)

    @override
    async def neutralize(self, call: Call) -> Answer:
        if call.subject is not OperationKind.AUTHORIZE and call.subject_key is None:
            return Answer(Outcome.UNKNOWN, evidence=Evidence(detail="the neutralisation names no subject_key"))
        return await self._perform_keyed(call, wire.cancellation(call))

    @override
    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookBatch:
        return read_webhook(raw, headers, secret=self._secret, now=self._clock())

    @override
    async def settlement_lines(self, day: date) -> AsyncIterator[SettlementLine]:
        cursor: str | None = ""
        while cursor is not None:
            reply = await self._transport.send(OperationKind.LOOKUP, "GET", wire.settlement_path(day, cursor))
            if isinstance(reply, Answer):
                raise GatewayUnavailable(f"{self._account} gave no settlement of {day}: {reply.evidence.detail}")
            lines, cursor = wire.read_settlement(self._account, day, reply)
            for line in lines:
                yield line

    @override
    async def close(self) -> None:
        await self._transport.close()

    async def _change(self, call: Call) -> Answer:
        if call.reference is None:
            detail = f"a {call.kind} needs the gateway's reference"
            return Answer(Outcome.NOT_EXECUTED, evidence=Evidence(detail=detail))
        return await self._perform_keyed(call, wire.change(call, call.reference))

    async def _perform_keyed(self, call: Call, outgoing: wire.Outgoing) -> Answer:
        expires_at = int((self._clock() + _ACCEPTED_FOR_SECONDS) * 1000)
        headers = {"Idempotency-Key": call.key, "Request-Expires-At": str(expires_at)}
        reply = await self._transport.send(
            call.kind, outgoing.method, outgoing.path, body=outgoing.body, headers=headers
        )
        return reply if isinstance(reply, Answer) else wire.read_change(call, reply)
