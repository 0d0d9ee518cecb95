"""Messages and steps of an order. Steps are verb + noun, unique in the house; amounts are minor units."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from temporalio import activity

from contracts.command import Command
from domain.checkout import Checkout
from domain.errors import Problem
from domain.gateway import Answer
from domain.resolution import Ask, DueCall

PROTOCOL: Literal[1] = 1
"""Raised when a message's meaning changes; carried in every workflow input."""


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """A checkout with the identity that makes it happen once."""

    id: UUID
    actor: str
    checkout: Checkout
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class OrderInput:
    """Start of an order's workflow. Without ``place`` it is a reopening: the order is read from the database."""

    store: str
    number: str
    place: PlaceOrder | None = None
    pending: tuple[Command, ...] = ()
    """Commands taken over from the run before (continue-as-new)."""
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """Write the order, hold its stock and own value, choose the first PG account."""

    store: str
    number: str
    place: PlaceOrder
    workflow_id: str


@dataclass(frozen=True, slots=True)
class OrderRef:
    """Which order, and which workflow asks."""

    store: str
    number: str
    workflow_id: str
    after_loss: bool = False
    """The run before is gone, and with it the knowledge of what it has sent."""


@dataclass(frozen=True, slots=True)
class ApplyCommand:
    """Decide one command and write what follows from it, once."""

    command: Command
    workflow_id: str


@dataclass(frozen=True, slots=True)
class RecordAnswer:
    """Write what a PG answered about one operation."""

    order: OrderRef
    operation_id: UUID
    asked: Ask
    answer: Answer
    sent: str | None = None
    """The fingerprint of the call, if it was sent rather than asked about."""
    tries: int | None = None
    """How many answers were known when this one was asked for: the step that runs again counts it once."""


@dataclass(frozen=True, slots=True)
class NewOrder:
    """Another order that a command has asked for (buy again)."""

    number: str
    place: PlaceOrder
    command_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class NoteNewNumber:
    """The number that a command's new order got in the end, its first one having been taken."""

    command_id: UUID
    number: str


@dataclass(frozen=True, slots=True)
class SectionState:
    """One section as the workflows need it."""

    number: int
    closed: bool
    status: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an order stands after a step, and what is due: the whole of what the workflow needs to go on."""

    status: str
    payment_status: str
    version: int
    needs_attention: bool
    closed: bool
    """No more can happen by itself: terminal or completed, nothing in flight."""
    decided: bool
    """The customer's payment has an answer: taken, declined, or waiting for the customer."""
    waits_for: str
    """In plain words, for the operator."""
    calls: tuple[DueCall, ...] = ()
    sections: tuple[SectionState, ...] = ()
    expires_at: datetime | None = None
    """When the payment window is over, or a part of a schedule or a difference due, and `OrderSteps.expire_order` too,
    once the payment is ``decided``."""
    refused: Problem | None = None
    """The checkout was refused and no order exists."""
    new_order: NewOrder | None = None
    lapses_at: datetime | None = None
    """When a hold is about to lapse, and `OrderSteps.expire_order` due, whatever else is undecided."""
    unsent: bool = False
    """A charge has not been sent yet, as no worker has taken it: the payment window waits for it."""


@dataclass(frozen=True, slots=True)
class CheckoutAnswer:
    """What the customer is told: where the order stands, or why there is none."""

    status: str
    version: int
    refused: Problem | None = None


class OrderSteps(ABC):
    """What an order's workflow does to the database; each one transaction, twice is once."""

    @activity.defn
    @abstractmethod
    async def open_order(self, request: OpenOrder) -> Progress: ...

    @activity.defn
    @abstractmethod
    async def read_order(self, request: OrderRef) -> Progress: ...

    @activity.defn
    @abstractmethod
    async def apply_command(self, request: ApplyCommand) -> Progress: ...

    @activity.defn
    @abstractmethod
    async def record_answer(self, request: RecordAnswer) -> Progress: ...

    @activity.defn
    @abstractmethod
    async def expire_order(self, request: OrderRef) -> Progress: ...

    @activity.defn
    @abstractmethod
    async def note_new_number(self, request: NoteNewNumber) -> None: ...
