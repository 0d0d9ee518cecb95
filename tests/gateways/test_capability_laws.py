"""What a gateway declares is true: what it can do works, and what it cannot do is refused before money moves."""

import dataclasses
from datetime import date

import httpx
import pytest

from domain.gateway import Outcome
from gateways.gateway import WebhookRefused
from tests.gateways.rig import CAPTURE, REFUND, VOID, Rig, SandboxRig, settled, succeeded
from tests.gateways.rigs.alteration import Alteration
from tests.gateways.rigs.customer import FLOWS, Way, asked_by, paid_by

REFUSED = {Outcome.NOT_EXECUTED, Outcome.DECLINED}
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
        for months in (2, limit.max_instalments):
            call = dataclasses.replace(rig.charge(limit.instalments_from), currency=limit.currency, instalments=months)
            await succeeded(rig, call)


async def test_what_declares_no_webhooks_takes_none_and_what_declares_no_settlement_has_none(rig: Rig) -> None:
    can = rig.gateway.capabilities()
    if can.webhooks or can.settlement:
        pytest.skip("declared")
    with pytest.raises(WebhookRefused):
        rig.gateway.parse_webhook(b"{}", {})
    assert [line async for line in rig.gateway.settlement_lines(SOME_DAY)] == []
