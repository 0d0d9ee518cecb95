"""The laws that every gateway keeps. They are judged by the PG's own ledger, never by what the adapter says."""

import asyncio
import dataclasses
from datetime import datetime

import pytest

from domain.gateway import Amounts, Flow, Issue, OperationKind, Outcome, Retry
from tests.gateways.rig import (
    AUTHORIZE,
    CAPTURE,
    LOOKUP,
    MOVES,
    NEUTRALIZE,
    OK,
    REFUND,
    VOID,
    Rig,
    decided,
    effects,
    found,
    happened,
    prepared,
    sent_again,
    settled,
    succeeded,
)

DEAD_ADDRESS = "http://127.0.0.1:1"
LOST_AFTER = ("drop_after", "500_after", "garbage", "truncated")
LOST_BEFORE = ("drop_before", "500_before")
ISSUERS_ALONE = {"tok_declined", "tok_lost"}
"""What only the issuer of an instrument says."""
NET_AND_HELD = {AUTHORIZE: (10_000, 0), CAPTURE: (10_000, 0), VOID: (0, 0), REFUND: (0, 0)}
"""After one whole operation of the kind, on a payment of 10 000."""


@pytest.mark.parametrize("kind", MOVES)
async def test_the_same_key_twice_is_one_effect(rig: Rig, kind: OperationKind) -> None:
    call = await prepared(rig, kind)
    answer = await rig.gateway.perform(call)
    assert not answer.evidence.replayed
    first = await decided(rig, call, answer)
    assert (first.outcome, first.issues) == (Outcome.SUCCEEDED, ())
    idempotency = rig.gateway.capabilities().idempotency
    repeated = await rig.gateway.perform(call)
    assert repeated.evidence.replayed is bool(idempotency.ttl_seconds and idempotency.marks_replays)
    again = await sent_again(rig, call)
    assert (again.reference, again.operation_ref) == (first.reference, first.operation_ref)
    assert await happened(rig, call) == 1
    money = rig.money(call)
    assert (money.net, money.held) == NET_AND_HELD[kind]


async def test_the_same_key_twenty_times_at_once_is_one_effect(rig: Rig) -> None:
    call = rig.charge()
    answers = await asyncio.gather(*(rig.gateway.perform(call) for _ in range(20)))
    assert {answer.outcome for answer in answers} <= {Outcome.SUCCEEDED, Outcome.UNKNOWN}
    assert (effects(rig, call), rig.money(call).net) == (1, 10_000)


async def test_the_same_key_while_the_first_is_still_being_answered_is_unknown(rig: Rig) -> None:
    call = rig.charge()
    rig.arm("delay", AUTHORIZE, ms=300)
    first = asyncio.create_task(rig.gateway.perform(call))
    for _ in range(500):
        if rig.money(call).rows:
            break
        await asyncio.sleep(0.01)
    assert (await rig.gateway.perform(call)).outcome is Outcome.UNKNOWN
    assert (await first).outcome is Outcome.SUCCEEDED
    assert effects(rig, call) == 1


async def test_another_body_under_a_used_key_moves_nothing_and_is_unknown(rig: Rig) -> None:
    if not rig.gateway.capabilities().idempotency.body_compared:
        pytest.skip("bodies are not compared")
    call = rig.charge()
    await succeeded(rig, call)
    other = dataclasses.replace(call, amount=1)
    assert (await rig.gateway.perform(other)).outcome is Outcome.UNKNOWN
    assert rig.money(call).net == 10_000


async def test_a_second_key_for_the_same_attempt_moves_nothing(rig: Rig) -> None:
    if not rig.gateway.capabilities().merchant_ref_unique:
        pytest.skip("the key alone protects")
    call = rig.charge()
    await succeeded(rig, call)
    answer = await rig.gateway.perform(dataclasses.replace(call, key=call.key + "-again"))
    assert answer.outcome is Outcome.UNKNOWN
    assert rig.money(call).net == 10_000


@pytest.mark.parametrize("kind", MOVES)
@pytest.mark.parametrize("fault", LOST_AFTER)
async def test_a_lost_answer_is_unknown_and_replay_and_lookup_find_the_one_effect(
    rig: Rig, kind: OperationKind, fault: str
) -> None:
    call = await prepared(rig, kind)
    rig.arm(fault, kind)
    assert (await rig.gateway.perform(call)).outcome is Outcome.UNKNOWN
    assert await happened(rig, call) == 1
    if rig.can_find(rig.about(call, LOOKUP)):
        await succeeded(rig, rig.about(call, LOOKUP))
    replayed = await sent_again(rig, call)
    assert (await found(rig, call, replayed.reference)).reference == replayed.reference is not None
    assert effects(rig, call) == 1
    money = rig.money(call)
    assert (money.net, money.held) == NET_AND_HELD[kind]


