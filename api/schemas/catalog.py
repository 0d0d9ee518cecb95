"""SKUs in JSON."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationInfo, field_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from api.schemas.field import Amount, Asked, Code, Currency, Flag, Line
from commands.catalog import SkuTerms
from queries.catalog import SkuView

MOST_SKUS = 1000


class MoneyIn(Asked):
    """An amount with its currency."""

    amount: Amount
    currency: Currency


Price = Annotated[
    Annotated[Amount, Tag("amount")] | Annotated[MoneyIn, Tag("money")],
    Discriminator(lambda given: "money" if isinstance(given, Mapping | MoneyIn) else "amount"),
    Field(description="Minor units of the store's currency, alone or with that currency."),
]


class SkuIn(Asked):
    """A SKU as the store wants it. ``price`` has tax included; ``tax_rate`` in basis points (1000 is 10 %)."""

    sku: Code
    name: Line
    price: Price
    tax_rate: Annotated[int, Field(strict=True, ge=0, le=10_000)] = 0
    tracked: Flag = True
    on_hand: Annotated[int | None, Field(strict=True, ge=0, le=10**9, validate_default=True)] = None
    options: Annotated[dict[Code, Line], Field(max_length=20)] = Field(default_factory=dict)

    @field_validator("on_hand")
    @classmethod
    def _only_if_tracked(cls, on_hand: int | None, given: ValidationInfo) -> int | None:
        if on_hand and given.data.get("tracked") is False:
            raise PydanticCustomError("not_tracked", "a SKU that is not tracked has no count")
        return on_hand

    def to_terms(self) -> SkuTerms:
        """The SKU as the command knows it."""
        price = self.price if isinstance(self.price, int) else self.price.amount
        on_hand = self.on_hand if self.tracked else None
        return SkuTerms(self.sku, self.name, price, self.tax_rate, self.tracked, on_hand, self.options)


_EXAMPLE: JsonDict = {
    "skus": [
        {
            "sku": "CAP-NVY",
            "name": "Cap, navy",
            "price": 19900,
            "tax_rate": 1000,
            "tracked": True,
            "on_hand": 500,
            "options": {"color": "navy"},
        }
    ]
}


class SkusIn(Asked):
    """Up to 1000 SKUs, taken all or none."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})
    skus: Annotated[list[SkuIn], Field(min_length=1, max_length=MOST_SKUS)]


class SkusPut(BaseModel):
    """How many SKUs were new, and how many were replaced."""

    created: int
    updated: int


class SkuOut(BaseModel):
    """A SKU with its count: ``available`` is what can still be ordered. Untracked SKUs have no counts."""

    sku: str
    name: str
    price: int
    currency: str
    tax_rate: int
    tracked: bool
    on_hand: int | None
    held: int | None
    committed: int | None
    available: int | None
    options: dict[str, str]


class SkuPage(BaseModel):
    """A page of SKUs, by code."""

    items: list[SkuOut]
    next_cursor: str | None


def sku_out(view: SkuView, currency: str) -> SkuOut:
    """A SKU as clients see it."""
    counted = view.tracked and view.on_hand is not None
    available = (view.on_hand or 0) - (view.held or 0) - (view.committed or 0) if counted else None
    return SkuOut(
        sku=view.sku,
        name=view.name,
        price=view.price,
        currency=currency,
        tax_rate=view.tax_rate,
        tracked=view.tracked,
        on_hand=view.on_hand if counted else None,
        held=view.held if counted else None,
        committed=view.committed if counted else None,
        available=available,
        options=view.options,
    )
