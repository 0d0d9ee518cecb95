"""Taking money: what follows from what the PGs answered, until a request is paid or everything is given back.

`settle` decides the next operations of an order (pure, idempotent: settling twice changes nothing); `record` folds one
answer in. Own value is held first, PG accounts follow one after the other, holds are captured last (M2); when a leg of
an atomic payment is declined, the others are given back (M5).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from domain import tax_free
from domain.coverage import allocate_request, carry_over, undo_credit
from domain.errors import NoGatewayEligible
from domain.gateway import OperationKind, Outcome, Retry
from domain.moment import Moment, Routed, Why
from domain.order import Change, Order
from domain.owing import capturing, spent, to_capture
from domain.payment import (
    CHARGED_METHODS,
    DEAD_TENDERS,
    HELD_TENDERS,
    LIVE_REQUESTS,
    RELEASED_OUTCOMES,
    UNRESOLVED,
    Attempt,
    Operation,
    Payment,
    PaymentRequest,
    merchant_ref,
    operation_key,
    tender,
)
from domain.schedule import due_time, whole_parts
from domain.section import Section, moved
from domain.states import (
    ChangeStatus,
    ItemState,
    OrderStatus,
    RefundStatus,
    RequestStatus,
    SectionStatus,
    TenderStatus,
    move,
)

TRIES_AT_ONE_ACCOUNT = 3
"""Attempts at an account that provably executes nothing, before the payment is declined; see `AGAIN_AFTER`."""


def settle(order: Order, moment: Moment) -> Order:
    """Open the operations that are due now for every payment request."""
    for request in order.requests:
        order = _settle_request(order, request, moment)
    return _release_unneeded(order, moment)


def _settle_request(order: Order, request: PaymentRequest, moment: Moment) -> Order:
    if request.status not in LIVE_REQUESTS:
        paid = request.status is RequestStatus.PAID
        return order if paid else _give_back(order, list(order.tenders(request)), moment)
    batches: dict[UUID | None, list[UUID]] = {}
    for payment in order.tenders(request):
        batches.setdefault(payment.command_id, []).append(payment.id)
    for batch in batches.values():
        order = _settle_batch(order, batch, moment)
    return _pay_request(order, order.request(request.id), moment)


def _settle_batch(order: Order, batch: list[UUID], moment: Moment) -> Order:
    """Payments that came together: taken further, or given back if one of them has died, here and now perhaps."""
    if not is_broken(order, order.payment(batch[0])):
        order = _take_next(order, batch, moment)
    if is_broken(order, order.payment(batch[0])):
        order = _give_back(order, [order.payment(each) for each in batch], moment)
    return order


def is_broken(order: Order, payment: Payment) -> bool:
    """A leg that came with this one has died, and they were all or nothing: this one is given back."""
    batch = [p for p in order.payments if (p.request_id, p.command_id) == (payment.request_id, payment.command_id)]
    return order.payment_mode == "atomic" and any(p.status in DEAD_TENDERS for p in batch)


def _take_next(order: Order, batch: list[UUID], moment: Moment) -> Order:
    """Hold all own value at once; once that has its answers, one PG account after the other (M2)."""
    for payment in [order.payment(each) for each in batch]:
        if payment.internal and payment.status is TenderStatus.CREATED:
            order = open_attempt(order, payment, moment)
    while True:
        legs = [order.payment(each) for each in batch]
        tried = {a.payment_id for a in order.attempts}
        untried = [p for p in legs if p.status is TenderStatus.CREATED and p.id not in tried]
        waiting = [p for p in legs if p.status not in HELD_TENDERS | DEAD_TENDERS]
        if not untried or waiting != untried or is_broken(order, legs[0]):
            return order
        order = _open_next(order, untried, moment)


def _open_next(order: Order, untried: Sequence[Payment], moment: Moment) -> Order:
    """What can be held comes first, then what is charged at once; the last leg need not wait for any other."""
    for payment in untried:
        if payment.can_be_held and _waits(order, payment):
            with suppress(NoGatewayEligible):
                return _open(order, payment, _route(payment, [], moment, hold=True), moment, capture_now=False)
    return open_attempt(order, untried[0], moment)


def _waits(order: Order, payment: Payment) -> bool:
    """Whether it is taken later than it is asked for: by the order's way of capturing, or because others come after."""
    batch = [p for p in order.payments if (p.request_id, p.command_id) == (payment.request_id, payment.command_id)]
    others = any(p.status is TenderStatus.CREATED and p.id != payment.id for p in batch)
    return payment.internal or order.capture != "automatic" or others


