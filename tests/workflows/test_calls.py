"""What becomes of calls that wait for a worker, or for nothing any more, and of an answer that cannot be."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes
from temporalio.client import WorkflowHandle
from temporalio.testing import ActivityEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from typing_extensions import override

from activities.order import OrderActivities
from commands.webhook import send_hint
from contracts.command import Cancel, Command, Judge
from contracts.order import ApplyCommand, CheckoutAnswer, OrderInput, OrderRef, Progress, RecordAnswer
from contracts.queues import RESEND_WAITS
from domain.gateway import Answer, Call, OperationKind, Outcome
from domain.payment import operation_key
from domain.resolution import Ask, DueCall
from tests.stack import STORE, Shop, a_checkout, until
from tests.workflows.test_completion import charge
from tests.workflows.test_forgotten import confirmed_by_its_customer
from tests.workflows.test_lapsing import CLOSED, UNDECIDED, Scripted
from tests.workflows.test_webhook import is_paid
from workflows.order import OrderWorkflow

HOUR = 3600


class Judged(Scripted):
    """An order that asks an account without a worker, until a person decides what it asks about: then it closes."""

    @override
    @activity.defn
    async def apply_command(self, request: ApplyCommand) -> Progress:
        """It is decided."""
        return CLOSED


class GivenUp(Judged):
    """An order that is given up: from then on something else is due about its operation."""

    def __init__(self, first: Progress, then: Progress) -> None:
        super().__init__(first)
        self._then = then

    @override
    @activity.defn
    async def apply_command(self, request: ApplyCommand) -> Progress:
        """It is canceled."""
        return self._then


def a_call(*, not_after: datetime | None = None) -> Call:
    """A refund at an account that nobody works for."""
    operation_id = uuid4()
    return Call(
        operation_id=operation_id,
        kind=OperationKind.REFUND,
        account=f"nobody-{operation_id.hex[:8]}",
        merchant_ref=f"op-{operation_id.hex}",
        key=operation_key(operation_id, OperationKind.REFUND),
        amount=1000,
        currency="KRW",
        method="card",
        not_after=not_after,
    )


def due(call: Call, *, delay_seconds: int = 0) -> Progress:
    """An order that waits for nothing but this call."""
    return replace(UNDECIDED, decided=True, calls=(DueCall(call, delay_seconds),))


@asynccontextmanager
async def running(shop: Shop, steps: Judged) -> AsyncIterator[WorkflowHandle[OrderWorkflow, CheckoutAnswer]]:
    """An order's workflow that is reopened, on a worker of its own."""
    name = f"calls-{uuid4()}"
    async with Worker(
        shop.client,
        task_queue=name,
        workflows=[OrderWorkflow],
        activities=[steps.read_order, steps.apply_command],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield await shop.client.start_workflow(
            OrderWorkflow.run,
            OrderInput(STORE, name),
            id=name,
            task_queue=name,
            execution_timeout=2 * RESEND_WAITS,
        )


async def scheduled(
    handle: WorkflowHandle[OrderWorkflow, CheckoutAnswer],
) -> list[ActivityTaskScheduledEventAttributes]:
    """The calls that were given to the account's queue."""
    history = await handle.fetch_history()
    calls = [e for e in history.events if e.HasField("activity_task_scheduled_event_attributes")]
    return [e.activity_task_scheduled_event_attributes for e in calls]


async def the_call(
    handle: WorkflowHandle[OrderWorkflow, CheckoutAnswer],
) -> ActivityTaskScheduledEventAttributes:
    """The only one, once it is given."""

    async def given() -> ActivityTaskScheduledEventAttributes | None:
        found = await scheduled(handle)
        return found[0] if found else None

    return await until("the call is given to the account's queue", given)


async def test_a_call_that_waits_is_dropped_when_its_operation_is_decided_meanwhile(shop: Shop) -> None:
    call = a_call()
    async with running(shop, Judged(due(call, delay_seconds=HOUR))) as handle:

        async def waiting() -> bool:
            history = await handle.fetch_history()
            return any(e.HasField("timer_started_event_attributes") for e in history.events)

        await until("the call waits for its time", waiting)
        judged = Command(uuid4(), STORE, handle.id, "staff", Judge(call.operation_id, "declined", "seen"))
        await handle.signal(OrderWorkflow.submit, judged)

        async def closed() -> bool:
            return (await handle.describe()).close_time is not None

        await until("nothing keeps the order open", closed)
        assert (await handle.result()).status == CLOSED.status
        assert await scheduled(handle) == []


async def test_a_call_that_waits_gives_way_to_another_kind_of_call_about_its_operation(shop: Shop) -> None:
    call = replace(a_call(), kind=OperationKind.LOOKUP)
    undoing = replace(call, kind=OperationKind.NEUTRALIZE)
    async with running(shop, GivenUp(due(call, delay_seconds=HOUR), due(undoing, delay_seconds=HOUR))) as handle:
        await handle.signal(OrderWorkflow.submit, Command(uuid4(), STORE, handle.id, "staff", Cancel("never mind")))
        asked = await the_call(handle)
        assert b'"neutralize"' in asked.input.payloads[0].data
        await handle.terminate("seen enough")


@pytest.mark.parametrize("sent_before", [True, False])
async def test_only_a_call_that_was_sent_before_waits_for_a_worker_no_longer_than_that(
    shop: Shop, sent_before: bool
) -> None:
    forgotten_at = datetime.now(UTC) + timedelta(hours=1) if sent_before else None
    async with running(shop, Judged(due(a_call(not_after=forgotten_at)))) as handle:
        waits = (await the_call(handle)).schedule_to_start_timeout.ToTimedelta()
        assert (waits == RESEND_WAITS) is sent_before
        assert waits >= RESEND_WAITS
        await handle.terminate("seen enough")


async def test_an_answer_that_cannot_be_keeps_the_order_from_nothing_that_comes_later(shop: Shop) -> None:
    number = (await shop.checkout(a_checkout(token="tok_3ds"))).number
    await shop.workflow(number).terminate("so that nobody else asks")
    asked = charge(await shop.order(number))
    paid = Answer(Outcome.SUCCEEDED, reference="pay-1")
    capabilities = {account: gateway.capabilities() for account, gateway in shop.gateways.items()}
    steps = OrderActivities(shop.resources.database, capabilities)
    bend = "UPDATE payment SET status = :status WHERE id = :id"
    await shop.sql(bend, status="created", id=asked.payment_id)  # What was never tried cannot be paid.
    request = RecordAnswer(OrderRef(STORE, number, "test"), asked.id, Ask.LOOKUP, paid)
    progress: Progress = await ActivityEnvironment().run(steps.record_answer, request)
    seen = charge(await shop.order(number))
    assert (seen.outcome, seen.tries) == (Outcome.ACTION_REQUIRED, asked.tries + 1)
    assert seen.detail is not None
    assert seen.detail.startswith("payment (card) is created and cannot become")
    assert [(due.call.operation_id, due.tries) for due in progress.calls] == [(asked.id, seen.tries)]
    await shop.sql(bend, status="action_required", id=asked.payment_id)
    await confirmed_by_its_customer(shop, await shop.order(number))
    await send_hint(shop.client, STORE, number)
    assert (await shop.becomes(number, "it is paid", is_paid)).captured == 57700


async def test_an_answer_that_is_written_again_after_its_commit_counts_once(shop: Shop) -> None:
    number = (await shop.checkout(a_checkout(token="tok_3ds"))).number
    await shop.workflow(number).terminate("so that nobody else asks")
    asked = charge(await shop.order(number))
    capabilities = {account: gateway.capabilities() for account, gateway in shop.gateways.items()}
    steps = OrderActivities(shop.resources.database, capabilities)
    silence = Answer(Outcome.UNKNOWN)
    request = RecordAnswer(OrderRef(STORE, number, "test"), asked.id, Ask.LOOKUP, silence, tries=asked.tries)
    for _ in range(2):
        await ActivityEnvironment().run(steps.record_answer, request)
    assert charge(await shop.order(number)).tries == asked.tries + 1
