"""The lock file that a killed Postgres leaves behind.

Postgres believes a lock file whose process id exists, and an id exists too long: the killed server is not yet reaped
(a zombie), or after a reboot the id is another program's. Then it refuses to start. Whether a server really works in
the folder shows in the working directories of the processes: all of Postgres's own are in its data folder.
"""

import contextlib
import time
from pathlib import Path

import psutil

PATIENCE_SECONDS = 10.0
"""How long backends of a killed server may take to notice; they do so at once."""
LOOK_EVERY = 0.05


def release_stale_lock(cluster: Path) -> None:
    """Remove the lock file once nobody works in the folder; leave it to Postgres to refuse if somebody still does."""
    lock = cluster / "postmaster.pid"
    if not lock.exists():
        return
    deadline = time.monotonic() + PATIENCE_SECONDS
    while works_in(cluster):
        if time.monotonic() > deadline:
            return
        time.sleep(LOOK_EVERY)
    lock.unlink(missing_ok=True)


def works_in(folder: Path) -> list[int]:
    """The living processes whose working directory this is; zombies have none."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.cwd() == str(folder.resolve()):
                found.append(process.pid)
    return found
