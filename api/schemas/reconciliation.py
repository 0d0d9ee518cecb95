"""Reconciliations, cases and bank credits in JSON."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from api.schemas.field import MAX_AMOUNT, Asked, Code, Currency, Line, Reason
from commands.reconciliation import Credit
from domain.reconciliation import Finding
from queries.reconciliation import CaseView, ImportView

Account = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class ReconciliationIn(Asked):
    """One day of one account, in the account's time zone. Today is possible: it says nothing of what is missing."""

    account: Account
    day: date


class ReconciliationOut(BaseModel):
    """One day or one file."""

    id: UUID
    account: str
    day: date | None
    file_hash: str | None = Field(description="SHA-256 of the uploaded file.")
    state: Literal["requested", "reading", "read", "reconciled", "failed"]
    problem: str | None = Field(description="Why it failed. Nothing of a failed file is taken.")
    lines: int = Field(description="How many its last reading has had.")
    new: int = Field(description="Those of them that no other day or file had brought before.")
    withdrawn: int = Field(description="Lines that it had brought and the PG says no longer; not in `new`.")
    findings: dict[str, int] = Field(description="The `new` lines by finding; `unjudged` while it is on its way.")
    open_cases: int
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None


class CaseOut(BaseModel):
    """One exception. ``expected`` is our books' figure, ``actual`` the PG's or the bank's; minor units."""

    id: UUID
    kind: Finding
    state: Literal["open", "closed"]
    account: str
    order: str | None
    merchant_ref: str | None
    operation_id: UUID | None
    line: str | None = Field(description="The PG's own name of the settlement line.")
    line_kind: str | None
    expected: int
    actual: int
    currency: str
    owner: str = Field(description="Who looks after it: first the desk `finance` or `operations`, by what was found.")
    note: str | None
    age_days: int
    opened_at: datetime
    order_told_at: datetime | None
    closed_at: datetime | None
    closed_by: str | None


class CasePage(BaseModel):
    """Cases, newest first."""

    items: list[CaseOut]
    next_cursor: str | None


class AssignIn(Asked):
    """Who looks after the case."""

    owner: Line
    note: Reason | None = None


class CloseIn(Asked):
    """What explained it."""

    note: Reason


class CreditIn(Asked):
    """One credit on the bank account, for one payout of a PG. Negative: the bank was debited."""

    account: Account
    payout_ref: Code
    amount: Annotated[int, Field(strict=True, ge=-MAX_AMOUNT, le=MAX_AMOUNT)]
    currency: Currency
    credited_on: date

    def to_credit(self) -> Credit:
        """The credit as the command knows it."""
        return Credit(self.account, self.payout_ref, self.amount, self.currency, self.credited_on)


class CreditOut(BaseModel):
    """The recorded credit; the next reconciliation of its account compares it."""

    id: UUID


def reconciliation_out(view: ImportView) -> ReconciliationOut:
    """An import as clients see it."""
    return ReconciliationOut.model_validate(
        {
            "id": view.id,
            "account": view.account,
            "day": view.day,
            "file_hash": view.file_hash.hex() if view.file_hash else None,
            "state": view.state,
            "problem": view.problem,
            "lines": view.lines,
            "new": view.new,
            "withdrawn": view.withdrawn,
            "findings": view.findings,
            "open_cases": view.open_cases,
            "requested_by": view.requested_by,
            "requested_at": view.requested_at,
            "finished_at": view.finished_at,
        }
    )


def case_out(view: CaseView) -> CaseOut:
    """A case as clients see it."""
    until = view.closed_at or datetime.now(UTC)
    return CaseOut(
        id=view.id,
        kind=Finding(view.kind),
        state="closed" if view.closed_at else "open",
        account=view.account,
        order=view.number,
        merchant_ref=view.merchant_ref,
        operation_id=view.operation_id,
        line=view.line_ref,
        line_kind=view.line_kind,
        expected=view.expected,
        actual=view.actual,
        currency=view.currency,
        owner=view.owner,
        note=view.note,
        age_days=max(0, (until - view.opened_at).days),
        opened_at=view.opened_at,
        order_told_at=view.hinted_at,
        closed_at=view.closed_at,
        closed_by=view.closed_by,
    )
