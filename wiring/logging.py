"""One JSON line per event on stderr, from our code and from every library alike, without personal data.

Lines are built where the event happens, so that they know the request or workflow they belong to, and written by one
thread of their own: a slow terminal never holds up a workflow task.
"""

import atexit
import logging
import queue
import sys
from collections.abc import Mapping, Sequence
from logging.handlers import QueueHandler, QueueListener

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger
from temporalio import activity, workflow
from typing_extensions import override

PERSONAL = frozenset(
    {
        "address",
        "admin_key",
        "api_key",
        "authorization",
        "billing_address",
        "card",
        "cookie",
        "customer",
        "customer_name",
        "email",
        "first_name",
        "holder",
        "key",
        "last_name",
        "line1",
        "line2",
        "name",
        "password",
        "phone",
        "postal_code",
        "postcode",
        "recipient",
        "refund_account",
        "refund_bank",
        "refund_holder",
        "secret",
        "set_cookie",
        "shipping_address",
        "token",
        "x_api_key",
    }
)
"""Keys whose values are people's data or secrets; they are left out of every line."""

PERSONAL_ENDINGS = ("_address", "_email", "_name", "_password", "_phone", "_secret", "_token")

NOISE = ("color_message", "temporal_activity", "temporal_workflow")
"""What libraries attach and our own fields already say."""


class JsonQueueHandler(QueueHandler):
    """Hands on finished lines; what would be formatted a second time is taken off."""

    @override
    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record with its finished line as message and nothing to add to it."""
        line: logging.LogRecord = super().prepare(record)
        line.stack_info = None
        return line


class LogOutput:
    """The writing thread; the one of this process is replaced when logging is configured again."""

    current: QueueListener | None = None


def configure_logging(level: str, role: str) -> None:
    """Send everything of `level` and above to stderr as JSON; `role` says on each line which process it was."""
    stop_logging()
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    shared = _shared(role)
    handler = JsonQueueHandler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error", "temporalio", "sqlalchemy"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False
    structlog.configure(
        processors=[
            drop_when_replaying,
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    LogOutput.current = QueueListener(lines, logging.StreamHandler(sys.stderr))
    LogOutput.current.start()


def stop_logging() -> None:
    """Write what is waiting and stop; call it before `os._exit`, ordinary exits do it by themselves."""
    if LogOutput.current is not None:
        LogOutput.current.stop()
        LogOutput.current = None


atexit.register(stop_logging)


def _shared(role: str) -> list[Processor]:
    def add_role(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {"role": role, **event}

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        add_role,
        add_temporal,
    ]


def drop_when_replaying(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A workflow's line is written when it happens, not again each time that its history is replayed."""
    if workflow.in_workflow() and workflow.unsafe.is_replaying_history_events():
        raise structlog.DropEvent
    return event


def add_temporal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Say which workflow run, and which attempt of which activity, the line belongs to."""
    if workflow.in_workflow():
        running = workflow.info()
        event.update(workflow_id=running.workflow_id, run_id=running.run_id)
    elif activity.in_activity():
        step = activity.info()
        event.update(
            workflow_id=step.workflow_id, run_id=step.workflow_run_id, activity=step.activity_type, attempt=step.attempt
        )
    return event


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave out personal data and secrets, however deep they are."""
    return {key: _without_personal(value) for key, value in event.items() if not _is_personal(key) and key not in NOISE}


def _without_personal(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _without_personal(inner) for key, inner in value.items() if not _is_personal(str(key))}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_without_personal(inner) for inner in value]
    return value


def _is_personal(key: str) -> bool:
    plain = key.lower().replace("-", "_")
    return plain in PERSONAL or plain.endswith(PERSONAL_ENDINGS)
