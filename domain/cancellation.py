"""Canceling before goods leave: the whole order, a section, or pieces of items; the money follows in the same step."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from domain.errors import IllegalTransition, NothingToDo
from domain.fulfillment import Pieces, pick
from domain.moment import Moment
from domain.order import Order
from domain.owing import absorb_goodwill, spare
from domain.payment import LIVE_REQUESTS, PaymentRequest, Refund, RefundLine
from domain.refund import plan, refuse_unpaid
from domain.section import SHIPPED_ITEMS, Item, moved
from domain.states import ItemState, OrderStatus, RefundStatus, RequestStatus
from domain.taking import over

CANCELABLE = frozenset({ItemState.ALLOCATED, ItemState.BACKORDERED, ItemState.PREPARING})


def cancel(
    order: Order,
    pieces: Sequence[Pieces],
    section_number: int | None,
    moment: Moment,
    *,
    reason: str,
    command_id: UUID | None,
) -> Order:
    """Cancel what is named, or the whole order; refuses what has shipped. Plans the refund of what was paid."""
    if order.status is OrderStatus.PENDING_PAYMENT:
        return _cancel_unpaid(order, pieces, section_number, moment)
    waiting = _waited_for(order, section_number)
    if waiting:
        return over(order, waiting, RequestStatus.CANCELED, moment)
    order, items = _named(order, pieces, section_number, moment)
    refund_id = moment.new_id()
    lines: list[RefundLine] = []
    for item in items:
        worth = item.paid - item.credited
        order = order.put(replace(moved(item, ItemState.CANCELED), credited=item.paid))
        lines.append(RefundLine(moment.new_id(), order.id, refund_id, worth, item.quantity, item.id, item.section_id))
    order, fees = _shipping(order, items, refund_id, moment)
    amount = sum(line.amount for line in (*lines, *fees))
    order = absorb_goodwill(order)
    returnable = max(0, min(amount, spare(order)))
    refund = Refund(
        id=refund_id,
        order_id=order.id,
        kind="cancellation",
        amount=amount,
        returnable=returnable,
        reason=reason,
        policy="reverse",
        status=RefundStatus.PLANNED,
        requested_at=moment.now,
        command_id=command_id,
    )
    return plan(order.put(refund, *lines, *fees), refund, moment, returnable=returnable)


def _waited_for(order: Order, section_number: int | None) -> PaymentRequest | None:
    """The open request of a section that waits for its money: it goes with the section."""
    request_id = order.section(section_number).request_id if section_number is not None else None
    live = [r for r in order.requests if r.id == request_id and r.status in LIVE_REQUESTS]
    return live[0] if live else None


def _cancel_unpaid(order: Order, pieces: Sequence[Pieces], section_number: int | None, moment: Moment) -> Order:
    if pieces or section_number is not None:
        raise IllegalTransition(
            "the order is not paid yet: cancel it as a whole",
            figures={"from": order.status.value, "to": "canceled", "allowed": ["whole order"]},
        )
    for request in order.requests:
        if request.status in LIVE_REQUESTS:
            order = over(order, request, RequestStatus.CANCELED, moment)
    return order


def _named(
    order: Order, pieces: Sequence[Pieces], section_number: int | None, moment: Moment
) -> tuple[Order, list[Item]]:
    if pieces:
        items = []
        for asked in pieces:
            _refuse_fixed(order.item(asked.item_id))
            order, item = pick(order, asked, moment)
            items.append(item)
        return order, items
    if section_number is not None:
        scope = list(order.section_items(order.section(section_number)))
    else:
        scope = list(order.items)
    _refuse_shipped(scope)
    items = [i for i in scope if i.state in CANCELABLE]
    if not items:
        raise NothingToDo("everything named is already canceled", figures={"states": sorted({i.state for i in scope})})
    return order, items


def _refuse_fixed(item: Item) -> None:
    _refuse_shipped([item])
    if item.state is ItemState.CANCELED:
        raise NothingToDo(f"item {item.sku} is already canceled", figures={"item_id": str(item.id)})
    refuse_unpaid(item)


def _refuse_shipped(items: Sequence[Item]) -> None:
    gone = [i for i in items if i.state in SHIPPED_ITEMS]
    if gone:
        names = ", ".join(f"{i.quantity} x {i.sku} ({i.state})" for i in gone)
        raise IllegalTransition(
            f"already on its way or delivered, cannot be canceled: {names}; refund or return it instead",
            figures={"items": [str(i.id) for i in gone], "from": gone[0].state.value, "to": "canceled"},
        )


def _shipping(order: Order, items: Sequence[Item], refund_id: UUID, moment: Moment) -> tuple[Order, list[RefundLine]]:
    """A section of which nothing is left is not charged for shipping."""
    lines = []
    for section in order.sections:
        rows = order.section_items(section)
        left = section.shipping_fee - section.shipping_credited
        touched = any(i.section_id == section.id for i in items)
        if touched and left and all(i.state is ItemState.CANCELED for i in rows):
            order = order.put(replace(section, shipping_credited=section.shipping_fee))
            lines.append(RefundLine(moment.new_id(), order.id, refund_id, left, section_id=section.id))
    return order, lines
