"""Payment requests, payments, attempts, operations, allocations. The columns are the fields of `domain.payment`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Column, Field, SQLModel

from domain.gateway import OperationKind, Outcome
from domain.states import RequestStatus, TenderStatus
from models.columns import check, key, maybe_moment, minor, moment, one_of, reference


class PaymentRequestRow(SQLModel, table=True):
    """What is asked for."""

    __tablename__ = "payment_request"
    __table_args__ = (
        one_of("status", RequestStatus),
        check("paid_within_amount", "0 <= paid AND paid <= amount"),
        check("scope_known", "scope IN ('order', 'section')"),
        check("schedule_is_a_list", "jsonb_typeof(schedule) = 'array'"),
    )
    id: UUID = key()
    order_id: UUID = reference("orders.id")
    scope: str
    amount: int = minor()
    status: str
    purpose: str
    due_at: datetime | None = maybe_moment()
    paid: int = minor()
    section_id: UUID | None = None
    schedule: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))


class PaymentRow(SQLModel, table=True):
    """One leg that pays a request; its amounts are the fold of its operations."""

    __tablename__ = "payment"
    __table_args__ = (
        one_of("status", TenderStatus),
        check("amount_positive", "amount > 0"),
        check("fold_refunds", "0 <= refunded AND 0 <= refund_pending AND refunded + refund_pending <= captured"),
        check("fold_captures", "0 <= voided AND captured + voided <= authorized AND authorized <= amount"),
        Index("ix_payment_unknown", "order_id", postgresql_where=text("status IN ('unknown', 'manual_review')")),
    )
    id: UUID = key()
    order_id: UUID = reference("orders.id")
    request_id: UUID = reference("payment_request.id")
    position: int
    method: str
    amount: int = minor()
    status: str
    token: str | None
    authorized: int = minor()
    captured: int = minor()
    voided: int = minor()
    refunded: int = minor()
    refund_pending: int = minor()
    decline_category: str | None
    decline_code: str | None
    decline_message: str | None
    decline_retry: str | None
    action_kind: str | None
    action_url: str | None
    action_fields: dict[str, Any] | None = Field(sa_column=Column(JSONB(none_as_null=True)))
    action_due_at: datetime | None = maybe_moment()
    instalments: int
    return_url: str | None
    details: dict[str, Any] | None = Field(sa_column=Column(JSONB(none_as_null=True)))
    command_id: UUID | None = None


class AttemptRow(SQLModel, table=True):
    """One try at one account. The exposure fence: at most one attempt of a payment is not proven dead (R1, R2)."""

    __tablename__ = "attempt"
    __table_args__ = (
        UniqueConstraint("merchant_ref"),
        one_of("outcome", Outcome),
        Index(
            "uq_attempt_exposed",
            "payment_id",
            unique=True,
            postgresql_where=text("outcome NOT IN ('declined', 'not_executed')"),
        ),
        Index("ix_attempt_account", "account", text("created_at DESC")),
        Index("ix_attempt_reference", "reference", postgresql_where=text("reference IS NOT NULL")),
        Index(
            "ix_attempt_authorized_until",
            "authorized_until",
            postgresql_where=text("authorized_until IS NOT NULL AND outcome = 'succeeded'"),
        ),
    )
    id: UUID = key()
    order_id: UUID = reference("orders.id")
    payment_id: UUID = reference("payment.id")
    position: int
    account: str
    merchant_ref: str
    outcome: str
    created_at: datetime = moment()
    reference: str | None
    decision: dict[str, Any] | None = Field(sa_column=Column(JSONB(none_as_null=True)))
    rule_version: int | None
    authorized_until: datetime | None = maybe_moment()
    refund_days: int | None = None
    reports_tax: bool


class OperationRow(SQLModel, table=True):
    """One thing asked of a PG; committed before the first byte is sent."""

    __tablename__ = "operation"
    __table_args__ = (
        UniqueConstraint("key"),
        one_of("outcome", Outcome),
        one_of("kind", OperationKind),
        check("amount_positive", "amount > 0"),
        check("reversed_amount_in_range", "reversed_amount BETWEEN 0 AND amount"),
        check("tax_free_in_range", "tax_free BETWEEN 0 AND amount"),
        Index(
            "ix_operation_unresolved",
            "initiated_at",
            postgresql_where=text("outcome IN ('initiated', 'pending', 'action_required', 'unknown')"),
        ),
        Index("ix_operation_operation_ref", "operation_ref", postgresql_where=text("operation_ref IS NOT NULL")),
        Index("ix_operation_initiated", "initiated_at", postgresql_using="brin"),
    )
    id: UUID = key()
    order_id: UUID = reference("orders.id")
    attempt_id: UUID = reference("attempt.id")
    payment_id: UUID = reference("payment.id")
    kind: str
    amount: int = minor()
    key: str
    outcome: str
    initiated_at: datetime = moment()
    capture_now: bool
    tries: int
    operation_ref: str | None
    detail: str | None
    section_id: UUID | None = None
    leg_id: UUID | None = None
    command_id: UUID | None = None
    resolved_at: datetime | None = maybe_moment()
    abandoning: bool
    completed_at: datetime | None = maybe_moment()
    sent_at: datetime | None = maybe_moment()
    fingerprint: str | None = None
    neutralized_at: datetime | None = maybe_moment()
    contradicted: bool
    orphan: bool
    subject_id: UUID | None = None
    reversed_amount: int = minor()
    tax_free: int = minor()


class AllocationRow(SQLModel, table=True):
    """Which part of a payment covers which section."""

    __tablename__ = "allocation"
    __table_args__ = (
        UniqueConstraint("payment_id", "section_id"),
        check(
            "fold",
            "0 <= refunded AND refunded <= captured AND captured <= authorized AND authorized <= amount",
        ),
    )
    id: UUID = key()
    order_id: UUID = reference("orders.id")
    payment_id: UUID = reference("payment.id", index=False)
    section_id: UUID = reference("section.id")
    amount: int = minor()
    authorized: int = minor()
    captured: int = minor()
    refunded: int = minor()