def open_attempt(order: Order, payment: Payment, moment: Moment) -> Order:
    """A new attempt at an account that was not tried; if all were, at one that could not be reached (R2, R14).

    What has to wait goes to one that can hold; none is no obstacle where the order is captured automatically.
    """
    tried = [a for a in order.attempts if a.payment_id == payment.id]
    if any(a.outcome not in RELEASED_OUTCOMES for a in tried):
        return order
    if any(a.outcome is Outcome.DECLINED and not moment.cascades(a.account) for a in tried):
        return order.put(tender(payment, TenderStatus.DECLINED))
    try:
        routed, held = _best_route(order, payment, tried, moment)
    except NoGatewayEligible as no:
        return order.put(tender(payment, TenderStatus.DECLINED) if tried else _unroutable(payment, no))
    return _open(order, payment, routed, moment, capture_now=not held)


def _best_route(order: Order, payment: Payment, tried: Sequence[Attempt], moment: Moment) -> tuple[Routed, bool]:
    """The account, and whether it holds first. Raises `NoGatewayEligible`."""
    hold = _waits(order, payment) and (payment.internal or payment.can_be_held)
    if hold and order.capture == "automatic":
        with suppress(NoGatewayEligible):
            return _route(payment, tried, moment, hold=True), True
        hold = False
    routed = _route(payment, tried, moment, hold=hold)
    return routed, hold or (routed.hold_first and payment.can_be_held)


def _open(order: Order, payment: Payment, routed: Routed, moment: Moment, *, capture_now: bool) -> Order:
    attempt_id, operation_id = moment.new_id(), moment.new_id()
    attempt = Attempt(
        id=attempt_id,
        order_id=order.id,
        payment_id=payment.id,
        position=sum(a.payment_id == payment.id for a in order.attempts),
        account=routed.account,
        merchant_ref=merchant_ref(attempt_id),
        outcome=Outcome.INITIATED,
        created_at=moment.now,
        decision=routed.decision,
        rule_version=routed.rule_version,
        refund_days=routed.refund_days,
        reports_tax=routed.reports_tax,
    )
    operation = Operation(
        id=operation_id,
        order_id=order.id,
        attempt_id=attempt_id,
        payment_id=payment.id,
        kind=OperationKind.AUTHORIZE,
        amount=payment.amount,
        key=operation_key(operation_id, OperationKind.AUTHORIZE),
        outcome=Outcome.INITIATED,
        initiated_at=moment.now,
        capture_now=capture_now,
        command_id=payment.command_id,
        tax_free=tax_free.of_payment(order, payment),
    )
    return order.put(tender(payment, TenderStatus.PROCESSING), attempt, operation)


def _route(payment: Payment, tried: Sequence[Attempt], moment: Moment, *, hold: bool) -> Routed:
    if payment.internal:
        return Routed(account=payment.method, rule_version=None, decision={"reason": "own value"})
    seen = frozenset(a.account for a in tried)
    try:
        return moment.route(payment, seen, hold=hold)
    except NoGatewayEligible:
        declined = {a.account for a in tried if a.outcome is Outcome.DECLINED}
        worn = {account for account in seen if sum(a.account == account for a in tried) >= TRIES_AT_ONE_ACCOUNT}
        if seen == declined | worn:
            raise
        return moment.route(payment, frozenset(declined | worn), hold=hold)


def open_operation(  # noqa: PLR0913 - an operation is that many things
    order: Order,
    payment: Payment,
    kind: OperationKind,
    amount: int,
    moment: Moment,
    *,
    why: Why | None = None,
    free: int | None = None,
) -> Order:
    """An operation on the attempt that holds the payment's money: always its own account, never routed (R11).

    ``free``: what is free of tax of an amount that goes back together with others.
    """
    if free is None:
        free = 0 if kind is OperationKind.CAPTURE else tax_free.of_returns(order, [(payment, amount)])[0]
    attempt = next(a for a in order.attempts if a.payment_id == payment.id and a.outcome is Outcome.SUCCEEDED)
    operation_id = moment.new_id()
    return order.put(
        Operation(
            id=operation_id,
            order_id=order.id,
            attempt_id=attempt.id,
            payment_id=payment.id,
            kind=kind,
            amount=amount,
            key=operation_key(operation_id, kind),
            outcome=Outcome.INITIATED,
            initiated_at=moment.now,
            section_id=why.section_id if why else None,
            leg_id=why.leg_id if why else None,
            command_id=why.command_id if why else None,
            tax_free=free,
        )
    )


