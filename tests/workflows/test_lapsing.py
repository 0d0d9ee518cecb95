"""A hold that is about to lapse waits for nobody, least of all for another payment that has no answer yet."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from typing_extensions import override

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
from workflows.order import OrderWorkflow

SOON = timedelta(seconds=1)
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
        """Nobody gives a command."""
        raise AssertionError("no command was given")

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


async def run_order(shop: Shop, steps: Scripted) -> CheckoutAnswer:
    """An order's workflow on a worker of its own, from its reopening to its end."""
    name = f"lapsing-{uuid4()}"
    activities = [steps.read_order, steps.expire_order]
    async with Worker(
        shop.client,
        task_queue=name,
        workflows=[OrderWorkflow],
        activities=activities,
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        start = OrderInput(STORE, name)
        limit = timedelta(seconds=PATIENCE)
        return await shop.client.execute_workflow(
            OrderWorkflow.run, start, id=name, task_queue=name, execution_timeout=limit
        )


@pytest.mark.parametrize(
    ("decided", "window", "hold", "first"),
    [
        (False, None, SOON, "hold"),
        (False, SOON, 2 * SOON, "hold"),
        (True, SOON, 2 * SOON, "window"),
        (True, 2 * SOON, SOON, "hold"),
    ],
    ids=["undecided", "undecided, its window over", "decided, window first", "decided, hold first"],
)
async def test_only_the_payment_window_waits_for_a_payment_to_be_decided(
    shop: Shop, decided: bool, window: timedelta | None, hold: timedelta, first: str
) -> None:
    progress = within(replace(UNDECIDED, decided=decided), window=window, hold=hold)
    steps = Scripted(progress)
    assert (await run_order(shop, steps)).status == "completed"
    due = {"window": progress.expires_at, "hold": progress.lapses_at}[first]
    [at] = steps.expired
    assert due is not None
    assert due <= at < due + SOON
