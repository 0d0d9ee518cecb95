"""Reading what a PG has settled into the table of lines: in batches, once per line, in the memory of one batch.

A reading that died goes on behind the last batch that its heartbeat tells of, if what it reads again is the same, byte
for byte; else it begins anew. Either way no line is lost and none counts twice.

A line is the same line, by whichever channel it comes, if it has the PG's name and says the same money (`IDENTITY`).
What else is said of it is taken over as it becomes known; a channel that does not know it takes nothing away.
"""

import asyncio
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity
from uuid_utils.compat import uuid7

from domain.reconciliation import Line
from gateways.gateway import SettlementFile, SettlementLine, UnreadableSettlement
from models.database import Database

BATCH = 1_000
"""Lines that are held in memory, and written by one statement."""

LARGEST_AMOUNT = 10**15
"""Minor units."""
LONGEST_TEXT = 255
"""Characters of a name."""
IDENTITY = ("line_ref", "kind", "currency", "gross", "fee", "net")
"""What makes a line of an account the same line: the PG's name of it, and the money. Not what a channel alone knows."""

_ANEW = """
    l.run = EXCLUDED.run OR l.repeats <> EXCLUDED.repeats OR l.finding = 'withdrawn'
    OR coalesce(EXCLUDED.reference, l.reference) IS DISTINCT FROM l.reference
    OR coalesce(EXCLUDED.operation_ref, l.operation_ref) IS DISTINCT FROM l.operation_ref
    OR coalesce(EXCLUDED.merchant_ref, l.merchant_ref) IS DISTINCT FROM l.merchant_ref
"""
"""A known line that has to be judged anew: it is repeated, said again, or about something else than was known."""
_STORE = text(
    f"""
    INSERT INTO settlement_line AS l
           (account, import_id, line_ref, kind, reference, operation_ref, merchant_ref, payout_ref, gross, fee,
            net, currency, occurred_at, paid_on, run, batch, repeats)
    SELECT :account, :import, n.line_ref, n.kind, n.reference, n.operation_ref, n.merchant_ref,
           n.payout_ref, n.gross, n.fee, n.net, n.currency, n.occurred_at, n.paid_on, :run, :batch, n.repeats
      FROM json_to_recordset(CAST(:lines AS json)) AS n(
           line_ref text, kind text, reference text, operation_ref text, merchant_ref text, payout_ref text,
           gross bigint, fee bigint, net bigint, currency text, occurred_at timestamptz, paid_on date, repeats int)
    ON CONFLICT (account, {", ".join(IDENTITY)}) DO UPDATE
       SET import_id = CASE WHEN l.finding = 'withdrawn' THEN EXCLUDED.import_id ELSE l.import_id END,
           reference = coalesce(EXCLUDED.reference, l.reference),
           operation_ref = coalesce(EXCLUDED.operation_ref, l.operation_ref),
           merchant_ref = coalesce(EXCLUDED.merchant_ref, l.merchant_ref),
           payout_ref = coalesce(EXCLUDED.payout_ref, l.payout_ref),
           paid_on = coalesce(EXCLUDED.paid_on, l.paid_on),
           repeats = CASE WHEN l.run > EXCLUDED.run THEN l.repeats
                          WHEN l.run = EXCLUDED.run THEN l.repeats + 1 + EXCLUDED.repeats ELSE EXCLUDED.repeats END,
           finding = CASE WHEN {_ANEW} THEN NULL ELSE l.finding END,
           operation_id = CASE WHEN {_ANEW} THEN NULL ELSE l.operation_id END,
           batch = CASE WHEN l.run > EXCLUDED.run THEN l.batch ELSE EXCLUDED.batch END,
           run = greatest(l.run, EXCLUDED.run)
     WHERE l.run < EXCLUDED.run OR (l.run = EXCLUDED.run AND l.batch < EXCLUDED.batch)
        OR (l.payout_ref IS NULL AND EXCLUDED.payout_ref IS NOT NULL AND l.finding IS DISTINCT FROM 'withdrawn')
    """
)
"""A line met again is a repetition in the same reading, and nothing in a later one or in the same batch. A reading that
died and goes on may be older than what it meets: it is listened to only for a payout's name that is not known yet, and
the line stays the later reading's."""
_WITHDRAW_UNREAD = text(
    """
    UPDATE settlement_line SET finding = 'withdrawn', operation_id = NULL
     WHERE import_id = :import AND run < :run AND finding IS DISTINCT FROM 'withdrawn' RETURNING id
    """
)
_WITHDRAW_RESTATED = text(
    """
    UPDATE settlement_line p SET finding = 'withdrawn', operation_id = NULL
      FROM settlement_line l
     WHERE l.id = ANY(:ids) AND p.account = l.account AND p.line_ref = l.line_ref AND p.run < l.run
       AND p.finding IS DISTINCT FROM 'withdrawn' RETURNING p.id
    """
)
_CHUNK = text("SELECT content FROM settlement_file_chunk WHERE import_id = :import AND position = :position")


