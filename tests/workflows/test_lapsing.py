"""A hold that is about to lapse waits for nobody, least of all for another payment that has no answer yet.

Orders that are scripted: what a run does when its clock, its commands and its steps say this and that.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from typing_extensions import override

from contracts.command import Cancel, Command
from contracts.order import (
    ApplyCommand,
    CheckoutAnswer,
    NoteNewNumber,
    OpenOrder,
    OrderInput,
    OrderRef,
    OrderSteps,
    Progress,
    RecordAnswer,
)
from tests.stack import PATIENCE, STORE, Shop
from workflows.order import EXPIRE_AGAIN_AFTER, OrderWorkflow

SOON, LATE = timedelta(seconds=1), timedelta(hours=1)
"""The test ends, and fails, long before the second."""
UNDECIDED = Progress(
    status="placed",
    payment_status="authorized",
    version=1,
    needs_attention=False,
    closed=False,
    decided=False,
    waits_for="pg-a to answer authorize",
)
CLOSED = Progress(
    status="completed",
    payment_status="paid",
    version=2,
    needs_attention=False,
    closed=True,
    decided=True,
    waits_for="nothing",
)


class Scripted(OrderSteps):
    """An order whose PG never answers, and that closes when what was due is done."""

    def __init__(self, first: Progress) -> None:
        self.first = first
        self.expired: list[datetime] = []
        self.decided: list[Command] = []

    @override
    @activity.defn
    async def read_order(self, request: OrderRef) -> Progress:
        """Undecided, with whatever is due."""
        return self.first

    @override
    @activity.defn
    async def expire_order(self, request: OrderRef) -> Progress:
        """The moment is noted and the order closes."""
        self.expired.append(datetime.now(UTC))
        return CLOSED

    @override
    @activity.defn
    async def open_order(self, request: OpenOrder) -> Progress:
        """The order is there already."""
        raise AssertionError("an order that is reopened is not opened")

    @override
    @activity.defn
    async def apply_command(self, request: ApplyCommand) -> Progress:
        """The command is noted and the order closes."""
        self.decided.append(request.command)
        return CLOSED

    @override
    @activity.defn
    async def record_answer(self, request: RecordAnswer) -> Progress:
        """The PG never answers."""
        raise AssertionError("nothing was asked of a PG")

    @override
    @activity.defn
    async def note_new_number(self, request: NoteNewNumber) -> None:
        """Nothing is bought again."""
        raise AssertionError("no number was drawn")


def within(progress: Progress, *, window: timedelta | None, hold: timedelta) -> Progress:
    """With a payment window and a hold that end so long from now."""
    now = datetime.now(UTC)
    return replace(progress, expires_at=now + window if window else None, lapses_at=now + hold)


OrderHandle = WorkflowHandle[OrderWorkflow, CheckoutAnswer]


async def begin(shop: Shop) -> OrderHandle:
    """An order's workflow that is reopened, on a queue of its own that no worker looks at yet."""
    name = f"lapsing-{uuid4()}"
    limit = timedelta(seconds=PATIENCE)
    return await shop.client.start_workflow(
        OrderWorkflow.run, OrderInput(STORE, name), id=name, task_queue=name, execution_timeout=limit
    )


async def finish(shop: Shop, steps: Scripted, order: OrderHandle) -> CheckoutAnswer:
    """Its worker comes and stays until its end."""
    async with Worker(
        shop.client,
        task_queue=order.id,
        workflows=[OrderWorkflow],
        activities=[steps.read_order, steps.expire_order, steps.apply_command],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        return await order.result()


@pytest.mark.parametrize(
    ("decided", "window", "hold", "first"),
    [
        (False, None, SOON, "hold"),
        (False, SOON, 2 * SOON, "hold"),
        (True, SOON, LATE, "window"),
        (True, LATE, SOON, "hold"),
    ],
    ids=["undecided", "undecided, its window over", "decided, window first", "decided, hold first"],
)
async def test_only_the_payment_window_waits_for_a_payment_to_be_decided(
    shop: Shop, decided: bool, window: timedelta | None, hold: timedelta, first: str
) -> None:
    progress = within(replace(UNDECIDED, decided=decided), window=window, hold=hold)
    steps = Scripted(progress)
    assert (await finish(shop, steps, await begin(shop))).status == "completed"
    due = {"window": progress.expires_at, "hold": progress.lapses_at}[first]
    [at] = steps.expired
    assert due is not None
    assert at >= due


async def test_the_window_waits_for_a_charge_that_no_worker_has_taken_whoever_looks(shop: Shop) -> None:
    steps = Scripted(within(replace(UNDECIDED, unsent=True), window=-SOON, hold=3 * SOON))
    order = await begin(shop)
    await order.signal(OrderWorkflow.look_again)
    await finish(shop, steps, order)
    [at] = steps.expired
    assert steps.first.lapses_at is not None
    assert at >= steps.first.lapses_at


class Behind(Scripted):
    """A worker whose clock is two seconds behind Temporal's: what is due to the one is not to the other."""

    @override
    @activity.defn
    async def expire_order(self, request: OrderRef) -> Progress:
        """Nothing is due yet, the first time."""
        self.expired.append(datetime.now(UTC))
        return self.first if len(self.expired) == 1 else CLOSED


async def test_a_worker_whose_clock_is_behind_is_not_asked_in_a_loop(shop: Shop) -> None:
    steps = Behind(within(replace(UNDECIDED, decided=True), window=SOON, hold=timedelta(days=1)))
    await finish(shop, steps, await begin(shop))
    first, second = steps.expired
    assert second - first >= EXPIRE_AGAIN_AFTER - SOON


async def test_a_command_that_is_sent_again_while_no_worker_is_there_is_decided_once(shop: Shop) -> None:
    steps = Scripted(UNDECIDED)
    order = await begin(shop)
    command = Command(uuid4(), STORE, order.id, "staff", Cancel("never mind"))
    await asyncio.gather(*(order.signal(OrderWorkflow.submit, command) for _ in range(20)))
    await finish(shop, steps, order)
    assert steps.decided == [command]
