"""A person closes what OPMS cannot: an operation whose end no PG tells, decided on evidence from elsewhere (rule R5).

The decision is recorded like an answer, with what it rests on (who gave it stands on the timeline). What follows is
the same as after any answer: money that turns out to be taken for a request that is over is given back.
"""

from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from domain.errors import Rejected
from domain.gateway import Answer, Decline, Evidence, OperationKind, Outcome, Retry
from domain.moment import Moment
from domain.order import Order
from domain.payment import UNRESOLVED, Operation
from domain.recording import record
from domain.resolution import Ask
from domain.reversal import reverse, takes_money
from domain.taking import capturable, open_operation

Verdict = Literal["succeeded", "declined", "not_executed"]


class NotInDoubt(Rejected):
    """The operation is not one that a person may decide."""

    code = "operation_not_in_doubt"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a person has found out. ``reference``: the PG's own id, where it was found."""

    operation_id: UUID
    verdict: Verdict
    evidence: str
    reference: str | None = None


def judge(order: Order, judgement: Judgement, moment: Moment) -> Order:
    """The order after a person's decision. Raises `NotInDoubt`: unknown operation, already ended, or never sent."""
    operation = next((o for o in order.operations if o.id == judgement.operation_id), None)
    if operation is None or order.payment(operation.payment_id).internal:
        raise NotInDoubt(f"order {order.number} has no operation {judgement.operation_id} at a PG")
    if operation.contradicted or (operation.outcome is Outcome.SUCCEEDED and takes_money(operation)):
        return _settled(order, operation, judgement)
    if operation.kind is OperationKind.VOID and operation.outcome is Outcome.DECLINED:
        return _let_go(order, operation, judgement, moment)
    if operation.outcome not in UNRESOLVED:
        raise NotInDoubt(f"the operation has ended: {operation.outcome}", figures={"outcome": operation.outcome.value})
    if operation.outcome is Outcome.INITIATED and not operation.tries:
        raise NotInDoubt("the operation is being sent for the first time; wait for its answer")
    if judgement.verdict == "not_executed" and operation.kind is not OperationKind.AUTHORIZE:
        raise NotInDoubt(
            f"a {operation.kind} that was not executed is declined: what is still owed is then asked for anew",
            figures={"verdicts": ["succeeded", "declined"]},
        )
    return record(order, Ask.DECIDE, operation, _as_answer(judgement, operation), moment)


def _settled(order: Order, operation: Operation, judgement: Judgement) -> Order:
    """The PG has said yes, and perhaps no since: a person knows which stands, also where the PG cannot be asked."""
    if judgement.verdict == operation.outcome.value and operation.contradicted:
        return order.put(replace(operation, contradicted=False))
    if operation.outcome is Outcome.SUCCEEDED and judgement.verdict == "declined":
        after = reverse(order, operation, operation.amount)
        if not after.operation(operation.id).contradicted:
            return after
    advice = "settle the difference with the PG, then decide the same"
    if not operation.contradicted and judgement.verdict != "declined":
        advice = "only that the PG has taken it back could still be decided: declined"
    raise NotInDoubt(
        f"the operation has ended: {operation.outcome}; {advice}",
        figures={"outcome": operation.outcome.value, "reversed_amount": operation.reversed_amount},
    )


def _let_go(order: Order, refused: Operation, judgement: Judgement, moment: Moment) -> Order:
    """The PG would not release a hold: because it is gone, says a person. What is left of it counts as released."""
    payment = order.payment(refused.payment_id)
    amount = capturable(order, payment)
    if judgement.verdict != "succeeded" or not amount or refused.orphan:
        raise NotInDoubt(
            "the operation has ended: declined; if the hold is gone, decide that it succeeded",
            figures={"outcome": refused.outcome.value, "capturable": amount},
        )
    order = open_operation(order, payment, OperationKind.VOID, amount, moment)
    return record(order, Ask.DECIDE, order.operations[-1], _as_answer(judgement, refused), moment)


def _as_answer(judgement: Judgement, operation: Operation) -> Answer:
    outcome = Outcome(judgement.verdict)
    decline = Decline("decided_by_a_person", "decided", judgement.evidence, Retry.AFTER_CUSTOMER_ACTION)
    return Answer(
        outcome,
        reference=judgement.reference,
        operation_ref=operation.operation_ref,
        decline=decline if outcome is Outcome.DECLINED else None,
        evidence=Evidence(detail=f"decided by a person: {judgement.evidence}"),
    )
