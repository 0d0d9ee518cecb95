"""New items because of earlier ones: exchange and reship become a new section, "again" becomes a new order.

An exchange credits the old pieces at once (reserve before anything else) and prices the new ones; what the new cost
more is collected by a payment request of the new section, refunded, or waived, as asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal
from uuid import UUID

from domain.allocation import included_taxes
from domain.cascade import OPEN_CHANGES
from domain.checkout import (
    AskedItem,
    AskedSection,
    CatalogSku,
    Checkout,
    Customer,
    Destination,
    check_stock,
    new_section,
)
from domain.coverage import carry_over
from domain.errors import ChangeOpen, DifferenceUnsettled, Flaw, IllegalTransition, Invalid
from domain.fulfillment import Pieces
from domain.moment import Moment
from domain.order import Change, Order
from domain.owing import absorb_goodwill, spare
from domain.payment import PaymentRequest, Refund, RefundLine
from domain.refund import credit, plan
from domain.section import SHIPPED_ITEMS, Hold, Item, Section
from domain.states import (
    ChangeStatus,
    ItemState,
    OrderStatus,
    RefundStatus,
    RequestStatus,
    ReturnState,
    move,
)
from domain.taking import open_section

Difference = Literal["collect", "refund", "waive"]
AWAITING_RETURN = "awaiting_return"
DIFFERENCE_WAITS = timedelta(days=7)
"""How long a difference is waited for. It is asked for by a link, of somebody who is not at a checkout: days, not the
store's payment window. Its new pieces are held that long for nobody else."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Pieces of an earlier row, and the SKU to send for them (None: the same)."""

    item_id: UUID
    quantity: int
    sku: str | None = None


@dataclass(frozen=True, slots=True)
class AskedReorder:
    """An exchange or a reship as asked. ``difference`` says what to do when the new costs more or less."""

    kind: Literal["exchange", "reship"]
    items: tuple[Wanted, ...]
    destination: Destination | None = None
    difference: Difference = "collect"
    return_first: bool = True
    reason: str = ""


def reorder(
    order: Order, asked: AskedReorder, catalog: Mapping[str, CatalogSku], moment: Moment, *, command_id: UUID
) -> Order:
    """Open a new section for an exchange or a reship. Raises on stock, states, an open change, the difference."""
    if order.status in {OrderStatus.PENDING_PAYMENT, OrderStatus.EXPIRED, OrderStatus.CANCELED}:
        raise IllegalTransition(
            f"the order is {order.status}; nothing can be sent again", figures={"from": order.status.value}
        )
    if any(c.status in OPEN_CHANGES for c in order.changes):
        raise ChangeOpen("another change of this order is waiting for payment; finish or cancel it first")
    if not asked.items:
        raise Invalid("name what is to be sent again", flaws=[Flaw("/items", "empty", "at least one item")])
    old = [_source(order, wanted, asked) for wanted in asked.items]
    _check_skus(asked, old, catalog)
    check_stock([AskedItem(w.sku or i.sku, w.quantity) for w, i in zip(asked.items, old, strict=True)], catalog)
    section = _section(order, asked, old[0], moment)
    order = order.put(section)
    if asked.kind == "reship":
        order = order.put(*(_free(section, w, i, catalog, moment) for w, i in zip(asked.items, old, strict=True)))
        order = order.put(Change(moment.new_id(), order.id, "reship", ChangeStatus.CONFIRMED, command_id, section.id))
        return open_section(order, section)
    return _exchange(order, asked, section, catalog, moment, command_id=command_id)


