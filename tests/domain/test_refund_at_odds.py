"""A PG that refuses a refund as its money is not there: it is planned anew all the same, and a person is told."""

from dataclasses import replace
from uuid import uuid4

import pytest

from domain.cancellation import cancel
from domain.gateway import Answer, Decline, OperationKind, Outcome, Retry
from domain.judgement import Judgement, judge
from domain.states import BalanceState, OrderStatus, RefundStatus
from tests.domain.desk import Desk, a_checkout, declined

REFUND = OperationKind.REFUND


def canceled() -> Desk:
    """An order that was paid and is canceled: its refund is to be sent."""
    desk = Desk(a_checkout())
    desk.succeed()
    desk.decide(lambda m: cancel(desk.order, (), None, m, reason="changed mind", command_id=uuid4()))
    return desk


def refused(category: str) -> Desk:
    """The PG gives nothing back, for a reason of this category."""
    desk = canceled()
    no = Answer(Outcome.DECLINED, decline=Decline(category, "not_refundable", "no", Retry.NEVER))
    desk.answer(desk.due(REFUND)[0], no)
    return desk


@pytest.mark.parametrize("category", ["state", "amount_exceeded", "amount_mismatch"])
def test_what_the_pg_says_is_not_there_becomes_store_credit_and_a_person_is_told(category: str) -> None:
    desk = refused(category)
    assert (desk.store_credit, desk.order.requires_review, desk.due()) == (62700, True, [])
    assert [r.status for r in desk.order.refunds] == [RefundStatus.SUCCEEDED]
    [operation] = [o for o in desk.order.operations if o.contradicted]
    seen = Judgement(operation.id, "declined", "seen in the PG's console, settled with the customer")
    desk.decide(lambda m: judge(desk.order, seen, m))
    assert (desk.store_credit, desk.order.requires_review) == (62700, False)
    assert (desk.order.status, desk.order.balance) == (OrderStatus.CANCELED, BalanceState.SETTLED)


def test_a_refusal_for_another_reason_becomes_store_credit_and_is_nobodys_concern() -> None:
    desk = refused("refund_window")
    assert (desk.store_credit, desk.order.requires_review) == (62700, False)


def test_a_persons_own_no_is_not_doubted() -> None:
    desk = canceled()
    operation = desk.due(REFUND)[0]
    desk.answer(operation, replace(declined(), outcome=Outcome.UNKNOWN, decline=None))
    desk.decide(lambda m: judge(desk.order, Judgement(operation.id, "declined", "the PG says so"), m))
    assert (desk.store_credit, desk.order.requires_review) == (62700, False)
