"""What a PG says it has settled, against what our books say was moved: pairing and judging, as pure functions.

Two keys pair a line with a movement: the PG's own id of the operation, then (payment, kind, amount), where a payment is
known by our reference or by the PG's. Amounts are minor units; what leaves the merchant is negative.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from uuid import UUID

from domain.gateway import Outcome


class LineKind(StrEnum):
    """What a settlement line is about. Any other word of a PG is money that nobody has explained."""

    CHARGE = "charge"
    REFUND = "refund"
    REVERSAL = "reversal"
    """Taken back by the PG itself: a refund that bounced, a capture that failed after all."""
    CHARGEBACK = "chargeback"
    CHARGEBACK_REVERSAL = "chargeback_reversal"
    FEE = "fee"
    ADJUSTMENT = "adjustment"
    RESERVE = "reserve"
    PAYOUT = "payout"


class Finding(StrEnum):
    """What comparing one line, one movement or one payout has shown."""

    MATCHED = "matched"
    BOOKKEEPING = "bookkeeping"
    """The PG's own fee, reserve or payout: no order has a part in it. It counts in its payout's sum."""
    TIMING = "timing"
    """Not settled yet, and it need not be."""
    AMOUNT_MISMATCH = "amount_mismatch"
    FEE_VARIANCE = "fee_variance"
    MISSING_AT_PG = "missing_at_pg"
    MISSING_IN_OPMS = "missing_in_opms"
    """Orphan money: the PG has moved it and our books do not know it."""
    STATUS_MISMATCH = "status_mismatch"
    """The PG has settled what our books do not have as succeeded, or taken back what they still have."""
    DUPLICATE_LINE = "duplicate_line"
    CHANGED_LINE = "changed_line"
    """The PG says other money of a line than it said in an earlier reading, and our books have nothing against it."""
    WITHDRAWN = "withdrawn"
    """The PG says it no longer: a later reading has the line with other money, or its day without it."""
    PAYOUT_MISMATCH = "payout_mismatch"
    """The bank's credit is not the sum of the lines of its payout."""


EXCEPTIONS = frozenset(Finding) - {Finding.MATCHED, Finding.BOOKKEEPING, Finding.TIMING, Finding.WITHDRAWN}
"""Findings that open a case."""
HEALED_BY_ORDER = frozenset({Finding.MISSING_IN_OPMS, Finding.STATUS_MISMATCH})
"""Findings that end when the order learns of the money: its workflow is told to look, and the line is judged again."""


class Desk(StrEnum):
    """Who owns a case until it is given to somebody."""

    OPERATIONS = "operations"
    """Looks at orders: whose money is it, and where does it belong?"""
    FINANCE = "finance"
    """Asks the PG or the bank, and claims."""


def desk_of(finding: Finding) -> Desk:
    """The first owner of a case: what an order can explain is for operations, figures alone are for finance."""
    return Desk.OPERATIONS if finding in HEALED_BY_ORDER else Desk.FINANCE


_NO_PART = frozenset({LineKind.FEE, LineKind.RESERVE, LineKind.PAYOUT})
_MOVES = frozenset({LineKind.CHARGE, LineKind.REFUND})
_NAMES = ("operation_ref", "merchant_ref", "reference")
"""What a line and a movement may have in common."""


@dataclass(frozen=True, slots=True)
class Fee:
    """What the contract says a charge costs: ``basis_points`` of it, rounded half up, and ``fixed`` minor units."""

    basis_points: int
    fixed: int = 0

    def of(self, amount: int) -> int:
        """The fee of a charge."""
        return (amount * self.basis_points + 5_000) // 10_000 + self.fixed


@dataclass(frozen=True, slots=True)
class Terms:
    """How one PG account settles. ``fee`` None: fees are not compared."""

    timezone: str = "UTC"
    """Where the account's days begin and end."""
    days: int = 2
    """T+n: so many days after a movement its line has come at the latest."""
    fee: Fee | None = None


@dataclass(frozen=True, slots=True)
class Restated:
    """What a PG said of a line in an earlier reading, and what it says now: net, minor units."""

    before: int
    now: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a PG's settlement. ``repeats``: how often the same line stood there once more."""

    id: int
    kind: str
    gross: int
    fee: int
    currency: str
    operation_ref: str | None = None
    reference: str | None = None
    merchant_ref: str | None = None
    repeats: int = 0
    restated: Restated | None = None
    """Set for a line that an earlier reading had with other money."""


