"""The words spoken with payment gateways (PGs): calls, answers, outcomes, capabilities.

No PG's own word passes this line; adapters in `gateways/` translate both ways.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Outcome(StrEnum):
    """What is known about one operation at a PG. ``initiated`` is committed before the first byte is sent."""

    INITIATED = "initiated"
    SUCCEEDED = "succeeded"
    PENDING = "pending"
    """Accepted; the result comes later by webhook or lookup."""
    ACTION_REQUIRED = "action_required"
    """The customer must act (redirect, 3DS, deposit)."""
    DECLINED = "declined"
    """A definite no: money did not move."""
    NOT_EXECUTED = "not_executed"
    """Provably never reached, or refused before execution."""
    UNKNOWN = "unknown"
    """May or may not have happened. Never success, never failure."""


class OperationKind(StrEnum):
    """What can be asked of a PG about one attempt."""

    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    LOOKUP = "lookup"
    """What happened to ``subject``? Moves no money."""
    NEUTRALIZE = "neutralize"
    """Make sure that ``subject`` never happens, or is undone (net cancel, technical cancel)."""


class Retry(StrEnum):
    """What a decline says about trying again (R14: ``never`` must not cascade to another PG)."""

    NEVER = "never"
    OTHER_PG = "other_pg"
    SAME_PG_LATER = "same_pg_later"
    AFTER_CUSTOMER_ACTION = "after_customer_action"


class Issue(StrEnum):
    """An answer that differs from what was asked (R12): the fence stays closed."""

    AMOUNT_MISMATCH = "amount_mismatch"
    CURRENCY_MISMATCH = "currency_mismatch"
    REFERENCE_MISMATCH = "reference_mismatch"


FORGED_RETURN = "forged_return"
"""A decline's code: what was brought back from a PG's page is not of this payment, and the PG did nothing with it."""


@dataclass(frozen=True, slots=True)
class Decline:
    """Why a PG said no. ``code`` is the PG's own, ``category`` ours."""

    category: str
    code: str
    message: str
    retry: Retry


@dataclass(frozen=True, slots=True)
class Action:
    """What the customer must do: ``redirect`` to ``url``, or ``deposit`` to an account by ``due_at``.

    A deposit's ``fields`` are ``bank``, ``account`` and ``holder``.
    """

    kind: str
    url: str | None = None
    method: str = "GET"
    fields: dict[str, str] = field(default_factory=dict)
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Amounts:
    """What the PG itself says of the whole payment: absolute sums in minor units, not deltas."""

    authorized: int
    captured: int
    refunded: int
    voided: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an outcome rests on. ``detail`` is redacted: no token, no secret, no personal data."""

    http_status: int | None = None
    request_id: str | None = None
    replayed: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One keyed request to one PG account, complete: the same call twice is one effect.

    ``key`` and ``merchant_ref`` fit every PG (16-64 and 6-40 characters of ``[A-Za-z0-9_-]``); ``merchant_ref`` is
    unique per attempt; ``reference`` is the PG's own id once known. ``amount`` in minor units. ``token`` stands for
    the customer's instrument; card data never comes here. For ``lookup`` and ``neutralize``, ``subject`` and
    ``subject_key`` name the operation in doubt.
    """

    operation_id: UUID
    kind: OperationKind
    account: str
    merchant_ref: str
    key: str
    amount: int
    currency: str
    method: str
    reference: str | None = None
    token: str | None = None
    customer: str | None = None
    capture_now: bool = True
    instalments: int = 0
    """Months; 0 or 1: at once."""
    description: str = ""
    """What the customer sees on the PG's page and statement: the order."""
    return_url: str | None = None
    """Where the PG sends the customer back to."""
    details: dict[str, str] = field(default_factory=dict)
    """What the customer gave beside the token, by our names: what a return from the PG's page brought
    (``payment_key``, ``tid``, ``redirect_result``, ...), a ``bank`` to deposit at and in whose name
    (``customer_name``), a ``refund_bank``, ``refund_account`` and ``refund_holder``."""
    subject: OperationKind | None = None
    subject_key: str | None = None
    subject_reference: str | None = None
    """The PG's own id of the operation in doubt (a capture's, a refund's), where an answer brought one."""
    subject_sent_at: datetime | None = None
    """When the operation in doubt was last sent: "not found" is final only some time after (R6)."""
    tax_free: int = 0
    """What of ``amount`` is for goods without tax; 0 also for an account that is not told (`Capabilities`)."""
    not_after: datetime | None = None
    """After this the PG may have forgotten the key: not sent, because it might be a second effect."""
    trace: str | None = None
    """The request that led to it: for logs, never sent to the PG."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a PG answered, in our words.

    For a lookup: the outcome **of the subject** (``not_executed`` only where the PG's "not found" is final,
    else ``unknown``). For a neutralize: ``succeeded`` once it is sure that the subject has no effect.
    """

    outcome: Outcome
    reference: str | None = None
    operation_ref: str | None = None
    amounts: Amounts | None = None
    action: Action | None = None
    decline: Decline | None = None
    issues: tuple[Issue, ...] = ()
    final: bool = False
    """For a lookup's ``not_executed``: nothing can come of the subject any more, its time at the PG is over."""
    authorized_until: datetime | None = None
    """When the PG lets go of what it holds, where it says so."""
    evidence: Evidence = field(default_factory=Evidence)


