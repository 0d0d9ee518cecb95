"""One order, from checkout to its end: the single writer of its commands and its money.

It opens the order, lets the PGs be called, starts a section's workflow for each open section, decides commands one at
a time, and closes when nothing can happen by itself. A later command starts it again: everything it needs is in the
database, so a run can be lost or continued as new at any point.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, ChildWorkflowError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from contracts.command import Command
    from contracts.order import (
        ApplyCommand,
        CheckoutAnswer,
        NewOrder,
        NoteNewNumber,
        OpenOrder,
        OrderInput,
        OrderRef,
        OrderSteps,
        Progress,
    )
    from contracts.owner import Owner
    from contracts.queues import (
        OPMS_NEEDS_ATTENTION,
        OPMS_NUMBER,
        OPMS_PAYMENT_STATUS,
        OPMS_STATUS,
        OPMS_STORE,
        STORE_STEP_RETRY,
        STORE_STEP_TIMEOUT,
    )
    from contracts.section import SectionClosed, SectionInput
    from domain.number import DICE_SIDES, renumbered
    from workflows.payment import Calls
    from workflows.section import SectionWorkflow
    from workflows.starting import signal

RESTART_SECTION_AFTER = timedelta(seconds=60)
"""A section's workflow that was terminated is started again after so long, if its goods still have to move."""
EXPIRE_AGAIN_AFTER = timedelta(seconds=5)
"""When what was due by Temporal's clock is not by the worker's: clocks differ, and asking at once would be a loop."""


