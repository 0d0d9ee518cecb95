"""Points, gift cards and store credit behind the gateway interface: three kinds, one ledger of lots.

The ledger is given from outside, bound to the caller's transaction. Because call and record commit together, an
operation on our own value is never unknown. A call's ``method`` is the kind; its ``token`` is the hash of a gift card's
code (`domain.value.code_hash`), its ``customer`` the owner of points and store credit.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import ClassVar, Protocol

from typing_extensions import override

from domain.gateway import (
    Amounts,
    Answer,
    Call,
    Capabilities,
    Decline,
    Evidence,
    Flow,
    Idempotency,
    MethodLimit,
    NeutralizeBy,
    OperationKind,
    Outcome,
    Retry,
)
from domain.payment import INTERNAL_METHODS
from gateways.gateway import Gateway, SettlementLine, WebhookBatch, WebhookRefused

MOST = 10**12
"""Minor units of one payment."""


@dataclass(frozen=True, slots=True)
class Movement:
    """What a movement came to. Not ``covered``: nothing has changed."""

    covered: bool
    known: bool = True
    """A hold's instrument exists in this store and currency, and has not expired."""
    lapsed: int = 0
    """Minor units that went back to lots whose time is over: kept there, not spendable."""
    lapsed_at: datetime | None = None
    """The last of their expiries."""


class ValueLedger(Protocol):
    """A ledger of our own value. Each movement happens once per key, over lots, the first to expire first."""

    async def move(self, operation: str, call: Call) -> Movement:
        """hold, capture, release or refund ``call.amount``; what goes back goes to the lots that it came from."""

    async def grant(self, call: Call) -> None:
        """A new lot of ``call.amount`` for ``call.customer``: no expiry, not promotional."""

    async def amounts(self, merchant_ref: str) -> Amounts:
        """What the ledger holds of one payment."""

    async def happened(self, key: str) -> bool:
        """A movement with this key is in the ledger."""


class ValueGateway(Gateway):
    """Hold, capture, release and refund of our own value, and store credit in place of money."""

    vendor: ClassVar[str] = "value"

    def __init__(self, ledger: ValueLedger, currency: str) -> None:
        self._ledger = ledger
        self._currency = currency

    @override
    def capabilities(self) -> Capabilities:
        """Everything our own ledger can do; one point is one minor unit."""
        return Capabilities(
            flows=frozenset({Flow.INTERNAL_VALUE}),
            limits=tuple(MethodLimit(kind, self._currency, 1, MOST) for kind in sorted(INTERNAL_METHODS)),
            manual_capture=True,
            multiple_captures=True,
            partial_capture=True,
            partial_refund=True,
            idempotency=Idempotency(ttl_seconds=10**9, body_compared=False, marks_replays=False),
            lookup_by_reference=False,
            lookup_by_merchant_ref=True,
            not_found_final_after_seconds=0,
            neutralize_by=NeutralizeBy.MERCHANT_REFERENCE,
            neutralize_undoes_capture=False,
            neutralize_bars_late=False,
            merchant_ref_unique=False,
        )

    @override
    async def authorize(self, call: Call) -> Answer:
        """Hold the value; with ``capture_now`` take it at once."""
        held = await self._ledger.move("hold", call)
        if not held.covered:
            return Answer(Outcome.DECLINED, decline=_why_not(call, held))
        if call.capture_now:
            await self._ledger.move("capture", call)
        return _done(call)

    @override
    async def capture(self, call: Call) -> Answer:
        """Take held value, also what has expired since it was held."""
        return await self._move("capture", call)

    @override
    async def void(self, call: Call) -> Answer:
        """Give held value back to its lots."""
        return await self._move("release", call)

    @override
    async def refund(self, call: Call) -> Answer:
        """Give taken value back, to the very lots it came from: same kind, same expiry, promotional or not (M8)."""
        return await self._move("refund", call)

    async def credit(self, call: Call) -> Answer:
        """Give ``call.amount`` as store credit to ``call.customer``, in place of money that a PG would not take."""
        await self._ledger.grant(call)
        return _done(call, "given as store credit: the payment itself could not be refunded")

    @override
    async def lookup(self, call: Call) -> Answer:
        """The ledger knows at once and for sure."""
        amounts = await self._ledger.amounts(call.merchant_ref)
        if call.subject_key and await self._ledger.happened(call.subject_key):
            return Answer(Outcome.SUCCEEDED, reference=call.merchant_ref, amounts=amounts)
        return Answer(Outcome.NOT_EXECUTED, amounts=amounts)

    @override
    async def neutralize(self, call: Call) -> Answer:
        """Release all that a hold still has; what was taken of it needs a refund."""
        if call.subject is not OperationKind.AUTHORIZE:
            return Answer(Outcome.UNKNOWN, evidence=Evidence(detail="only a hold is released"))
        sums = await self._ledger.amounts(call.merchant_ref)
        if sums.captured > sums.refunded:
            return Answer(Outcome.UNKNOWN, amounts=sums, evidence=Evidence(detail="taken: it needs a refund"))
        held = sums.authorized - sums.captured - sums.voided
        if held:
            return await self._move("release", replace(call, amount=held))
        return Answer(Outcome.SUCCEEDED, amounts=sums)

    @override
    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookBatch:
        """Our own ledger sends no webhooks."""
        raise WebhookRefused("our own value sends no webhooks")

    @override
    async def settlement_lines(self, day: date) -> AsyncIterator[SettlementLine]:
        """Our own value is not settled by anybody else: no lines."""
        none: tuple[SettlementLine, ...] = ()
        for line in none:
            yield line

    async def _move(self, operation: str, call: Call) -> Answer:
        moved = await self._ledger.move(operation, call)
        if moved.covered:
            return _done(call, _lapse(moved))
        decline = Decline("amount_exceeded", f"{operation}_exceeded", f"not enough value to {operation}", Retry.NEVER)
        return Answer(Outcome.DECLINED, decline=decline)


def _done(call: Call, detail: str = "") -> Answer:
    evidence = Evidence(detail=detail)
    return Answer(Outcome.SUCCEEDED, reference=call.merchant_ref, operation_ref=call.key, evidence=evidence)


def _lapse(moved: Movement) -> str:
    if not moved.lapsed or moved.lapsed_at is None:
        return ""
    return f"{moved.lapsed} of it went back to value that expired on {moved.lapsed_at:%Y-%m-%d}: it cannot be spent"


def _why_not(call: Call, held: Movement) -> Decline:
    """No more is told of a code that opens nothing: whoever guesses learns nothing from the answer."""
    if not held.known:
        message = "no gift card with this code can be used here"
        return Decline("invalid_instrument", "gift_card_invalid", message, Retry.AFTER_CUSTOMER_ACTION)
    message = f"{call.method.replace('_', ' ')} does not cover {call.amount}"
    return Decline("insufficient_funds", "insufficient_value", message, Retry.AFTER_CUSTOMER_ACTION)
