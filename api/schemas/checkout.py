"""A checkout in JSON: shape and bounds are checked here, prices and stock by the domain."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from api.schemas.field import Amount, Asked, Code, Currency, Email, Line, Phone, PositiveAmount, Quantity
from api.schemas.moment import Until
from api.schemas.payment import PaymentIn
from api.schemas.section import MAX_LINES, DestinationIn
from domain.checkout import (
    AskedDiscount,
    AskedItem,
    AskedSection,
    CaptureMode,
    Checkout,
    Customer,
    PaymentMode,
)
from domain.schedule import FEWEST_PARTS, LONGEST_SCHEDULE, MOST_PARTS, AskedPart

MAX_SECTIONS = 50


class CustomerIn(Asked):
    """Who buys; ``id`` is the client's own."""

    id: Code
    name: Line | None = None
    email: Email | None = None
    phone: Phone | None = None


class LineIn(Asked):
    """So many pieces of a SKU; the price comes from the catalogue."""

    sku: Code
    quantity: Quantity


class SectionIn(Asked):
    """A part of the order with its own destination."""

    destination: DestinationIn
    delivery_method: Code
    shipping_fee: Amount
    items: Annotated[list[LineIn], Field(min_length=1, max_length=MAX_LINES)]

    def to_domain(self) -> AskedSection:
        """The section as the domain knows it."""
        items = tuple(AskedItem(line.sku, line.quantity) for line in self.items)
        return AskedSection(self.destination.to_domain(), self.delivery_method, self.shipping_fee, items)


class DiscountIn(Asked):
    """A discount as the client computed it; its parts are stored on the items."""

    code: Code
    amount: Amount


class PartIn(Asked):
    """One part of a payment schedule. The first is due now and has no ``due_at``; a plain date is included."""

    amount: PositiveAmount
    due_at: Annotated[
        Until | None, Field(description=f"Later than the part before, at most {LONGEST_SCHEDULE.days} days from now.")
    ] = None


class CheckoutIn(Asked):
    """A checkout. ``expected_total`` is what the customer was shown; if the catalogue says another, nothing happens.

    With a ``payment_schedule`` the total is paid in parts over time, such as a deposit now and the rest later. The
    parts add up to the total. ``payments`` pay the first part, or more; none, if the customer pays it by its link. The
    order is placed once all is paid; if a part is missing when it is due, all that was taken is given back.
    """

    customer: CustomerIn
    currency: Currency
    sections: Annotated[list[SectionIn], Field(min_length=1, max_length=MAX_SECTIONS)]
    discounts: Annotated[list[DiscountIn], Field(default_factory=list, max_length=20)]
    expected_total: Amount
    payments: Annotated[list[PaymentIn], Field(default_factory=list, max_length=20)]
    payment_mode: Annotated[
        PaymentMode, Field(description="With a `payment_schedule` only `accumulate`, which is then the default.")
    ] = "atomic"
    capture: CaptureMode = "automatic"
    payment_schedule: Annotated[list[PartIn] | None, Field(min_length=FEWEST_PARTS, max_length=MOST_PARTS)] = None

    @field_validator("sections")
    @classmethod
    def _not_too_many_lines(cls, sections: list[SectionIn]) -> list[SectionIn]:
        lines = sum(len(s.items) for s in sections)
        if lines > MAX_LINES:
            raise PydanticCustomError("too_many_lines", f"{lines} lines; an order has at most {MAX_LINES}")
        return sections

    def to_domain(self) -> Checkout:
        """The checkout as the domain knows it."""
        customer = self.customer
        default_mode: PaymentMode = "accumulate" if self.payment_schedule else "atomic"
        return Checkout(
            customer=Customer(customer.id, customer.name, customer.email, customer.phone),
            currency=self.currency,
            sections=tuple(s.to_domain() for s in self.sections),
            expected_total=self.expected_total,
            payments=tuple(p.to_domain() for p in self.payments),
            discounts=tuple(AskedDiscount(d.code, d.amount) for d in self.discounts),
            payment_mode=self.payment_mode if "payment_mode" in self.model_fields_set else default_mode,
            capture=self.capture,
            payment_schedule=tuple(AskedPart(p.amount, p.due_at) for p in self.payment_schedule or ()),
        )
