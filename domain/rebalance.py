"""Which payment pays for which section, set right: pieces of two payments change places.

Money is taken and given back payment by payment, but each section is to show what was paid for it (domain rules 3). A
card that gives a canceled section's money back may have paid for another section too: that one is then covered by what
another payment had paid for the canceled one. Sums by payment and the share of each section stay as they are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import NamedTuple
from uuid import UUID, uuid5

from domain.order import Order
from domain.owing import section_costs
from domain.payment import Allocation


class _Piece(NamedTuple):
    """How a piece of an allocation stands: each 1 or 0."""

    authorized: int
    captured: int
    refunded: int


_TAKEN = _Piece(1, 1, 0)
_HELD = _Piece(1, 0, 0)
_GIVEN_BACK = _Piece(1, 1, 1)
_LET_GO = _Piece(0, 0, 0)


def rebalance(order: Order) -> Order:
    """While one section is covered beyond its cost and another one below, what is too much covers the other."""
    costs = section_costs(order)
    for short, over in product(order.sections, repeat=2):
        lacks, spare = (costs[s.id] - _taken_for(order, s.id) for s in (short, over))
        if lacks > 0 > spare:
            order = _cover(order, short.id, over.id, min(lacks, -spare), (_GIVEN_BACK, _LET_GO, _HELD))
    return order


def keep_to(order: Order, first: Iterable[UUID], before: Mapping[UUID, int]) -> Order:
    """Money that was taken for the sections ``first`` covers them, not what else its payments are for.

    ``before``: what was taken for each section. What goes beyond it covers the first ones, as far as they are held.
    """
    for section, other in product(first, order.sections):
        extra = _taken_for(order, other.id) - before.get(other.id, 0)
        if other.id != section and extra > 0:
            order = _cover(order, section, other.id, extra, (_HELD,))
    return order


def taken_by_section(order: Order) -> dict[UUID, int]:
    """What is captured for each section and not given back (minor units)."""
    return {section.id: _taken_for(order, section.id) for section in order.sections}


def _taken_for(order: Order, section_id: UUID) -> int:
    return sum(a.captured - a.refunded for a in order.allocations if a.section_id == section_id)


def _cover(order: Order, short: UUID, over: UUID, size: int, returned: Iterable[_Piece]) -> Order:
    """Up to ``size`` that was taken for the one section covers the other; pieces ``returned`` take its place."""
    givers = [a.payment_id for a in order.allocations if a.section_id == over]
    takers = [a.payment_id for a in order.allocations if a.section_id == short]
    pairs = sorted(product(givers, takers), key=lambda pair: pair[0] != pair[1])  # Within a payment, if that will do.
    for (giver, taker), piece in product(pairs, returned):
        part = min(size, _size(_row(order, giver, over), _TAKEN), _size(_row(order, taker, short), piece))
        if part > 0:
            order = _move(order, giver, over, short, part, _TAKEN)
            order = _move(order, taker, short, over, part, piece)
            size -= part
    return order


def _size(row: Allocation, piece: _Piece) -> int:
    """How much of a row stands so."""
    sizes = {
        _TAKEN: row.captured - row.refunded,
        _HELD: row.authorized - row.captured,
        _GIVEN_BACK: row.refunded,
        _LET_GO: row.amount - row.authorized,
    }
    return sizes[piece]


def _row(order: Order, payment_id: UUID, section_id: UUID) -> Allocation:
    """The row of a payment and a section; the same one whoever makes it."""
    mine = (a for a in order.allocations if a.payment_id == payment_id and a.section_id == section_id)
    new = Allocation(uuid5(payment_id, str(section_id)), order.id, payment_id, section_id, 0)
    return next(mine, new)


def _move(order: Order, payment_id: UUID, old: UUID, new: UUID, size: int, piece: _Piece) -> Order:
    rows = ((_row(order, payment_id, old), -size), (_row(order, payment_id, new), size))
    return order.put(*(_grown(row, by, piece) for row, by in rows))


def _grown(row: Allocation, by: int, piece: _Piece) -> Allocation:
    return replace(
        row,
        amount=row.amount + by,
        authorized=row.authorized + by * piece.authorized,
        captured=row.captured + by * piece.captured,
        refunded=row.refunded + by * piece.refunded,
    )
