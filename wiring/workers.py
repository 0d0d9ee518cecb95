"""Workers by role: what each polls and what it may do at once. For `worker.py`, the tests and the benchmark alike."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import (
    PollerBehaviorSimpleMaximum,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.order import OrderActivities
from activities.payment import PaymentActivities
from activities.reconciliation import Accounts, ReconciliationActivities
from activities.section import SectionActivities
from activities.upkeep import BackOffice, UpkeepActivities
from activities.webhook import WebhookActivities
from contracts.queues import ORDERS, UPDATES, gateway_queue
from gateways.gateway import Gateway
from wiring.resources import Resources, settlement_terms
from wiring.settings import Settings
from wiring.tracing import TraceSteps
from workflows.order import OrderWorkflow
from workflows.reconciliation import RECONCILIATION_WORKFLOWS
from workflows.section import SectionWorkflow
from workflows.upkeep import UPKEEP_WORKFLOWS
from workflows.webhook import WEBHOOK_WORKFLOWS

ROLES = ("orders", "payments", "updates")
GRACE = timedelta(seconds=6)
"""A worker that is asked to stop lets a running call finish; what takes longer is asked again by its key."""


def build_workers(
    roles: Sequence[str], resources: Resources, gateways: Mapping[str, Gateway], **overrides: Any
) -> list[Worker]:
    """The workers of some roles: one for orders, one for each PG account, one for slow work."""
    build = {
        "orders": lambda: [_orders(resources, gateways, **overrides)],
        "payments": lambda: [_payments(resources, account, gateways, **overrides) for account in gateways],
        "updates": lambda: [_updates(resources, gateways, **overrides)],
    }
    return [worker for role in roles for worker in build[role]()]


def _orders(resources: Resources, gateways: Mapping[str, Gateway], **overrides: Any) -> Worker:
    capabilities = {account: gateway.capabilities() for account, gateway in gateways.items()}
    order = OrderActivities(resources.database, capabilities)
    section = SectionActivities(resources.database, capabilities)
    return Worker(
        resources.client,
        task_queue=ORDERS,
        workflows=[OrderWorkflow, SectionWorkflow],
        activities=[
            order.open_order,
            order.read_order,
            order.apply_command,
            order.record_answer,
            order.expire_order,
            order.note_new_number,
            section.prepare_section,
        ],
        workflow_runner=_runner(resources.settings),
        no_remote_activities=True,
        **{
            "max_concurrent_workflow_tasks": 64,
            "max_concurrent_local_activities": resources.settings.database_pool_size,
            "max_cached_workflows": 2000,
            "workflow_task_poller_behavior": PollerBehaviorSimpleMaximum(8),
            "nonsticky_to_sticky_poll_ratio": 0.5,
            **_shared(resources.settings, overrides),
        },
    )


def _payments(resources: Resources, account: str, gateways: Mapping[str, Gateway], **overrides: Any) -> Worker:
    steps = PaymentActivities(gateways)
    return Worker(
        resources.client,
        task_queue=gateway_queue(account),
        activities=[steps.call_gateway],
        max_concurrent_activities=resources.settings.max_concurrent_activities,
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(4),
        **_shared(resources.settings, overrides),
    )


def _updates(resources: Resources, gateways: Mapping[str, Gateway], **overrides: Any) -> Worker:
    offices = {
        store: BackOffice(given.url, given.secret.get_secret_value())
        for store, given in resources.settings.back_offices.items()
    }
    upkeep = UpkeepActivities(resources.database, offices)
    webhook = WebhookActivities(resources.database)
    books = ReconciliationActivities(resources.database, Accounts(gateways, settlement_terms(resources.settings)))
    return Worker(
        resources.client,
        task_queue=UPDATES,
        workflows=[*UPKEEP_WORKFLOWS, *WEBHOOK_WORKFLOWS, *RECONCILIATION_WORKFLOWS],
        activities=[
            upkeep.deliver_events,
            upkeep.find_lost_commands,
            upkeep.purge_answers,
            upkeep.find_drift,
            webhook.find_hints,
            webhook.note_hints,
            books.plan_days,
            books.find_import,
            books.read_settlement,
            books.fail_import,
            books.judge_lines,
            books.judge_movements,
            books.judge_payouts,
            books.find_untold_cases,
            books.note_told_cases,
        ],
        workflow_runner=_runner(resources.settings),
        max_concurrent_workflow_tasks=4,
        max_concurrent_activities=4,
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(2),
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(1),
        **_shared(resources.settings, overrides),
    )


def _shared(settings: Settings, overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "graceful_shutdown_timeout": GRACE,
        "interceptors": [TraceSteps()],
        "deployment_config": WorkerDeploymentConfig(
            version=WorkerDeploymentVersion("opms", settings.build_id),
            use_worker_versioning=False,
            default_versioning_behavior=VersioningBehavior.UNSPECIFIED,
        ),
        **overrides,
    }


def _runner(settings: Settings) -> WorkflowRunner:
    return SandboxedWorkflowRunner() if settings.workflow_sandbox else UnsandboxedWorkflowRunner()
