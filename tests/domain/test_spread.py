"""An amount over holds: held against every way there is to take it."""

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.spread import MOST_CHOICES, Held, at_least, nearest, spread

Parts = tuple[int, ...]
FEW = st.lists(st.builds(Held, st.integers(0, 6), st.booleans()), min_size=1, max_size=4)


def let_go(parts: Parts, holds: Sequence[Held]) -> int:
    """What accounts that capture once let go of."""
    return sum(h.amount - part for part, h in zip(parts, holds, strict=True) if part and h.once)


def fits(parts: Parts, amount: int, holds: Sequence[Held], spare: int) -> bool:
    """It is the amount, no hold gives more than it has, and nothing that is owed is let go."""
    within = all(0 <= part <= h.amount for part, h in zip(parts, holds, strict=True))
    return within and sum(parts) == amount and let_go(parts, holds) <= spare


def takeable(holds: Sequence[Held], spare: int) -> set[int]:
    """Every amount that can be taken without a loss, by trying all."""
    ways = product(*(range(h.amount + 1) for h in holds))
    return {sum(parts) for parts in ways if let_go(parts, holds) <= spare}


@given(FEW, st.integers(0, 24), st.integers(0, 24))
def test_an_amount_is_spread_if_there_is_any_way_and_else_the_next_ones_are_named(
    holds: list[Held], amount: int, spare: int
) -> None:
    there = sum(h.amount for h in holds)
    amount, spare = min(amount, there), min(spare, there)
    can = takeable(holds, spare)
    parts = spread(amount, holds, spare)
    assert (parts is not None) == (amount in can)
    if parts is not None:
        assert fits(parts, amount, holds, spare)
    else:
        below, above = max(n for n in can if n < amount), min(n for n in can if n > amount)
        assert nearest(amount, holds, spare) == ((below, above) if below else (above,))
    most = at_least(amount, holds, spare)
    assert fits(most, min(n for n in can if n >= amount), holds, spare)


@pytest.mark.parametrize(
    ("amount", "holds", "spare", "parts"),
    [
        (60, (Held(50), Held(40)), 0, (50, 10)),
        (60, (Held(50), Held(40, once=True)), 0, (20, 40)),
        (30, (Held(50, once=True), Held(40)), 0, (0, 30)),
        (60, (Held(50, once=True), Held(40)), 0, (50, 10)),
        (90, (Held(50, once=True), Held(40, once=True)), 0, (50, 40)),
        (40, (Held(50, once=True), Held(40, once=True)), 0, (0, 40)),
        (45, (Held(50, once=True),), 5, (45,)),
        (100, (Held(60, once=True), Held(50, once=True), Held(50, once=True)), 0, (0, 50, 50)),
        (70, (Held(60, once=True), Held(50, once=True), Held(20)), 0, (60, 0, 10)),
        (35, (Held(50, once=True), Held(30)), 20, (35, 0)),
        (0, (Held(50, once=True),), 0, (0,)),
    ],
)
def test_holds_that_are_captured_once_are_taken_whole_or_not_at_all(
    amount: int, holds: tuple[Held, ...], spare: int, parts: Parts
) -> None:
    assert spread(amount, holds, spare) == parts


@pytest.mark.parametrize(
    ("amount", "holds", "spare", "others"),
    [
        (5000, (Held(17900, once=True),), 0, (17900,)),
        (5000, (Held(17900, once=True),), 5000, (12900,)),
        (20000, (Held(7700), Held(50000, once=True)), 0, (7700, 50000)),
    ],
)
def test_what_can_be_taken_instead_lies_next_to_what_was_asked_for(
    amount: int, holds: tuple[Held, ...], spare: int, others: Parts
) -> None:
    assert spread(amount, holds, spare) is None
    assert nearest(amount, holds, spare) == others
    assert sum(at_least(amount, holds, spare)) == others[-1]


def test_more_holds_than_can_be_tried_in_every_way_still_have_an_answer_that_loses_nothing() -> None:
    holds = [Held(1 << n, once=True) for n in range(40)]
    assert 1 << len(holds) > MOST_CHOICES
    one_less = sum(h.amount for h in holds) - 1
    assert spread(one_less, holds, 0) is None
    assert nearest(one_less, holds, 0)[-1] == one_less + 1
    assert sum(at_least(one_less, holds, 0)) == one_less + 1
