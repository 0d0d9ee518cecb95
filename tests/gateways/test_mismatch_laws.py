"""An answer that is not about what was asked becomes an issue: by its amount, its currency or its references."""

import dataclasses
from collections.abc import Callable

import httpx
import pytest

from domain.gateway import Answer, Call, Issue, OperationKind
from tests.gateways.rig import LOOKUP, MOVES, Rig, prepared, sent_again, succeeded
from tests.gateways.rigs.alteration import Alteration, Change, about_another, in_yen

LATER = pytest.mark.parametrize("looked_up", [False, True], ids=["answer", "lookup"])


@pytest.mark.parametrize("kind", MOVES)
async def test_an_answer_with_another_amount_carries_the_issue(rig: Rig, kind: OperationKind) -> None:
    if kind in rig.silent:
        pytest.skip("states no amount")
    call = await prepared(rig, kind)
    rig.arm("wrong_amount", kind)
    assert (await rig.gateway.perform(call)).issues == (Issue.AMOUNT_MISMATCH,)
    done = await sent_again(rig, call)
    if LOOKUP in rig.silent:
        return
    rig.arm("wrong_amount", LOOKUP)
    asking = dataclasses.replace(rig.about(call, LOOKUP), reference=done.reference)
    assert (await rig.gateway.perform(asking)).issues == (Issue.AMOUNT_MISMATCH,)


@LATER
@pytest.mark.parametrize("kind", MOVES)
async def test_an_answer_in_another_currency_carries_the_issue(
    rig: Rig, kind: OperationKind, *, looked_up: bool
) -> None:
    if kind in rig.silent and not looked_up:
        pytest.skip("states no currency")
    call = await prepared(rig, kind)
    answer = await altered(rig, call, lambda _: in_yen, looked_up=looked_up)
    assert answer.issues == (Issue.CURRENCY_MISMATCH,)


@LATER
@pytest.mark.parametrize("kind", MOVES)
async def test_an_answer_about_another_reference_of_ours_carries_the_issue(
    rig: Rig, kind: OperationKind, *, looked_up: bool
) -> None:
    call = await prepared(rig, kind)
    answer = await altered(rig, call, lambda _: about_another(call.merchant_ref), looked_up=looked_up)
    assert answer.issues == (Issue.REFERENCE_MISMATCH,)


@LATER
@pytest.mark.parametrize("kind", MOVES)
async def test_an_answer_about_another_payment_of_the_gateway_carries_the_issue(
    rig: Rig, kind: OperationKind, *, looked_up: bool
) -> None:
    call = await prepared(rig, kind)
    if call.reference is None and not looked_up:
        pytest.skip("the gateway's own reference is not known before its first answer")
    answer = await altered(rig, call, about_another, looked_up=looked_up)
    assert answer.issues == (Issue.REFERENCE_MISMATCH,)


async def altered(rig: Rig, call: Call, change: Callable[[str], Change], *, looked_up: bool) -> Answer:
    """The real answer to ``call``, or to a lookup of it when it has happened, as changed on the way.

    ``change`` is told the gateway's reference, or nothing.
    """
    if looked_up and LOOKUP in rig.silent:
        pytest.skip("asks the PG nothing: its verified events are read")
    if looked_up:
        done = await succeeded(rig, call)
        call = dataclasses.replace(rig.about(call, LOOKUP), reference=done.reference)
    transport = Alteration(change(call.reference or ""))
    async with httpx.AsyncClient(transport=transport) as client:
        answer = await rig.another(client=client).perform(call)
    assert transport.touched
    return answer
