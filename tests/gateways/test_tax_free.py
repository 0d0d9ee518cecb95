"""What is free of tax reaches the PGs that report tax, and changes no sum anywhere (rule M10)."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.gateway import Call, Outcome
from gateways.catalog import VENDORS, build_gateway
from gateways.gateway import Account, MisconfiguredGateway
from tests.gateways.rig import REFUND, Rig, SandboxServer, succeeded
from tests.gateways.rigs.nice import nice_rig
from tests.gateways.rigs.toss import toss_rig
from tests.gateways.test_nice_window import a_window_call, through_the_window
from tests.gateways.test_toss_flow import ACCOUNT as TOSS
from tests.gateways.test_toss_flow import CREDENTIALS, account_of, window


def charging(rig: Rig, amount: int = 10_000, *, free: int) -> Call:
    return dataclasses.replace(rig.charge(amount), tax_free=free)


def giving_back(rig: Rig, charge: Call, amount: int, reference: str | None, *, free: int) -> Call:
    return dataclasses.replace(rig.follow(charge, REFUND, amount, reference), tax_free=free)


async def test_it_changes_no_sum(rig: Rig) -> None:
    charge = charging(rig, free=3_000)
    reference = (await succeeded(rig, charge)).reference
    parts = [(4_000, 3_000), (6_000, 0)] if rig.gateway.capabilities().partial_refund else [(10_000, 3_000)]
    for amount, free in parts:
        await succeeded(rig, giving_back(rig, charge, amount, reference, free=free))
    assert rig.money(charge).net == 0


@pytest.fixture
async def toss(sandbox: SandboxServer) -> AsyncIterator[Rig]:
    rig = toss_rig(sandbox, TOSS)
    yield rig
    await rig.close()


def shown(sandbox: SandboxServer, call: Call) -> dict[str, Any]:
    """The payment as Toss shows it to whoever has the secret key."""
    answer = sandbox.http.get(f"/toss/{TOSS}/v1/payments/orders/{call.merchant_ref}", headers=CREDENTIALS)
    payment: dict[str, Any] = answer.raise_for_status().json()
    return payment


async def test_toss_takes_no_tax_out_of_it(toss: Rig, sandbox: SandboxServer) -> None:
    charge = charging(toss, free=3_400)
    reference = (await succeeded(toss, charge)).reference
    payment = shown(sandbox, charge)
    assert [payment[n] for n in ("taxFreeAmount", "vat", "suppliedAmount")] == [3_400, 600, 6_000]
    await succeeded(toss, giving_back(toss, charge, 5_000, reference, free=1_700))
    payment = shown(sandbox, charge)
    assert [payment[n] for n in ("balanceAmount", "taxFreeAmount", "vat")] == [5_000, 1_700, 300]
    await succeeded(toss, giving_back(toss, charge, 5_000, reference, free=1_700))
    assert [one["taxFreeAmount"] for one in shown(sandbox, charge)["cancels"]] == [1_700, 1_700]


@pytest.mark.parametrize("opening", [window, account_of])
async def test_toss_is_told_when_the_window_or_the_account_is_opened(
    toss: Rig, sandbox: SandboxServer, opening: Any
) -> None:
    call = dataclasses.replace(opening(toss), tax_free=3_400)
    assert (await toss.gateway.perform(call)).outcome is Outcome.ACTION_REQUIRED
    assert shown(sandbox, call)["taxFreeAmount"] == 3_400


@pytest.fixture
async def nice(sandbox: SandboxServer) -> AsyncIterator[Rig]:
    rig = nice_rig(sandbox)
    yield rig
    await rig.close()


async def refused(rig: Rig, call: Call) -> str:
    """NICE's code for a refusal."""
    answer = await rig.gateway.perform(call)
    assert (answer.outcome, rig.money(call).net) == (Outcome.DECLINED, 10_000)
    assert answer.decline is not None
    return answer.decline.code


async def test_nice_gives_back_no_more_without_tax_than_it_has_taken_so(nice: Rig) -> None:
    charge = charging(nice, free=3_000)
    reference = (await succeeded(nice, charge)).reference
    assert await refused(nice, giving_back(nice, charge, 4_000, reference, free=3_001)) == "U319"
    for amount, free in ((4_000, 1_000), (2_000, 2_000), (4_000, 0)):
        await succeeded(nice, giving_back(nice, charge, amount, reference, free=free))
    assert nice.money(charge).net == 0


async def test_nice_is_told_in_the_window(nice: Rig) -> None:
    call = a_window_call(nice, tax_free=3_000)
    returned, _ = await through_the_window(nice, call, action="approve", instrument="tok_ok")
    reference = (await succeeded(nice, returned)).reference
    assert await refused(nice, giving_back(nice, call, 4_000, reference, free=3_001)) == "U319"
    await succeeded(nice, giving_back(nice, call, 4_000, reference, free=3_000))


async def test_nice_takes_no_more_without_tax_than_all(nice: Rig) -> None:
    charge = charging(nice, free=10_001)
    answer = await nice.gateway.perform(charge)
    assert (answer.outcome, answer.evidence.detail) == (Outcome.UNKNOWN, "P036")
    assert nice.money(charge).rows == ()


@pytest.mark.parametrize("vendor", sorted(VENDORS))
async def test_an_account_is_told_only_if_it_is_set_so_and_its_vendor_has_words_for_it(vendor: str) -> None:
    """What comes of it is that an attempt there is told, see `Attempt.reports_tax`."""
    plain = Account("a", "http://127.0.0.1:1", "sk_test_key", "aa", "merchant")
    gateway = build_gateway(vendor, plain)
    assert not gateway.capabilities().reports_tax
    await gateway.close()
    told = dataclasses.replace(plain, reports_tax=True)
    if vendor in {"nice", "toss"}:
        gateway = build_gateway(vendor, told)
        assert gateway.capabilities().reports_tax
        await gateway.close()
    else:
        with pytest.raises(MisconfiguredGateway, match="reports_tax"):
            build_gateway(vendor, told)
