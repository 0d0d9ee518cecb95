"""Asking for a reconciliation, handing in what PGs and banks send, and deciding cases."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import IO, Any
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode
from uuid_utils.compat import uuid7

from commands.routing import UnknownGateway
from contracts.queues import UPDATES
from contracts.reconciliation import ReconcileInput
from domain.errors import Rejected
from gateways.gateway import SettlementFile
from models.database import Database
from workflows.reconciliation import ReconciliationWorkflow

log = structlog.get_logger()

LARGEST_FILE = 64 * 1024 * 1024
"""Bytes of a settlement file."""
CHUNK = 1024 * 1024
"""Bytes that are held in memory of it."""


class FileTooLarge(Exception):
    """An uploaded file has more than `LARGEST_FILE` bytes."""


class FileNotTaken(Rejected):
    """The PG of this account settles by no file that OPMS reads."""

    code = "settlement_file_not_taken"


class FileEmpty(Rejected):
    """The uploaded settlement file has no content."""

    code = "settlement_file_empty"


class UnknownCase(Rejected):
    """No such reconciliation case in this store."""

    code = "case_not_found"


class CaseClosed(Rejected):
    """The reconciliation case is closed already."""

    code = "case_closed"


class CreditDiffers(Rejected):
    """A bank credit with other figures is recorded for this payout; `figures` has them."""

    code = "bank_credit_differs"


@dataclass(frozen=True, slots=True)
class Upload:
    """A settlement file on its way in. ``gateway``: the account's adapter, if this process has it."""

    account: str
    gateway: object
    content: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Credit:
    """What the bank has credited for one payout, minor units."""

    account: str
    payout_ref: str
    amount: int
    currency: str
    credited_on: date


_OWNED = text("SELECT id FROM gateway_account WHERE id = :account AND store_id = :store")
# Asked for again: what is at rest is read again, what is on its way goes on.
_DAY = text(
    """
    INSERT INTO settlement_import AS i (id, account, day, state, lines, requested_by, requested_at)
    VALUES (:id, :account, :day, 'requested', 0, :actor, :now)
    ON CONFLICT (account, day) DO UPDATE
       SET state = CASE WHEN i.state IN ('reconciled', 'failed') THEN 'requested' ELSE i.state END
    RETURNING id
    """
)
_FILE = text(
    """
    INSERT INTO settlement_import AS i (id, account, file_hash, state, lines, requested_by, requested_at)
    VALUES (:id, :account, :hash, 'requested', 0, :actor, :now)
    ON CONFLICT (account, file_hash) DO UPDATE
       SET state = CASE WHEN i.state = 'failed' THEN 'requested' ELSE i.state END
    RETURNING id, state
    """
)
_CHUNK = text("INSERT INTO settlement_file_chunk (import_id, position, content) VALUES (:id, :position, :content)")
_ASSIGN = text(
    """
    UPDATE reconciliation_case SET owner = :owner, note = coalesce(CAST(:note AS text), note)
     WHERE id = :id AND store_id = :store AND closed_at IS NULL RETURNING id
    """
)
_CLOSE = text(
    """
    UPDATE reconciliation_case SET closed_at = :now, closed_by = :actor, note = :note
     WHERE id = :id AND store_id = :store AND closed_at IS NULL RETURNING id
    """
)
_CASE = text("SELECT id FROM reconciliation_case WHERE id = :id AND store_id = :store")
_CREDIT = text(
    """
    INSERT INTO bank_credit AS c (id, account, payout_ref, amount, currency, credited_on, recorded_by, recorded_at)
    VALUES (:id, :account, :payout_ref, :amount, :currency, :credited_on, :actor, :now)
    ON CONFLICT (account, payout_ref) DO UPDATE SET account = EXCLUDED.account
    RETURNING id, amount, currency, credited_on
    """
)


async def reconcile_day(client: Client, database: Database, store: str, account: str, day: date, *, actor: str) -> UUID:
    """Read and judge a day of an account now; the same day again is the same import. Raises `UnknownGateway`."""
    async with database.transaction() as connection:
        await _owned(connection, store, account)
        new = {"id": uuid7(), "account": account, "day": day, "actor": actor, "now": datetime.now(UTC)}
        import_id: UUID = (await connection.execute(_DAY, new)).scalar_one()
    await _start(client, account, import_id)
    return import_id


