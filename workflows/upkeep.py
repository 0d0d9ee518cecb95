"""Slow work by schedule: events to the back office, commands that were promised but not sent, old answers, drift."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from contracts.command import SECTION_COMMANDS, Command
    from contracts.order import OrderInput
    from contracts.queues import ORDERS
    from contracts.section import SectionInput
    from contracts.upkeep import Drift, UpkeepSteps
    from domain.number import order_workflow_id, section_workflow_id

RETRY = RetryPolicy(maximum_attempts=5, maximum_interval=timedelta(seconds=30))
"""A schedule comes again: what fails five times waits for the next run."""
STEP_TIMEOUT = timedelta(minutes=2)


@workflow.defn(name="Relay")
class RelayWorkflow:
    """Sends again the commands whose signal was lost, and tells the stores' back offices what happened."""

    @workflow.run
    async def run(self) -> int:
        """How many events were delivered."""
        lost = await workflow.execute_activity_method(
            UpkeepSteps.find_lost_commands, start_to_close_timeout=STEP_TIMEOUT, retry_policy=RETRY
        )
        for command in lost:
            await send_again(command)
        sent = 0
        while True:
            delivered = await workflow.execute_activity_method(
                UpkeepSteps.deliver_events, start_to_close_timeout=STEP_TIMEOUT, retry_policy=RETRY
            )
            sent += delivered.sent
            if not delivered.more or workflow.info().is_continue_as_new_suggested():
                return sent


async def send_again(command: Command) -> None:
    """To the workflow that decides it, once by its id; started again if it has closed."""
    section = command.body.section if isinstance(command.body, SECTION_COMMANDS) else None
    if section is None:
        workflow_id = order_workflow_id(command.store, command.number)
    else:
        workflow_id = section_workflow_id(command.store, command.number, section)
    try:
        await workflow.get_external_workflow_handle(workflow_id).signal("submit", command)
    except ApplicationError:
        await _start_again(command, workflow_id, section)


async def _start_again(command: Command, workflow_id: str, section: int | None) -> None:
    name = "Order"
    start: OrderInput | SectionInput = OrderInput(command.store, command.number, pending=(command,))
    if section is not None:
        name, start = "Section", SectionInput(command.store, command.number, section, report=True, pending=(command,))
    try:
        _ = await workflow.start_child_workflow(
            name,
            start,
            id=workflow_id,
            task_queue=ORDERS,
            parent_close_policy=ParentClosePolicy.ABANDON,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("reopened by somebody else in between; the next run looks again")


@workflow.defn(name="Housekeeping")
class HousekeepingWorkflow:
    """Once a day: forgets old idempotency answers and reports orders whose stored statuses drifted."""

    @workflow.run
    async def run(self) -> Drift:
        """What the drift check found; any drift is a bug."""
        await workflow.execute_activity_method(
            UpkeepSteps.purge_answers, start_to_close_timeout=STEP_TIMEOUT, retry_policy=RETRY
        )
        return await workflow.execute_activity_method(
            UpkeepSteps.find_drift, start_to_close_timeout=timedelta(hours=1), retry_policy=RETRY
        )


UPKEEP_WORKFLOWS = [RelayWorkflow, HousekeepingWorkflow]
