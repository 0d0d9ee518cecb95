"""What a gateway declares is true: what it can do works, and what it cannot do is refused before money moves."""

import dataclasses
from datetime import date

import httpx
import pytest

from domain.gateway import Call, Flow, Issue, OperationKind, Outcome
from domain.payment import INTERNAL_METHODS
from gateways.gateway import WebhookRefused
from tests.e2e.window import BACK
from tests.gateways.rig import (
    AUTHORIZE,
    CAPTURE,
    LOOKUP,
    REFUND,
    VOID,
    Rig,
    SandboxRig,
    effects,
    prepared,
    settled,
    succeeded,
)
from tests.gateways.rigs.alteration import Alteration
from tests.gateways.rigs.customer import FLOWS, Way, asked_by, paid_by
from tests.gateways.rigs.post import HABITS

REFUSED = {Outcome.NOT_EXECUTED, Outcome.DECLINED}
LONGEST_REFUND_DAYS = 540
"""No PG that we know gives anything back later than that: more is no window, but a slip of the pen."""
SOME_DAY = date(2026, 11, 22)


async def test_every_declared_flow_can_be_asked_for(rig: Rig) -> None:
    declared = rig.gateway.capabilities().flows
    assert declared
    assert declared <= frozenset().union(*FLOWS.values())


@pytest.mark.parametrize("way", Way)
async def test_a_declared_flow_takes_the_money(rig: Rig, way: Way) -> None:
    if not FLOWS[way] & rig.gateway.capabilities().flows:
        pytest.skip("not declared")
    call, answer = await paid_by(rig, way)
    assert (answer.outcome, answer.issues) == (Outcome.SUCCEEDED, ())
    money = rig.money(call)
    assert (money.net, money.held) == (10_000, 0)


@pytest.mark.parametrize("capture_now", [True, False])
@pytest.mark.parametrize("way", Way)
async def test_a_flow_that_is_not_declared_is_refused_before_anything_is_sent(
    rig: Rig, way: Way, *, capture_now: bool
) -> None:
    if FLOWS[way] & rig.gateway.capabilities().flows:
        pytest.skip("declared")
    call = dataclasses.replace(asked_by(rig, way), capture_now=capture_now)
    transport = Alteration(bytes)
    async with httpx.AsyncClient(transport=transport) as client:
        gateway = rig.another(client=client) if isinstance(rig, SandboxRig) else rig.gateway
        assert (await gateway.perform(call)).outcome in REFUSED
    assert transport.sent == 0
    assert rig.money(call).rows == ()


async def test_money_is_held_until_it_is_captured(rig: Rig) -> None:
    if not rig.gateway.capabilities().manual_capture:
        pytest.skip("not declared")
    charge = rig.charge(capture_now=False)
    reference = (await succeeded(rig, charge)).reference
    money = rig.money(charge)
    assert (money.net, money.held) == (0, 10_000)
    await succeeded(rig, rig.follow(charge, CAPTURE, 10_000, reference))
    money = rig.money(charge)
    assert (money.net, money.held) == (10_000, 0)


async def test_where_nothing_can_be_held_nothing_is_authorized_captured_or_voided(rig: Rig) -> None:
    if rig.gateway.capabilities().manual_capture:
        pytest.skip("holds")
    later = rig.charge(capture_now=False)
    assert (await rig.gateway.perform(later)).outcome is Outcome.NOT_EXECUTED
    assert rig.money(later).rows == ()
    charge = rig.charge()
    reference = (await succeeded(rig, charge)).reference
    taken = rig.money(charge)
    for kind in (CAPTURE, VOID):
        answer = await rig.gateway.perform(rig.follow(charge, kind, 10_000, reference))
        assert answer.outcome in REFUSED
    assert rig.money(charge) == taken


async def test_a_second_capture_takes_more_or_is_refused_and_the_rest_is_held_or_gone(rig: Rig) -> None:
    can = rig.gateway.capabilities()
    if not (can.manual_capture and can.partial_capture):
        pytest.skip("not declared")
    charge = rig.charge(capture_now=False)
    reference = (await succeeded(rig, charge)).reference
    await succeeded(rig, rig.follow(charge, CAPTURE, 3_000, reference))
    money = rig.money(charge)
    assert (money.net, money.held) == (3_000, 7_000 if can.multiple_captures else 0)
    second = await settled(rig, rig.follow(charge, CAPTURE, 4_000, reference))
    assert second.outcome is (Outcome.SUCCEEDED if can.multiple_captures else Outcome.DECLINED)
    money = rig.money(charge)
    assert (money.net, money.held) == ((7_000, 3_000) if can.multiple_captures else (3_000, 0))