class Flow(StrEnum):
    """How a customer's instrument reaches a PG."""

    SERVER_TOKEN = "server_token"  # noqa: S105 - the name of a flow, no secret
    REDIRECT_CONFIRM = "redirect_confirm"
    HOSTED_SESSION = "hosted_session"
    KEY_IN = "key_in"
    VIRTUAL_ACCOUNT = "virtual_account"
    INTERNAL_VALUE = "internal_value"


class NeutralizeBy(StrEnum):
    """How an operation in doubt can be undone."""

    NONE = "none"
    GATEWAY_REFERENCE = "gateway_reference"
    MERCHANT_REFERENCE = "merchant_reference"


@dataclass(frozen=True, slots=True)
class Idempotency:
    """How a PG treats a key that it has seen. ``ttl_seconds`` 0: it has no idempotency at all."""

    ttl_seconds: int = 0
    body_compared: bool = False
    replays_errors: bool = False
    marks_replays: bool = True
    """False: a replayed answer cannot be told from the first one."""


@dataclass(frozen=True, slots=True)
class MethodLimit:
    """One method in one currency, with the amounts (minor units) that the contract allows."""

    method: str
    currency: str
    minimum: int
    maximum: int
    max_instalments: int = 0
    """Most months; 0: none."""
    instalments_from: int = 0
    """Least amount that may be paid in instalments, minor units."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one account can do, as declared; the law suite holds every declaration against the real thing."""

    flows: frozenset[Flow]
    limits: tuple[MethodLimit, ...]
    manual_capture: bool
    multiple_captures: bool
    partial_capture: bool
    partial_refund: bool
    idempotency: Idempotency
    lookup_by_reference: bool
    lookup_by_merchant_ref: bool
    not_found_final_after_seconds: int | None
    """Seconds after the send from which "not found" is final; None: never."""
    neutralize_by: NeutralizeBy
    neutralize_window_seconds: int | None = None
    neutralize_undoes_capture: bool = True
    """False: neutralising releases what is only authorized; captured money needs a refund."""
    neutralize_bars_late: bool = True
    """False: what has not arrived yet cannot be neutralised; it is executed when it arrives."""
    refund_days: Mapping[str, int] = field(default_factory=dict)
    """By method: so many days after the payment it can be given back; not named: no end is known."""
    expires_unconfirmed_after_seconds: int | None = None
    asynchronous: frozenset[OperationKind] = frozenset()
    cascades_after_decline: bool = True
    """False: the customer authenticated with this PG, another one cannot take over (failover scope)."""
    refunds_sent_again: bool = False
    """Without keys, and yet a refund that is sent twice is one effect: the PG knows it by a reference of its own."""
    merchant_ref_unique: bool = True
    """False: the PG charges again under a used ``merchant_ref`` if the key is another; the key alone protects."""
    reports_tax: bool = False
    """The account is told what of each payment is for goods without tax: its setting, at a PG that has words for it."""
    settlement: bool = False
    webhooks: bool = False

    @property
    def captures_once(self) -> bool:
        """Whether it lets go of what a capture leaves of its hold."""
        return not (self.multiple_captures and self.partial_capture)
