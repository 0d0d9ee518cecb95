"""Payments in JSON: how to pay, and what became of it."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from api.pay.link import PayLinks
from api.schemas.field import Asked, Code, PositiveAmount
from api.schemas.moment import rfc3339
from contracts.command import Capture, Complete, Pay
from domain.checkout import AskedPayment
from domain.order import Order
from domain.payment import LIVE_REQUESTS, Attempt, Operation, Payment, PaymentRequest
from domain.refund import refund_until
from domain.schedule import PartStatus, action_due, standing
from domain.value import code_hash


class PaymentIn(Asked):
    """One leg. ``token`` is a PG's token of a card (never its number) or the code of a gift card.

    Points and store credit belong to the customer and need none, nor does a virtual account. Without a token, a card
    or transfer needs a ``return_url``: the customer pays on the PG's own page (`next_action`) and comes back there.
    """

    method: Literal["card", "transfer", "virtual_account", "points", "gift_card", "store_credit"]
    amount: PositiveAmount
    return_url: Annotated[
        str | None,
        Field(
            max_length=2000, pattern=r"^https?://\S+$", description="Where the PG's own page sends the customer back."
        ),
    ] = None
    instalments: Annotated[int, Field(strict=True, ge=0, le=60, description="Months; 0 or 1: at once.")] = 0
    bank: Annotated[Code | None, Field(description="Of a virtual account: the bank to deposit at.")] = None
    token: Annotated[Code | None, Field(validate_default=True)] = None

    @field_validator("token")
    @classmethod
    def _fits_method(cls, token: str | None, given: ValidationInfo) -> str | None:
        method = given.data.get("method")
        if method in {"card", "transfer"} and token is None and not given.data.get("return_url"):
            raise PydanticCustomError(
                "token_required", "a card needs the token that stands for it, or a return_url to pay on the PG's page"
            )
        if method == "gift_card" and token is None:
            raise PydanticCustomError("token_required", "a gift card needs its code")
        if method in {"points", "store_credit"} and token is not None:
            raise PydanticCustomError("token_not_accepted", "the customer's own value is paid without a token")
        return token

    def to_domain(self) -> AskedPayment:
        """The leg as the domain knows it; a gift card's code goes no further than here."""
        if self.method == "gift_card" and self.token is not None:
            return AskedPayment(self.method, self.amount, code_hash(self.token))
        details = {"bank": self.bank} if self.bank else None
        return AskedPayment(self.method, self.amount, self.token, self.instalments, self.return_url, details)


class PayIn(Asked):
    """Pay (again). One open payment request need not be named."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"payments": [{"method": "card", "amount": 57700, "token": "tok_ok"}]}]}
    )

    payments: Annotated[list[PaymentIn], Field(min_length=1, max_length=20)]
    payment_request_id: UUID | None = None

    def to_command(self) -> Pay:
        """The command's body."""
        return Pay(tuple(p.to_domain() for p in self.payments), self.payment_request_id)


LARGEST_RETURN = 16_384
"""Characters that may come back with the customer, names and values together."""


def _storable(text: str) -> str:
    if "\x00" in text:
        raise PydanticCustomError("control_character", "must not contain NUL")
    return text


def _of_a_page(details: dict[str, str]) -> dict[str, str]:
    if sum(len(name) + len(value) for name, value in details.items()) > LARGEST_RETURN:
        most = {"most": LARGEST_RETURN}
        raise PydanticCustomError("too_long", "names and values may have {most} characters together", most)
    return details


class CompletionIn(Asked):
    """What the PG's page sent back with the customer, name by name as it came; the limits hold for the pay page too."""

    details: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9_.-]+$")],
            Annotated[str, Field(max_length=4000), AfterValidator(_storable)],
        ],
        Field(max_length=30, default_factory=dict),
        AfterValidator(_of_a_page),
    ]

    def to_command(self, payment_id: UUID) -> Complete:
        """The command's body."""
        return Complete(payment_id, self.details)


class CaptureIn(Asked):
    """Capture what is authorized: of one payment or all, an amount or what is left."""

    payment_id: UUID | None = None
    amount: PositiveAmount | None = None

    def to_command(self) -> Capture:
        """The command's body."""
        return Capture(self.payment_id, self.amount)


class PartOut(TypedDict):
    """A part of a schedule: ``due`` is the first that is not paid whole, ``upcoming`` are those after it."""

    amount: int
    due_at: str
    paid: int
    status: PartStatus


class PaymentRequestOut(TypedDict):
    """What is asked for. ``due_at`` is that of the part which is due; ``schedule`` is empty if all is asked at once."""

    id: str
    scope: str
    section: int | None
    purpose: str
    amount: int
    paid: int
    status: str
    due_at: str | None
    url: str | None
    schedule: list[PartOut]


class PaymentRequestAnswer(PaymentRequestOut):
    """A request by itself, with the order that it belongs to."""

    order: str
    currency: str


