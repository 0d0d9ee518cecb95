"""Every log line of a step says which order it is about, and which request led to it."""

from typing import Any

import structlog
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor
from typing_extensions import override


class TraceSteps(Interceptor):
    """Binds ``order`` and ``request_id`` around each step; the workflow's id is added by the logs themselves."""

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Wrap the step."""
        return _TracedStep(super().intercept_activity(next))


class _TracedStep(ActivityInboundInterceptor):
    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        known = {"order": order_of(activity.info().workflow_id), "request_id": request_of(input.args)}
        with structlog.contextvars.bound_contextvars(**{k: v for k, v in known.items() if v}):
            return await super().execute_activity(input)


def order_of(workflow_id: str | None) -> str | None:
    """The order number in a workflow id: ``order.<store>.<number>``, ``section.<store>.<number>.<n>``."""
    parts = (workflow_id or "").split(".")
    return parts[2] if len(parts) >= 3 and parts[0] in {"order", "section"} else None


def request_of(arguments: Any) -> str | None:
    """The id of the HTTP request that led to a step, where its message carries one."""
    for argument in arguments:
        for path in (("command", "request_id"), ("place", "request_id"), ("trace",)):
            found = argument
            for name in path:
                found = getattr(found, name, None)
            if isinstance(found, str):
                return found
    return None
