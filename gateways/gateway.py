"""The one interface to every payment gateway.

An adapter translates a `Call` into its PG's request and the PG's answer into an `Answer`. It holds no state of ours,
retries nothing by itself (attempts must be visible to Temporal) and raises only `MisconfiguredGateway`.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar, Protocol, runtime_checkable

from domain.gateway import Answer, Call, Capabilities, OperationKind, Outcome


class MisconfiguredGateway(Exception):
    """The PG refused our credentials or does not know the route: a person must act; nothing was executed."""


class GatewayUnavailable(Exception):
    """A reading that is no operation (settlement) could not be had now. Ask again later."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account at a PG as the settings give it. Secrets are plain here, and nowhere else."""

    name: str
    url: str
    key: str = field(repr=False)
    """The secret key that opens the PG's interface."""
    webhook_secret: str = field(default="", repr=False)
    """What webhooks are signed with, where it is not ``key``."""
    merchant: str = ""
    """The PG's own name of the merchant or client (Adyen merchantAccount, NICE clientKey)."""
    reports_tax: bool = False
    """The PG is told what of each payment is for goods without tax; see `domain.tax_free`."""


class WebhookTrust(StrEnum):
    """How far a webhook's content may be believed once it has been parsed."""

    SIGNED = "signed"
    SECRET = "secret"  # noqa: S105 - how it is trusted, no secret
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A hint that something happened at the PG. The workflow asks the PG; the event itself moves no money (R10)."""

    event_id: str
    kind: str
    reference: str | None
    merchant_ref: str | None
    occurred_at: datetime | None
    outcome: Outcome | None = None
    """Of the operation, where the event states it: evidence for a PG that has no lookup."""
    amount: int | None = None
    """Minor units of ``currency``."""
    currency: str | None = None
    operation_ref: str | None = None
    """The PG's own id of the operation, where it is another than the payment's ``reference``."""
    operation_mark: str | None = None
    """What came back of the operation's key, where the PG takes a reference for each operation."""
    reason: str | None = None
    """The PG's words: of a refusal, or where a report lies. Never of a success: that may be about the card."""
    about_account: bool = False
    """About the account and no payment (a report is there, a payout): no order is looked for, nobody has to look."""
    asks_back: bool = False
    """A customer's bank wants the money of a payment back (dispute, chargeback): a person has to answer it."""
    secret: str | None = field(default=None, repr=False)
    """What an unsigned event brings to be compared with what the PG gave for this payment (Toss DEPOSIT_CALLBACK)."""


@dataclass(frozen=True, slots=True)
class WebhookBatch:
    """A verified webhook body and how that PG wants it acknowledged."""

    trust: WebhookTrust
    events: tuple[WebhookEvent, ...]
    ack_status: int = 200
    ack_body: bytes = b""
    ack_content_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class SettlementLine:
    """One line of what a PG says it has settled. Amounts in minor units of ``currency``; what leaves us is negative.

    ``kind``: a word of `domain.reconciliation.LineKind`, or the PG's own where none fits. A fee is positive.
    """

    account: str
    line_id: str
    kind: str
    reference: str | None
    operation_ref: str | None
    merchant_ref: str | None
    gross: int
    fee: int
    net: int
    currency: str
    occurred_at: datetime
    paid_on: date | None
    payout_ref: str | None = None
    """The PG's name of the credit at the bank that this line is a part of."""


class UnreadableSettlement(Exception):
    """A settlement file is not what this PG writes; the message names the line. Nothing of it may be taken."""


@runtime_checkable
class SettlementFile(Protocol):
    """What a gateway offers beside `Gateway` when its PG settles by files that people upload. Pure."""

    def read_settlement_file(self, lines: Iterable[str]) -> Iterator[SettlementLine]:
        """The lines of a file, as they come: columns by their headers, never by position.

        Raises `UnreadableSettlement` for a column that is missing, a line that is cut or cannot be read.
        """


class Gateway(ABC):
    """One account at one payment gateway."""

    vendor: ClassVar[str]

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this account can do; proven by the law suite."""

    @abstractmethod
    async def authorize(self, call: Call) -> Answer:
        """Reserve ``call.amount`` on the customer's instrument; with ``capture_now``, take it at once."""

    @abstractmethod
    async def capture(self, call: Call) -> Answer:
        """Take ``call.amount`` of what is authorized."""

    @abstractmethod
    async def void(self, call: Call) -> Answer:
        """Release what is authorized and not captured."""

    @abstractmethod
    async def refund(self, call: Call) -> Answer:
        """Give back ``call.amount`` of what is captured."""

    @abstractmethod
    async def lookup(self, call: Call) -> Answer:
        """Ask what became of ``call.subject``. Moves no money."""

    @abstractmethod
    async def neutralize(self, call: Call) -> Answer:
        """Make sure that ``call.subject`` has no effect, now or later."""

    @abstractmethod
    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookBatch:
        """Verify on the raw body, then translate. Raises `WebhookRefused`."""

    @abstractmethod
    def settlement_lines(self, day: date) -> AsyncIterator[SettlementLine]:
        """Stream what the PG settled on ``day`` (the account's own time zone)."""

    async def close(self) -> None:
        """Release connections."""

    async def perform(self, call: Call) -> Answer:
        """Send a call to the method of its kind."""
        match call.kind:
            case OperationKind.AUTHORIZE:
                return await self.authorize(call)
            case OperationKind.CAPTURE:
                return await self.capture(call)
            case OperationKind.VOID:
                return await self.void(call)
            case OperationKind.REFUND:
                return await self.refund(call)
            case OperationKind.LOOKUP:
                return await self.lookup(call)
            case OperationKind.NEUTRALIZE:
                return await self.neutralize(call)


class WebhookRefused(Exception):
    """The body is not what this PG would send: unsigned, forged, malformed or too large.

    The message names the rule that was broken and quotes nothing of the body: it is logged.
    """