@dataclass(frozen=True, slots=True)
class Movement:
    """One operation of ours that moves money at a PG: a charge (authorized and taken, or captured) or a refund.

    ``settled``: an earlier line is already paired with it. ``reversed_amount``: what the PG has taken back of it.
    """

    id: UUID
    store: str
    number: str
    kind: LineKind
    amount: int
    currency: str
    outcome: Outcome
    merchant_ref: str
    operation_ref: str | None = None
    reference: str | None = None
    settled: bool = False
    reversed_amount: int = 0

    @property
    def signed(self) -> int:
        """As a line would show it."""
        return -self.amount if self.kind is LineKind.REFUND else self.amount


@dataclass(frozen=True, slots=True)
class Judged:
    """One line with its finding. ``about`` may be a movement that another line is paired with (a duplicate).

    ``expected`` and ``actual`` are what our books and the PG say: fees for a fee variance, else signed amounts. For a
    changed line they are what the PG said before and says now.
    """

    line: Line
    finding: Finding
    paired: Movement | None
    about: Movement | None
    expected: int
    actual: int


def reconcile(lines: Sequence[Line], movements: Sequence[Movement], terms: Terms) -> list[Judged]:
    """Every line with its finding, in order. A movement is paired with at most one line, a line with one movement.

    ``movements`` must hold every movement that shares an ``operation_ref``, a ``merchant_ref`` or a ``reference`` with
    a line; lines that carry an ``operation_ref`` are to be given before those that carry none.
    """
    pairs = _pair([line for line in lines if line.kind in _MOVES], movements)
    related = _related(movements)
    undone = _undone([line for line in lines if line.kind == LineKind.REVERSAL], related)
    judged = [
        _reversal(line, undone[line.id]) if line.id in undone else _judge(line, pairs.get(line.id), related, terms)
        for line in lines
    ]
    return [_remembered(one) for one in judged]


def waiting(started_on: date, moved_on: date, read: Collection[date], days: int) -> Finding:
    """A movement without a line: missing once every day on which its line could have come was read, else timing."""
    span = (moved_on - started_on).days + days
    missing = all(started_on + timedelta(days=k) in read for k in range(span + 1))
    return Finding.MISSING_AT_PG if missing else Finding.TIMING


def payout_finding(lines_net: int, credited: int | None) -> Finding:
    """A payout's lines against the bank's credit, to the last unit; no credit yet is timing."""
    if credited is None:
        return Finding.TIMING
    return Finding.MATCHED if lines_net == credited else Finding.PAYOUT_MISMATCH


Key = Callable[[Line | Movement], tuple[object, ...] | None]


def _by_operation(one: Line | Movement) -> tuple[object, ...] | None:
    return (one.operation_ref, one.kind) if one.operation_ref else None


def _by_payment(name: str, *, exact: bool) -> Key:
    def key(one: Line | Movement) -> tuple[object, ...] | None:
        reference = getattr(one, name)
        amount = (one.gross if isinstance(one, Line) else one.signed, one.currency) if exact else ()
        return (reference, one.kind, *amount) if reference else None

    return key


_KEYS: tuple[Key, ...] = (
    _by_operation,
    _by_payment("merchant_ref", exact=True),
    _by_payment("reference", exact=True),
    _by_payment("merchant_ref", exact=False),
    _by_payment("reference", exact=False),
)
"""From the surest to the loosest; the last two find the movement whose amount differs."""


def _pair(lines: Iterable[Line], movements: Sequence[Movement]) -> dict[int, Movement]:
    """One to one, key by key. A line that names an operation of ours is about that operation and no other."""
    named = {_by_operation(movement) for movement in movements if movement.operation_ref}
    free = [movement for movement in movements if not movement.settled]
    left = list(lines)
    pairs: dict[int, Movement] = {}
    for key in _KEYS:
        shelf: dict[tuple[object, ...], list[Movement]] = {}
        for movement in reversed(free):
            if (found := key(movement)) is not None:
                shelf.setdefault(found, []).append(movement)
        for line in left:
            found = key(line)
            if found is None or not shelf.get(found) or (key is not _by_operation and _by_operation(line) in named):
                continue
            pairs[line.id] = shelf[found].pop()
        taken = {movement.id for movement in pairs.values()}
        free = [movement for movement in free if movement.id not in taken]
        left = [line for line in left if line.id not in pairs]
    return pairs


