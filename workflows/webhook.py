"""Hints by schedule: of webhook events that did not reach their orders, and to orders that nobody looks after."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from contracts.owner import Owner
    from contracts.webhook import WebhookSteps
    from workflows.starting import look_again

RETRY = RetryPolicy(maximum_attempts=5, maximum_interval=timedelta(seconds=30))
"""A schedule comes again: what fails five times waits for the next run."""
STEP_TIMEOUT = timedelta(minutes=1)


@workflow.defn(name="Hints")
class HintsWorkflow:
    """Tells orders that wait for money of the webhook events that did not reach them, and those that nobody asks for.

    One whose workflow is gone (terminated) starts again, and looks by itself.
    """

    @workflow.run
    async def run(self) -> int:
        """How many orders were told."""
        found = await workflow.execute_activity_method(
            WebhookSteps.find_hints, start_to_close_timeout=STEP_TIMEOUT, retry_policy=RETRY
        )
        told = [hint for hint in found if await look_again(Owner(hint.store, hint.number))]
        events = tuple(event for hint in told for event in hint.events)
        if events:
            await workflow.execute_activity_method(
                WebhookSteps.note_hints, events, start_to_close_timeout=STEP_TIMEOUT, retry_policy=RETRY
            )
        return len(told)


WEBHOOK_WORKFLOWS = [HintsWorkflow]
