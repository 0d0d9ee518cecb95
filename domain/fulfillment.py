"""Goods on their way: prepare, ship (in part), deliver, hold. Rules on one section; money is `domain.capture`'s."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from domain.errors import Flaw, IllegalTransition, Invalid, NothingToDo
from domain.gateway import OperationKind, Outcome
from domain.moment import Moment
from domain.order import Order
from domain.owing import to_capture
from domain.section import Hold, Item, Section, Shipment, ShipmentItem, moved, take
from domain.states import ItemState, SectionStatus

UNSHIPPED = frozenset({ItemState.ALLOCATED, ItemState.PREPARING})


@dataclass(frozen=True, slots=True)
class Pieces:
    """So many pieces of an item row."""

    item_id: UUID
    quantity: int


def pick(order: Order, pieces: Pieces, moment: Moment) -> tuple[Order, Item]:
    """The order with a row of exactly these pieces, split off where needed, and that row."""
    item = order.item(pieces.item_id)
    if not 1 <= pieces.quantity <= item.quantity:
        raise Invalid(
            f"item {item.sku} has {item.quantity} pieces here, asked for {pieces.quantity}",
            flaws=[Flaw("/items", "quantity_out_of_range", f"1 to {item.quantity}")],
            figures={"item_id": str(item.id), "quantity": item.quantity},
        )
    picked, rows = take(item, pieces.quantity, new_id=moment.new_id)
    order = order.put(*rows)
    if picked.id == item.id:
        return order, picked
    for packed in order.shipment_items:
        if packed.item_id == item.id:
            stays = replace(packed, quantity=packed.quantity - pieces.quantity)
            leaves = replace(packed, id=moment.new_id(), item_id=picked.id, quantity=pieces.quantity)
            order = order.put(stays, leaves)
    return order, picked


def prepare(order: Order, number: int) -> Order:
    """Hand every allocated item of an open section to the warehouse. A section on hold, or none, waits."""
    section = next((s for s in order.sections if s.number == number), None)
    if section is None or section.status is not SectionStatus.OPEN:
        return order
    items = [i for i in order.section_items(section) if i.state is ItemState.ALLOCATED]
    return order.put(*(moved(i, ItemState.PREPARING) for i in items)) if items else order


def ship(
    order: Order, number: int, pieces: Sequence[Pieces], moment: Moment, *, carrier: str, tracking_number: str
) -> tuple[Order, int]:
    """A parcel leaves: all unshipped items of the section, or the pieces named. Gives the value that left."""
    section = _moving(order, number)
    _refuse_unpaid(order, section)
    order, items = _named(order, section, pieces, UNSHIPPED, moment)
    shipment = Shipment(moment.new_id(), order.id, section.id, carrier, tracking_number, moment.now)
    order = order.put(shipment)
    for item in items:
        ready = moved(item, ItemState.PREPARING)
        packed = ShipmentItem(moment.new_id(), order.id, shipment.id, item.id, item.quantity)
        order = order.put(moved(ready, ItemState.SHIPPED), packed)
    first = sum(s.section_id == section.id for s in order.shipments) == 1
    fee = section.shipping_fee - section.shipping_credited if first else 0
    return order, sum(i.paid - i.credited for i in items) + fee


def deliver(order: Order, number: int, pieces: Sequence[Pieces], moment: Moment, *, shipment_id: UUID | None) -> Order:
    """A parcel (or all of them, or the pieces named) has arrived."""
    section = order.section(number)
    if shipment_id and pieces:
        raise Invalid("name a shipment or items, not both", flaws=[Flaw("/shipment_id", "ambiguous", "or items")])
    if shipment_id:
        pieces = _of_shipment(order, section, shipment_id)
    order, items = _named(order, section, pieces, frozenset({ItemState.SHIPPED}), moment)
    order = order.put(*(moved(i, ItemState.DELIVERED) for i in items))
    for shipment in order.shipments:
        inside = [order.item(p.item_id) for p in order.shipment_items if p.shipment_id == shipment.id]
        if shipment.delivered_at is None and all(i.state is ItemState.DELIVERED for i in inside):
            order = order.put(replace(shipment, delivered_at=moment.now))
    return order


def hold(order: Order, number: int, reason: str, moment: Moment) -> Order:
    """Stop a section for a reason; the same reason twice is one hold."""
    section = order.section(number)
    if section.status not in {SectionStatus.OPEN, SectionStatus.ON_HOLD}:
        raise IllegalTransition(
            f"section {number} is {section.status} and cannot be held",
            figures={"from": section.status.value, "to": "on_hold", "allowed": ["open", "on_hold"]},
        )
    if any(h.reason == reason for h in order.active_holds(section)):
        return order
    return order.put(Hold(moment.new_id(), order.id, section.id, reason, moment.now))


def release(order: Order, number: int, reason: str, moment: Moment) -> Order:
    """Release one hold of a section; others stay."""
    section = order.section(number)
    active = [h for h in order.active_holds(section) if h.reason == reason]
    if not active:
        reasons = [h.reason for h in order.active_holds(section)]
        raise NothingToDo(f"section {number} is not held for {reason!r}", figures={"holds": reasons})
    return order.put(*(replace(h, released_at=moment.now) for h in active))


def _moving(order: Order, number: int) -> Section:
    section = order.section(number)
    if section.status is not SectionStatus.OPEN:
        holds = [h.reason for h in order.active_holds(section)]
        raise IllegalTransition(
            f"section {number} is {section.status}, nothing can be shipped from it"
            + (f" until these holds are released: {', '.join(holds)}" if holds else ""),
            figures={"from": section.status.value, "to": "shipped", "allowed": ["open"], "holds": holds},
        )
    return section


def _refuse_unpaid(order: Order, section: Section) -> None:
    """The PG has taken its money back, or will not give it: what has not left yet waits for the money, or for a person.

    Money that was never taken is no obstacle: with ``capture: on_shipment`` it is taken when the goods have left. So a
    capture that was declined, or has failed after all, is one only where all is captured at once.
    """
    gone = {o.payment_id for o in order.operations if o.kind is OperationKind.AUTHORIZE and o.reversed_amount}
    if order.capture == "automatic":
        captures = [o for o in order.operations if o.kind is OperationKind.CAPTURE]
        gone |= {o.payment_id for o in captures if o.reversed_amount or o.outcome is Outcome.DECLINED}
    parts = [a for a in order.allocations if a.section_id == section.id and a.payment_id in gone]
    unpaid = min(to_capture(order), sum(a.amount - a.captured for a in parts))
    if unpaid > 0:
        raise IllegalTransition(
            f"section {section.number} is not paid any more: {unpaid} {order.currency} were declined or taken back by "
            f"the PG; it can be shipped once that is there",
            figures={"from": section.status.value, "to": "shipped", "allowed": [], "taken_back": unpaid},
        )


def _named(
    order: Order, section: Section, pieces: Sequence[Pieces], states: Iterable[ItemState], moment: Moment
) -> tuple[Order, list[Item]]:
    """The rows named, or all of the section in one of the states; refuses rows in another state or section."""
    states = frozenset(states)
    if not pieces:
        items = [i for i in order.section_items(section) if i.state in states]
        if not items:
            found = sorted({i.state.value for i in order.section_items(section)})
            raise NothingToDo(
                f"section {section.number} has no item that is {' or '.join(sorted(states))}", figures={"states": found}
            )
        return order, items
    items = []
    for asked in pieces:
        item = order.item(asked.item_id)
        if item.section_id != section.id:
            raise Invalid(
                f"item {item.sku} is not in section {section.number}",
                flaws=[Flaw("/items", "other_section", str(item.id))],
            )
        if item.state not in states:
            raise IllegalTransition(
                f"item {item.sku} is {item.state}, must be {' or '.join(sorted(states))}",
                figures={"item_id": str(item.id), "from": item.state.value, "allowed": sorted(states)},
            )
        order, row = pick(order, asked, moment)
        items.append(row)
    return order, items


def _of_shipment(order: Order, section: Section, shipment_id: UUID) -> list[Pieces]:
    shipment = next((s for s in order.shipments if s.id == shipment_id and s.section_id == section.id), None)
    if shipment is None:
        raise Invalid(
            f"section {section.number} has no such shipment",
            flaws=[Flaw("/shipment_id", "unknown_shipment", str(shipment_id))],
        )
    packed = [p for p in order.shipment_items if p.shipment_id == shipment_id]
    shipped = [p for p in packed if order.item(p.item_id).state is ItemState.SHIPPED]
    if not shipped:
        raise NothingToDo("that shipment is already delivered", figures={"shipment_id": str(shipment_id)})
    return [Pieces(p.item_id, order.item(p.item_id).quantity) for p in shipped]
