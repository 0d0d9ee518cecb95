"""What an order costs, what of it has been taken, and so what is still to be taken or too much: from its parts.

The header's sums are those of the last cascade; a rule that is at work must not rely on them. Minor units.
"""

from dataclasses import replace

from domain.gateway import OperationKind
from domain.order import Order
from domain.payment import LIVE_REQUESTS, UNRESOLVED


def owed(order: Order) -> int:
    """What the order costs now."""
    items = sum(i.paid - i.credited for i in order.items)
    return items + sum(s.shipping_fee - s.shipping_credited for s in order.sections) - order.goodwill


def refundable(order: Order) -> int:
    """What could still be given back in money now, over all payments."""
    return sum(p.refundable for p in order.payments)


def awaited(order: Order) -> int:
    """What of the cost is asked for by a later request and not taken yet: nobody may count on it."""
    live = [r for r in order.requests if r.status in LIVE_REQUESTS and r.purpose != "checkout"]
    return sum(r.amount - sum(p.refundable for p in order.tenders(r)) for r in live)


def spare(order: Order) -> int:
    """What was taken and is not owed: what a refund may give back. Negative: so much is still to be taken."""
    return refundable(order) - (owed(order) - awaited(order))


def capturing(order: Order) -> int:
    """What is being captured now, and counts as if it will be."""
    return sum(o.amount for o in order.operations if o.kind is OperationKind.CAPTURE and o.outcome in UNRESOLVED)


def to_capture(order: Order) -> int:
    """What is still to be captured; never more than is owed, however much is authorized."""
    return max(0, -spare(order) - capturing(order))


def absorb_goodwill(order: Order) -> Order:
    """What was given as goodwill is not given a second time with the goods: an order never costs less than nothing."""
    low = min(0, owed(order))
    return replace(order, goodwill=order.goodwill + low) if low else order
