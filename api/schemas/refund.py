"""Refunds in JSON: what to give back, the calculation before it, and what became of it."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from api.card import is_luhn
from api.schemas.field import Asked, Code, Flag, Line, PositiveAmount, Reason
from api.schemas.moment import rfc3339
from api.schemas.section import NamedPieces, pieces_of
from contracts.command import NameAccount, RefundMoney
from domain.order import Order
from domain.owing import refundable
from domain.payback import BankAccount
from domain.payment import Leg, Refund, RefundLine
from domain.refund import AskedLeg, Policy


class LegIn(Asked):
    """How much of it goes back to one payment."""

    payment_id: UUID
    amount: PositiveAmount


class RefundIn(Asked):
    """Give money back for pieces, for shipping, or as an amount that names nothing; any of them together."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"amount": 1000, "reason": "goodwill"}]})

    reason: Reason
    items: NamedPieces | None = None
    shipping: Flag = False
    amount: PositiveAmount | None = None
    policy: Policy | None = None
    legs: Annotated[list[LegIn] | None, Field(min_length=1, max_length=20, validate_default=True)] = None

    @field_validator("legs")
    @classmethod
    def _fit_policy(cls, legs: list[LegIn] | None, given: ValidationInfo) -> list[LegIn] | None:
        policy = given.data.get("policy")
        if policy == "manual" and not legs:
            raise PydanticCustomError("legs_required", "the policy manual needs legs")
        if legs and policy not in {None, "manual"}:
            raise PydanticCustomError("policy_conflict", "legs go with the policy manual, or with none")
        return legs

    def to_command(self) -> RefundMoney:
        """The command's body."""
        return RefundMoney(
            reason=self.reason,
            items=pieces_of(self.items),
            shipping=self.shipping,
            amount=self.amount,
            policy=self.policy or "reverse",
            legs=tuple(AskedLeg(leg.payment_id, leg.amount) for leg in self.legs or ()),
        )


LONGEST_ACCOUNT = 14
"""Digits of the longest account that a Korean bank gives; cards have more, but for a few that nobody issues there."""


def _no_card_behind_letters(number: str) -> str:
    """Letters before the digits must not carry a card past the door."""
    digits = "".join(each for each in number if each.isdigit())
    if len(digits) > LONGEST_ACCOUNT and is_luhn(digits):
        raise PydanticCustomError("card_number_not_accepted", "this looks like a card number; name a bank account")
    return number


class BankAccountIn(Asked):
    """Where the money of a deposit goes back to.

    ``number`` in digits; dashes are left out. Some long ones look like a card number, which no body may hold: write
    the country before it then, which tells it apart.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"bank": "20", "number": "KR1002123456789", "holder": "김민지"}]}
    )

    bank: Annotated[Code, Field(description="The bank's code or name as the PG knows it.")]
    number: Annotated[
        str, Field(pattern=r"^(?:[A-Z]{2})?[0-9](?:-?[0-9]){5,19}$"), AfterValidator(_no_card_behind_letters)
    ]
    holder: Annotated[Line, Field(max_length=60, description="As the bank knows them.")]

    def to_command(self, payment_id: UUID) -> NameAccount:
        """The command's body."""
        digits = "".join(each for each in self.number if each.isdigit())
        return NameAccount(payment_id, BankAccount(self.bank, digits, self.holder))


class RefundPreviewIn(RefundIn):
    """The same as a refund; the reason may still be missing."""

    reason: Reason = "preview"


class RefundLineOut(TypedDict):
    """What it is for: pieces of an item, a section's shipping, or an amount that names nothing."""

    kind: Literal["item", "shipping", "amount"]
    item_id: str | None
    sku: str | None
    section: int | None
    quantity: int
    amount: int


class LegOut(TypedDict):
    """What of one payment goes back; ``destination`` is ``store_credit`` where the payment itself could not take it."""

    id: str
    payment_id: str
    method: str
    destination: str
    amount: int
    status: str


