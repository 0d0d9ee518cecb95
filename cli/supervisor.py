"""Keep the children running: start, watch, start again, and stop them all in order."""

import asyncio
from collections.abc import Callable
from enum import IntEnum

from cli.folder import RunningRecord
from wiring.child import Child, ChildFailed

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
"""Seconds before a dead child is started again; the pause doubles with each failure in a row."""

STEADY_AFTER = 60.0
"""Seconds after which a child counts as steady and its next pause is the first one again."""

STOP_GRACE = 2.3
"""Seconds that each rank gets to stop; four ranks stay below ten seconds."""


class Rank(IntEnum):
    """Who leans on whom: a higher rank is stopped before a lower one."""

    DATABASE = 0
    ENGINE = 1
    WORKER = 2
    SERVER = 3


class Supervisor:
    """Runs children until told to stop; `say` gets one line for everything that an operator should see."""

    def __init__(self, *, record: RunningRecord, say: Callable[[str], None]) -> None:
        self._record = record
        self._say = say
        self._children: list[tuple[Rank, Child]] = []
        self._watchers: list[asyncio.Task[None]] = []

    @property
    def has_children(self) -> bool:
        """Whether anything was started."""
        return bool(self._children)

    async def begin(self, child: Child, rank: Rank) -> None:
        """Start a child, wait until it serves, and keep it running from then on; raises `ChildFailed`."""
        self._children.append((rank, child))
        await self._start(child)
        self._watchers.append(asyncio.create_task(self._keep(child), name=f"keep {child.name}"))

    async def run_until(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set; raises whatever made a watcher give up."""
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopping, *self._watchers], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done - {stopping}:
            task.result()

    async def stop_all(self) -> None:
        """Stop every child, the highest rank first; whoever takes longer than its grace is killed."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for rank in sorted(Rank, reverse=True):
            await asyncio.gather(*(child.stop(STOP_GRACE) for own, child in self._children if own is rank))
        self._record.clear()

    async def _start(self, child: Child) -> None:
        await child.start()
        self._record.note(child.name, child.pid, child.program().stop_signal)
        await child.wait_ready()

    async def _keep(self, child: Child) -> None:
        clock = asyncio.get_running_loop().time
        pause = FIRST_PAUSE
        while True:
            since = clock()
            code = await child.ended()
            if clock() - since > STEADY_AFTER:
                pause = FIRST_PAUSE
            self._say(f"{child.name} ended ({_how(code)}); starting it again in {pause:.1f} s, log: {child.log}")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            await self._start_again(child)

    async def _start_again(self, child: Child) -> None:
        try:
            await self._start(child)
        except ChildFailed as failure:
            self._say(str(failure))
            await child.stop(STOP_GRACE)  # it may still run without serving; its end is what the watcher waits for
        else:
            self._say(f"{child.name} is back.")


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
