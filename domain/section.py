"""Sections, their items and shipments: what goes where, and how far it is.

An item row has one state. When part of its quantity moves on alone it **splits on divergence**: a new row, with
``split_from_id``, takes the part and its share of every amount, so that sums per ordered line never change.
All amounts are minor units of the order's currency.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.allocation import split_share
from domain.states import FulfillmentStatus, ItemState, PaidStatus, ReturnState, ReturnStatus, SectionStatus, move

NewId = Callable[[], UUID]

CLOSED_ITEMS = frozenset({ItemState.DELIVERED, ItemState.LOST, ItemState.CANCELED})
SHIPPED_ITEMS = frozenset({ItemState.SHIPPED, ItemState.DELIVERED, ItemState.LOST, ItemState.RETURNED_TO_SENDER})
CLOSED_SECTIONS = frozenset({SectionStatus.COMPLETED, SectionStatus.CANCELED, SectionStatus.EXPIRED})


@dataclass(frozen=True, slots=True)
class Section:
    """Part of an order with its own destination (a frozen copy), delivery method, shipping fee and items."""

    id: UUID
    order_id: UUID
    number: int
    status: SectionStatus
    recipient: str
    line1: str
    city: str
    postal_code: str
    country: str
    delivery_method: str
    shipping_fee: int
    line2: str | None = None
    region: str | None = None
    phone: str | None = None
    shipping_tax: int = 0
    shipping_credited: int = 0
    """What of the fee is no longer owed; never more than the fee (shipping is refunded once)."""
    fulfillment_status: FulfillmentStatus = FulfillmentStatus.UNFULFILLED
    payment_status: PaidStatus = PaidStatus.UNPAID
    return_status: ReturnStatus = ReturnStatus.NONE
    origin: str = "sale"
    request_id: UUID | None = None
    """The payment request that must be paid before this section opens; None: the checkout's."""


@dataclass(frozen=True, slots=True)
class Item:
    """SKU x quantity in a section, with one state. ``paid`` = unit_price x quantity - discount, without shipping."""

    id: UUID
    order_id: UUID
    section_id: UUID
    line_id: UUID
    position: int
    sku: str
    name: str
    quantity: int
    unit_price: int
    tax_rate: int
    tracked: bool
    discount: int = 0
    shipping: int = 0
    tax_included: int = 0
    shipping_tax: int = 0
    paid: int = 0
    credited: int = 0
    """What of ``paid`` is no longer owed: granted refunds, exchange credit, cancellation."""
    state: ItemState = ItemState.PENDING
    return_state: ReturnState = ReturnState.NONE
    split_from_id: UUID | None = None
    origin: str = "sale"
    origin_item_id: UUID | None = None

    @property
    def gross(self) -> int:
        """Price of the row before discount."""
        return self.unit_price * self.quantity


SHARES = ("shipping", "tax_included", "shipping_tax", "paid", "credited")
"""What is divided when a row splits; ``discount`` follows from price and ``paid``."""


def split(item: Item, part: int, *, new_id: UUID) -> tuple[Item, Item]:
    """Split ``part`` pieces off: (what stays, what leaves). Shares add up to the row's to the last unit."""
    leaving: dict[str, Any] = {name: split_share(getattr(item, name), item.quantity, part) for name in SHARES}
    staying: dict[str, Any] = {name: getattr(item, name) - leaving[name] for name in SHARES}
    return (
        _discounted(replace(item, quantity=item.quantity - part, **staying)),
        _discounted(replace(item, id=new_id, quantity=part, split_from_id=item.id, **leaving)),
    )


def _discounted(item: Item) -> Item:
    return replace(item, discount=item.gross - item.paid)


def take(item: Item, quantity: int, *, new_id: NewId) -> tuple[Item, tuple[Item, ...]]:
    """The row holding exactly ``quantity`` pieces, and every row that changed by taking them."""
    if quantity == item.quantity:
        return item, (item,)
    stays, leaves = split(item, quantity, new_id=new_id())
    return leaves, (stays, leaves)


def moved(item: Item, state: ItemState) -> Item:
    """The item in its next state; refuses what the table does not allow."""
    return replace(item, state=move(item.state, state, what=f"item {item.sku}"))


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason why a section must not move. Several may be active; each is released alone."""

    id: UUID
    order_id: UUID
    section_id: UUID
    reason: str
    placed_at: datetime
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Shipment:
    """One parcel of a section: the physical fact."""

    id: UUID
    order_id: UUID
    section_id: UUID
    carrier: str
    tracking_number: str
    shipped_at: datetime
    delivered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ShipmentItem:
    """Which item row lies in which parcel."""

    id: UUID
    order_id: UUID
    shipment_id: UUID
    item_id: UUID
    quantity: int


def stock_moves(before: Sequence[Item], after: Sequence[Item]) -> dict[str, tuple[int, int, int]]:
    """What the change of items does to stock: per tracked SKU the deltas of (on_hand, held, committed) in pieces."""
    deltas: dict[str, list[int]] = {}
    for sign, items in ((-1, before), (1, after)):
        for item in items:
            if not item.tracked:
                continue
            total = deltas.setdefault(item.sku, [0, 0, 0])
            for axis, pieces in enumerate(_stock_of(item)):
                total[axis] += sign * pieces
    return {sku: (d[0], d[1], d[2]) for sku, d in sorted(deltas.items()) if any(d)}


def _stock_of(item: Item) -> tuple[int, int, int]:
    """What a row in its state means for (on_hand, held, committed), against a shelf where it never was ordered."""
    match item.state:
        case ItemState.PENDING:
            return 0, item.quantity, 0
        case ItemState.ALLOCATED | ItemState.PREPARING:
            return 0, 0, item.quantity
        case ItemState.SHIPPED | ItemState.DELIVERED | ItemState.LOST | ItemState.RETURNED_TO_SENDER:
            return -item.quantity, 0, 0
        case ItemState.BACKORDERED | ItemState.CANCELED:
            return 0, 0, 0
