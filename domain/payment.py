"""What is asked for (requests), what pays it (payments, also called tenders), and each try at a PG (attempts).

A payment's amounts are a fold over its operations: `0 <= refunded + refund_pending <= captured <= authorized`.
All amounts are minor units of the order's currency.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.gateway import OperationKind, Outcome
from domain.states import LegStatus, RefundStatus, RequestStatus, TenderStatus, move

INTERNAL_METHODS = frozenset({"points", "gift_card", "store_credit"})
"""Methods that are paid out of our own ledger, in one transaction: never unknown."""

DEPOSIT_METHODS = frozenset({"virtual_account"})
"""Methods that are paid into an account of the PG: their money goes back to an account that the customer names."""

CHARGED_METHODS = DEPOSIT_METHODS | {"transfer"}
"""Methods whose money moves at once: there is nothing to hold and to capture later."""

UNRESOLVED = frozenset({Outcome.INITIATED, Outcome.PENDING, Outcome.ACTION_REQUIRED, Outcome.UNKNOWN})
DEAD_TENDERS = frozenset({TenderStatus.DECLINED, TenderStatus.VOIDED, TenderStatus.EXPIRED, TenderStatus.CANCELED})
HELD_TENDERS = frozenset({TenderStatus.AUTHORIZED, TenderStatus.PARTIALLY_CAPTURED, TenderStatus.CAPTURED})
LIVE_REQUESTS = frozenset({RequestStatus.OPEN, RequestStatus.PARTIALLY_PAID})
RELEASED_OUTCOMES = frozenset({Outcome.DECLINED, Outcome.NOT_EXECUTED})
"""Outcomes of an authorization after which, and only after which, another attempt may be opened (R2)."""
LOST_LEGS = frozenset({LegStatus.FAILED, LegStatus.REVERSED})
"""Refund legs that gave nothing back: their amount is planned again."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a payment schedule, as it was agreed at checkout."""

    amount: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """What is asked for: an amount, for the whole order or one section, with a due time."""

    id: UUID
    order_id: UUID
    scope: str
    amount: int
    status: RequestStatus
    purpose: str
    due_at: datetime | None
    paid: int = 0
    """What live tenders of this request have authorized or captured."""
    section_id: UUID | None = None
    schedule: tuple[Part, ...] = ()
    """Parts that add up to ``amount``, by due time; none: all of it is due at ``due_at``. See `domain.schedule`."""


