"""What a PG takes back after it had succeeded: refunds that bounce, captures that fail after all."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.cancellation import cancel
from domain.capture import capture, lapses_at
from domain.checkout import AskedPayment
from domain.errors import IllegalTransition
from domain.gateway import Amounts, Answer, Issue, OperationKind, Outcome
from domain.judgement import Judgement, NotInDoubt, Verdict, judge
from domain.orphan import MOST_QUESTIONS
from domain.payment import Operation
from domain.refund import AskedLeg, AskedRefund, grant
from domain.resolution import Ask, call_for
from domain.reversal import UnknownOperation, doubt
from domain.states import BalanceState, LegStatus, OrderStatus, PaidStatus, RefundStatus, RequestStatus, TenderStatus
from domain.taking import over
from tests.domain.desk import OK, PENDING, UNKNOWN, Desk, a_checkout, declined

AUTHORIZE, CAPTURE, REFUND = OperationKind.AUTHORIZE, OperationKind.CAPTURE, OperationKind.REFUND
CARDS = (AskedPayment("card", 30000, "tok-1"), AskedPayment("card", 32700, "tok-2"))
GONE = Answer(Outcome.SUCCEEDED, amounts=Amounts(62700, 0, 0, 0))


def placed(*legs: AskedPayment, capture: str = "automatic") -> Desk:
    desk = Desk(a_checkout(*legs, capture=capture))
    desk.succeed()
    return desk


def captured(desk: Desk, amount: int | None = None) -> None:
    """So much of what is held is taken; no amount: all of it."""
    desk.decide(lambda m: capture(desk.order, amount, m))
    desk.succeed()


def refunded(desk: Desk, asked: AskedRefund) -> Operation:
    desk.decide(lambda m: grant(desk.order, asked, m, command_id=uuid4()))
    operation = desk.due(REFUND)[0]
    desk.succeed()
    return desk.order.operation(operation.id)


def done(desk: Desk, kind: OperationKind) -> Operation:
    return next(o for o in desk.order.operations if o.kind is kind and o.outcome is Outcome.SUCCEEDED)


def doubted(desk: Desk, operation: Operation) -> Operation:
    """The question that a PG's word has raised."""
    desk.decide(lambda m: doubt(desk.order, operation.id, m, command_id=uuid4()))
    [question] = desk.due(OperationKind.LOOKUP)
    return question


def test_the_question_is_about_the_operation_itself_and_touches_no_sum() -> None:
    desk = placed()
    refund = refunded(desk, AskedRefund(amount=1000))
    before = (desk.order.captured, desk.order.refunded, desk.order.balance)
    question = doubted(desk, refund)
    call = call_for(desk.order, question)
    assert (call.kind, call.subject, call.subject_key) == (OperationKind.LOOKUP, REFUND, refund.key)
    assert (call.subject_reference, call.amount) == (refund.operation_ref, 1000)
    assert (desk.order.captured, desk.order.refunded, desk.order.balance) == before
    assert call_for(desk.order, doubted(placed(), done(placed(), AUTHORIZE))).capture_now


def test_a_refund_that_bounces_is_reversed_and_given_back_elsewhere() -> None:
    desk = placed(*CARDS)
    bounced = refunded(desk, AskedRefund(amount=5000))
    assert desk.order.payment(bounced.payment_id).position == 1
    desk.answer(doubted(desk, bounced), declined())
    assert [(g.status, g.amount) for g in desk.order.legs] == [(LegStatus.REVERSED, 5000), (LegStatus.RESERVED, 5000)]
    assert (desk.payment(1).refunded, desk.payment(0).refund_pending) == (0, 5000)
    assert desk.order.refunds[0].status is RefundStatus.EXECUTING
    desk.succeed()
    assert (desk.order.refunds[0].status, desk.order.refunded) == (RefundStatus.SUCCEEDED, 5000)
    assert (desk.order.requires_review, desk.order.balance) == (False, BalanceState.SETTLED)


def test_a_refund_that_bounces_with_no_other_payment_becomes_store_credit() -> None:
    desk = placed()
    bounced = refunded(desk, AskedRefund(amount=5000))
    desk.answer(doubted(desk, bounced), declined())
    assert desk.store_credit == 5000
    assert [(g.status, g.destination) for g in desk.order.legs] == [
        (LegStatus.REVERSED, "payment"),
        (LegStatus.SUCCEEDED, "store_credit"),
    ]
    assert desk.order.refunds[0].status is RefundStatus.SUCCEEDED