@pytest.mark.parametrize("kind", MOVES)
@pytest.mark.parametrize("fault", LOST_BEFORE)
async def test_a_lost_request_is_unknown_and_lookup_says_not_executed(
    rig: Rig, kind: OperationKind, fault: str
) -> None:
    call = await prepared(rig, kind)
    rig.arm(fault, kind)
    assert (await rig.gateway.perform(call)).outcome is Outcome.UNKNOWN
    can = rig.gateway.capabilities()
    looks = can.lookup_by_reference or can.lookup_by_merchant_ref
    unsure = {Outcome.UNKNOWN} if can.not_found_final_after_seconds is None else set()
    answer = await rig.gateway.perform(rig.about(call, LOOKUP))
    assert answer.outcome in unsure | ({Outcome.NOT_EXECUTED} if looks else set())
    assert not (unsure and answer.final)
    assert effects(rig, call) == 0
    await succeeded(rig, call)
    assert await happened(rig, call) == 1


async def test_partial_captures_and_refunds_add_up(rig: Rig) -> None:
    can = rig.gateway.capabilities()
    if not (can.multiple_captures and can.partial_capture and can.partial_refund):
        pytest.skip("not declared")
    charge = rig.charge(capture_now=False)
    reference = (await succeeded(rig, charge)).reference
    for kind, amount in ((CAPTURE, 3_000), (CAPTURE, 4_000), (REFUND, 2_500)):
        await succeeded(rig, rig.follow(charge, kind, amount, reference))
    rest = rig.follow(charge, VOID, 3_000, reference)
    said = [await succeeded(rig, asked) for asked in (rest, rig.about(rest, LOOKUP))]
    assert {answer.amounts for answer in said} - {None} == {Amounts(10_000, 7_000, 2_500, 3_000)}
    money = rig.money(charge)
    assert (money.net, money.held) == (4_500, 0)


@pytest.mark.parametrize(("kind", "amount"), [(CAPTURE, 10_001), (REFUND, 10_001), (REFUND, 10**12)])
async def test_more_than_there_is_is_declined_for_good(rig: Rig, kind: OperationKind, amount: int) -> None:
    call = dataclasses.replace(await prepared(rig, kind), amount=amount)
    before = rig.money(call)
    for _ in range(2):
        answer = await settled(rig, call)
        assert answer.outcome is Outcome.DECLINED
        assert answer.decline is not None
        assert (answer.decline.category, answer.decline.retry) == ("amount_exceeded", Retry.NEVER)
    assert (rig.money(call).net, rig.money(call).held) == (before.net, before.held)
    forgotten = set() if rig.gateway.capabilities().idempotency.replays_errors else {Outcome.NOT_EXECUTED}
    assert (await settled(rig, rig.about(call, LOOKUP))).outcome in {Outcome.DECLINED, *forgotten}


@pytest.mark.parametrize("kind", [CAPTURE, REFUND])
async def test_racing_operations_never_exceed_what_there_is(rig: Rig, kind: OperationKind) -> None:
    one = await prepared(rig, kind)
    calls = [rig.follow(one, kind, 3_000, one.reference) for _ in range(8)]
    answers = await asyncio.gather(*(settled(rig, call) for call in calls))
    times = 3 if kind is REFUND or rig.gateway.capabilities().multiple_captures else 1
    assert sorted(answer.outcome for answer in answers).count(Outcome.SUCCEEDED) == times
    assert rig.money(one).net == (3_000 * times if kind is CAPTURE else 1_000)


@pytest.mark.parametrize("kind", MOVES)
async def test_a_refused_request_was_not_executed(rig: Rig, kind: OperationKind) -> None:
    call = await prepared(rig, kind)
    rig.arm("refuse", kind)
    assert (await rig.gateway.perform(call)).outcome is Outcome.NOT_EXECUTED
    assert effects(rig, call) == 0


async def test_nobody_at_the_address_means_not_executed_but_never_for_a_question(rig: Rig) -> None:
    gateway = rig.another({"url": DEAD_ADDRESS})
    charge = rig.charge()
    assert (await gateway.perform(charge)).outcome is Outcome.NOT_EXECUTED
    assert (await gateway.perform(rig.about(charge, LOOKUP))).outcome is Outcome.UNKNOWN
    assert (await gateway.perform(rig.about(charge, NEUTRALIZE))).outcome is Outcome.UNKNOWN
    await gateway.close()


@pytest.mark.parametrize(
    ("token", "retry"),
    [
        ("tok_declined", Retry.OTHER_PG),
        ("tok_lost", Retry.NEVER),
        ("tok_insufficient", Retry.AFTER_CUSTOMER_ACTION),
        ("tok_of_nobody", Retry.AFTER_CUSTOMER_ACTION),
    ],
)
async def test_a_decline_says_whether_to_try_again_and_moves_nothing(rig: Rig, token: str, retry: Retry) -> None:
    can = rig.gateway.capabilities()
    if token in ISSUERS_ALONE and Flow.SERVER_TOKEN not in can.flows:
        pytest.skip("takes no instrument that an issuer could refuse")
    no_trace = Outcome.UNKNOWN if can.not_found_final_after_seconds is None else Outcome.NOT_EXECUTED
    call = rig.charge(token=token)
    reference: str | None = None
    for kind in (AUTHORIZE, AUTHORIZE, LOOKUP):
        asked = call if kind is AUTHORIZE else dataclasses.replace(rig.about(call, LOOKUP), reference=reference)
        answer = await settled(rig, asked)
        reference = answer.reference
        if kind is LOOKUP and (token in rig.leaves_no_trace or not rig.can_find(asked)):
            assert answer.outcome is no_trace
            continue
        assert answer.outcome is Outcome.DECLINED
        assert answer.decline is not None
        assert answer.decline.retry is retry
    assert (rig.money(call).net, rig.money(call).held) == (0, 0)


