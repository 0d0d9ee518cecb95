"""Hints by schedule: webhook events whose hint was not sent, or that came before our own rows."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from contracts.order import OrderInput
    from contracts.queues import ORDERS
    from contracts.webhook import Hint, WebhookSteps
    from domain.number import order_workflow_id

RETRY = RetryPolicy(maximum_attempts=5, maximum_interval=timedelta(seconds=30))
"""A schedule comes again: what fails five times waits for the next run."""
STEP_TIMEOUT = timedelta(minutes=1)


@workflow.defn(name="Hints")
class HintsWorkflow:
    """Tells orders that wait for money of the webhook events that did not reach them."""

    @workflow.run
    async def run(self) -> int:
        """How many orders were told."""
        found = await workflow.execute_activity_method(
            WebhookSteps.find_hints, start_to_close_timeout=STEP_TIMEOUT, retry_policy=RETRY
        )
        told = [hint for hint in found if await _tell(hint)]
        if told:
            await workflow.execute_activity_method(
                WebhookSteps.note_hints,
                tuple(event for hint in told for event in hint.events),
                start_to_close_timeout=STEP_TIMEOUT,
                retry_policy=RETRY,
            )
        return len(told)


async def _tell(hint: Hint) -> bool:
    """Signal the order's workflow; a closed one starts again, and looks by itself."""
    workflow_id = order_workflow_id(hint.store, hint.number)
    try:
        await workflow.get_external_workflow_handle(workflow_id).signal("look_again")
    except ApplicationError:
        return await _start_again(hint, workflow_id)
    return True


async def _start_again(hint: Hint, workflow_id: str) -> bool:
    try:
        _ = await workflow.start_child_workflow(
            "Order",
            OrderInput(hint.store, hint.number),
            id=workflow_id,
            task_queue=ORDERS,
            parent_close_policy=ParentClosePolicy.ABANDON,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("reopened by somebody else in between; the next run looks again")
        return False
    return True


WEBHOOK_WORKFLOWS = [HintsWorkflow]
