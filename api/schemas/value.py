"""Our own value in JSON: gift cards, and a customer's points and store credit."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from api.schemas.field import MAX_AMOUNT, Asked, Currency, Flag, PositiveAmount, Reason
from api.schemas.moment import Until, rfc3339
from commands.value import Adjustment, GiftCardTerms, IssuedCard
from domain.value import CustomerKind
from queries.value import LotView

KINDS: tuple[CustomerKind, ...] = ("points", "store_credit")


def _not_nothing(amount: int) -> int:
    if amount == 0:
        raise PydanticCustomError("nothing", "must not be 0")
    return amount


SignedAmount = Annotated[int, Field(strict=True, ge=-MAX_AMOUNT, le=MAX_AMOUNT), AfterValidator(_not_nothing)]


class GiftCardIn(Asked):
    """A gift card as the store wants it. No ``expires_at``: it never expires; a plain date is included."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"amount": 50000, "currency": "KRW"}]})

    amount: PositiveAmount
    currency: Currency
    expires_at: Until | None = None
    promotional: Flag = False

    def to_terms(self) -> GiftCardTerms:
        """The card as the command knows it."""
        return GiftCardTerms(self.amount, self.currency, self.expires_at, self.promotional)


class AdjustmentIn(Asked):
    """Value to give to a customer; an ``amount`` below 0 takes back, never more than there is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "store_credit", "amount": 5000, "reason": "late delivery"}]}
    )

    kind: Literal["points", "store_credit"]
    amount: SignedAmount
    reason: Reason
    expires_at: Annotated[Until | None, Field(validate_default=True)] = None
    promotional: Annotated[Flag, Field(validate_default=True)] = False

    @field_validator("expires_at", "promotional")
    @classmethod
    def _only_if_given(cls, value: object, given: ValidationInfo) -> object:
        if value and given.data.get("amount", 0) < 0:
            raise PydanticCustomError("not_given", "belongs to value that is given; an amount below 0 takes back")
        return value

    def to_command(self) -> Adjustment:
        """The adjustment as the command knows it."""
        return Adjustment(self.kind, self.amount, self.reason, self.expires_at, self.promotional)


class GiftCardOut(TypedDict):
    """A gift card. ``code`` is in the first answer and in no other: it is not kept."""

    id: str
    code: str | None
    last_four: str
    amount: int
    currency: str
    expires_at: str | None
    promotional: bool
    created_at: str


class LotOut(TypedDict):
    """Value given at once; ``available`` is neither spent nor held. ``expires_at`` null: never."""

    id: str
    amount: int
    balance: int
    held: int
    available: int
    expires_at: str | None
    promotional: bool
    created_at: str


class BalanceOut(TypedDict):
    """One kind of value: the sum of its lots, in the order in which they are spent. What has expired is not in it."""

    kind: str
    balance: int
    held: int
    available: int
    lots: list[LotOut]


class CustomerValueOut(TypedDict):
    """All that a customer has. Gift cards belong to whoever knows the code and are not here."""

    customer: str
    currency: str
    balances: list[BalanceOut]


def gift_card_out(card: IssuedCard, *, code: str | None = None) -> GiftCardOut:
    """A card; with its ``code`` only where it is told."""
    return {
        "id": str(card.id),
        "code": code,
        "last_four": card.last_four,
        "amount": card.terms.amount,
        "currency": card.terms.currency,
        "expires_at": rfc3339(card.terms.expires_at),
        "promotional": card.terms.promotional,
        "created_at": rfc3339(card.created_at),
    }


def customer_value_out(customer: str, currency: str, lots: Sequence[LotView]) -> CustomerValueOut:
    """A customer's value by kind; a kind of which there is nothing is there too."""
    return {
        "customer": customer,
        "currency": currency,
        "balances": [_balance_out(kind, [lot for lot in lots if lot.kind == kind]) for kind in KINDS],
    }


def _balance_out(kind: str, lots: Sequence[LotView]) -> BalanceOut:
    balance, held = sum(lot.left for lot in lots), sum(lot.held for lot in lots)
    return {
        "kind": kind,
        "balance": balance,
        "held": held,
        "available": balance - held,
        "lots": [_lot_out(lot) for lot in lots],
    }


def _lot_out(lot: LotView) -> LotOut:
    return {
        "id": str(lot.id),
        "amount": lot.amount,
        "balance": lot.left,
        "held": lot.held,
        "available": lot.left - lot.held,
        "expires_at": rfc3339(lot.expires_at),
        "promotional": lot.promotional,
        "created_at": rfc3339(lot.created_at),
    }