def again(order: Order, items: Sequence[Wanted], catalog: Mapping[str, CatalogSku]) -> Checkout:
    """The checkout of a new order with the same things at today's prices; it waits for its payment."""
    wanted = items or [Wanted(i.id, i.quantity) for i in order.items if i.state is not ItemState.CANCELED]
    flaws = [Flaw(f"/items/{n}/quantity", "too_small", "at least 1") for n, w in enumerate(wanted) if w.quantity < 1]
    if flaws:
        raise Invalid("the order cannot be placed again as it is", flaws=flaws)
    rows = [(order.item(w.item_id), w) for w in wanted]
    unknown = [w.sku or i.sku for i, w in rows if (w.sku or i.sku) not in catalog]
    if unknown:
        raise Invalid(
            "not sold any more", flaws=[Flaw("/items", "unknown_sku", f"no SKU {s!r} in this store") for s in unknown]
        )
    sections = []
    for section in order.sections:
        mine = tuple(AskedItem(w.sku or i.sku, w.quantity) for i, w in rows if i.section_id == section.id)
        if mine:
            sections.append(AskedSection(destination_of(section), section.delivery_method, section.shipping_fee, mine))
    total = sum(catalog[a.sku].price * a.quantity for s in sections for a in s.items)
    total += sum(s.shipping_fee for s in sections)
    customer = Customer(order.customer_id, order.customer_name, order.customer_email, order.customer_phone)
    return Checkout(
        customer=customer,
        currency=order.currency,
        sections=tuple(sections),
        expected_total=total,
        payment_mode="accumulate",
        capture="automatic",
        reorder_of=order.number,
    )


def destination_of(section: Section) -> Destination:
    """A fresh copy of where a section went."""
    return Destination(
        name=section.recipient,
        line1=section.line1,
        line2=section.line2,
        city=section.city,
        region=section.region,
        postal_code=section.postal_code,
        country=section.country,
        phone=section.phone,
    )


def _source(order: Order, wanted: Wanted, asked: AskedReorder) -> Item:
    kind, item = asked.kind, order.item(wanted.item_id)
    together = sum(w.quantity for w in asked.items if w.item_id == item.id)
    if wanted.quantity < 1 or together > item.quantity:
        raise Invalid(
            f"item {item.sku} has {item.quantity} pieces here, asked for {together}",
            flaws=[Flaw("/items", "quantity_out_of_range", f"1 to {item.quantity}")],
        )
    if item.state not in SHIPPED_ITEMS:
        raise IllegalTransition(
            f"item {item.sku} is {item.state}; {kind} is for what has been shipped",
            figures={"item_id": str(item.id), "from": item.state.value, "allowed": sorted(SHIPPED_ITEMS)},
        )
    return item


def _check_skus(asked: AskedReorder, old: Sequence[Item], catalog: Mapping[str, CatalogSku]) -> None:
    flaws = []
    for n, (wanted, item) in enumerate(zip(asked.items, old, strict=True)):
        sku = wanted.sku or item.sku
        if sku not in catalog:
            flaws.append(Flaw(f"/items/{n}/sku", "unknown_sku", f"no SKU {sku!r} in this store"))
        if asked.kind == "reship" and sku != item.sku:
            flaws.append(Flaw(f"/items/{n}/sku", "other_sku", "a reship sends the same SKU; use an exchange"))
    if flaws:
        raise Invalid("the reorder cannot be sent as it is", flaws=flaws)


def _section(order: Order, asked: AskedReorder, like: Item, moment: Moment) -> Section:
    old = next(s for s in order.sections if s.id == like.section_id)
    template = AskedSection(asked.destination or destination_of(old), old.delivery_method, 0, ())
    number = max(s.number for s in order.sections) + 1
    return new_section(order.id, number, template, new_id=moment.new_id, origin=asked.kind)


def _free(section: Section, wanted: Wanted, old: Item, catalog: Mapping[str, CatalogSku], moment: Moment) -> Item:
    """The same pieces once more; the customer has paid for them already."""
    sku = catalog[old.sku]
    gross = sku.price * wanted.quantity
    return _item(section, wanted, old, sku, moment, discount=gross)


def _item(section: Section, wanted: Wanted, old: Item, sku: CatalogSku, moment: Moment, *, discount: int) -> Item:
    paid = sku.price * wanted.quantity - discount
    return Item(
        id=moment.new_id(),
        order_id=old.order_id,
        section_id=section.id,
        line_id=moment.new_id(),
        position=old.position,
        sku=sku.sku,
        name=sku.name,
        quantity=wanted.quantity,
        unit_price=sku.price,
        tax_rate=sku.tax_rate,
        tracked=sku.tracked,
        discount=discount,
        tax_included=included_taxes([(paid, sku.tax_rate)])[0],
        paid=paid,
        origin=section.origin,
        origin_item_id=old.id,
    )