async def test_refunds_in_parts_give_back_all_and_no_more(rig: Rig) -> None:
    if not rig.gateway.capabilities().partial_refund:
        pytest.skip("not declared")
    charge = rig.charge()
    reference = (await succeeded(rig, charge)).reference
    for amount, left in ((4_000, 6_000), (6_000, 0)):
        await succeeded(rig, rig.follow(charge, REFUND, amount, reference))
        assert rig.money(charge).net == left
    assert (await settled(rig, rig.follow(charge, REFUND, 1, reference))).outcome is Outcome.DECLINED
    assert rig.money(charge).net == 0


async def test_the_least_and_the_most_of_a_limit_are_taken(rig: Rig) -> None:
    limits = [limit for limit in rig.gateway.capabilities().limits if limit.method == rig.method]
    assert limits
    for limit in limits:
        for amount in (limit.minimum, limit.maximum):
            call = dataclasses.replace(rig.charge(amount), currency=limit.currency)
            await succeeded(rig, call)
            assert rig.money(call).net == amount


async def test_less_than_the_least_and_more_than_the_most_is_refused(rig: Rig) -> None:
    limits = [limit for limit in rig.gateway.capabilities().limits if limit.method == rig.method]
    bounds = [(limit.currency, bound) for limit in limits for bound in (limit.minimum - 1, limit.maximum + 1)]
    checked = [bound for bound in bounds if bound not in rig.unchecked]
    assert checked
    for currency, amount in checked:
        call = dataclasses.replace(rig.charge(amount), currency=currency)
        assert (await rig.gateway.perform(call)).outcome is not Outcome.SUCCEEDED
        assert "succeeded" not in {status for _, _, status in rig.money(call).rows}


async def test_instalments_are_taken_from_the_least_amount_to_the_most_months(rig: Rig) -> None:
    limits = [limit for limit in rig.gateway.capabilities().limits if limit.method == rig.method]
    plans = [limit for limit in limits if limit.max_instalments]
    if not plans:
        pytest.skip("not declared")
    for limit in plans:
        sent = []
        for months in (0, 2, limit.max_instalments):
            call = dataclasses.replace(rig.charge(limit.instalments_from), currency=limit.currency, instalments=months)
            await succeeded(rig, call)
            sent.append(await requested(rig, dataclasses.replace(call, key="0" * 32, merchant_ref="law-" + "0" * 24)))
        assert len(set(sent)) == len(sent)


async def test_instalments_that_are_not_declared_are_not_taken_at_once(rig: Rig) -> None:
    if any(limit.max_instalments for limit in rig.gateway.capabilities().limits):
        pytest.skip("declared")
    at_once = rig.charge()
    assert await requested(rig, dataclasses.replace(at_once, instalments=3)) != await requested(rig, at_once)


async def test_another_methods_least_is_asked_for_and_less_is_not(rig: Rig) -> None:
    limits = [limit for limit in rig.gateway.capabilities().limits if limit.method != rig.method]
    others = [limit for limit in limits if limit.method not in INTERNAL_METHODS]
    if not others:
        pytest.skip("takes one method")
    for limit in others:
        asked = dataclasses.replace(
            rig.charge(limit.minimum), method=limit.method, currency=limit.currency, token=None, return_url=BACK
        )
        assert (await rig.gateway.perform(asked)).outcome is Outcome.ACTION_REQUIRED, limit


async def test_another_body_under_a_used_key_is_the_first_answer_where_bodies_are_not_compared(rig: Rig) -> None:
    idempotency = rig.gateway.capabilities().idempotency
    if idempotency.body_compared or not idempotency.ttl_seconds or rig.key_of_body:
        pytest.skip("compares bodies, or has no keys, or the PG never sees one with another body")
    if rig.gateway.capabilities().flows <= {Flow.INTERNAL_VALUE}:
        pytest.skip("stores no answers: it says what its ledger has")
    call = rig.charge()
    first = await succeeded(rig, call)
    answer = await rig.gateway.perform(dataclasses.replace(call, amount=9_999))
    assert (answer.reference, answer.issues) == (first.reference, (Issue.AMOUNT_MISMATCH,))
    assert rig.money(call).net == 10_000


