"""Sections in JSON: where goods go and how far they are, and the commands that move them."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from api.schemas.field import Asked, Code, Country, Line, Phone, Quantity, Reason
from api.schemas.moment import rfc3339
from contracts.command import Deliver, Hold, Ship
from domain.checkout import Destination
from domain.fulfillment import Pieces
from domain.order import Order
from domain.section import Item, Section, Shipment

MAX_LINES = 200


class DestinationIn(Asked):
    """Where a section goes; copied into it."""

    name: Line
    line1: Line
    line2: Line | None = None
    city: Line
    region: Line | None = None
    postal_code: Annotated[Code, Field(max_length=20)]
    country: Country
    phone: Phone | None = None

    def to_domain(self) -> Destination:
        """The destination as the domain knows it."""
        return Destination(
            name=self.name,
            line1=self.line1,
            line2=self.line2,
            city=self.city,
            region=self.region,
            postal_code=self.postal_code,
            country=self.country,
            phone=self.phone,
        )


class PiecesIn(Asked):
    """So many pieces of an item."""

    item_id: UUID
    quantity: Quantity

    def to_domain(self) -> Pieces:
        """The pieces as the domain knows them."""
        return Pieces(self.item_id, self.quantity)


def _each_once(pieces: list[PiecesIn]) -> list[PiecesIn]:
    if len({p.item_id for p in pieces}) < len(pieces):
        raise PydanticCustomError("duplicate_item", "names an item twice; add its quantities up")
    return pieces


NamedPieces = Annotated[list[PiecesIn], Field(min_length=1, max_length=MAX_LINES), AfterValidator(_each_once)]


class ShipIn(Asked):
    """A parcel leaves; no items: all that has not left yet."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"carrier": "CJ", "tracking_number": "123-456"}]})

    carrier: Code
    tracking_number: Code
    items: NamedPieces | None = None

    def to_command(self, section: int) -> Ship:
        """The command's body."""
        return Ship(section, self.carrier, self.tracking_number, pieces_of(self.items))


class DeliverIn(Asked):
    """A parcel has arrived; nothing named: all that is on its way."""

    shipment_id: UUID | None = None
    items: NamedPieces | None = None

    def to_command(self, section: int) -> Deliver:
        """The command's body."""
        return Deliver(section, self.shipment_id, pieces_of(self.items))


class HoldIn(Asked):
    """Stop the section for a reason, by which it is released again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "address_check"}]})

    reason: Reason

    def to_command(self, section: int) -> Hold:
        """The command's body."""
        return Hold(section, self.reason)


def pieces_of(asked: list[PiecesIn] | None) -> tuple[Pieces, ...]:
    """Pieces as the domain knows them; none named: none."""
    return tuple(p.to_domain() for p in asked or ())


class WorkflowOut(TypedDict):
    """The durable workflow that owns it, and where people see it."""

    id: str
    url: str


class DestinationOut(TypedDict):
    """Where a section goes."""

    name: str
    line1: str
    line2: str | None
    city: str
    region: str | None
    postal_code: str
    country: str
    phone: str | None


class ItemOut(TypedDict):
    """SKU x quantity with one state; ``paid`` after discount and without shipping, ``refunded`` of it credited."""

    id: str
    line_id: str
    sku: str
    name: str
    quantity: int
    unit_price: int
    tax_rate: int
    discount: int
    shipping: int
    tax_included: int
    paid: int
    refunded: int
    state: str
    return_state: str
    split_from_id: str | None
    origin: str
    origin_item_id: str | None


class PackedOut(TypedDict):
    """Pieces of an item in a parcel."""

    item_id: str
    sku: str
    quantity: int


class ShipmentOut(TypedDict):
    """A parcel."""

    id: str
    carrier: str
    tracking_number: str
    shipped_at: str
    delivered_at: str | None
    items: list[PackedOut]


class SectionOut(TypedDict):
    """A part of an order with its own destination; ``holds`` are the reasons why it does not move."""

    id: str
    number: int
    status: str
    fulfillment_status: str
    payment_status: str
    return_status: str
    destination: DestinationOut
    delivery_method: str
    shipping_fee: int
    shipping_refunded: int
    holds: list[str]
    origin: str
    payment_request_id: str | None
    workflow: WorkflowOut
    items: list[ItemOut]
    shipments: list[ShipmentOut]


def section_out(order: Order, section: Section, workflow: WorkflowOut) -> SectionOut:
    """A section with its items in the order of its lines, and its parcels."""
    rows = sorted(order.section_items(section), key=lambda i: (i.position, i.id))
    parcels = sorted((s for s in order.shipments if s.section_id == section.id), key=lambda s: (s.shipped_at, s.id))
    return {
        "id": str(section.id),
        "number": section.number,
        "status": section.status.value,
        "fulfillment_status": section.fulfillment_status.value,
        "payment_status": section.payment_status.value,
        "return_status": section.return_status.value,
        "destination": {
            "name": section.recipient,
            "line1": section.line1,
            "line2": section.line2,
            "city": section.city,
            "region": section.region,
            "postal_code": section.postal_code,
            "country": section.country,
            "phone": section.phone,
        },
        "delivery_method": section.delivery_method,
        "shipping_fee": section.shipping_fee,
        "shipping_refunded": section.shipping_credited,
        "holds": [h.reason for h in sorted(order.active_holds(section), key=lambda h: h.placed_at)],
        "origin": section.origin,
        "payment_request_id": str(section.request_id) if section.request_id else None,
        "workflow": workflow,
        "items": [_item_out(i) for i in rows],
        "shipments": [_shipment_out(order, s) for s in parcels],
    }


def _item_out(item: Item) -> ItemOut:
    return {
        "id": str(item.id),
        "line_id": str(item.line_id),
        "sku": item.sku,
        "name": item.name,
        "quantity": item.quantity,
        "unit_price": item.unit_price,
        "tax_rate": item.tax_rate,
        "discount": item.discount,
        "shipping": item.shipping,
        "tax_included": item.tax_included,
        "paid": item.paid,
        "refunded": item.credited,
        "state": item.state.value,
        "return_state": item.return_state.value,
        "split_from_id": str(item.split_from_id) if item.split_from_id else None,
        "origin": item.origin,
        "origin_item_id": str(item.origin_item_id) if item.origin_item_id else None,
    }


def _shipment_out(order: Order, shipment: Shipment) -> ShipmentOut:
    packed = [p for p in order.shipment_items if p.shipment_id == shipment.id]
    return {
        "id": str(shipment.id),
        "carrier": shipment.carrier,
        "tracking_number": shipment.tracking_number,
        "shipped_at": rfc3339(shipment.shipped_at),
        "delivered_at": rfc3339(shipment.delivered_at),
        "items": [
            {"item_id": str(p.item_id), "sku": order.item(p.item_id).sku, "quantity": p.quantity} for p in packed
        ],
    }
