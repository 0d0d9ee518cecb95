"""Doubts that a person decides, and money that turns up on attempts that were closed."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.cascade import STUCK_AFTER_LOOKS
from domain.gateway import Action, Amounts, Answer, Capabilities, Issue, NeutralizeBy, OperationKind, Outcome, Retry
from domain.judgement import Judgement, NotInDoubt, Verdict, judge
from domain.orphan import MOST_QUESTIONS, UnknownAttempt, recheck
from domain.payment import Operation
from domain.refund import AskedRefund, grant
from domain.resolution import Ask, call_for, weighed
from domain.states import OrderStatus, TenderStatus
from gateways.sandbox.adapter import CAPABILITIES
from tests.domain.desk import NOT_EXECUTED, OK, PENDING, UNKNOWN, Desk, a_checkout, declined

LOOKUP, REFUND, VOID = OperationKind.LOOKUP, OperationKind.REFUND, OperationKind.VOID
NEUTRALIZE = OperationKind.NEUTRALIZE
PAGE = Answer(Outcome.ACTION_REQUIRED, action=Action("redirect", "https://pg.example/window"))
FORGETFUL: Capabilities = replace(CAPABILITIES, neutralize_by=NeutralizeBy.NONE, not_found_final_after_seconds=600)


def judged(desk: Desk, verdict: Verdict, operation: Operation | None = None) -> None:
    judgement = Judgement((operation or desk.due()[0]).id, verdict, "seen in the PG's console", "pg-1")
    desk.decide(lambda moment: judge(desk.order, judgement, moment))


def doubtful() -> Desk:
    desk = Desk(a_checkout(), accounts=("a",))
    desk.answer(desk.due()[0], UNKNOWN)
    return desk


def test_a_person_says_that_it_was_charged() -> None:
    desk = doubtful()
    judged(desk, "succeeded")
    assert (desk.payment(0).status, desk.order.status) == (TenderStatus.CAPTURED, OrderStatus.PLACED)
    assert desk.order.attempts[0].reference == "pg-1"
    assert desk.order.operations[0].detail == "decided by a person: seen in the PG's console"


@pytest.mark.parametrize("verdict", ["declined", "not_executed"])
def test_a_person_says_that_nothing_was_charged(verdict: Verdict) -> None:
    desk = doubtful()
    judged(desk, verdict)
    assert desk.order.attempts[0].outcome is Outcome(verdict)
    assert desk.payment(0).exposed == (0 if verdict == "declined" else desk.payment(0).amount)


def test_what_has_ended_or_was_never_sent_is_not_for_a_person() -> None:
    desk = Desk(a_checkout(capture="manual"), accounts=("a",))
    with pytest.raises(NotInDoubt, match="first time"):
        judged(desk, "succeeded")
    first = desk.due()[0]
    desk.answer(first, OK)
    with pytest.raises(NotInDoubt, match="has ended"):
        judged(desk, "declined", first)
    with pytest.raises(NotInDoubt, match="no operation"):
        judge(desk.order, Judgement(uuid4(), "succeeded", "seen in the console"), desk.moment)


def closed() -> Desk:
    """Account a said no, account b was charged."""
    desk = Desk(a_checkout(), accounts=("a", "b"))
    desk.answer(desk.due()[0], declined(Retry.OTHER_PG))
    desk.answer(desk.due()[0], OK)
    return desk


def asked_again(desk: Desk) -> Operation:
    ref = desk.order.attempts[0].merchant_ref
    desk.decide(lambda moment: recheck(desk.order, ref, moment, command_id=uuid4()))
    [question] = desk.due()
    return question


def test_money_on_a_closed_attempt_is_given_back_there_and_nowhere_else() -> None:
    desk = closed()
    paid = desk.order.captured
    question = asked_again(desk)
    call = call_for(desk.order, question)
    assert (call.kind, call.subject, call.account) == (LOOKUP, OperationKind.AUTHORIZE, "a")
    assert call.subject_key == desk.order.operations[0].key
    desk.answer(question, Answer(Outcome.SUCCEEDED, reference="late", amounts=Amounts(50_000, 30_000, 10_000, 0)))
    assert {(o.kind, o.amount) for o in desk.due()} == {(VOID, 20_000), (REFUND, 20_000)}
    assert {call_for(desk.order, o).reference for o in desk.due()} == {"late"}
    for operation in desk.due():
        desk.answer(operation, UNKNOWN)
        desk.answer(operation, NOT_EXECUTED)
        desk.answer(operation, OK)
    assert not desk.due()
    assert (desk.order.captured, desk.order.refunded, desk.order.requires_review) == (paid, 0, False)
    assert desk.payment(0).captured == desk.payment(0).amount


@pytest.mark.parametrize("issue", Issue)
def test_an_answer_about_other_money_gives_nothing_back_and_ends_at_a_person(issue: Issue) -> None:
    desk = closed()
    question = asked_again(desk)
    strange = Answer(
        Outcome.SUCCEEDED, reference="of_somebody_else", amounts=Amounts(999_000, 999_000, 0, 0), issues=(issue,)
    )
    for _ in range(MOST_QUESTIONS):
        assert desk.due() == [desk.order.operation(question.id)]
        desk.answer(question, strange, Ask.LOOKUP)
    assert not desk.due()
    assert desk.order.requires_review
    assert issue.value in (desk.order.operation(question.id).detail or "")
    judged(desk, "not_executed", question)
    assert not desk.order.requires_review


def test_an_orphan_that_cannot_be_given_back_is_for_a_person() -> None:
    desk = closed()
    desk.answer(asked_again(desk), Answer(Outcome.SUCCEEDED, reference="late"))
    [back] = desk.due()
    assert back.kind is REFUND
    desk.answer(back, declined())
    assert desk.order.requires_review


@pytest.mark.parametrize("answer", [NOT_EXECUTED, declined()])
def test_a_closed_attempt_without_money_is_left_alone(answer: Answer) -> None:
    desk = closed()
    desk.answer(asked_again(desk), answer)
    assert not desk.due()
    assert not desk.order.requires_review


def test_what_a_pg_has_taken_on_and_does_not_end_is_for_a_person_in_the_end() -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    desk.succeed()
    desk.decide(lambda moment: grant(desk.order, AskedRefund(amount=1000), moment, command_id=uuid4()))
    [refund] = desk.due()
    desk.answer(refund, PENDING)
    desk.order = desk.order.put(replace(desk.order.operation(refund.id), tries=STUCK_AFTER_LOOKS - 2))
    for flagged in (False, True):
        desk.answer(desk.order.operation(refund.id), PENDING, Ask.LOOKUP)
        assert desk.order.requires_review is flagged
    assert desk.due(), "it is asked all the same"
    judged(desk, "succeeded", refund)
    assert (desk.order.refunded, desk.order.requires_review) == (1000, False)


def test_a_question_without_an_answer_ends_and_one_that_is_pending_does_not() -> None:
    desk = closed()
    question = asked_again(desk)
    for _ in range(2 * MOST_QUESTIONS):
        desk.answer(question, PENDING)
    assert [o.id for o in desk.due()] == [question.id]
    silent = closed()
    question = asked_again(silent)
    for _ in range(MOST_QUESTIONS):
        silent.answer(question, UNKNOWN)
    assert not silent.due()


def test_an_attempt_that_is_open_or_asked_about_is_not_asked_about_twice() -> None:
    desk = closed()
    open_ref = desk.order.attempts[1].merchant_ref
    assert recheck(desk.order, open_ref, desk.moment, command_id=uuid4()) == desk.order
    assert asked_again(desk) == asked_again(desk)
    with pytest.raises(UnknownAttempt):
        recheck(desk.order, "nobody-knows", desk.moment, command_id=uuid4())


def test_not_found_is_final_only_after_its_time_and_where_nothing_can_be_neutralized() -> None:
    desk = doubtful()
    operation = desk.due()[0]
    late = desk.now + timedelta(seconds=700)
    assert not weighed(operation, NOT_EXECUTED, FORGETFUL, desk.now).final
    assert not weighed(operation, NOT_EXECUTED, CAPABILITIES, late).final
    assert not weighed(operation, UNKNOWN, FORGETFUL, late).final
    final = weighed(operation, NOT_EXECUTED, FORGETFUL, late)
    desk.answer(operation, final, Ask.LOOKUP)
    assert desk.order.attempts[0].outcome is Outcome.NOT_EXECUTED


@pytest.mark.parametrize(
    ("told", "capture_now", "later", "seconds", "stands"),
    [
        (PENDING, False, True, 9_999, False),
        (UNKNOWN, False, True, 9_999, False),
        (UNKNOWN, False, False, 59, False),
        (UNKNOWN, False, False, 60, True),
        (declined(), False, True, 0, True),
        (PENDING, True, True, 0, True),
    ],
)
def test_what_a_cancel_of_ours_may_be_undoing_is_not_there_yet(
    told: Answer, capture_now: bool, later: bool, seconds: int, stands: bool
) -> None:
    desk = Desk(a_checkout(capture="automatic" if capture_now else "manual"), accounts=("a",))
    desk.answer(desk.due()[0], UNKNOWN)
    desk.answer(desk.due()[0], told, Ask.NEUTRALIZE)
    can = replace(CAPABILITIES, neutralize_undoes_capture=False, asynchronous=frozenset({NEUTRALIZE} if later else ()))
    found = weighed(desk.due()[0], OK, can, desk.now + timedelta(seconds=seconds))
    assert (found.outcome is Outcome.SUCCEEDED) == stands
    for waiting in (PAGE, PENDING):
        waits = weighed(desk.due()[0], waiting, can, desk.now + timedelta(seconds=seconds))
        assert ((waits.outcome, waits.action) == (Outcome.UNKNOWN, None)) != stands
    desk.answer(desk.due()[0], found, Ask.LOOKUP)
    assert bool(desk.order.authorized) == stands


def test_a_cancel_that_was_not_executed_says_nothing_of_the_one_before_it() -> None:
    desk = Desk(a_checkout(capture="manual"), accounts=("a",))
    desk.answer(desk.due()[0], UNKNOWN)
    desk.answer(desk.due()[0], NOT_EXECUTED, Ask.NEUTRALIZE)
    assert desk.due()[0].neutralized_at is None
    desk.answer(desk.due()[0], PENDING, Ask.NEUTRALIZE)
    desk.answer(desk.due()[0], NOT_EXECUTED, Ask.NEUTRALIZE)
    assert desk.due()[0].neutralized_at == desk.now


def test_what_succeeds_after_a_person_has_closed_it_is_found_though_a_cancel_was_sent() -> None:
    desk = Desk(a_checkout(capture="manual"), accounts=("a",))
    desk.answer(desk.due()[0], UNKNOWN)
    desk.answer(desk.due()[0], PENDING, Ask.NEUTRALIZE)
    judged(desk, "declined")
    [closed_one] = desk.order.operations
    late = weighed(closed_one, OK, CAPABILITIES, desk.now)
    desk.answer(closed_one, late, Ask.SEND)
    assert [(o.kind, o.orphan) for o in desk.due()] == [(LOOKUP, True)]