async def reconcile_file(client: Client, database: Database, store: str, upload: Upload, *, actor: str) -> UUID:
    """Keep an uploaded settlement file and read it; the same file again is the same import, and nothing new.

    Raises `UnknownGateway`, `FileNotTaken`, `FileEmpty`, `FileTooLarge`. What was not received to its end leaves
    nothing behind.
    """
    async with database.reading() as connection:
        await _owned(connection, store, upload.account)
    if not isinstance(upload.gateway, SettlementFile):
        raise FileNotTaken(f"{upload.account} settles by no file that OPMS reads")
    with tempfile.TemporaryFile() as file:
        digest, size = hashlib.sha256(), 0
        async for part in upload.content:
            size += len(part)
            if size > LARGEST_FILE:
                raise FileTooLarge
            digest.update(part)
            file.write(part)
        if not size:
            raise FileEmpty("the file is empty")
        import_id, waits = await _keep(database, upload.account, file, digest.digest(), actor=actor)
    if waits:
        await _start(client, upload.account, import_id)
    return import_id


async def _keep(database: Database, account: str, file: IO[bytes], digest: bytes, *, actor: str) -> tuple[UUID, bool]:
    """The import of the file, and whether it waits to be read."""
    file.seek(0)
    new = {"id": uuid7(), "account": account, "hash": digest, "actor": actor, "now": datetime.now(UTC)}
    async with database.transaction() as connection:
        import_id, state = (await connection.execute(_FILE, new)).one()
        position = 0
        while import_id == new["id"] and (content := file.read(CHUNK)):
            await connection.execute(_CHUNK, {"id": import_id, "position": position, "content": content})
            position += 1
    return import_id, state == "requested"


async def assign_case(database: Database, store: str, case_id: UUID, *, owner: str, note: str | None) -> None:
    """Give an open case to somebody. Raises `UnknownCase`, `CaseClosed`."""
    await _decide(database, _ASSIGN, {"id": case_id, "store": store, "owner": owner, "note": note})


async def close_case(database: Database, store: str, case_id: UUID, *, actor: str, note: str) -> None:
    """Close a case with the explanation that was found. Raises `UnknownCase`, `CaseClosed`."""
    closed = {"id": case_id, "store": store, "actor": actor, "note": note, "now": datetime.now(UTC)}
    await _decide(database, _CLOSE, closed)


async def record_credit(database: Database, store: str, credit: Credit, *, actor: str) -> UUID:
    """Record what the bank has credited; twice is once. Raises `UnknownGateway`, `CreditDiffers`."""
    new = {"id": uuid7(), "actor": actor, "now": datetime.now(UTC)}
    new |= {name: getattr(credit, name) for name in ("account", "payout_ref", "amount", "currency", "credited_on")}
    async with database.transaction() as connection:
        await _owned(connection, store, credit.account)
        known = (await connection.execute(_CREDIT, new)).one()
    if tuple(known[1:]) != (credit.amount, credit.currency, credit.credited_on):
        figures = {"amount": known[1], "currency": known[2], "credited_on": known[3].isoformat()}
        raise CreditDiffers(f"another credit is recorded for the payout {credit.payout_ref}", figures=figures)
    credit_id: UUID = known[0]
    return credit_id


async def _decide(database: Database, statement: Any, decided: dict[str, Any]) -> None:
    async with database.transaction() as connection:
        if (await connection.execute(statement, decided)).first() is not None:
            return
        if (await connection.execute(_CASE, {"id": decided["id"], "store": decided["store"]})).first() is None:
            raise UnknownCase("no such reconciliation case in this store")
    raise CaseClosed("this case is closed; the next reconciliation opens a new one if it is not in order")


async def _owned(connection: AsyncConnection, store: str, account: str) -> None:
    if (await connection.execute(_OWNED, {"account": account, "store": store})).first() is None:
        raise UnknownGateway(f"no PG account {account} in this store")


async def has_ended(client: Client, account: str, import_id: UUID, *, within: timedelta) -> bool:
    """Whether the run of an import is over, as soon as it is; False if it goes on after ``within``, by itself.

    Whatever came of it stands in the import's row. Also False while Temporal is out of reach.
    """
    try:
        async with asyncio.timeout(within.total_seconds()):
            _ = await client.get_workflow_handle(_workflow_id(account, import_id)).result()
    except TimeoutError:
        return False
    except WorkflowFailureError:
        return True
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return True  # It was over so long ago that Temporal has forgotten it.
        log.warning("reconciliation.end_not_seen", import_id=str(import_id), reason=error.message)
        return False
    return True


async def _start(client: Client, account: str, import_id: UUID) -> None:
    """One run of an import at a time; one that is running is asked to read once more."""
    _ = await client.start_workflow(
        ReconciliationWorkflow.run,
        ReconcileInput(account, import_id),
        id=_workflow_id(account, import_id),
        task_queue=UPDATES,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal="ask",
        static_summary=f"Reconciliation of {account}",
    )


def _workflow_id(account: str, import_id: UUID) -> str:
    return f"reconciliation.{account}.{import_id}"
