"""Folding answers in: what is over is over, what is not proven changes nothing, what differs closes the fence."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.capture import capture
from domain.checkout import AskedPayment
from domain.gateway import Action, Answer, Evidence, OperationKind, Outcome
from domain.order import differences
from domain.recording import record
from domain.refund import AskedRefund, grant
from domain.resolution import GIVE_UP_AFTER, Ask
from domain.states import LegStatus, TenderStatus
from tests.domain.desk import MISMATCH, NOT_EXECUTED, OK, PENDING, UNKNOWN, Desk, a_checkout, declined

ANSWERS = st.sampled_from([OK, UNKNOWN, PENDING, NOT_EXECUTED, MISMATCH, declined()])
CAPTURE, REFUND = OperationKind.CAPTURE, OperationKind.REFUND


@given(
    first=st.sampled_from([OK, declined()]), later=st.lists(st.tuples(ANSWERS, st.sampled_from(list(Ask))), max_size=5)
)
def test_an_operation_that_has_its_end_never_changes_again(first: Answer, later: list[tuple[Answer, Ask]]) -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    operation = desk.due()[0]
    order = desk.answer(operation, first)
    for answer, asked in later:
        assert record(order, asked, operation, answer, desk.moment) == order


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


def test_a_conflict_is_over_when_the_pg_says_what_was_asked_and_waits_for_the_customer() -> None:
    desk = Desk(a_checkout())
    desk.answer(desk.due()[0], MISMATCH)
    action = Action("redirect", "https://pg.example/3ds")
    desk.answer(desk.due()[0], Answer(Outcome.ACTION_REQUIRED, action=action), Ask.LOOKUP)
    assert (desk.payment(0).status, desk.payment(0).action_url) == (TenderStatus.ACTION_REQUIRED, action.url)


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
