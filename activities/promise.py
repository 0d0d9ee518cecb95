"""Commands that OPMS gives itself: the row is the promise, the relay sends what nobody has sent."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.command import Command

_PROMISE = text(
    """
    INSERT INTO command (id, store_id, number, kind, status, actor, body, result, accepted_at)
    VALUES (:id, :store, :number, :kind, 'accepted', :actor, CAST(:body AS jsonb), '{}', :now)
    ON CONFLICT (id) DO NOTHING
    """
)


async def promise(connection: AsyncConnection, commands: Iterable[Command], now: datetime) -> None:
    """Accept commands durably, each once by its id."""
    rows = [
        {
            "id": command.id,
            "store": command.store,
            "number": command.number,
            "kind": command.body.kind,
            "actor": command.actor,
            "body": json.dumps(asdict(command.body), default=str),
            "now": now,
        }
        for command in commands
    ]
    if rows:
        await connection.execute(_PROMISE, rows)
