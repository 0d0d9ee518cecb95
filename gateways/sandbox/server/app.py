"""The sandbox PG put together: storage, ledger, endpoints, and the loops that run beside them."""

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from gateways.sandbox.server.challenge import Challenge
from gateways.sandbox.server.connection import TransportInScope
from gateways.sandbox.server.delivery import Courier, Outbox
from gateways.sandbox.server.execution import Execution
from gateways.sandbox.server.fault import FaultBook, Moment, Target
from gateways.sandbox.server.gate import Gate
from gateways.sandbox.server.header import FaultInHeader
from gateways.sandbox.server.inspection import Inspection
from gateways.sandbox.server.ledger import Ledger, Stamp
from gateways.sandbox.server.payment import UNDECIDED, Payment
from gateways.sandbox.server.personality import Counter, Personality
from gateways.sandbox.server.refusal import Refusal
from gateways.sandbox.server.response import answer_json
from gateways.sandbox.server.settlement import Settlement
from gateways.sandbox.server.statement import Statement
from gateways.sandbox.server.storage import Storage
from gateways.sandbox.server.vendors import PERSONALITIES

log = logging.getLogger("sandbox")

_LONGEST_NAP_SECONDS = 3600.0
_AGAIN_SECONDS = 1.0
"""After so long a loop that has failed goes on."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a sandbox PG is run. ``keys``: account -> key; empty: any key opens any account.

    ``merchants``: account -> the vendor's own name of its merchant; an account that is not there takes any.
    """

    folder: Path
    public_url: str
    keys: Mapping[str, str] = field(default_factory=dict)
    merchants: Mapping[str, str] = field(default_factory=dict)
    pending_seconds: float = 1.0
    slow_seconds: float = 3.0


class Settling:
    """Gives tok_pending payments their result when it is due, also those from before a restart."""

    def __init__(self, storage: Storage, ledger: Ledger, *, clock: Callable[[], float]) -> None:
        """``clock`` gives Unix seconds."""
        self._storage = storage
        self._ledger = ledger
        self._clock = clock
        self.changed = asyncio.Event()

    async def run(self) -> None:
        """Settle until cancelled."""
        while True:
            self.changed.clear()
            self._settle_due()
            next_at = self._ledger.next_due()
            nap = _LONGEST_NAP_SECONDS if next_at is None else max(0.001, next_at - self._clock())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait(), nap)

    def _settle_due(self) -> None:
        now = self._clock()
        due = self._ledger.due(now)
        if not due:
            return
        with self._storage.transaction():
            for payment in due:
                stamp = Stamp(payment.account, f"op_{secrets.token_hex(10)}", payment.idempotency_key, now)
                self._ledger.decide(payment, stamp, approve=True)


class Postponed:
    """Runs what the vendors' personalities put off, also what was put off before a restart."""

    def __init__(self, storage: Storage, voices: Mapping[str, Personality], *, clock: Callable[[], float]) -> None:
        """``clock`` gives Unix seconds."""
        self._storage = storage
        self._voices = voices
        self._clock = clock
        self.changed = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled; one transaction for each job."""
        connection = self._storage.connection
        while True:
            self.changed.clear()
            for job in connection.execute(
                "SELECT * FROM jobs WHERE due_at <= ? ORDER BY id", (self._clock(),)
            ).fetchall():
                with self._storage.transaction():
                    connection.execute("DELETE FROM jobs WHERE id=?", (job["id"],))
                    voice = self._voices[job["vendor"]]
                    voice.run_job(job["account"], job["name"], json.loads(job["payload"]), self._clock())
            next_at = connection.execute("SELECT min(due_at) FROM jobs").fetchone()[0]
            nap = _LONGEST_NAP_SECONDS if next_at is None else max(0.001, next_at - self._clock())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait(), nap)


def vendor_of(storage: Storage, account: str) -> str | None:
    """Which vendor an account speaks as; None: the sandbox's own way."""
    row = storage.connection.execute("SELECT vendor FROM personalities WHERE account=?", (account,)).fetchone()
    return None if row is None else str(row[0])


def build_app(options: Options) -> ASGIApp:
    """One ASGI application. Raises what `Storage` raises."""
    storage = Storage(options.folder)
    faults = FaultBook()
    outbox = Outbox(storage, faults)
    voices: dict[str, Personality] = {}

    def clock() -> float:
        return time.time() + faults.skew

    def announce(payment: Payment, operation: str, now: float) -> None:
        voice = voices.get(vendor_of(storage, payment.account) or "", outbox)
        if faults.skew:
            voice.announce(payment, operation, now)
        else:
            fired = faults.fire(Target(payment.account, operation), Moment.RESULT, now=now)
            with faults.off_by(fired):
                voice.announce(payment, operation, now + faults.skew)
        if payment.status in UNDECIDED:
            settling.changed.set()

    ledger = Ledger(storage, pending_seconds=options.pending_seconds, announce=announce, skew=lambda: faults.skew)
    settling = Settling(storage, ledger, clock=time.time)
    postponed = Postponed(storage, voices, clock=time.time)
    for personality in PERSONALITIES:
        counter = Counter(
            vendor=personality.vendor,
            storage=storage,
            ledger=ledger,
            faults=faults,
            keys=options.keys,
            public_url=options.public_url,
            pending_seconds=options.pending_seconds,
            slow_seconds=options.slow_seconds,
            clock=clock,
            put_off=postponed.changed,
            poster=outbox.post,
            merchants=options.merchants,
        )
        voices[personality.vendor] = personality(counter)
    courier = Courier(storage, outbox, voices, clock=time.time)
    execution = Execution(storage, ledger, public_url=options.public_url, clock=clock)
    gate = Gate(
        execution,
        faults,
        keys=options.keys,
        slow_seconds=options.slow_seconds,
        clock=clock,
    )
    routes = [
        *gate.routes(),
        *(route for voice in voices.values() for route in voice.routes()),
        *Settlement(storage, keys=options.keys).routes(),
        *Challenge(storage, ledger, clock=clock).routes(),
        *Inspection(faults, outbox, Statement(storage)).routes(),
    ]

    handlers = {Refusal: _refused, HTTPException: _no_route, ClientDisconnect: _gone}
    beside = _beside([settling.run, postponed.run, courier.run], storage)
    app = Starlette(routes=routes, lifespan=beside, exception_handlers=handlers)  # type: ignore[arg-type]
    app.router.redirect_slashes = False
    return TransportInScope(FaultInHeader(app))


def _beside(
    loops: list[Callable[[], Coroutine[Any, Any, None]]], storage: Storage
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """A lifespan that runs ``loops`` beside the server, and closes the storage after the last request."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(keep_up(loop)) for loop in loops]
            yield
            for task in running:
                task.cancel()
        storage.close()

    return lifespan


async def keep_up(loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a loop, again if it fails: what one piece of work trips over must not end settling and webhooks for good."""
    while True:
        try:
            await loop()
        except Exception:
            log.exception("loop.failed")
            await asyncio.sleep(_AGAIN_SECONDS)


async def _refused(_request: Request, refusal: Refusal) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else None
    return answer_json(refusal.status, {"error": refusal.as_json()}, headers)


async def _no_route(_request: Request, error: HTTPException) -> Response:
    code = "method_not_allowed" if error.status_code == 405 else "no_such_route"
    return answer_json(error.status_code, {"error": {"code": code, "message": error.detail}}, error.headers)


async def _gone(_request: Request, _error: ClientDisconnect) -> Response:
    return answer_json(400, {"error": {"code": "disconnected", "message": "The client went away."}})
