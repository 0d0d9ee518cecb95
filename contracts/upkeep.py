"""Slow work on the `updates` queue: events to the store's back office, lost commands, drift. Run by schedules."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from temporalio import activity

from contracts.command import Command


@dataclass(frozen=True, slots=True)
class Delivered:
    """How far the relay of events came: ``sent`` events, and whether more wait."""

    sent: int
    more: bool


@dataclass(frozen=True, slots=True)
class Drift:
    """Orders whose stored statuses differ from what their items say. Drift is a bug, never repaired silently."""

    checked: int
    orders: tuple[str, ...]


class UpkeepSteps(ABC):
    """What the upkeep workflows do."""

    @activity.defn
    @abstractmethod
    async def deliver_events(self) -> Delivered: ...

    @activity.defn
    @abstractmethod
    async def find_lost_commands(self) -> tuple[Command, ...]: ...

    @activity.defn
    @abstractmethod
    async def purge_answers(self) -> int: ...

    @activity.defn
    @abstractmethod
    async def find_drift(self) -> Drift: ...
