"""Waiting for commands to become final: one question for all who wait in this process, only while someone waits."""

import asyncio
from uuid import UUID

from sqlalchemy import text

from models.database import Database

INTERVAL_SECONDS = 0.05
# A command that does not exist will not become final either: whoever waits for it looks, and finds that out.
_FINAL = text(
    """
    SELECT w.id FROM unnest(CAST(:ids AS uuid[])) AS w(id) LEFT JOIN command c ON c.id = w.id
     WHERE c.status IS DISTINCT FROM 'accepted'
    """
)


class Decisions:
    """All who wait for commands in a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[UUID, set[asyncio.Future[None]]] = {}
        self._poller: asyncio.Task[None] | None = None

    async def wait(self, command_id: UUID, seconds: float) -> None:
        """Return once the command is final or does not exist, at the latest after ``seconds``.

        Raises what asking the database raised.
        """
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(command_id, set()).add(told)
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll(), name="command-decisions")
        try:
            async with asyncio.timeout(seconds):
                await told
        except TimeoutError:
            return
        finally:
            self._forget(command_id, told)

    def _forget(self, command_id: UUID, told: asyncio.Future[None]) -> None:
        others = self._waiting.get(command_id, set())
        others.discard(told)
        if not others:
            self._waiting.pop(command_id, None)

    async def _poll(self) -> None:
        """Ends by itself with the last who waits."""
        try:
            while self._waiting:
                await asyncio.sleep(INTERVAL_SECONDS)
                asked = {command_id: set(told) for command_id, told in self._waiting.items()}
                try:
                    final = await self._look(list(asked)) if asked else ()
                except Exception as away:  # noqa: BLE001 - each who waits gets it, and answers for it
                    for told in set().union(*asked.values()):
                        if not told.done():
                            told.set_exception(away)
                    continue
                for command_id in final:
                    for told in asked[command_id]:
                        if not told.done():
                            told.set_result(None)
        finally:
            self._poller = None

    async def _look(self, commands: list[UUID]) -> list[UUID]:
        async with self._database.reading() as connection:
            return list((await connection.execute(_FINAL, {"ids": commands})).scalars())
