"""Every pair of every table is visited: it is allowed as the domain page says, or refused with what is allowed."""

from enum import StrEnum
from itertools import product

import pytest

from domain.errors import IllegalTransition
from domain.gateway import Outcome
from domain.states import (
    TABLES,
    TERMINAL,
    BalanceState,
    ChangeStatus,
    FulfillmentStatus,
    ItemState,
    LegStatus,
    OrderStatus,
    PaidStatus,
    RefundStatus,
    RequestStatus,
    ReturnState,
    ReturnStatus,
    RmaStatus,
    SectionStatus,
    TenderStatus,
    move,
)

PAGE: dict[type[StrEnum], str] = {
    ItemState: """
        pending > allocated backordered canceled
        backordered > allocated canceled
        allocated > preparing backordered canceled
        preparing > shipped allocated canceled
        shipped > delivered lost returned_to_sender
        returned_to_sender > allocated canceled
        delivered > ; lost > ; canceled >""",
    ReturnState: """
        none > requested
        requested > approved none
        approved > received none
        received > accepted rejected
        accepted > ; rejected >""",
    SectionStatus: """
        awaiting_payment > open expired canceled
        open > on_hold completed canceled
        on_hold > open completed canceled
        completed > open
        expired > ; canceled >""",
    OrderStatus: """
        pending_payment > placed expired canceled
        placed > on_hold completed canceled
        on_hold > placed completed canceled
        completed > placed
        expired > ; canceled >""",
    RequestStatus: """
        open > partially_paid paid expired canceled
        partially_paid > paid expired canceled
        paid > ; expired > ; canceled >""",
    TenderStatus: """
        created > processing declined canceled expired
    processing > authorized action_required awaiting_deposit captured declined unknown conflicted expired manual_review
        action_required > processing awaiting_deposit authorized captured expired canceled declined unknown \
            conflicted manual_review
        awaiting_deposit > processing authorized captured expired canceled declined unknown conflicted manual_review
        unknown > processing action_required awaiting_deposit authorized captured declined expired \
            conflicted manual_review
        conflicted > processing authorized captured declined expired manual_review
        manual_review > processing authorized captured declined voided expired
        authorized > partially_captured captured voided expired
        partially_captured > authorized captured voided
        declined > processing
        captured > authorized partially_captured
        voided > ; expired > ; canceled >""",
    RefundStatus: """
        requested > planned canceled
        planned > executing canceled
        executing > succeeded partially_executed
        partially_executed > executing
        succeeded > executing
        canceled >""",
    LegStatus: """
        reserved > sent
        sent > succeeded pending failed unknown
        pending > succeeded failed
        unknown > succeeded failed pending
        succeeded > reversed
        failed > ; reversed >""",
    RmaStatus: """
        requested > approved denied canceled
        approved > partially_received received expired canceled
        partially_received > received closed
        received > closed
        closed > ; denied > ; expired > ; canceled >""",
    ChangeStatus: """
        draft > awaiting_payment confirmed canceled expired
        awaiting_payment > confirmed canceled expired
        confirmed > ; canceled > ; expired >""",
    Outcome: """
        initiated > succeeded pending action_required declined not_executed unknown
        pending > succeeded action_required declined not_executed unknown
        action_required > succeeded pending declined not_executed unknown
        unknown > succeeded pending action_required declined not_executed
        succeeded > ; declined > ; not_executed >""",
}


def moves_of(states: type[StrEnum]) -> dict[str, set[str]]:
    """The page's rows for one axis."""
    rows = PAGE[states].replace(";", "\n").strip().splitlines()
    return {old.strip(): set(new.split()) for old, _, new in (row.partition(">") for row in rows)}


def test_every_table_has_its_page_and_every_state_its_row() -> None:
    assert set(TABLES) == set(PAGE)
    for states in TABLES:
        assert set(moves_of(states)) == {state.value for state in states} == set(TABLES[states])


@pytest.mark.parametrize(
    ("old", "new"),
    [pair for states in PAGE for pair in product(states, states)],
    ids=lambda state: f"{type(state).__name__}.{state}",
)
def test_a_move_is_allowed_by_its_table_or_refused_with_what_is(old: StrEnum, new: StrEnum) -> None:
    allowed = moves_of(type(old))[old.value]
    if new == old or new.value in allowed:
        assert move(old, new, what="it") is new
        return
    with pytest.raises(IllegalTransition) as refusal:
        move(old, new, what="the thing 7")
    figures = refusal.value.figures
    assert (figures["from"], figures["to"], set(figures["allowed"])) == (old.value, new.value, allowed)
    assert {type(word) for word in (figures["from"], figures["to"], *figures["allowed"])} == {str}
    assert all(word in refusal.value.detail for word in ("the thing 7", old.value, new.value, *allowed))


@pytest.mark.parametrize("states", PAGE, ids=lambda states: states.__name__)
def test_terminal_states_are_those_that_nothing_leaves(states: type[StrEnum]) -> None:
    assert {state.value for state in TERMINAL[states]} == {old for old, new in moves_of(states).items() if not new}


@pytest.mark.parametrize("states", PAGE, ids=lambda states: states.__name__)
def test_every_state_can_be_reached_from_the_first(states: type[StrEnum]) -> None:
    reached, edge = set(), {next(iter(states))}
    while edge:
        reached |= edge
        edge = {new for old in edge for new in TABLES[states][old]} - reached
    assert reached == set(states)


def test_a_word_of_another_axis_is_no_move_even_where_the_words_are_equal() -> None:
    with pytest.raises(TypeError, match="one axis"):
        move(OrderStatus.PLACED, SectionStatus.CANCELED, what="order")


@pytest.mark.parametrize(
    "states", [FulfillmentStatus, PaidStatus, ReturnStatus, BalanceState], ids=lambda states: states.__name__
)
def test_derived_statuses_are_computed_and_never_moved(states: type[StrEnum]) -> None:
    first, second = list(states)[:2]
    with pytest.raises(TypeError, match="one axis"):
        move(first, second, what="order")


def test_the_derived_words_are_those_of_the_page() -> None:
    words = {
        FulfillmentStatus: "unfulfilled backordered partially_shipped shipped partially_delivered delivered canceled",
        PaidStatus: "unpaid partially_authorized authorized partially_paid paid overpaid partially_refunded refunded",
        ReturnStatus: "none requested in_progress partially_returned returned",
        BalanceState: "due settled credit",
    }
    assert {states: " ".join(states) for states in words} == words
