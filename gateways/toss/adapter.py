"""One account at Toss Payments (KR), through the interface that every gateway has."""

import base64
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
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
from gateways.field import text
from gateways.gateway import Account, Gateway, GatewayUnavailable, SettlementLine, WebhookBatch
from gateways.toss import request, settlement, wire
from gateways.toss.webhook import read_webhook
from gateways.transport import USUAL_PATIENCE, Patience, Reply, Transport

_DAY_SECONDS = 86_400
_REPLAYED_REFUSALS = frozenset({400, 403, 404})
"""Of a cancel, without a meaning of their own: Toss says the same to its key for 15 days, only the payment tells."""
_MOST = 10**9
_MOST_BY_TRANSFER = 10_000_000

CAPABILITIES = Capabilities(
    flows=frozenset({Flow.SERVER_TOKEN, Flow.REDIRECT_CONFIRM, Flow.VIRTUAL_ACCOUNT}),
    limits=(
        MethodLimit("card", "KRW", 100, _MOST, max_instalments=12, instalments_from=50_000),
        MethodLimit("transfer", "KRW", 200, _MOST_BY_TRANSFER),
        MethodLimit("mobile", "KRW", 100, _MOST),
        MethodLimit("easy_pay", "KRW", 100, _MOST),
        MethodLimit("virtual_account", "KRW", 100, _MOST),
    ),
    manual_capture=False,
    multiple_captures=False,
    partial_capture=False,
    partial_refund=True,
    idempotency=Idempotency(
        ttl_seconds=15 * _DAY_SECONDS, body_compared=False, replays_errors=True, marks_replays=False
    ),
    lookup_by_reference=True,
    lookup_by_merchant_ref=True,
    not_found_final_after_seconds=int(wire.NOT_FOUND_FINAL.total_seconds()),
    neutralize_by=NeutralizeBy.GATEWAY_REFERENCE,
    neutralize_bars_late=False,
    refund_days={"transfer": 180, "virtual_account": 365},
    expires_unconfirmed_after_seconds=int(wire.SESSION.total_seconds()),
    asynchronous=frozenset({OperationKind.AUTHORIZE}),
    settlement=True,
    webhooks=True,
)
"""``asynchronous``: a deposit comes when the customer pays it. 180 days is the shortest window for refunds that is
fixed (transfers); virtual accounts have 365, cards no limit, phone bills only their calendar month."""


class TossGateway(Gateway):
    """Speaks to Toss Payments' core API over HTTP."""

    vendor: ClassVar[str] = "toss"

    def __init__(
        self,
        account: Account,
        *,
        patience: Patience = USUAL_PATIENCE,
        client: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``url`` ends before ``/v1``; ``key`` is the secret key, ``webhook_secret`` the payouts' security key.

        ``clock``: Unix seconds. Raises what `Transport` raises.
        """
        self._account = account.name
        self._capabilities = replace(CAPABILITIES, reports_tax=account.reports_tax)
        self._webhook_secret = account.webhook_secret
        self._clock = clock
        credentials = base64.b64encode(f"{account.key}:".encode()).decode()
        self._transport = Transport(
            account.url,
            headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
            patience=patience,
            client=client,
        )

    @override
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @override
    async def authorize(self, call: Call) -> Answer:
        """Confirm ``details["payment_key"]``, else charge the billing key ``token``, else open a way to pay.

        That is a virtual account or, with ``return_url``, Toss's window.
        """
        opening = request.opening(call)
        return opening if isinstance(opening, Answer) else await self._change(call, opening)

    @override
    async def capture(self, call: Call) -> Answer:
        """Declined: an approval takes the money at once."""
        return wire.never_captures()

    @override
    async def void(self, call: Call) -> Answer:
        """Cancel a virtual account that nobody has paid into. Toss refuses if somebody has."""
        if call.method != request.VIRTUAL_ACCOUNT:
            return wire.nothing_held()
        return await self._cancel(call)

    @override
    async def refund(self, call: Call) -> Answer:
        """A deposit goes back to ``details["refund_bank"]``, ``["refund_account"]`` and ``["refund_holder"]``."""
        return await self._cancel(call)

    @override
    async def lookup(self, call: Call) -> Answer:
        reply = await self._find(call)
        return reply if isinstance(reply, Answer) else wire.read_lookup(call, reply, self._now())

    @override
    async def neutralize(self, call: Call) -> Answer:
        """Cancel what was approved or waits for a deposit; what waits for its customer expires by itself (pending)."""
        reply = await self._find(call)
        if isinstance(reply, Answer):
            return reply
        verdict = wire.read_before_neutralizing(call, reply, self._now())
        if verdict is not None:
            return verdict
        return await self._change(call, request.cancellation(call, text(reply.body, "paymentKey")))

    @override
    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookBatch:
        return read_webhook(raw, headers, secret=self._webhook_secret)

    @override
    async def settlement_lines(self, day: date) -> AsyncIterator[SettlementLine]:
        """By ``soldDate``, a Korean day. Toss answers for live keys only."""
        page, count = 1, settlement.PAGE
        while count == settlement.PAGE:
            lines = settlement.read_settlement(self._account, await self._rows(settlement.settlement_path(day, page)))
            for line in lines:
                yield line
            page, count = page + 1, len(lines)

    async def transactions(self, day: date) -> AsyncIterator[settlement.Transaction]:
        """Every approval and cancel of a Korean day, also today's. Raises `GatewayUnavailable`."""
        after, count = None, settlement.PAGE
        while count == settlement.PAGE:
            path = settlement.transactions_path(day, after)
            rows = settlement.read_transactions(self._account, await self._rows(path))
            for row in rows:
                yield row
                after = row.transaction_key
            count = len(rows)

    @override
    async def close(self) -> None:
        await self._transport.close()

    async def _cancel(self, call: Call) -> Answer:
        if call.reference is None:
            return Answer(Outcome.NOT_EXECUTED, evidence=Evidence(detail=f"a {call.kind} needs the paymentKey"))
        answer = await self._change(call, request.cancellation(call, call.reference))
        if answer.outcome is not Outcome.UNKNOWN or answer.evidence.http_status not in _REPLAYED_REFUSALS:
            return answer
        return await self.lookup(replace(call, kind=OperationKind.LOOKUP, subject=call.kind, subject_key=call.key))

    async def _change(self, call: Call, outgoing: request.Outgoing) -> Answer:
        headers = {"Idempotency-Key": outgoing.key(call)}
        reply = await self._transport.send(
            call.kind, outgoing.method, outgoing.path, body=outgoing.body, headers=headers
        )
        return reply if isinstance(reply, Answer) else wire.read_change(call, reply)

    async def _find(self, call: Call) -> Reply | Answer:
        outgoing = request.question(call)
        return await self._transport.send(OperationKind.LOOKUP, outgoing.method, outgoing.path)

    async def _rows(self, path: str) -> Reply:
        reply = await self._transport.send(OperationKind.LOOKUP, "GET", path, listing=settlement.ROWS)
        if isinstance(reply, Answer):
            raise GatewayUnavailable(f"{self._account} gave no list: {reply.evidence.detail}")
        return reply

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
