"""A schedule: one payment request that is paid in parts over time, such as a deposit now and the rest later.

The parts are agreed at checkout, stored with the request and never changed. Money fills them in their order, so what
of each is there, and when the next is due, follows from the request's ``paid`` alone. Amounts are minor units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Literal

from domain.errors import Flaw, Invalid
from domain.payment import Part, Payment, PaymentRequest

FEWEST_PARTS, MOST_PARTS = 2, 12
LONGEST_SCHEDULE = timedelta(days=60)
"""How far away the last part may be due: the order's stock is held for nobody else until then."""

PartStatus = Literal["paid", "due", "upcoming"]


@dataclass(frozen=True, slots=True)
class AskedPart:
    """A part as asked. Without ``due_at`` (the first) it is due now: within the ordinary payment window."""

    amount: int
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A part and what of it is paid. ``due``: the first that is not paid whole; those after it are ``upcoming``."""

    amount: int
    due_at: datetime
    paid: int
    status: PartStatus


def schedule_flaws(asked: Sequence[AskedPart], *, accumulates: bool, now: datetime) -> list[Flaw]:
    """What is wrong with a schedule by itself; nothing, if none was asked for."""
    if not asked:
        return []
    flaws = [] if accumulates else [Flaw("/payment_mode", "accumulate_required", "parts are paid one after the other")]
    if not FEWEST_PARTS <= len(asked) <= MOST_PARTS:
        code = "too_short" if len(asked) < FEWEST_PARTS else "too_long"
        flaws.append(Flaw("/payment_schedule", code, f"{FEWEST_PARTS} to {MOST_PARTS} parts"))
    flaws += [
        Flaw(f"/payment_schedule/{n}/amount", "too_small", "at least 1") for n, p in enumerate(asked) if p.amount < 1
    ]
    if asked[0].due_at is not None:
        flaws.append(Flaw("/payment_schedule/0/due_at", "due_at_not_accepted", "the first part is due now"))
    return flaws + _time_flaws(asked, now)


def _time_flaws(asked: Sequence[AskedPart], now: datetime) -> list[Flaw]:
    """The times of all parts but the first: each named, in the future, not too far away, later than the one before."""
    flaws: list[Flaw] = []
    before: datetime | None = None
    for n, part in enumerate(asked[1:], start=1):
        pointer = f"/payment_schedule/{n}/due_at"
        if part.due_at is None:
            flaws.append(Flaw(pointer, "due_at_required", "only the first part is due now"))
        elif part.due_at <= now:
            flaws.append(Flaw(pointer, "in_the_past", "must be in the future"))
        elif part.due_at > now + LONGEST_SCHEDULE:
            flaws.append(Flaw(pointer, "too_far_away", f"at most {LONGEST_SCHEDULE.days} days from now"))
        elif before is not None and part.due_at <= before:
            flaws.append(Flaw(pointer, "not_rising", "must be later than the part before"))
        before = part.due_at or before
    return flaws


def check_sum(asked: Sequence[AskedPart], total: int) -> None:
    """Refuse parts that do not add up to what the order costs."""
    amount = sum(part.amount for part in asked)
    if asked and amount != total:
        raise Invalid(
            f"the parts add up to {amount}, the order costs {total}",
            flaws=[Flaw("/payment_schedule", "sum_mismatch", f"must be {total}")],
            figures={"total": total, "payment_schedule": amount},
        )


def first_amount(asked: Sequence[AskedPart]) -> int:
    """What is due now of a schedule; without one, payments may come in any amounts."""
    return asked[0].amount if asked else 0


def agreed(asked: Sequence[AskedPart], window_ends: datetime) -> tuple[Part, ...]:
    """The parts with their times: the first is due when the payment window ends, but never after the second."""
    now = min((part.due_at for part in asked if part.due_at), default=window_ends)
    return tuple(Part(part.amount, part.due_at or min(now, window_ends)) for part in asked)


def standing(request: PaymentRequest) -> tuple[Standing, ...]:
    """Each part of a request as it stands; a part that is ``due`` is waited for as long as the request is."""
    parts: list[Standing] = []
    for part, end in zip(request.schedule, _ends(request), strict=True):
        paid = min(part.amount, max(0, request.paid - (end - part.amount)))
        whole, first = paid == part.amount, all(p.status == "paid" for p in parts)
        status: PartStatus = "paid" if whole else "due" if first else "upcoming"
        due_at = request.due_at if status == "due" and request.due_at else part.due_at
        parts.append(Standing(part.amount, due_at, paid, status))
    return tuple(parts)


def next_amount(request: PaymentRequest, covered: int) -> int:
    """What is to be paid next when so much is covered: the rest of the first part that is not, or of the request."""
    return next((end for end in _ends(request) if end > covered), request.amount) - covered


def due_time(request: PaymentRequest, paid: int) -> datetime | None:
    """Until when a request of which so much is paid is waited for: until its first part that is not covered is due.

    A deposit that is on its way lengthens the wait for the first part (`domain.recording`), as it does for a request
    without parts, but not beyond the second part, which would else be overdue when the deposit comes. It never moves a
    later part: what was agreed stands.
    """
    missing = [part for part, end in zip(request.schedule, _ends(request), strict=True) if end > paid]
    if not missing:
        return request.due_at
    if len(missing) < len(request.schedule):
        return missing[0].due_at
    second = request.schedule[1].due_at
    return min(request.due_at or second, second)


def action_due(request: PaymentRequest, payment: Payment) -> datetime | None:
    """Until when the customer must do what a PG waits for: a PG may take a deposit for longer than we wait for it."""
    if payment.action_due_at is None or request.due_at is None:
        return payment.action_due_at
    return min(payment.action_due_at, request.due_at)


def whole_parts(request: PaymentRequest, held: Sequence[Payment]) -> list[Payment]:
    """Of the payments that hold a request's money, those to capture by now: all of them once it is paid.

    Before that, those that pay a part which is covered, because a PG's hold does not last until the next part is due.
    Our own value is held as long as need be, and so is a card whose part still lacks the rest: these go back without
    a refund if that never comes.
    """
    if request.paid >= request.amount:
        return list(held)
    covered = max((end for end in _ends(request) if end <= request.paid), default=0)
    starts = accumulate((p.held for p in held), initial=0)
    return [p for p, start in zip(held, starts, strict=False) if start < covered and not p.internal]


def _ends(request: PaymentRequest) -> list[int]:
    """For each part, what is paid of the request once that part and all before it are."""
    return list(accumulate(part.amount for part in request.schedule))
