"""To the owner of an order or a section, from another workflow: signal it, or start it again if it has closed."""

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from contracts.command import Command
    from contracts.owner import Owner
    from contracts.queues import ORDERS


async def send(command: Command) -> bool:
    """To the workflow that decides it, once by its id. False: somebody has started that in between, send it again."""
    owner = Owner.deciding(command)
    return await signal(owner, "submit", command) or await _start(owner, command)


async def look_again(owner: Owner) -> bool:
    """Hurry it; one that starts again looks by itself. False: somebody has started it in between."""
    return await signal(owner, "look_again") or await _start(owner)


async def signal(owner: Owner, name: str, *arguments: object) -> bool:
    """Whether there is a run that takes it."""
    try:
        await workflow.get_external_workflow_handle(owner.workflow_id).signal(name, args=arguments)
    except ApplicationError:
        return False
    return True


async def _start(owner: Owner, *pending: Command) -> bool:
    try:
        _ = await workflow.start_child_workflow(
            owner.workflow,
            owner.again(*pending),
            id=owner.workflow_id,
            task_queue=ORDERS,
            parent_close_policy=ParentClosePolicy.ABANDON,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            priority=owner.priority,
            search_attributes=owner.search_attributes,
            static_summary=owner.summary,
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("started by somebody else in between")
        return False
    return True
