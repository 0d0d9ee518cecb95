"""What an order costs, what of it has been taken, and so what is still to be taken or too much: from its parts.

The header's sums are those of the last cascade; a rule that is at work must not rely on them. Minor units.
"""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from domain.allocation import allocate
from domain.gateway import OperationKind, Outcome
from domain.order import Order
from domain.payment import LIVE_REQUESTS, LOST_LEGS, UNRESOLVED, Payment, PaymentRequest, Refund
from domain.states import RefundStatus, RequestStatus


def owed(order: Order) -> int:
    """What the order costs now."""
    items = sum(i.paid - i.credited for i in order.items)
    return items + sum(s.shipping_fee - s.shipping_credited for s in order.sections) - order.goodwill


def section_costs(order: Order) -> dict[UUID, int]:
    """What each section costs now; goodwill, which is for none of them, lowers all in proportion to what they cost."""
    items = {s.id: sum(i.paid - i.credited for i in order.section_items(s)) for s in order.sections}
    costs = [items[s.id] + s.shipping_fee - s.shipping_credited for s in order.sections]
    goodwill = allocate(min(order.goodwill, sum(costs)), costs)
    return {s.id: cost - less for s, cost, less in zip(order.sections, costs, goodwill, strict=True)}


def refundable(order: Order) -> int:
    """What could still be given back in money now, over all payments."""
    return sum(p.refundable for p in settled_payments(order))


def settled_payments(order: Order) -> list[Payment]:
    """Those that a refund may draw on: what is there of a later request that is still being paid stays with it."""
    unpaid = {r.id for r in _being_paid(order)}
    return [p for p in order.payments if p.request_id not in unpaid]


def awaited(order: Order) -> int:
    """What of the cost is asked for by a later request that is not paid yet: nobody may count on it."""
    return sum(r.amount for r in _being_paid(order))


def _being_paid(order: Order) -> list[PaymentRequest]:
    return [r for r in order.requests if r.status in LIVE_REQUESTS and r.purpose != "checkout"]


def surplus(order: Order) -> int:
    """What was taken and is not owed. Negative: so much is still to be taken.

    What a later request asks for that the order does not cost any more is not there yet: nobody can be given it.
    """
    return refundable(order) - max(0, owed(order) - awaited(order))


def promised(order: Order) -> int:
    """What refunds are still to give whose legs have failed and are not planned anew: only for want of an answer."""
    return sum(r.returnable - given(order, r) for r in order.refunds if r.status is RefundStatus.EXECUTING)


def given(order: Order, refund: Refund) -> int:
    """What a refund gives back by legs that have not failed."""
    return sum(g.amount for g in order.legs if g.refund_id == refund.id and g.status not in LOST_LEGS)


def spare(order: Order) -> int:
    """What a new refund may give back: taken, not owed, and promised to none before it."""
    return surplus(order) - promised(order)


def capturing(order: Order) -> int:
    """What is being captured now, and counts as if it will be."""
    return sum(o.amount for o in order.operations if o.kind is OperationKind.CAPTURE and o.outcome in UNRESOLVED)


def holder(order: Order, payment: Payment) -> str | None:
    """The account that has taken or holds its money; None: nobody has."""
    taken = (a for a in order.attempts if a.payment_id == payment.id and a.outcome is Outcome.SUCCEEDED)
    return next((a.account for a in taken), None)


def spent(order: Order, payment: Payment, captures_once: Callable[[str], bool]) -> bool:
    """Its account captures once and has captured, or may be doing so: what that leaves of the hold is let go."""
    mine = (o for o in order.operations if o.payment_id == payment.id and o.kind is OperationKind.CAPTURE)
    stands = (
        o.outcome in UNRESOLVED or (o.outcome is Outcome.SUCCEEDED and o.reversed_amount < o.amount) for o in mine
    )
    account = holder(order, payment)
    return account is not None and captures_once(account) and any(stands)


def to_capture(order: Order) -> int:
    """What is still to be captured; never more than is owed, however much is authorized.

    What is there of a request that has ended unpaid goes back, and pays for nothing.
    """
    ended = {r.id for r in order.requests if r.status in {RequestStatus.EXPIRED, RequestStatus.CANCELED}}
    there = sum(p.refundable for p in settled_payments(order) if p.request_id not in ended)
    return max(0, owed(order) - awaited(order) - there - capturing(order))


def absorb_goodwill(order: Order) -> Order:
    """What was given as goodwill is not given a second time with the goods: an order never costs less than nothing."""
    low = min(0, owed(order))
    return replace(order, goodwill=order.goodwill + low) if low else order