def unresolved(order: Order, payment: Payment, *kinds: OperationKind) -> list[Operation]:
    """Operations of these kinds on a payment whose end is not known; they count as if they will happen."""
    mine = (o for o in order.operations if o.payment_id == payment.id and not o.orphan)
    return [o for o in mine if o.kind in kinds and o.outcome in UNRESOLVED]


def capturable(order: Order, payment: Payment) -> int:
    """What may still be captured, less what is being captured or voided now."""
    busy = sum(o.amount for o in unresolved(order, payment, OperationKind.CAPTURE, OperationKind.VOID))
    return payment.capturable - busy


def _pay_request(order: Order, request: PaymentRequest, moment: Moment) -> Order:
    held = [p for p in order.tenders(request) if p.status in HELD_TENDERS and not is_broken(order, p)]
    paid = sum(p.held - p.refunded - p.refund_pending for p in held)
    order, request = _note_paid(order, request, paid)
    if request.status is RequestStatus.PAID:
        there = [payment for payment in held if payment.held]
        order = allocate_request(order, request, _waiting(order, request), there, moment.new_id)
    for payment in whole_parts(request, held) if order.capture == "automatic" else ():
        amount = capturable(order, payment)
        if amount and not _refused(order, payment, OperationKind.CAPTURE):
            order = open_operation(order, payment, OperationKind.CAPTURE, amount, moment)
    return _open_paid_sections(order, request, moment) if request.status is RequestStatus.PAID else order


def _note_paid(order: Order, request: PaymentRequest, paid: int) -> tuple[Order, PaymentRequest]:
    """What is there of a request, and until when the rest is waited for; the order waits as long as its schedule."""
    partly = RequestStatus.PARTIALLY_PAID if paid and order.payment_mode == "accumulate" else request.status
    status = move(request.status, RequestStatus.PAID if paid >= request.amount else partly, what="payment request")
    noted = replace(request, paid=paid, status=status, due_at=due_time(request, paid))
    order = order.put(noted) if noted != request else order
    return replace(order, expires_at=noted.due_at) if noted.schedule else order, noted


def _open_paid_sections(order: Order, request: PaymentRequest, moment: Moment) -> Order:
    """Money is there: the sections that waited for this request open and their stock is committed."""
    if request.purpose == "checkout":
        status = move(order.status, OrderStatus.PLACED, what="order")
        order = replace(order, status=status, placed_at=moment.now, expires_at=None)
    for section in _waiting(order, request):
        order = open_section(order, section)
    for change in order.changes:
        if change.request_id == request.id:
            order = order.put(replace(change, status=move(change.status, ChangeStatus.CONFIRMED, what="change")))
            order = _confirm_credit(order, change, moment)
    return order


def _confirm_credit(order: Order, change: Change, moment: Moment) -> Order:
    """The exchange happens: its credit has become part of what was paid for the new section."""
    if change.refund_id is None or change.section_id is None:
        return order
    refund = order.refund(change.refund_id)
    executing = move(refund.status, RefundStatus.EXECUTING, what="exchange credit")
    order = order.put(replace(refund, status=move(executing, RefundStatus.SUCCEEDED, what="exchange credit")))
    return carry_over(order, refund.id, change.section_id, moment.new_id)


def open_section(order: Order, section: Section) -> Order:
    """An awaited section starts: its pending items are allocated."""
    items = [moved(i, ItemState.ALLOCATED) for i in order.section_items(section) if i.state is ItemState.PENDING]
    status = move(section.status, SectionStatus.OPEN, what=f"section {section.number}")
    return order.put(replace(section, status=status), *items)


def _waiting(order: Order, request: PaymentRequest) -> list[Section]:
    waits_for = None if request.purpose == "checkout" else request.id
    return [s for s in order.sections if s.status is SectionStatus.AWAITING_PAYMENT and s.request_id == waits_for]


def _give_back(order: Order, payments: list[Payment], moment: Moment) -> Order:
    """Undo every leg, the last taken first: release what is held, refund what is taken, cancel what is not begun."""
    for payment in reversed(payments):
        if payment.status is TenderStatus.CREATED:
            order = order.put(tender(payment, TenderStatus.CANCELED))
        elif payment.status in HELD_TENDERS:
            order = give_back_payment(order, payment, moment)
        else:
            order = _abandon(order, payment)
    return order


