"""Slow work by schedule: events to the back office, commands that were promised but not sent, old answers, drift."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from contracts.upkeep import Drift, UpkeepSteps
    from workflows.starting import send

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
            await send(command)  # Started by somebody else in between: the next run looks again.
        sent = 0
        while True:
            delivered = await workflow.execute_activity_method(
                UpkeepSteps.deliver_events, start_to_close_timeout=STEP_TIMEOUT, retry_policy=RETRY
            )
            sent += delivered.sent
            if not delivered.more or workflow.info().is_continue_as_new_suggested():
                return sent


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
            UpkeepSteps.find_drift,
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=STEP_TIMEOUT,
            retry_policy=RETRY,
        )


UPKEEP_WORKFLOWS = [RelayWorkflow, HousekeepingWorkflow]
