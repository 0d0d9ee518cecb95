"""Hints to orders: of webhook events, and where nobody asks. Run by a schedule on the `updates` queue."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from uuid import UUID

from temporalio import activity


@dataclass(frozen=True, slots=True)
class Hint:
    """An order that waits for its PG, and the ids of the events that it has not been told of; none: it is forgotten."""

    store: str
    number: str
    events: tuple[UUID, ...]


class WebhookSteps(ABC):
    """What the workflow of hints does to the database; twice is once."""

    @activity.defn
    @abstractmethod
    async def find_hints(self) -> tuple[Hint, ...]: ...

    @activity.defn
    @abstractmethod
    async def note_hints(self, events: tuple[UUID, ...]) -> None: ...
