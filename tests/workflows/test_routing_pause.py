"""An account that rests: new payments go elsewhere, captures and refunds wait for it and then run."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata

from commands.routing import pause_gateway, wake_orders
from contracts.command import Capture, Deliver, RefundMoney, Ship
from domain.checkout import AskedPayment
from domain.gateway import OperationKind, Outcome
from domain.order import Order
from domain.states import ItemState
from tests.stack import ACCOUNTS, STORE, Shop, a_checkout, until

BY_CARD = (AskedPayment("card", 57700, "tok_ok"),)


async def pause(shop: Shop, account: str) -> None:
    await pause_gateway(shop.resources.database, STORE, account, paused=True)


async def resume(shop: Shop, account: str) -> int:
    await pause_gateway(shop.resources.database, STORE, account, paused=False)
    return await wake_orders(shop.client, shop.resources.database, account)


@pytest.fixture(autouse=True)
async def nobody_rests(shop: Shop) -> AsyncIterator[None]:
    yield
    for account in ACCOUNTS:
        await pause_gateway(shop.resources.database, STORE, account, paused=False)


def card_account(order: Order) -> str:
    return next(a.account for a in order.attempts if a.account in ACCOUNTS)


async def waits(shop: Shop, number: str, account: str) -> None:
    """The order's workflow says that it waits for the account."""

    async def said() -> bool:
        handle = shop.workflow(number)
        told = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        return f"{account} to be resumed" in told.current_details

    await until(f"{number} waits for {account}", said)


def sent(shop: Shop, order: Order, kind: OperationKind) -> list[dict[str, Any]]:
    """What the PG's own ledger has of this order's payment."""
    rows = shop.sandbox.ledger(merchant_ref=order.attempts[0].merchant_ref)["operations"]
    return [row for row in rows if row["operation"] == kind.value]


def refunded(amount: int) -> Callable[[Order], bool]:
    return lambda order: order.refunded == amount


async def test_a_refund_waits_for_its_account_and_runs_when_it_is_resumed(shop: Shop) -> None:
    number = await shop.placed(payments=BY_CARD)
    account = card_account(await shop.order(number))
    other = next(name for name in ACCOUNTS if name != account)
    await pause(shop, account)
    refund = await shop.submit(number, RefundMoney("late", amount=1000))
    await waits(shop, number, account)
    order = await shop.order(number)
    assert [(o.outcome, o.tries) for o in order.operations if o.kind is OperationKind.REFUND] == [
        (Outcome.INITIATED, 0)
    ]
    assert (await shop.command(refund))["status"] == "accepted"
    for _ in range(3):
        fresh = await shop.order(await shop.placed(payments=BY_CARD))
        assert card_account(fresh) == other
        reasons = {each["account"]: each["reason"] for each in fresh.attempts[0].decision["candidates"]}  # type: ignore[index]
        assert reasons[account] == "paused"
    assert (await shop.order(number)).refunded == 0
    assert sent(shop, order, OperationKind.REFUND) == []
    assert await resume(shop, account) == 1
    assert (await shop.decided(refund))["status"] == "applied"
    order = await shop.order(number)
    assert (order.refunded, len(sent(shop, order, OperationKind.REFUND))) == (1000, 1)


async def test_a_capture_waits_too_and_a_look_while_it_rests_sends_nothing(shop: Shop) -> None:
    placed = await shop.checkout(a_checkout(payments=BY_CARD, capture="manual"))
    number = placed.number
    order = await shop.becomes(number, "it is prepared", lambda o: {i.state for i in o.items} == {ItemState.PREPARING})
    account = card_account(order)
    await pause(shop, account)
    capture = await shop.submit(number, Capture(amount=1000))
    await waits(shop, number, account)
    seen = (await shop.workflow(number).describe()).history_length
    await shop.workflow(number).signal("look_again")

    async def looked() -> bool:
        return (await shop.workflow(number).describe()).history_length > seen + 5

    await until("it has looked again", looked)
    await waits(shop, number, account)
    order = await shop.order(number)
    assert sent(shop, order, OperationKind.CAPTURE) == []
    await resume(shop, account)
    assert (await shop.decided(capture))["status"] == "applied"
    assert len(sent(shop, await shop.order(number), OperationKind.CAPTURE)) == 1


async def test_a_refund_of_a_closed_order_waits_in_its_new_run(shop: Shop) -> None:
    number = await shop.placed(payments=BY_CARD)
    for section in (1, 2):
        await shop.applied(number, Ship(section, "CJ", "1"))
        await shop.applied(number, Deliver(section))
    await shop.closes(number)
    account = card_account(await shop.order(number))
    await pause(shop, account)
    refund = await shop.submit(number, RefundMoney("late", amount=1000))
    await waits(shop, number, account)
    operation = next(o for o in (await shop.order(number)).operations if o.kind is OperationKind.REFUND)
    assert operation.outcome is Outcome.INITIATED
    await resume(shop, account)
    assert (await shop.decided(refund))["status"] == "applied"
    await shop.becomes(number, "it is refunded", refunded(1000))
    await shop.closes(number)
