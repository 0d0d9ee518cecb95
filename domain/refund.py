"""Giving money back: ceilings, the calculation, and its plan over the payments, reserved before any PG is called.

Ceilings (domain rules 7): an item is refunded at most for what was paid for it, shipping once, a payment at most for
what was captured. A leg that fails, or bounces, frees its reservation and is planned again: over the other payments,
then as store credit, then a person decides. Own value goes back to where it came from and nowhere else (M8).
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from domain import tax_free
from domain.allocation import allocate
from domain.errors import AmountExceeded, Flaw, IllegalTransition, Invalid, NothingToDo, Rejected
from domain.fulfillment import Pieces, pick
from domain.gateway import OperationKind, Outcome
from domain.moment import Moment, Why
from domain.order import Order
from domain.owing import absorb_goodwill, capturing, given, owed, refundable, settled_payments, spare, surplus
from domain.payment import INTERNAL_METHODS, LOST_LEGS, UNRESOLVED, Leg, Payment, Refund, RefundLine
from domain.section import Item
from domain.spread import in_turn
from domain.states import ItemState, LegStatus, OrderStatus, RefundStatus, SectionStatus, move
from domain.taking import open_operation

Policy = Literal["reverse", "proportional", "card_first", "store_value_first", "section_bound", "manual"]


class BankAccountRequired(Rejected):
    """A deposit is to go back, and nobody has named the bank account that it goes to."""

    code = "bank_account_required"


class RefundWindowOver(Rejected):
    """The payment that is named is so old that its PG gives nothing back."""

    code = "refund_window_over"


@dataclass(frozen=True, slots=True)
class AskedLeg:
    """A leg as the caller wants it (policy ``manual``)."""

    payment_id: UUID
    amount: int


@dataclass(frozen=True, slots=True)
class AskedRefund:
    """What to give back: pieces of items, all shipping not yet refunded, an amount without a line; any of them."""

    items: tuple[Pieces, ...] = ()
    shipping: bool = False
    amount: int | None = None
    reason: str = ""
    policy: Policy = "reverse"
    legs: tuple[AskedLeg, ...] = field(default=())


def grant(order: Order, asked: AskedRefund, moment: Moment, *, command_id: UUID | None, kind: str = "refund") -> Order:
    """Reserve a refund: entitlement, lines and legs. Raises on every ceiling; calls no PG."""
    if order.status is OrderStatus.PENDING_PAYMENT:
        raise IllegalTransition(
            "nothing is paid yet: cancel the order instead of refunding it", figures={"from": order.status.value}
        )
    refund_id, before = moment.new_id(), order
    order, lines = _entitle(order, asked, refund_id, moment)
    amount = sum(line.amount for line in lines)
    order = absorb_goodwill(order)
    returnable = max(0, min(amount, spare(order)))
    if not returnable and owed(order) == owed(before):
        raise NothingToDo("nothing is left to refund in what was named", figures={"refundable": refundable(order)})
    refund = Refund(
        id=refund_id,
        order_id=order.id,
        kind=kind,
        amount=amount,
        returnable=returnable,
        reason=asked.reason,
        policy=asked.policy,
        status=RefundStatus.PLANNED,
        requested_at=moment.now,
        command_id=command_id,
    )
    return plan(order.put(refund, *lines), refund, moment, returnable=returnable, wanted=asked.legs)


def plan(order: Order, refund: Refund, moment: Moment, *, returnable: int, wanted: Sequence[AskedLeg] = ()) -> Order:
    """Reserve legs for ``returnable`` over the payments by the refund's policy, and open their operations."""
    shares = _manual(order, wanted, returnable, moment) if wanted else by_policy(order, refund, returnable, moment)
    late = _as_credit(order, _too_late(order, moment), returnable - sum(amount for _, amount in shares))
    if sum(amount for _, amount in shares + late) < returnable:
        raise AmountExceeded(
            f"{returnable} is to be given back, but only {refundable(order)} is captured and not yet refunded",
            figures={"requested": returnable, "refundable": refundable(order)}
            | {"too_late": sorted(str(each) for each in _too_late(order, moment))},
        )
    homeless = [str(payment.id) for payment, _ in shares if payment.lacks_account]
    if homeless:
        raise BankAccountRequired(
            "a deposit goes back to a bank account, and nobody has named one: name it, then refund",
            figures={"payments": homeless},
        )
    order = _reserve(_execute(order, refund), refund, shares, moment)
    return _reserve(order, refund, late, moment, destination="store_credit")


