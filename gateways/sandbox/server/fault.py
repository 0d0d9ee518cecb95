"""What can be made to go wrong at the sandbox PG: deterministic, and every firing logged with its ledger effect.

A request that names its own fault in its header is struck by that; else the first armed fault that matches strikes;
else the seeded plan draws.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from gateways.sandbox.server.storage import iso

_REMEMBERED = 10_000


class FaultKind(StrEnum):
    """What can be made to go wrong. ``before`` and ``after`` mean: the effect in the ledger."""

    REFUSE = "refuse"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    DELAY = "delay"
    ERROR_BEFORE = "500_before"
    ERROR_AFTER = "500_after"
    GARBAGE = "garbage"
    TRUNCATED = "truncated"
    WRONG_AMOUNT = "wrong_amount"
    CLOCK_SKEW = "clock_skew"
    WEBHOOK_DUPLICATE = "webhook_duplicate"
    WEBHOOK_LATE = "webhook_late"
    WEBHOOK_REORDERED = "webhook_reordered"
    WEBHOOK_NEVER = "webhook_never"

    @property
    def before_effect(self) -> bool:
        """True: the request is not executed."""
        return self in {FaultKind.REFUSE, FaultKind.DROP_BEFORE, FaultKind.ERROR_BEFORE}


class Moment(StrEnum):
    """When a fault can strike."""

    REQUEST = "request"
    RESULT = "result"
    """Something is about to be told that no struck request has caused: a result that was waited for."""
    EVENT = "event"
    """A webhook event is put into the outbox."""


EVENT_FAULTS = frozenset(kind for kind in FaultKind if kind.value.startswith("webhook_"))
STRIKES = {
    Moment.REQUEST: frozenset(FaultKind) - EVENT_FAULTS,
    Moment.RESULT: frozenset({FaultKind.CLOCK_SKEW}),
    Moment.EVENT: EVENT_FAULTS,
}
"""Which faults can strike when."""


class Plan(Protocol):
    """Faults by lot, as `gateways.sandbox.server.plan.SeededPlan` draws them."""

    @property
    def ms(self) -> int:
        """For the faults that want milliseconds."""

    def draw(self, account: str, operation: str, moment: Moment) -> FaultKind | None:
        """What strikes the next one, if anything."""

    def as_json(self) -> dict[str, Any]:
        """The shape of ``GET /_faults`` -> ``plan``."""


@dataclass(slots=True)
class Asked:
    """The fault that a request names in its own header. Strikes once; ``ms`` as in `Armed`."""

    fault: FaultKind
    ms: int
    spent: bool = False


ASKED: ContextVar[Asked | None] = ContextVar("asked", default=None)
"""Of the request that is being served."""


@dataclass(slots=True)
class Armed:
    """A fault that waits. ``account`` or ``operation`` None: any.

    ``ms`` is how long ``delay`` and ``webhook_late`` hold back, ``webhook_reordered`` at most; how far ``clock_skew``
    is ahead, or behind if negative.
    """

    id: int
    fault: FaultKind
    account: str | None
    operation: str | None
    times: int
    ms: int
    left: int

    def as_json(self) -> dict[str, Any]:
        """The shape of ``GET /_faults`` -> ``armed``."""
        return {name: getattr(self, name) for name in ("id", "fault", "account", "operation", "times", "ms", "left")}


@dataclass(slots=True)
class Fired:
    """One firing. ``effect`` lists what the struck request wrote into the ledger; an event writes nothing.

    ``by`` is ``armed``, ``header`` or ``plan``; ``fault_id`` is the armed fault's, else None.
    """

    fault_id: int | None
    by: str
    fault: FaultKind
    account: str
    operation: str
    idempotency_key: str | None
    at: str
    ms: int
    event_id: str | None = None
    effect: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The shape of ``GET /_faults`` -> ``fired``."""
        names = ("fault_id", "by", "fault", "account", "operation", "idempotency_key", "at", "ms", "event_id", "effect")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Target:
    """What may be struck. ``key`` is the request's idempotency key, ``event_id`` the event's id, where there is one."""

    account: str
    operation: str
    key: str | None = None
    event_id: str | None = None


