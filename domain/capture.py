"""Capturing what is authorized: by hand, or when goods leave. Own value first, then the others as they were taken."""

from uuid import UUID

from domain.errors import AmountExceeded, NothingToDo
from domain.gateway import OperationKind
from domain.order import Order
from domain.payment import Payment
from domain.taking import Moment, Why, capturable, open_operation


def capture(
    order: Order, amount: int | None, moment: Moment, *, command_id: UUID | None = None, payment_id: UUID | None = None
) -> Order:
    """Open captures of ``amount`` (None: all that is left), over one payment or all of them."""
    payments = [order.payment(payment_id)] if payment_id else list(order.payments)
    left = sum(capturable(order, p) for p in payments)
    if not left:
        raise NothingToDo("nothing is authorized and not yet captured", figures={"capturable": 0})
    if amount is not None and amount > left:
        raise AmountExceeded(
            f"asked to capture {amount}, {left} is left to capture", figures={"requested": amount, "capturable": left}
        )
    return _spread(order, left if amount is None else amount, payments, moment, why=Why(command_id=command_id))


def capture_shipped(order: Order, value: int, moment: Moment, *, section_id: UUID, command_id: UUID) -> Order:
    """With ``capture: on_shipment``, take what has just left; never more than is authorized."""
    if order.capture != "on_shipment":
        return order
    left = sum(capturable(order, p) for p in order.payments)
    return _spread(order, min(value, left), list(order.payments), moment, why=Why(section_id, command_id=command_id))


def _spread(
    order: Order,
    amount: int,
    payments: list[Payment],
    moment: Moment,
    *,
    why: Why,
) -> Order:
    for payment in payments:
        part = min(amount, capturable(order, payment))
        if part:
            order = open_operation(order, payment, OperationKind.CAPTURE, part, moment, why=why)
            amount -= part
    return order
