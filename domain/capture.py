"""Capturing what is authorized: by hand, or when goods leave. Own value first, then the others as they were taken.

A hold may be larger than what the order costs by now: the difference is never captured. An account that captures once
is asked for all that is still owed of its hold, or for nothing (M6).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.errors import AmountExceeded, Flaw, Invalid, NothingToDo, Rejected
from domain.gateway import OperationKind, Outcome
from domain.moment import Moment, Why
from domain.order import Order
from domain.owing import holder, spent, to_capture
from domain.payment import CHARGED_METHODS, Payment
from domain.spread import Held, at_least, in_turn, nearest, spread
from domain.states import RequestStatus
from domain.taking import capturable, open_operation

BEFORE_LAPSE = timedelta(hours=24)
"""How long before a hold's end it is captured: time enough for a PG that is down for a while."""
USUAL_HOLD = timedelta(days=7)
"""How long PGs hold a card's money at least, where they do not say until when (Stripe, Adyen: about seven days)."""


class CapturesOnce(Rejected):
    """The PG captures a hold once, and would let go of what is still owed; capture one of `figures.instead`."""

    code = "captures_once"


@dataclass(frozen=True, slots=True)
class _Holds:
    """What may be captured now of some payments, in the order of taking.

    ``owed``: what of it is owed. ``spare``: what is not owed of all that may be captured, of these or any others.
    """

    payments: Sequence[Payment]
    held: Sequence[Held]
    owed: int
    spare: int


def capture(
    order: Order, amount: int | None, moment: Moment, *, command_id: UUID | None = None, payment_id: UUID | None = None
) -> Order:
    """Open captures of ``amount`` (None: all that is left and owed), over one payment or all of them.

    Raises `CapturesOnce` for an amount that an account would have to let go of something for that is still owed.
    """
    if amount is not None and amount < 1:
        raise Invalid("an amount to capture is at least 1", flaws=[Flaw("/amount", "too_small", "at least 1")])
    holds = _holds(order, moment, None if payment_id is None else order.payment(payment_id))
    if not holds.owed:
        raise NothingToDo("nothing that is owed is authorized and not yet captured", figures={"capturable": 0})
    if amount is not None and amount > holds.owed:
        raise AmountExceeded(
            f"asked to capture {amount}, {holds.owed} is left to capture",
            figures={"requested": amount, "capturable": holds.owed},
        )
    wanted = holds.owed if amount is None else amount
    parts = spread(wanted, holds.held, holds.spare)
    if parts is None:
        raise _too_little(order, holds, wanted)
    return _open(order, holds, parts, moment, why=Why(command_id=command_id))


def capture_shipped(order: Order, value: int, moment: Moment, *, section_id: UUID, command_id: UUID) -> Order:
    """With ``capture: on_shipment``, take what has just left; never more than is authorized.

    Where an account that captures once has to give a part of it, all that is owed of its hold is taken with it.
    """
    if order.capture != "on_shipment":
        return order
    holds = _holds(order, moment)
    parts = at_least(min(value, holds.owed), holds.held, holds.spare)
    return _open(order, holds, parts, moment, why=Why(section_id, command_id=command_id))


def lapses_at(order: Order, captures_once: Callable[[str], bool] = lambda _account: False) -> datetime | None:
    """When the first hold that is still owed must be captured, so that the PG does not let it go.

    ``captures_once``: as in `Moment`.
    """
    return min((moment for _, moment in _lapsing(order, captures_once)), default=None)


def capture_lapsing(order: Order, moment: Moment) -> Order:
    """Capture what is owed of holds that are about to lapse, whatever the order's way of capturing is."""
    for payment, due in _lapsing(order, moment.captures_once):
        amount = min(to_capture(order), capturable(order, payment))
        if due <= moment.now and amount > 0:
            order = open_operation(order, payment, OperationKind.CAPTURE, amount, moment)
    return order


def _lapsing(order: Order, captures_once: Callable[[str], bool]) -> list[tuple[Payment, datetime]]:
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
        if (end := ends.get(payment.id)) and _held(order, payment, captures_once).amount and payment.id not in refused
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


def _holds(order: Order, moment: Moment, payment: Payment | None = None) -> _Holds:
    """Of one payment, or of all that may be captured."""
    every = {p.id: _held(order, p, moment.captures_once) for p in _paying(order)}
    mine = [p for p in _paying(order) if payment is None or p.id == payment.id]
    held, there = [every[p.id] for p in mine], sum(h.amount for h in every.values())
    owed = min(to_capture(order), there)
    return _Holds(mine, held, min(owed, sum(h.amount for h in held)), there - owed)


def _held(order: Order, payment: Payment, captures_once: Callable[[str], bool]) -> Held:
    """What may be captured of a payment: nothing where its account has captured once, or may be doing so.

    Nor of what is charged at once: where that is taken back, nothing is held.
    """
    over = spent(order, payment, captures_once) or payment.method in CHARGED_METHODS
    once = captures_once(holder(order, payment) or "")
    return Held(0 if over else capturable(order, payment), once)


def _too_little(order: Order, holds: _Holds, wanted: int) -> CapturesOnce:
    """Why an amount is refused, and what can be captured instead."""
    parts = in_turn(wanted, (h.amount for h in holds.held))
    broken = (p for p, h, part in zip(holds.payments, holds.held, parts, strict=True) if h.once and 0 < part < h.amount)
    payment, instead = next(broken), nearest(wanted, holds.held, holds.spare)
    return CapturesOnce(
        f"{holder(order, payment)} captures a payment once and lets go of the rest: after {wanted}, something that is "
        f"owed would be lost; capture {' or '.join(str(each) for each in instead)} instead",
        figures={
            "payment_id": str(payment.id),
            "requested": wanted,
            "capturable": holds.owed,
            "instead": list(instead),
        },
    )


def _open(order: Order, holds: _Holds, parts: Sequence[int], moment: Moment, *, why: Why) -> Order:
    for payment, part in zip(holds.payments, parts, strict=True):
        if part:
            order = open_operation(order, payment, OperationKind.CAPTURE, part, moment, why=why)
    return order