def _exchange(
    order: Order,
    asked: AskedReorder,
    section: Section,
    catalog: Mapping[str, CatalogSku],
    moment: Moment,
    *,
    command_id: UUID,
) -> Order:
    """Credit the old, price the new, settle the difference as asked."""
    refund_id = moment.new_id()
    lines: list[RefundLine] = []
    for wanted in asked.items:
        order, row, worth = credit(order, Pieces(wanted.item_id, wanted.quantity), moment)
        back = move(row.return_state, ReturnState.REQUESTED, what=f"return of {row.sku}")
        order = order.put(replace(order.item(row.id), return_state=move(back, ReturnState.APPROVED, what="return")))
        lines.append(RefundLine(moment.new_id(), order.id, refund_id, worth, wanted.quantity, row.id, row.section_id))
    credited = sum(line.amount for line in lines)
    cost = sum(catalog[w.sku or order.item(w.item_id).sku].price * w.quantity for w in asked.items)
    due = _difference(asked.difference, cost=cost, credited=credited)
    waived = cost - credited if asked.difference == "waive" and cost > credited else 0
    kept = credited - cost if asked.difference == "waive" and cost < credited else 0
    for wanted, line in zip(asked.items, lines, strict=True):
        old = order.item(line.item_id) if line.item_id else order.item(wanted.item_id)
        sku = catalog[wanted.sku or old.sku]
        less = min(waived, sku.price * wanted.quantity)
        waived -= less
        order = order.put(_item(section, wanted, old, sku, moment, discount=less))
    order, lines = _keep(order, lines, kept)
    if asked.return_first:
        order = order.put(Hold(moment.new_id(), order.id, section.id, AWAITING_RETURN, moment.now))
    refund = Refund(
        id=refund_id,
        order_id=order.id,
        kind="exchange",
        amount=credited - kept,
        returnable=max(0, -due),
        reason=asked.reason,
        policy="reverse",
        status=RefundStatus.PLANNED,
        requested_at=moment.now,
        command_id=command_id,
    )
    order = order.put(refund, *lines)
    return _settle_difference(order, refund, section, due, moment, command_id=command_id)


def _keep(order: Order, lines: list[RefundLine], kept: int) -> tuple[Order, list[RefundLine]]:
    """A waived surplus is not credited: it stays paid on the old pieces."""
    left: list[RefundLine] = []
    for line in lines:
        part = min(kept, line.amount)
        kept -= part
        if part and line.item_id:
            item = order.item(line.item_id)
            order = order.put(replace(item, credited=item.credited - part))
        left.append(replace(line, amount=line.amount - part))
    return order, left


def _difference(difference: Difference, *, cost: int, credited: int) -> int:
    """What the customer still owes (positive) or gets back (negative) after the exchange."""
    due = cost - credited
    figures = {"new": cost, "credit": credited, "difference": due}
    if due > 0 and difference == "refund":
        raise DifferenceUnsettled(f"the new items cost {due} more: collect or waive it", figures=figures)
    if due < 0 and difference == "collect":
        raise DifferenceUnsettled(f"the new items cost {-due} less: refund or waive it", figures=figures)
    return 0 if difference == "waive" else due


def _settle_difference(
    order: Order, refund: Refund, section: Section, due: int, moment: Moment, *, command_id: UUID
) -> Order:
    waiting = due > 0
    change = Change(
        id=moment.new_id(),
        order_id=order.id,
        kind="exchange",
        status=ChangeStatus.AWAITING_PAYMENT if waiting else ChangeStatus.CONFIRMED,
        command_id=command_id,
        section_id=section.id,
        refund_id=refund.id,
    )
    if not waiting:
        order = absorb_goodwill(order)
        back = max(0, min(-due, spare(order)))
        refund = replace(refund, returnable=back)
        order = plan(order.put(refund, change), refund, moment, returnable=back)
        return open_section(carry_over(order, refund.id, section.id, moment.new_id), section)
    request = PaymentRequest(
        id=moment.new_id(),
        order_id=order.id,
        scope="section",
        amount=due,
        status=RequestStatus.OPEN,
        purpose="difference",
        due_at=moment.now + DIFFERENCE_WAITS,
        section_id=section.id,
    )
    return order.put(request, replace(change, request_id=request.id), replace(section, request_id=request.id))
