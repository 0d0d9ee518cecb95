"""Folding one answer of a PG into the order: operation, attempt, payment, allocation, refund leg.

An operation that has its end is never changed again: a second answer is a no-op. Unknown stays unknown. An answer that
differs from what was asked makes the payment ``conflicted``; the fence stays closed (R12).
"""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from domain.coverage import fold, refold, refunded_sections
from domain.gateway import FORGED_RETURN, Answer, Decline, Issue, OperationKind, Outcome, Retry
from domain.moment import Moment
from domain.order import Order
from domain.orphan import follow, recheck
from domain.payment import (
    UNRESOLVED,
    Attempt,
    Leg,
    Operation,
    Payment,
    shops_own,
    tender,
)
from domain.resolution import ALTERED, Ask, is_altered, overdue, was_told_else
from domain.reversal import take_back
from domain.states import TABLES, LegStatus, TenderStatus, move
from domain.taking import open_attempt

LONGEST_DEPOSIT = timedelta(days=5)
"""Cards that are held beside a deposit let go after about seven days, if their PGs do not say when."""
BEFORE_A_HOLD_ENDS = timedelta(hours=1)
"""So long before a card that is held beside it lets go, a deposit is not waited for any more."""
ELSEWHERE = frozenset({"state", "amount_exceeded", "amount_mismatch"})
"""Categories of a decline by which a PG says that the money of a refund is not where our sums have it."""
WAITING = {
    Outcome.PENDING: TenderStatus.PROCESSING,
    Outcome.ACTION_REQUIRED: TenderStatus.ACTION_REQUIRED,
    Outcome.UNKNOWN: TenderStatus.UNKNOWN,
}


def record(
    order: Order, asked: Ask, operation: Operation, answer: Answer, moment: Moment, *, sent: str | None = None
) -> Order:
    """The order after ``answer`` to ``asked`` about ``operation``; ``sent``: the fingerprint of what was sent."""
    operation, answer = order.operation(operation.id), _weighed(operation, asked, answer)
    if operation.outcome not in UNRESOLVED:
        return _contradicted(order, operation, asked, answer, moment)
    if asked is Ask.SEND:
        operation = replace(operation, sent_at=moment.now, fingerprint=sent or operation.fingerprint)
    if operation.orphan:
        return take_back(follow(order, operation, answer, moment), operation.id, answer)
    operation = _at_odds(_marked(order, _resolved(operation, asked, answer, moment.now)), asked, answer)
    return _folded_in(order.put(operation), operation, answer, moment)


def _weighed(operation: Operation, asked: Ask, answer: Answer) -> Answer:
    """A PG that was to charge, says yes, and has taken less, holds at best: not what was asked (R12)."""
    charged = operation.kind is OperationKind.AUTHORIZE and operation.capture_now and asked is not Ask.NEUTRALIZE
    sums = answer.amounts
    if not charged or answer.outcome is not Outcome.SUCCEEDED or sums is None or sums.captured >= operation.amount:
        return answer
    return replace(answer, issues=tuple(dict.fromkeys([*answer.issues, Issue.AMOUNT_MISMATCH])))


def _contradicted(order: Order, operation: Operation, asked: Ask, answer: Answer, moment: Moment) -> Order:
    """A send that was under way when its operation was closed has happened after all; any other answer is no news."""
    closed = operation.outcome in {Outcome.DECLINED, Outcome.NOT_EXECUTED} and not operation.orphan
    if not closed or asked is not Ask.SEND or answer.outcome is not Outcome.SUCCEEDED or order.own(operation):
        return order
    if operation.kind is OperationKind.AUTHORIZE:
        return recheck(order, order.attempt(operation.attempt_id).merchant_ref, moment)
    return order.put(replace(operation, contradicted=True))


