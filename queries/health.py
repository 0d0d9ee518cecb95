"""Whether Postgres answers."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def ping(connection: AsyncConnection) -> None:
    """Return when Postgres has answered; raises whatever keeps it from answering."""
    await connection.execute(text("SELECT 1"))
