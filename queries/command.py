"""Commands and what became of them."""

from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Rejected
from queries.order import CommandView

FINAL = frozenset({"applied", "rejected", "failed"})
"""Statuses after which a command changes no more."""

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
