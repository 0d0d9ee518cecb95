"""The slow work: commands that were promised but never sent, and a look at every order that these tests have made."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from temporalio.converter import decode_typed_search_attributes

from commands.command import COMMAND
from contracts.command import Body, Command, Deliver, RefundMoney, Ship
from contracts.queues import OPMS_NUMBER, OPMS_STORE, UPDATES
from contracts.upkeep import Drift
from domain.states import OrderStatus
from tests.stack import STORE, Shop, a_checkout
from tests.workflows.test_commands import deliver_all

PROMISE = """
    INSERT INTO command (id, store_id, number, kind, status, actor, body, result, accepted_at)
    VALUES (:id, :store, :number, :kind, 'accepted', 'staff', CAST(:body AS jsonb), '{}', :at)
"""


async def promised(shop: Shop, number: str, body: Body) -> UUID:
    """A command's row whose signal was never sent: the process died in between."""
    command = Command(uuid4(), STORE, number, "staff", body)
    document = json.dumps(COMMAND.dump_python(command, mode="json")["body"])
    at = datetime.now(UTC) - timedelta(minutes=5)
    await shop.sql(PROMISE, id=command.id, store=STORE, number=number, kind=body.kind, body=document, at=at)
    return command.id


async def relay(shop: Shop) -> None:
    """What the schedule does every half minute."""
    await shop.client.execute_workflow("Relay", id=f"relay-{uuid4()}", task_queue=UPDATES)


async def test_promised_commands_are_sent_to_whoever_decides_them_running_or_closed(shop: Shop) -> None:
    number = await shop.placed()
    given = [await promised(shop, number, Ship(1, "CJ", "1")), await promised(shop, number, RefundMoney("x", amount=1))]
    await relay(shop)
    assert [(await shop.decided(c))["status"] for c in given] == ["applied", "applied"]
    await shop.applied(number, Deliver(1))
    await deliver_all(shop, number)
    await shop.closes(number)
    late = [await promised(shop, number, RefundMoney("y", amount=2)), await promised(shop, number, Ship(1, "CJ", "2"))]
    await relay(shop)
    assert [(await shop.decided(c))["status"] for c in late] == ["applied", "rejected"]
    await shop.closes(number)
    assert (await shop.order(number)).refunded == 3


async def introduced(shop: Shop, number: str, section: int | None = None) -> tuple[str | None, str | None, str | None]:
    """What the last run was started with for an operator to find it by: store, number, summary."""
    handle = shop.workflow(number, section)
    begun = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes
    found = decode_typed_search_attributes(begun.search_attributes)
    return found.get(OPMS_STORE), found.get(OPMS_NUMBER), await (await handle.describe()).static_summary()


async def test_what_a_schedule_or_a_section_starts_again_says_whose_it_is(shop: Shop) -> None:
    number = await shop.placed(capture="on_shipment")
    of_order = (STORE, number, f"Order {number}")
    of_section = (STORE, number, f"Section 1 of order {number}")
    assert (await introduced(shop, number), await introduced(shop, number, 1)) == (of_order, of_section)
    await shop.workflow(number).terminate("by an operator")
    await shop.applied(number, Ship(1, "CJ", "1"))
    await shop.becomes(number, "what was shipped is captured", lambda o: o.captured > 0)
    assert await introduced(shop, number) == of_order
    for section in (None, 1):
        await shop.workflow(number, section).terminate("by an operator")
    given = [await promised(shop, number, Deliver(1)), await promised(shop, number, RefundMoney("x", amount=1))]
    await relay(shop)
    assert [(await shop.decided(c))["status"] for c in given] == ["applied", "applied"]
    assert (await introduced(shop, number), await introduced(shop, number, 1)) == (of_order, of_section)


async def test_money_that_goods_have_earned_is_taken_though_the_orders_workflow_is_gone(shop: Shop) -> None:
    placed = await shop.checkout(a_checkout(capture="on_shipment"))
    await shop.workflow(placed.number).terminate("by an operator")
    await deliver_all(shop, placed.number)
    await shop.closes(placed.number)
    order = await shop.order(placed.number)
    assert (order.status, order.captured) == (OrderStatus.COMPLETED, 57700)


async def test_none_of_all_these_orders_has_drifted_and_one_that_is_bent_is_found(shop: Shop) -> None:
    number = await shop.placed()
    for bent, found in (("partially_shipped", (number,)), ("unfulfilled", ())):
        change = "UPDATE orders SET fulfillment_status = :bent WHERE store_id = :store AND number = :number"
        await shop.sql(change, bent=bent, store=STORE, number=number)
        drift = await shop.client.execute_workflow(
            "Housekeeping", id=f"housekeeping-{uuid4()}", task_queue=UPDATES, result_type=Drift
        )
        assert drift.orders == found
        assert drift.checked > 0
