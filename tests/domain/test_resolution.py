"""What to ask next: the ladders, what an account can do, and calls that are the same on every send."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.capture import capture
from domain.gateway import Capabilities, Flow, Idempotency, NeutralizeBy, OperationKind, Outcome
from domain.payment import Operation
from domain.refund import AskedRefund, grant
from domain.resolution import (
    GIVE_UP_AFTER,
    PENDING_LADDER,
    RETRY_LADDER,
    UNKNOWN_LADDER,
    Ask,
    call_for,
    due_call,
    overdue,
)
from tests.domain.desk import PENDING, UNKNOWN, Desk, a_checkout

ABLE = Capabilities(
    flows=frozenset({Flow.SERVER_TOKEN}),
    limits=(),
    manual_capture=True,
    multiple_captures=True,
    partial_capture=True,
    partial_refund=True,
    idempotency=Idempotency(ttl_seconds=86_400),
    lookup_by_reference=True,
    lookup_by_merchant_ref=True,
    not_found_final_after_seconds=None,
    neutralize_by=NeutralizeBy.MERCHANT_REFERENCE,
)
FORGETFUL = replace(ABLE, idempotency=Idempotency())
IRREVOCABLE = replace(ABLE, neutralize_by=NeutralizeBy.NONE)
MOVES = {OperationKind.AUTHORIZE, OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND}


def asked(desk: Desk, operation: Operation, able: Capabilities = ABLE) -> tuple[int, OperationKind]:
    due = due_call(desk.order.put(operation), operation, able, desk.now)
    return due.delay_seconds, due.call.kind


@pytest.fixture
def desk() -> Desk:
    return Desk(a_checkout())


def test_what_was_never_sent_is_sent_at_once(desk: Desk) -> None:
    assert asked(desk, desk.due()[0]) == (0, OperationKind.AUTHORIZE)


def test_a_doubt_climbs_its_ladder_whose_last_two_steps_take_turns(desk: Desk) -> None:
    kinds = {
        Ask.SEND: OperationKind.AUTHORIZE,
        Ask.LOOKUP: OperationKind.LOOKUP,
        Ask.NEUTRALIZE: OperationKind.NEUTRALIZE,
    }
    doubt = replace(desk.due()[0], outcome=Outcome.UNKNOWN)
    steps = [asked(desk, replace(doubt, tries=n)) for n in range(1, len(UNKNOWN_LADDER) + 4)]
    expected = [(delay, kinds[ask]) for delay, ask in UNKNOWN_LADDER]
    assert steps == [*expected, *expected[-2:], expected[-2]]


@given(tries=st.integers(1, 30))
def test_an_account_without_idempotency_is_never_sent_a_doubt_again(tries: int) -> None:
    desk = Desk(a_checkout())
    doubt = replace(desk.due()[0], outcome=Outcome.UNKNOWN, tries=tries)
    assert asked(desk, doubt, FORGETFUL)[1] is not OperationKind.AUTHORIZE
    both = replace(FORGETFUL, neutralize_by=NeutralizeBy.NONE)
    assert asked(desk, doubt, both)[1] is OperationKind.LOOKUP


@pytest.mark.parametrize("kind", [OperationKind.AUTHORIZE, OperationKind.CAPTURE])
def test_a_key_that_the_pg_may_have_forgotten_is_not_sent_again(kind: OperationKind) -> None:
    desk = Desk(a_checkout(capture="manual"))
    if kind is OperationKind.CAPTURE:
        desk.succeed()
        desk.decide(lambda m: capture(desk.order, None, m))
    doubt = replace(desk.due()[0], outcome=Outcome.UNKNOWN, tries=1)
    assert asked(desk, doubt)[1] is kind
    desk.now += timedelta(days=1)
    assert asked(desk, doubt)[1] is OperationKind.LOOKUP


def test_a_refund_is_sent_again_without_keys_where_the_pg_knows_it_by_a_reference() -> None:
    desk = Desk(a_checkout())
    desk.succeed()
    desk.decide(lambda m: grant(desk.order, AskedRefund(amount=1000, reason="late"), m, command_id=desk.order.id))
    doubt = replace(desk.due()[0], outcome=Outcome.UNKNOWN, tries=1)
    assert asked(desk, doubt, FORGETFUL)[1] is OperationKind.LOOKUP
    assert asked(desk, doubt, replace(FORGETFUL, refunds_sent_again=True))[1] is OperationKind.REFUND


@given(
    tries=st.integers(1, 30),
    outcome=st.sampled_from([Outcome.UNKNOWN, Outcome.PENDING, Outcome.INITIATED]),
    abandoning=st.booleans(),
)
def test_only_an_authorization_is_ever_neutralized(tries: int, outcome: Outcome, abandoning: bool) -> None:
    desk = Desk(a_checkout(capture="manual"))
    authorization = replace(desk.due()[0], outcome=outcome, tries=tries, abandoning=abandoning)
    assert asked(desk, authorization, IRREVOCABLE)[1] is not OperationKind.NEUTRALIZE
    desk.succeed()
    desk.decide(lambda m: capture(desk.order, None, m))
    moving = replace(desk.due()[0], outcome=outcome, tries=tries)
    assert asked(desk, moving)[1] is not OperationKind.NEUTRALIZE


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.PENDING, Outcome.ACTION_REQUIRED])
def test_what_nobody_wants_any_more_is_neutralized_not_waited_for(desk: Desk, outcome: Outcome) -> None:
    abandoned = replace(desk.due()[0], outcome=outcome, tries=3, abandoning=True)
    assert asked(desk, abandoned)[1] is OperationKind.NEUTRALIZE


@pytest.mark.parametrize("outcome", [Outcome.PENDING, Outcome.ACTION_REQUIRED])
def test_what_nobody_wants_is_looked_up_as_well_and_becomes_a_persons_at_last(desk: Desk, outcome: Outcome) -> None:
    abandoned = replace(desk.due()[0], outcome=outcome, abandoning=True)
    kinds = {asked(desk, replace(abandoned, tries=n))[1] for n in range(20, 23)}
    assert kinds == {OperationKind.NEUTRALIZE, OperationKind.LOOKUP}
    assert overdue(abandoned, desk.now + GIVE_UP_AFTER + timedelta(seconds=1))
    assert not overdue(replace(abandoned, abandoning=False), desk.now + GIVE_UP_AFTER + timedelta(seconds=1))


def test_what_is_pending_is_looked_up_ever_more_slowly(desk: Desk) -> None:
    desk.answer(desk.due()[0], PENDING)
    waits = [asked(desk, replace(desk.due()[0], tries=n)) for n in range(1, len(PENDING_LADDER) + 2)]
    assert [delay for delay, _ in waits] == [*PENDING_LADDER, PENDING_LADDER[-1]]
    assert {kind for _, kind in waits} == {OperationKind.LOOKUP}


def test_what_was_provably_not_executed_is_sent_again_ever_more_slowly(desk: Desk) -> None:
    waits = [asked(desk, replace(desk.due()[0], tries=n))[0] for n in range(1, len(RETRY_LADDER) + 2)]
    assert waits == [*RETRY_LADDER, RETRY_LADDER[-1]]


def test_every_send_is_the_same_call_and_every_question_names_its_subject(desk: Desk) -> None:
    first = call_for(desk.order, desk.due()[0])
    desk.answer(desk.due()[0], UNKNOWN)
    assert call_for(desk.order, desk.due()[0]) == first
    assert first.kind in MOVES
    assert first.subject is first.subject_key is None
    question = call_for(desk.order, desk.due()[0], Ask.LOOKUP)
    assert (question.subject, question.subject_key) == (OperationKind.AUTHORIZE, first.key)
    assert question.key != first.key
    assert (question.merchant_ref, question.account) == (first.merchant_ref, first.account)
