"""How an amount is captured from several holds, so that nothing is let go of that is still owed (M6).

A PG that captures once lets go of what a capture leaves of its hold. So of such a hold all is taken that no other hold
could pay, or nothing. Amounts in minor units.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST_CHOICES = 4096
"""So many sums of holds that are captured once are looked at: all that a dozen of them have."""


@dataclass(frozen=True, slots=True)
class Held:
    """What may be captured of one payment now; ``once``: its account lets go of what a capture leaves."""

    amount: int
    once: bool = False


def spread(amount: int, holds: Sequence[Held], spare: int) -> tuple[int, ...] | None:
    """What to take of each hold, the first ones first where that loses nothing; None: nobody can take so much.

    ``amount`` is at most what all of them have. ``spare``: so much of these holds and any others is not owed.
    """
    parts = in_turn(amount, (h.amount for h in holds))
    if _let_go(parts, holds) <= spare:
        return parts
    often = _often(holds)
    for whole, chosen in _choices(holds).items():
        if whole - spare <= amount <= whole + often:
            least = max(0, whole - spare, amount - often)
            once = in_turn(least, (h.amount if n in chosen else 0 for n, h in enumerate(holds)))
            rest = in_turn(amount - least, (0 if h.once else h.amount for h in holds))
            return tuple(a + b for a, b in zip(once, rest, strict=True))
    return None


def at_least(amount: int, holds: Sequence[Held], spare: int) -> tuple[int, ...]:
    """What to take of each hold for ``amount``, and as little more as loses nothing; as `spread`."""
    parts = spread(amount, holds, spare)
    return at_least(nearest(amount, holds, spare)[-1], holds, spare) if parts is None else parts


def nearest(amount: int, holds: Sequence[Held], spare: int) -> tuple[int, ...]:
    """The amounts next to one that `spread` cannot take, that it can: the most below it, if any, the least above it."""
    often, wholes = _often(holds), list(_choices(holds))
    below = max((w + often for w in wholes if w + often < amount), default=0)
    above = min(w - spare for w in wholes if w - spare > amount)
    return (below, above) if below else (above,)


def in_turn(amount: int, rooms: Iterable[int]) -> tuple[int, ...]:
    """The amount in parts that fit, the first rooms first."""
    parts = []
    for room in rooms:
        part = min(amount, room)
        parts.append(part)
        amount -= part
    return tuple(parts)


def _let_go(parts: Sequence[int], holds: Sequence[Held]) -> int:
    return sum(h.amount - part for part, h in zip(parts, holds, strict=True) if part and h.once)


def _often(holds: Sequence[Held]) -> int:
    return sum(h.amount for h in holds if not h.once)


def _choices(holds: Sequence[Held]) -> dict[int, frozenset[int]]:
    """What some of the holds that are captured once have together, and which they are; none and all among them."""
    every = frozenset(n for n, h in enumerate(holds) if h.once)
    choices: dict[int, frozenset[int]] = {0: frozenset()}
    for n in sorted(every):
        for whole, chosen in list(choices.items()):
            if len(choices) < MOST_CHOICES:
                choices.setdefault(whole + holds[n].amount, chosen | {n})
    choices.setdefault(sum(holds[n].amount for n in every), every)
    return choices
