"""Orders and what belongs to them as a whole. The columns are the fields of `domain.order`."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from domain.states import BalanceState, ChangeStatus, FulfillmentStatus, OrderStatus, PaidStatus, ReturnStatus
from models.columns import check, key, maybe_moment, minor, moment, one_of, reference


class OrderRow(SQLModel, table=True):
    """One order. The number is unique in its store: the second fence against duplicates."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("store_id", "number"),
        UniqueConstraint("checkout_id"),
        one_of("status", OrderStatus),
        one_of("payment_status", PaidStatus),
        one_of("fulfillment_status", FulfillmentStatus),
        one_of("return_status", ReturnStatus),
        one_of("balance", BalanceState),
        check("credited_within_total", "0 <= credited AND credited <= total"),
        check("refunded_within_captured", "0 <= refunded AND refunded <= captured"),
        check("captured_within_authorized", "captured <= authorized"),
        check("total_adds_up", "total = items_total - discount_total + shipping_total"),
        Index("ix_orders_store_created", "store_id", text("created_at DESC"), text("id DESC")),
        Index("ix_orders_store_placed", "store_id", text("placed_at DESC")),
        Index("ix_orders_store_status", "store_id", "status", text("created_at DESC")),
        Index("ix_orders_store_customer", "store_id", "customer_id", text("created_at DESC")),
        Index("ix_orders_expires", "expires_at", postgresql_where=text("status = 'pending_payment'")),
        Index("ix_orders_attention", "store_id", postgresql_where=text("requires_review OR has_unknown_payment")),
    )
    id: UUID = key()
    store_id: str = reference("store.id", index=False)
    number: str
    version: int
    status: str
    payment_status: str
    fulfillment_status: str
    return_status: str
    balance: str
    has_unknown_payment: bool
    requires_review: bool
    currency: str = Field(max_length=3)
    customer_id: str
    customer_name: str | None
    customer_email: str | None
    customer_phone: str | None
    checkout_id: UUID
    payment_mode: str
    capture: str
    items_total: int = minor()
    discount_total: int = minor()
    shipping_total: int = minor()
    tax_included: int = minor()
    total: int = minor()
    goodwill: int = minor()
    credited: int = minor()
    authorized: int = minor()
    captured: int = minor()
    refunded: int = minor()
    created_at: datetime = moment()
    placed_at: datetime | None = maybe_moment()
    expires_at: datetime | None = maybe_moment()
    reorder_of: str | None


class DiscountRow(SQLModel, table=True):
    """A discount as the customer saw it."""

    __tablename__ = "discount"
    __table_args__ = (check("amount_not_negative", "amount >= 0"),)
    id: UUID = key()
    order_id: UUID = reference("orders.id")
    code: str
    amount: int = minor()


class ChangeRow(SQLModel, table=True):
    """A change of a placed order; at most one open at a time."""

    __tablename__ = "order_change"
    __table_args__ = (
        one_of("status", ChangeStatus),
        Index(
            "uq_order_change_open",
            "order_id",
            unique=True,
            postgresql_where=text("status IN ('draft', 'awaiting_payment')"),
        ),
    )
    id: UUID = key()
    order_id: UUID = reference("orders.id")
    kind: str
    status: str
    command_id: UUID
    section_id: UUID | None = None
    request_id: UUID | None = None
    refund_id: UUID | None = None
