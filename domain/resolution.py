"""What to ask next about an operation whose end is not known (rules R5-R7): data, and one function that reads it.

An unknown authorization is replayed with the same key, looked up, and at last neutralized; only evidence closes it.
Delays are seconds. A ladder's last steps repeat; `GIVE_UP_AFTER` hands it to a person, the fence still closed.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.fingerprint import fingerprint, forget_given, is_same
from domain.gateway import Answer, Call, Capabilities, NeutralizeBy, OperationKind, Outcome
from domain.order import Order
from domain.payment import DEPOSIT_METHODS, UNRESOLVED, Operation, Payment, operation_key


class Ask(StrEnum):
    """How an answer was had: sent (again, same key), looked up, neutralized, decided by a person."""

    SEND = "send"
    LOOKUP = "lookup"
    NEUTRALIZE = "neutralize"
    DECIDE = "decide"


UNKNOWN_LADDER: tuple[tuple[int, Ask], ...] = (
    (0, Ask.SEND),
    (1, Ask.LOOKUP),
    (2, Ask.SEND),
    (4, Ask.LOOKUP),
    (8, Ask.SEND),
    (15, Ask.NEUTRALIZE),
    (30, Ask.LOOKUP),
    (60, Ask.SEND),
    (300, Ask.NEUTRALIZE),
    (300, Ask.LOOKUP),
    (300, Ask.SEND),
)
TAKE_TURNS = 3
"""So many of the last steps repeat. Each is needed: a PG without lookup says by a send alone that nothing
ever reached it, and by a neutralization alone that nothing will."""
PENDING_LADDER: tuple[int, ...] = (1, 2, 3, 5, 5, 10, 10, 15, 15, 15, 15, 30)
TO_UNDO = (Ask.NEUTRALIZE, Ask.LOOKUP, Ask.SEND)
"""What is asked in turn about what nobody wants any more. A lookup finds what cannot be undone and is given back."""
LONG_PENDING = 40
"""After so many looks, some quarter of an hour, what is pending is a matter of days, as a deposit is."""
SLOWLY = 300
"""More than `IN_FLIGHT`: what a lookup finds so long after a cancel is not being undone by that any more."""
AGAIN_AFTER = (0, 2, 5)
"""Delays before the first, second, third attempt at one account: a PG that restarts is worth a few seconds."""
RETRY_LADDER: tuple[int, ...] = (1, 2, 5, 15, 60, 300)
"""Delays before a capture, void or refund that was provably not executed is sent again."""

LOOK_WHILE_PAUSED = 300
"""Seconds between looks whether an account that is paused has been resumed; resuming it ends the wait at once."""

KEY_MARGIN = timedelta(hours=1)
"""A key is not relied on for the last hour in which a PG promises to know it."""
IN_FLIGHT = timedelta(seconds=60)
"""Longer than a request of ours may be under way after its answer was given up."""
GIVE_UP_AFTER = timedelta(days=3)
"""An operation without an end for so long needs a person; OPMS goes on asking all the same."""


ALTERED = "what would be sent differs from what was sent under its key: not sent again"
_KINDS = {Ask.LOOKUP: OperationKind.LOOKUP, Ask.NEUTRALIZE: OperationKind.NEUTRALIZE}


@dataclass(frozen=True, slots=True)
class DueCall:
    """A call to make, and how many seconds to wait first.

    ``paused``: its account rests. It is not made after the wait; where the order stands is read again instead.
    """

    call: Call
    delay_seconds: int
    paused: bool = False
    tries: int | None = None
    """How many answers about its operation are known."""


def due_call(
    order: Order,
    operation: Operation,
    capabilities: Capabilities,
    now: datetime,
    *,
    paused: frozenset[str] = frozenset(),
) -> DueCall:
    """What to ask a PG next about an unresolved operation; ``paused`` accounts are asked for nothing that can wait."""
    if order.attempt(operation.attempt_id).account in paused and waits_for_resume(operation):
        return DueCall(call_for(order, operation), LOOK_WHILE_PAUSED, paused=True, tries=operation.tries)
    delay, ask = _step(order, operation, capabilities, now)
    again = ask is Ask.SEND and operation.outcome is not Outcome.INITIATED
    not_after = _key_ends(operation, capabilities) if again and _has_keys(capabilities) else None
    if operation.outcome is Outcome.INITIATED and not operation.tries:
        delay = max(delay, AGAIN_AFTER[min(_tried_here(order, operation), len(AGAIN_AFTER) - 1)])
    return DueCall(replace(call_for(order, operation, ask), not_after=not_after), delay, tries=operation.tries)


def waits_for_resume(operation: Operation) -> bool:
    """Captures, voids and refunds to be sent. For authorizations a customer waits; questions move nothing."""
    moving = operation.kind in {OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND}
    return moving and operation.outcome in {Outcome.INITIATED, Outcome.UNKNOWN}


def _tried_here(order: Order, operation: Operation) -> int:
    """Earlier attempts of the same payment at the same account; none of them reached it."""
    mine = order.attempt(operation.attempt_id)
    return sum(
        a.payment_id == mine.payment_id and a.account == mine.account and a.position < mine.position
        for a in order.attempts
    )


def call_for(order: Order, operation: Operation, ask: Ask = Ask.SEND) -> Call:
    """The complete call for an operation; the same on every send, else it is not sent again (`is_altered`, R4)."""
    attempt = order.attempt(operation.attempt_id)
    payment = order.payment(operation.payment_id)
    kind = _KINDS.get(ask, operation.kind)
    asking = kind in {OperationKind.LOOKUP, OperationKind.NEUTRALIZE}
    subject = _subject(order, operation)
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
        capture_now=subject.capture_now,
        instalments=payment.instalments,
        description=f"Order {order.number}",
        return_url=payment.return_url,
        details=_details(order, payment, kind),
        subject=subject.kind if asking else None,
        subject_key=subject.key if asking else None,
        subject_reference=subject.operation_ref if asking else None,
        subject_sent_at=subject.sent_at or subject.initiated_at if asking else None,
        tax_free=operation.tax_free if attempt.reports_tax else 0,
    )


def _details(order: Order, payment: Payment, kind: OperationKind) -> dict[str, str]:
    """What was given beside the token; for an account to pay into also the name that its payer will see."""
    given = payment.details or {}
    if kind is OperationKind.AUTHORIZE and payment.method in DEPOSIT_METHODS and order.customer_name:
        return {**given, "customer_name": order.customer_name}
    return given


def _subject(order: Order, operation: Operation) -> Operation:
    """What is asked about: itself, but for an operation that is a question."""
    if operation.kind is not OperationKind.LOOKUP:
        return operation
    return order.operation(operation.subject_id) if operation.subject_id else authorization(order, operation)


def authorization(order: Order, operation: Operation) -> Operation:
    """The operation that opened the attempt of ``operation``."""
    mine = (o for o in order.operations if o.attempt_id == operation.attempt_id)
    return next(o for o in mine if o.kind is OperationKind.AUTHORIZE)


def weighed(operation: Operation, answer: Answer, capabilities: Capabilities, now: datetime) -> Answer:
    """What a lookup has found or a send was told, by what else is known.

    A "not found" becomes final where the PG cannot be told to forget and its own time for late arrivals is over; an
    authorization that a cancel of ours may be undoing at this moment is not there yet, nor is a page for its customer.
    """
    there = answer.outcome in {Outcome.SUCCEEDED, Outcome.PENDING, Outcome.ACTION_REQUIRED}
    if there and _is_being_undone(operation, capabilities, now):
        doubt = replace(answer.evidence, detail=f"{answer.evidence.detail}; a cancel of it is on its way".strip("; "))
        return replace(answer, outcome=Outcome.UNKNOWN, action=None, evidence=doubt)
    after = capabilities.not_found_final_after_seconds
    if answer.outcome is not Outcome.NOT_EXECUTED or after is None:
        return answer
    since = now - (operation.sent_at or operation.initiated_at)
    over = since >= timedelta(seconds=after) + IN_FLIGHT
    return replace(answer, final=True) if over and capabilities.neutralize_by is NeutralizeBy.NONE else answer


def _is_being_undone(operation: Operation, capabilities: Capabilities, now: datetime) -> bool:
    """Where a PG answers cancels later, for good: it may be heard late. Elsewhere while a request may be under way."""
    undoable = not operation.capture_now or capabilities.neutralize_undoes_capture
    if operation.outcome not in UNRESOLVED or operation.neutralized_at is None or not undoable:
        return False
    later = OperationKind.NEUTRALIZE in capabilities.asynchronous
    return later or now - operation.neutralized_at < IN_FLIGHT


def overdue(operation: Operation, now: datetime) -> bool:
    """Unresolved for so long that a person must look."""
    doubtful = operation.outcome is Outcome.UNKNOWN or (operation.abandoning and operation.outcome in UNRESOLVED)
    return doubtful and now - operation.initiated_at > GIVE_UP_AFTER


def doubt_what_was_lost(order: Order, now: datetime) -> Order:
    """After the loss of a run: what it may have sent counts as unknown, also what a customer had brought back.

    A PG with keys is sent it again; one without is asked what became of it.
    """
    mine = [o for o in order.operations if not order.own(o)]
    lost = [replace(o, outcome=Outcome.UNKNOWN, tries=1) for o in mine if o.outcome is Outcome.INITIATED]
    told = [_doubted(o, now) for o in mine if _is_to_complete(order, o)]
    return order.put(*lost, *told) if lost or told else order


def _doubted(operation: Operation, now: datetime) -> Operation:
    """It may have been sent with what the customer brought, or not."""
    before = operation.fingerprint
    given = None if before is None else forget_given(before)
    return replace(operation, outcome=Outcome.UNKNOWN, tries=1, sent_at=now, fingerprint=given)


def is_altered(order: Order, operation: Operation) -> bool:
    """Whether it would go out with other words than its PG may have acted on under the key: it is not sent (R4).

    What was provably not executed may be sent anew. What a customer has brought back is new by design.
    """
    before = operation.fingerprint
    if before is None or operation.outcome is Outcome.INITIATED:
        return False
    now = fingerprint(call_for(order, operation))
    return not is_same(before, now, apart_from_given=_is_to_complete(order, operation))


def _is_to_complete(order: Order, operation: Operation) -> bool:
    """The customer is back from the PG's page with what it gave, and the PG has not been told yet.

    An account to pay into has no page: what is brought while a deposit is awaited is no news for the PG.
    """
    back, sent = operation.completed_at, operation.sent_at
    waits = operation.outcome in {Outcome.ACTION_REQUIRED, Outcome.PENDING} and not operation.abandoning
    at_a_page = order.payment(operation.payment_id).action_kind != "deposit"
    return (
        waits and at_a_page and back is not None and (sent is None or sent <= back or was_told_else(order, operation))
    )


def was_told_else(order: Order, operation: Operation) -> bool:
    """The customer came back a second time while the PG was told of the first, and it is their turn still."""
    before = operation.fingerprint
    if before is None or operation.outcome is not Outcome.ACTION_REQUIRED:
        return False
    now = fingerprint(call_for(order, operation))
    return is_same(before, now, apart_from_given=True) and not is_same(before, now)


def _may_be_told(order: Order, operation: Operation, capabilities: Capabilities, now: datetime) -> bool:
    """Whether what the customer has brought may be sent, once, however late it is.

    With keys it may be the same call as the first, so the key must be known. Without keys it is a request of its own,
    the first that the PG hears of it; but a token was charged by the call before: that would be a second charge.
    """
    if _has_keys(capabilities):
        return _may_be_sent_again(operation, capabilities, now)
    return order.payment(operation.payment_id).token is None


def _has_keys(capabilities: Capabilities) -> bool:
    return capabilities.idempotency.ttl_seconds > 0


def _may_be_sent_again(operation: Operation, capabilities: Capabilities, now: datetime) -> bool:
    """Whether the PG still knows the key, so that the same call is the same effect; forgotten, it would be another."""
    ends = _key_ends(operation, capabilities)
    return ends is None or now < ends


def _tells_by_a_send_alone(order: Order, operation: Operation, capabilities: Capabilities, now: datetime) -> bool:
    """Whether nothing but the same call again tells that a hold never came. One that comes now is released at once.

    Not a charge: nobody is charged for what they gave up, a person looks. Nor a page: its neutralization closes it.
    """
    blind = operation.outcome is Outcome.UNKNOWN and not capabilities.lookup_by_merchant_ref
    a_hold = not operation.capture_now and order.payment(operation.payment_id).token is not None
    return blind and a_hold and _may_be_sent_again(operation, capabilities, now)


def _key_ends(operation: Operation, capabilities: Capabilities) -> datetime | None:
    """From when the same call may be another effect; None: never."""
    if operation.kind is OperationKind.REFUND and capabilities.refunds_sent_again:
        return None
    return operation.initiated_at + timedelta(seconds=capabilities.idempotency.ttl_seconds) - KEY_MARGIN


def _pending_pause(tries: int) -> int:
    if tries > LONG_PENDING:
        return SLOWLY
    return PENDING_LADDER[min(max(tries, 1), len(PENDING_LADDER)) - 1]


def _rung(tries: int) -> int:
    step, first = max(tries, 1) - 1, len(UNKNOWN_LADDER) - TAKE_TURNS
    return step if step < first else first + (step - first) % TAKE_TURNS


def _step(order: Order, operation: Operation, capabilities: Capabilities, now: datetime) -> tuple[int, Ask]:
    authorizing = operation.kind is OperationKind.AUTHORIZE
    can_neutralize = authorizing and capabilities.neutralize_by is not NeutralizeBy.NONE
    altered = is_altered(order, operation)
    if operation.abandoning and can_neutralize:
        told = not altered and _tells_by_a_send_alone(order, operation, capabilities, now)
        ask = TO_UNDO[(operation.tries - 1) % len(TO_UNDO)]
        return _pending_pause(operation.tries + 1), Ask.NEUTRALIZE if ask is Ask.SEND and not told else ask
    if not altered and _is_to_complete(order, operation) and _may_be_told(order, operation, capabilities, now):
        return 0, Ask.SEND
    if operation.outcome is Outcome.INITIATED:
        return (0 if operation.tries == 0 else RETRY_LADDER[min(operation.tries, len(RETRY_LADDER)) - 1]), Ask.SEND
    if operation.outcome is not Outcome.UNKNOWN:
        return _pending_pause(operation.tries), Ask.LOOKUP
    delay, ask = UNKNOWN_LADDER[_rung(operation.tries)]
    replay = Ask.SEND if not altered and _may_be_sent_again(operation, capabilities, now) else Ask.LOOKUP
    if not authorizing:
        return delay, replay  # What must happen is asked for again with its key: at most one effect, at last one.
    if ask is Ask.NEUTRALIZE and not can_neutralize:
        ask = Ask.SEND
    if ask is Ask.SEND:
        # Once it may have been neutralized, a replay tells the past: whoever can say what is so now is asked.
        told_now = operation.neutralized_at is not None and capabilities.lookup_by_merchant_ref
        ask = Ask.LOOKUP if told_now else replay
    return delay, ask
