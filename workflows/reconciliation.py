"""Reconciliation of one PG account: read, judge, tell. It moves no money: the orders do, once they have been told."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts.owner import Owner
    from contracts.reconciliation import (
        FailImport,
        Hinted,
        Import,
        PlanDays,
        ReconcileInput,
        ReconciliationSteps,
        Tally,
    )
    from workflows.starting import look_again, send

SCHEDULED_FOR = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
"""The time that a run of the schedule stands for, however late it runs."""

STEP_RETRY = RetryPolicy(maximum_interval=timedelta(minutes=1))
"""Our own database: until it is back."""
READ_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=5),
    maximum_interval=timedelta(minutes=15),
    maximum_attempts=20,
    non_retryable_error_types=["UnreadableSettlement", "MisconfiguredGateway"],
)
"""A PG that is away is asked for some three hours; then the import has failed, and the next day reads it again."""
STEP_TIMEOUT = timedelta(minutes=2)
LONG_STEP_TIMEOUT = timedelta(hours=1)
HEARTBEAT_TIMEOUT = timedelta(minutes=1)


@workflow.defn(name="Reconciliation")
class ReconciliationWorkflow:
    """See the module."""

    def __init__(self) -> None:
        self._asked = 0

    @workflow.run
    async def run(self, start: ReconcileInput) -> Tally:
        """The findings of what was judged; fails, after all else is done, if an import could not be read."""
        while True:
            asked = self._asked
            findings: dict[str, int] = {}
            failed = [problem for due in await self._due(start) if (problem := await self._judge(due, findings))]
            await self._judge_account(start.account, findings)
            await self._tell_orders(start.account)
            if asked == self._asked:
                break
        if failed:
            raise ApplicationError("; ".join(failed), type="SettlementNotRead", non_retryable=True)
        return Tally(findings)

    @workflow.signal(description="Read it again: somebody has asked while it was running.")
    def ask(self) -> None:
        """A request that comes while the last steps run is not lost."""
        self._asked += 1

    async def _judge(self, due: Import, findings: dict[str, int]) -> str | None:
        """Read one import and judge its lines; None, or why it could not be read."""
        problem = await self._read(due)
        if problem is None:
            tally = await workflow.execute_activity_method(
                ReconciliationSteps.judge_lines,
                due,
                start_to_close_timeout=LONG_STEP_TIMEOUT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=STEP_RETRY,
            )
            _add(findings, tally)
        return problem

    async def _judge_account(self, account: str, findings: dict[str, int]) -> None:
        """What no line speaks of, and what the bank has credited."""
        for judge in (ReconciliationSteps.judge_movements, ReconciliationSteps.judge_payouts):
            tally = await workflow.execute_activity_method(
                judge,
                account,
                start_to_close_timeout=LONG_STEP_TIMEOUT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=STEP_RETRY,
            )
            _add(findings, tally)

    async def _due(self, start: ReconcileInput) -> tuple[Import, ...]:
        if start.import_id is not None:
            found = await workflow.execute_activity_method(
                ReconciliationSteps.find_import,
                start.import_id,
                start_to_close_timeout=STEP_TIMEOUT,
                retry_policy=STEP_RETRY,
            )
            return (found,)
        scheduled: datetime | None = workflow.info().typed_search_attributes.get(SCHEDULED_FOR)
        return await workflow.execute_activity_method(
            ReconciliationSteps.plan_days,
            PlanDays(start.account, scheduled or workflow.now()),
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=STEP_RETRY,
        )

    async def _read(self, due: Import) -> str | None:
        """None, or why it could not be read; that is written down too."""
        try:
            await workflow.execute_activity_method(
                ReconciliationSteps.read_settlement,
                due,
                start_to_close_timeout=LONG_STEP_TIMEOUT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=READ_RETRY,
            )
        except ActivityError as lost:
            problem = str(lost.cause or lost)[:500]
            await workflow.execute_activity_method(
                ReconciliationSteps.fail_import,
                FailImport(due.id, problem),
                start_to_close_timeout=STEP_TIMEOUT,
                retry_policy=STEP_RETRY,
            )
            return problem
        return None

    async def _tell_orders(self, account: str) -> None:
        while True:
            hints = await workflow.execute_activity_method(
                ReconciliationSteps.find_untold_cases,
                account,
                start_to_close_timeout=STEP_TIMEOUT,
                retry_policy=STEP_RETRY,
            )
            if not hints.cases:
                return
            for command in hints.commands:
                await send(command)
            for hint in hints.looks:
                await look_again(Owner(hint.store, hint.number))
            await workflow.execute_activity_method(
                ReconciliationSteps.note_told_cases,
                Hinted(hints.cases),
                start_to_close_timeout=STEP_TIMEOUT,
                retry_policy=STEP_RETRY,
            )


def _add(findings: dict[str, int], tally: Tally) -> None:
    for finding, count in tally.findings.items():
        findings[finding] = findings.get(finding, 0) + count


RECONCILIATION_WORKFLOWS = [ReconciliationWorkflow]
