"""The schedules of the slow work; creating them twice is one schedule."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError

from contracts.queues import UPDATES
from contracts.reconciliation import ReconcileInput
from domain.reconciliation import Terms
from workflows.reconciliation import ReconciliationWorkflow
from workflows.upkeep import HousekeepingWorkflow, RelayWorkflow
from workflows.webhook import HintsWorkflow

log = structlog.get_logger()

RELAY_EVERY = timedelta(seconds=30)
HINTS_EVERY = timedelta(seconds=30)
HOUSEKEEPING_EVERY = timedelta(days=1)
RECONCILIATION_HOUR = 4
"""Of the account's own day: PGs need some hours to close the day before."""
CAUGHT_UP = timedelta(days=10)
"""Days that were missed because nothing ran are reconciled later, one after the other."""
TRY_AGAIN_SECONDS = 5


async def ensure_schedules(client: Client, accounts: Mapping[str, Terms]) -> None:
    """Create what is missing, the reconciliation of each PG account in its time zone; tries until Temporal takes it."""
    while True:
        try:
            await _ensure(client, "relay", RelayWorkflow.run, RELAY_EVERY)
            await _ensure(client, "hints", HintsWorkflow.run, HINTS_EVERY)
            await _ensure(client, "housekeeping", HousekeepingWorkflow.run, HOUSEKEEPING_EVERY)
            for account, terms in accounts.items():
                await _ensure_daily(client, account, terms)
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


async def _ensure_daily(client: Client, account: str, terms: Terms) -> None:
    """The daily reconciliation of one account; a time zone that has changed is taken over, a pause stays."""
    name = f"opms-reconciliation-{account}"
    action = ScheduleActionStartWorkflow(
        ReconciliationWorkflow.run, ReconcileInput(account), id=name, task_queue=UPDATES
    )
    spec = ScheduleSpec(
        calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(RECONCILIATION_HOUR)])], time_zone_name=terms.timezone
    )
    policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.BUFFER_ALL, catchup_window=CAUGHT_UP)
    try:
        await client.create_schedule(name, Schedule(action=action, spec=spec, policy=policy))
    except ScheduleAlreadyRunningError:

        def renewed(given: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(
                Schedule(action=action, spec=spec, policy=policy, state=given.description.schedule.state)
            )

        await client.get_schedule_handle(name).update(renewed)
