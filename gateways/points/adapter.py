"""Points behind the gateway interface. The ledger is given from outside, bound to the caller's transaction.

Because call and record commit together, an operation on points is never unknown.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import date
from typing import ClassVar, Protocol

from typing_extensions import override

from domain.gateway import (
    Amounts,
    Answer,
    Call,
    Capabilities,
    Decline,
    Flow,
    Idempotency,
    MethodLimit,
    NeutralizeBy,
    Outcome,
    Retry,
)
from gateways.gateway import Gateway, SettlementLine, WebhookBatch, WebhookRefused


class ValueLedger(Protocol):
    """A ledger of customers' own value. Each movement happens once per key and says whether it was covered."""

    async def move(self, operation: str, call: Call) -> bool:
        """hold, capture, release, refund or grant ``call.amount`` points; False: the balance does not cover it."""

    async def amounts(self, merchant_ref: str) -> Amounts:
        """What the ledger holds of one payment."""

    async def happened(self, key: str) -> bool:
        """A movement with this key is in the ledger."""


class PointsGateway(Gateway):
    """Hold, capture, release and refund of points."""

    vendor: ClassVar[str] = "points"

    def __init__(self, ledger: ValueLedger, currency: str) -> None:
        self._ledger = ledger
        self._currency = currency

    @override
    def capabilities(self) -> Capabilities:
        """Everything our own ledger can do; one point is one minor unit."""
        return Capabilities(
            flows=frozenset({Flow.INTERNAL_VALUE}),
            limits=(MethodLimit("points", self._currency, 1, 10**12),),
            manual_capture=True,
            multiple_captures=True,
            partial_capture=True,
            partial_refund=True,
            idempotency=Idempotency(ttl_seconds=10**9, body_compared=False),
            lookup_by_reference=False,
            lookup_by_merchant_ref=True,
            not_found_final_after_seconds=0,
            neutralize_by=NeutralizeBy.MERCHANT_REFERENCE,
        )

    @override
    async def authorize(self, call: Call) -> Answer:
        """Hold the points; with ``capture_now`` take them at once."""
        if not await self._ledger.move("hold", call):
            decline = Decline("insufficient_funds", "insufficient_points", "not enough points", Retry.NEVER)
            return Answer(Outcome.DECLINED, decline=decline)
        if call.capture_now:
            await self._ledger.move("capture", call)
        return _done(call)

    @override
    async def capture(self, call: Call) -> Answer:
        """Take held points."""
        return await self._move("capture", call)

    @override
    async def void(self, call: Call) -> Answer:
        """Give held points back."""
        return await self._move("release", call)

    @override
    async def refund(self, call: Call) -> Answer:
        """Give taken points back, to the same kind they came from."""
        return await self._move("refund", call)

    @override
    async def lookup(self, call: Call) -> Answer:
        """The ledger knows at once and for sure."""
        if call.subject_key and await self._ledger.happened(call.subject_key):
            return Answer(
                Outcome.SUCCEEDED, reference=call.merchant_ref, amounts=await self._ledger.amounts(call.merchant_ref)
            )
        return Answer(Outcome.NOT_EXECUTED, amounts=await self._ledger.amounts(call.merchant_ref))

    @override
    async def neutralize(self, call: Call) -> Answer:
        """Release what is still held."""
        held = await self._ledger.amounts(call.merchant_ref)
        if held.authorized - held.captured - held.voided:
            return await self._move("release", call)
        return Answer(Outcome.SUCCEEDED, amounts=held)

    @override
    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookBatch:
        """Points send no webhooks."""
        raise WebhookRefused("points send no webhooks")

    @override
    async def settlement_lines(self, day: date) -> AsyncIterator[SettlementLine]:
        """Points are not settled by anybody else: no lines."""
        none: tuple[SettlementLine, ...] = ()
        for line in none:
            yield line

    async def _move(self, operation: str, call: Call) -> Answer:
        if await self._ledger.move(operation, call):
            return _done(call)
        decline = Decline("exceeded", f"{operation}_exceeded", f"not enough points to {operation}", Retry.NEVER)
        return Answer(Outcome.DECLINED, decline=decline)


def _done(call: Call) -> Answer:
    return Answer(Outcome.SUCCEEDED, reference=call.merchant_ref, operation_ref=call.key)