class FaultBook:
    """What is armed, what has fired, and how wrong the PG's clock is just now. In memory: a restart disarms all."""

    def __init__(self) -> None:
        self._armed: list[Armed] = []
        self._fired: deque[Fired] = deque(maxlen=_REMEMBERED)
        self._plan: Plan | None = None
        self._last_id = 0
        self.skew = 0.0
        """Seconds by which the PG's own clock is ahead, while what a ``clock_skew`` has struck is done."""

    def arm(self, fault: FaultKind, *, account: str | None, operation: str | None, times: int, ms: int) -> Armed:
        """Put a fault at the end of the queue."""
        self._last_id += 1
        armed = Armed(self._last_id, fault, account, operation, times, ms, left=times)
        self._armed.append(armed)
        return armed

    def follow(self, plan: Plan) -> None:
        """Draw from this plan from now on, and from no other."""
        self._plan = plan

    def disarm(self) -> int:
        """Forget all armed faults and the plan (the log stays) and say how many there were."""
        count = len(self._armed) + (self._plan is not None)
        self._armed.clear()
        self._plan = None
        return count

    def fire(self, target: Target, moment: Moment, *, now: float) -> Fired | None:
        """What strikes, used up by one; None when nothing does. ``now``: Unix seconds.

        The plan draws for each of its calls, whether or not something else strikes, so that it stays in step.
        """
        drawn = None if self._plan is None else self._plan.draw(target.account, target.operation, moment)
        fired = self._by_header(target, moment, now) or self._by_queue(target, moment, now)
        if fired is None and drawn is not None and self._plan is not None:
            fired = _fired(target, now, by="plan", fault=drawn, ms=self._plan.ms)
        if fired is not None:
            self._fired.append(fired)
        return fired

    @contextmanager
    def off_by(self, fired: Fired | None) -> Iterator[None]:
        """The PG's clock is as wrong inside as a fired ``clock_skew`` says. Nothing may be awaited inside."""
        before = self.skew
        if fired is not None and fired.fault is FaultKind.CLOCK_SKEW:
            self.skew = fired.ms / 1000
        try:
            yield
        finally:
            self.skew = before

    def as_json(self) -> dict[str, Any]:
        """The answer of ``GET /_faults``, oldest first."""
        return {
            "armed": [one.as_json() for one in self._armed],
            "plan": None if self._plan is None else self._plan.as_json(),
            "fired": [one.as_json() for one in self._fired],
        }

    def _by_header(self, target: Target, moment: Moment, now: float) -> Fired | None:
        asked = ASKED.get()
        if asked is None or asked.spent or asked.fault not in STRIKES[moment]:
            return None
        asked.spent = True
        return _fired(target, now, by="header", fault=asked.fault, ms=asked.ms)

    def _by_queue(self, target: Target, moment: Moment, now: float) -> Fired | None:
        for armed in self._armed:
            if armed.fault not in STRIKES[moment]:
                continue
            if armed.account not in {None, target.account} or armed.operation not in {None, target.operation}:
                continue
            armed.left -= 1
            if armed.left == 0:
                self._armed.remove(armed)
            return _fired(target, now, by="armed", fault=armed.fault, ms=armed.ms, fault_id=armed.id)
        return None


def _fired(target: Target, now: float, *, by: str, fault: FaultKind, ms: int, fault_id: int | None = None) -> Fired:
    return Fired(
        fault_id=fault_id,
        by=by,
        fault=fault,
        account=target.account,
        operation=target.operation,
        idempotency_key=target.key,
        at=iso(now),
        ms=ms,
        event_id=target.event_id,
    )
