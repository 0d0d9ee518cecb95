"""Watching orders for changes: one poller per process, one statement for all of them, only while someone watches."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import UnknownOrder
from models.database import Database

log = structlog.get_logger()

INTERVAL_SECONDS = 0.5
_VERSIONS = text(
    """
    SELECT o.store_id, o.number, o.version
      FROM unnest(CAST(:stores AS text[]), CAST(:numbers AS text[])) AS w(store_id, number)
      JOIN orders o ON o.store_id = w.store_id AND o.number = w.number
    """
)
_VERSION = text("SELECT version FROM orders WHERE store_id = :store AND number = :number")

OrderKey = tuple[str, str]
"""Store and number."""


class Watching:
    """One watcher of one order."""

    def __init__(self, key: OrderKey, version: int) -> None:
        self.key = key
        self.version = version
        """The newest version that is known."""
        self.closed = False
        self._news = asyncio.Event()

    async def news(self, *, seconds: float) -> bool:
        """True when the version has changed or the watch has ended; False after so many seconds without either."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    def tell(self, version: int) -> None:
        """A version was read; an older one is not news."""
        if version > self.version:
            self.version = version
            self._news.set()

    def close(self) -> None:
        """The process is going down: the watcher must leave."""
        self.closed = True
        self._news.set()


class Watch:
    """All watchers of a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watchers: dict[OrderKey, set[Watching]] = {}
        self._poller: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self, store: str, number: str) -> Watching:
        """A watcher that knows the order's version; it hears of later ones while it is `following`.

        Raises `UnknownOrder`.
        """
        async with self._database.reading() as connection:
            version = (await connection.execute(_VERSION, {"store": store, "number": number})).scalar()
        if version is None:
            raise UnknownOrder(f"no order {number} in this store")
        return Watching((store, number), int(version))

    @asynccontextmanager
    async def following(self, watching: Watching) -> AsyncIterator[None]:
        """Tell a watcher of every new version until the end of the block."""
        if self._closed:
            watching.close()
        self._watchers.setdefault(watching.key, set()).add(watching)
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll(), name="order-watch")
        try:
            yield
        finally:
            self._watchers[watching.key].discard(watching)
            if not self._watchers[watching.key]:
                del self._watchers[watching.key]

    def close(self) -> None:
        """Let every watcher leave, now and from now on. Called before the server waits for open connections."""
        self._closed = True
        for watching in self._all():
            watching.close()

    async def _poll(self) -> None:
        """Ends by itself with the last watcher; a database that is out of reach is asked again."""
        try:
            while self._watchers:
                await asyncio.sleep(INTERVAL_SECONDS)
                try:
                    await self._look()
                except (SQLAlchemyError, OSError) as error:
                    log.warning("order_watch.look_failed", error=type(error).__name__, orders=len(self._watchers))
        finally:
            self._poller = None

    async def _look(self) -> None:
        keys = list(self._watchers)
        if not keys:
            return
        parameters = {"stores": [store for store, _ in keys], "numbers": [number for _, number in keys]}
        async with self._database.reading() as connection:
            rows = (await connection.execute(_VERSIONS, parameters)).all()
        for store, number, version in rows:
            for watching in self._watchers.get((store, number), ()):
                watching.tell(version)

    def _all(self) -> list[Watching]:
        return [watching for watchers in self._watchers.values() for watching in watchers]
