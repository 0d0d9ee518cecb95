"""What every vendor's personality is made of: one ledger behind many ways of speaking.

A personality answers under ``/{vendor}/{account}``, as that vendor's documents say, and moves money only through the
sandbox's `Ledger`. It gets a `Counter`: storage, ledger, faults, its own documents and stored answers, later jobs and
webhooks. Everything that one request writes is one transaction.
"""

import asyncio
import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from starlette.responses import Response
from starlette.routing import BaseRoute

from gateways.sandbox.server.connection import CutConnection
from gateways.sandbox.server.fault import FaultBook, FaultKind, Fired, Moment, Target
from gateways.sandbox.server.ledger import Ledger, Stamp
from gateways.sandbox.server.payment import Payment
from gateways.sandbox.server.storage import Storage
from gateways.sandbox.server.strike import damaged

Poster = Callable[[str, str, str, str, float], None]
"""Puts a webhook into the outbox: account, event id, body, operation (for faults), Unix seconds."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a vendor answers: the bytes are kept, so that a replay is the same to the last byte."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"

    @classmethod
    def json(cls, status: int, body: Any, **headers: str) -> "Said":
        """Compact JSON in UTF-8; ``request_id="x"`` becomes the header ``request-id``."""
        raw = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        return cls(status, raw, {name.replace("_", "-"): value for name, value in headers.items()})

    def response(self, **more: str) -> Response:
        """As it is sent; ``more`` headers as in `json`."""
        added = {name.replace("_", "-"): value for name, value in more.items()}
        return Response(self.body, self.status, {**self.headers, **added}, media_type=self.media_type)


class Personality(ABC):
    """One vendor's way of speaking."""

    vendor: ClassVar[str]

    def __init__(self, counter: "Counter") -> None:
        self.counter = counter

    @abstractmethod
    def routes(self) -> list[BaseRoute]:
        """Routes below ``/{vendor}/{account}``, their paths complete."""

    @abstractmethod
    def announce(self, payment: Payment, operation: str, now: float) -> None:
        """A payment of ours changed, inside the same transaction: post what this vendor would post."""

    @abstractmethod
    def sign(self, secret: str, raw: bytes, now: float) -> Mapping[str, str]:
        """The headers of one delivery of a webhook, signature and content type included."""

    @abstractmethod
    def refused(self) -> Said:
        """How this vendor says: not now, nothing was executed (fault ``refuse``)."""

    @abstractmethod
    def broken(self) -> Said:
        """This vendor's answer to something that broke inside (faults ``500_before``, ``500_after``)."""

    @abstractmethod
    def inflate(self, body: Any) -> Any:
        """A JSON answer of ours with every stated amount one minor unit too high (fault ``wrong_amount``)."""

    async def answer(self, account: str, operation: str, key: str | None, execute: Callable[[], Said]) -> Response:
        """Execute, unless an armed fault strikes before, and answer, unless one strikes after.

        ``operation`` is one of authorize, capture, void, refund, lookup, neutralize; ``execute`` is called at most
        once, runs its own transaction, and must not await.
        """
        counter = self.counter
        fired = counter.faults.fire(Target(account, operation, key), Moment.REQUEST, now=counter.clock())
        if fired is None:
            return execute().response()
        if fired.fault is FaultKind.DROP_BEFORE:
            return CutConnection()
        if fired.fault.before_effect:
            return (self.refused() if fired.fault is FaultKind.REFUSE else self.broken()).response()
        counter.ledger.entries = []
        with counter.faults.off_by(fired):
            said = execute()
        fired.effect = list(counter.ledger.entries)
        return await self._after(fired, said)

    async def _after(self, fired: Fired, said: Said) -> Response:
        if fired.fault is FaultKind.ERROR_AFTER:
            return self.broken().response()
        if fired.fault is FaultKind.WRONG_AMOUNT:
            said = replace(said, body=Said.json(0, self.inflate(json.loads(said.body))).body)
        return await damaged(fired, said.response())

    def is_acknowledged(self, status: int, body: bytes) -> bool:
        """Whether the receiver's answer counts; most vendors take any 2xx."""
        return 200 <= status < 300 and body is not None

    def takes_type(self, content_type: str) -> bool:
        """Whether a receiver's answer of this ``Content-Type`` counts; most vendors do not look at it."""
        return content_type is not None

    def run_job(self, account: str, name: str, payload: dict[str, Any], now: float) -> None:
        """Do what was put off by `Counter.later`, inside a transaction."""
        raise NotImplementedError(f"{self.vendor} put off {name} of {account} and cannot do it ({payload}, {now})")


