"""Checkout: what the customer asked for, priced by the catalogue, becomes an order that waits for its money.

Every order-level amount (discount, shipping, tax) is allocated to items here, once, by largest remainder, and stored:
a later refund is a sum of stored shares. Amounts are minor units of the store's currency.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from domain.allocation import allocate, included_taxes
from domain.errors import Flaw, Invalid, OutOfStock, TotalMismatch
from domain.order import Discount, Order
from domain.payment import CHARGED_METHODS, DEPOSIT_METHODS, INTERNAL_METHODS, Payment, PaymentRequest
from domain.schedule import AskedPart, agreed, check_sum, first_amount, schedule_flaws
from domain.section import Item, NewId, Section
from domain.states import OrderStatus, RequestStatus, SectionStatus, TenderStatus

CaptureMode = Literal["automatic", "manual", "on_shipment"]
PaymentMode = Literal["atomic", "accumulate"]


@dataclass(frozen=True, slots=True)
class Customer:
    """Who buys. Personal data: never in logs."""

    id: str
    name: str | None = None
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a section goes; copied into it, never shared."""

    name: str
    line1: str
    city: str
    postal_code: str
    country: str
    line2: str | None = None
    region: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class AskedItem:
    """A line as asked: so many pieces of a SKU."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class AskedSection:
    """A section as asked."""

    destination: Destination
    delivery_method: str
    shipping_fee: int
    items: tuple[AskedItem, ...]


@dataclass(frozen=True, slots=True)
class AskedDiscount:
    """A discount as the client computed it."""

    code: str
    amount: int


@dataclass(frozen=True, slots=True)
class AskedPayment:
    """A leg as asked; ``token`` stands for the instrument: a PG's token of a card, the hash of a gift card's code."""

    method: str
    amount: int
    token: str | None = None
    instalments: int = 0
    """Months; 0 or 1: at once."""
    return_url: str | None = None
    """Where the PG's page sends the customer back to."""
    details: dict[str, str] | None = None
    """What the customer gave beside the token, such as the ``bank`` of a deposit."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout as asked. ``expected_total`` is what the customer was shown; without a schedule all is due now."""

    customer: Customer
    currency: str
    sections: tuple[AskedSection, ...]
    expected_total: int
    payments: tuple[AskedPayment, ...] = ()
    discounts: tuple[AskedDiscount, ...] = ()
    payment_mode: PaymentMode = "atomic"
    capture: CaptureMode = "automatic"
    reorder_of: str | None = None
    payment_schedule: tuple[AskedPart, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogSku:
    """A SKU as sold now: price in minor units with tax included, tax rate in basis points, pieces available."""

    sku: str
    name: str
    price: int
    tax_rate: int
    tracked: bool
    available: int


@dataclass(frozen=True, slots=True)
class PricedLine:
    """One line with its price and its shares of everything."""

    section: int
    asked: AskedItem
    sku: CatalogSku
    discount: int
    shipping: int
    tax_included: int
    shipping_tax: int

    @property
    def gross(self) -> int:
        """Price before discount."""
        return self.sku.price * self.asked.quantity

    @property
    def paid(self) -> int:
        """Price after discount, without shipping."""
        return self.gross - self.discount


@dataclass(frozen=True, slots=True)
class Quote:
    """A priced checkout; ``figures`` is what the client is told when its own total differs."""

    lines: tuple[PricedLine, ...]
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """What the order costs."""
        total: int = self.figures["total"]
        return total


def quote(checkout: Checkout, catalog: Mapping[str, CatalogSku], *, currency: str, now: datetime) -> Quote:
    """Price a checkout. Raises `Invalid` with pointers, `OutOfStock`, `TotalMismatch`; changes nothing."""
    _check_shape(checkout, catalog, currency, now)
    lines = _price(checkout, catalog)
    shipping = sum(s.shipping_fee for s in checkout.sections)
    paid = sum(line.paid for line in lines)
    figures: dict[str, Any] = {
        "items": sum(line.gross for line in lines),
        "discount": sum(line.discount for line in lines),
        "shipping": shipping,
        "tax_included": sum(line.tax_included + line.shipping_tax for line in lines),
        "total": paid + shipping,
        "payments": sum(p.amount for p in checkout.payments),
        "expected_total": checkout.expected_total,
        "currency": currency,
    }
    if checkout.expected_total != figures["total"]:
        raise TotalMismatch(
            f"expected_total is {checkout.expected_total}, the catalogue says {figures['total']}", figures=figures
        )
    check_sum(checkout.payment_schedule, figures["total"])
    least = figures["total"]
    if checkout.payment_mode == "accumulate":  # It may begin with no payment at all, and be paid by its link.
        least = first_amount(checkout.payment_schedule) if checkout.payments else 0
    if not least <= figures["payments"] <= figures["total"]:
        due = least if figures["payments"] < least else figures["total"]
        figures |= {"due": due} if checkout.payment_schedule else {}
        raise TotalMismatch(f"payments add up to {figures['payments']}, due is {due}", figures=figures)
    check_stock([line.asked for line in lines], catalog)
    return Quote(lines, figures)


def check_stock(wanted: Sequence[AskedItem], catalog: Mapping[str, CatalogSku]) -> None:
    """Refuse what the shelf does not hold, summing lines of the same SKU first."""
    pieces: dict[str, int] = {}
    for line in wanted:
        pieces[line.sku] = pieces.get(line.sku, 0) + line.quantity
    short = [
        {"sku": sku, "wanted": n, "available": max(0, catalog[sku].available)}
        for sku, n in sorted(pieces.items())
        if catalog[sku].tracked and n > catalog[sku].available
    ]
    if short:
        names = ", ".join(f"{s['sku']} (wanted {s['wanted']}, available {s['available']})" for s in short)
        raise OutOfStock(f"not enough stock: {names}", figures={"skus": short})


def _check_shape(checkout: Checkout, catalog: Mapping[str, CatalogSku], currency: str, now: datetime) -> None:
    flaws: list[Flaw] = []
    if checkout.currency != currency:
        flaws.append(Flaw("/currency", "currency_not_of_store", f"this store sells in {currency}"))
    if not checkout.sections:
        flaws.append(Flaw("/sections", "empty", "an order needs at least one section"))
    for s, section in enumerate(checkout.sections):
        flaws += _section_flaws(s, section, catalog)
    for d, discount in enumerate(checkout.discounts):
        if discount.amount < 0:
            flaws.append(Flaw(f"/discounts/{d}/amount", "too_small", "at least 0"))
    flaws += payment_flaws(checkout.payments)
    flaws += schedule_flaws(checkout.payment_schedule, accumulates=checkout.payment_mode == "accumulate", now=now)
    if flaws:
        raise Invalid("the checkout cannot be placed as it is", flaws=flaws)
    items = sum(catalog[i.sku].price * i.quantity for s in checkout.sections for i in s.items)
    if sum(d.amount for d in checkout.discounts) > items:
        raise Invalid(
            "the discounts exceed the items",
            flaws=[Flaw("/discounts", "too_large", f"the items cost {items}")],
            figures={"items": items},
        )


def _section_flaws(s: int, section: AskedSection, catalog: Mapping[str, CatalogSku]) -> list[Flaw]:
    flaws: list[Flaw] = []
    if not section.items:
        flaws.append(Flaw(f"/sections/{s}/items", "empty", "a section needs at least one item"))
    for i, item in enumerate(section.items):
        if item.sku not in catalog:
            flaws.append(Flaw(f"/sections/{s}/items/{i}/sku", "unknown_sku", f"no SKU {item.sku!r} in this store"))
        if item.quantity < 1:
            flaws.append(Flaw(f"/sections/{s}/items/{i}/quantity", "too_small", "at least 1"))
    if section.shipping_fee < 0:
        flaws.append(Flaw(f"/sections/{s}/shipping_fee", "too_small", "at least 0"))
    return flaws


def payment_flaws(asked: Sequence[AskedPayment]) -> list[Flaw]:
    """Legs that pay nothing, or less."""
    return [Flaw(f"/payments/{k}/amount", "too_small", "at least 1") for k, p in enumerate(asked) if p.amount < 1]


def _price(checkout: Checkout, catalog: Mapping[str, CatalogSku]) -> tuple[PricedLine, ...]:
    asked = [(s, item, catalog[item.sku]) for s, section in enumerate(checkout.sections) for item in section.items]
    gross = [sku.price * item.quantity for _, item, sku in asked]
    discounts = allocate(sum(d.amount for d in checkout.discounts), gross)
    paid = [g - d for g, d in zip(gross, discounts, strict=True)]
    shipping: list[int] = []
    for s, section in enumerate(checkout.sections):
        weights = [paid[k] for k, (of, _, _) in enumerate(asked) if of == s]
        shipping += allocate(section.shipping_fee, weights)
    rates = [sku.tax_rate for _, _, sku in asked]
    taxes = included_taxes([*zip(paid, rates, strict=True), *zip(shipping, rates, strict=True)])
    n = len(asked)
    return tuple(
        PricedLine(s, item, sku, discounts[k], shipping[k], taxes[k], taxes[n + k])
        for k, (s, item, sku) in enumerate(asked)
    )


@dataclass(frozen=True, slots=True)
class Opening:
    """What a new order is given from outside: identity, time and the store's terms."""

    order_id: UUID
    store_id: str
    number: str
    checkout_id: UUID
    now: datetime
    expires_at: datetime
    new_id: NewId


def open_order(checkout: Checkout, priced: Quote, opening: Opening) -> Order:
    """The order, waiting for payment: stock held, one request for the whole, one payment per leg."""
    order_id, new_id = opening.order_id, opening.new_id
    schedule = agreed(checkout.payment_schedule, opening.expires_at)
    expires_at = schedule[0].due_at if schedule else opening.expires_at
    order = Order(
        id=order_id,
        store_id=opening.store_id,
        number=opening.number,
        version=0,
        status=OrderStatus.PENDING_PAYMENT,
        currency=checkout.currency,
        customer_id=checkout.customer.id,
        customer_name=checkout.customer.name,
        customer_email=checkout.customer.email,
        customer_phone=checkout.customer.phone,
        created_at=opening.now,
        expires_at=expires_at,
        checkout_id=opening.checkout_id,
        payment_mode=checkout.payment_mode,
        capture=checkout.capture,
        reorder_of=checkout.reorder_of,
    )
    sections = [
        new_section(order_id, n, asked, new_id=new_id, shipping_tax=_shipping_tax(priced, n - 1))
        for n, asked in enumerate(checkout.sections, start=1)
    ]
    items = [
        Item(
            id=new_id(),
            order_id=order_id,
            section_id=sections[line.section].id,
            line_id=new_id(),
            position=position,
            sku=line.sku.sku,
            name=line.sku.name,
            quantity=line.asked.quantity,
            unit_price=line.sku.price,
            tax_rate=line.sku.tax_rate,
            tracked=line.sku.tracked,
            discount=line.discount,
            shipping=line.shipping,
            tax_included=line.tax_included,
            shipping_tax=line.shipping_tax,
            paid=line.paid,
        )
        for position, line in enumerate(priced.lines)
    ]
    discounts = [Discount(new_id(), order_id, d.code, d.amount) for d in checkout.discounts]
    request = PaymentRequest(
        id=new_id(),
        order_id=order_id,
        scope="order",
        amount=priced.total,
        status=RequestStatus.OPEN,
        purpose="checkout",
        due_at=expires_at,
        schedule=schedule,
    )
    payments = new_payments(order, request, checkout.payments, new_id=new_id)
    return order.put(*sections, *items, *discounts, request, *payments)


def new_section(
    order_id: UUID, number: int, asked: AskedSection, *, new_id: NewId, shipping_tax: int = 0, origin: str = "sale"
) -> Section:
    """A section that waits for its money, with its own copy of the destination."""
    to = asked.destination
    return Section(
        id=new_id(),
        order_id=order_id,
        number=number,
        status=SectionStatus.AWAITING_PAYMENT,
        recipient=to.name,
        line1=to.line1,
        line2=to.line2,
        city=to.city,
        region=to.region,
        postal_code=to.postal_code,
        country=to.country,
        phone=to.phone,
        delivery_method=asked.delivery_method,
        shipping_fee=asked.shipping_fee,
        shipping_tax=shipping_tax,
        origin=origin,
    )


def new_payments(
    order: Order,
    request: PaymentRequest,
    asked: Sequence[AskedPayment],
    *,
    new_id: NewId,
    command_id: UUID | None = None,
) -> list[Payment]:
    """Payments as asked, in the order of taking: our own value first, PGs after it (rule M2)."""
    start = len(order.payments)
    inner_first = sorted(asked, key=lambda p: _turn(p.method))
    return [
        Payment(
            id=new_id(),
            order_id=order.id,
            request_id=request.id,
            position=start + k,
            method=p.method,
            amount=p.amount,
            token=p.token,
            status=TenderStatus.CREATED,
            instalments=p.instalments,
            return_url=p.return_url,
            details=p.details,
            command_id=command_id,
        )
        for k, p in enumerate(inner_first)
    ]


def _turn(method: str) -> int:
    """Own value, what can be held, what is charged at once; a deposit last, once all else is there (M2, M3)."""
    return (method not in INTERNAL_METHODS) + (method in CHARGED_METHODS) + (method in DEPOSIT_METHODS)


def _shipping_tax(priced: Quote, section: int) -> int:
    return sum(line.shipping_tax for line in priced.lines if line.section == section)
