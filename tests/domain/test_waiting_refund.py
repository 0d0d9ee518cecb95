"""A refund that a PG refuses while nobody knows whether its money is there waits; what it is to give is promised."""

from dataclasses import replace
from uuid import uuid4

import pytest

from domain.cancellation import cancel
from domain.checkout import AskedPayment
from domain.gateway import Amounts, OperationKind
from domain.judgement import Verdict
from domain.refund import AskedLeg, AskedRefund, grant
from domain.states import BalanceState, OrderStatus, RefundStatus
from tests.domain.desk import declined
from tests.domain.test_reversal import AUTHORIZE, GONE, REFUND, done, doubted, judged, placed, refunded


def test_a_refund_that_the_pg_refuses_because_the_capture_has_failed_is_not_given_as_credit() -> None:
    desk = placed()
    desk.decide(lambda m: cancel(desk.order, (), None, m, reason="no", command_id=uuid4()))
    [back] = desk.due(REFUND)
    question = doubted(desk, done(desk, AUTHORIZE))
    desk.answer(back, declined())
    assert (desk.store_credit, desk.due()) == (0, [desk.order.operation(question.id)])
    desk.answer(question, GONE)
    assert (desk.store_credit, desk.order.captured, desk.order.refunded) == (0, 0, 0)
    assert [o.kind for o in desk.due()] == [OperationKind.VOID], "what is held again is let go"
    desk.succeed()
    assert (desk.order.status, desk.order.balance) == (OrderStatus.CANCELED, BalanceState.SETTLED)
    assert not desk.order.requires_review


def test_a_refused_refund_is_given_as_credit_once_the_money_is_known_to_be_there() -> None:
    desk = placed()
    desk.decide(lambda m: grant(desk.order, AskedRefund(amount=1000), m, command_id=uuid4()))
    [back] = desk.due(REFUND)
    question = doubted(desk, done(desk, AUTHORIZE))
    desk.answer(back, declined())
    desk.answer(question, replace(GONE, amounts=Amounts(62700, 62700, 0, 0)))
    assert (desk.store_credit, desk.order.refunds[0].status) == (1000, RefundStatus.SUCCEEDED)


@pytest.mark.parametrize(("verdict", "credit"), [("succeeded", 1000), ("declined", 0)])
def test_a_refused_refund_waits_for_a_person_while_nobody_knows_whether_its_money_is_there(
    verdict: Verdict, credit: int
) -> None:
    desk = placed()
    desk.decide(lambda m: grant(desk.order, AskedRefund(amount=1000), m, command_id=uuid4()))
    [back] = desk.due(REFUND)
    charge = done(desk, AUTHORIZE)
    question = doubted(desk, charge)
    desk.answer(back, declined())
    desk.answer(question, declined())
    assert (desk.store_credit, desk.order.requires_review) == (0, True)
    judged(desk, charge, verdict)
    assert desk.store_credit == credit


def test_what_a_waiting_refund_is_to_give_is_not_given_to_another() -> None:
    desk = placed()
    desk.decide(lambda m: grant(desk.order, AskedRefund(amount=1000), m, command_id=uuid4()))
    [back] = desk.due(REFUND)
    question = doubted(desk, done(desk, AUTHORIZE))
    desk.answer(back, declined())
    desk.decide(lambda m: grant(desk.order, AskedRefund(amount=400), m, command_id=uuid4()))
    desk.succeed(REFUND)
    assert (desk.order.refunded, desk.order.credited) == (400, 1400), "goodwill on top of what is owed already"
    desk.answer(question, replace(GONE, amounts=Amounts(62700, 62700, 0, 0)))
    assert (desk.store_credit, desk.order.balance) == (1000, BalanceState.SETTLED)


def test_a_waiting_refund_gives_nothing_of_a_payment_that_is_owed_once_another_is_gone() -> None:
    desk = placed(AskedPayment("card", 30000, "tok"), AskedPayment("card", 32700, "tok"))
    asked = AskedRefund(amount=1000, policy="manual", legs=(AskedLeg(desk.payment(0).id, 1000),))
    desk.decide(lambda m: grant(desk.order, asked, m, command_id=uuid4()))
    [back] = desk.due(REFUND)
    question = doubted(desk, done(desk, OperationKind.CAPTURE))
    desk.answer(back, declined())
    desk.answer(question, declined())
    assert (desk.order.captured, desk.order.refunded, desk.store_credit) == (32700, 0, 0)
    assert (desk.order.refunds[0].status, desk.order.requires_review) == (RefundStatus.SUCCEEDED, True)
    assert desk.order.credited == 1000, "so much less is still to be taken"


def test_money_that_is_there_again_after_it_was_credited_is_for_a_person_to_give_back() -> None:
    desk = placed()
    charge = done(desk, AUTHORIZE)
    desk.answer(doubted(desk, charge), GONE)
    desk.decide(lambda m: grant(desk.order, AskedRefund(shipping=True), m, command_id=uuid4()))
    assert (desk.order.refunds[0].status, desk.order.refunds[0].returnable) == (RefundStatus.SUCCEEDED, 0)
    desk.answer(doubted(desk, charge), replace(GONE, amounts=Amounts(62700, 62700, 0, 0)))
    assert (desk.order.balance, desk.order.requires_review) == (BalanceState.CREDIT, True)
    refunded(desk, AskedRefund(amount=8000))
    assert (desk.order.refunded, desk.order.credited, desk.order.requires_review) == (8000, 8000, False)
