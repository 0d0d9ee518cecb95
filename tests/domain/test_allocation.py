"""Parts of an amount always add up to it."""

from fractions import Fraction
from itertools import pairwise
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.allocation import allocate, included_taxes, split_share, tax_included

totals = st.integers(0, 10**12)
weight_lists = st.lists(st.integers(0, 10**9), min_size=1, max_size=12)
rates = st.sampled_from([0, 500, 700, 800, 1000, 1900, 2000, 2500, 10_000])


@given(totals, weight_lists)
def test_allocated_parts_sum_exactly_and_stay_within_one_of_their_share(total: int, weights: list[int]) -> None:
    parts = allocate(total, weights)
    assert sum(parts) == total
    whole = sum(weights)
    fair = [Fraction(total * weight, whole) if whole else Fraction(total, len(weights)) for weight in weights]
    assert all(abs(part - share) < 1 for part, share in zip(parts, fair, strict=True))


@given(totals, weight_lists)
def test_a_larger_weight_never_gets_less(total: int, weights: list[int]) -> None:
    by_weight: dict[int, list[int]] = {}
    for weight, part in zip(weights, allocate(total, weights), strict=True):
        by_weight.setdefault(weight, []).append(part)
    ordered = [by_weight[weight] for weight in sorted(by_weight)]
    assert all(max(low) <= max(high) and min(low) <= min(high) for low, high in pairwise(ordered))


@given(totals, st.lists(st.integers(1, 10**6), min_size=1, max_size=8))
def test_nobody_without_weight_pays_unless_all_are_without(total: int, weights: list[int]) -> None:
    assert allocate(total, [0, *weights])[0] == 0


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (100, (1, 1, 1), (34, 33, 33)),
        (5000, (39800, 14900), (3638, 1362)),
        (10, (0, 0, 0), (4, 3, 3)),
        (0, (), ()),
        (0, (3, 4), (0, 0)),
        (2, (1, 1, 1), (1, 1, 0)),
    ],
)
def test_missing_units_go_to_the_largest_fractions_in_order(
    total: int, weights: tuple[int, ...], parts: tuple[int, ...]
) -> None:
    assert allocate(total, weights) == parts


@pytest.mark.parametrize(("total", "weights"), [(-1, (1,)), (1, (2, -1)), (1, ())])
def test_what_cannot_be_allocated_is_refused(total: int, weights: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"negative|nothing"):
        allocate(total, weights)


@given(totals, st.integers(1, 200), st.data())
def test_rows_that_split_again_and_again_add_up_to_the_line(share: int, quantity: int, data: st.DataObject) -> None:
    rows = [(share, quantity)]
    for _ in range(data.draw(st.integers(0, 12))):
        place = data.draw(st.integers(0, len(rows) - 1))
        held, units = rows.pop(place)
        part = data.draw(st.integers(0, units - 1))
        leaving = split_share(held, units, part)
        assert 0 <= leaving <= held
        rows += [(held - leaving, units - part)] + ([(leaving, part)] if part else [])
    assert sum(held for held, _ in rows) == share
    assert sum(units for _, units in rows) == quantity


@given(totals, st.integers(1, 60))
def test_unit_by_unit_the_remainder_goes_with_the_last(share: int, quantity: int) -> None:
    pieces, held = [], share
    for units in range(quantity, 0, -1):
        pieces.append(split_share(held, units, 1))
        held -= pieces[-1]
    assert held == 0
    assert pieces == sorted(pieces)
    assert pieces[-1] - pieces[0] <= 1


@given(totals, st.integers(1, 60))
def test_what_leaves_whole_takes_everything_and_nothing_takes_nothing(share: int, quantity: int) -> None:
    assert split_share(share, quantity, quantity) == share
    assert split_share(share, quantity, 0) == 0


@given(totals, totals, st.integers(1, 60), st.data())
def test_a_share_within_another_stays_within_it_on_both_rows(
    a: int, b: int, quantity: int, data: st.DataObject
) -> None:
    small, large = sorted((a, b))
    part = data.draw(st.integers(0, quantity))
    inner, outer = split_share(small, quantity, part), split_share(large, quantity, part)
    assert inner <= outer
    assert small - inner <= large - outer


@pytest.mark.parametrize(("share", "quantity", "part"), [(-1, 2, 1), (1, 2, 3), (1, 2, -1), (1, 0, 0)])
def test_a_split_that_cannot_be_is_refused(share: int, quantity: int, part: int) -> None:
    with pytest.raises(ValueError, match="cannot split"):
        split_share(share, quantity, part)


@given(totals, rates)
def test_the_tax_inside_a_price_is_rounded_half_up(gross: int, rate: int) -> None:
    assert tax_included(gross, rate) == floor(Fraction(gross * rate, 10_000 + rate) + Fraction(1, 2))


@pytest.mark.parametrize(
    ("gross", "rate", "tax"), [(11000, 1000, 1000), (57700, 1000, 5245), (1, 10_000, 1), (9, 0, 0)]
)
def test_known_taxes(gross: int, rate: int, tax: int) -> None:
    assert tax_included(gross, rate) == tax


@pytest.mark.parametrize(("gross", "rate"), [(-1, 1000), (1, -1)])
def test_a_negative_price_or_rate_has_no_tax(gross: int, rate: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        tax_included(gross, rate)


@given(st.lists(st.tuples(totals, rates), max_size=12))
def test_the_taxes_of_each_rate_sum_to_the_tax_of_its_total(amounts: list[tuple[int, int]]) -> None:
    taxes = included_taxes(amounts)
    for rate in {rate for _, rate in amounts}:
        members = [index for index, (_, own) in enumerate(amounts) if own == rate]
        assert sum(taxes[index] for index in members) == tax_included(sum(amounts[index][0] for index in members), rate)
    for (gross, rate), tax in zip(amounts, taxes, strict=True):
        assert abs(tax - Fraction(gross * rate, 10_000 + rate)) < 1
        assert 0 <= tax <= gross


def test_the_order_of_the_api_page_has_its_taxes() -> None:
    taxes = included_taxes([(36162, 1000), (13538, 1000), (3000, 1000), (5000, 1000)])
    assert taxes == (3287, 1231, 273, 454)
    assert sum(taxes) == 5245