def _judge(
    line: Line, paired: Movement | None, related: Mapping[tuple[str, str], list[Movement]], terms: Terms
) -> Judged:
    if line.kind in _NO_PART:
        return Judged(line, Finding.BOOKKEEPING, None, None, 0, line.gross)
    if paired is not None:
        return Judged(line, *_compared(line, paired, terms))
    known = _known(line, related)
    settled = [movement for movement in known if movement.kind == line.kind]
    finding = Finding.DUPLICATE_LINE if settled else Finding.MISSING_IN_OPMS
    return Judged(line, finding, None, next(iter(settled or known), None), 0, line.gross)


def _undone(lines: Sequence[Line], related: Mapping[tuple[str, str], list[Movement]]) -> dict[int, Movement]:
    """What each reversal undoes: of the movements the other way the one it names, else one of its amount; each once."""
    found: dict[int, Movement] = {}
    taken: set[UUID] = set()
    for line in lines:
        free = [m for m in _known(line, related) if m.id not in taken and m.signed * line.gross < 0]
        named = [m for m in free if m.operation_ref is not None and m.operation_ref == line.operation_ref]
        fitting = sorted((m for m in free if m.signed == -line.gross), key=lambda m: not m.reversed_amount)
        for movement in (named + fitting)[:1]:
            taken.add(movement.id)
            found[line.id] = movement
    return found


def _reversal(line: Line, undone: Movement) -> Judged:
    """Taken back by the PG: our books know it, or the order has to ask."""
    back = -undone.reversed_amount if undone.signed > 0 else undone.reversed_amount
    finding = Finding.MATCHED if (back, undone.currency) == (line.gross, line.currency) else Finding.STATUS_MISMATCH
    if finding is Finding.MATCHED and line.repeats:
        return Judged(line, Finding.DUPLICATE_LINE, None, undone, back, line.gross * (1 + line.repeats))
    return Judged(line, finding, None, undone, back, line.gross)


def _remembered(judged: Judged) -> Judged:
    """A line that fits our books, or needs none, and says something else than before is not in order for that.

    Except the PG's payout: while its day goes on it grows, and the bank's credit judges it.
    """
    restated, line = judged.line.restated, judged.line
    if restated is None or judged.finding in EXCEPTIONS or line.kind == LineKind.PAYOUT:
        return judged
    return replace(judged, finding=Finding.CHANGED_LINE, expected=restated.before, actual=restated.now)


def _known(line: Line, related: Mapping[tuple[str, str], list[Movement]]) -> list[Movement]:
    """The movements that share a name with the line."""
    return [movement for name in _NAMES for movement in related.get((name, getattr(line, name) or ""), ())]


def _compared(line: Line, paired: Movement, terms: Terms) -> tuple[Finding, Movement | None, Movement | None, int, int]:
    """The worst that is to be said of a pair: status, then amount, then repetition, then fee."""
    ours = paired.signed
    if paired.outcome is not Outcome.SUCCEEDED:
        return Finding.STATUS_MISMATCH, paired, paired, 0, line.gross
    if (line.gross, line.currency) != (ours, paired.currency):
        return Finding.AMOUNT_MISMATCH, paired, paired, ours, line.gross
    if line.repeats:
        return Finding.DUPLICATE_LINE, paired, paired, ours, line.gross * (1 + line.repeats)
    fee = terms.fee.of(line.gross) if terms.fee and line.kind == LineKind.CHARGE else line.fee
    if line.fee != fee:
        return Finding.FEE_VARIANCE, paired, paired, fee, line.fee
    return Finding.MATCHED, paired, paired, ours, line.gross


def _related(movements: Iterable[Movement]) -> dict[tuple[str, str], list[Movement]]:
    """The movements by each of their names."""
    found: dict[tuple[str, str], list[Movement]] = {}
    for movement in movements:
        for name in _NAMES:
            if value := getattr(movement, name):
                found.setdefault((name, value), []).append(movement)
    return found
