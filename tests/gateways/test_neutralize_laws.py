"""Neutralising: what is in doubt is made sure to have no effect, now or later, and nothing else is touched."""

import pytest

from domain.gateway import Capabilities, NeutralizeBy, OperationKind, Outcome
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
    prepared,
    settled,
    succeeded,
)


async def test_what_was_neutralised_before_it_arrived_is_refused_when_it_arrives_late(rig: Rig) -> None:
    if not neutralising(rig).neutralize_bars_late:
        pytest.skip("what arrives late is executed")
    call = rig.charge()
    rig.arm("drop_before", AUTHORIZE)
    assert (await rig.gateway.perform(call)).outcome is Outcome.UNKNOWN
    await succeeded(rig, rig.about(call, NEUTRALIZE))
    assert (await rig.gateway.perform(rig.about(call, LOOKUP))).outcome is Outcome.NOT_EXECUTED
    assert (await rig.gateway.perform(call)).outcome is Outcome.NOT_EXECUTED
    money = rig.money(call)
    assert (money.net, money.held) == (0, 0)


@pytest.mark.parametrize("capture_now", [True, False])
@pytest.mark.parametrize("token", ["tok_ok", "tok_pending", "tok_3ds"])
async def test_what_happened_after_all_is_undone_by_neutralising_it_once(
    rig: Rig, token: str, *, capture_now: bool
) -> None:
    can = neutralising(rig)
    if not (capture_now or can.manual_capture):
        pytest.skip("takes money at once")
    if capture_now and not can.neutralize_undoes_capture:
        pytest.skip("only what is authorized is neutralised")
    if token != OK and can.expires_unconfirmed_after_seconds:
        pytest.skip("what is undecided expires by itself")
    call = rig.charge(token=token, capture_now=capture_now)
    rig.arm("drop_after", AUTHORIZE)
    await rig.gateway.perform(call)
    undo = rig.about(call, NEUTRALIZE)
    rig.arm("drop_after", NEUTRALIZE)
    assert (await rig.gateway.perform(undo)).outcome is Outcome.UNKNOWN
    await succeeded(rig, undo)
    await succeeded(rig, rig.about(call, NEUTRALIZE))
    ended = (await rig.gateway.perform(rig.about(call, LOOKUP))).outcome
    refused = token == "tok_3ds" and ended is Outcome.DECLINED  # Where nobody can ask the customer, it never happened.
    assert refused or ended is Outcome.NOT_EXECUTED
    late = await rig.gateway.perform(call)
    assert late.outcome is Outcome.NOT_EXECUTED or not can.neutralize_bars_late
    money = rig.money(call)
    assert (money.net, money.held) == (0, 0)


async def test_a_neutralised_payment_takes_no_capture_and_no_refund(rig: Rig) -> None:
    manual = neutralising(rig).manual_capture
    charge = rig.charge(capture_now=not manual)
    reference = (await succeeded(rig, charge)).reference
    await succeeded(rig, rig.about(charge, NEUTRALIZE))
    for kind in (CAPTURE, VOID, REFUND) if manual else (REFUND,):
        answer = await settled(rig, rig.follow(charge, kind, 1, reference))
        assert answer.outcome is Outcome.DECLINED
    assert (rig.money(charge).net, rig.money(charge).held) == (0, 0)


@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
async def test_a_capture_in_doubt_is_neutralised_alone(rig: Rig, fault: str) -> None:
    if not neutralising(rig).neutralize_undoes_capture:
        pytest.skip("only what is authorized is neutralised")
    capture = await prepared(rig, CAPTURE)
    rig.arm(fault, CAPTURE)
    await rig.gateway.perform(capture)
    await succeeded(rig, rig.about(capture, NEUTRALIZE))
    await succeeded(rig, rig.about(capture, NEUTRALIZE))
    assert (await rig.gateway.perform(capture)).outcome is Outcome.NOT_EXECUTED
    assert rig.money(capture).net == 0


async def test_neutralising_one_capture_again_and_again_leaves_the_others_alone(rig: Rig) -> None:
    if not neutralising(rig).neutralize_undoes_capture:
        pytest.skip("only what is authorized is neutralised")
    if not neutralising(rig).multiple_captures:
        pytest.skip("captures once")
    whole = await prepared(rig, CAPTURE)
    kept, doubted = (rig.follow(whole, CAPTURE, amount, whole.reference) for amount in (4_000, 3_000))
    await succeeded(rig, kept)
    await succeeded(rig, doubted)
    for _ in range(3):
        await succeeded(rig, rig.about(doubted, NEUTRALIZE))
    assert rig.money(whole).net == 4_000


async def test_a_refund_that_has_happened_cannot_be_neutralised(rig: Rig) -> None:
    refund = await prepared(rig, REFUND)
    await succeeded(rig, refund)
    answer = await rig.gateway.perform(rig.about(refund, NEUTRALIZE))
    undoes = neutralising(rig).neutralize_undoes_capture
    assert answer.outcome is (Outcome.DECLINED if undoes else Outcome.UNKNOWN)
    assert rig.money(refund).net == 0


@pytest.mark.parametrize("kind", MOVES)
async def test_what_cannot_neutralise_says_that_it_does_not_know_and_touches_nothing(
    rig: Rig, kind: OperationKind
) -> None:
    if rig.gateway.capabilities().neutralize_by is not NeutralizeBy.NONE:
        pytest.skip("neutralises")
    call = await prepared(rig, kind)
    await succeeded(rig, call)
    before = rig.money(call)
    assert (await rig.gateway.perform(rig.about(call, NEUTRALIZE))).outcome is Outcome.UNKNOWN
    assert rig.money(call) == before


def neutralising(rig: Rig) -> Capabilities:
    """What a PG declares that can neutralise at all; skips the others."""
    can = rig.gateway.capabilities()
    if can.neutralize_by is NeutralizeBy.NONE:
        pytest.skip("cannot neutralise")
    return can