def give_back_payment(order: Order, payment: Payment, moment: Moment) -> Order:
    """Void what is authorized and refund what is captured of one payment that must have no effect."""
    order = _release(order, payment, moment)
    if payment.refundable and not payment.lacks_account and not _refused(order, payment, OperationKind.REFUND):
        amount = payment.refundable
        order = order.put(replace(payment, refund_pending=payment.refund_pending + amount))
        order = open_operation(order, payment, OperationKind.REFUND, amount, moment)
    return order


def _release(order: Order, payment: Payment, moment: Moment) -> Order:
    amount = 0 if payment.method in CHARGED_METHODS else capturable(order, payment)  # Taken back: nothing is held.
    if not amount or _refused(order, payment, OperationKind.VOID):
        return order
    return open_operation(order, payment, OperationKind.VOID, amount, moment)


_TAKEN_BY = {OperationKind.AUTHORIZE: OperationKind.CAPTURE}
"""What came with an authorization, if that was taken back, counts as a capture that was."""


def _refused(order: Order, payment: Payment, kind: OperationKind) -> bool:
    """The PG has said no before: asking for ever would change nothing, a person must look."""
    return any(
        (o.kind is kind and o.outcome is Outcome.DECLINED and o.leg_id is None)
        or (o.reversed_amount and o.leg_id is None and kind in {o.kind, _TAKEN_BY.get(o.kind)})
        for o in order.operations
        if o.payment_id == payment.id and not o.orphan
    )


def _release_unneeded(order: Order, moment: Moment) -> Order:
    """Once all that is owed has been captured, what is only authorized goes back to the customer.

    A PG releases all that it holds: so not while a capture is on its way. One that captures once has let go of what its
    capture left: it is asked at once, and says so.
    """
    all_taken = not (to_capture(order) or capturing(order))
    for payment in order.payments:
        on_its_way = unresolved(order, payment, OperationKind.CAPTURE)
        let_go = not on_its_way and spent(order, payment, moment.captures_once)
        paid = order.request(payment.request_id).status is RequestStatus.PAID
        if (all_taken or let_go) and paid and payment.status in HELD_TENDERS:
            order = _release(order, payment, moment)
    return order


def _abandon(order: Order, payment: Payment) -> Order:
    waiting = unresolved(order, payment, OperationKind.AUTHORIZE)
    return order.put(*(replace(o, abandoning=True) for o in waiting)) if waiting else order


def _unroutable(payment: Payment, no: NoGatewayEligible) -> Payment:
    """Nobody was asked: why each account of the rule could not take it is for people to read."""
    reasons = [f"{each['account']}: {each['reason']}" for each in no.figures.get("candidates", ())]
    return replace(
        tender(payment, TenderStatus.DECLINED),
        decline_category="no_gateway",
        decline_code=no.code,
        decline_message=f"{no.detail} ({', '.join(reasons)})" if reasons else no.detail,
        decline_retry=Retry.AFTER_CUSTOMER_ACTION.value,
    )


def over(order: Order, request: PaymentRequest, status: RequestStatus, moment: Moment) -> Order:
    """A request ends unpaid (expired, canceled): its sections and items go, and what was taken is given back."""
    request = replace(request, status=move(request.status, status, what="payment request"))
    order = order.put(request)
    section_status = SectionStatus.EXPIRED if status is RequestStatus.EXPIRED else SectionStatus.CANCELED
    for section in _waiting(order, request):
        items = [
            replace(moved(i, ItemState.CANCELED), credited=i.paid)
            for i in order.section_items(section)
            if i.state is not ItemState.CANCELED
        ]
        closed = move(section.status, section_status, what=f"section {section.number}")
        order = order.put(replace(section, status=closed, shipping_credited=section.shipping_fee), *items)
    if request.purpose == "checkout":
        ended = OrderStatus.EXPIRED if status is RequestStatus.EXPIRED else OrderStatus.CANCELED
        order = replace(order, status=move(order.status, ended, what="order"), expires_at=None)
    for change in order.changes:
        if change.request_id == request.id:
            ending = ChangeStatus.EXPIRED if status is RequestStatus.EXPIRED else ChangeStatus.CANCELED
            order = undo_credit(
                order.put(replace(change, status=move(change.status, ending, what="change"))), change.refund_id
            )
    return settle(order, moment)
