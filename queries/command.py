"""Commands and what became of them; waiting for the outcome of one."""

import asyncio
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Rejected
from models.database import Database
from queries.order import CommandView

FINAL = frozenset({"applied", "rejected", "failed"})
"""Statuses after which a command changes no more."""
FIRST_PAUSE, LONGEST_PAUSE = 0.08, 0.25
"""Seconds between two looks at a command."""

_COMMAND = text("SELECT to_jsonb(c) - 'body' FROM command c WHERE c.store_id = :store AND c.id = :id")
_VIEW = TypeAdapter(CommandView)


class UnknownCommand(Rejected):
    """No such command in this store."""

    code = "command_not_found"


async def view_command(connection: AsyncConnection, store: str, command_id: UUID) -> CommandView:
    """The command as it stands. Raises `UnknownCommand`, also for a command of another store."""
    document: dict[str, Any] | None = (
        await connection.execute(_COMMAND, {"store": store, "id": command_id})
    ).scalar_one_or_none()
    if document is None:
        raise UnknownCommand(f"no command {command_id} in this store")
    return _VIEW.validate_python(document)


async def wait_for_command(database: Database, store: str, command_id: UUID, seconds: float) -> CommandView:
    """The command once it is final, or as it stands after ``seconds``. No connection is held between two looks.

    Raises `UnknownCommand`.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    pause = FIRST_PAUSE
    await asyncio.sleep(min(pause, seconds))  # It was accepted this moment: nobody has decided it yet.
    while True:
        async with database.reading() as connection:
            command = await view_command(connection, store, command_id)
        left = deadline - clock()
        if command.status in FINAL or left <= 0:
            return command
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)