def _execute(order: Order, refund: Refund) -> Order:
    return order.put(replace(refund, status=move(refund.status, RefundStatus.EXECUTING, what="refund")))


def _reserve(
    order: Order,
    refund: Refund,
    shares: Sequence[tuple[Payment, int]],
    moment: Moment,
    *,
    destination: str = "payment",
) -> Order:
    count = len([g for g in order.legs if g.refund_id == refund.id])
    free = tax_free.of_returns(order, shares)
    for k, (payment, amount) in enumerate(shares):
        status = LegStatus.RESERVED
        leg = Leg(moment.new_id(), order.id, refund.id, payment.id, count + k, amount, status, destination)
        current = order.payment(payment.id)
        reserved = replace(current, refund_pending=current.refund_pending + amount)
        order = open_operation(
            order.put(leg, reserved),
            payment,
            OperationKind.REFUND,
            amount,
            moment,
            why=Why(leg_id=leg.id, command_id=refund.command_id),
            free=free[k],
        )
    return order


def settle_refunds(order: Order, moment: Moment) -> Order:
    """Close refunds whose legs have all ended; plan failed legs again over the payments that have not failed.

    A refund gives back what there is too much of by then: more, where money was still being captured when it was
    granted; less, where what it was to give has turned out not to be there.
    """
    for refund in order.refunds:
        if refund.status is RefundStatus.EXECUTING:
            order = _settle_refund(order, refund, moment)
    return order


def _settle_refund(order: Order, refund: Refund, moment: Moment) -> Order:
    legs = [g for g in order.legs if g.refund_id == refund.id]
    if any(g.status is not LegStatus.SUCCEEDED and g.status not in LOST_LEGS for g in legs):
        return order
    if (refund.returnable < refund.amount and capturing(order)) or _in_question(order, legs):
        return order
    done = given(order, refund)
    missing = max(0, min(refund.amount - done, surplus(order)))
    refund = replace(refund, returnable=done + missing)
    if not missing:
        return order.put(replace(refund, status=move(refund.status, RefundStatus.SUCCEEDED, what="refund")))
    partly = replace(refund, status=move(refund.status, RefundStatus.PARTIALLY_EXECUTED, what="refund"))
    return _plan_again(order.put(partly), partly, missing, moment)


def _in_question(order: Order, legs: Sequence[Leg]) -> bool:
    """A leg has failed, and whether its payment's money was taken at all is not known: to give it may be a gift.

    It is being asked, or no answer could tell and a person has to decide.
    """
    failed = {leg.payment_id for leg in legs if leg.status in LOST_LEGS}
    mine = [o for o in order.operations if o.payment_id in failed]
    asked = any(o.subject_id and o.outcome in UNRESOLVED for o in mine)
    return asked or any(o.contradicted and o.kind is not OperationKind.REFUND for o in mine)


def _plan_again(order: Order, refund: Refund, missing: int, moment: Moment) -> Order:
    """What failed goes to other payments as far as they have room, the rest becomes store credit: all of it or none."""
    failed = [g for g in order.legs if g.refund_id == refund.id and g.status in LOST_LEGS]
    if any(order.payment(g.payment_id).internal for g in failed):
        return order
    shares = [(p, amount) for p, amount in by_policy(order, refund, missing, moment) if not p.lacks_account]
    given_up = {g.payment_id for g in failed if g.destination == "store_credit"}
    tried = {g.payment_id for g in failed} | _too_late(order, moment)
    credited = _as_credit(order, tried - given_up, missing - sum(amount for _, amount in shares))
    if sum(amount for _, amount in shares + credited) < missing:
        return order
    order = _reserve(_execute(order, refund), refund, shares, moment)
    return _reserve(order, refund, credited, moment, destination="store_credit")


