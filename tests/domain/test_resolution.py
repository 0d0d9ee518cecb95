"""What to ask next: the ladders, what an account can do, and calls that are the same on every send."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.capture import capture
from domain.checkout import AskedPayment
from domain.fingerprint import fingerprint
from domain.gateway import (
    FORGED_RETURN,
    Action,
    Answer,
    Capabilities,
    Decline,
    Flow,
    Idempotency,
    NeutralizeBy,
    OperationKind,
    Outcome,
    Retry,
)
from domain.paying import complete
from domain.payment import Operation
from domain.recording import record
from domain.refund import AskedRefund, grant
from domain.resolution import (
    GIVE_UP_AFTER,
    IN_FLIGHT,
    LONG_PENDING,
    PENDING_LADDER,
    RETRY_LADDER,
    SLOWLY,
    UNKNOWN_LADDER,
    Ask,
    DueCall,
    call_for,
    doubt_what_was_lost,
    due_call,
    overdue,
)
from gateways.nice.adapter import CAPABILITIES as NICE
from tests.domain.desk import OK, PENDING, UNKNOWN, Desk, a_checkout, declined

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
KINDS = {Ask.SEND: OperationKind.AUTHORIZE, Ask.LOOKUP: OperationKind.LOOKUP, Ask.NEUTRALIZE: OperationKind.NEUTRALIZE}
MOVES = {OperationKind.AUTHORIZE, OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND}


def asked(desk: Desk, operation: Operation, able: Capabilities = ABLE) -> tuple[int, OperationKind]:
    due = due_call(desk.order.put(operation), operation, able, desk.now)
    return due.delay_seconds, due.call.kind


@pytest.fixture
def desk() -> Desk:
    return Desk(a_checkout())


def test_what_was_never_sent_is_sent_at_once(desk: Desk) -> None:
    assert asked(desk, desk.due()[0]) == (0, OperationKind.AUTHORIZE)


def test_a_doubt_climbs_its_ladder_whose_last_three_steps_take_turns(desk: Desk) -> None:
    doubt = replace(desk.due()[0], outcome=Outcome.UNKNOWN)
    steps = [asked(desk, replace(doubt, tries=n)) for n in range(1, len(UNKNOWN_LADDER) + 5)]
    expected = [(delay, KINDS[ask]) for delay, ask in UNKNOWN_LADDER]
    assert steps == [*expected, *expected[-3:], expected[-3]]
    assert {ask for _, ask in UNKNOWN_LADDER[-3:]} == set(KINDS)


def test_what_may_have_been_neutralized_is_sent_again_only_where_nothing_can_be_looked_up(desk: Desk) -> None:
    doubt = replace(desk.due()[0], outcome=Outcome.UNKNOWN, neutralized_at=desk.now)
    deaf = replace(ABLE, lookup_by_merchant_ref=False)
    turns = range(len(UNKNOWN_LADDER) - 2, len(UNKNOWN_LADDER) + 1)
    able, unable = ({asked(desk, replace(doubt, tries=n), can)[1] for n in turns} for can in (ABLE, deaf))
    assert able == {OperationKind.NEUTRALIZE, OperationKind.LOOKUP}
    assert unable == {OperationKind.NEUTRALIZE, OperationKind.LOOKUP, OperationKind.AUTHORIZE}


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
    slowly = [asked(desk, replace(abandoned, tries=n))[0] for n in range(LONG_PENDING, LONG_PENDING + 3)]
    assert slowly == [SLOWLY] * 3, "what is found then is not being undone by the cancel before it"
    assert timedelta(seconds=SLOWLY) > IN_FLIGHT
    assert overdue(abandoned, desk.now + GIVE_UP_AFTER + timedelta(seconds=1))
    assert not overdue(replace(abandoned, abandoning=False), desk.now + GIVE_UP_AFTER + timedelta(seconds=1))


def test_a_hold_that_nobody_wants_is_sent_again_where_nothing_else_tells_that_it_never_came() -> None:
    blind = replace(ABLE, lookup_by_merchant_ref=False)

    def turns(able: Capabilities, *, capture: str = "manual", token: str | None = "tok_ok") -> set[OperationKind]:
        payment = AskedPayment("card", a_checkout().expected_total, token)
        desk = Desk(a_checkout(payment, capture=capture))
        abandoned = replace(desk.due()[0], outcome=Outcome.UNKNOWN, abandoning=True)
        return {asked(desk, replace(abandoned, tries=n), able)[1] for n in range(1, 10)}

    undone = {OperationKind.NEUTRALIZE, OperationKind.LOOKUP}
    assert turns(blind) == {*undone, OperationKind.AUTHORIZE}
    assert turns(ABLE) == turns(blind, capture="automatic") == turns(blind, token=None) == undone
    assert turns(replace(blind, idempotency=Idempotency())) == undone


def test_a_hold_that_nobody_wants_is_not_sent_again_with_other_words() -> None:
    desk = Desk(a_checkout(capture="manual"))
    abandoned = replace(desk.due()[0], outcome=Outcome.UNKNOWN, abandoning=True, fingerprint="of other words")
    blind = replace(ABLE, lookup_by_merchant_ref=False)
    kinds = {asked(desk, replace(abandoned, tries=n), blind)[1] for n in range(1, 10)}
    assert kinds == {OperationKind.NEUTRALIZE, OperationKind.LOOKUP}


def test_what_is_pending_is_looked_up_ever_more_slowly(desk: Desk) -> None:
    desk.answer(desk.due()[0], PENDING)
    waits = [asked(desk, replace(desk.due()[0], tries=n)) for n in range(1, len(PENDING_LADDER) + 2)]
    assert [delay for delay, _ in waits] == [*PENDING_LADDER, PENDING_LADDER[-1]]
    assert {kind for _, kind in waits} == {OperationKind.LOOKUP}
    for_days = [asked(desk, replace(desk.due()[0], tries=n)) for n in (LONG_PENDING, LONG_PENDING + 1, 1000)]
    assert for_days == [(delay, OperationKind.LOOKUP) for delay in (PENDING_LADDER[-1], SLOWLY, SLOWLY)]


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


WINDOW = Answer(Outcome.ACTION_REQUIRED, action=Action("redirect", "https://pg.example/window"))
BROUGHT = {"tid": "t-1", "authToken": "a-1"}
ACCOUNT_TO_PAY_INTO = Answer(Outcome.ACTION_REQUIRED, reference="t-1", action=Action("deposit", fields={"bank": "088"}))


def at_the_window(token: str | None = None) -> Desk:
    """An order whose customer is at the PG's window."""
    desk = Desk(a_checkout(AskedPayment("card", a_checkout().expected_total, token)), accounts=("nice",))
    desk.answer(desk.due()[0], WINDOW)
    desk.now += timedelta(minutes=1)
    return desk


