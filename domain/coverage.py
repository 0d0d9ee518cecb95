"""Which part of which payment covers which section: stored when money is taken, moved when goods are exchanged."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from domain.allocation import allocate
from domain.order import Order
from domain.payment import Allocation, Leg, Payment, PaymentRequest, tender
from domain.rebalance import keep_to, taken_by_section
from domain.section import Item, NewId, Section
from domain.states import RefundStatus, ReturnState, TenderStatus, move


def allocate_request(
    order: Order, request: PaymentRequest, sections: Sequence[Section], held: Sequence[Payment], new_id: NewId
) -> Order:
    """Store which part of each payment covers which section; both margins add up to the last unit."""
    owed = [sum(i.paid for i in order.section_items(s)) + s.shipping_fee for s in sections]
    if request.purpose != "checkout":
        owed = [request.amount for _ in sections]
    for payment in held:
        shares = allocate(payment.authorized - payment.voided, owed)
        owed = [max(0, o - s) for o, s in zip(owed, shares, strict=True)]  # A bank may bring more than was asked.
        for section, share in zip(sections, shares, strict=True):
            if share:
                order = order.put(Allocation(new_id(), order.id, payment.id, section.id, share))
        order = refold(order, payment)
    return order


def refold(order: Order, payment: Payment, *first: UUID) -> Order:
    """Bring the allocations of a payment up to its folded amounts, the sections named ``first`` before others."""
    before = taken_by_section(order)
    rows = sorted((a for a in order.allocations if a.payment_id == payment.id), key=lambda a: a.section_id not in first)
    delta = payment.authorized - payment.voided - sum(a.authorized for a in rows)
    for k, row in enumerate(rows):  # A release takes nothing from what is captured already.
        room = min(delta, row.amount - row.authorized) if delta > 0 else max(delta, row.captured - row.authorized)
        rows[k] = replace(row, authorized=row.authorized + room)
        delta -= room
    if payment.refunded < sum(a.refunded for a in rows):
        rows = _leveled(rows, "refunded", payment.refunded)  # First, as no row may be refunded more than is captured.
    rows = _leveled(rows, "captured", payment.captured)
    rows = _leveled(rows, "refunded", payment.refunded)
    return keep_to(order.put(*rows), first, before) if rows else order


def refunded_sections(order: Order, leg: Leg | None) -> list[UUID]:
    """The sections that a leg's refund is for; none for what is given back without one."""
    lines = (line for line in order.refund_lines if leg and line.refund_id == leg.refund_id)
    return [line.section_id for line in lines if line.section_id]


def fold(order: Order, payment: Payment, *first: UUID) -> Order:
    """The payment's status from its sums, and its allocations brought up to them, the sections ``first`` before."""
    if payment.voided >= payment.authorized:
        status = TenderStatus.VOIDED
    elif payment.captured + payment.voided >= payment.authorized:
        status = TenderStatus.CAPTURED
    else:
        status = TenderStatus.PARTIALLY_CAPTURED if payment.captured else TenderStatus.AUTHORIZED
    payment = tender(payment, status)
    return refold(order.put(payment), payment, *first)


_BOUNDS = {"captured": ("refunded", "authorized"), "refunded": (None, "captured")}
"""Of each sum: below which other it may not fall (none: 0), and above which it may not rise."""


def _leveled(rows: Sequence[Allocation], name: str, value: int) -> list[Allocation]:
    """The rows with the sum ``name`` brought up or down to ``value``, the first rows first."""
    floor, ceiling = _BOUNDS[name]
    delta, leveled = value - sum(getattr(row, name) for row in rows), []
    for row in rows:
        now = getattr(row, name)
        lowest = getattr(row, floor) if floor else 0
        part = min(delta, getattr(row, ceiling) - now) if delta > 0 else max(delta, lowest - now)
        leveled.append(replace(row, **{name: now + part}))
        delta -= part
    return leveled


def carry_over(order: Order, refund_id: UUID, section_id: UUID, new_id: NewId) -> Order:
    """An exchange: what was paid for the old pieces, and does not go back, now pays for the section of the new ones."""
    covered = sum(a.amount for a in order.allocations if a.section_id == section_id)
    left = sum(i.paid for i in order.items if i.section_id == section_id) - covered
    for line in order.refund_lines:
        if line.refund_id == refund_id and line.section_id:
            part = min(left, line.amount)
            order = _transfer(order, section_id, line.section_id, part, new_id)
            left -= part
    return order


def _transfer(order: Order, moved_to: UUID, moved_from: UUID, amount: int, new_id: NewId) -> Order:
    """What was paid for goods of one section now pays for another (exchange); payments and refunds stay as they are."""
    for row in [a for a in order.allocations if a.section_id == moved_from]:
        part = min(amount, row.amount - row.refunded)
        if not part:
            continue
        amount -= part
        captured, authorized = min(part, row.captured - row.refunded), min(part, row.authorized - row.refunded)
        left = replace(
            row,
            amount=row.amount - part,
            captured=row.captured - captured,
            authorized=row.authorized - authorized,
        )
        there = [a for a in order.allocations if a.section_id == moved_to and a.payment_id == row.payment_id]
        new = there[0] if there else Allocation(new_id(), order.id, row.payment_id, moved_to, 0)
        order = order.put(
            left,
            replace(
                new,
                amount=new.amount + part,
                captured=new.captured + captured,
                authorized=new.authorized + authorized,
            ),
        )
    return order


def undo_credit(order: Order, refund_id: UUID | None) -> Order:
    """The exchange did not happen: what it credited on the old items is owed again."""
    if refund_id is None:
        return order
    refund = order.refund(refund_id)
    order = order.put(replace(refund, status=move(refund.status, RefundStatus.CANCELED, what="exchange credit")))
    for line in order.refund_lines:
        left = line.amount if line.refund_id == refund_id else 0
        for item in _parts_of(order, line.item_id):
            part = min(left, item.credited)
            left -= part
            if part:
                back = ReturnState.NONE if item.return_state is ReturnState.APPROVED else item.return_state
                order = order.put(replace(item, credited=item.credited - part, return_state=back))
    return order


def _parts_of(order: Order, item_id: UUID | None) -> list[Item]:
    """A row and all that has split off from it since."""
    parts = {item_id} - {None}
    for item in order.items:  # A row comes after the one that it split from.
        if item.split_from_id in parts:
            parts.add(item.id)
    return [i for i in order.items if i.id in parts]
