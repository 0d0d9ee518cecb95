"""Pairing and judging: every finding by example, and what must hold of any settlement and any books."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.gateway import Outcome
from domain.reconciliation import (
    EXCEPTIONS,
    Desk,
    Fee,
    Finding,
    Judged,
    Line,
    LineKind,
    Movement,
    Restated,
    Terms,
    desk_of,
    payout_finding,
    reconcile,
    waiting,
)

TERMS = Terms("Asia/Seoul", days=2, fee=Fee(basis_points=300, fixed=10))
CHARGED = Movement(UUID(int=1), "demo", "N-1", LineKind.CHARGE, 1000, "KRW", Outcome.SUCCEEDED, "op-a", "x1", "pay_1")
GIVEN_BACK = replace(CHARGED, id=UUID(int=2), kind=LineKind.REFUND, amount=400, operation_ref="x2")
CHARGE = Line(1, "charge", 1000, 40, "KRW", "x1", "pay_1", "op-a")
REFUND = Line(2, "refund", -400, 0, "KRW", "x2", "pay_1", "op-a")


def found(*lines: Line, books: tuple[Movement, ...] = (CHARGED, GIVEN_BACK), terms: Terms = TERMS) -> list[Finding]:
    return [one.finding for one in reconcile(lines, books, terms)]


def test_what_both_sides_say_alike_is_matched() -> None:
    assert found(CHARGE, REFUND) == [Finding.MATCHED, Finding.MATCHED]


@pytest.mark.parametrize("kept", ["operation_ref", "merchant_ref", "reference"])
def test_any_one_name_suffices_to_pair(kept: str) -> None:
    dropped: dict[str, Any] = {name: None for name in ("operation_ref", "merchant_ref", "reference") if name != kept}
    assert found(replace(CHARGE, **dropped), replace(REFUND, **dropped)) == [Finding.MATCHED, Finding.MATCHED]


@pytest.mark.parametrize(
    ("changed", "finding"),
    [
        ({"gross": 1001}, Finding.AMOUNT_MISMATCH),
        ({"gross": -1000}, Finding.AMOUNT_MISMATCH),
        ({"gross": 1001, "operation_ref": None}, Finding.AMOUNT_MISMATCH),
        ({"currency": "USD"}, Finding.AMOUNT_MISMATCH),
        ({"fee": 41}, Finding.FEE_VARIANCE),
        ({"repeats": 1}, Finding.DUPLICATE_LINE),
        ({"merchant_ref": "op-z", "operation_ref": "x9", "reference": "pay_9"}, Finding.MISSING_IN_OPMS),
        ({"kind": "chargeback"}, Finding.MISSING_IN_OPMS),
        ({"kind": "adjustment"}, Finding.MISSING_IN_OPMS),
        ({"kind": "something_new"}, Finding.MISSING_IN_OPMS),
        ({"kind": "payout"}, Finding.BOOKKEEPING),
        ({"kind": "fee"}, Finding.BOOKKEEPING),
    ],
)
def test_what_differs_is_named(changed: dict[str, Any], finding: Finding) -> None:
    assert found(replace(CHARGE, **changed)) == [finding]


@pytest.mark.parametrize(
    ("changed", "finding"),
    [
        ({}, Finding.CHANGED_LINE),
        ({"fee": 41}, Finding.FEE_VARIANCE),
        ({"gross": 999}, Finding.AMOUNT_MISMATCH),
        ({"repeats": 1}, Finding.DUPLICATE_LINE),
        ({"kind": "fee"}, Finding.CHANGED_LINE),
        ({"kind": "payout"}, Finding.BOOKKEEPING),
    ],
)
def test_a_line_that_says_something_else_than_before_is_never_in_order(
    changed: dict[str, Any], finding: Finding
) -> None:
    [judged] = reconcile([replace(CHARGE, restated=Restated(900, 960), **changed)], (CHARGED,), TERMS)
    assert judged.finding is finding
    if finding is Finding.CHANGED_LINE:
        assert (judged.expected, judged.actual) == (900, 960)
        assert judged.paired == (CHARGED if judged.line.kind == "charge" else None)


def test_every_case_has_a_desk_by_what_can_explain_it() -> None:
    at_operations = {finding for finding in EXCEPTIONS if desk_of(finding) is Desk.OPERATIONS}
    assert at_operations == {Finding.MISSING_IN_OPMS, Finding.STATUS_MISMATCH}
    assert {desk_of(finding) for finding in EXCEPTIONS} == set(Desk)


REVERSED = replace(REFUND, id=3, kind="reversal", gross=400)


@pytest.mark.parametrize(
    ("line", "taken_back", "finding"),
    [
        (REVERSED, 0, Finding.STATUS_MISMATCH),
        (REVERSED, 400, Finding.MATCHED),
        (REVERSED, 300, Finding.STATUS_MISMATCH),
        (replace(REVERSED, operation_ref="unheard"), 400, Finding.MATCHED),
        (replace(REVERSED, gross=401, operation_ref="unheard"), 400, Finding.MISSING_IN_OPMS),
        (replace(REVERSED, gross=-1000, operation_ref="x1"), 0, Finding.STATUS_MISMATCH),
    ],
)
def test_what_a_pg_takes_back_is_held_against_the_movement_that_it_undoes(
    line: Line, taken_back: int, finding: Finding
) -> None:
    refund = replace(GIVEN_BACK, reversed_amount=taken_back)
    [judged] = reconcile([line], (CHARGED, refund), TERMS)
    assert (judged.finding, judged.paired) == (finding, None)
    if finding is not Finding.MISSING_IN_OPMS:
        assert judged.about == (CHARGED if line.gross < 0 else refund)


def test_a_reversal_that_is_told_twice_is_not_matched_twice() -> None:
    refund = replace(GIVEN_BACK, reversed_amount=400)
    other = replace(refund, id=UUID(int=7), operation_ref="x7", reversed_amount=0)
    again = replace(REVERSED, id=8, operation_ref=None)
    first = replace(REVERSED, operation_ref=None)
    assert found(first, again, books=(CHARGED, refund)) == [Finding.MATCHED, Finding.MISSING_IN_OPMS]
    assert found(first, again, books=(CHARGED, other, refund)) == [Finding.MATCHED, Finding.STATUS_MISMATCH]
    assert found(replace(REVERSED, repeats=1), books=(CHARGED, refund)) == [Finding.DUPLICATE_LINE]


def test_a_captured_payment_that_failed_after_all_is_matched_with_the_line_that_says_so() -> None:
    gone = replace(CHARGED, reversed_amount=1000)
    line = replace(CHARGE, id=4, kind="reversal", gross=-1000)
    assert found(CHARGE, line, books=(gone,)) == [Finding.MATCHED, Finding.MATCHED]


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.SUCCEEDED])
def test_only_a_success_of_our_books_may_be_settled(outcome: Outcome) -> None:
    assert found(CHARGE, books=(replace(CHARGED, outcome=outcome),)) == [Finding.STATUS_MISMATCH]


def test_a_second_line_about_one_operation_is_a_duplicate_also_in_a_later_reading() -> None:
    again = replace(CHARGE, id=9)
    assert found(CHARGE, again) == [Finding.MATCHED, Finding.DUPLICATE_LINE]
    assert found(again, books=(replace(CHARGED, settled=True),)) == [Finding.DUPLICATE_LINE]


def test_a_duplicate_does_not_take_the_place_of_another_operation_of_the_same_amount() -> None:
    twin = replace(CHARGED, id=UUID(int=3), operation_ref="x3")
    assert found(CHARGE, replace(CHARGE, id=9), books=(CHARGED, twin)) == [Finding.MATCHED, Finding.DUPLICATE_LINE]


def test_two_equal_refunds_without_names_of_their_own_are_two() -> None:
    lines = [replace(REFUND, id=n, operation_ref=None) for n in (1, 2, 3)]
    books = (CHARGED, GIVEN_BACK, replace(GIVEN_BACK, id=UUID(int=3), operation_ref="x3"))
    assert found(*lines, books=books) == [Finding.MATCHED, Finding.MATCHED, Finding.DUPLICATE_LINE]


def test_without_a_contract_no_fee_is_compared() -> None:
    assert found(replace(CHARGE, fee=77), terms=replace(TERMS, fee=None)) == [Finding.MATCHED]


@given(st.integers(0, 10**12), st.integers(0, 10_000), st.integers(0, 10**6))
def test_a_fee_is_rounded_half_up_to_the_unit(amount: int, points: int, fixed: int) -> None:
    twice = 2 * (Fee(points, fixed).of(amount) - fixed) * 10_000
    exact = 2 * amount * points
    assert exact - 10_000 < twice <= exact + 10_000


DAY = date(2026, 11, 20)


def test_a_movement_is_missing_only_when_every_day_of_its_line_was_read() -> None:
    days = [DAY + timedelta(days=k) for k in range(5)]
    assert waiting(DAY, DAY, days[:3], 2) is Finding.MISSING_AT_PG
    assert waiting(DAY, DAY, days[:2], 2) is Finding.TIMING
    assert waiting(DAY, DAY, [days[0], days[2], days[3]], 2) is Finding.TIMING
    assert waiting(DAY, days[1], days[:3], 2) is Finding.TIMING
    assert waiting(DAY, days[1], days[:4], 2) is Finding.MISSING_AT_PG
    assert waiting(DAY, DAY, [], 0) is Finding.TIMING


def test_a_payout_is_its_lines_to_the_last_unit() -> None:
    assert payout_finding(960, 960) is Finding.MATCHED
    assert payout_finding(960, 959) is Finding.PAYOUT_MISMATCH
    assert payout_finding(960, None) is Finding.TIMING


NAMES = st.sampled_from([None, "a", "b", "c", "d"])
MOVEMENTS = st.builds(
    Movement,
    id=st.uuids(),
    store=st.just("demo"),
    number=st.just("N-1"),
    kind=st.sampled_from([LineKind.CHARGE, LineKind.REFUND]),
    amount=st.integers(1, 3),
    currency=st.sampled_from(["KRW", "USD"]),
    outcome=st.sampled_from(Outcome),
    merchant_ref=st.sampled_from("abcd"),
    operation_ref=NAMES,
    reference=NAMES,
    settled=st.booleans(),
)
LINES = st.builds(
    Line,
    id=st.integers(1, 10**6),
    kind=st.sampled_from([*LineKind, "never_heard_of"]).map(str),
    gross=st.integers(-3, 3),
    fee=st.integers(0, 1),
    currency=st.sampled_from(["KRW", "USD"]),
    operation_ref=NAMES,
    reference=NAMES,
    merchant_ref=NAMES,
    repeats=st.integers(0, 1),
)
SETTLEMENTS = st.lists(LINES, max_size=8, unique_by=lambda line: line.id)
BOOKS = st.lists(MOVEMENTS, max_size=8, unique_by=lambda movement: movement.id)


def sound(one: Judged) -> bool:
    """Matched means: the same kind, amount and currency, of a movement that has succeeded and was free."""
    ours, line = one.paired, one.line
    return (
        ours is not None
        and ours.outcome is Outcome.SUCCEEDED
        and not ours.settled
        and (ours.kind, ours.signed, ours.currency) == (line.kind, line.gross, line.currency)
        and not line.repeats
        and any(
            getattr(line, name) and getattr(line, name) == getattr(ours, name)
            for name in ("operation_ref", "merchant_ref", "reference")
        )
    )


@given(SETTLEMENTS, BOOKS)
def test_every_line_is_judged_once_and_matched_means_equal(lines: list[Line], books: list[Movement]) -> None:
    judged = reconcile(lines, books, Terms())
    assert [one.line for one in judged] == lines
    assert all(sound(one) for one in judged if one.finding is Finding.MATCHED)
    assert all(one.finding in EXCEPTIONS for one in judged if one.line.kind not in set(LineKind))


@given(SETTLEMENTS, BOOKS)
def test_no_movement_is_paired_twice(lines: list[Line], books: list[Movement]) -> None:
    paired = Counter(one.paired.id for one in reconcile(lines, books, Terms()) if one.paired)
    assert max(paired.values(), default=1) == 1
    assert not paired.keys() & {m.id for m in books if m.settled}


@given(BOOKS.map(lambda books: [replace(m, settled=False, outcome=Outcome.SUCCEEDED) for m in books]), st.randoms())
def test_a_settlement_that_says_what_the_books_say_is_matched_in_any_order(books: list[Movement], dice: Random) -> None:
    named = [replace(m, operation_ref=f"x{n}") for n, m in enumerate(books)]
    lines = [
        Line(n, m.kind.value, m.signed, 0, m.currency, m.operation_ref, m.reference, m.merchant_ref)
        for n, m in enumerate(named)
    ]
    dice.shuffle(lines)
    assert {one.finding for one in reconcile(lines, named, Terms())} <= {Finding.MATCHED}
    again = reconcile(lines, [replace(m, settled=True) for m in named], Terms())
    assert {one.finding for one in again} <= {Finding.DUPLICATE_LINE}


@given(BOOKS.map(lambda books: [replace(m, settled=False, outcome=Outcome.SUCCEEDED) for m in books]))
def test_without_names_of_operations_equal_sums_still_match(books: list[Movement]) -> None:
    lines = [Line(n, m.kind.value, m.signed, 0, m.currency, None, None, m.merchant_ref) for n, m in enumerate(books)]
    assert {one.finding for one in reconcile(lines, books, Terms())} <= {Finding.MATCHED}
