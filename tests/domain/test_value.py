"""Gift card codes: easy to type, never taken for a card number, known by their hash."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.value import ALPHABET, code_hash, last_four, new_code

CODES = st.lists(st.sampled_from(ALPHABET), min_size=20, max_size=20)


def code_of(letters: list[str]) -> str:
    left = iter(letters)

    def choose(_: Sequence[str]) -> str:
        return next(left)

    return new_code(choose)


@given(CODES)
def test_a_code_is_five_groups_of_four_without_a_digit_or_a_vowel(letters: list[str]) -> None:
    code = code_of(letters)
    assert [len(group) for group in code.split("-")] == [4] * 5
    assert code.replace("-", "") == "".join(letters)
    assert not set(code) & set("0123456789AEIOUY")
    assert last_four(code) == code[-4:]


@given(CODES, st.sampled_from([" ", "", "-", "\u00a0", " - "]))
def test_however_it_is_typed_it_is_the_same_code(letters: list[str], gap: str) -> None:
    code = code_of(letters)
    assert code_hash(code.lower().replace("-", gap)) == code_hash(code)


@given(CODES, CODES)
def test_other_letters_are_another_code(one: list[str], other: list[str]) -> None:
    assert (code_hash(code_of(one)) == code_hash(code_of(other))) == (one == other)


@pytest.mark.parametrize("code", ["", "-", "\U0001d400"])
def test_whatever_is_typed_has_a_hash(code: str) -> None:
    assert len(code_hash(code)) == 64
