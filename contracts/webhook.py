"""Hints to orders: of webhook events, and where nobody asks. Run by a schedule on the `updates` queue."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

from temporalio import activity

from contracts.command import Command, Doubt

DENIED_EVERY = timedelta(hours=1)
"""Anybody can say that a bank has taken a deposit back: once in this time it is asked about, and kept for ever."""


@dataclass(frozen=True, slots=True)
class Hint:
    """An order that waits for its PG, and the ids of the events that it has not been told of; none: it is forgotten."""

    store: str
    number: str
    events: tuple[UUID, ...]


def doubt_of(account: str, event_id: str, operation_id: UUID, *, store: str, number: str) -> Command:
    """The question that an event raises about an operation; the same whoever finds it, so that it is asked once."""
    command_id = uuid5(NAMESPACE_URL, f"doubt {account} {event_id} {operation_id}")
    return Command(command_id, store, number, f"webhook:{account}", Doubt(operation_id))


class WebhookSteps(ABC):
    """What the workflow of hints does to the database; twice is once."""

    @activity.defn
    @abstractmethod
    async def find_hints(self) -> tuple[Hint, ...]: ...

    @activity.defn
    @abstractmethod
    async def note_hints(self, events: tuple[UUID, ...]) -> None: ...
