"""Sections, items, holds, shipments. The columns are the fields of `domain.section`."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import SQLModel

from domain.states import FulfillmentStatus, ItemState, PaidStatus, ReturnState, ReturnStatus, SectionStatus
from models.columns import check, key, maybe_moment, minor, moment, one_of, reference


class SectionRow(SQLModel, table=True):
    """A part of an order with its own destination: a frozen copy, never read from the order."""

    __tablename__ = "section"
    __table_args__ = (
        UniqueConstraint("order_id", "number"),
        one_of("status", SectionStatus),
        one_of("fulfillment_status", FulfillmentStatus),
        one_of("payment_status", PaidStatus),
        one_of("return_status", ReturnStatus),
        check("shipping_credited_once", "0 <= shipping_credited AND shipping_credited <= shipping_fee"),
    )
    id: UUID = key()
    order_id: UUID = reference("orders.id", index=False)
    number: int
    status: str
    fulfillment_status: str
    payment_status: str
    return_status: str
    recipient: str
    line1: str
    line2: str | None
    city: str
    region: str | None
    postal_code: str
    country: str
    phone: str | None
    delivery_method: str
    shipping_fee: int = minor()
    shipping_tax: int = minor()
    shipping_credited: int = minor()
    origin: str
    request_id: UUID | None = None


class ItemRow(SQLModel, table=True):
    """SKU x quantity with one state; a part that moves on alone is a row of its own."""

    __tablename__ = "item"
    __table_args__ = (
        one_of("state", ItemState),
        one_of("return_state", ReturnState),
        check("quantity_positive", "quantity >= 1"),
        check("paid_adds_up", "paid = unit_price * quantity - discount AND paid >= 0"),
        check("credited_within_paid", "0 <= credited AND credited <= paid"),
        Index("ix_item_sku", "sku"),
    )
    id: UUID = key()
    order_id: UUID = reference("orders.id")
    section_id: UUID = reference("section.id")
    line_id: UUID
    position: int
    sku: str
    name: str
    quantity: int
    unit_price: int = minor()
    tax_rate: int
    tracked: bool
    discount: int = minor()
    shipping: int = minor()
    tax_included: int = minor()
    shipping_tax: int = minor()
    paid: int = minor()
    credited: int = minor()
    state: str
    return_state: str
    split_from_id: UUID | None = None
    origin: str
    origin_item_id: UUID | None = None


class HoldRow(SQLModel, table=True):
    """A reason why a section does not move; one active row for each reason."""

    __tablename__ = "hold"
    __table_args__ = (
        Index("uq_hold_active", "section_id", "reason", unique=True, postgresql_where=text("released_at IS NULL")),
    )
    id: UUID = key()
    order_id: UUID = reference("orders.id")
    section_id: UUID = reference("section.id", index=False)
    reason: str
    placed_at: datetime = moment()
    released_at: datetime | None = maybe_moment()


class ShipmentRow(SQLModel, table=True):
    """One parcel."""

    __tablename__ = "shipment"
    id: UUID = key()
    order_id: UUID = reference("orders.id")
    section_id: UUID = reference("section.id")
    carrier: str
    tracking_number: str
    shipped_at: datetime = moment()
    delivered_at: datetime | None = maybe_moment()


class ShipmentItemRow(SQLModel, table=True):
    """Which item row lies in which parcel."""

    __tablename__ = "shipment_item"
    __table_args__ = (UniqueConstraint("shipment_id", "item_id"), check("quantity_positive", "quantity >= 1"))
    id: UUID = key()
    order_id: UUID = reference("orders.id")
    shipment_id: UUID = reference("shipment.id", index=False)
    item_id: UUID = reference("item.id")
    quantity: int