def test_a_bounced_refund_that_only_lowered_what_is_owed_in_part_gives_back_no_more_than_before() -> None:
    desk = placed(capture="manual")
    desk.decide(lambda m: capture(desk.order, 60000, m))
    desk.succeed(CAPTURE)
    bounced = refunded(desk, AskedRefund(amount=5000))
    assert (desk.order.refunds[0].amount, desk.order.refunds[0].returnable) == (5000, 2300)
    desk.answer(doubted(desk, bounced), declined())
    desk.succeed()
    assert (desk.order.refunds[0].returnable, desk.order.refunded) == (2300, 2300)


def test_a_refund_bounces_while_another_leg_of_it_is_still_on_its_way() -> None:
    desk = placed(*CARDS)
    asked = AskedRefund(
        amount=6000, legs=(AskedLeg(desk.payment(0).id, 2000), AskedLeg(desk.payment(1).id, 4000)), policy="manual"
    )
    desk.decide(lambda m: grant(desk.order, asked, m, command_id=uuid4()))
    first, second = desk.due(REFUND)
    desk.answer(first, OK)
    desk.answer(doubted(desk, first), declined())
    assert desk.order.legs[0].status is LegStatus.REVERSED
    desk.answer(second, OK)
    desk.succeed()
    assert (desk.order.refunded, desk.order.refunds[0].status) == (6000, RefundStatus.SUCCEEDED)


def test_what_was_given_back_without_a_refund_and_bounces_is_for_a_person() -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    desk.answer(desk.due()[0], UNKNOWN)
    request = desk.order.requests[0]
    desk.decide(lambda m: over(desk.order, request, RequestStatus.EXPIRED, m))
    desk.answer(desk.due()[0], OK, Ask.LOOKUP)
    desk.succeed()
    assert (desk.order.refunded, desk.order.refunds) == (62700, ())
    desk.answer(doubted(desk, done(desk, REFUND)), declined())
    assert (desk.order.refunded, desk.order.requires_review) == (0, True)
    assert not desk.due(), "it would bounce again"


def test_a_capture_that_fails_after_all_leaves_the_hold_and_a_person_captures_again() -> None:
    desk = placed(capture="manual")
    captured(desk)
    desk.answer(doubted(desk, done(desk, CAPTURE)), declined())
    payment = desk.payment(0)
    assert (payment.status, payment.captured, payment.capturable) == (TenderStatus.AUTHORIZED, 0, 62700)
    assert (desk.order.payment_status, desk.order.balance) == (PaidStatus.AUTHORIZED, BalanceState.DUE)
    assert desk.order.requires_review
    assert not desk.due()
    captured(desk)
    assert (desk.order.captured, desk.order.requires_review) == (62700, False)


def test_of_two_captures_the_one_that_fails_is_taken_off() -> None:
    desk = placed(capture="manual")
    captured(desk, 40000)
    captured(desk, 22700)
    desk.answer(doubted(desk, done(desk, CAPTURE)), declined())
    assert (desk.payment(0).status, desk.payment(0).captured) == (TenderStatus.PARTIALLY_CAPTURED, 22700)
    assert sum(a.captured for a in desk.order.allocations) == 22700


def test_a_capture_that_came_with_the_authorization_fails_after_all() -> None:
    desk = placed()
    desk.answer(doubted(desk, done(desk, AUTHORIZE)), GONE)
    assert (desk.payment(0).status, desk.order.captured, desk.order.authorized) == (TenderStatus.AUTHORIZED, 0, 62700)
    assert desk.order.requires_review
    assert not desk.due()


def test_a_charge_that_was_taken_back_and_captured_again_ships() -> None:
    desk = placed()
    desk.answer(doubted(desk, done(desk, AUTHORIZE)), GONE)
    with pytest.raises(IllegalTransition, match="not paid any more"):
        desk.ships(1)
    captured(desk)
    desk.ships(1)


def test_one_of_two_cards_whose_capture_was_taken_back_ships_nothing_that_it_pays_for() -> None:
    desk = placed(*CARDS)
    lost = done(desk, CAPTURE)
    desk.answer(doubted(desk, lost), declined())
    with pytest.raises(IllegalTransition, match="not paid any more") as refused:
        desk.ships(1)
    section = desk.section(1)
    paying = [a.amount for a in desk.order.allocations if (a.payment_id, a.section_id) == (lost.payment_id, section.id)]
    assert [refused.value.figures["taken_back"]] == paying
    captured(desk)
    desk.ships(1)