@dataclass(frozen=True, slots=True)
class Payment:
    """One leg that pays a request: a card, points ... ``token`` stands for the customer's instrument."""

    id: UUID
    order_id: UUID
    request_id: UUID
    position: int
    method: str
    amount: int
    status: TenderStatus
    token: str | None = None
    authorized: int = 0
    captured: int = 0
    voided: int = 0
    refunded: int = 0
    refund_pending: int = 0
    decline_category: str | None = None
    decline_code: str | None = None
    decline_message: str | None = None
    decline_retry: str | None = None
    action_kind: str | None = None
    action_url: str | None = None
    action_fields: dict[str, str] | None = None
    """Of a deposit: ``bank``, ``account``, ``holder``."""
    action_due_at: datetime | None = None
    instalments: int = 0
    return_url: str | None = None
    """Where the PG sends the customer back to."""
    details: dict[str, str] | None = None
    """What the customer gave beside the token; see `domain.gateway.Call`."""
    command_id: UUID | None = None

    @property
    def can_be_held(self) -> bool:
        """Whether a PG may take it later than it asks for it."""
        return not self.internal and self.method not in CHARGED_METHODS

    @property
    def internal(self) -> bool:
        """Paid out of our own ledger."""
        return self.method in INTERNAL_METHODS

    @property
    def lacks_account(self) -> bool:
        """A deposit of which nobody has said which bank account it goes back to (`domain.payback`)."""
        return self.method in DEPOSIT_METHODS and "refund_account" not in (self.details or {})

    @property
    def refundable(self) -> int:
        """What may still be reserved for refunds."""
        return self.captured - self.refunded - self.refund_pending

    @property
    def capturable(self) -> int:
        """What is authorized and neither captured nor voided."""
        return self.authorized - self.captured - self.voided

    @property
    def exposed(self) -> int:
        """What the customer may be charged by it (R1): all of it until a release is proven."""
        if self.status in DEAD_TENDERS:
            return 0
        return self.held - self.refunded if self.status in HELD_TENDERS else self.amount

    @property
    def held(self) -> int:
        """What of it is there, taken or only authorized. What is charged at once is never only authorized."""
        return self.captured if self.method in CHARGED_METHODS else self.authorized - self.voided


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a payment at one gateway account. ``decision`` explains why that account (for people to read)."""

    id: UUID
    order_id: UUID
    payment_id: UUID
    position: int
    account: str
    merchant_ref: str
    outcome: Outcome
    created_at: datetime
    reference: str | None = None
    decision: dict[str, Any] | None = None
    rule_version: int | None = None
    authorized_until: datetime | None = None
    """When the PG lets go of what it holds, where it says so."""
    refund_days: int | None = None
    """So long after the payment its money can go back there; None: no end is known."""
    reports_tax: bool = False
    """Its account is told what is free of tax, of this attempt from first to last."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing asked of a PG for an attempt; committed as ``initiated`` before the first byte is sent (R3)."""

    id: UUID
    order_id: UUID
    attempt_id: UUID
    payment_id: UUID
    kind: OperationKind
    amount: int
    key: str
    outcome: Outcome
    initiated_at: datetime
    capture_now: bool = False
    tries: int = 0
    operation_ref: str | None = None
    detail: str | None = None
    section_id: UUID | None = None
    leg_id: UUID | None = None
    command_id: UUID | None = None
    resolved_at: datetime | None = None
    abandoning: bool = False
    """Its request is over: neutralize it instead of waiting for success."""
    completed_at: datetime | None = None
    """When the customer came back from the PG's page; sent again after that, with what was brought."""
    sent_at: datetime | None = None
    """When it was last sent, as far as an answer or its loss has told."""
    fingerprint: str | None = None
    """Of what it was last sent with (`domain.fingerprint`), as far as an answer or its loss has told."""
    neutralized_at: datetime | None = None
    """When its PG was last told to undo it, if it is not known what became of that."""
    contradicted: bool = False
    """It ended without effect, and the PG has told of one since: for a person."""
    orphan: bool = False
    """Beside the payment's sums: about money on an attempt that was closed (R9), or a question about ``subject_id``."""
    subject_id: UUID | None = None
    """Of a question: the operation that had succeeded, and of which the PG has said since that it failed after all."""
    reversed_amount: int = 0
    """What of its effect the PG has taken back after it had succeeded; minor units."""
    tax_free: int = 0
    """What of ``amount`` is for goods without tax (`domain.tax_free`)."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """Which part of a payment covers which section. Stored at payment, never recomputed from proportions."""

    id: UUID
    order_id: UUID
    payment_id: UUID
    section_id: UUID
    amount: int
    authorized: int = 0
    captured: int = 0
    refunded: int = 0


@dataclass(frozen=True, slots=True)
class Refund:
    """An entitlement (what and why), planned into legs. ``kind``: refund, cancellation, exchange, release."""

    id: UUID
    order_id: UUID
    kind: str
    amount: int
    returnable: int
    """What of it goes back in money; the rest only lowers what is owed."""
    reason: str
    policy: str
    status: RefundStatus
    requested_at: datetime
    command_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class RefundLine:
    """What a refund is for: pieces of an item, a section's shipping, or (neither) goodwill."""

    id: UUID
    order_id: UUID
    refund_id: UUID
    amount: int
    quantity: int = 0
    item_id: UUID | None = None
    section_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """What of one payment goes back, counted against the balance from the moment it is reserved.

    ``destination``: ``payment`` (its own PG or its own lots), or ``store_credit``, when the PG would not take it.
    """

    id: UUID
    order_id: UUID
    refund_id: UUID
    payment_id: UUID
    position: int
    amount: int
    status: LegStatus
    destination: str = "payment"


def tender(payment: Payment, status: TenderStatus) -> Payment:
    """The payment in its next status; refuses what the table does not allow."""
    return replace(payment, status=move(payment.status, status, what=f"payment ({payment.method})"))


def merchant_ref(attempt_id: UUID) -> str:
    """A reference that every PG accepts (6-40 of ``[A-Za-z0-9_-]``), unique per attempt."""
    return f"op-{attempt_id.hex}"


def operation_key(operation_id: UUID, kind: OperationKind) -> str:
    """An idempotency key that every PG accepts (16-64 of ``[A-Za-z0-9_-]``): the same on every try of an operation."""
    return f"{operation_id.hex}-{kind.value}"


_AT_CHECKOUT = frozenset({"bank"})
_OF_A_REFUND = "refund_"


def shops_own(details: Mapping[str, str]) -> dict[str, str]:
    """Of what was given beside the token, what is the shop's to give: a return passes through anybody's hands."""
    return {name: value for name, value in details.items() if name in _AT_CHECKOUT or name.startswith(_OF_A_REFUND)}
