"""Folding answers in: what is over is over, what is not proven changes nothing, what differs closes the fence."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.capture import capture
from domain.checkout import AskedPayment
from domain.gateway import Action, Amounts, Answer, Evidence, Issue, OperationKind, Outcome, Retry
from domain.judgement import Judgement, NotInDoubt, judge
from domain.order import differences
from domain.orphan import recheck
from domain.paying import complete
from domain.recording import record
from domain.refund import AskedRefund, grant
from domain.resolution import GIVE_UP_AFTER, Ask, call_for, due_call
from domain.states import LegStatus, TenderStatus
from gateways.sandbox.adapter import CAPABILITIES
from tests.domain.desk import MISMATCH, NOT_EXECUTED, OK, PENDING, UNKNOWN, Desk, a_checkout, declined

ANSWERS = st.sampled_from([OK, UNKNOWN, PENDING, NOT_EXECUTED, MISMATCH, declined()])
VA = Action("deposit", fields={"bank": "20", "account": "1", "holder": "x"})
PAGE = Action("redirect", "https://pg.example")
ASKING = [Answer(Outcome.ACTION_REQUIRED, action=VA), Answer(Outcome.ACTION_REQUIRED, action=PAGE)]
PLAIN = [OK, UNKNOWN, PENDING, NOT_EXECUTED, MISMATCH, declined(), declined(Retry.OTHER_PG)]
ANY_ANSWER = st.sampled_from([*PLAIN, *ASKING])
CAPTURE, REFUND = OperationKind.CAPTURE, OperationKind.REFUND


@given(
    first=st.sampled_from([OK, declined()]), later=st.lists(st.tuples(ANSWERS, st.sampled_from(list(Ask))), max_size=5)
)
def test_an_operation_that_has_its_end_never_changes_again(first: Answer, later: list[tuple[Answer, Ask]]) -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    operation = desk.due()[0]
    order = desk.answer(operation, first)
    for answer, asked in later:
        after = record(order, asked, operation, answer, desk.moment)
        told_otherwise = first is not OK and answer.outcome is Outcome.SUCCEEDED and asked is Ask.SEND
        assert after.operation(operation.id) == order.operation(operation.id)
        assert [o.kind for o in after.operations if o.orphan] == [OperationKind.LOOKUP] * told_otherwise


@pytest.mark.parametrize("held_only", [True, False])
def test_a_charge_that_the_pg_only_holds_is_not_what_was_asked(held_only: bool) -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    operation = desk.due()[0]
    assert operation.capture_now
    taken = 0 if held_only else operation.amount
    desk.answer(operation, replace(OK, amounts=Amounts(operation.amount, taken, 0, 0)))
    status = TenderStatus.CONFLICTED if held_only else TenderStatus.CAPTURED
    assert (desk.payment(0).status, desk.payment(0).captured) == (status, taken)


def test_a_charge_that_was_neutralized_has_taken_nothing_as_asked() -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    operation = desk.due()[0]
    desk.answer(operation, UNKNOWN)
    desk.answer(operation, replace(OK, amounts=Amounts(operation.amount, 0, 0, operation.amount)), Ask.NEUTRALIZE)
    assert desk.order.operation(operation.id).outcome is Outcome.NOT_EXECUTED


@pytest.mark.parametrize("asked", [Ask.SEND, Ask.LOOKUP])
def test_not_found_after_a_doubt_proves_nothing(asked: Ask) -> None:
    desk = Desk(a_checkout())
    desk.answer(desk.due()[0], UNKNOWN)
    desk.answer(desk.due()[0], NOT_EXECUTED, asked)
    assert (desk.payment(0).status, len(desk.order.attempts)) == (TenderStatus.UNKNOWN, 1)


def test_a_neutralized_payment_is_proven_dead_and_goes_elsewhere() -> None:
    desk = Desk(a_checkout())
    desk.answer(desk.due()[0], UNKNOWN)
    desk.answer(desk.due()[0], UNKNOWN, Ask.NEUTRALIZE)
    assert len(desk.order.attempts) == 1
    desk.answer(desk.due()[0], OK, Ask.NEUTRALIZE)
    assert [(a.account, a.outcome) for a in desk.order.attempts] == [
        ("a", Outcome.NOT_EXECUTED),
        ("b", Outcome.INITIATED),
    ]


def test_an_answer_that_differs_from_what_was_asked_is_a_conflict_until_there_is_an_end() -> None:
    desk = Desk(a_checkout())
    desk.answer(desk.due()[0], MISMATCH)
    assert (desk.payment(0).status, desk.order.requires_review) == (TenderStatus.CONFLICTED, True)
    assert desk.order.operations[0].detail == "amount_mismatch"
    desk.answer(desk.due()[0], UNKNOWN, Ask.LOOKUP)
    assert desk.payment(0).status is TenderStatus.CONFLICTED
    desk.answer(desk.due()[0], OK, Ask.LOOKUP)
    assert (desk.payment(0).status, desk.order.requires_review) == (TenderStatus.CAPTURED, False)


def test_an_answer_about_another_payment_does_not_lend_us_its_reference() -> None:
    desk = Desk(a_checkout())
    operation = desk.due()[0]
    action = Action("redirect", "https://pg.example/3ds")
    desk.answer(operation, Answer(Outcome.ACTION_REQUIRED, reference="pg-ours", action=action))
    desk.decide(lambda m: complete(desk.order, operation.payment_id, {"redirectResult": "of another"}, m))
    theirs = Answer(Outcome.SUCCEEDED, reference="pg-theirs", issues=(Issue.REFERENCE_MISMATCH,))
    desk.answer(desk.due()[0], theirs)
    assert desk.payment(0).status is TenderStatus.CONFLICTED
    desk.decide(lambda m: judge(desk.order, Judgement(operation.id, "succeeded", "the PG says so, ticket 7"), m))
    desk.decide(lambda m: grant(desk.order, AskedRefund(amount=1000), m, command_id=None))
    assert call_for(desk.order, desk.due(REFUND)[0]).reference == "pg-ours"


def test_a_conflict_is_over_when_the_pg_says_what_was_asked_and_waits_for_the_customer() -> None:
    desk = Desk(a_checkout())
    desk.answer(desk.due()[0], MISMATCH)
    action = Action("redirect", "https://pg.example/3ds")
    desk.answer(desk.due()[0], Answer(Outcome.ACTION_REQUIRED, action=action), Ask.LOOKUP)
    assert (desk.payment(0).status, desk.payment(0).action_url) == (TenderStatus.ACTION_REQUIRED, action.url)


def test_what_was_brought_to_a_pg_that_still_works_on_it_and_got_lost_is_in_doubt() -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    desk.answer(desk.due()[0], Answer(Outcome.ACTION_REQUIRED, action=Action("redirect", "https://pg.example/3ds")))
    desk.decide(lambda moment: complete(desk.order, desk.payment(0).id, {"tid": "1"}, moment))
    desk.answer(desk.due()[0], PENDING, Ask.LOOKUP)
    desk.answer(desk.due()[0], UNKNOWN)
    assert (desk.due()[0].outcome, desk.payment(0).status) == (Outcome.UNKNOWN, TenderStatus.UNKNOWN)


@given(st.lists(st.tuples(ANY_ANSWER, st.sampled_from([Ask.SEND, Ask.LOOKUP, Ask.NEUTRALIZE])), max_size=12))
def test_no_answer_in_any_state_is_more_than_the_order_can_bear(answers: list[tuple[Answer, Ask]]) -> None:
    desk = Desk(a_checkout(capture="manual"), accounts=("a", "b"))
    for answer, asked in answers:
        due = desk.due()
        if not due:
            break
        operation = due[0]
        if operation.kind is OperationKind.AUTHORIZE and operation.outcome is Outcome.ACTION_REQUIRED:
            desk.order = complete(desk.order, operation.payment_id, {"tid": "1"}, desk.moment)
        desk.now += timedelta(minutes=7)
        desk.answer(desk.order.operation(operation.id), answer, asked)


def test_an_orphan_keeps_what_is_known_when_nobody_answers() -> None:
    desk = Desk(a_checkout(), accounts=("a", "b"))
    desk.answer(desk.due()[0], declined(Retry.OTHER_PG))
    desk.answer(desk.due()[0], OK)
    ref = desk.order.attempts[0].merchant_ref
    desk.decide(lambda moment: recheck(desk.order, ref, moment))
    for answer in (PENDING, UNKNOWN, OK, PENDING, UNKNOWN, OK):
        if desk.due():
            desk.answer(desk.due()[0], answer, Ask.LOOKUP)
    assert not desk.due()


def test_a_send_that_happens_after_a_person_said_no_is_found_and_given_back() -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    operation = desk.due()[0]
    desk.answer(operation, UNKNOWN)
    judgement = Judgement(operation.id, "declined", "not in the console")
    desk.decide(lambda moment: judge(desk.order, judgement, moment))
    desk.answer(operation, OK)
    desk.answer(desk.due(OperationKind.LOOKUP)[0], OK, Ask.LOOKUP)
    assert [o.amount for o in desk.due(REFUND)] == [62_700]


def test_a_refund_that_happens_after_it_was_closed_is_for_a_person() -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    desk.succeed()
    desk.decide(lambda m: grant(desk.order, AskedRefund(amount=1000, reason="late"), m, command_id=desk.new_id()))
    operation = desk.due(REFUND)[0]
    desk.answer(operation, UNKNOWN)
    with pytest.raises(NotInDoubt, match="declined"):
        judge(desk.order, Judgement(operation.id, "not_executed", "not in the console"), desk.moment)
    desk.decide(lambda m: judge(desk.order, Judgement(operation.id, "declined", "not in the console"), m))
    assert not desk.order.requires_review or desk.order.refunds
    desk.answer(operation, OK)
    assert desk.order.requires_review


def test_what_the_customer_brought_and_was_lost_is_sent_again() -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    desk.answer(desk.due()[0], Answer(Outcome.ACTION_REQUIRED, action=Action("redirect", "https://pg.example")))
    desk.decide(lambda moment: complete(desk.order, desk.payment(0).id, {"tid": "1"}, moment))
    desk.now += timedelta(seconds=1)
    desk.answer(desk.due()[0], NOT_EXECUTED)
    again = due_call(desk.order, desk.due()[0], CAPABILITIES, desk.now)
    assert (again.call.kind, again.call.details) == (OperationKind.AUTHORIZE, {"tid": "1"})
    before = desk.order
    desk.decide(lambda moment: complete(desk.order, desk.payment(0).id, {"tid": "2"}, moment))
    assert desk.order == before, "what may have been approved is not asked of the customer again"


def test_a_lookup_that_failed_makes_nothing_less_known() -> None:
    desk = Desk(a_checkout())
    desk.answer(desk.due()[0], PENDING)
    desk.answer(desk.due()[0], UNKNOWN, Ask.LOOKUP)
    assert desk.due()[0].outcome is Outcome.PENDING


def test_the_customers_turn_shows_where_to_go_and_is_over_with_the_answer() -> None:
    desk = Desk(a_checkout())
    action = Action("redirect", "https://pg.example/3ds")
    desk.answer(desk.due()[0], Answer(Outcome.ACTION_REQUIRED, reference="pg-9", action=action))
    payment = desk.payment(0)
    assert (payment.status, payment.action_url) == (TenderStatus.ACTION_REQUIRED, "https://pg.example/3ds")
    assert desk.order.attempts[0].reference == "pg-9"
    desk.answer(desk.due()[0], OK, Ask.LOOKUP)
    assert (desk.payment(0).status, desk.payment(0).action_url) == (TenderStatus.CAPTURED, None)


def test_a_doubt_of_days_is_a_persons_but_the_fence_stays_closed() -> None:
    desk = Desk(a_checkout())
    desk.answer(desk.due()[0], UNKNOWN)
    desk.now += GIVE_UP_AFTER + timedelta(seconds=1)
    desk.answer(desk.due()[0], UNKNOWN, Ask.LOOKUP)
    assert (desk.payment(0).status, desk.order.requires_review) == (TenderStatus.MANUAL_REVIEW, True)
    assert len(desk.order.attempts) == 1
    desk.answer(desk.due()[0], OK, Ask.LOOKUP)
    assert desk.payment(0).status is TenderStatus.CAPTURED


def test_money_that_must_move_is_sent_again_when_it_provably_was_not() -> None:
    desk = Desk(a_checkout(capture="manual"))
    desk.succeed()
    desk.decide(lambda m: capture(desk.order, None, m))
    desk.answer(desk.due()[0], NOT_EXECUTED)
    [operation] = desk.due()
    assert (operation.kind, operation.outcome, operation.tries) == (CAPTURE, Outcome.INITIATED, 1)


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([NOT_EXECUTED], LegStatus.SENT),
        ([UNKNOWN], LegStatus.UNKNOWN),
        ([UNKNOWN, NOT_EXECUTED], LegStatus.UNKNOWN),
        ([UNKNOWN, PENDING], LegStatus.PENDING),
        ([PENDING, OK], LegStatus.SUCCEEDED),
        ([UNKNOWN, declined()], LegStatus.FAILED),
        ([OK], LegStatus.SUCCEEDED),
    ],
)
def test_a_refund_leg_shows_what_is_known_of_its_operation(answers: list[Answer], status: LegStatus) -> None:
    desk = Desk(a_checkout())
    desk.succeed()
    desk.decide(lambda m: grant(desk.order, AskedRefund(amount=1000), m, command_id=None))
    for answer in answers:
        desk.answer(desk.due(REFUND)[0], answer)
    assert desk.order.legs[0].status is status
    reserved = status not in {LegStatus.SUCCEEDED, LegStatus.FAILED}
    assert desk.payment(0).refund_pending == (1000 if reserved else 0)


def test_what_an_outcome_rests_on_is_kept_as_words() -> None:
    desk = Desk(a_checkout(AskedPayment("card", 62700, "tok")))
    before = desk.order
    desk.answer(desk.due()[0], Answer(Outcome.UNKNOWN, evidence=Evidence(detail="read timed out")))
    assert desk.order.operations[0].detail == "read timed out"
    assert ("payment", "status") in {(d.entity, d.field) for d in differences(before, desk.order)}


@pytest.mark.parametrize(("said", "kept"), [("05", "05"), ("card_declined", "card_declined; 05"), ("", "05")])
def test_what_a_pg_says_twice_is_kept_once(said: str, kept: str) -> None:
    desk = Desk(a_checkout(), accounts=("a", "b"))
    no = replace(declined(Retry.OTHER_PG), evidence=Evidence(detail=said))
    desk.answer(desk.due()[0], no)
    assert desk.order.operations[0].detail == kept
    desk.answer(desk.due()[0], OK)
    ref = desk.order.attempts[0].merchant_ref
    desk.decide(lambda moment: recheck(desk.order, ref, moment))
    desk.answer(desk.due()[0], no, Ask.LOOKUP)
    assert [o.detail for o in desk.order.operations if o.orphan] == [kept]
