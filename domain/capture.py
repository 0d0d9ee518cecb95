"""Capturing what is authorized: by hand, or when goods leave. Own value first, then the others as they were taken.

A hold may be larger than what the order costs by now: the difference is never captured.
"""

from datetime import datetime, timedelta
from uuid import UUID

from domain.errors import AmountExceeded, Flaw, Invalid, NothingToDo
from domain.gateway import OperationKind, Outcome
from domain.moment import Moment, Why
from domain.order import Order
from domain.owing import to_capture
from domain.payment import Payment
from domain.states import RequestStatus
from domain.taking import capturable, open_operation

BEFORE_LAPSE = timedelta(hours=24)
"""How long before a hold's end it is captured: time enough for a PG that is down for a while."""
USUAL_HOLD = timedelta(days=7)
"""How long PGs hold a card's money at least, where they do not say until when (Stripe, Adyen: about seven days)."""


def capture(
    order: Order, amount: int | None, moment: Moment, *, command_id: UUID | None = None, payment_id: UUID | None = None
) -> Order:
    """Open captures of ``amount`` (None: all that is left and owed), over one payment or all of them."""
    if amount is not None and amount < 1:
        raise Invalid("an amount to capture is at least 1", flaws=[Flaw("/amount", "too_small", "at least 1")])
    payments = [p for p in _paying(order) if payment_id is None or p == order.payment(payment_id)]
    left = min(to_capture(order), sum(capturable(order, p) for p in payments))
    if not left:
        raise NothingToDo("nothing that is owed is authorized and not yet captured", figures={"capturable": 0})
    if amount is not None and amount > left:
        raise AmountExceeded(
            f"asked to capture {amount}, {left} is left to capture", figures={"requested": amount, "capturable": left}
        )
    return _spread(order, left if amount is None else amount, payments, moment, why=Why(command_id=command_id))


def capture_shipped(order: Order, value: int, moment: Moment, *, section_id: UUID, command_id: UUID) -> Order:
    """With ``capture: on_shipment``, take what has just left; never more than is authorized."""
    if order.capture != "on_shipment":
        return order
    payments = _paying(order)
    amount = min(value, to_capture(order), sum(capturable(order, p) for p in payments))
    return _spread(order, amount, payments, moment, why=Why(section_id, command_id=command_id))


def lapses_at(order: Order) -> datetime | None:
    """When the first hold that is still owed must be captured, so that the PG does not let it go."""
    return min((moment for _, moment in _lapsing(order)), default=None)


def capture_lapsing(order: Order, moment: Moment) -> Order:
    """Capture what is owed of holds that are about to lapse, whatever the order's way of capturing is."""
    for payment, due in _lapsing(order):
        amount = min(to_capture(order), capturable(order, payment))
        if due <= moment.now and amount > 0:
            order = open_operation(order, payment, OperationKind.CAPTURE, amount, moment)
    return order


def _lapsing(order: Order) -> list[tuple[Payment, datetime]]:
    """Holds with an end, and when they must be captured; not those whose capture the PG has refused or taken back."""
    if not to_capture(order):
        return []
    ends = _hold_ends(order)
    refused = {
        o.payment_id
        for o in order.operations
        if o.reversed_amount or (o.kind is OperationKind.CAPTURE and o.outcome is Outcome.DECLINED)
    }
    return [
        (payment, end - BEFORE_LAPSE)
        for payment in order.payments
        if (end := ends.get(payment.id)) and capturable(order, payment) and payment.id not in refused
    ]


def _hold_ends(order: Order) -> dict[UUID, datetime]:
    """When PGs let go of what they hold for requests that are paid, or paid in part.

    A part may have to wait for the rest for weeks. So there a PG that does not say when its hold ends is not taken to
    hold it for ever; and a hold is captured, to be refunded if the rest does not come, rather than lost.
    """
    ends: dict[UUID, datetime] = {}
    for attempt in order.attempts:
        payment = order.payment(attempt.payment_id)
        status = order.request(payment.request_id).status
        if attempt.outcome is not Outcome.SUCCEEDED or payment.internal:
            continue
        end = attempt.authorized_until
        if status is RequestStatus.PARTIALLY_PAID:
            ends[payment.id] = end or attempt.created_at + USUAL_HOLD
        elif status is RequestStatus.PAID and end:
            ends[payment.id] = end
    return ends


def _paying(order: Order) -> list[Payment]:
    """Payments of requests that are paid: what pays only a part may still have to be given back untouched."""
    return [p for p in order.payments if order.request(p.request_id).status is RequestStatus.PAID]


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
