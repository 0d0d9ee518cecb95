"""Rows that split on divergence keep their line's sums; stock is moved, never made."""

from dataclasses import replace
from itertools import count, pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import IllegalTransition
from domain.section import SHARES, Item, moved, split, stock_moves, take
from domain.states import ItemState

AMOUNTS = st.integers(0, 10**9)


@st.composite
def rows(draw: st.DrawFn) -> Item:
    quantity, unit = draw(st.integers(1, 50)), draw(st.integers(0, 10**6))
    paid = unit * quantity - draw(st.integers(0, unit * quantity))
    return Item(
        id=UUID(int=0),
        order_id=UUID(int=1),
        section_id=UUID(int=2),
        line_id=UUID(int=3),
        position=0,
        sku="TEE",
        name="T-shirt",
        quantity=quantity,
        unit_price=unit,
        tax_rate=1000,
        tracked=True,
        discount=unit * quantity - paid,
        shipping=draw(AMOUNTS),
        tax_included=draw(AMOUNTS),
        shipping_tax=draw(AMOUNTS),
        paid=paid,
        credited=draw(st.integers(0, paid)),
        state=ItemState.ALLOCATED,
    )


@given(row=rows(), cuts=st.lists(st.tuples(st.integers(0, 99), st.integers(1, 50)), max_size=12))
def test_however_often_a_line_splits_its_rows_add_up_to_it(row: Item, cuts: list[tuple[int, int]]) -> None:
    fresh = (UUID(int=n) for n in count(10))
    line = {row.id: row}
    for pick, part in cuts:
        of = list(line.values())[pick % len(line)]
        taken, changed = take(of, min(part, of.quantity), new_id=lambda: next(fresh))
        assert taken.quantity == min(part, of.quantity)
        line |= {r.id: r for r in changed}
    for name in (*SHARES, "discount", "quantity", "gross"):
        assert sum(getattr(r, name) for r in line.values()) == getattr(row, name), name
    for r in line.values():
        assert r.quantity >= 1
        assert r.discount >= 0
        assert 0 <= r.credited <= r.paid == r.gross - r.discount
        assert r.line_id == row.line_id


def test_a_row_that_is_taken_whole_does_not_split() -> None:
    row = _row(3, ItemState.ALLOCATED)
    assert take(row, 3, new_id=lambda: UUID(int=9)) == (row, (row,))
    stays, leaves = split(row, 1, new_id=UUID(int=9))
    assert (stays.quantity, leaves.quantity, leaves.split_from_id) == (2, 1, row.id)


@given(
    states=st.lists(st.sampled_from(list(ItemState)), min_size=1, max_size=6),
    later=st.lists(st.sampled_from(list(ItemState)), min_size=6, max_size=6),
    pieces=st.lists(st.integers(1, 9), min_size=6, max_size=6),
)
def test_stock_that_goes_there_and_back_is_as_it_was(
    states: list[ItemState], later: list[ItemState], pieces: list[int]
) -> None:
    before = [_row(n, s) for n, s in zip(pieces, states, strict=False)]
    after = [_row(n, s) for n, s in zip(pieces, later, strict=False)][: len(before)]
    there, back = stock_moves(before, after), stock_moves(after, before)
    assert there == {sku: tuple(-d for d in deltas) for sku, deltas in back.items()}
    assert stock_moves(before, before) == {}


def test_each_step_of_the_way_moves_stock_as_the_page_says() -> None:
    way = [ItemState.PENDING, ItemState.ALLOCATED, ItemState.PREPARING, ItemState.SHIPPED, ItemState.DELIVERED]
    moves = [stock_moves([_row(2, a)], [_row(2, b)]) for a, b in pairwise(way)]
    assert moves == [{"TEE": (0, -2, 2)}, {}, {"TEE": (-2, 0, -2)}, {}]
    assert stock_moves([], [_row(2, ItemState.PENDING)]) == {"TEE": (0, 2, 0)}
    assert stock_moves([_row(2, ItemState.PENDING)], [_row(2, ItemState.CANCELED)]) == {"TEE": (0, -2, 0)}
    assert stock_moves([], [replace(_row(2, ItemState.PENDING), tracked=False)]) == {}


def test_a_split_moves_no_stock() -> None:
    row = _row(5, ItemState.PREPARING)
    assert stock_moves([row], split(row, 2, new_id=UUID(int=9))) == {}


def test_an_item_moves_only_as_its_table_allows() -> None:
    with pytest.raises(IllegalTransition) as refused:
        moved(_row(1, ItemState.DELIVERED), ItemState.CANCELED)
    assert refused.value.figures == {"from": "delivered", "to": "canceled", "allowed": []}


def _row(quantity: int, state: ItemState) -> Item:
    return Item(
        id=UUID(int=quantity),
        order_id=UUID(int=1),
        section_id=UUID(int=2),
        line_id=UUID(int=3),
        position=0,
        sku="TEE",
        name="T-shirt",
        quantity=quantity,
        unit_price=10,
        tax_rate=0,
        tracked=True,
        paid=10 * quantity,
        state=state,
    )
