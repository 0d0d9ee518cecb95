"""Money at a PG on an attempt that we had closed: found by asking again, given back by itself (rule R9).

A PG may say one thing and do another: a webhook or a settlement line tells of money on an attempt that was declined or
not executed. The attempt is asked about once more; what is found there is never attached to the order, which another
attempt may have paid, but refunded or released on that very attempt. Such operations are ``orphan``: they are no part
of the payment's sums.
"""

from dataclasses import replace
from uuid import UUID

from domain.errors import Rejected
from domain.gateway import Answer, OperationKind, Outcome
from domain.moment import Moment, Why
from domain.order import Order
from domain.payment import DEPOSIT_METHODS, RELEASED_OUTCOMES, UNRESOLVED, Attempt, Operation, operation_key
from domain.resolution import authorization
from domain.states import move

MOST_QUESTIONS = 12
"""Answers that say nothing before a question is given up; the reconciliation finds what it might have missed."""


class UnknownAttempt(Rejected):
    """No attempt of this order has this merchant reference."""

    code = "attempt_not_found"


def recheck(order: Order, merchant_ref: str, moment: Moment, *, command_id: UUID | None = None) -> Order:
    """Ask once more about a closed attempt. Nothing to do for one that is open, or is being asked about.

    Raises `UnknownAttempt`.
    """
    attempt = next((a for a in order.attempts if a.merchant_ref == merchant_ref), None)
    if attempt is None:
        raise UnknownAttempt(f"order {order.number} has no attempt {merchant_ref}")
    asked = any(o.orphan and o.attempt_id == attempt.id and o.outcome in UNRESOLVED for o in order.operations)
    if asked or attempt.outcome not in RELEASED_OUTCOMES or order.payment(attempt.payment_id).internal:
        return order
    amount = order.payment(attempt.payment_id).amount
    return ask_beside(order, attempt, OperationKind.LOOKUP, amount, moment, why=Why(command_id=command_id))


def follow(order: Order, operation: Operation, answer: Answer, moment: Moment) -> Order:
    """Fold an answer about an orphan in: what is found is given back, what is given back is done."""
    outcome = _outcome(order, operation, answer)
    reasons = [*(i.value for i in answer.issues), answer.evidence.detail, answer.decline.code if answer.decline else ""]
    operation = replace(
        operation,
        outcome=move(operation.outcome, outcome, what=f"operation {operation.kind}"),
        tries=operation.tries + 1,
        operation_ref=answer.operation_ref or operation.operation_ref,
        detail="; ".join(dict.fromkeys(r for r in reasons if r)) or operation.detail,
        resolved_at=None if outcome in UNRESOLVED else moment.now,
        contradicted=operation.subject_id is None and outcome is Outcome.NOT_EXECUTED and bool(answer.issues),
    )
    order = order.put(operation)
    found = operation.kind is OperationKind.LOOKUP and operation.outcome is Outcome.SUCCEEDED
    if found and operation.subject_id is None:
        return _give_back(order, operation, answer, moment)
    return order


def _outcome(order: Order, operation: Operation, answer: Answer) -> Outcome:
    if operation.kind is OperationKind.LOOKUP and operation.subject_id is not None:
        return _told(order.operation(operation.subject_id), operation, answer)
    if answer.outcome is Outcome.UNKNOWN and operation.outcome in {Outcome.PENDING, Outcome.ACTION_REQUIRED}:
        return operation.outcome
    if operation.kind is OperationKind.LOOKUP:
        told = Outcome.UNKNOWN if answer.issues else answer.outcome  # About other money: nothing is believed (R12).
        return Outcome.NOT_EXECUTED if told is Outcome.UNKNOWN and _is_last(operation) else told
    if answer.issues:
        return Outcome.UNKNOWN
    if answer.outcome is Outcome.NOT_EXECUTED:  # Sent again with the same key; after a doubt it proves nothing.
        return operation.outcome
    return answer.outcome


def _told(subject: Operation, question: Operation, answer: Answer) -> Outcome:
    """What a question about one operation has brought; without an end it is given up, for a person."""
    if subject.kind is OperationKind.AUTHORIZE and answer.outcome is Outcome.ACTION_REQUIRED:
        return Outcome.DECLINED  # The customer is to pay what was paid: it does not stand.
    if answer.outcome in UNRESOLVED and _is_last(question):
        return Outcome.NOT_EXECUTED
    waits = answer.outcome is Outcome.UNKNOWN and question.outcome is not Outcome.INITIATED
    return question.outcome if waits else answer.outcome


def _is_last(question: Operation) -> bool:
    return question.tries + 1 >= MOST_QUESTIONS


def _give_back(order: Order, found: Operation, answer: Answer, moment: Moment) -> Order:
    attempt = order.attempt(found.attempt_id)
    attempt = replace(attempt, reference=answer.reference or attempt.reference)
    order = order.put(attempt)
    homeless = order.payment(attempt.payment_id).lacks_account
    for kind, amount in _left(order, found, answer).items():
        if amount > 0 and not (homeless and kind is OperationKind.REFUND):
            free = min(amount, authorization(order, found).tax_free)
            order = ask_beside(order, attempt, kind, amount, moment, why=Why(command_id=found.command_id), free=free)
    return order


def stranded(order: Order) -> list[Attempt]:
    """Closed attempts with a deposit that was found, and that nobody has named an account to give back to."""
    beside = [o for o in order.operations if o.orphan and o.subject_id is None]
    found = {o.attempt_id for o in beside if o.kind is OperationKind.LOOKUP and o.outcome is Outcome.SUCCEEDED}
    returned = {o.attempt_id for o in beside if o.kind is OperationKind.REFUND and o.outcome is not Outcome.DECLINED}
    mine = [a for a in order.attempts if a.id in found - returned]
    return [a for a in mine if order.payment(a.payment_id).method in DEPOSIT_METHODS]


def _left(order: Order, found: Operation, answer: Answer) -> dict[OperationKind, int]:
    """What the PG still holds and has taken; without its sums, what the authorization was for."""
    sums = answer.amounts
    if sums is not None:
        return {
            OperationKind.VOID: sums.authorized - sums.captured - sums.voided,
            OperationKind.REFUND: sums.captured - sums.refunded,
        }
    kind = OperationKind.REFUND if authorization(order, found).capture_now else OperationKind.VOID
    return {kind: found.amount}


def ask_beside(  # noqa: PLR0913 - an operation is that many things
    order: Order, attempt: Attempt, kind: OperationKind, amount: int, moment: Moment, *, why: Why, free: int = 0
) -> Order:
    """An operation at the attempt's own account that is no part of the payment's sums; ``free``: of tax."""
    operation_id = moment.new_id()
    return order.put(
        Operation(
            id=operation_id,
            order_id=order.id,
            attempt_id=attempt.id,
            payment_id=attempt.payment_id,
            kind=kind,
            amount=amount,
            key=operation_key(operation_id, kind),
            outcome=Outcome.INITIATED,
            initiated_at=moment.now,
            command_id=why.command_id,
            subject_id=why.subject_id,
            orphan=True,
            tax_free=free,
        )
    )