async def test_a_key_repeats_its_refusal_where_that_is_declared_and_is_as_new_where_it_is_not(rig: Rig) -> None:
    """A refund of what is not taken yet is refused; once it is taken, the same key says what the PG has kept of it."""
    can = rig.gateway.capabilities()
    if not can.idempotency.ttl_seconds or not can.manual_capture:
        pytest.skip("has no keys, or takes money at once")
    charge = rig.charge(capture_now=False)
    reference = (await succeeded(rig, charge)).reference
    refund = rig.follow(charge, REFUND, 10_000, reference)
    assert (await settled(rig, refund)).outcome is Outcome.DECLINED
    await succeeded(rig, rig.follow(charge, CAPTURE, 10_000, reference))
    again = await settled(rig, refund)
    assert again.outcome is (Outcome.DECLINED if can.idempotency.replays_errors else Outcome.SUCCEEDED)
    assert rig.money(charge).net == (10_000 if can.idempotency.replays_errors else 0)


async def test_a_key_is_known_until_its_declared_end(rig: Rig) -> None:
    """The PG's clock is ahead by nearly that; a personality forgets a key when its vendor says that it does."""
    ttl = rig.gateway.capabilities().idempotency.ttl_seconds
    if not ttl:
        pytest.skip("has no keys")
    call = rig.charge()
    first = await succeeded(rig, call)
    rig.arm("clock_skew", AUTHORIZE, ms=(ttl - 60) * 1_000)
    assert (await rig.gateway.perform(call)).reference == first.reference
    assert effects(rig, call) == 1


@pytest.mark.parametrize(("kind", "declared"), [(CAPTURE, "partial_capture"), (REFUND, "partial_refund")])
async def test_a_part_is_refused_where_only_the_whole_is_declared(rig: Rig, kind: OperationKind, declared: str) -> None:
    if getattr(rig.gateway.capabilities(), declared):
        pytest.skip("declared")
    whole = await prepared(rig, kind)
    before = rig.money(whole)
    part = rig.follow(whole, kind, 4_000, whole.reference)
    assert (await settled(rig, part)).outcome in REFUSED
    assert (rig.money(whole).net, rig.money(whole).held) == (before.net, before.held)


async def test_a_refund_without_a_key_that_is_sent_again_is_one_where_that_is_declared(rig: Rig) -> None:
    can = rig.gateway.capabilities()
    if can.idempotency.ttl_seconds:
        assert not can.refunds_sent_again, "declared for PGs without keys"
        pytest.skip("has keys")
    refund = dataclasses.replace(await prepared(rig, REFUND), amount=4_000)
    await succeeded(rig, refund)
    again = await settled(rig, refund)
    if can.refunds_sent_again:
        assert again.outcome is Outcome.SUCCEEDED
    assert rig.money(refund).net == (6_000 if can.refunds_sent_again else 2_000)


async def test_what_a_payment_can_be_refunded_for_is_a_declared_method(rig: Rig) -> None:
    can = rig.gateway.capabilities()
    assert can.refund_days.keys() <= {limit.method for limit in can.limits}
    assert all(0 < days <= LONGEST_REFUND_DAYS for days in can.refund_days.values())


async def test_a_reference_and_a_token_are_quoted_in_an_address(rig: Rig) -> None:
    strange = "a/../b?c=d&e#f"
    charge = dataclasses.replace(rig.charge(token=strange), reference=None)
    calls = [charge, *(rig.follow(charge, kind, 10_000, strange) for kind in (CAPTURE, VOID, REFUND))]
    calls += [rig.about(call, LOOKUP) for call in calls[1:]]
    for call in calls:
        address = (await requested(rig, call)).partition(b"\n")[0]
        assert b"a/../b" not in address
        assert b"?c=d" not in address


async def test_what_declares_no_webhooks_takes_none(rig: Rig) -> None:
    if rig.gateway.capabilities().webhooks:
        pytest.skip("declared")
    assert rig.gateway.vendor not in HABITS, "its webhooks are known"
    with pytest.raises(WebhookRefused):
        rig.gateway.parse_webhook(b"{}", {})


async def test_what_declares_no_settlement_has_none(rig: Rig) -> None:
    if rig.gateway.capabilities().settlement:
        pytest.skip("declared")
    assert [line async for line in rig.gateway.settlement_lines(SOME_DAY)] == []


async def requested(rig: Rig, call: Call) -> bytes:
    """What would be sent: the address, then the body. Nobody hears it."""
    sent: list[bytes] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.raw_path + b"\n" + request.content)
        raise httpx.ConnectError("nobody there")

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as client:
        await rig.another(client=client).perform(call)
    return b"\n".join(sent)
