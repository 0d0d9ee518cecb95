"""Connections to Postgres: writing transactions, and reading sessions that Postgres itself keeps read-only."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

SELECTING = 3
"""Connections of one process for choices by ratio; more would only wait for the same row."""


def _engine(url: str, *, size: int, settings: dict[str, str], autocommit: bool) -> AsyncEngine:
    return create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1),
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=False,
        pool_recycle=1800,
        hide_parameters=True,
        isolation_level="AUTOCOMMIT" if autocommit else "READ COMMITTED",
        connect_args={"timeout": 5, "command_timeout": 15, "server_settings": settings},
    )


class Database:
    """One process's pools. ``size`` connections for each of writing and reading.

    A connection that Postgres closed (restart, fail-over) raises once and is replaced; callers that must not lose
    work retry (Temporal does), faces answer 503.
    """

    def __init__(self, url: str, *, size: int = 10, application: str = "opms") -> None:
        shared = {"application_name": application, "statement_timeout": "15000", "lock_timeout": "8000", "jit": "off"}
        # An order is always found by its key: planning its big statement anew each time costs more than running it.
        planned_once = shared | {"plan_cache_mode": "force_generic_plan"}
        self._writing = _engine(url, size=size, settings=planned_once, autocommit=False)
        self._single = self._writing.execution_options(isolation_level="AUTOCOMMIT")
        # What may be lost in a power cut waits for no disk: a choice is a little ratio, never money.
        hasty = planned_once | {"synchronous_commit": "off"}
        self._selecting = _engine(url, size=min(size, SELECTING), settings=hasty, autocommit=True)
        read_only = shared | {"default_transaction_read_only": "on"}
        self._reading = _engine(url, size=size, settings=read_only, autocommit=True)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A writing transaction: committed at the end of the block, rolled back on any error."""
        async with self._writing.begin() as connection:
            yield connection

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[AsyncConnection]:
        """For one writing statement that is a transaction by itself."""
        async with self._single.connect() as connection:
            yield connection

    @asynccontextmanager
    async def selecting(self) -> AsyncIterator[AsyncConnection]:
        """For one short statement that commits at once, without waiting for the disk, inside somebody's transaction.

        These connections are few and apart: whoever has one waits for no other, so transactions that wait for one
        cannot block each other.
        """
        async with self._selecting.connect() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which Postgres refuses every write."""
        async with self._reading.connect() as connection:
            yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self._writing.dispose()
        await self._selecting.dispose()
        await self._reading.dispose()
