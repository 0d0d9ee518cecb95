"""Imports of settlements and the cases that they have opened, as people look at them."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Rejected
from domain.reconciliation import Finding


class UnknownReconciliation(Rejected):
    """No such reconciliation in this store."""

    code = "reconciliation_not_found"


@dataclass(frozen=True, slots=True)
class ImportView:
    """One day or file of one account, how far it is, and what was found.

    ``lines``: of the last reading that came to its end; before there is one, what is stored. ``new``: those of them
    that no other day or file had brought before; ``findings`` are of these. ``withdrawn``: lines that it had
    brought and the PG says no longer, or with other money; they are no part of ``new``.
    ``state``: requested, reading, read, reconciled, failed (``problem`` says why; then nothing of a file is taken).
    """

    id: UUID
    account: str
    day: date | None
    file_hash: bytes | None
    state: str
    lines: int
    problem: str | None
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None
    new: int
    withdrawn: int
    findings: dict[str, int]
    open_cases: int

    @property
    def finished(self) -> bool:
        """Read and judged, or failed."""
        return self.state in {"reconciled", "failed"}


@dataclass(frozen=True, slots=True)
class CaseView:
    """One exception. ``expected`` and ``actual``: our books and the PG (fees for a fee variance), minor units."""

    id: UUID
    account: str
    kind: str
    number: str | None
    merchant_ref: str | None
    operation_id: UUID | None
    line_ref: str | None
    line_kind: str | None
    expected: int
    actual: int
    currency: str
    owner: str
    note: str | None
    opened_at: datetime
    hinted_at: datetime | None
    closed_at: datetime | None
    closed_by: str | None


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Which cases."""

    state: Literal["open", "closed", "all"] = "open"
    kind: str | None = None
    account: str | None = None
    owner: str | None = None


_IMPORT = text(
    """
    SELECT i.id, i.account, i.day, i.file_hash, i.state, i.lines, i.problem, i.requested_by, i.requested_at,
           i.finished_at
      FROM settlement_import i JOIN gateway_account a ON a.id = i.account
     WHERE i.id = :id AND a.store_id = :store
    """
)
_FINDINGS = text(
    "SELECT coalesce(finding, 'unjudged'), count(*) FROM settlement_line WHERE import_id = :id GROUP BY 1 ORDER BY 1"
)
_OPEN = text(
    """
    SELECT count(*) FROM reconciliation_case c JOIN settlement_line l ON l.id = c.line_id
     WHERE l.import_id = :id AND c.closed_at IS NULL
    """
)
_COLUMNS = """
    c.id, c.account, c.kind, c.number, c.merchant_ref, c.operation_id, l.line_ref, l.kind, c.expected, c.actual,
    c.currency, c.owner, c.note, c.opened_at, c.hinted_at, c.closed_at, c.closed_by
"""
_CASES = text(
    f"""
    SELECT {_COLUMNS} FROM reconciliation_case c LEFT JOIN settlement_line l ON l.id = c.line_id
     WHERE c.store_id = :store AND c.id < :before
       AND (:state = 'all' OR (c.closed_at IS NULL) = (:state = 'open'))
       AND (CAST(:kind AS text) IS NULL OR c.kind = :kind)
       AND (CAST(:account AS text) IS NULL OR c.account = :account)
       AND (CAST(:owner AS text) IS NULL OR c.owner = :owner)
     ORDER BY c.id DESC LIMIT :limit
    """
)
_CASE = text(
    f"""
    SELECT {_COLUMNS} FROM reconciliation_case c LEFT JOIN settlement_line l ON l.id = c.line_id
     WHERE c.store_id = :store AND c.id = :id
    """
)
NEWEST = UUID(int=2**128 - 1)


async def view_import(connection: AsyncConnection, store: str, import_id: UUID) -> ImportView:
    """One import as it stands. Raises `UnknownReconciliation`."""
    row = (await connection.execute(_IMPORT, {"id": import_id, "store": store})).mappings().one_or_none()
    if row is None:
        raise UnknownReconciliation("no such reconciliation in this store")
    rows = (await connection.execute(_FINDINGS, {"id": import_id})).all()
    findings: dict[str, int] = {str(finding): int(count) for finding, count in rows}
    withdrawn = findings.pop(Finding.WITHDRAWN.value, 0)
    new = sum(findings.values())
    cases = (await connection.execute(_OPEN, {"id": import_id})).scalar_one()
    said = dict(row) | {"lines": max(row["lines"], new)}
    return ImportView(**said, new=new, withdrawn=withdrawn, findings=findings, open_cases=cases)


async def list_cases(
    connection: AsyncConnection, store: str, wanted: CaseFilter, *, before: UUID = NEWEST, limit: int
) -> list[CaseView]:
    """Cases of a store, newest first, behind the one with the id ``before``."""
    parameters = {
        "store": store,
        "before": before,
        "limit": limit,
        "state": wanted.state,
        "kind": wanted.kind,
        "account": wanted.account,
        "owner": wanted.owner,
    }
    return [CaseView(*row) for row in await connection.execute(_CASES, parameters)]


async def view_case(connection: AsyncConnection, store: str, case_id: UUID) -> CaseView | None:
    """One case, if the store has it."""
    row = (await connection.execute(_CASE, {"store": store, "id": case_id})).one_or_none()
    return None if row is None else CaseView(*row)
