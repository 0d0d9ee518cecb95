"""Calls to PGs, a component of the order's workflow.

Each due call runs as a task, its answer is recorded, what follows from it is due next. The order stays the single
writer of its money; a call in doubt waits here, for days if need be, and so does what an account that rests is to do.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from contracts.order import OrderRef, OrderSteps, Progress, RecordAnswer
    from contracts.payment import PaymentSteps
    from contracts.queues import (
        GATEWAY_CALL_RETRY,
        GATEWAY_CALL_TIMEOUT,
        RESEND_WAITS,
        STORE_STEP_RETRY,
        STORE_STEP_TIMEOUT,
        gateway_queue,
    )
    from domain.fingerprint import fingerprint
    from domain.gateway import Answer, Call, Evidence, OperationKind, Outcome
    from domain.resolution import Ask, DueCall

ASKED = {OperationKind.LOOKUP: Ask.LOOKUP, OperationKind.NEUTRALIZE: Ask.NEUTRALIZE}


@dataclass
class _Task:
    task: "asyncio.Task[None]"
    waits_to: OperationKind | None
    """What it is to do when its time has come; None: it is doing it."""
    urgent: DueCall | None = None
    """What is due now, in place of what it waits to ask."""


class Calls:
    """The calls of one order that are on their way. ``absorb`` is told the progress after each answer."""

    def __init__(self, ref: OrderRef, absorb: Callable[[Progress], None]) -> None:
        self._ref = ref
        self._absorb = absorb
        self._tasks: dict[UUID, _Task] = {}
        self.trace: str | None = None
        """The request that led to what is called now."""
        self._hints = 0
        self._suspended = False

    @property
    def idle(self) -> bool:
        """Nothing is on its way."""
        return not self._tasks

    def start(self, due: DueCall) -> None:
        """Begin a call, unless one about the same operation is on its way.

        One that only waits gives way to one that is due now, and to one that does something else: the order has ended.
        """
        operation_id = due.call.operation_id
        running = self._tasks.get(operation_id)
        if running is not None:
            if running.waits_to and (not due.delay_seconds or due.call.kind is not running.waits_to):
                running.urgent = due
        elif not self._suspended:
            self._tasks[operation_id] = _Task(
                asyncio.create_task(self._run(due)), waits_to=due.call.kind if due.delay_seconds else None
            )

    def keep(self, due: Collection[UUID]) -> None:
        """Drop what waits to be asked about operations that have their end by now; what is sent is let be."""
        for operation_id, running in self._tasks.items():
            if running.waits_to and operation_id not in due:
                running.task.cancel()

    def hint(self) -> None:
        """Somebody says that there is news: do not wait any longer before asking."""
        self._hints += 1

    async def suspend(self) -> None:
        """Stop waiting and let what is sent be recorded; the database knows what is due in the next run.

        Nothing new begins, else a PG that takes days to answer would keep this run, and its commands, as long.
        """
        self._suspended = True
        for running in self._tasks.values():
            if running.waits_to:
                running.task.cancel()
        await workflow.wait_condition(lambda: self.idle)

    async def _run(self, due: DueCall) -> None:
        operation_id = due.call.operation_id
        try:
            due = await self._wait(due)
            progress = await (self._look() if due.paused else self._ask(due))
        except asyncio.CancelledError:
            self._tasks.pop(operation_id, None)
            return
        self._tasks.pop(operation_id, None)
        self._absorb(progress)

    async def _wait(self, due: DueCall) -> DueCall:
        """What is to be asked once the time has come, or somebody hints, or something else is due at once."""
        if not due.delay_seconds:
            return due
        seen = self._hints
        running = self._tasks[due.call.operation_id]
        until = " is resumed" if due.paused else ""
        summary = f"before {due.call.kind} at {due.call.account}{until}"
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._hints > seen or running.urgent is not None,
                timeout=due.delay_seconds,
                timeout_summary=summary,
            )
        running.waits_to = None
        return running.urgent or due

    async def _look(self) -> Progress:
        """Has the account been resumed? Then the call is due again, without a wait."""
        ref = replace(self._ref, after_loss=False)
        return await workflow.execute_local_activity_method(
            OrderSteps.read_order, ref, start_to_close_timeout=STORE_STEP_TIMEOUT, retry_policy=STORE_STEP_RETRY
        )

    async def _ask(self, due: DueCall) -> Progress:
        call = replace(due.call, trace=self.trace)
        asked = ASKED.get(call.kind, Ask.SEND)
        sent = fingerprint(call) if asked is Ask.SEND else None
        answer = await self._call(call)
        return await workflow.execute_local_activity_method(
            OrderSteps.record_answer,
            RecordAnswer(self._ref, call.operation_id, asked, answer, sent, due.tries),
            start_to_close_timeout=STORE_STEP_TIMEOUT,
            retry_policy=STORE_STEP_RETRY,
        )

    async def _call(self, call: Call) -> Answer:
        """What the PG said; that a call timed out or its worker died says nothing about the money: unknown."""
        try:
            return await workflow.execute_activity_method(
                PaymentSteps.call_gateway,
                call,
                task_queue=gateway_queue(call.account),
                start_to_close_timeout=GATEWAY_CALL_TIMEOUT,
                schedule_to_start_timeout=RESEND_WAITS if call.not_after is not None else None,
                retry_policy=GATEWAY_CALL_RETRY,
                summary=f"{call.kind} {call.amount} {call.currency} at {call.account}",
            )
        except ActivityError as lost:
            if is_cancelled_exception(lost):
                raise
            return Answer(Outcome.UNKNOWN, evidence=Evidence(detail=f"no answer: {lost.cause or lost}"[:200]))
