"""What ``POST /_faults`` takes: one fault to arm, or a seeded plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateways.sandbox.server.fault import STRIKES, FaultKind
from gateways.sandbox.server.intake import ACCOUNT, check_fields, whole_number
from gateways.sandbox.server.plan import SeededPlan
from gateways.sandbox.server.refusal import invalid

_ARMED_FIELDS = (frozenset({"fault"}), frozenset({"account", "operation", "times", "ms"}))
_PLAN_FIELDS = (frozenset({"seed", "probabilities"}), frozenset({"account", "operation", "ms"}))
_OPERATIONS = frozenset({"authorize", "capture", "void", "refund", "lookup", "neutralize"})
_ALIASES = {"charge": "authorize"}
_MAX_TIMES = 1_000_000
_MAX_MS = 600_000
_MAX_SKEW_MS = 100 * 365 * 86_400_000
"""Longer than any PG remembers a key."""
_MAX_SEED = 2**63 - 1
_DEFAULT_MS = 3_000
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Arming:
    """A fault to arm, as `FaultBook.arm` takes it."""

    fault: FaultKind
    account: str | None
    operation: str | None
    times: int
    ms: int


def is_plan(body: Mapping[str, Any]) -> bool:
    """Whether a body asks for a plan rather than for one fault."""
    return "seed" in body or "probabilities" in body


def read_arming(body: Mapping[str, Any]) -> Arming:
    """Raises `NotTaken`."""
    check_fields(body, *_ARMED_FIELDS)
    kind = read_kind(body["fault"], "fault")
    times = body.get("times", 1)
    if not whole_number(1, _MAX_TIMES)(times):
        raise invalid("times", f"must be a whole number from 1 to {_MAX_TIMES}")
    return Arming(kind, *_read_scope(body), times, read_milliseconds(body.get("ms"), kind))


def read_plan(body: Mapping[str, Any]) -> SeededPlan:
    """Raises `NotTaken`."""
    check_fields(body, *_PLAN_FIELDS)
    seed, given = body["seed"], body["probabilities"]
    if not whole_number(0, _MAX_SEED)(seed):
        raise invalid("seed", f"must be a whole number from 0 to {_MAX_SEED}")
    if not isinstance(given, dict) or not given or not all(_is_chance(one) for one in given.values()):
        raise invalid("probabilities", "must be an object of fault to a number from 0 to 1")
    chances = {read_kind(name, "probabilities"): float(chance) for name, chance in given.items()}
    for moment, kinds in STRIKES.items():
        if sum(chance for kind, chance in chances.items() if kind in kinds) > 1 + _ROUNDING:
            raise invalid("probabilities", f"sum up to more than 1 for one {moment}")
    account, operation = _read_scope(body)
    ms = read_milliseconds(body.get("ms"), FaultKind.DELAY)
    return SeededPlan(seed, chances, account=account, operation=operation, ms=ms)


def read_kind(name: object, field: str) -> FaultKind:
    """Raises `NotTaken`."""
    names = [kind.value for kind in FaultKind]
    if name not in names:
        raise invalid(field, f"must be one of {', '.join(names)}")
    return FaultKind(name)


def read_milliseconds(given: object, kind: FaultKind) -> int:
    """3000 if none are given. Only a clock can be behind. Raises `NotTaken`."""
    lowest, highest = (-_MAX_SKEW_MS, _MAX_SKEW_MS) if kind is FaultKind.CLOCK_SKEW else (0, _MAX_MS)
    if given is None:
        return _DEFAULT_MS
    if not isinstance(given, int) or not whole_number(lowest, highest)(given):
        raise invalid("ms", f"must be a whole number of milliseconds from {lowest} to {highest}")
    return given


def check_account(account: object) -> None:
    """Raises `NotTaken`."""
    if not isinstance(account, str) or ACCOUNT.fullmatch(account) is None:
        raise invalid("account", "must be 1 to 40 characters of a-z 0-9 -")


def _read_scope(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """``account`` and ``operation``; None: any."""
    account, operation = body.get("account"), body.get("operation")
    if account is not None:
        check_account(account)
    if operation is not None:
        operation = _ALIASES.get(operation, operation) if isinstance(operation, str) else operation
        if not isinstance(operation, str) or operation not in _OPERATIONS:
            raise invalid("operation", f"must be one of {', '.join(sorted(_OPERATIONS))}")
    return account, operation


def _is_chance(value: object) -> bool:
    return type(value) in {int, float} and 0 <= value <= 1  # type: ignore[operator]