def _folded_in(order: Order, operation: Operation, answer: Answer, moment: Moment) -> Order:
    match operation.kind:
        case OperationKind.AUTHORIZE:
            return _authorized(order, operation, answer, moment)
        case OperationKind.CAPTURE:
            return _captured(order, operation)
        case OperationKind.VOID:
            return _voided(order, operation)
        case OperationKind.REFUND:
            return _refunded(order, operation)
        case OperationKind.LOOKUP | OperationKind.NEUTRALIZE:
            return order


def _resolved(operation: Operation, asked: Ask, answer: Answer, now: datetime) -> Operation:
    """The operation with what is now known of it; what an answer does not prove, it does not change."""
    outcome, known = answer.outcome, operation.outcome
    authorizing = operation.kind is OperationKind.AUTHORIZE
    neutralized_at = operation.neutralized_at
    if asked is Ask.NEUTRALIZE:
        if outcome is not Outcome.NOT_EXECUTED:  # Else the one before may be on its way still.
            neutralized_at = now if outcome in {Outcome.PENDING, Outcome.UNKNOWN} else None
        outcome = Outcome.NOT_EXECUTED if outcome is Outcome.SUCCEEDED else Outcome.UNKNOWN
    elif outcome is Outcome.NOT_EXECUTED and _proves_nothing(operation, asked, answer):
        outcome = Outcome.UNKNOWN
    if answer.issues:
        outcome = Outcome.UNKNOWN
    tries = operation.tries + 1
    if outcome is Outcome.UNKNOWN and known in {Outcome.PENDING, Outcome.ACTION_REQUIRED}:
        if asked is Ask.SEND and operation.completed_at is not None:
            tries = 1  # What the customer brought may have arrived: a doubt like any other, from its beginning.
        else:
            outcome = known  # A lookup that failed does not make what the PG accepted any less known.
    if outcome is Outcome.NOT_EXECUTED and not authorizing:
        outcome = Outcome.INITIATED  # Money that must move will: sent again with the same key, after a pause.
    reasons = [*(i.value for i in answer.issues), answer.evidence.detail, answer.decline.code if answer.decline else ""]
    return replace(
        operation,
        outcome=move(operation.outcome, outcome, what=f"operation {operation.kind}"),
        tries=tries,
        operation_ref=answer.operation_ref or operation.operation_ref,
        detail="; ".join(dict.fromkeys(r for r in reasons if r)) or operation.detail,
        resolved_at=None if outcome in UNRESOLVED else now,
        neutralized_at=neutralized_at,
    )


def _marked(order: Order, operation: Operation) -> Operation:
    """In doubt, and not to be sent again: whoever looks into the doubt is told why."""
    if operation.outcome is not Outcome.UNKNOWN or not is_altered(order, operation):
        return operation
    reasons = [ALTERED, *(operation.detail or "").split("; ")]
    return replace(operation, detail="; ".join(dict.fromkeys(r for r in reasons if r)))


def _at_odds(operation: Operation, asked: Ask, answer: Answer) -> Operation:
    """A refund that is refused for want of money may have been given by hand already: whoever plans it anew is told.

    It is planned anew all the same (domain 7: the next payment, then store credit); a person sees that it was.
    """
    refused = operation.kind is OperationKind.REFUND and operation.outcome is Outcome.DECLINED
    told = asked is not Ask.DECIDE and answer.decline is not None and answer.decline.category in ELSEWHERE
    return replace(operation, contradicted=True) if refused and told else operation


def _proves_nothing(operation: Operation, asked: Ask, answer: Answer) -> bool:
    """Not found may mean not yet, and a send that was not executed proves nothing of the one before (R6, R7)."""
    authorizing = operation.kind is OperationKind.AUTHORIZE
    if asked is Ask.DECIDE or (asked is Ask.LOOKUP and answer.final and authorizing):
        return False
    return asked is Ask.LOOKUP or operation.outcome is not Outcome.INITIATED