def test_what_a_card_pays_for_whose_capture_is_declined_does_not_ship() -> None:
    desk = Desk(a_checkout(*CARDS))
    desk.succeed(AUTHORIZE)
    refused = desk.due(CAPTURE)[0]
    desk.answer(refused, declined())
    desk.succeed()
    assert desk.order.captured == 62700 - refused.amount
    with pytest.raises(IllegalTransition, match="not paid any more"):
        desk.ships(1)


def test_what_is_captured_by_hand_ships_whatever_was_taken_back() -> None:
    desk = placed(*CARDS, capture="manual")
    captured(desk)
    desk.answer(doubted(desk, done(desk, CAPTURE)), declined())
    desk.ships(1)


def test_a_hold_whose_capture_was_taken_back_is_not_captured_again_by_itself() -> None:
    desk = Desk(a_checkout(capture="manual"))
    until = desk.now + timedelta(days=7)
    desk.answer(desk.due()[0], replace(OK, authorized_until=until))
    captured(desk)
    desk.answer(doubted(desk, done(desk, CAPTURE)), declined())
    assert lapses_at(desk.order) is None


def test_a_false_alarm_changes_nothing() -> None:
    desk = placed()
    refund = refunded(desk, AskedRefund(amount=1000))
    before = desk.order
    desk.answer(doubted(desk, refund), OK)
    desk.answer(doubted(desk, done(desk, AUTHORIZE)), replace(GONE, amounts=Amounts(62700, 62700, 1000, 0)))
    assert (desk.order.payments, desk.order.refunds, desk.order.legs) == (
        before.payments,
        before.refunds,
        before.legs,
    )
    assert not desk.order.requires_review


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (AUTHORIZE, declined()),
        (AUTHORIZE, OK),
        (AUTHORIZE, Answer(Outcome.ACTION_REQUIRED)),
        (REFUND, replace(OK, issues=(Issue.AMOUNT_MISMATCH,))),
    ],
)
def test_what_cannot_be_told_is_for_a_person(kind: OperationKind, answer: Answer) -> None:
    desk = placed()
    refunded(desk, AskedRefund(amount=1000))
    operation = done(desk, kind)
    desk.answer(doubted(desk, operation), answer)
    assert desk.order.operation(operation.id).contradicted
    assert (desk.order.requires_review, desk.order.captured, desk.order.refunded) == (True, 62700, 1000)


def test_a_pg_that_never_tells_is_not_asked_for_ever() -> None:
    desk = placed()
    refund = refunded(desk, AskedRefund(amount=1000))
    question = doubted(desk, refund)
    for _ in range(MOST_QUESTIONS):
        desk.answer(question, UNKNOWN)
    assert not desk.due()
    assert desk.order.operation(refund.id).contradicted


def test_a_capture_whose_money_has_gone_back_already_is_for_a_person() -> None:
    desk = placed()
    refunded(desk, AskedRefund(amount=60000))
    operation = done(desk, AUTHORIZE)
    desk.answer(doubted(desk, operation), GONE)
    assert desk.order.operation(operation.id).contradicted
    assert (desk.order.captured, desk.order.refunded) == (62700, 60000)


def contradicted(desk: Desk) -> Operation:
    refund = refunded(desk, AskedRefund(amount=1000))
    desk.answer(doubted(desk, refund), replace(OK, issues=(Issue.AMOUNT_MISMATCH,)))
    return refund


@pytest.mark.parametrize(("verdict", "credit"), [("succeeded", 0), ("declined", 1000)])
def test_a_person_says_which_word_of_the_pg_stands(verdict: Verdict, credit: int) -> None:
    desk = placed()
    operation = contradicted(desk)
    desk.decide(lambda m: judge(desk.order, Judgement(operation.id, verdict, "the PG's support, case 7"), m))
    assert (desk.order.requires_review, desk.store_credit) == (False, credit)


def test_a_person_cannot_make_a_third_word_of_two() -> None:
    desk = placed()
    operation = contradicted(desk)
    with pytest.raises(NotInDoubt, match="settle the difference"):
        judge(desk.order, Judgement(operation.id, "not_executed", "nobody knows"), desk.moment)


def test_only_what_had_moved_money_is_asked_about_and_only_once() -> None:
    desk = placed()
    refund = refunded(desk, AskedRefund(amount=1000))
    doubted(desk, refund)
    again = doubt(desk.order, refund.id, desk.moment)
    assert again == desk.order
    with pytest.raises(UnknownOperation):
        doubt(desk.order, uuid4(), desk.moment)
    held = placed(capture="manual")
    assert doubt(held.order, done(held, AUTHORIZE).id, held.moment) == held.order


