"""`python -m benchmarks.skeleton_worker <temporal> <port>`: the worker of the skeleton workflows.

Configured as `wiring.workers` configures the real ones, so that the two differ in their bodies alone.
"""

import asyncio
import os
import signal
import sys
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import (
    PollerBehaviorSimpleMaximum,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from benchmarks.acknowledgement import Acknowledger
from benchmarks.skeleton import GATEWAY_QUEUE, QUEUE, SkeletonOrder, SkeletonSection, SkeletonSteps
from wiring.converter import data_converter

GRACE = timedelta(seconds=2)
DEPLOYMENT = WorkerDeploymentConfig(
    version=WorkerDeploymentVersion("skeleton", "benchmark"), use_worker_versioning=False
)


async def run(temporal: str, port: int) -> None:
    """Work until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    client = await Client.connect(temporal, data_converter=data_converter)
    steps = SkeletonSteps(Acknowledger(port))
    orders = Worker(
        client,
        task_queue=QUEUE,
        workflows=[SkeletonOrder, SkeletonSection],
        activities=[steps.skeleton_open, steps.skeleton_record, steps.skeleton_prepare, steps.skeleton_apply],
        workflow_runner=_runner(),
        max_concurrent_workflow_tasks=64,
        max_concurrent_local_activities=10,
        max_cached_workflows=2000,
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(8),
        nonsticky_to_sticky_poll_ratio=0.5,
        no_remote_activities=True,
        graceful_shutdown_timeout=GRACE,
        deployment_config=DEPLOYMENT,
    )
    payments = Worker(
        client,
        task_queue=GATEWAY_QUEUE,
        activities=[steps.skeleton_call],
        max_concurrent_activities=20,
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(4),
        graceful_shutdown_timeout=GRACE,
        deployment_config=DEPLOYMENT,
    )
    async with orders, payments:
        await stop.wait()


def _runner() -> WorkflowRunner:
    """As the real workers: `OPMS_WORKFLOW_SANDBOX` turns the sandbox off."""
    off = os.environ.get("OPMS_WORKFLOW_SANDBOX", "true").lower() in {"0", "false", "no", "off"}
    return UnsandboxedWorkflowRunner() if off else SandboxedWorkflowRunner()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))
    sys.stderr.flush()
    os._exit(0)  # as in worker.py: the SDK's native threads may abort the interpreter while it is torn down
