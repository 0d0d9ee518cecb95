"""What a PG takes back after it had succeeded: a refund that bounces, a capture that fails after all (ADR 0017).

A PG's word that an operation has failed is a reason to ask, not an answer (R10): a question about the operation is
opened beside the payment's sums, and only what it brings is believed. A refund leg becomes ``reversed`` and its refund
is planned again; a capture leaves the payment authorized, and a person decides whether to capture again. What no answer
settles is marked ``contradicted``: for a person.
"""

from dataclasses import replace
from uuid import UUID

from domain.coverage import fold, refold, refunded_sections
from domain.errors import Rejected
from domain.gateway import Answer, OperationKind, Outcome
from domain.moment import Moment, Why
from domain.order import Order
from domain.orphan import ask_beside
from domain.payment import UNRESOLVED, Operation
from domain.states import LegStatus, RefundStatus, move
from domain.taking import capturable

REVERSIBLE = frozenset({OperationKind.AUTHORIZE, OperationKind.CAPTURE, OperationKind.REFUND})
"""What moves money to or from the customer; an authorization only where it captures as well."""


class UnknownOperation(Rejected):
    """The order has no such operation at a PG."""

    code = "operation_not_found"


def doubt(order: Order, operation_id: UUID, moment: Moment, *, command_id: UUID | None = None) -> Order:
    """Ask the PG again about an operation that had succeeded. Nothing to do for one that has not, or is asked about.

    Also of what was taken back: it may be there again, as a deposit that is made a second time. Raises
    `UnknownOperation`.
    """
    operation = next((o for o in order.operations if o.id == operation_id), None)
    if operation is None or order.own(operation):
        raise UnknownOperation(f"order {order.number} has no operation {operation_id} at a PG")
    asked = any(o.subject_id == operation_id and o.outcome in UNRESOLVED for o in order.operations)
    if asked or operation.outcome is not Outcome.SUCCEEDED or not takes_money(operation):
        return order
    why = Why(command_id=command_id, subject_id=operation_id)
    attempt = order.attempt(operation.attempt_id)
    return ask_beside(order, attempt, OperationKind.LOOKUP, operation.amount, moment, why=why)


def takes_money(operation: Operation) -> bool:
    """Whether there is anything that the PG could take back."""
    return operation.kind in REVERSIBLE and (operation.kind is not OperationKind.AUTHORIZE or operation.capture_now)


def take_back(order: Order, question_id: UUID, answer: Answer) -> Order:
    """Fold the answer to a question of `doubt` in; any other operation is left alone."""
    question = order.operation(question_id)
    if question.subject_id is None or question.outcome in UNRESOLVED:
        return order
    operation = order.operation(question.subject_id)
    lost = _lost(operation, question, answer)
    return _contradict(order, operation) if lost is None else reverse(order, operation, lost)


def reverse(order: Order, operation: Operation, lost: int) -> Order:
    """The order with ``lost`` (minor units, all in all) of what an operation had moved taken back; 0: it stands.

    The same twice is one effect. What the sums have no room for is ``contradicted``: more has gone back than would be
    left, or what has been planned elsewhere is there after all.
    """
    more = lost - operation.reversed_amount
    settled = replace(operation, reversed_amount=lost, contradicted=False)
    if not more or operation.orphan:
        return order.put(settled)
    payment = order.payment(operation.payment_id)
    if operation.kind is OperationKind.REFUND:
        planned_anew = more < 0 and (operation.leg_id is not None or payment.refundable < -more)
        return _contradict(order, operation) if planned_anew else _bounced(order.put(settled), operation, more)
    if more > payment.refundable or -more > capturable(order, payment):
        return _contradict(order, operation)
    section = (operation.section_id,) if operation.section_id else ()
    return fold(order.put(settled), replace(payment, captured=payment.captured - more), *section)


def _contradict(order: Order, operation: Operation) -> Order:
    return order.put(replace(operation, contradicted=True))


def _lost(operation: Operation, question: Operation, answer: Answer) -> int | None:
    """How much the PG has taken back; None: it cannot be told."""
    if answer.issues:
        return None
    if operation.kind is OperationKind.AUTHORIZE:
        told = question.outcome in {
            Outcome.SUCCEEDED,
            Outcome.DECLINED,
        }  # Declined: it is to be paid, or never will be.
        return max(0, operation.amount - answer.amounts.captured) if told and answer.amounts else None
    if question.outcome is Outcome.DECLINED:
        return operation.amount
    return 0 if question.outcome is Outcome.SUCCEEDED else None


def _bounced(order: Order, operation: Operation, amount: int) -> Order:
    """A refund came back: it is owed to the customer again."""
    payment = order.payment(operation.payment_id)
    payment = replace(payment, refunded=payment.refunded - amount)
    leg = next((g for g in order.legs if g.id == operation.leg_id), None)
    order = refold(order.put(payment), payment, *refunded_sections(order, leg))
    if leg is None:
        return order
    refund = order.refund(leg.refund_id)
    status = move(refund.status, RefundStatus.EXECUTING, what="refund")
    return order.put(
        replace(leg, status=move(leg.status, LegStatus.REVERSED, what="refund leg")), replace(refund, status=status)
    )