def _as_credit(order: Order, payments: Set[UUID], amount: int) -> list[tuple[Payment, int]]:
    """Money that PGs do not give back, the last taken first; nothing for a customer whom nobody knows."""
    shares: list[tuple[Payment, int]] = []
    for payment in sorted(settled_payments(order), key=lambda p: -p.position) if order.customer_id else ():
        share = min(amount, payment.refundable) if payment.id in payments else 0
        if share:
            shares.append((payment, share))
            amount -= share
    return shares


def _too_late(order: Order, moment: Moment) -> set[UUID]:
    """Payments whose PG gives nothing back any more."""
    ends = {p.id: refund_until(order, p) for p in order.payments}
    return {payment_id for payment_id, end in ends.items() if end is not None and end <= moment.now}


def refund_until(order: Order, payment: Payment) -> datetime | None:
    """Until when the payment's PG gives its money back; None: no end is known, or nothing is taken."""
    attempt = next((a for a in order.attempts if a.payment_id == payment.id and a.outcome is Outcome.SUCCEEDED), None)
    if attempt is None or attempt.refund_days is None:
        return None
    paid = next(o for o in order.operations if o.attempt_id == attempt.id and o.kind is OperationKind.AUTHORIZE)
    return (paid.resolved_at or paid.initiated_at) + timedelta(days=attempt.refund_days)


def by_policy(order: Order, refund: Refund, amount: int, moment: Moment) -> list[tuple[Payment, int]]:
    """Spread an amount over the payments, by policy: what each has left, not where it failed before or is too late."""
    failed = _too_late(order, moment) | {
        g.payment_id for g in order.legs if g.refund_id == refund.id and g.status in LOST_LEGS
    }
    there = (p for p in settled_payments(order) if p.refundable > 0 and p.id not in failed)
    payments = _ranked(there, refund.policy)
    preferred = _preferred(order, refund, payments, min(amount, sum(p.refundable for p in payments)))
    shares = in_turn(amount, preferred)
    rest = in_turn(amount - sum(shares), (p.refundable - s for p, s in zip(payments, shares, strict=True)))
    both = zip(payments, shares, rest, strict=True)
    return [(payment, share + more) for payment, share, more in both if share + more]


def _ranked(payments: Iterable[Payment], policy: str) -> list[Payment]:
    """Which gives back first: the last taken, but for what the policy prefers; in proportion, ties as they were taken.

    A deposit comes after a card: it goes back to a bank account, which somebody has to name.
    """
    lasts = sorted(payments, key=lambda p: -p.position)
    match policy:
        case "proportional":
            return lasts[::-1]
        case "card_first":
            return sorted(lasts, key=lambda p: (p.method in INTERNAL_METHODS, p.method != "card"))
        case "store_value_first":
            return sorted(lasts, key=lambda p: p.method not in INTERNAL_METHODS)
        case _:
            return lasts


def _preferred(order: Order, refund: Refund, payments: Sequence[Payment], amount: int) -> Sequence[int]:
    """How much each payment gives back at most, before any gives more."""
    match refund.policy:
        case "proportional":
            return _in_proportion(payments, amount)
        case "section_bound":
            sections = {line.section_id for line in order.refund_lines if line.refund_id == refund.id}
            return [min(p.refundable, _paid_for(order, p, sections)) for p in payments]
        case _:
            return [p.refundable for p in payments]


def _in_proportion(payments: Sequence[Payment], amount: int) -> Sequence[int]:
    """Of all that has ever been given back each has its share: many small refunds are as one (M7)."""
    given_back = [p.refunded + p.refund_pending for p in payments]
    targets = allocate(sum(given_back) + amount, [p.captured for p in payments])
    missing = [max(0, target - done) for target, done in zip(targets, given_back, strict=True)]
    return allocate(amount, missing) if sum(missing) > amount else missing


def _paid_for(order: Order, payment: Payment, sections: Set[UUID | None]) -> int:
    """What of a payment was taken for some sections."""
    rows = (a for a in order.allocations if a.payment_id == payment.id and a.section_id in sections)
    return sum(row.captured - row.refunded for row in rows)


