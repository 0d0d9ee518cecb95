"""What PGs say they have settled, what the bank has credited, and the cases that a person has to close."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from domain.reconciliation import EXCEPTIONS, Finding
from models.columns import check, key, maybe_moment, minor, moment, one_of, reference

_CASE_KINDS = ", ".join(f"'{finding.value}'" for finding in Finding if finding in EXCEPTIONS)


class SettlementImport(SQLModel, table=True):
    """One day that was read from a PG, or one file: the same day or file again is the same import."""

    __tablename__ = "settlement_import"
    __table_args__ = (
        UniqueConstraint("account", "day"),
        UniqueConstraint("account", "file_hash"),
        check("state_known", "state IN ('requested', 'reading', 'read', 'reconciled', 'failed')"),
        check("day_or_file", "(day IS NULL) <> (file_hash IS NULL)"),
    )
    id: UUID = key()
    account: str = reference("gateway_account.id", index=False)
    day: date | None
    file_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    state: str
    lines: int
    """How many lines the last reading that came to its end has had, those that were known already included."""
    first_day: date | None
    last_day: date | None
    """The days that this import covers to their end, in the account's time zone; empty until it was read."""
    problem: str | None
    requested_by: str
    requested_at: datetime = moment()
    finished_at: datetime | None = maybe_moment()


class SettlementFileChunk(SQLModel, table=True):
    """A part of an uploaded file, byte for byte: kept as evidence, and what the import reads."""

    __tablename__ = "settlement_file_chunk"
    import_id: UUID = Field(foreign_key="settlement_import.id", primary_key=True)
    position: int = Field(primary_key=True)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class SettlementLineRow(SQLModel, table=True):
    """One line, once per account: by the PG's name of it and the money that it says, which every channel says alike.

    ``repeats``: how often it stood once more in one and the same reading. ``run`` (a UUIDv7: readings are in the order
    of time) and ``batch`` tell such a line from one that is only read again.
    """

    __tablename__ = "settlement_line"
    __table_args__ = (
        UniqueConstraint(
            "account", "line_ref", "kind", "currency", "gross", "fee", "net", name="uq_settlement_line_said"
        ),
        one_of("finding", Finding),
        Index("ix_settlement_line_unjudged", "account", "id", postgresql_where=text("finding IS NULL")),
        Index(
            "uq_settlement_line_operation",
            "operation_id",
            unique=True,
            postgresql_where=text("operation_id IS NOT NULL"),
        ),
        Index("ix_settlement_line_payout", "account", "payout_ref", postgresql_where=text("payout_ref IS NOT NULL")),
    )
    id: int | None = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    account: str
    import_id: UUID = reference("settlement_import.id")
    operation_id: UUID | None = reference("operation.id", nullable=True, index=False)
    line_ref: str
    kind: str
    reference: str | None
    operation_ref: str | None
    merchant_ref: str | None
    payout_ref: str | None
    gross: int = minor()
    fee: int = minor()
    net: int = minor()
    currency: str = Field(max_length=3)
    occurred_at: datetime = moment()
    paid_on: date | None
    run: UUID
    batch: int
    repeats: int
    finding: str | None


class BankCredit(SQLModel, table=True):
    """What the bank has credited for one payout of a PG: the third side."""

    __tablename__ = "bank_credit"
    __table_args__ = (UniqueConstraint("account", "payout_ref"),)
    id: UUID = key()
    account: str = reference("gateway_account.id", index=False)
    payout_ref: str
    amount: int = minor()
    currency: str = Field(max_length=3)
    credited_on: date
    recorded_by: str
    recorded_at: datetime = moment()


class ReconciliationCase(SQLModel, table=True):
    """One exception that somebody has to explain. ``subject``: the operation, line or payout; one open case each."""

    __tablename__ = "reconciliation_case"
    __table_args__ = (
        check("kind_known", f"kind IN ({_CASE_KINDS})"),
        Index("uq_reconciliation_case_open", "subject", unique=True, postgresql_where=text("closed_at IS NULL")),
        Index("ix_reconciliation_case_list", "store_id", "id"),
        Index("ix_reconciliation_case_subject", "subject"),
        Index(
            "ix_reconciliation_case_unhinted",
            "account",
            postgresql_where=text("closed_at IS NULL AND hinted_at IS NULL AND number IS NOT NULL"),
        ),
    )
    id: UUID = key()
    store_id: str = reference("store.id", index=False)
    account: str
    kind: str
    subject: str
    number: str | None
    """The order's, where it is known."""
    merchant_ref: str | None
    operation_id: UUID | None = None
    line_id: int | None = Field(sa_column=Column(BigInteger))
    expected: int = minor()
    actual: int = minor()
    currency: str = Field(max_length=3)
    owner: str
    note: str | None
    opened_at: datetime = moment()
    hinted_at: datetime | None = maybe_moment()
    closed_at: datetime | None = maybe_moment()
    closed_by: str | None
