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
    costs, table = section_costs(order), _Table(order)
    short = [s.id for s in order.sections if table.taken[s.id] < costs[s.id]]
    over = [s.id for s in order.sections if table.taken[s.id] > costs[s.id]]
    for one, other in product(short, over):
        size = min(costs[one] - table.taken[one], table.taken[other] - costs[other])
        table.cover(one, other, size, (_GIVEN_BACK, _LET_GO, _HELD))
    return order.put(*table.changed())


def keep_to(order: Order, first: Iterable[UUID], before: Mapping[UUID, int]) -> Order:
    """Money that was taken for the sections ``first`` covers them, not what else its payments are for.

    ``before``: what was taken for each section. What goes beyond it covers the first ones, as far as they are held.
    """
    table = _Table(order)
    grown = [s.id for s in order.sections if table.taken[s.id] > before.get(s.id, 0)]
    for section, other in product(first, grown):
        if section != other:
            table.cover(section, other, table.taken[other] - before.get(other, 0), (_HELD,))
    return order.put(*table.changed())


def taken_by_section(order: Order) -> dict[UUID, int]:
    """What is captured for each section and not given back (minor units)."""
    taken = {section.id: 0 for section in order.sections}
    for row in order.allocations:
        taken[row.section_id] += row.captured - row.refunded
    return taken


class _Table:
    """The allocations of an order while pieces of them change places: an order has up to a thousand of them."""

    def __init__(self, order: Order) -> None:
        self._order_id = order.id
        self._rows: dict[UUID, dict[UUID, Allocation]] = {section.id: {} for section in order.sections}
        for row in order.allocations:
            self._rows[row.section_id][row.payment_id] = row
        self._changed: set[tuple[UUID, UUID]] = set()
        self.taken = taken_by_section(order)

    def changed(self) -> list[Allocation]:
        """The rows of which pieces have come or gone."""
        return [self._rows[section_id][payment_id] for section_id, payment_id in sorted(self._changed)]

    def cover(self, short: UUID, over: UUID, size: int, returned: Iterable[_Piece]) -> None:
        """Up to ``size`` that was taken for the one section covers the other; pieces ``returned`` take its place."""
        pairs = product(self._rows[over], self._rows[short])
        for giver, taker in sorted(pairs, key=lambda pair: pair[0] != pair[1]):  # Within a payment, if that will do.
            for piece in returned:
                there, here = self._rows[over][giver], self._rows[short][taker]
                part = min(size, _size(there, _TAKEN), _size(here, piece))
                if part > 0:
                    self._move(giver, over, short, part, _TAKEN)
                    self._move(taker, short, over, part, piece)
                    self.taken[short] += part
                    self.taken[over] -= part
                    size -= part
                if size <= 0:
                    return

    def _move(self, payment_id: UUID, old: UUID, new: UUID, size: int, piece: _Piece) -> None:
        for section_id, by in ((old, -size), (new, size)):
            rows = self._rows[section_id]
            row = rows.get(payment_id) or self._new_row(payment_id, section_id)
            rows[payment_id] = _grown(row, by, piece)
            self._changed.add((section_id, payment_id))

    def _new_row(self, payment_id: UUID, section_id: UUID) -> Allocation:
        """The same one whoever makes it."""
        return Allocation(uuid5(payment_id, str(section_id)), self._order_id, payment_id, section_id, 0)


def _size(row: Allocation, piece: _Piece) -> int:
    """How much of a row stands so."""
    sizes = {
        _TAKEN: row.captured - row.refunded,
        _HELD: row.authorized - row.captured,
        _GIVEN_BACK: row.refunded,
        _LET_GO: row.amount - row.authorized,
    }
    return sizes[piece]


def _grown(row: Allocation, by: int, piece: _Piece) -> Allocation:
    return replace(
        row,
        amount=row.amount + by,
        authorized=row.authorized + by * piece.authorized,
        captured=row.captured + by * piece.captured,
        refunded=row.refunded + by * piece.refunded,
    )