def _authorized(order: Order, operation: Operation, answer: Answer, moment: Moment) -> Order:
    attempt, payment = order.attempt(operation.attempt_id), order.payment(operation.payment_id)
    foreign = Issue.REFERENCE_MISMATCH in answer.issues  # Of another payment: nothing of ours is ever sent there.
    attempt = replace(
        attempt,
        outcome=operation.outcome,
        reference=attempt.reference if foreign else answer.reference or attempt.reference,
        authorized_until=answer.authorized_until or attempt.authorized_until,
    )
    order = order.put(attempt)
    match operation.outcome:
        case Outcome.SUCCEEDED:
            return _held(order, payment, operation)
        case Outcome.DECLINED | Outcome.NOT_EXECUTED:
            return _released(order, payment, attempt, operation, answer.decline, moment)
        case waiting:
            if answer.action:
                payment = replace(
                    payment,
                    action_kind=answer.action.kind,
                    action_url=answer.action.url,
                    action_fields=answer.action.fields or None,
                    action_due_at=answer.action.due_at,
                )
                order = _wait_for_deposit(order, payment, moment)
            if answer.decline and answer.decline.code == FORGED_RETURN and not was_told_else(order, operation):
                order, payment = _unreturned(order, payment, operation)
            payment = _reconciled(payment, answer)
            return order.put(_led(payment, _waiting_as(payment, operation, waiting, answer, moment)))


def _unreturned(order: Order, payment: Payment, operation: Operation) -> tuple[Order, Payment]:
    """Whoever came back was not its customer, or not from its page: nobody has come back yet."""
    kept = shops_own(payment.details or {}) or None
    return order.put(replace(operation, completed_at=None)), replace(payment, details=kept)


def _led(payment: Payment, status: TenderStatus) -> Payment:
    """To where the PG says it is, over ``processing`` if there is no direct way: PGs change their minds."""
    straight = status is payment.status or status in TABLES[TenderStatus][payment.status]
    return tender(payment if straight else tender(payment, TenderStatus.PROCESSING), status)


def _reconciled(payment: Payment, answer: Answer) -> Payment:
    """The PG says something else now, and what was asked: the conflict is over, the customer may go on."""
    clear = not answer.issues and answer.outcome in {Outcome.PENDING, Outcome.ACTION_REQUIRED}
    return tender(payment, TenderStatus.PROCESSING) if payment.status is TenderStatus.CONFLICTED and clear else payment


def _wait_for_deposit(order: Order, payment: Payment, moment: Moment) -> Order:
    """A deposit takes days: its request is open as long as the PG takes it, but no longer than holds live (M4)."""
    if payment.action_kind != "deposit" or payment.action_due_at is None:
        return order
    request = order.request(payment.request_id)
    beside = {p.id for p in order.tenders(request) if p.capturable}
    ends = [a.authorized_until for a in order.attempts if a.payment_id in beside and a.authorized_until]
    until = min(payment.action_due_at, moment.now + LONGEST_DEPOSIT, *(end - BEFORE_A_HOLD_ENDS for end in ends))
    if request.due_at is None or request.due_at < until:
        order = order.put(replace(request, due_at=until))
    expires = order.expires_at
    return replace(order, expires_at=until) if expires is not None and expires < until else order


def _waiting_as(
    payment: Payment, operation: Operation, outcome: Outcome, answer: Answer, moment: Moment
) -> TenderStatus:
    """How a payment without an end is shown; a conflict or a person's turn stays until there is one."""
    if overdue(operation, moment.now):
        return TenderStatus.MANUAL_REVIEW
    if answer.issues:
        return TenderStatus.CONFLICTED
    if payment.status in {TenderStatus.CONFLICTED, TenderStatus.MANUAL_REVIEW}:
        return payment.status
    deposits = outcome is Outcome.ACTION_REQUIRED and payment.action_kind == "deposit"
    return TenderStatus.AWAITING_DEPOSIT if deposits else WAITING[outcome]


def _acted(payment: Payment) -> Payment:
    """Nothing is left for the customer to do."""
    return replace(payment, action_kind=None, action_url=None, action_fields=None, action_due_at=None)


