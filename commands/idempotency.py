"""Idempotency keys: one run per (credential, route, key), its answer kept, and a run that died taken over.

The row is committed before anything else happens. It carries the ids that the first run drew, so that a run that takes
over after a crash meets its own order again instead of making a second one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from models.database import Database

LEASE = timedelta(seconds=6)
"""How long others are told to come back. After that they may take the run over: at worst two requests wait for one
effect, because everything behind them is keyed by the same ``subject``."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What a key stands for."""

    credential: UUID
    route: str
    key: str


@dataclass(frozen=True, slots=True)
class Claim:
    """``run``: go on, with these ids. ``replay``: give the stored answer. ``running``: come back. ``reused``: no."""

    state: Literal["run", "replay", "running", "reused"]
    subject: UUID
    number: str | None
    status: int | None = None
    headers: dict[str, Any] | None = None
    answer: bytes | None = None
    taken_over: bool = False


_CLAIM = text(
    """
    INSERT INTO idempotency AS i
           (credential, route, idempotency_key, request_hash, subject, number, lease_until, created_at)
    VALUES (:credential, :route, :key, :hash, :subject, :number, :lease, :now)
    ON CONFLICT (credential, route, idempotency_key) DO UPDATE
       SET lease_until = CASE WHEN i.status IS NULL AND i.lease_until < :now AND i.request_hash = :hash
                              THEN :lease ELSE i.lease_until END
    RETURNING request_hash, subject, number, lease_until = :lease, status, headers, answer
    """
)
_ANSWER = text(
    """
    UPDATE idempotency SET status = :status, headers = CAST(:headers AS jsonb), answer = :answer
     WHERE credential = :credential AND route = :route AND idempotency_key = :key AND status IS NULL
    """
)
_RELEASE = text(
    """
    UPDATE idempotency SET lease_until = :now
     WHERE credential = :credential AND route = :route AND idempotency_key = :key AND status IS NULL
    """
)
_RENUMBER = text(
    """
    UPDATE idempotency SET number = :number
     WHERE credential = :credential AND route = :route AND idempotency_key = :key AND status IS NULL
    """
)


async def claim(database: Database, slot: Slot, *, request_hash: bytes, subject: UUID, number: str | None) -> Claim:
    """Claim a key for one run. ``subject`` and ``number`` are used only if the key is new."""
    now = datetime.now(UTC)
    parameters = _where(slot) | {
        "hash": request_hash,
        "subject": subject,
        "number": number,
        "lease": now + LEASE,
        "now": now,
    }
    async with database.statement() as connection:
        row = (await connection.execute(_CLAIM, parameters)).one()
    if bytes(row[0]) != request_hash:
        return Claim("reused", row[1], row[2])
    if row[4] is not None:
        return Claim("replay", row[1], row[2], row[4], row[5], bytes(row[6]) if row[6] is not None else b"")
    return Claim("run" if row[3] else "running", row[1], row[2], taken_over=row[1] != subject)


async def keep_answer(database: Database, slot: Slot, *, status: int, headers: str, answer: bytes) -> None:
    """Store the answer of a finished run; ``headers`` as JSON text."""
    async with database.statement() as connection:
        await connection.execute(_ANSWER, _where(slot) | {"status": status, "headers": headers, "answer": answer})


async def release(database: Database, slot: Slot) -> None:
    """A run that ended without an answer: the next one need not wait for the lease."""
    async with database.statement() as connection:
        await connection.execute(_RELEASE, _where(slot) | {"now": datetime.now(UTC)})


async def renumber(database: Database, slot: Slot, number: str) -> None:
    """The drawn number was taken: whoever takes over must go on with the new one. Committed before it is used."""
    async with database.statement() as connection:
        await connection.execute(_RENUMBER, _where(slot) | {"number": number})


def _where(slot: Slot) -> dict[str, Any]:
    return {"credential": slot.credential, "route": slot.route, "key": slot.key}