def comes_back(desk: Desk, **brought: str) -> None:
    """The customer's return, as the page posts it; some time later the next thing happens."""
    payment_id = desk.payment(0).id
    desk.decide(lambda moment: complete(desk.order, payment_id, brought or BROUGHT, moment))
    desk.now += timedelta(seconds=1)


def next_call(desk: Desk, able: Capabilities) -> DueCall:
    return due_call(desk.order, desk.due()[0], able, desk.now)


@pytest.mark.parametrize("away", [timedelta(0), timedelta(days=2)])
def test_what_the_customer_brought_is_never_too_late_for_a_pg_without_keys(away: timedelta) -> None:
    desk = at_the_window()
    desk.now += away
    comes_back(desk)
    due = next_call(desk, NICE)
    assert (due.delay_seconds, due.call.kind, due.call.not_after) == (0, OperationKind.AUTHORIZE, None)
    assert due.call.details["tid"] == "t-1"


@pytest.mark.parametrize(("away", "kind"), [(0, OperationKind.AUTHORIZE), (24, OperationKind.LOOKUP)])
def test_a_pg_with_keys_is_told_as_long_as_it_knows_the_key_and_asked_after_that(
    away: int, kind: OperationKind
) -> None:
    desk = at_the_window("tok")
    desk.now += timedelta(hours=away)
    comes_back(desk)
    due = next_call(desk, ABLE)
    assert due.call.kind is kind
    key_ends = desk.due()[0].initiated_at + timedelta(hours=23)
    assert due.call.not_after == (key_ends if kind is OperationKind.AUTHORIZE else None)


@pytest.mark.parametrize("answer", [UNKNOWN, PENDING])
def test_a_confirmation_without_a_clear_answer_is_never_sent_again_without_keys(answer: Answer) -> None:
    desk = at_the_window()
    comes_back(desk)
    desk.answer(desk.due()[0], answer)
    kinds = set()
    for _ in range(2 * len(UNKNOWN_LADDER)):
        comes_back(desk)
        comes_back(desk, tid="t-2")
        due = next_call(desk, NICE)
        kinds.add(due.call.kind)
        desk.now += timedelta(seconds=due.delay_seconds)
        desk.answer(desk.due()[0], answer, {v: k for k, v in KINDS.items()}[due.call.kind])
    assert OperationKind.AUTHORIZE not in kinds
    assert OperationKind.LOOKUP in kinds


def test_a_return_that_is_posted_twice_is_one_confirmation() -> None:
    desk = at_the_window()
    comes_back(desk)
    once = desk.order
    comes_back(desk)
    assert desk.order == once, "the confirmation is on its way"
    desk.answer(desk.due()[0], OK)
    paid = desk.order
    comes_back(desk)
    comes_back(desk, tid="t-2")
    assert desk.order == paid
    assert not desk.due()


