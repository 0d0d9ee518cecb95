"""Commands: what staff and clients ask of a placed order. Durably accepted as signals, decided once, by command id.

Every member of the union carries ``kind``: without it a union could come back from history as another member.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from domain.checkout import AskedPayment, Destination
from domain.errors import Problem
from domain.fulfillment import Pieces
from domain.judgement import Verdict
from domain.payback import BankAccount
from domain.refund import AskedLeg, Policy
from domain.reorder import Difference, Wanted


@dataclass(frozen=True, slots=True)
class Pay:
    """Pay an open payment request (again)."""

    payments: tuple[AskedPayment, ...]
    payment_request_id: UUID | None = None
    left: int | None = None
    """What was left to pay as the payer saw it, minor units: refused if it is not any more (two tabs pay one part)."""
    kind: Literal["pay"] = "pay"


@dataclass(frozen=True, slots=True)
class Complete:
    """The customer is back from the PG's page, with what it gave (``details`` as in `domain.gateway.Call`)."""

    payment_id: UUID
    details: dict[str, str] = field(default_factory=dict)
    kind: Literal["complete"] = "complete"


@dataclass(frozen=True, slots=True)
class Capture:
    """Capture what is authorized; no amount: all that is left."""

    payment_id: UUID | None = None
    amount: int | None = None
    kind: Literal["capture"] = "capture"


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel pieces, a section, or (nothing named) the whole order."""

    reason: str
    items: tuple[Pieces, ...] = ()
    section: int | None = None
    kind: Literal["cancel"] = "cancel"


@dataclass(frozen=True, slots=True)
class Ship:
    """A parcel leaves a section."""

    section: int
    carrier: str
    tracking_number: str
    items: tuple[Pieces, ...] = ()
    kind: Literal["ship"] = "ship"


@dataclass(frozen=True, slots=True)
class Deliver:
    """A parcel has arrived."""

    section: int
    shipment_id: UUID | None = None
    items: tuple[Pieces, ...] = ()
    kind: Literal["deliver"] = "deliver"


@dataclass(frozen=True, slots=True)
class Hold:
    """Stop a section for a reason."""

    section: int
    reason: str
    kind: Literal["hold"] = "hold"


@dataclass(frozen=True, slots=True)
class Release:
    """Release one hold of a section."""

    section: int
    reason: str
    kind: Literal["release"] = "release"


@dataclass(frozen=True, slots=True)
class RefundMoney:
    """Give money back for pieces, shipping or as an amount."""

    reason: str
    items: tuple[Pieces, ...] = ()
    shipping: bool = False
    amount: int | None = None
    policy: Policy = "reverse"
    legs: tuple[AskedLeg, ...] = ()
    kind: Literal["refund"] = "refund"


@dataclass(frozen=True, slots=True)
class NameAccount:
    """Say which bank account the money of a deposit goes back to."""

    payment_id: UUID
    account: BankAccount
    kind: Literal["name_account"] = "name_account"


@dataclass(frozen=True, slots=True)
class Reorder:
    """Exchange, reship, or buy again. ``new_number`` is the number drawn for the new order of ``again``."""

    reorder: Literal["exchange", "reship", "again"]
    items: tuple[Wanted, ...] = ()
    destination: Destination | None = None
    difference: Difference = "collect"
    policy: Literal["return_first", "ship_first"] = "return_first"
    reason: str = ""
    new_number: str | None = None
    kind: Literal["reorder"] = "reorder"


@dataclass(frozen=True, slots=True)
class Judge:
    """A person decides an operation in doubt, on evidence; ``reference``: the PG's id of it, where it was found."""

    operation_id: UUID
    verdict: Verdict
    evidence: str
    reference: str | None = None
    kind: Literal["judge"] = "judge"


@dataclass(frozen=True, slots=True)
class Recheck:
    """Ask the PG once more about a closed attempt: somebody says that money is there."""

    merchant_ref: str
    kind: Literal["recheck"] = "recheck"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Ask the PG once more about an operation that had succeeded: somebody says that it was taken back."""

    operation_id: UUID
    kind: Literal["doubt"] = "doubt"


Body = Annotated[
    Pay
    | Complete
    | Capture
    | Cancel
    | Ship
    | Deliver
    | Hold
    | Release
    | RefundMoney
    | NameAccount
    | Reorder
    | Judge
    | Recheck
    | Doubt,
    Field(discriminator="kind"),
]
SECTION_COMMANDS = (Ship, Deliver, Hold, Release)
"""Commands that a section's own workflow decides; all others are the order's."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command with its identity: the same ``id`` twice is one effect. ``request_id`` ties it to its HTTP request."""

    id: UUID
    store: str
    number: str
    actor: str
    body: Body
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a command: ``accepted`` (its money is still on the way), ``applied``, ``rejected``, ``failed``."""

    command_id: UUID
    status: Literal["accepted", "applied", "rejected", "failed"]
    problem: Problem | None = None
    result: dict[str, Any] = field(default_factory=dict)
