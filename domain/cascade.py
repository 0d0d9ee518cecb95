"""The cascade: derived statuses of sections and order, always from the sum of items and amounts, never from labels.

One pure function, run inside the transaction of every change (domain rules 4). The same order in gives itself out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from domain.gateway import OperationKind, Outcome
from domain.order import Order
from domain.orphan import stranded
from domain.owing import section_costs, spare
from domain.payment import CHARGED_METHODS, HELD_TENDERS, UNRESOLVED, Allocation, Operation, Payment
from domain.rebalance import rebalance
from domain.section import CLOSED_ITEMS, CLOSED_SECTIONS, SHIPPED_ITEMS, Item, Section
from domain.states import (
    BalanceState,
    ChangeStatus,
    FulfillmentStatus,
    ItemState,
    LegStatus,
    OrderStatus,
    PaidStatus,
    RefundStatus,
    RequestStatus,
    ReturnState,
    ReturnStatus,
    SectionStatus,
    TenderStatus,
    move,
)

OPEN_CHANGES = frozenset({ChangeStatus.DRAFT, ChangeStatus.AWAITING_PAYMENT})
OPEN_REFUNDS = frozenset({RefundStatus.REQUESTED, RefundStatus.PLANNED, RefundStatus.EXECUTING})
STUCK_AFTER_TRIES = 5
"""Sends of one operation that were provably not executed, before a person is told; it is sent again all the same."""
STUCK_AFTER_LOOKS = 4_000
"""Looks at what a PG has taken on and not ended, two weeks of them (`domain.resolution`): no bank takes longer."""


def cascade(order: Order) -> Order:
    """The order with every derived column computed anew, each section covered by what was paid for it."""
    order = rebalance(order)
    costs = section_costs(order)
    order = replace(order, sections=tuple(_section(order, s, costs[s.id]) for s in order.sections))
    order = _sums(order)
    net = order.captured - order.refunded
    # A leg that was charged and given back because another died is no refund of what is paid otherwise by now.
    refunded = sum(g.amount for g in order.legs if g.status is LegStatus.SUCCEEDED) if net else order.refunded
    order = replace(
        order,
        fulfillment_status=fulfillment(order.items),
        payment_status=PaidStatus.PAID
        if not order.total
        else paid_status(order.target, sum(p.held for p in order.payments) - order.refunded, net, refunded),
        return_status=returns(order.items),
        balance=_balance(order, net),
        has_unknown_payment=any(o.outcome is Outcome.UNKNOWN for o in order.operations),
    )
    return replace(order, requires_review=_requires_review(order), status=_order_status(order))


def fulfillment(items: Sequence[Item]) -> FulfillmentStatus:
    """Where the goods are; canceled items count only if all are."""
    states = {i.state for i in items if i.state is not ItemState.CANCELED}
    if not states:
        return FulfillmentStatus.CANCELED
    arrived = {ItemState.DELIVERED, ItemState.LOST}
    if ItemState.DELIVERED in states:
        return FulfillmentStatus.DELIVERED if states <= arrived else FulfillmentStatus.PARTIALLY_DELIVERED
    if states <= SHIPPED_ITEMS:
        return FulfillmentStatus.SHIPPED
    if states & SHIPPED_ITEMS:
        return FulfillmentStatus.PARTIALLY_SHIPPED
    return FulfillmentStatus.BACKORDERED if ItemState.BACKORDERED in states else FulfillmentStatus.UNFULFILLED


def paid_status(target: int, authorized: int, captured: int, refunded: int) -> PaidStatus:
    """Money against what is owed now; ``authorized`` and ``captured`` net of what went back.

    What costs nothing to begin with is paid; the callers see to that.
    """
    if captured > target:
        return PaidStatus.OVERPAID
    if captured == 0 and authorized <= 0:
        return PaidStatus.REFUNDED if refunded > 0 else PaidStatus.UNPAID
    if captured == target:
        return PaidStatus.PARTIALLY_REFUNDED if refunded > 0 else PaidStatus.PAID
    if captured > 0:
        return PaidStatus.PARTIALLY_PAID
    return PaidStatus.AUTHORIZED if authorized >= target else PaidStatus.PARTIALLY_AUTHORIZED


def returns(items: Iterable[Item]) -> ReturnStatus:
    """How far the way back is."""
    items = [i for i in items if i.state is not ItemState.CANCELED]
    states = {i.return_state for i in items}
    if states & {ReturnState.APPROVED, ReturnState.RECEIVED}:
        return ReturnStatus.IN_PROGRESS
    if ReturnState.REQUESTED in states:
        return ReturnStatus.REQUESTED
    if ReturnState.ACCEPTED in states:
        return ReturnStatus.RETURNED if states == {ReturnState.ACCEPTED} else ReturnStatus.PARTIALLY_RETURNED
    return ReturnStatus.NONE


def _section(order: Order, section: Section, owed: int) -> Section:
    items = order.section_items(section)
    parts = [a for a in order.allocations if a.section_id == section.id]
    cost = sum(i.paid for i in items) + section.shipping_fee
    refunded = sum(a.refunded for a in parts)
    captured = sum(a.captured for a in parts) - refunded
    section = replace(
        section,
        fulfillment_status=fulfillment(items),
        payment_status=PaidStatus.PAID
        if not cost
        else paid_status(owed, sum(_held(order, a) for a in parts) - refunded, captured, refunded),
        return_status=returns(items),
    )
    status = _section_status(section, items, held=bool(order.active_holds(section)))
    return replace(section, status=move(section.status, status, what=f"section {section.number}"))


def _held(order: Order, part: Allocation) -> int:
    """What of a payment is there for a section. What is charged at once is never only authorized."""
    return part.captured if order.payment(part.payment_id).method in CHARGED_METHODS else part.authorized


def _section_status(section: Section, items: Sequence[Item], *, held: bool) -> SectionStatus:
    if section.status in {SectionStatus.AWAITING_PAYMENT, SectionStatus.CANCELED, SectionStatus.EXPIRED}:
        return section.status
    if all(i.state is ItemState.CANCELED for i in items):
        return SectionStatus.CANCELED
    if all(i.state in CLOSED_ITEMS for i in items):
        return SectionStatus.COMPLETED
    return SectionStatus.ON_HOLD if held else SectionStatus.OPEN


def _sums(order: Order) -> Order:
    """Totals of the header, from what belongs to it."""
    items, sections, payments = order.items, order.sections, order.payments
    held = [p for p in payments if p.status in HELD_TENDERS or p.authorized]
    return replace(
        order,
        items_total=sum(i.gross for i in items),
        discount_total=sum(i.discount for i in items),
        shipping_total=sum(s.shipping_fee for s in sections),
        tax_included=sum(i.tax_included + i.shipping_tax for i in items),
        total=sum(i.paid for i in items) + sum(s.shipping_fee for s in sections),
        credited=sum(i.credited for i in items) + sum(s.shipping_credited for s in sections) + order.goodwill,
        authorized=sum(p.authorized - p.voided for p in held),
        captured=sum(p.captured for p in payments),
        refunded=sum(p.refunded for p in payments),
    )


def _balance(order: Order, net: int) -> BalanceState:
    if net == order.target:
        return BalanceState.SETTLED
    return BalanceState.CREDIT if net > order.target else BalanceState.DUE


def _requires_review(order: Order) -> bool:
    """A person must look: money is stuck where nothing that OPMS does by itself can move it."""
    being_given = any(r.status is RefundStatus.EXECUTING for r in order.refunds)
    return (
        any(p.status in {TenderStatus.MANUAL_REVIEW, TenderStatus.CONFLICTED} for p in order.payments)
        or any(_has_nowhere_to_go(order, p) for p in order.payments)
        or any(order.payment(a.payment_id).lacks_account for a in stranded(order))
        or (spare(order) > 0 and not being_given)
        or any(_is_stuck(order, o) for o in order.operations if o.outcome is Outcome.DECLINED or o.reversed_amount)
        or any(o.contradicted for o in order.operations)
        or any(o.outcome is Outcome.INITIATED and o.tries >= STUCK_AFTER_TRIES for o in order.operations)
        or any(o.outcome is Outcome.PENDING and o.tries >= STUCK_AFTER_LOOKS for o in order.operations)
    )


def _has_nowhere_to_go(order: Order, payment: Payment) -> bool:
    """A deposit came for what is not asked for any more, and nobody has named the account that it goes back to."""
    over = order.request(payment.request_id).status in {RequestStatus.EXPIRED, RequestStatus.CANCELED}
    return over and payment.lacks_account and payment.refundable > 0


def _is_stuck(order: Order, operation: Operation) -> bool:
    """The PG declined to take or to give back what it holds, or undid it, and nothing has made up for it since."""
    payment = order.payment(operation.payment_id)
    if operation.orphan:
        return operation.kind is not OperationKind.LOOKUP and not _made_up_for(order, operation)
    match operation.kind:
        case OperationKind.CAPTURE:
            return payment.capturable > 0 and order.balance is BalanceState.DUE
        case OperationKind.AUTHORIZE:
            return bool(operation.reversed_amount) and payment.capturable > 0 and order.balance is BalanceState.DUE
        case OperationKind.VOID:
            return payment.capturable > 0
        case OperationKind.REFUND:
            return operation.leg_id is None and payment.refundable > 0
        case _:
            return False


def _made_up_for(order: Order, orphan: Operation) -> bool:
    """A later try to give the money of a closed attempt back has succeeded, and it stands."""
    beside = (o for o in order.operations if o.orphan and o.attempt_id == orphan.attempt_id and o.id > orphan.id)
    return any(o.kind is orphan.kind and o.outcome is Outcome.SUCCEEDED and not o.reversed_amount for o in beside)


def _order_status(order: Order) -> OrderStatus:
    status = order.status
    if status in {OrderStatus.PENDING_PAYMENT, OrderStatus.EXPIRED, OrderStatus.CANCELED}:
        return status
    statuses = {s.status for s in order.sections}
    busy = (
        any(o.outcome in UNRESOLVED and o.kind is not OperationKind.LOOKUP for o in order.operations)
        or any(c.status in OPEN_CHANGES for c in order.changes)
        or any(r.status in OPEN_REFUNDS for r in order.refunds)
        or order.balance is not BalanceState.SETTLED
    )
    if statuses <= CLOSED_SECTIONS:
        if not busy and SectionStatus.COMPLETED not in statuses:
            return move(status, OrderStatus.CANCELED, what="order") if status is not OrderStatus.COMPLETED else status
        if not busy:
            return move(status, OrderStatus.COMPLETED, what="order")
    open_ones = statuses - CLOSED_SECTIONS - {SectionStatus.AWAITING_PAYMENT}
    status = move(status, OrderStatus.PLACED, what="order")
    return move(status, OrderStatus.ON_HOLD, what="order") if open_ones == {SectionStatus.ON_HOLD} else status