class RefundOut(TypedDict):
    """An entitlement; ``returnable`` of ``amount`` goes back in money, the rest only lowers what is owed."""

    id: str
    kind: str
    amount: int
    returnable: int
    reason: str
    policy: str
    status: str
    requested_at: str
    command_id: str | None
    lines: list[RefundLineOut]
    legs: list[LegOut]


class PlannedLegOut(TypedDict):
    """What would go back to one payment, or (``destination``) becomes store credit, as its PG takes nothing back."""

    payment_id: str
    method: str
    destination: str
    amount: int


class RefundablePaymentOut(TypedDict):
    """What a payment still has to give back, before and after."""

    payment_id: str
    method: str
    captured: int
    refunded: int
    refundable: int
    amount: int
    refundable_after: int


class RefundPreviewOut(TypedDict):
    """The calculation; nothing of it is stored. ``refundable`` is what is left over all payments, before."""

    currency: str
    amount: int
    returnable: int
    refundable: int
    policy: str
    lines: list[RefundLineOut]
    legs: list[PlannedLegOut]
    payments: list[RefundablePaymentOut]


def refund_out(order: Order, refund: Refund, sections: dict[UUID, int]) -> RefundOut:
    """A refund with its lines and legs."""
    return {
        "id": str(refund.id),
        "kind": refund.kind,
        "amount": refund.amount,
        "returnable": refund.returnable,
        "reason": refund.reason,
        "policy": refund.policy,
        "status": refund.status.value,
        "requested_at": rfc3339(refund.requested_at),
        "command_id": str(refund.command_id) if refund.command_id else None,
        "lines": [_line_out(order, line, sections) for line in order.refund_lines if line.refund_id == refund.id],
        "legs": [
            {
                "id": str(leg.id),
                "payment_id": str(leg.payment_id),
                "method": order.payment(leg.payment_id).method,
                "destination": leg.destination,
                "amount": leg.amount,
                "status": leg.status.value,
            }
            for leg in _legs(order, refund)
        ],
    }


def refund_preview_out(before: Order, after: Order) -> RefundPreviewOut:
    """What a dry run has granted: the one refund that ``after`` has more than ``before``."""
    known = {r.id for r in before.refunds}
    [refund] = [r for r in after.refunds if r.id not in known]
    sections = {s.id: s.number for s in after.sections}
    legs = _legs(after, refund)
    back = {leg.payment_id: leg.amount for leg in legs}
    return {
        "currency": before.currency,
        "amount": refund.amount,
        "returnable": refund.returnable,
        "refundable": refundable(before),
        "policy": refund.policy,
        "lines": [_line_out(after, line, sections) for line in after.refund_lines if line.refund_id == refund.id],
        "legs": [
            {
                "payment_id": str(leg.payment_id),
                "method": after.payment(leg.payment_id).method,
                "destination": leg.destination,
                "amount": leg.amount,
            }
            for leg in legs
        ],
        "payments": [
            {
                "payment_id": str(p.id),
                "method": p.method,
                "captured": p.captured,
                "refunded": p.refunded,
                "refundable": p.refundable,
                "amount": back.get(p.id, 0),
                "refundable_after": p.refundable - back.get(p.id, 0),
            }
            for p in before.payments
            if p.captured
        ],
    }


def _legs(order: Order, refund: Refund) -> list[Leg]:
    return sorted((leg for leg in order.legs if leg.refund_id == refund.id), key=lambda leg: leg.position)


def _line_out(order: Order, line: RefundLine, sections: dict[UUID, int]) -> RefundLineOut:
    item = order.item(line.item_id) if line.item_id else None
    return {
        "kind": "item" if item else "shipping" if line.section_id else "amount",
        "item_id": str(item.id) if item else None,
        "sku": item.sku if item else None,
        "section": sections.get(line.section_id) if line.section_id else None,
        "quantity": line.quantity,
        "amount": line.amount,
    }
