"""Whether the server lives, whether it can work, and what Prometheus counts."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.responses import Response
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from api.errors import away
from api.problem import problem_response
from api.resources import resources_of
from contracts.queues import ORDERS
from domain.errors import Problem
from queries.health import ping
from wiring.resources import Resources

root_router = APIRouter(tags=["operation"])

T = TypeVar("T")

LIMIT = 2.0
"""Seconds that a probe may take."""
POLLER_SEEN = timedelta(seconds=90)
"""A worker polls at least every minute; one that was not seen for longer is gone."""


class Alive(BaseModel):
    """The process answers."""

    status: str


class Ready(BaseModel):
    """The state of each thing that orders need: ``ok``, or in a word what is wrong."""

    status: str
    postgres: str
    temporal: str
    workers: str


@root_router.get("/healthz", summary="Liveness")
async def get_health() -> Alive:
    """The process answers; nothing else is asked."""
    return Alive(status="ok")


@root_router.get("/readyz", summary="Readiness", response_model=Ready)
async def get_readiness(request: Request) -> Response:
    """Postgres and Temporal answer, and a worker polls for orders; else 503 with the state of each."""
    resources = resources_of(request)
    postgres, (temporal, workers) = await asyncio.gather(
        _postgres(resources), _temporal(resources.client, resources.settings.temporal_namespace)
    )
    states = {"postgres": postgres, "temporal": temporal, "workers": workers}
    bad = [name for name, state in states.items() if state != "ok"]
    if bad:
        problem = Problem("unavailable", f"not ready: {', '.join(bad)}", figures=states)
        return problem_response(request.scope, problem)
    return Response(Ready(status="ok", **states).model_dump_json(), media_type="application/json")


@root_router.get("/metrics", summary="Prometheus", response_class=Response)
async def get_metrics() -> Response:
    """Counters of this process in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _postgres(resources: Resources) -> str:
    async def ask() -> str:
        async with resources.database.reading() as connection:
            await ping(connection)
        return "ok"

    return await _within_limit(ask()) or "unreachable"


async def _temporal(client: Client, namespace: str) -> tuple[str, str]:
    """The states of Temporal and of the workers that poll the queue of orders."""
    request = DescribeTaskQueueRequest(
        namespace=namespace,
        task_queue=TaskQueue(name=ORDERS),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    described = await _within_limit(client.workflow_service.describe_task_queue(request))
    if described is None:
        return "unreachable", "unknown"
    oldest = datetime.now(UTC) - POLLER_SEEN
    seen = [poller.last_access_time.ToDatetime(tzinfo=UTC) for poller in described.pollers]
    return "ok", "ok" if any(moment > oldest for moment in seen) else "none polling"


async def _within_limit(asked: Awaitable[T]) -> T | None:
    """The answer, or None when what was asked is away or slow."""
    try:
        async with asyncio.timeout(LIMIT):
            return await asked
    except Exception as error:
        if not away(error):
            raise
        return None
