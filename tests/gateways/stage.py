"""One vendor's way of speaking over a ledger of its own, in this process, on a clock that a test moves."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from gateways.sandbox.server.fault import FaultBook
from gateways.sandbox.server.ledger import Ledger
from gateways.sandbox.server.payment import Payment
from gateways.sandbox.server.personality import Counter, Personality
from gateways.sandbox.server.storage import Storage
from tests.gateways.rig import KEY

URL = "http://pg.test"


class Stage:
    """``now``: Unix seconds. ``posted``: the webhooks, undelivered."""

    def __init__(self, folder: Path, vendor: str, account: str, speak: Callable[[Counter], Personality]) -> None:
        self.now = 1_800_000_000.0
        self.posted: list[dict[str, Any]] = []
        self.url = f"{URL}/{vendor}/{account}"
        self.storage = Storage(folder)
        self.ledger = Ledger(self.storage, pending_seconds=1.0, announce=self._announce)
        counter = Counter(
            vendor=vendor,
            storage=self.storage,
            ledger=self.ledger,
            faults=FaultBook(),
            keys={account: KEY},
            public_url=URL,
            pending_seconds=1.0,
            slow_seconds=0.0,
            clock=lambda: self.now,
            put_off=asyncio.Event(),
            poster=lambda _account, _event, body, _operation, _now: self.posted.append(json.loads(body)),
        )
        self.voice = speak(counter)
        app = Starlette(routes=self.voice.routes())
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=URL)

    def _announce(self, payment: Payment, operation: str, now: float) -> None:
        self.voice.announce(payment, operation, now)

    def run_jobs(self) -> int:
        """Do what is due by now, once; how much that was."""
        due = self.storage.connection.execute("SELECT * FROM jobs WHERE due_at <= ?", (self.now,)).fetchall()
        for job in due:
            with self.storage.transaction():
                self.voice.run_job(job["account"], job["name"], json.loads(job["payload"]), self.now)
                self.storage.connection.execute("DELETE FROM jobs WHERE id = ?", (job["id"],))
        return len(due)

    async def close(self) -> None:
        """Nothing is kept open."""
        await self.http.aclose()
        self.storage.close()
