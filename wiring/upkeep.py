"""The schedules of the slow work; creating them twice is one schedule."""

import asyncio
from datetime import timedelta
from typing import Any

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.service import RPCError

from contracts.queues import UPDATES
from workflows.upkeep import HousekeepingWorkflow, RelayWorkflow

log = structlog.get_logger()

RELAY_EVERY = timedelta(seconds=30)
HOUSEKEEPING_EVERY = timedelta(days=1)
TRY_AGAIN_SECONDS = 5


async def ensure_schedules(client: Client) -> None:
    """Create what is missing; tries until Temporal takes it."""
    while True:
        try:
            await _ensure(client, "relay", RelayWorkflow.run, RELAY_EVERY)
            await _ensure(client, "housekeeping", HousekeepingWorkflow.run, HOUSEKEEPING_EVERY)
        except RPCError as away:
            log.warning("upkeep.schedules_wait", reason=away.message, retry_in=TRY_AGAIN_SECONDS)
            await asyncio.sleep(TRY_AGAIN_SECONDS)
        else:
            return


async def _ensure(client: Client, name: str, run: Any, every: timedelta) -> None:
    action = ScheduleActionStartWorkflow(run, id=f"opms-{name}", task_queue=UPDATES)
    schedule = Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    try:
        await client.create_schedule(f"opms-{name}", schedule)
    except ScheduleAlreadyRunningError:
        return
