"""A workflow's end, by itself or by violence, is never the order's end."""

from datetime import timedelta

from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import TimeSkipper

from contracts.command import Deliver, RefundMoney, Ship
from contracts.order import OrderInput
from contracts.queues import ORDERS
from domain.number import order_workflow_id
from domain.states import OrderStatus, SectionStatus
from tests.stack import STORE, Shop, until
from tests.workflows.test_commands import deliver_all
from workflows.order import RESTART_SECTION_AFTER, OrderWorkflow


async def test_a_refund_reopens_a_closed_order_which_closes_again(shop: Shop) -> None:
    number = await shop.placed()
    await deliver_all(shop, number)
    await shop.closes(number)
    first = await shop.workflow(number).describe()
    order = await shop.applied(number, RefundMoney("broken", amount=5000))
    await shop.closes(number)
    last = await shop.workflow(number).describe()
    assert last.run_id != first.run_id
    assert (order.refunded, (await shop.order(number)).status) == (5000, OrderStatus.COMPLETED)


async def test_an_order_whose_workflow_was_terminated_goes_on_with_its_next_command_and_completes(shop: Shop) -> None:
    number = await shop.placed()
    await shop.workflow(number).terminate("by an operator")
    assert (await shop.applied(number, RefundMoney("sorry", amount=1000))).refunded == 1000
    assert (await shop.workflow(number).describe()).status is WorkflowExecutionStatus.RUNNING
    await deliver_all(shop, number)
    await shop.closes(number)
    assert (await shop.order(number)).status is OrderStatus.COMPLETED


async def test_goods_move_on_while_their_orders_workflow_is_gone(shop: Shop) -> None:
    number = await shop.placed()
    await shop.workflow(number).terminate("by an operator")
    await deliver_all(shop, number)
    order = await shop.order(number)
    assert (order.status, {s.status for s in order.sections}) == (OrderStatus.COMPLETED, {SectionStatus.COMPLETED})


async def test_a_section_whose_workflow_was_terminated_goes_on_with_its_next_command(shop: Shop) -> None:
    number = await shop.placed()
    await shop.workflow(number, 1).terminate("by an operator")
    await shop.applied(number, Ship(1, "CJ", "1"))
    await shop.applied(number, Deliver(1))
    await deliver_all(shop, number)
    assert (await shop.order(number)).status is OrderStatus.COMPLETED


async def test_a_section_whose_workflow_was_terminated_is_started_again_by_itself(shop: Shop) -> None:
    number = await shop.placed()
    await shop.applied(number, Ship(2, "CJ", "1"))
    await shop.applied(number, Deliver(2))
    section = shop.workflow(number, 1)
    first = await section.describe()
    await section.terminate("by an operator")

    async def noticed() -> bool:
        history = await shop.workflow(number).fetch_history()
        return any(e.HasField("timer_started_event_attributes") for e in history.events)

    await until("the order knows that its section is gone", noticed)
    skipper = TimeSkipper(shop.client)  # It can skip only while nothing else of the order is on its way.
    await skipper.fast_forward(shop.workflow(number), RESTART_SECTION_AFTER + timedelta(seconds=1))

    async def restarted() -> bool:
        described = await section.describe()
        return described.run_id != first.run_id and described.status is WorkflowExecutionStatus.RUNNING

    await until("the section is started again", restarted)
    await deliver_all(shop, number)
    await shop.closes(number)
    assert (await shop.order(number)).status is OrderStatus.COMPLETED


async def test_an_order_is_found_by_its_number_whoever_started_it_again(shop: Shop) -> None:
    number = await shop.placed()
    await shop.workflow(number).terminate("by an operator")
    await shop.client.start_workflow(
        OrderWorkflow.run, OrderInput(STORE, number), id=order_workflow_id(STORE, number), task_queue=ORDERS
    )

    async def found() -> bool | None:
        query = f"OpmsNumber = '{number}' AND OpmsStore = '{STORE}' AND ExecutionStatus = 'Running'"
        runs = [run.id async for run in shop.client.list_workflows(f"{query} AND WorkflowType = 'Order'")]
        return runs == [order_workflow_id(STORE, number)] or None

    await until("the new run is found by its number", found)
