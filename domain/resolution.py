"""What to ask next about an operation whose end is not known (rules R5-R7): data, and one function that reads it.

An unknown authorization is replayed with the same key, looked up, and at last neutralized; only evidence closes it.
Delays are seconds. The last step of a ladder repeats; `GIVE_UP_AFTER` hands it to a person, the fence still closed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.gateway import Call, Capabilities, NeutralizeBy, OperationKind, Outcome
from domain.order import Order
from domain.payment import Operation, operation_key


class Ask(StrEnum):
    """How to ask: send (again, same key), look up, neutralize."""

    SEND = "send"
    LOOKUP = "lookup"
    NEUTRALIZE = "neutralize"


UNKNOWN_LADDER: tuple[tuple[int, Ask], ...] = (
    (0, Ask.SEND),
    (1, Ask.LOOKUP),
    (2, Ask.SEND),
    (4, Ask.LOOKUP),
    (8, Ask.LOOKUP),
    (15, Ask.NEUTRALIZE),
    (30, Ask.LOOKUP),
    (60, Ask.LOOKUP),
    (300, Ask.NEUTRALIZE),
)
PENDING_LADDER: tuple[int, ...] = (1, 2, 3, 5, 5, 10, 10, 15, 15, 15, 15, 30)
AGAIN_AFTER = (0, 2, 5)
"""Delays before the first, second, third attempt at one account: a PG that restarts is worth a few seconds."""
RETRY_LADDER: tuple[int, ...] = (1, 2, 5, 15, 60, 300)
"""Delays before a capture, void or refund that was provably not executed is sent again."""

GIVE_UP_AFTER = timedelta(days=3)
"""An operation without an end for so long needs a person; OPMS goes on asking all the same."""


@dataclass(frozen=True, slots=True)
class DueCall:
    """A call to make, and how many seconds to wait first."""

    call: Call
    delay_seconds: int


def due_call(order: Order, operation: Operation, capabilities: Capabilities) -> DueCall:
    """What to ask a PG next about an unresolved operation."""
    delay, ask = _step(operation, capabilities)
    if operation.outcome is Outcome.INITIATED and not operation.tries:
        delay = max(delay, AGAIN_AFTER[min(_tried_here(order, operation), len(AGAIN_AFTER) - 1)])
    return DueCall(call_for(order, operation, ask), delay)


def _tried_here(order: Order, operation: Operation) -> int:
    """Earlier attempts of the same payment at the same account; none of them reached it."""
    mine = order.attempt(operation.attempt_id)
    return sum(
        a.payment_id == mine.payment_id and a.account == mine.account and a.position < mine.position
        for a in order.attempts
    )


def call_for(order: Order, operation: Operation, ask: Ask = Ask.SEND) -> Call:
    """The complete call for an operation; byte-identical on every send (R4)."""
    attempt = order.attempt(operation.attempt_id)
    payment = order.payment(operation.payment_id)
    kind = {Ask.SEND: operation.kind, Ask.LOOKUP: OperationKind.LOOKUP, Ask.NEUTRALIZE: OperationKind.NEUTRALIZE}[ask]
    asking = ask is not Ask.SEND
    return Call(
        operation_id=operation.id,
        kind=kind,
        account=attempt.account,
        merchant_ref=attempt.merchant_ref,
        key=operation_key(operation.id, kind) if asking else operation.key,
        amount=operation.amount,
        currency=order.currency,
        method=payment.method,
        reference=attempt.reference,
        token=payment.token,
        customer=order.customer_id,
        capture_now=operation.capture_now,
        description=f"Order {order.number}",
        subject=operation.kind if asking else None,
        subject_key=operation.key if asking else None,
        subject_reference=operation.operation_ref if asking else None,
        subject_sent_at=operation.initiated_at if asking else None,
    )


def overdue(operation: Operation, now: datetime) -> bool:
    """Unresolved for so long that a person must look."""
    return operation.outcome is Outcome.UNKNOWN and now - operation.initiated_at > GIVE_UP_AFTER


def _step(operation: Operation, capabilities: Capabilities) -> tuple[int, Ask]:
    authorizing = operation.kind is OperationKind.AUTHORIZE
    can_neutralize = authorizing and capabilities.neutralize_by is not NeutralizeBy.NONE
    if operation.abandoning and can_neutralize:
        return PENDING_LADDER[min(operation.tries, len(PENDING_LADDER) - 1)], Ask.NEUTRALIZE
    if operation.outcome is Outcome.INITIATED:
        return (0 if operation.tries == 0 else RETRY_LADDER[min(operation.tries, len(RETRY_LADDER)) - 1]), Ask.SEND
    if operation.outcome is not Outcome.UNKNOWN:
        return PENDING_LADDER[min(max(operation.tries, 1), len(PENDING_LADDER)) - 1], Ask.LOOKUP
    delay, ask = UNKNOWN_LADDER[min(max(operation.tries, 1), len(UNKNOWN_LADDER)) - 1]
    replay = Ask.SEND if capabilities.idempotency.ttl_seconds else Ask.LOOKUP
    if not authorizing:
        return delay, replay  # What must happen is asked for again with its key: at most one effect, at last one.
    if ask is Ask.SEND or (ask is Ask.NEUTRALIZE and not can_neutralize):
        ask = replay
    return delay, ask
