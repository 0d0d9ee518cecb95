"""The Python processes of OPMS: how each is started, how it shows that it serves, and which rank it has."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError
from typing_extensions import override

from cli.database import ROOT
from cli.supervisor import Rank
from contracts.queues import ORDERS, UPDATES
from wiring.child import Child, Program
from wiring.ports import LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """It serves once this path answers 200 at this port offset from the base port."""

    offset: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Polls:
    """It serves once somebody asks Temporal for the work of this task queue."""

    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """One line of the table: `{...}` in the words are filled from the stack's addresses."""

    name: str
    words: tuple[str, ...]
    rank: Rank
    serves: Health | Polls


API, TEMPORAL, TEMPORAL_UI, POSTGRES, SANDBOX = range(5)
"""Ports, as offsets from the base port."""

PORT_NAMES = ("api", "temporal", "temporal ui", "postgres", "sandbox")

SANDBOX_PROCESS = ProcessSpec(
    name="sandbox",
    words=("-m", "gateways.sandbox", "--host", "127.0.0.1", "--port", "{sandbox_port}", "--data", "{sandbox_data}"),
    rank=Rank.ENGINE,
    serves=Health(offset=SANDBOX, path="/healthz"),
)

PROCESSES = (
    ProcessSpec(name="orders", words=("worker.py", "orders"), rank=Rank.WORKER, serves=Polls(queue=ORDERS)),
    ProcessSpec(
        name="payments", words=("worker.py", "payments", "updates"), rank=Rank.WORKER, serves=Polls(queue=UPDATES)
    ),
    ProcessSpec(name="server", words=("server.py",), rank=Rank.SERVER, serves=Health(offset=API, path="/readyz")),
)
"""Everything that needs the database and Temporal; all of it starts at once."""


class PythonProcess(Child):
    """One line of the table, running."""

    def __init__(self, spec: ProcessSpec, *, data_dir: Path, port_base: int, environment: Mapping[str, str]) -> None:
        super().__init__(spec.name, log=data_dir / "logs" / f"{spec.name}.log")
        self._spec = spec
        self._port_base = port_base
        # Not passed on: the workflow sandbox imports workflows anew for each order, and would compile them each time.
        self._environment = {k: v for k, v in environment.items() if k != "PYTHONDONTWRITEBYTECODE"}
        self._filled = {"sandbox_port": str(port_base + SANDBOX), "sandbox_data": str(data_dir / "sandbox")}
        self._since = datetime.now(UTC)

    @override
    async def prepare(self) -> None:
        """Remember when it starts: whoever polled before was the one before it."""
        self._since = datetime.now(UTC)

    @override
    def program(self) -> Program:
        """This interpreter, in the project's folder."""
        words = tuple(word.format(**self._filled) for word in self._spec.words)
        return Program(argv=(sys.executable, *words), folder=ROOT, environment=self._environment)

    @override
    async def is_ready(self) -> bool:
        """Whether it serves in the way that its line of the table says."""
        match self._spec.serves:
            case Health(offset=offset, path=path):
                return await asyncio.to_thread(answers, self._port_base + offset, path)
            case Polls(queue=queue):
                return await is_polled(f"{LOOPBACK}:{self._port_base + TEMPORAL}", queue, since=self._since)


def answers(port: int, path: str) -> bool:
    """Whether the path answers 200 on this loopback port now."""
    connection = HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


async def is_polled(temporal: str, queue: str, *, since: datetime) -> bool:
    """Whether a worker has asked for this queue's workflow or activity tasks after `since`."""
    try:
        client = await Client.connect(temporal)
        for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
            request = DescribeTaskQueueRequest(
                namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
            )
            described = await client.workflow_service.describe_task_queue(request)
            if any(poller.last_access_time.ToDatetime(UTC) >= since for poller in described.pollers):
                return True
    except (RPCError, RuntimeError):  # RuntimeError: the client could not connect at all
        return False
    return False