@dataclass(frozen=True, slots=True)
class Read:
    """What a reading has found. The days are those of the lines, in the account's time zone; None without a line."""

    run: UUID
    lines: int = 0
    first_day: date | None = None
    last_day: date | None = None

    def and_then(self, batch: Sequence[SettlementLine], zone: ZoneInfo) -> "Read":
        """With one more batch. Raises `UnreadableSettlement` for a line that cannot be stored."""
        for line in batch:
            _refuse_unstorable(line)
        days = [line.occurred_at.astimezone(zone).date() for line in batch]
        days += [day for day in (self.first_day, self.last_day) if day is not None]
        return Read(self.run, self.lines + len(batch), min(days, default=None), max(days, default=None))


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reading has come: so many batches are written, and what they were."""

    run: UUID
    batches: int
    digest: str

    @classmethod
    def of_heartbeat(cls) -> "Cursor | None":
        """What the try before this one has left; None for the first try."""
        details = activity.info().heartbeat_details
        return cls(UUID(details[0]), int(details[1]), str(details[2])) if details else None


async def store_lines(
    database: Database,
    account: str,
    import_id: UUID,
    batches: AsyncIterator[Sequence[SettlementLine]],
    *,
    zone: ZoneInfo,
    resume: Cursor | None,
) -> Read | None:
    """Write what comes; None if it is not what ``resume`` says was read before: then read again, without it."""
    run = resume.run if resume else uuid7()
    digest, number, read = "", 0, Read(run)
    async for batch in batches:
        said = [_said(line) for line in batch]
        digest = hashlib.sha256((digest + _json(said)).encode()).hexdigest()
        number += 1
        read = read.and_then(batch, zone)
        if resume is None or number > resume.batches:
            written = {"account": account, "import": import_id, "run": run, "batch": number}
            async with database.statement() as connection:
                await connection.execute(_STORE, written | {"lines": _json(_each_once(said))})
        elif number == resume.batches and digest != resume.digest:
            return None
        done = resume if resume and number < resume.batches else Cursor(run, number, digest)
        activity.heartbeat(str(done.run), done.batches, done.digest)
    return read if resume is None or number >= resume.batches else None


async def withdraw_unread(connection: AsyncConnection, import_id: UUID, run: UUID) -> list[int]:
    """After a whole reading of a day: its lines that this reading and no later one has met. The PG says them no more.

    Gives their ids.
    """
    return list((await connection.execute(_WITHDRAW_UNREAD, {"import": import_id, "run": run})).scalars())


async def withdraw_restated(connection: AsyncConnection, lines: Sequence[Line]) -> list[int]:
    """What earlier readings said of those of ``lines`` that are restated; the ids of what counts no more."""
    restated = [line.id for line in lines if line.restated]
    if not restated:
        return []
    return list((await connection.execute(_WITHDRAW_RESTATED, {"ids": restated})).scalars())


def _refuse_unstorable(line: SettlementLine) -> None:
    """What no adapter may give: a currency that is none, a time without its zone, what has no end, a NUL."""
    texts = (line.line_id, line.kind, line.reference, line.operation_ref, line.merchant_ref, line.payout_ref)
    if (
        len(line.currency) != 3
        or line.occurred_at.tzinfo is None
        or max(abs(line.gross), abs(line.fee), abs(line.net)) > LARGEST_AMOUNT
        or any("\x00" in text or len(text) > LONGEST_TEXT for text in texts if text)
    ):
        raise UnreadableSettlement(f"the line {line.line_id!r} cannot be stored: currency, time, amount or text")


Said = dict[str, str | int | None]
"""All that a line says, by the names of its columns."""


def _said(line: SettlementLine) -> Said:
    return {
        "line_ref": line.line_id,
        "kind": line.kind,
        "reference": line.reference,
        "operation_ref": line.operation_ref,
        "merchant_ref": line.merchant_ref,
        "payout_ref": line.payout_ref,
        "gross": line.gross,
        "fee": line.fee,
        "net": line.net,
        "currency": line.currency,
        "occurred_at": line.occurred_at.isoformat(),
        "paid_on": line.paid_on.isoformat() if line.paid_on else None,
    }


def _each_once(said: Sequence[Said]) -> list[Said]:
    """A batch with how often each line stands in it once more."""
    rows: dict[tuple[str | int | None, ...], Said] = {}
    repeats = Counter(_identity(line) for line in said)
    for line in said:
        name = _identity(line)
        rows.setdefault(name, line | {"repeats": repeats[name] - 1})
    return list(rows.values())


def _identity(said: Said) -> tuple[str | int | None, ...]:
    return tuple(said[name] for name in IDENTITY)


def _json(said: Sequence[Said]) -> str:
    return json.dumps(said, separators=(",", ":"))


async def batched(lines: AsyncIterator[SettlementLine]) -> AsyncIterator[Sequence[SettlementLine]]:
    """A stream in batches."""
    batch: list[SettlementLine] = []
    async for line in lines:
        batch.append(line)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@asynccontextmanager
async def uploaded_file(database: Database, import_id: UUID, parser: SettlementFile) -> AsyncIterator["UploadedFile"]:
    """An uploaded file on this worker's disk. Raises `UnreadableSettlement` if it is empty or ends within a line."""
    with tempfile.TemporaryDirectory(prefix="opms-settlement-") as folder:
        path = Path(folder) / "file"
        position, last = 0, b""
        with path.open("wb") as file:
            while (content := await _chunk(database, import_id, position)) is not None:
                file.write(content)
                position, last = position + 1, content[-1:]
        if last != b"\n":
            said = "ends in the middle of a line: was it cut?" if position else "is empty"
            raise UnreadableSettlement(f"the file {said}")
        yield UploadedFile(path, parser)


async def _chunk(database: Database, import_id: UUID, position: int) -> bytes | None:
    async with database.reading() as connection:
        wanted = {"import": import_id, "position": position}
        content: bytes | None = (await connection.execute(_CHUNK, wanted)).scalar()
    return content


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that its parser reads, as often as is wanted."""

    path: Path
    parser: SettlementFile

    async def check(self, zone: ZoneInfo) -> Read:
        """Read all of it and write nothing. Raises `UnreadableSettlement`: then nothing of it is taken."""
        read = Read(uuid7())
        async for batch in self.batches():
            read = read.and_then(batch, zone)
            activity.heartbeat(*activity.info().heartbeat_details)
        if not read.lines:
            raise UnreadableSettlement("the file has no line below its headers")
        return read

    async def batches(self) -> AsyncIterator[Sequence[SettlementLine]]:
        """Its lines from the beginning."""
        lines = self._lines()
        while batch := await asyncio.to_thread(lambda: list(islice(lines, BATCH))):
            yield batch

    def _lines(self) -> Iterator[SettlementLine]:
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                yield from self.parser.read_settlement_file(file)
        except UnicodeDecodeError as error:
            raise UnreadableSettlement("the file is not UTF-8") from error