def test_an_order_that_was_complete_opens_again_when_its_money_is_gone() -> None:
    desk = placed()
    for number in (1, 2):
        desk.ships(number)
        desk.delivers(number)
    assert desk.order.status is OrderStatus.COMPLETED
    desk.answer(doubted(desk, done(desk, AUTHORIZE)), GONE)
    assert (desk.order.status, desk.order.requires_review) == (OrderStatus.PLACED, True)


def judged(desk: Desk, operation: Operation, verdict: Verdict = "declined") -> None:
    desk.decide(lambda m: judge(desk.order, Judgement(operation.id, verdict, "the PG's support, case 7"), m))


def test_a_person_decides_while_the_question_is_open_and_its_answer_changes_nothing_more() -> None:
    desk = placed()
    refund = refunded(desk, AskedRefund(amount=1000))
    question = doubted(desk, refund)
    judged(desk, refund)
    desk.answer(question, declined())
    assert (desk.order.refunded, desk.store_credit, desk.order.requires_review) == (1000, 1000, False)


def test_a_capture_decided_and_taken_again_is_not_taken_off_twice() -> None:
    desk = placed()
    charge = done(desk, AUTHORIZE)
    question = doubted(desk, charge)
    judged(desk, charge)
    desk.decide(lambda m: capture(desk.order, None, m))
    desk.succeed(CAPTURE)
    desk.answer(question, GONE)
    assert (desk.order.captured, desk.payment(0).capturable) == (62700, 0)


def test_what_a_person_took_off_and_the_pg_still_has_is_put_back() -> None:
    desk = placed()
    charge = done(desk, AUTHORIZE)
    judged(desk, charge)
    assert desk.order.captured == 0
    desk.answer(doubted(desk, charge), replace(GONE, amounts=Amounts(62700, 62700, 0, 0)))
    assert (desk.order.captured, desk.order.requires_review) == (62700, False)


def test_a_bounced_refund_that_is_there_after_all_is_for_a_person_as_it_was_given_again() -> None:
    desk = placed()
    refund = refunded(desk, AskedRefund(amount=1000))
    judged(desk, refund)
    desk.answer(doubted(desk, refund), OK)
    assert desk.order.requires_review
    assert (desk.order.refunded, desk.store_credit) == (1000, 1000)


def test_a_question_that_stays_pending_is_given_up_for_a_person() -> None:
    desk = placed()
    refund = refunded(desk, AskedRefund(amount=1000))
    question = doubted(desk, refund)
    for answer in (PENDING, UNKNOWN) * (MOST_QUESTIONS // 2):
        desk.answer(question, answer)
    assert not desk.due()
    assert desk.order.operation(refund.id).contradicted


@pytest.mark.parametrize(
    "answer", [replace(declined(), issues=(Issue.REFERENCE_MISMATCH,)), Answer(Outcome.ACTION_REQUIRED)]
)
def test_what_is_said_of_something_else_takes_no_refund_back(answer: Answer) -> None:
    desk = placed()
    refund = refunded(desk, AskedRefund(amount=1000))
    question = doubted(desk, refund)
    for _ in range(MOST_QUESTIONS):
        desk.answer(question, answer)
    assert (desk.store_credit, desk.order.operation(refund.id).contradicted) == (0, True)


def test_a_loss_that_nothing_can_make_good_is_not_decided_away() -> None:
    desk = placed()
    refunded(desk, AskedRefund(amount=60000))
    with pytest.raises(NotInDoubt, match="settle the difference"):
        judge(desk.order, Judgement(done(desk, AUTHORIZE).id, "declined", "the PG's support, case 7"), desk.moment)


def test_a_hold_that_is_gone_is_released_by_a_persons_word() -> None:
    desk = placed()
    desk.answer(doubted(desk, done(desk, AUTHORIZE)), GONE)
    desk.decide(lambda m: cancel(desk.order, (), None, m, reason="no", command_id=uuid4()))
    [void] = desk.due(OperationKind.VOID)
    desk.answer(void, declined())
    assert desk.order.requires_review
    judged(desk, void, "succeeded")
    assert (desk.order.requires_review, desk.payment(0).status) == (False, TenderStatus.VOIDED)
    assert desk.order.status is OrderStatus.CANCELED
    with pytest.raises(NotInDoubt, match="hold is gone"):
        judge(desk.order, Judgement(void.id, "succeeded", "the PG's support, case 7"), desk.moment)


def test_a_question_alone_does_not_open_a_complete_order_again() -> None:
    desk = placed()
    for number in (1, 2):
        desk.ships(number)
        desk.delivers(number)
    doubted(desk, done(desk, AUTHORIZE))
    assert desk.order.status is OrderStatus.COMPLETED
