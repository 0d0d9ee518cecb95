"""Faults that a test arms: deterministic, first armed is first fired, every firing logged with its ledger effect."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

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
    WRONG_AMOUNT = "wrong_amount"
    WEBHOOK_DUPLICATE = "webhook_duplicate"
    WEBHOOK_LATE = "webhook_late"
    WEBHOOK_NEVER = "webhook_never"

    @property
    def about_webhooks(self) -> bool:
        """True: strikes the next webhook event, not the next request."""
        return self.value.startswith("webhook_")

    @property
    def before_effect(self) -> bool:
        """True: the request is not executed."""
        return self in {FaultKind.REFUSE, FaultKind.DROP_BEFORE, FaultKind.ERROR_BEFORE}


@dataclass(slots=True)
class Armed:
    """A fault that waits. ``account`` or ``operation`` None: any. ``ms`` is used by delay and webhook_late."""

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
    """One firing. ``effect`` lists what the struck request wrote into the ledger."""

    fault_id: int
    fault: FaultKind
    account: str
    operation: str
    idempotency_key: str | None
    at: str
    ms: int
    effect: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The shape of ``GET /_faults`` -> ``fired``."""
        names = ("fault_id", "fault", "account", "operation", "idempotency_key", "at", "ms", "effect")
        return {name: getattr(self, name) for name in names}


class FaultBook:
    """What is armed and what has fired. In memory: a restart disarms everything."""

    def __init__(self) -> None:
        self._armed: list[Armed] = []
        self._fired: deque[Fired] = deque(maxlen=_REMEMBERED)
        self._last_id = 0

    def arm(self, fault: FaultKind, *, account: str | None, operation: str | None, times: int, ms: int) -> Armed:
        """Put a fault at the end of the queue."""
        self._last_id += 1
        armed = Armed(self._last_id, fault, account, operation, times, ms, left=times)
        self._armed.append(armed)
        return armed

    def disarm(self) -> int:
        """Forget all armed faults (the log stays) and say how many there were."""
        count = len(self._armed)
        self._armed.clear()
        return count

    def fire(self, account: str, operation: str, *, key: str | None, now: float, webhook: bool = False) -> Fired | None:
        """The first armed fault that matches, used up by one; None when nothing matches. ``now``: Unix seconds."""
        for armed in self._armed:
            if armed.fault.about_webhooks != webhook:
                continue
            if armed.account not in {None, account} or armed.operation not in {None, operation}:
                continue
            armed.left -= 1
            if armed.left == 0:
                self._armed.remove(armed)
            fired = Fired(armed.id, armed.fault, account, operation, key, iso(now), armed.ms)
            self._fired.append(fired)
            return fired
        return None

    def as_json(self) -> dict[str, Any]:
        """The answer of ``GET /_faults``, oldest first."""
        return {"armed": [one.as_json() for one in self._armed], "fired": [one.as_json() for one in self._fired]}
