"""What of a payment is for goods without tax, for PGs that report the tax of what they take (rule M10).

A Korean PG takes an eleventh of every amount for value added tax, unless it is told what of it is free of tax; of a
part that goes back likewise. What payments have for free follows what the order costs: a new one gets its part of what
is free and no other has, what goes back takes whatever they have beyond that. So many parts drift no more than one.

A row is free of tax when its rate is 0, with its share of the shipping. Goodwill is for no row: it lowers both parts in
proportion. Every payment has its part; PGs are told if their account is set so (`Attempt.reports_tax`). Minor units of
the order's currency.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from uuid import UUID

from domain.gateway import OperationKind
from domain.order import Order
from domain.owing import owed, settled_payments
from domain.payment import RELEASED_OUTCOMES, Payment
from domain.section import Section
from domain.spread import in_turn
from domain.states import ChangeStatus

_MOVES = {OperationKind.AUTHORIZE: 1, OperationKind.VOID: -1, OperationKind.REFUND: -1}


@dataclass(frozen=True, slots=True)
class _Standing:
    """What of a payment is there or on its way, and what of that is free of tax."""

    money: int = 0
    free: int = 0


def of_payment(order: Order, payment: Payment) -> int:
    """What of a payment that is about to be asked for is free of tax."""
    cost, free = owed(order), _free(order, _rows(order))
    others = [_standing(order, p) for p in order.payments if p.id != payment.id]
    covered = min(cost, sum(o.money for o in others) + payment.amount)
    due = _part(free, covered, cost) - sum(o.free for o in others)
    return max(0, min(due, payment.amount))


def of_returns(order: Order, shares: Sequence[tuple[Payment, int]]) -> tuple[int, ...]:
    """What of each amount is free of tax that is about to go back to a payment, once the order costs that much less.

    An exchange that is still to be paid counts for nothing: its old rows may yet stay, its new ones never come.
    """
    there = {p.id: _standing(order, p) for p in order.payments}
    most = [min(amount, there[p.id].free) for p, amount in shares]
    least = [max(0, amount - there[p.id].money + there[p.id].free) for p, amount in shares]
    least = [min(low, high) for low, high in zip(least, most, strict=True)]
    beyond = sum(there[p.id].free for p in settled_payments(order)) - _free(order, _agreed_rows(order))
    rooms = (high - low for low, high in zip(least, most, strict=True))
    more = in_turn(max(0, beyond - sum(least)), rooms)
    return tuple(low + part for low, part in zip(least, more, strict=True))


def _free(order: Order, rows: Sequence[tuple[int, bool]]) -> int:
    """What of a cost is free of tax: of its rows, less goodwill, which is for none of them."""
    free = sum(amount for amount, is_free in rows if is_free)
    return free - _part(free, order.goodwill, sum(amount for amount, _ in rows))


def _rows(order: Order, but: Set[UUID] = frozenset()) -> list[tuple[int, bool]]:
    """What each item and all shipping cost now, and whether that is free of tax; nothing of the sections ``but``."""
    rows = [(i.paid - i.credited, not i.tax_rate) for i in order.items if i.section_id not in but]
    for section in order.sections:
        if section.id not in but:
            left, free = section.shipping_fee - section.shipping_credited, _free_shipping(order, section)
            rows += [(left - free, False), (free, True)]
    return rows


def _agreed_rows(order: Order) -> list[tuple[int, bool]]:
    """As `_rows`, as if nobody had asked for the exchange that is still to be paid."""
    waiting = [c for c in order.changes if c.status is ChangeStatus.AWAITING_PAYMENT]
    refunds, sections = {c.refund_id for c in waiting}, {c.section_id for c in waiting if c.section_id}
    credited = [(line.item_id, line.amount) for line in order.refund_lines if line.refund_id in refunds]
    return _rows(order, sections) + [(amount, not order.item(row).tax_rate) for row, amount in credited if row]


def _free_shipping(order: Order, section: Section) -> int:
    rows = order.section_items(section)
    left = section.shipping_fee - section.shipping_credited
    return _part(left, sum(i.shipping for i in rows if not i.tax_rate), sum(i.shipping for i in rows))


def _standing(order: Order, payment: Payment) -> _Standing:
    alive = {a.id for a in order.attempts if a.payment_id == payment.id and a.outcome not in RELEASED_OUTCOMES}
    money = free = 0
    for o in order.operations:
        if o.attempt_id in alive and not o.orphan and o.outcome not in RELEASED_OUTCOMES:
            stands = o.amount - o.reversed_amount
            money += _MOVES.get(o.kind, 0) * stands
            free += _MOVES.get(o.kind, 0) * _part(o.tax_free, stands, o.amount)
    return _Standing(money, max(0, min(free, money)))


def _part(amount: int, of: int, whole: int) -> int:
    """``amount * of / whole``, rounded half up; nothing of nothing."""
    return (2 * amount * of + whole) // (2 * whole) if whole > 0 else 0
