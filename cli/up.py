"""`python -m cli up`: the whole system on this machine, from nothing or from where the last run ended."""

import asyncio
import json
import os
import signal
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from importlib import import_module

from rich.console import Console

from cli.accounts import ACCOUNTS, MERCHANTS, NAMES
from cli.database import migrate
from cli.folder import DataFolder, write_private
from cli.processes import (
    API,
    PORT_NAMES,
    POSTGRES,
    PROCESSES,
    SANDBOX,
    SANDBOX_PROCESS,
    TEMPORAL,
    TEMPORAL_UI,
    ProcessSpec,
    PythonProcess,
)
from cli.refusal import Refusal
from cli.steps import Steps
from cli.supervisor import Rank, Supervisor
from cli.webhook import register_targets
from wiring.embedded import ChildFailed, ClusterUnusable, EmbeddedPostgres, EmbeddedTemporal, is_free
from wiring.settings import LocalSettings, local_settings

DATABASE = "opms"
GIFT_CARDS = 3
"""Gift cards of the demo store; the code of the first is in `demo.json`, all of them in the folder's keys."""


def configure(parser: ArgumentParser) -> None:
    """No arguments: where and on which ports are settings, so that the tests and the docs name them once."""
    parser.epilog = "OPMS_DATA_DIR (.opms) and OPMS_PORT_BASE (7300) say where the data is and which ports are used."


def run(_arguments: Namespace) -> int:
    """Start everything, then keep it running until Ctrl-C or SIGTERM; raises `Refusal`."""
    local = local_settings()
    folder = DataFolder(local.data_dir)
    with folder.held():
        return asyncio.run(_run(Stack(local, folder, Console())))


async def _run(stack: "Stack") -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await _unless(stop, stack.bring_up)
        if not stop.is_set():
            await stack.supervisor.run_until(stop)
    finally:
        await stack.stop()
    return 0


class Stack:
    """Everything that `up` runs, with its addresses and keys."""

    def __init__(self, local: LocalSettings, folder: DataFolder, console: Console) -> None:
        self.folder = folder
        self.steps = Steps(console)
        self.supervisor = Supervisor(
            record=folder.running, say=lambda line: console.print(line, markup=False, soft_wrap=True)
        )
        self._base = local.port_base
        self._postgres = EmbeddedPostgres(folder.path, port=self._base + POSTGRES)
        self._temporal = EmbeddedTemporal(
            folder.path, port=self._base + TEMPORAL, ui_port=self._base + TEMPORAL_UI, time_skipping=True
        )
        self._keys = folder.keys("api_key", "admin_key", "link_secret", *NAMES)
        self._gift_cards = folder.gift_cards(GIFT_CARDS)

    async def bring_up(self) -> None:
        """Start what can start together, together; prints and writes the addresses at the end."""
        with self.steps.shown():
            for name in await asyncio.to_thread(self.folder.running.end_orphans):
                self.steps.console.print(f"Ended {name}, which an earlier run had left over.")
            self._check_ports()
            async with asyncio.TaskGroup() as first:
                seeded = first.create_task(self._database())
                first.create_task(self._start_temporal())
                first.create_task(self._start(SANDBOX_PROCESS))
            async with asyncio.TaskGroup() as second:
                for spec in PROCESSES:
                    second.create_task(self._start(spec))
            with self.steps.step("webhooks"):
                keys = {a.name: a.signs_with(self._keys[a.name]) for a in ACCOUNTS}
                await register_targets(self._url(SANDBOX), self._url(API), keys)
        self._announce(seeded.result()["store"])

    async def stop(self) -> None:
        """Stop everything in order."""
        if self.supervisor.has_children:
            self.steps.console.print("Stopping.")
        await self.supervisor.stop_all()

    def _check_ports(self) -> None:
        for offset, name in enumerate(PORT_NAMES):
            if not is_free(self._base + offset):
                raise Refusal(
                    f"Port {self._base + offset} ({name}) is taken; stop whoever listens there, "
                    f"or choose other ports with OPMS_PORT_BASE={self._base + 100}."
                )

    async def _database(self) -> dict[str, str]:
        with self.steps.step("postgres"):
            await self.supervisor.begin(self._postgres, Rank.DATABASE)
        url = self._postgres.url(DATABASE)
        with self.steps.step("database and migrations"):
            await self._postgres.create_database(DATABASE)
            await migrate(url)
        with self.steps.step("demo store"):
            seed = (await asyncio.to_thread(import_module, "cli.seed")).seed
            seeded: dict[str, str] = await seed(
                url,
                api_key=self._keys["api_key"],
                admin_key=self._keys["admin_key"],
                gift_cards=self._gift_cards,
            )
        return seeded

    async def _start_temporal(self) -> None:
        with self.steps.step("temporal"):
            await self.supervisor.begin(self._temporal, Rank.ENGINE)

    async def _start(self, spec: ProcessSpec) -> None:
        with self.steps.step(spec.name):
            process = PythonProcess(
                spec, data_dir=self.folder.path, port_base=self._base, environment=os.environ | self._environment()
            )
            await self.supervisor.begin(process, spec.rank)

    def _environment(self) -> dict[str, str]:
        return {
            "OPMS_DATABASE_URL": self._postgres.url(DATABASE),
            "OPMS_TEMPORAL_ADDRESS": self._temporal.address,
            "OPMS_TEMPORAL_UI_URL": self._url(TEMPORAL_UI),
            "OPMS_LINK_SECRET": self._keys["link_secret"],
            "OPMS_API_HOST": "127.0.0.1",
            "OPMS_API_PORT": str(self._base + API),
            "OPMS_GATEWAYS": json.dumps(self._gateways()),
            "OPMS_SANDBOX_KEYS": json.dumps({name: self._keys[name] for name in NAMES}),
            "OPMS_SANDBOX_MERCHANTS": json.dumps(MERCHANTS),
        }

    def _gateways(self) -> dict[str, dict[str, str | bool]]:
        """The PG accounts as the settings want them."""
        return {a.name: a.settings(self._url(SANDBOX), self._keys[a.name]) for a in ACCOUNTS}

    def _url(self, offset: int) -> str:
        return f"http://127.0.0.1:{self._base + offset}"

    def _announce(self, store: str) -> None:
        addresses = {
            "api": self._url(API),
            "api_key": self._keys["api_key"],
            "admin_key": self._keys["admin_key"],
            "store": store,
            "temporal": self._temporal.address,
            "temporal_ui": self._url(TEMPORAL_UI),
            "admin": None,
            "sandbox": self._url(SANDBOX),
            "database": self._postgres.url(DATABASE),
        }
        kept = {"gift_card": self._gift_cards[0], "gateways": self._gateways()}
        write_private(self.folder.path / "demo.json", addresses | kept)
        for name, value in addresses.items():
            if value is not None:
                self.steps.console.print(f"  {name:12} {value}", markup=False, highlight=False, soft_wrap=True)
        logs = self.folder.path / "logs"
        self.steps.console.print(f"Logs are in {logs}. Ctrl-C stops everything; the data stays.", soft_wrap=True)


async def _unless(stop: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work, but leave it when `stop` is set; what went wrong in several parts is told as the first `Refusal`."""
    working = asyncio.ensure_future(work())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        return
    try:
        working.result()
    except* (ChildFailed, ClusterUnusable, Refusal) as failures:
        raise Refusal(str(_first(failures))) from failures


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
