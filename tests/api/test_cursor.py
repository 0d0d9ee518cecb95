"""Cursors come back as they went out, and not otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cursor import decode, encode
from api.problem import Refused

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
"""What Postgres holds as text."""
VALUES = st.lists(st.none() | st.integers(-(2**63), 2**63) | TEXT, min_size=1, max_size=4)


@given(VALUES)
def test_a_cursor_comes_back_as_it_went_out(values: list[str | int | None]) -> None:
    assert decode(encode(values), len(values)) == values


@given(VALUES, st.data())
def test_a_changed_cursor_is_refused(values: list[str | int | None], data: st.DataObject) -> None:
    cursor = encode(values)
    place = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_").filter(lambda letter: letter != cursor[place]))
    with pytest.raises(Refused) as refused:
        decode(cursor[:place] + other + cursor[place + 1 :], len(values))
    assert refused.value.problem.code == "invalid_cursor"
    assert refused.value.problem.flaws[0].pointer == "/query/cursor"


@pytest.mark.parametrize("cursor", ["", "x", "%%%", "null", "한글", "W10", "AAAA" * 3])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Refused):
        decode(cursor, 1)


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(Refused):
        decode(encode(["a", "b"]), 1)
