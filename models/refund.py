"""Refunds, what they are for, and their legs. The columns are the fields of `domain.payment`."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import SQLModel

from domain.states import LegStatus, RefundStatus
from models.columns import check, key, minor, moment, one_of, reference


class RefundRow(SQLModel, table=True):
    """An entitlement. One command makes at most one."""

    __tablename__ = "refund"
    __table_args__ = (
        one_of("status", RefundStatus),
        check("returnable_within_amount", "0 <= returnable AND returnable <= amount"),
        Index("uq_refund_command", "command_id", unique=True, postgresql_where=text("command_id IS NOT NULL")),
    )
    id: UUID = key()
    order_id: UUID = reference("orders.id")
    kind: str
    amount: int = minor()
    returnable: int = minor()
    reason: str
    policy: str
    status: str
    requested_at: datetime = moment()
    command_id: UUID | None = None


class RefundLineRow(SQLModel, table=True):
    """What a refund is for."""

    __tablename__ = "refund_line"
    __table_args__ = (check("amount_not_negative", "amount >= 0"),)
    id: UUID = key()
    order_id: UUID = reference("orders.id")
    refund_id: UUID = reference("refund.id")
    amount: int = minor()
    quantity: int
    item_id: UUID | None = reference("item.id", nullable=True)
    section_id: UUID | None = reference("section.id", nullable=True, index=False)


class RefundLegRow(SQLModel, table=True):
    """What goes back of one payment: by its PG, or as store credit."""

    __tablename__ = "refund_leg"
    __table_args__ = (
        one_of("status", LegStatus),
        check("destination_known", "destination IN ('payment', 'store_credit')"),
        check("amount_positive", "amount > 0"),
    )
    id: UUID = key()
    order_id: UUID = reference("orders.id")
    refund_id: UUID = reference("refund.id")
    payment_id: UUID = reference("payment.id")
    position: int
    amount: int = minor()
    status: str
    destination: str
