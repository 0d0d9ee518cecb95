"""Circuits: what opens them, who probes, what closes them; declines never count."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.gateway import Answer, Decline, Outcome, Retry
from domain.health import (
    PROBE_LEASE,
    RETRY_AFTER,
    SUCCESSES,
    WINDOW,
    Circuit,
    CircuitState,
    Heard,
    answered,
    condition_of,
    failed,
    heard,
    state_of,
)
from domain.resolution import Ask
from tests.domain.desk import Desk, a_checkout

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
CARD = Circuit("a", "card")


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def failing(*seconds: float, answered_before: int = 0) -> Circuit:
    """A circuit after failures at these times, and so many answers before each."""
    circuit = CARD
    for at in seconds:
        circuit = failed(circuit, after(at), answered_before=answered_before)
    return circuit


def opened() -> Circuit:
    return replace(CARD, window=(NOON,) * 5, opened_at=NOON)


@pytest.mark.parametrize(
    ("circuit", "is_open"),
    [
        (failing(0, 1, 2, 3), False),
        (failing(0, 15, 30, 45, 60), True),
        (failed(replace(CARD, window=(None,) * 20), NOON), False),
        (failing(*range(2), answered_before=1), False),
        (failing(*range(9), answered_before=1), True),
        (failing(*range(50), answered_before=2), False),
    ],
    ids=["four", "five within a minute", "one of twenty", "half, but few", "half", "a third"],
)
def test_what_opens_a_circuit(circuit: Circuit, is_open: bool) -> None:
    assert (circuit.opened_at is not None) is is_open


def test_five_in_a_row_over_more_than_a_minute_open_it_only_by_their_share() -> None:
    healthy = replace(CARD, window=(None,) * 20)
    for at in (0, 20, 40, 60, 80):
        healthy = failed(healthy, after(at))
    assert healthy.opened_at is None
    for at in (100, 120, 140, 160, 180):
        healthy = failed(healthy, after(at))
    assert healthy.opened_at == after(180)


def test_it_is_half_open_after_half_a_minute_and_lets_one_probe_through() -> None:
    circuit = opened()
    assert state_of(circuit, NOON + RETRY_AFTER - timedelta(microseconds=1)) is CircuitState.OPEN
    later = NOON + RETRY_AFTER
    assert state_of(circuit, later) is CircuitState.HALF_OPEN
    assert condition_of(circuit, later).may_probe
    probing = replace(circuit, probe_at=later)
    assert not condition_of(probing, later).may_probe
    assert not condition_of(probing, later + PROBE_LEASE - timedelta(microseconds=1)).may_probe
    assert condition_of(probing, later + PROBE_LEASE).may_probe


def test_three_answers_close_it_and_forget_what_was() -> None:
    circuit = replace(opened(), probe_at=after(30))
    for count in range(1, SUCCESSES):
        circuit = answered(circuit)
        assert (circuit.successes, circuit.probe_at) == (count, None)
        assert state_of(circuit, after(40)) is CircuitState.HALF_OPEN
    assert answered(circuit) == CARD
    assert answered(CARD) == CARD


def test_a_probe_that_fails_opens_it_again_and_the_answers_count_anew() -> None:
    circuit = failed(answered(answered(opened())), after(40))
    assert (circuit.opened_at, circuit.successes, circuit.probe_at) == (after(40), 0, None)
    assert state_of(circuit, after(69)) is CircuitState.OPEN


def test_what_was_sent_before_it_opened_does_not_keep_it_open() -> None:
    assert failed(opened(), after(10)).opened_at == NOON


@given(st.lists(st.tuples(st.sampled_from(["fail", "answer"]), st.integers(0, 50), st.integers(0, 25)), max_size=60))
def test_a_circuit_remembers_no_more_than_its_window_and_is_open_for_a_reason(
    events: list[tuple[str, int, int]],
) -> None:
    circuit, now = CARD, NOON
    for kind, seconds, before in events:
        now += timedelta(seconds=seconds)
        was = circuit
        circuit = failed(circuit, now, answered_before=before) if kind == "fail" else answered(circuit)
        assert len(circuit.window) <= WINDOW
        failures = sum(call is not None for call in circuit.window)
        if circuit.opened_at and was.opened_at is None:
            last = [call for call in circuit.window[-5:] if call]
            assert 2 * failures >= len(circuit.window) >= 5 or (last[-1] - last[0]).total_seconds() <= 60
        if circuit.opened_at is None and was.opened_at:
            assert kind == "answer"


DECLINED = Answer(Outcome.DECLINED, decline=Decline("funds", "51", "no", Retry.OTHER_PG))


@pytest.mark.parametrize(
    ("asked", "answer", "circuit", "expected"),
    [
        (Ask.SEND, Answer(Outcome.UNKNOWN), "closed", Heard("a", "card", technical=True)),
        (Ask.SEND, Answer(Outcome.NOT_EXECUTED), "closed", Heard("a", "card", technical=True)),
        (Ask.SEND, Answer(Outcome.NOT_EXECUTED), "half_open", Heard("a", "card", technical=True)),
        (Ask.LOOKUP, Answer(Outcome.UNKNOWN), "closed", None),
        (Ask.SEND, DECLINED, "closed", None),
        (Ask.SEND, Answer(Outcome.SUCCEEDED), "closed", None),
        (Ask.SEND, DECLINED, "half_open", Heard("a", "card", technical=False)),
        (Ask.SEND, Answer(Outcome.SUCCEEDED), "open", Heard("a", "card", technical=False)),
        (Ask.SEND, Answer(Outcome.PENDING), "half_open", Heard("a", "card", technical=False)),
    ],
)
def test_only_failures_and_probes_say_something(
    asked: Ask, answer: Answer, circuit: str, expected: Heard | None
) -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    operation = desk.order.operations[0]
    attempt = desk.order.attempt(operation.attempt_id)
    order = desk.order.put(replace(attempt, decision={"circuit": circuit}))
    assert heard(order, operation, asked, answer) == expected
    ended = replace(operation, outcome=Outcome.SUCCEEDED)
    assert heard(order.put(ended), ended, asked, answer) is None
