"""What rules need from outside, in one value: the time, ids and the router; and why an operation is opened."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.payment import Payment
from domain.section import NewId


@dataclass(frozen=True, slots=True)
class Routed:
    """Which account takes an attempt, under which rule, and why (for people to read)."""

    account: str
    rule_version: int | None
    decision: dict[str, Any]
    refund_days: int | None = None
    """So long after the payment the account gives its money back by this method; None: no end is known."""
    hold_first: bool = False
    """A charge whose answer is lost could not be undone there, so that another account takes over; a hold could."""
    reports_tax: bool = False
    """The account is told what is free of tax."""


class Route(Protocol):
    """Chooses accounts."""

    def __call__(self, payment: Payment, excluded: frozenset[str], /, *, hold: bool) -> Routed:
        """An account for a payment, none of the excluded; ``hold``: one that can hold now and capture later.

        Raises `NoGatewayEligible`.
        """


@dataclass(frozen=True, slots=True)
class Moment:
    """What a rule needs from outside: the time, fresh ids (UUIDv7) and the router.

    ``cascades``: whether another account may try after a decline at this one. Not where the customer has authenticated
    with that PG: nobody else can take over (failover scope). ``captures_once``: whether an account lets go of what a
    capture leaves of its hold.
    """

    now: datetime
    new_id: NewId
    route: Route
    cascades: Callable[[str], bool] = lambda _account: True
    captures_once: Callable[[str], bool] = lambda _account: False


@dataclass(frozen=True, slots=True)
class Why:
    """What an operation is for: a section's goods, a refund leg, a command, another operation that it asks about."""

    section_id: UUID | None = None
    leg_id: UUID | None = None
    command_id: UUID | None = None
    subject_id: UUID | None = None
