"""Circuits: whether a PG account is working, for each method, by its technical failures alone.

A failure is a call without a usable answer (no connection, no answer in time, 5xx); a decline is an answer. A circuit
opens at `CONSECUTIVE` failures in a row within `WITHIN`, or when half of the last `WINDOW` calls failed. After
`RETRY_AFTER` it is half-open: one payment at a time goes there as a probe; `SUCCESSES` answers close it, a failure
opens it again. A circuit keeps new payments away, nothing else: captures and refunds have ladders of their own.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.gateway import Answer, OperationKind, Outcome
from domain.order import Order
from domain.payment import UNRESOLVED, Operation
from domain.resolution import Ask

WINDOW = 20
"""So many calls are remembered."""
LEAST = 5
"""Fewer calls say nothing about a share of failures."""
CONSECUTIVE = 5
WITHIN = timedelta(seconds=60)
RETRY_AFTER = timedelta(seconds=30)
SUCCESSES = 3
PROBE_LEASE = timedelta(seconds=60)
"""A probe that has told nothing for so long is given up; longer than a call may take."""

TECHNICAL = frozenset({Outcome.UNKNOWN, Outcome.NOT_EXECUTED})


class CircuitState(StrEnum):
    """Closed: all payments. Open: none. Half-open: one at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Circuit:
    """One method at one account. ``window``: the last calls, oldest first, a failure's time or None for an answer."""

    account: str
    method: str
    window: tuple[datetime | None, ...] = ()
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    """When the probe that is on its way was chosen."""
    successes: int = 0
    """Answers since it opened."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A circuit as one decision sees it. ``failures`` of the last calls: the fewer, the less bad."""

    method: str
    state: CircuitState
    may_probe: bool
    failures: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What one call says of an account's health."""

    account: str
    method: str
    technical: bool


def state_of(circuit: Circuit, now: datetime) -> CircuitState:
    """Where the circuit stands at ``now``."""
    if circuit.opened_at is None:
        return CircuitState.CLOSED
    return CircuitState.OPEN if now < circuit.opened_at + RETRY_AFTER else CircuitState.HALF_OPEN


def condition_of(circuit: Circuit, now: datetime) -> Condition:
    """What the router has to know of it."""
    state = state_of(circuit, now)
    free = circuit.probe_at is None or now >= circuit.probe_at + PROBE_LEASE
    failures = sum(call is not None for call in circuit.window)
    return Condition(circuit.method, state, state is CircuitState.HALF_OPEN and free, failures)


def failed(circuit: Circuit, now: datetime, *, answered_before: int = 0) -> Circuit:
    """After a technical failure, before which so many calls were answered that nobody had noted.

    A failure while it is open changes no time: what was sent before it opened must not keep it open.
    """
    window = (*circuit.window, *((None,) * answered_before), now)[-WINDOW:]
    state = state_of(circuit, now)
    if state is CircuitState.HALF_OPEN or (state is CircuitState.CLOSED and _breaks(window)):
        return replace(circuit, window=window, opened_at=now, probe_at=None, successes=0)
    return replace(circuit, window=window)


def answered(circuit: Circuit) -> Circuit:
    """After an answer to a payment that was sent while the circuit was not closed; the last one closes it."""
    if circuit.opened_at is None:
        return circuit
    if circuit.successes + 1 >= SUCCESSES:
        return Circuit(circuit.account, circuit.method)
    return replace(circuit, probe_at=None, successes=circuit.successes + 1)


def heard(order: Order, operation: Operation, asked: Ask, answer: Answer) -> Heard | None:
    """What an answer says of its account's health; None: nothing new, as almost always.

    ``operation`` as it was before the answer. Only what was sent counts: that a lookup finds nothing is no failure.
    Healthy answers matter only where the payment was sent to an account whose circuit was not closed.
    """
    payment = order.payment(operation.payment_id)
    if asked is not Ask.SEND or operation.outcome not in UNRESOLVED or payment.internal:
        return None
    attempt = order.attempt(operation.attempt_id)
    technical = answer.outcome in TECHNICAL
    probing = (attempt.decision or {}).get("circuit", CircuitState.CLOSED) != CircuitState.CLOSED
    if technical or (probing and operation.kind is OperationKind.AUTHORIZE):
        return Heard(attempt.account, payment.method, technical)
    return None


def _breaks(window: tuple[datetime | None, ...]) -> bool:
    last = [call for call in window[-CONSECUTIVE:] if call is not None]
    in_a_row = len(last) == CONSECUTIVE and last[-1] - last[0] <= WITHIN
    failures = sum(call is not None for call in window)
    return in_a_row or (len(window) >= LEAST and 2 * failures >= len(window))
