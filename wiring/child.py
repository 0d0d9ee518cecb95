"""One child process of ours: its output goes to a log file, and on Linux it ends when we end, even by `kill -9`."""

import asyncio
import ctypes
import os
import signal
import sys
from abc import ABC, abstractmethod
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypedDict

from wiring.account import Account

PR_SET_PDEATHSIG = 1
LOOK_EVERY = 0.03
"""Seconds between two looks at a child's readiness."""
KEPT_LOGS = 3
"""Logs of earlier starts that are kept, as `<name>.log.1` (the newest) and on."""


class ChildFailed(Exception):
    """A child ended or did not become ready; the message has its name and the last line that it wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run: the words, the folder, the environment, the system user and the signal that ends it gently."""

    argv: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM


class RunAs(TypedDict, total=False):
    """The arguments of `Popen` that change the system user."""

    user: int
    group: int
    extra_groups: list[int]


def run_as(account: Account | None) -> RunAs:
    """Arguments of `Popen` that run a program as `account`; none when it is to run as we do."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


class Child(ABC):
    """A program that can be started, waited for until it serves, stopped, and started again."""

    def __init__(self, name: str, *, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: Process | None = None

    @abstractmethod
    def program(self) -> Program:
        """What to run; asked anew at each start."""

    @abstractmethod
    async def is_ready(self) -> bool:
        """Whether it serves now; may not raise for the ordinary ways of not being ready yet."""

    async def prepare(self) -> None:
        """Whatever has to exist before the program can start; called before each start."""

    @property
    def pid(self) -> int:
        """The process id; raises `ChildFailed` when it was never started."""
        return self._started().pid

    async def start(self) -> None:
        """Start the process; returns before it serves (see `wait_ready`)."""
        await self.prepare()
        program = self.program()
        with _open_log(self.log) as output:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *program.argv,
                    cwd=program.folder,
                    env=program.environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # the terminal's Ctrl-C is for us alone; we stop our children in order
                    preexec_fn=_end_with_parent(program.stop_signal),
                    **run_as(program.account),
                )
            except OSError as denied:
                raise ChildFailed(f"{self.name} cannot be started: {denied.strerror}: {denied.filename}") from denied

    async def wait_ready(self, within: float = 60.0) -> None:
        """Return once it serves; raises `ChildFailed` when it ends first or takes longer than `within` seconds."""
        try:
            async with asyncio.timeout(within):
                while not await self.is_ready():
                    if self._started().returncode is not None:
                        raise self._failure(f"ended with code {self._started().returncode}")
                    await asyncio.sleep(LOOK_EVERY)
        except TimeoutError as late:
            raise self._failure(f"was not ready within {within:.0f} s") from late

    async def ended(self) -> int:
        """Wait for the end of the process; returns its exit code, negative for a signal."""
        return await self._started().wait()

    async def stop(self, grace: float = 10.0) -> None:
        """Ask it to end and wait; after `grace` seconds kill it. Does nothing when it does not run."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(self.program().stop_signal)
        try:
            await asyncio.wait_for(process.wait(), grace)
        except TimeoutError:
            process.kill()
            await process.wait()

    def _started(self) -> Process:
        if self._process is None:
            raise ChildFailed(f"{self.name} was not started.")
        return self._process

    def _failure(self, what: str) -> ChildFailed:
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")
        return ChildFailed(f"{self.name} {what}: {last} (log: {self.log})")


def _open_log(log: Path) -> IO[bytes]:
    """A new log; those of earlier starts move up by one."""
    log.parent.mkdir(parents=True, exist_ok=True)
    for number in range(KEPT_LOGS, 0, -1):
        older = log if number == 1 else log.with_name(f"{log.name}.{number - 1}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))
    return log.open("wb")


def _end_with_parent(stop_signal: signal.Signals) -> Callable[[], None] | None:
    """What the child runs between fork and exec, so that the kernel signals it when our process dies.

    Only Linux has this, and it means the thread that started the child: start children from the main thread. The
    library is loaded before the fork, because loading is not safe after it.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask_the_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0)

    return ask_the_kernel