def _held(order: Order, payment: Payment, operation: Operation) -> Order:
    captured = operation.amount if operation.capture_now else 0
    status = TenderStatus.CAPTURED if captured else TenderStatus.AUTHORIZED
    payment = replace(_undeclined(_acted(payment)), authorized=operation.amount, captured=captured)
    return order.put(tender(payment, status))


def _undeclined(payment: Payment) -> Payment:
    """What an earlier attempt was refused for stands on that attempt."""
    return replace(payment, decline_category=None, decline_code=None, decline_message=None, decline_retry=None)


def _released(
    order: Order, payment: Payment, attempt: Attempt, operation: Operation, decline: Decline | None, moment: Moment
) -> Order:
    """Provably no money moved: another account may be tried, unless the decline forbids it or the request is over."""
    payment = _acted(payment)
    if operation.abandoning:
        return order.put(tender(payment, TenderStatus.EXPIRED))
    if decline:
        payment = replace(
            payment,
            decline_category=decline.category,
            decline_code=decline.code,
            decline_message=decline.message,
            decline_retry=decline.retry.value,
        )
    else:
        payment = replace(
            payment,
            decline_category="unavailable",
            decline_code="not_executed",
            decline_message=f"{attempt.account} could not be reached; nothing was charged",
            decline_retry=Retry.OTHER_PG.value,
        )
    forbids = payment.internal or (decline is not None and decline.retry is not Retry.OTHER_PG)
    if forbids:
        return order.put(tender(payment, TenderStatus.DECLINED))
    payment = replace(
        payment, details=shops_own(payment.details or {}) or None
    )  # What was brought is for the PG that it came from.
    return open_attempt(order.put(payment), payment, moment)


def _captured(order: Order, operation: Operation) -> Order:
    payment = order.payment(operation.payment_id)
    if operation.outcome is not Outcome.SUCCEEDED:
        return order
    payment = replace(payment, captured=payment.captured + operation.amount)
    return fold(order, payment, *_section_of(operation))


def _voided(order: Order, operation: Operation) -> Order:
    payment = order.payment(operation.payment_id)
    if operation.outcome is not Outcome.SUCCEEDED:
        return order
    payment = replace(payment, voided=payment.voided + operation.amount)
    return fold(order, payment, *_section_of(operation))


def _section_of(operation: Operation) -> tuple[UUID, ...]:
    return (operation.section_id,) if operation.section_id else ()


def _refunded(order: Order, operation: Operation) -> Order:
    payment = order.payment(operation.payment_id)
    leg = next((g for g in order.legs if g.id == operation.leg_id), None)
    if leg:
        order = order.put(_leg(leg, operation.outcome))
    if operation.outcome in UNRESOLVED:
        return order
    payment = replace(payment, refund_pending=payment.refund_pending - operation.amount)
    if operation.outcome is Outcome.SUCCEEDED:
        payment = replace(payment, refunded=payment.refunded + operation.amount)
    order = order.put(payment)
    return refold(order, payment, *refunded_sections(order, leg))


LEG_OF: dict[Outcome, LegStatus] = {
    Outcome.INITIATED: LegStatus.SENT,
    Outcome.SUCCEEDED: LegStatus.SUCCEEDED,
    Outcome.PENDING: LegStatus.PENDING,
    Outcome.ACTION_REQUIRED: LegStatus.PENDING,
    Outcome.UNKNOWN: LegStatus.UNKNOWN,
    Outcome.DECLINED: LegStatus.FAILED,
    Outcome.NOT_EXECUTED: LegStatus.FAILED,
}


def _leg(leg: Leg, outcome: Outcome) -> Leg:
    status = LEG_OF[outcome]
    sent = move(leg.status, LegStatus.SENT, what="refund leg") if leg.status is LegStatus.RESERVED else leg.status
    return replace(leg, status=sent if status is LegStatus.SENT else move(sent, status, what="refund leg"))
