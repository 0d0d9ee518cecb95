"""The system under load: the same processes as `make up`, in a folder and on ports of their own, gone afterwards."""

import json
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path

import psutil
from rich.console import Console

from cli.addresses import Addresses
from cli.folder import DataFolder
from cli.processes import POSTGRES, ProcessSpec, PythonProcess
from cli.supervisor import Rank
from cli.up import Stack
from wiring.embedded import EmbeddedPostgres
from wiring.ports import LOOPBACK
from wiring.settings import LocalSettings

PORTS = 6
"""Five of `make up`, and one for the skeleton's acknowledgements."""


@dataclass(frozen=True, slots=True)
class UnderLoad:
    """The running system with what the measurements need."""

    addresses: Addresses
    folder: Path
    port_base: int
    stack: Stack

    @property
    def acknowledgement_port(self) -> int:
        """Where the skeleton's steps report."""
        return self.port_base + PORTS - 1

    async def start(self, spec: ProcessSpec) -> None:
        """One more process, stopped with the others."""
        process = PythonProcess(spec, data_dir=self.folder, port_base=self.port_base, environment=environ)
        await self.stack.supervisor.begin(process, Rank.WORKER)

    def cpu_seconds(self) -> dict[str, float]:
        """CPU used so far by each process with its children, by name; ``load``: our own."""
        running: dict[str, dict[str, float]] = json.loads((self.folder / "running.json").read_text())
        used = {name: _used(psutil.Process(int(entry["pid"]))) for name, entry in running.items()}
        return used | {"load": _used(psutil.Process(), with_children=False)}


@asynccontextmanager
async def under_load(*, keep: bool) -> AsyncIterator[UnderLoad]:
    """Bring everything up from nothing and, whatever happens, stop it and (unless ``keep``) remove its folder."""
    home = _new_home()
    folder = DataFolder(home / "data")
    base = consecutive_ports(PORTS)
    try:
        with folder.held():
            stack = Stack(LocalSettings(data_dir=folder.path, port_base=base), folder, Console(quiet=True))
            try:
                await stack.bring_up()
                addresses = Addresses.model_validate(json.loads((folder.path / "demo.json").read_text()))
                yield UnderLoad(addresses, folder.path, base, stack)
            finally:
                await stack.stop()
    finally:
        if not keep:
            EmbeddedPostgres(folder.path, port=base + POSTGRES).discard()
            shutil.rmtree(home)


def consecutive_ports(count: int) -> int:
    """The first of so many free loopback ports in a row, below those that the system gives to outgoing connections."""
    for base in range(17_000, 32_000, count):
        with ExitStack() as held:
            try:
                for port in range(base, base + count):
                    held.enter_context(socket.socket()).bind((LOOPBACK, port))
            except OSError:
                continue
            return base
    raise RuntimeError("no free ports in a row below 32000")


def _new_home() -> Path:
    """A new folder that others may walk through, because Postgres has a user of its own."""
    home = Path(tempfile.mkdtemp(prefix="opms-bench-"))
    home.chmod(0o711)
    return home


def _used(process: psutil.Process, *, with_children: bool = True) -> float:
    family = [process, *(process.children(recursive=True) if with_children else [])]
    total = 0.0
    for one in family:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:  # a database connection that has just closed
            continue
        total += float(times.user + times.system)
    return total
