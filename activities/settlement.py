"""Reading what a PG has settled into the table of lines: in batches, once per line, in the memory of one batch.

A reading that died goes on behind the last batch that its heartbeat tells of, if what it reads again is the same, byte
for byte; else it begins anew. Either way no line is lost and none counts twice.
"""

import asyncio
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from temporalio import activity
from uuid_utils.compat import uuid7

from gateways.gateway import SettlementFile, SettlementLine, UnreadableSettlement
from models.database import Database

BATCH = 1_000
"""Lines that are held in memory, and written by one statement."""

LARGEST_AMOUNT = 10**15
"""Minor units."""

_STORE = text(
    """
    INSERT INTO settlement_line AS l
           (account, import_id, hash, line_ref, kind, reference, operation_ref, merchant_ref, payout_ref, gross, fee,
            net, currency, occurred_at, paid_on, run, batch, repeats)
    SELECT :account, :import, decode(n.hash, 'hex'), n.line_ref, n.kind, n.reference, n.operation_ref, n.merchant_ref,
           n.payout_ref, n.gross, n.fee, n.net, n.currency, n.occurred_at, n.paid_on, :run, :batch, n.repeats
      FROM json_to_recordset(CAST(:lines AS json)) AS n(
           hash text, line_ref text, kind text, reference text, operation_ref text, merchant_ref text, payout_ref text,
           gross bigint, fee bigint, net bigint, currency text, occurred_at timestamptz, paid_on date, repeats int)
    ON CONFLICT (account, hash) DO UPDATE
       SET repeats = CASE WHEN l.run = EXCLUDED.run THEN l.repeats + 1 ELSE 0 END + EXCLUDED.repeats,
           finding = CASE WHEN l.run = EXCLUDED.run OR l.repeats <> EXCLUDED.repeats THEN NULL ELSE l.finding END,
           operation_id = CASE WHEN l.run = EXCLUDED.run OR l.repeats <> EXCLUDED.repeats THEN NULL
                               ELSE l.operation_id END,
           run = EXCLUDED.run, batch = EXCLUDED.batch
     WHERE l.run <> EXCLUDED.run OR l.batch < EXCLUDED.batch
    """
)
"""A line met again is a repetition in the same reading, and nothing in another or in the same batch."""
_CHUNK = text("SELECT content FROM settlement_file_chunk WHERE import_id = :import AND position = :position")


@dataclass(frozen=True, slots=True)
class Read:
    """What a reading has found. The days are those of the lines, in the account's time zone; None without a line."""

    lines: int = 0
    first_day: date | None = None
    last_day: date | None = None

    def and_then(self, batch: Sequence[SettlementLine], zone: ZoneInfo) -> "Read":
        """With one more batch. Raises `UnreadableSettlement` for a line that cannot be stored."""
        for line in batch:
            _refuse_unstorable(line)
        days = [line.occurred_at.astimezone(zone).date() for line in batch]
        days += [day for day in (self.first_day, self.last_day) if day is not None]
        return Read(self.lines + len(batch), min(days, default=None), max(days, default=None))


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
    digest, number, read = "", 0, Read()
    async for batch in batches:
        hashes = [line_hash(line) for line in batch]
        digest = hashlib.sha256("".join((digest, *hashes)).encode()).hexdigest()
        number += 1
        read = read.and_then(batch, zone)
        if resume is None or number > resume.batches:
            written = {"account": account, "import": import_id, "run": run, "batch": number}
            async with database.statement() as connection:
                await connection.execute(_STORE, written | {"lines": _rows(batch, hashes)})
        elif number == resume.batches and digest != resume.digest:
            return None
        done = resume if resume and number < resume.batches else Cursor(run, number, digest)
        activity.heartbeat(str(done.run), done.batches, done.digest)
    return read if resume is None or number >= resume.batches else None


def _refuse_unstorable(line: SettlementLine) -> None:
    """What no adapter may give: a currency that is none, a time without its zone, an amount without end, a NUL."""
    texts = (line.line_id, line.kind, line.reference, line.operation_ref, line.merchant_ref, line.payout_ref)
    if (
        len(line.currency) != 3
        or line.occurred_at.tzinfo is None
        or max(abs(line.gross), abs(line.fee), abs(line.net)) > LARGEST_AMOUNT
        or any("\x00" in text for text in texts if text)
    ):
        raise UnreadableSettlement(f"the line {line.line_id!r} cannot be stored: currency, time, amount or text")


def line_hash(line: SettlementLine) -> str:
    """What makes a line the same line wherever it stands: all that it says."""
    said = (
        line.line_id,
        line.kind,
        line.reference,
        line.operation_ref,
        line.merchant_ref,
        line.payout_ref,
        line.gross,
        line.fee,
        line.net,
        line.currency,
        line.occurred_at.isoformat(),
        line.paid_on.isoformat() if line.paid_on else None,
    )
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()


def _rows(batch: Sequence[SettlementLine], hashes: Sequence[str]) -> str:
    """The batch as JSON, a line that stands in it several times once."""
    rows: dict[str, dict[str, str | int | None]] = {}
    for line, found in zip(batch, hashes, strict=True):
        if found in rows:
            rows[found]["repeats"] = int(rows[found]["repeats"] or 0) + 1
            continue
        rows[found] = {
            "hash": found,
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
            "repeats": 0,
        }
    return json.dumps(list(rows.values()), separators=(",", ":"))


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
        read = Read()
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
