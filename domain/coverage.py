"""Which part of which payment covers which section: stored when money is taken, moved when goods are exchanged."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from domain.allocation import allocate
from domain.order import Order
from domain.payment import Allocation, Payment, PaymentRequest
from domain.section import NewId, Section


def allocate_request(
    order: Order, request: PaymentRequest, sections: Sequence[Section], held: Sequence[Payment], new_id: NewId
) -> Order:
    """Store which part of each payment covers which section; both margins add up to the last unit."""
    owed = [sum(i.paid for i in order.section_items(s)) + s.shipping_fee for s in sections]
    if request.purpose != "checkout":
        owed = [request.amount for _ in sections]
    for payment in held:
        shares = allocate(payment.authorized - payment.voided, owed)
        owed = [o - s for o, s in zip(owed, shares, strict=True)]
        for section, share in zip(sections, shares, strict=True):
            if share:
                order = order.put(Allocation(new_id(), order.id, payment.id, section.id, share))
        order = refold(order, payment)
    return order


def refold(order: Order, payment: Payment, *first: UUID) -> Order:
    """Bring the allocations of a payment up to its folded amounts, the sections named ``first`` before others."""
    rows = sorted((a for a in order.allocations if a.payment_id == payment.id), key=lambda a: a.section_id not in first)
    delta = payment.authorized - payment.voided - sum(a.authorized for a in rows)
    for k, row in enumerate(rows):  # A release takes nothing from what is captured already.
        room = min(delta, row.amount - row.authorized) if delta > 0 else max(delta, row.captured - row.authorized)
        rows[k] = replace(row, authorized=row.authorized + room)
        delta -= room
    for name, value, limit in (
        ("captured", payment.captured, "authorized"),
        ("refunded", payment.refunded, "captured"),
    ):
        delta = value - sum(getattr(a, name) for a in rows)
        for k, row in enumerate(rows):
            room = min(delta, getattr(row, limit) - getattr(row, name))
            rows[k] = replace(row, **{name: getattr(row, name) + room})
            delta -= room
    return order.put(*rows) if rows else order


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