@pytest.mark.parametrize("token", ["tok_pending", "tok_3ds"])
@pytest.mark.parametrize("capture_now", [True, False])
async def test_what_is_not_decided_yet_has_not_succeeded(rig: Rig, token: str, *, capture_now: bool) -> None:
    can = rig.gateway.capabilities()
    if Flow.SERVER_TOKEN not in can.flows or not (capture_now or can.manual_capture):
        pytest.skip("not declared")
    call = rig.charge(token=token, capture_now=capture_now)
    answer = await rig.gateway.perform(call)
    assert answer.outcome in {Outcome.PENDING, Outcome.ACTION_REQUIRED, Outcome.DECLINED}
    assert answer.outcome is not Outcome.PENDING or AUTHORIZE in can.asynchronous
    if token != "tok_pending":
        assert (rig.money(call).net, rig.money(call).held) == (0, 0)


@pytest.mark.parametrize("kind", [*MOVES, NEUTRALIZE])
async def test_what_is_declared_asynchronous_is_pending_first(rig: Rig, kind: OperationKind) -> None:
    if kind not in rig.gateway.capabilities().asynchronous:
        pytest.skip("not declared")
    token = rig.later.get(kind, OK)
    subject = await prepared(rig, AUTHORIZE if kind is NEUTRALIZE else kind, token=token)
    if kind is NEUTRALIZE:
        await succeeded(rig, subject)
    call = rig.about(subject, NEUTRALIZE) if kind is NEUTRALIZE else subject
    assert (await rig.gateway.perform(call)).outcome is Outcome.PENDING


async def test_a_pending_payment_is_found_settled_later(rig: Rig) -> None:
    if AUTHORIZE not in rig.gateway.capabilities().asynchronous:
        pytest.skip("not declared")
    call = rig.charge(token="tok_pending")
    answer = await rig.gateway.perform(call)
    assert answer.outcome is Outcome.PENDING
    ended = await decided(rig, call, answer)
    assert (ended.outcome, ended.issues) == (Outcome.SUCCEEDED, ())
    assert rig.money(call).net == 10_000


async def test_a_lookup_by_the_gateways_reference_finds_the_payment(rig: Rig) -> None:
    if not rig.gateway.capabilities().lookup_by_reference:
        pytest.skip("not declared")
    call = rig.charge()
    reference = (await succeeded(rig, call)).reference
    known = dataclasses.replace(call, reference=reference)
    assert (await succeeded(rig, rig.about(known, LOOKUP))).reference == reference
    stranger = rig.charge()
    mixed_up = dataclasses.replace(rig.about(stranger, LOOKUP), reference=reference)
    assert Issue.REFERENCE_MISMATCH in (await rig.gateway.perform(mixed_up)).issues


async def test_a_lookup_by_our_own_reference_finds_the_payment_where_that_is_declared(rig: Rig) -> None:
    call = rig.charge()
    reference = (await succeeded(rig, call)).reference
    assert (await found(rig, call, reference)).reference == reference


async def test_the_settlement_has_a_line_for_everything_that_moved(rig: Rig) -> None:
    if not rig.gateway.capabilities().settlement:
        pytest.skip("not declared")
    refund = dataclasses.replace(await prepared(rig, REFUND), amount=4_000)
    await succeeded(rig, refund)
    await rig.settlement()
    day = datetime.now(rig.zone).date()
    lines = [line async for line in rig.gateway.settlement_lines(day) if line.merchant_ref == refund.merchant_ref]
    assert sorted((line.kind, line.gross) for line in lines) == [("charge", 10_000), ("refund", -4_000)]
    assert sum(line.net for line in lines) == rig.money(refund).net


@pytest.mark.parametrize("kind", [LOOKUP, NEUTRALIZE])
@pytest.mark.parametrize("fault", ["refuse", *LOST_BEFORE, *LOST_AFTER])
async def test_a_lost_question_says_nothing_about_its_subject(rig: Rig, kind: OperationKind, fault: str) -> None:
    can = rig.gateway.capabilities()
    if kind is LOOKUP and not (can.lookup_by_reference or can.lookup_by_merchant_ref):
        pytest.skip("asks the PG nothing: its verified events are read")
    charge = rig.charge()
    charge = dataclasses.replace(charge, reference=(await succeeded(rig, charge)).reference)
    rig.arm(fault, kind)
    assert (await rig.gateway.perform(rig.about(charge, kind))).outcome is Outcome.UNKNOWN
