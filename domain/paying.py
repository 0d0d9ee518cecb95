"""Paying an open request (again): new payments for what no live payment covers yet."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from domain.checkout import AskedPayment, new_payments, payment_flaws
from domain.errors import AmountExceeded, Flaw, IllegalTransition, Invalid, TotalMismatch
from domain.gateway import OperationKind, Outcome
from domain.moment import Moment
from domain.order import Order
from domain.payment import LIVE_REQUESTS, PaymentRequest, shops_own
from domain.schedule import next_amount
from domain.states import RequestStatus
from domain.taking import is_broken, over

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
"""PGs name what they send back as they like (``paymentKey``); adapters know it by our names (``payment_key``)."""


def pay(
    order: Order, request_id: UUID | None, asked: Sequence[AskedPayment], moment: Moment, *, command_id: UUID
) -> Order:
    """Add payments to a request. Their sum must be what is left; what may still be charged counts as covered (R1).

    Of a request with a schedule it must be the next part, or more, up to what is left. Where an order accumulates
    without a schedule, any part of it will do. What is just being given back pays nothing, yet may still be charged:
    until it is back, nothing can be paid.
    """
    flaws = payment_flaws(asked)
    if flaws:
        raise Invalid("these payments cannot be taken", flaws=flaws)
    request = _open_request(order, request_id)
    exposed = sum(p.exposed for p in order.tenders(request))
    left = request.amount - exposed
    total = sum(p.amount for p in asked)
    figures = {"amount": request.amount, "covered": exposed, "left": left, "payments": total}
    if total > left:
        raise AmountExceeded(f"the payments add up to {total}, {left} is left to pay", figures=figures)
    due = _least(order, request, exposed)
    if total < due:
        raise TotalMismatch(f"the payments add up to {total}, due is {due}", figures=figures | {"due": due})
    return order.put(*new_payments(order, request, asked, new_id=moment.new_id, command_id=command_id))


def refuse_stale_payer(order: Order, request_id: UUID | None, shown: int | None) -> None:
    """Raises `TotalMismatch` if something else is left to pay than the payer was ``shown``; None: they did not say."""
    if shown is None:
        return
    request = _open_request(order, request_id)
    left = request.amount - sum(p.exposed for p in order.tenders(request))
    if left != shown:
        raise TotalMismatch(
            f"{left} is left to pay by now, not {shown}: look again, then pay", figures={"left": left, "shown": shown}
        )


def _least(order: Order, request: PaymentRequest, exposed: int) -> int:
    """What payments must add up to at least."""
    if order.payment_mode == "atomic":
        return request.amount - sum(p.exposed for p in order.tenders(request) if not is_broken(order, p))
    return next_amount(request, exposed) if request.schedule else 0


def expire(order: Order, moment: Moment) -> Order:
    """End the requests that are not paid when their time has come: stock and what was taken of them go back."""
    for request in order.requests:
        if request.status in LIVE_REQUESTS and request.due_at and request.due_at <= moment.now:
            order = over(order, order.request(request.id), RequestStatus.EXPIRED, moment)
    return order


def complete(order: Order, payment_id: UUID, brought: Mapping[str, str], moment: Moment) -> Order:
    """The customer is back from the PG's page: what was brought is kept and the PG is told, or asked.

    It replaces what an earlier return has brought, so that it cannot pile up, and never what the shop has given. A
    payment that waits for nobody is left as it is: a page that is reloaded brings the same again.
    """
    named = {_CAMEL.sub("_", name).lower(): value for name, value in brought.items()}
    brought = {name: value for name, value in named.items() if name not in shops_own(named)}
    payment = next((p for p in order.payments if p.id == payment_id), None)
    if payment is None:
        raise Invalid("no such payment", flaws=[Flaw("/payment_id", "not_found", f"order {order.number} has no such")])
    waiting = [
        o
        for o in order.operations
        if o.payment_id == payment.id and o.kind is OperationKind.AUTHORIZE and o.outcome is Outcome.ACTION_REQUIRED
    ]
    before = payment.details or {}
    if not waiting or (before.items() >= brought.items() and waiting[0].completed_at):
        return order
    given = shops_own(before) if brought else before
    kept = replace(payment, details={**given, **brought} or None)
    return order.put(kept, *(replace(o, completed_at=moment.now) for o in waiting))


def _open_request(order: Order, request_id: UUID | None) -> PaymentRequest:
    live = [r for r in order.requests if r.status in LIVE_REQUESTS]
    if request_id:
        request = order.request(request_id)
        if request not in live:
            raise IllegalTransition(
                f"this payment request is {request.status}", figures={"from": request.status.value, "allowed": []}
            )
        return request
    if not live:
        raise IllegalTransition(
            f"order {order.number} has no open payment request", figures={"from": order.status.value, "allowed": []}
        )
    if len(live) > 1:
        raise Invalid(
            "several payment requests are open; name one",
            flaws=[Flaw("/payment_request_id", "ambiguous", ", ".join(str(r.id) for r in live))],
        )
    return live[0]