class OperationOut(TypedDict):
    """One thing asked of a PG; ``reversed_amount`` of it the PG has taken back after it had succeeded.

    ``tax_free``: what of the amount is for goods without tax; accounts that report tax are told it.
    """

    id: str
    kind: str
    amount: int
    outcome: str
    detail: str | None
    orphan: bool
    reversed_amount: int
    tax_free: int
    initiated_at: str
    resolved_at: str | None


class AttemptOut(TypedDict):
    """One try at one PG account; ``decision`` explains why that account."""

    id: str
    gateway: str
    reference: str | None
    merchant_ref: str
    outcome: str
    decision: dict[str, Any] | None
    rule_version: int | None
    created_at: str
    operations: list[OperationOut]


class DeclineOut(TypedDict):
    """Why a payment was declined; ``retry`` says what may help."""

    category: str
    code: str | None
    message: str | None
    retry: str | None


class NextActionOut(TypedDict):
    """What the customer must do now."""

    kind: str
    url: str | None
    fields: dict[str, str] | None
    due_at: str | None


class AllocationOut(TypedDict):
    """Which part of a payment covers which section."""

    section: int
    amount: int
    captured: int
    refunded: int


class PaymentOut(TypedDict):
    """One leg and what became of it; ``gateway`` is the account of the latest attempt.

    ``refund_until``: when its PG gives nothing back any more, where an end is known; then it becomes store credit.
    """

    id: str
    payment_request_id: str
    method: str
    gateway: str | None
    status: str
    amount: int
    authorized: int
    captured: int
    voided: int
    refunded: int
    refund_pending: int
    refund_until: str | None
    next_action: NextActionOut | None
    decline: DeclineOut | None
    attempts: list[AttemptOut]
    allocations: list[AllocationOut]


def payment_request_out(request: PaymentRequest, sections: dict[UUID, int], links: PayLinks) -> PaymentRequestOut:
    """A request, with its section by number."""
    return {
        "id": str(request.id),
        "scope": request.scope,
        "section": sections.get(request.section_id) if request.section_id else None,
        "purpose": request.purpose,
        "amount": request.amount,
        "paid": request.paid,
        "status": request.status.value,
        "due_at": rfc3339(request.due_at),
        "url": links.url(request.id) if request.status in LIVE_REQUESTS else None,
        "schedule": [
            {"amount": part.amount, "due_at": rfc3339(part.due_at), "paid": part.paid, "status": part.status}
            for part in standing(request)
        ],
    }


def payment_out(order: Order, payment: Payment, sections: dict[UUID, int]) -> PaymentOut:
    """A payment with its attempts, in the order in which they were made."""
    attempts = sorted((a for a in order.attempts if a.payment_id == payment.id), key=lambda a: a.position)
    return {
        "id": str(payment.id),
        "payment_request_id": str(payment.request_id),
        "method": payment.method,
        "gateway": attempts[-1].account if attempts else None,
        "status": payment.status.value,
        "amount": payment.amount,
        "authorized": payment.authorized,
        "captured": payment.captured,
        "voided": payment.voided,
        "refunded": payment.refunded,
        "refund_pending": payment.refund_pending,
        "refund_until": rfc3339(refund_until(order, payment)),
        "next_action": _next_action(order, payment),
        "decline": _decline(payment),
        "attempts": [_attempt_out(order, a) for a in attempts],
        "allocations": [
            {
                "section": sections[a.section_id],
                "amount": a.amount,
                "captured": a.captured,
                "refunded": a.refunded,
            }
            for a in order.allocations
            if a.payment_id == payment.id
        ],
    }


def _next_action(order: Order, payment: Payment) -> NextActionOut | None:
    if not payment.action_kind:
        return None
    return {
        "kind": payment.action_kind,
        "url": payment.action_url,
        "fields": payment.action_fields,
        "due_at": rfc3339(action_due(order.request(payment.request_id), payment)),
    }


def _decline(payment: Payment) -> DeclineOut | None:
    if not payment.decline_category:
        return None
    return {
        "category": payment.decline_category,
        "code": payment.decline_code,
        "message": payment.decline_message,
        "retry": payment.decline_retry,
    }


def _attempt_out(order: Order, attempt: Attempt) -> AttemptOut:
    operations = [o for o in order.operations if o.attempt_id == attempt.id]
    return {
        "id": str(attempt.id),
        "gateway": attempt.account,
        "reference": attempt.reference,
        "merchant_ref": attempt.merchant_ref,
        "outcome": attempt.outcome.value,
        "decision": attempt.decision,
        "rule_version": attempt.rule_version,
        "created_at": rfc3339(attempt.created_at),
        "operations": [_operation_out(o) for o in sorted(operations, key=lambda o: (o.initiated_at, o.id))],
    }


def _operation_out(operation: Operation) -> OperationOut:
    return {
        "id": str(operation.id),
        "kind": operation.kind.value,
        "amount": operation.amount,
        "outcome": operation.outcome.value,
        "detail": operation.detail,
        "orphan": operation.orphan,
        "reversed_amount": operation.reversed_amount,
        "tax_free": operation.tax_free,
        "initiated_at": rfc3339(operation.initiated_at),
        "resolved_at": rfc3339(operation.resolved_at),
    }
