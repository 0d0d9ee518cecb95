"""Reconciliation on the `updates` queue: read what a PG has settled, judge it against our books, tell the orders."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from temporalio import activity

from contracts.command import Command


@dataclass(frozen=True, slots=True)
class ReconcileInput:
    """One account: an import that somebody asked for, or (none) the days that are due by the schedule."""

    account: str
    import_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class PlanDays:
    """Which days are due at ``at``: yesterday in the account's time zone, and the days that may have got late lines."""

    account: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Import:
    """One day to read from the PG, or (no day) one uploaded file."""

    id: UUID
    account: str
    day: date | None


@dataclass(frozen=True, slots=True)
class FailImport:
    """An import that could not be read, and why in one sentence."""

    import_id: UUID
    problem: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How many lines or movements got which finding."""

    findings: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hint:
    """An order that must look: its money at the PG is not what its books say."""

    store: str
    number: str


@dataclass(frozen=True, slots=True)
class Hints:
    """What to tell orders: ``commands`` ask about closed attempts, ``looks`` hurry what is being asked already."""

    commands: tuple[Command, ...] = ()
    looks: tuple[Hint, ...] = ()
    cases: tuple[UUID, ...] = ()
    """The cases that these hints come from."""


@dataclass(frozen=True, slots=True)
class Hinted:
    """The orders of these cases have been told."""

    cases: tuple[UUID, ...]


class ReconciliationSteps(ABC):
    """What the reconciliation does; each step twice is once."""

    @activity.defn
    @abstractmethod
    async def plan_days(self, request: PlanDays) -> tuple[Import, ...]: ...

    @activity.defn
    @abstractmethod
    async def find_import(self, import_id: UUID) -> Import: ...

    @activity.defn
    @abstractmethod
    async def read_settlement(self, request: Import) -> int: ...

    @activity.defn
    @abstractmethod
    async def fail_import(self, request: FailImport) -> None: ...

    @activity.defn
    @abstractmethod
    async def judge_lines(self, request: Import) -> Tally: ...

    @activity.defn
    @abstractmethod
    async def judge_movements(self, account: str) -> Tally: ...

    @activity.defn
    @abstractmethod
    async def judge_payouts(self, account: str) -> Tally: ...

    @activity.defn
    @abstractmethod
    async def find_untold_cases(self, account: str) -> Hints: ...

    @activity.defn
    @abstractmethod
    async def note_told_cases(self, request: Hinted) -> None: ...
