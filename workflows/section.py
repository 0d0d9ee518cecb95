"""One section on its way: prepared, shipped (in part), delivered, held, until its goods arrived or are canceled."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts.command import Command, Release
    from contracts.order import ApplyCommand, OrderSteps, Progress
    from contracts.owner import Owner
    from contracts.queues import STORE_STEP_RETRY, STORE_STEP_TIMEOUT
    from contracts.section import SectionClosed, SectionInput, SectionRef, SectionSteps
    from workflows.starting import look_again, signal


@workflow.defn(name="Section")
class SectionWorkflow:
    """See the module. Its state is in the database: any run can take over from any other."""

    @workflow.init
    def __init__(self, start: SectionInput) -> None:
        self._start = start
        self._order = Owner(start.store, start.number)
        self._inbox: list[Command] = list(start.pending)
        self._taken = {command.id for command in self._inbox}
        self._look = False
        self._report = start.report
        self._progress: Progress | None = None

    @workflow.run
    async def run(self, start: SectionInput) -> SectionClosed:  # noqa: ARG002 - `__init__` has it
        """Runs until the section is closed."""
        await self._prepare()
        told: SectionClosed | None = None
        while True:
            await self._work()
            if not self._closed():
                if workflow.info().is_continue_as_new_suggested():
                    self._continue()
                await workflow.wait_condition(lambda: bool(self._inbox) or self._look)
                continue
            closed = SectionClosed(self._start.section, self._status(), self._known())
            if not self._report or told == closed:
                return closed
            told = closed
            # The order's run may have closed: what matters is in the database, and a later run will read it.
            await signal(self._order, "section_closed", closed)  # A command that comes meanwhile is decided as well.

    @workflow.signal(description="A command about this section; decided once by its id.")
    def submit(self, command: Command) -> None:
        """Durably accepted here; the run loop decides it. What was not decided in time is sent again: it is one."""
        if command.id in self._taken and workflow.patched("commands-once"):
            return
        self._taken.add(command.id)
        self._inbox.append(command)

    @workflow.signal(description="Look at the database again.")
    def look_again(self) -> None:
        """A hint that something has changed."""
        self._look = True

    @workflow.signal(description="Tell the order's workflow when this section closes: it is no longer our parent.")
    def report_to_order(self) -> None:
        """Asked by a later run of the order."""
        self._report = True

    async def _work(self) -> None:
        while self._inbox:
            command = self._inbox[0]
            progress = await workflow.execute_local_activity_method(
                OrderSteps.apply_command,
                ApplyCommand(command, workflow.info().workflow_id),
                start_to_close_timeout=STORE_STEP_TIMEOUT,
                retry_policy=STORE_STEP_RETRY,
                summary=f"{command.body.kind} by {command.actor}",
            )
            self._inbox.pop(0)
            if progress.refused is None:
                self._absorb(progress)
                if progress.calls:
                    await self._hurry_order()
            self._look = self._look or isinstance(command.body, Release)
        if self._look:
            self._look = False
            await self._prepare()

    async def _prepare(self) -> None:
        """Hand what is allocated to the warehouse, and learn where the section stands."""
        ref = SectionRef(self._start.store, self._start.number, self._start.section, workflow.info().workflow_id)
        self._absorb(
            await workflow.execute_local_activity_method(
                SectionSteps.prepare_section,
                ref,
                start_to_close_timeout=STORE_STEP_TIMEOUT,
                retry_policy=STORE_STEP_RETRY,
            )
        )

    def _absorb(self, progress: Progress) -> None:
        if self._progress is not None and progress.version < self._progress.version:
            return
        self._progress = progress
        workflow.set_current_details(f"**{self._status()}**. The order waits for {progress.waits_for}.")

    async def _hurry_order(self) -> None:
        """Money is due: if the order's run is gone (terminated), another one takes over."""
        while not await look_again(self._order):
            continue  # Somebody has started it in between: that run must hear of it.

    def _continue(self) -> None:
        mine = Owner(self._start.store, self._start.number, self._start.section)
        workflow.continue_as_new(mine.again(*self._inbox))

    def _known(self) -> Progress:
        if self._progress is None:
            raise ApplicationError("the section has not been read", non_retryable=True)
        return self._progress

    def _status(self) -> str:
        states = [s.status for s in self._known().sections if s.number == self._start.section]
        return states[0] if states else "awaiting_payment"

    def _closed(self) -> bool:
        """Its goods have arrived or are canceled; or it has not begun, and the order will start it when it is paid."""
        progress = self._known()
        mine = [s for s in progress.sections if s.number == self._start.section]
        return not mine or mine[0].closed
