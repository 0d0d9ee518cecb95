"""Messages and steps of a section."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from temporalio import activity

from contracts.command import Command
from contracts.order import PROTOCOL, Progress


@dataclass(frozen=True, slots=True)
class SectionInput:
    """Start of a section's workflow; its state is in the database."""

    store: str
    number: str
    section: int
    report: bool = False
    """Tell the order's workflow when the section closes (it is not our parent, or not any more)."""
    pending: tuple[Command, ...] = ()
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True)
class SectionRef:
    """Which section, and which workflow asks."""

    store: str
    number: str
    section: int
    workflow_id: str


@dataclass(frozen=True, slots=True)
class SectionClosed:
    """A section's end, with where the order stands by it."""

    section: int
    status: str
    order: Progress


class SectionSteps(ABC):
    """What a section's workflow does to the database beside deciding commands."""

    @activity.defn
    @abstractmethod
    async def prepare_section(self, request: SectionRef) -> Progress: ...