@pytest.mark.parametrize("answer", [declined(), OK])
def test_a_confirmation_that_is_answered_has_ended(answer: Answer) -> None:
    desk = at_the_window()
    comes_back(desk)
    desk.answer(desk.due()[0], answer)
    assert not desk.due()


def test_a_clock_that_runs_behind_sends_no_confirmation_twice() -> None:
    desk = at_the_window()
    comes_back(desk)
    desk.now -= timedelta(minutes=5)
    desk.answer(desk.due()[0], UNKNOWN)
    assert next_call(desk, NICE).call.kind is OperationKind.LOOKUP


def test_a_confirmation_that_a_lost_run_may_have_sent_is_asked_about_where_there_are_no_keys() -> None:
    desk = at_the_window()
    assert doubt_what_was_lost(desk.order, desk.now) == desk.order, "the customer is at the window: nothing was sent"
    comes_back(desk)
    desk.decide(lambda moment: doubt_what_was_lost(desk.order, moment.now))
    lost = desk.order
    assert desk.due()[0].outcome is Outcome.UNKNOWN
    assert next_call(desk, NICE).call.kind is OperationKind.LOOKUP
    assert next_call(desk, ABLE).call.kind is OperationKind.AUTHORIZE
    assert doubt_what_was_lost(lost, desk.now) == lost
    desk.answer(desk.due()[0], PENDING, Ask.LOOKUP)
    assert next_call(desk, NICE).call.kind is OperationKind.LOOKUP


def test_what_a_lost_run_may_have_sent_for_the_first_time_is_in_doubt(desk: Desk) -> None:
    desk.decide(lambda moment: doubt_what_was_lost(desk.order, moment.now))
    assert [(o.outcome, o.tries) for o in desk.due()] == [(Outcome.UNKNOWN, 1)]


@pytest.mark.parametrize(
    ("method", "name", "told"),
    [
        ("virtual_account", "Kim Minji", {"customer_name": "Kim Minji"}),
        ("virtual_account", None, {}),
        ("card", "K", {}),
    ],
)
def test_a_name_is_told_to_open_an_account_for_a_deposit_and_for_nothing_else(
    method: str, name: str | None, told: dict[str, str]
) -> None:
    desk = Desk(a_checkout(AskedPayment(method, 62700)))
    order = replace(desk.order, customer_name=name)
    assert call_for(order, desk.due()[0]).details == told
    assert call_for(order, desk.due()[0], Ask.LOOKUP).details == {}


@pytest.mark.parametrize("since", [{}, {"tid": "t-1"}])
def test_a_forged_return_is_forgotten_but_not_what_was_brought_since(since: dict[str, str]) -> None:
    desk = at_the_window()
    comes_back(desk, tid="of-another")
    sent = fingerprint(call_for(desk.order, desk.due()[0]))
    if since:
        desk.now += timedelta(seconds=1)
        comes_back(desk, **since)
    refusal = Decline("authentication_failed", FORGED_RETURN, "", Retry.AFTER_CUSTOMER_ACTION)
    forged = Answer(Outcome.ACTION_REQUIRED, decline=refusal)
    desk.decide(lambda m: record(desk.order, Ask.SEND, desk.due()[0], forged, m, sent=sent))
    [waiting] = desk.due()
    assert (waiting.outcome, waiting.detail) == (Outcome.ACTION_REQUIRED, FORGED_RETURN)
    assert (desk.payment(0).details or {}, waiting.completed_at is not None) == (since, bool(since))
    assert next_call(desk, ABLE).call.kind is (OperationKind.AUTHORIZE if since else OperationKind.LOOKUP)


def test_a_return_to_an_account_that_waits_for_its_deposit_confirms_nothing_again() -> None:
    desk = at_the_window()
    comes_back(desk)
    desk.answer(desk.due()[0], ACCOUNT_TO_PAY_INTO)
    comes_back(desk, tid="t-2")
    assert next_call(desk, NICE).call.kind is OperationKind.LOOKUP
    desk.answer(desk.due()[0], OK, Ask.LOOKUP)
    assert not desk.due()


def test_a_token_is_not_charged_again_for_a_return_where_there_are_no_keys() -> None:
    desk = at_the_window("tok")
    comes_back(desk)
    assert next_call(desk, NICE).call.kind is OperationKind.LOOKUP


@pytest.mark.parametrize(("able", "kind"), [(NICE, OperationKind.NEUTRALIZE), (IRREVOCABLE, OperationKind.LOOKUP)])
def test_who_comes_back_to_an_order_that_is_over_is_not_charged(able: Capabilities, kind: OperationKind) -> None:
    desk = at_the_window()
    comes_back(desk)
    over = desk.order.put(replace(desk.due()[0], abandoning=True))
    assert due_call(over, over.operation(desk.due()[0].id), able, desk.now).call.kind is kind