@workflow.defn(name="Order")
class OrderWorkflow:
    """See the module."""

    @workflow.init
    def __init__(self, start: OrderInput) -> None:
        self._start = start
        self._inbox: list[Command] = list(start.pending)
        self._taken = {command.id for command in self._inbox}
        self._look = False
        self._leaving = False
        self._not_before = workflow.now()
        self._progress: Progress | None = None
        self._worked: Progress | None = None
        reopened = start.place is None and workflow.info().continued_run_id is None
        self._ref = OrderRef(start.store, start.number, workflow.info().workflow_id, after_loss=reopened)
        self._calls = Calls(self._ref, self._answered)
        self._calls.trace = start.place.request_id if start.place else None
        self._sections: set[int] = set()
        self._told: set[int] = set()
        self._followers: dict[int, asyncio.Task[None]] = {}
        self._shown: tuple[str, str, bool] | None = None
        self._new_orders: set[str] = set()

    @workflow.run
    async def run(self, start: OrderInput) -> CheckoutAnswer:  # noqa: ARG002 - `__init__` has it
        """Runs until nothing can happen by itself. Gives the status that the order ended with."""
        self._absorb(await self._begin())
        await self._work()
        while True:
            while not self._finished():
                if workflow.info().is_continue_as_new_suggested():
                    await self._continue()
                await self._wait()
                await self._work()
            await workflow.wait_condition(workflow.all_handlers_finished)
            if self._finished():  # Else a command has come while an update was being answered.
                return self._answer()

    @workflow.signal(description="A command from staff or a client; decided once by its id.")
    def submit(self, command: Command) -> None:
        """Durably accepted here; the run loop decides it. What was not decided in time is sent again: it is one."""
        if command.id in self._taken and workflow.patched("commands-once"):
            return
        self._taken.add(command.id)
        self._inbox.append(command)

    @workflow.signal(description="Look at the database again, and ask the PGs now instead of later.")
    def look_again(self) -> None:
        """A hint that something has changed."""
        self._look = True
        self._calls.hint()

    @workflow.signal(description="A section that is not this run's child has closed.")
    def section_closed(self, closed: SectionClosed) -> None:
        """Told by a section that was asked to report."""
        self._end_section(closed)

    @workflow.update(description="Wait for the checkout's outcome.")
    async def checkout(self, place_id: str) -> CheckoutAnswer:  # noqa: ARG002 - for the validator
        """Answers once the payment has an outcome: taken, declined, or waiting for the customer.

        A run that goes on as another one answers with where the order stands: it cannot leave before.
        """
        await workflow.wait_condition(lambda: self._progress is not None and (self._progress.decided or self._leaving))
        return self._answer()

    @checkout.validator
    def _is_mine(self, place_id: str) -> None:
        """The number belongs to another checkout: the caller draws again."""
        if self._start.place is None or str(self._start.place.id) != place_id:
            raise ApplicationError("this order number belongs to another checkout", type="number_taken")

    async def _begin(self) -> Progress:
        if self._start.place is not None:
            request = OpenOrder(self._start.store, self._start.number, self._start.place, self._ref.workflow_id)
            return await workflow.execute_local_activity_method(
                OrderSteps.open_order,
                request,
                start_to_close_timeout=STORE_STEP_TIMEOUT,
                retry_policy=STORE_STEP_RETRY,
            )
        progress = await self._read()
        self._ref = replace(self._ref, after_loss=False)  # From here on this run knows what it has sent.
        return progress

    async def _read(self) -> Progress:
        return await workflow.execute_local_activity_method(
            OrderSteps.read_order, self._ref, start_to_close_timeout=STORE_STEP_TIMEOUT, retry_policy=STORE_STEP_RETRY
        )

    async def _wait(self) -> None:
        """Until there is something to decide, the payment window is over, or a hold is about to lapse."""
        progress = self._known()
        now = workflow.now()
        window = None if progress.unsent else progress.expires_at
        if self._not_before <= now and any(at <= now for at in (window, progress.lapses_at) if at):
            await self._expire()
            return
        window = window if progress.decided else None  # Else the PG's answer comes by here again.
        due = min((max(at, self._not_before) for at in (window, progress.lapses_at) if at), default=None)
        timeout = due - now if due else None
        try:
            await workflow.wait_condition(
                lambda: bool(self._inbox) or self._look or self._finished() or self._progress is not self._worked,
                timeout=timeout,
                timeout_summary="payment window or hold" if timeout else None,
            )
        except TimeoutError:
            await self._expire()

    async def _expire(self) -> None:
        before = self._known().version
        progress = await workflow.execute_local_activity_method(
            OrderSteps.expire_order, self._ref, start_to_close_timeout=STORE_STEP_TIMEOUT, retry_policy=STORE_STEP_RETRY
        )
        if progress.version == before and workflow.patched("expire-again-later"):
            self._not_before = workflow.now() + EXPIRE_AGAIN_AFTER
        self._absorb(progress)

    async def _work(self) -> None:
        """Commands first, one at a time; then look, start sections, show."""
        while self._inbox:
            command = self._inbox[0]
            self._calls.trace = command.request_id or self._calls.trace
            progress = await workflow.execute_local_activity_method(
                OrderSteps.apply_command,
                ApplyCommand(command, self._ref.workflow_id),
                start_to_close_timeout=STORE_STEP_TIMEOUT,
                retry_policy=STORE_STEP_RETRY,
                summary=f"{command.body.kind} by {command.actor}",
            )
            self._inbox.pop(0)
            if progress.refused is None:
                self._absorb(progress)
                await self._start_new_order(progress.new_order)
        if self._look:
            self._look = False
            self._absorb(await self._read())
        await self._start_sections()

    def _absorb(self, progress: Progress) -> None:
        """Take in where the order stands; a step that was overtaken by a later one changes nothing."""
        if self._is_overtaken(progress):
            return
        self._progress = progress
        self._calls.keep({due.call.operation_id for due in progress.calls})
        for due in progress.calls:
            self._calls.start(due)
        self._show(progress)

    def _answered(self, progress: Progress) -> None:
        """A PG's answer is written. If it was overtaken, what the later step said was due was still this call."""
        self._look = self._look or self._is_overtaken(progress)
        self._absorb(progress)

    def _is_overtaken(self, progress: Progress) -> bool:
        return self._progress is not None and progress.version < self._progress.version

    def _show(self, progress: Progress) -> None:
        """Search attributes for finding, current details for reading: what an operator sees in the Temporal UI."""
        workflow.set_current_details(
            f"**{progress.status}**, {progress.payment_status}. Waits for {progress.waits_for}."
        )
        shown = (progress.status, progress.payment_status, progress.needs_attention)
        settled = progress.decided or progress.needs_attention
        if shown != self._shown and settled:
            self._shown = shown
            workflow.upsert_search_attributes(
                [
                    *self._names_missing(),
                    OPMS_STATUS.value_set(progress.status),
                    OPMS_PAYMENT_STATUS.value_set(progress.payment_status),
                    OPMS_NEEDS_ATTENTION.value_set(progress.needs_attention),
                ]
            )

    def _names_missing(self) -> list[SearchAttributeUpdate[str]]:
        """A run that was started without saying for which order (by schedules, by people) is found all the same."""
        if workflow.info().typed_search_attributes.get(OPMS_NUMBER) is not None:
            return []
        return [OPMS_STORE.value_set(self._start.store), OPMS_NUMBER.value_set(self._start.number)]

    async def _start_sections(self) -> None:
        """All sections that are open and not yet watched start in one task; those closed by a command are told."""
        progress = self._worked = self._known()
        open_ones = [s.number for s in progress.sections if not s.closed and s.number not in self._sections]
        self._sections.update(open_ones)
        if open_ones:
            await asyncio.gather(*(self._start_section(n) for n in open_ones))
        closed = [s.number for s in progress.sections if s.closed and s.number in self._sections - self._told]
        for number in closed:
            self._told.add(number)
            if not await signal(self._owner(number), "look_again"):
                self._sections.discard(number)

    async def _start_section(self, number: int) -> None:
        owner = self._owner(number)
        try:
            child = await workflow.start_child_workflow(
                SectionWorkflow.run,
                SectionInput(self._start.store, self._start.number, number),
                id=owner.workflow_id,
                parent_close_policy=ParentClosePolicy.ABANDON,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                priority=owner.priority,
                search_attributes=owner.search_attributes,
                static_summary=owner.summary,
            )
        except WorkflowAlreadyStartedError:
            if not await signal(owner, "report_to_order"):
                self._sections.discard(number)
                self._look = True
            return
        self._followers[number] = asyncio.create_task(self._follow(number, child))

    async def _follow(self, number: int, child: "workflow.ChildWorkflowHandle[SectionWorkflow, SectionClosed]") -> None:
        try:
            self._end_section(await child)
        except ChildWorkflowError:
            await workflow.sleep(RESTART_SECTION_AFTER, summary=f"before section {number} is started again")
            self._sections.discard(number)
            self._look = True

    def _owner(self, section: int) -> Owner:
        return Owner(self._start.store, self._start.number, section)

    def _end_section(self, closed: SectionClosed) -> None:
        self._sections.discard(closed.section)
        self._told.discard(closed.section)
        self._absorb(closed.order)

    async def _start_new_order(self, new_order: NewOrder | None) -> None:
        """Buy again: an order of its own; a number that is taken is drawn again."""
        if new_order is None or str(new_order.place.id) in self._new_orders:
            return
        self._new_orders.add(str(new_order.place.id))
        number = new_order.number
        while True:
            owner = Owner(self._start.store, number)
            try:
                _ = await workflow.start_child_workflow(
                    OrderWorkflow.run,
                    OrderInput(self._start.store, number, new_order.place),
                    id=owner.workflow_id,
                    parent_close_policy=ParentClosePolicy.ABANDON,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    priority=owner.priority,
                    search_attributes=owner.search_attributes,
                    static_summary=f"{owner.summary}, again after {self._start.number}",
                )
            except WorkflowAlreadyStartedError:
                number = renumbered(number, workflow.random().randrange(DICE_SIDES))
            else:
                await self._note_number(new_order, number)
                return

    async def _note_number(self, new_order: NewOrder, number: str) -> None:
        """The command's result must not name somebody else's order."""
        if number == new_order.number or new_order.command_id is None:
            return
        await workflow.execute_local_activity_method(
            OrderSteps.note_new_number,
            NoteNewNumber(new_order.command_id, number),
            start_to_close_timeout=STORE_STEP_TIMEOUT,
            retry_policy=STORE_STEP_RETRY,
        )

    async def _continue(self) -> None:
        """A new run with an empty history; sections go on by themselves and report to it."""
        self._leaving = True
        await self._calls.suspend()
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(Owner(self._start.store, self._start.number).again(*self._inbox))

    def _known(self) -> Progress:
        if self._progress is None:
            raise ApplicationError("the order has not been opened", non_retryable=True)
        return self._progress

    def _finished(self) -> bool:
        progress = self._known()
        return progress.closed and not self._inbox and not self._look and self._calls.idle and not self._sections

    def _answer(self) -> CheckoutAnswer:
        progress = self._known()
        return CheckoutAnswer(progress.status, progress.version, progress.refused)