def _manual(order: Order, wanted: Sequence[AskedLeg], amount: int, moment: Moment) -> list[tuple[Payment, int]]:
    if any(leg.amount < 1 for leg in wanted):
        raise Invalid("a leg gives back at least 1", flaws=[Flaw("/legs", "too_small", "at least 1")])
    total = sum(leg.amount for leg in wanted)
    if total != amount:
        raise Invalid(
            f"the legs add up to {total}, the refund is {amount}",
            flaws=[Flaw("/legs", "sum_mismatch", f"must be {amount}")],
            figures={"amount": amount},
        )
    if len({leg.payment_id for leg in wanted}) < len(wanted):
        raise Invalid("a payment is named twice", flaws=[Flaw("/legs", "duplicate", "one leg for each payment")])
    shares = [(order.payment(leg.payment_id), leg.amount) for leg in wanted]
    for payment, share in shares:
        if payment.id in _too_late(order, moment):
            raise RefundWindowOver(
                f"payment {payment.id} could be given back until {refund_until(order, payment):%Y-%m-%d}",
                figures={"payment_id": str(payment.id)},
            )
        if payment not in settled_payments(order):
            raise AmountExceeded(
                f"payment {payment.id} is of a request that is still being paid, and goes back if that ends unpaid",
                figures={"payment_id": str(payment.id), "refundable": 0, "requested": share},
            )
        if share > payment.refundable:
            raise AmountExceeded(
                f"payment {payment.id} has {payment.refundable} left to refund, asked for {share}",
                figures={"payment_id": str(payment.id), "refundable": payment.refundable, "requested": share},
            )
    return shares


def _entitle(order: Order, asked: AskedRefund, refund_id: UUID, moment: Moment) -> tuple[Order, list[RefundLine]]:
    """Credit what is named, each within its ceiling, and the lines that say so."""
    lines: list[RefundLine] = []
    free = max(0, spare(order))
    for pieces in asked.items:
        order, item, amount = credit(order, pieces, moment)
        lines.append(
            RefundLine(moment.new_id(), order.id, refund_id, amount, pieces.quantity, item.id, item.section_id)
        )
    if asked.shipping:
        for section in order.sections:
            left = section.shipping_fee - section.shipping_credited
            if left and section.status is not SectionStatus.AWAITING_PAYMENT:
                order = order.put(replace(section, shipping_credited=section.shipping_fee))
                lines.append(RefundLine(moment.new_id(), order.id, refund_id, left, section_id=section.id))
    if asked.amount is not None:
        order = _goodwill(order, asked.amount, free)
        lines.append(RefundLine(moment.new_id(), order.id, refund_id, asked.amount))
    return order, lines


def _goodwill(order: Order, amount: int, free: int) -> Order:
    """An amount without a line: first what was taken and is not owed, which costs the store nothing; then goodwill."""
    if amount < 1:
        raise Invalid("an amount to refund is at least 1", flaws=[Flaw("/amount", "too_small", "at least 1")])
    left = min(refundable(order), owed(order) + free)
    if amount > left:
        raise AmountExceeded(
            f"asked to refund {amount}, at most {left} is left", figures={"requested": amount, "refundable": left}
        )
    return replace(order, goodwill=order.goodwill + max(0, amount - free))


def credit(order: Order, pieces: Pieces, moment: Moment) -> tuple[Order, Item, int]:
    """Credit so many pieces of a row in full; a part splits off first. Gives the row and what it is worth."""
    order, item = pick(order, pieces, moment)
    refuse_unpaid(item)
    if item.state is ItemState.CANCELED:
        raise NothingToDo(f"item {item.sku} is canceled", figures={"item_id": str(item.id)})
    share = item.paid - item.credited
    if not share:
        raise AmountExceeded(
            f"item {item.sku} was paid {item.paid} and {item.credited} of it is already refunded",
            figures={"item_id": str(item.id), "paid": item.paid, "refunded": item.credited},
        )
    return order.put(replace(item, credited=item.paid)), item, share


def refuse_unpaid(item: Item) -> None:
    """What waits for its payment has nothing to give back. Raises `IllegalTransition`."""
    if item.state is ItemState.PENDING:
        raise IllegalTransition(
            f"item {item.sku} waits for its payment: cancel its section as a whole",
            figures={"item_id": str(item.id), "from": item.state.value, "allowed": ["whole section"]},
        )
