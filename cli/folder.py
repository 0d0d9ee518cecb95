"""The data folder of the embedded stack: one owner at a time, its version, its keys, and what ran in it last."""

import contextlib
import fcntl
import json
import os
import secrets
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from cli.refusal import Refusal
from domain.value import new_code

DATA_VERSION = 1
"""Layout of the folder; raised when an older version of OPMS could not work with it any more."""

ORPHANS_GRACE = 5.0
"""Seconds that processes of an earlier run get to end by themselves before they are killed."""


class DataFolder:
    """The folder below which everything of one embedded stack is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one who runs in this folder; raises `Refusal` when that cannot be."""
        try:
            self.path.mkdir(mode=0o711, parents=True, exist_ok=True)  # others may only pass, not look
            lock = (self.path / "lock").open("a+")
        except OSError as denied:
            raise Refusal(
                f"The data folder {self.path} cannot be written ({denied.strerror}); "
                "set OPMS_DATA_DIR to a folder that you may write."
            ) from denied
        with lock:
            self._take(lock.fileno())
            self._check_version()
            (self.path / "lock").write_text(f"{os.getpid()}\n")
            yield

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            pid = (self.path / "lock").read_text().strip()
            raise Refusal(
                f"OPMS already runs in {self.path} (process {pid}); stop that one first with Ctrl-C or `kill {pid}`."
            ) from taken

    def _check_version(self) -> None:
        file = self.path / "version"
        if not file.exists():
            file.write_text(f"{DATA_VERSION}\n")
        found = file.read_text().strip()
        if not found.isdecimal() or int(found) > DATA_VERSION:
            raise Refusal(
                f"The data in {self.path} is of a newer OPMS (version {found}, this one knows {DATA_VERSION}); "
                "update this project, or set OPMS_DATA_DIR to another folder."
            )

    def keys(self, *names: str) -> dict[str, str]:
        """Random keys by name; made at the first call and the same ever after."""
        return self._kept(names, lambda: secrets.token_urlsafe(24))

    def gift_cards(self, count: int) -> list[str]:
        """Codes of so many gift cards; made at the first call and the same ever after."""
        names = [f"gift_card_{n}" for n in range(1, count + 1)]
        return list(self._kept(names, lambda: new_code(secrets.choice)).values())

    def _kept(self, names: Sequence[str], make: Callable[[], str]) -> dict[str, str]:
        file = self.path / "keys.json"
        kept: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        missing = {name: make() for name in names if name not in kept}
        if missing:
            write_private(file, kept | missing)
        return {name: (kept | missing)[name] for name in names}

    @property
    def running(self) -> "RunningRecord":
        """The record of the processes that were started here."""
        return RunningRecord(self.path / "running.json")


class RunningRecord:
    """Which processes were started, by pid and start time, so that a later run can end what was left over."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def note(self, name: str, pid: int, stop_signal: signal.Signals) -> None:
        """Remember one process that was just started."""
        try:
            started = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:  # it ended at once: nothing will be left over
            return
        write_private(self._file, self._read() | {name: {"pid": pid, "started": started, "signal": int(stop_signal)}})

    def clear(self) -> None:
        """Forget all; called when every one of them has been stopped."""
        self._file.unlink(missing_ok=True)

    def end_orphans(self) -> list[str]:
        """End what an earlier run left over, gently and then by force; returns the names.

        A pid alone proves nothing, because the system reuses them: the start time has to match as well.
        """
        left = {name: process for name, entry in self._read().items() if (process := _alive(entry))}
        for name, process in left.items():
            with contextlib.suppress(psutil.NoSuchProcess):  # ended by itself meanwhile
                process.send_signal(int(self._read()[name]["signal"]))
        _, stubborn = psutil.wait_procs(left.values(), timeout=ORPHANS_GRACE)
        for process in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=ORPHANS_GRACE)
        self.clear()
        return list(left)

    def _read(self) -> dict[str, dict[str, float]]:
        if not self._file.exists():
            return {}
        entries: dict[str, dict[str, float]] = json.loads(self._file.read_text())
        return entries


def _alive(entry: Mapping[str, float]) -> psutil.Process | None:
    try:
        process = psutil.Process(int(entry["pid"]))
        if process.create_time() != entry["started"] or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except psutil.NoSuchProcess:
        return None
    return process


def write_private(file: Path, content: object) -> None:
    """Write JSON that only we may read, in one step: a reader sees the old file or the new one, never half."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(content, out, indent=2)
        out.write("\n")
    fresh.replace(file)