@dataclass(frozen=True, slots=True)
class Counter:
    """What a personality works with. ``keys``: account -> secret key, empty: any key.

    ``clock`` gives Unix seconds as this PG has them: an armed ``clock_skew`` sets it wrong for a while.
    """

    vendor: str
    storage: Storage
    ledger: Ledger
    faults: FaultBook
    keys: Mapping[str, str]
    public_url: str
    pending_seconds: float
    slow_seconds: float
    clock: Callable[[], float]
    put_off: asyncio.Event
    poster: Poster
    merchants: Mapping[str, str] = field(default_factory=dict)
    """Account -> the vendor's own name of the merchant that it belongs to; not there: any name."""

    def transaction(self) -> AbstractContextManager[Any]:
        """All or nothing; on disk when it ends."""
        return self.storage.transaction()

    def true_clock(self) -> float:
        """Unix seconds, whatever the PG's own clock says: for what is due."""
        return self.clock() - self.faults.skew

    def stamp(self, account: str, key: str = "") -> Stamp:
        """A new operation for the ledger; ``key`` is the merchant's idempotency key, if there is one."""
        return Stamp(account, f"op_{secrets.token_hex(10)}", key, self.clock())

    def claim(self, account: str) -> bool:
        """Make the account this vendor's, inside a transaction; False if it speaks as another vendor already."""
        connection = self.storage.connection
        connection.execute("INSERT OR IGNORE INTO personalities VALUES (?,?)", (account, self.vendor))
        row = connection.execute("SELECT vendor FROM personalities WHERE account=?", (account,)).fetchone()
        return bool(row[0] == self.vendor)

    def read(self, account: str, kind: str, key: str) -> dict[str, Any] | None:
        """A document of this vendor, or None."""
        query = "SELECT body FROM documents WHERE vendor=? AND account=? AND kind=? AND key=?"
        row = self.storage.connection.execute(query, (self.vendor, account, kind, key)).fetchone()
        return None if row is None else json.loads(row[0])

    def write(self, account: str, kind: str, key: str, body: Mapping[str, Any]) -> None:
        """Keep a document under a key (write it under a second kind to find it another way)."""
        self.storage.connection.execute(
            "INSERT INTO documents VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET body=excluded.body",
            (self.vendor, account, kind, key, json.dumps(body)),
        )

    def every(self, account: str, kind: str) -> list[dict[str, Any]]:
        """All documents of a kind, in the order in which they were first written."""
        query = "SELECT body FROM documents WHERE vendor=? AND account=? AND kind=? ORDER BY rowid"
        return [json.loads(row[0]) for row in self.storage.connection.execute(query, (self.vendor, account, kind))]

    def answer(self, account: str, scope: str) -> tuple[str, Said] | None:
        """The fingerprint and the answer stored under a scope (key, or key + method + path), or None."""
        query = "SELECT fingerprint, status, headers, body FROM vendor_answers WHERE vendor=? AND account=? AND scope=?"
        row = self.storage.connection.execute(query, (self.vendor, account, scope)).fetchone()
        return None if row is None else (row[0], Said(row[1], row[3], json.loads(row[2])))

    def keep_answer(self, account: str, scope: str, fingerprint: str, said: Said) -> None:
        """Store an answer for replays, inside the transaction of its effect."""
        row = (self.vendor, account, scope, fingerprint, said.status, json.dumps(dict(said.headers)), said.body)
        self.storage.connection.execute("INSERT OR IGNORE INTO vendor_answers VALUES (?,?,?,?,?,?,?)", row)

    def later(self, account: str, name: str, payload: Mapping[str, Any], *, seconds: float) -> None:
        """Put a job off, inside a transaction; it survives restarts."""
        self.storage.connection.execute(
            "INSERT INTO jobs (vendor, account, name, payload, due_at) VALUES (?,?,?,?,?)",
            (self.vendor, account, name, json.dumps(payload), self.true_clock() + seconds),
        )
        self.put_off.set()

    def post(self, account: str, event_id: str, body: str, operation: str) -> None:
        """A webhook for the account's target, as the armed webhook faults want it, inside a transaction."""
        self.poster(account, event_id, body, operation, self.clock())
