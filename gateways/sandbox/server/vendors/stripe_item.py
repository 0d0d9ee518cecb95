"""What is paid for by a Checkout Session of the Stripe personality: line items, each with its price and product. Pure.

https://docs.stripe.com/api/checkout/sessions/line_items
"""

import re
from typing import Any

from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_objects as objects
from gateways.sandbox.server.vendors.stripe_intake import Complaint

Json = dict[str, Any]

_MOST_ITEMS = 100
_WHOLE = re.compile(r"([0-9]{1,12})(\.0{0,12})?")


def line_items(params: Json, now: float) -> list[Json]:
    """All of one currency, in the order of the request, with their products inside. Raises `Complaint`."""
    given = intake.required(params, "line_items")
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST_ITEMS:
        raise Complaint(400, "Invalid array", param="line_items")
    found = [_item(one, f"line_items[{number}]", now) for number, one in enumerate(given)]
    currencies = sorted({item["currency"] for item in found})
    if len(currencies) > 1:
        message = f"All line items must have the same currency, but there are: {', '.join(currencies)}."
        raise Complaint(400, message, param="line_items")
    return found


def total(items: list[Json]) -> tuple[str, int]:
    """Currency and sum. Raises `Complaint`."""
    currency = items[0]["currency"]
    amount = intake.amount({"amount": str(sum(item["amount_total"] for item in items))}, "amount", currency)
    return currency, amount or 0


def _item(given: Any, at: str, now: float) -> Json:
    price = given.get("price_data") if isinstance(given, dict) else None
    if not isinstance(price, dict):
        message = f"This sandbox has no prices: {at} needs `price_data`."
        raise Complaint(400, message, code="parameter_missing", param=f"{at}[price_data]")
    if "price" in given:
        raise Complaint(400, "You may only specify one of these parameters: price, price_data.", param=f"{at}[price]")
    described = price.get("product_data")
    product = _described(described if isinstance(described, dict) else {}, now)
    unit = _unit_amount(price)
    intake.required(given, "quantity")
    quantity = intake.amount(given, "quantity") or 0
    return _line(
        {
            "currency": intake.currency(price),
            "description": product["name"],
            "metadata": intake.metadata(given),
            "quantity": quantity,
        },
        _price(product, intake.currency(price), unit, now),
        unit * quantity,
    )


def _described(given: Json, now: float) -> Json:
    name = str(intake.required(given, "name"))
    chosen = {part: intake.text(given, part) for part in ("description", "tax_code", "unit_label")}
    images, metadata = intake.words(given, "images"), intake.metadata(given)
    return _product({"name": name, "images": images, "metadata": metadata, **chosen}, now)


def _unit_amount(price: Json) -> int:
    """From ``unit_amount``, or from a ``unit_amount_decimal`` that is whole. Raises `Complaint`."""
    decimal = intake.text(price, "unit_amount_decimal")
    if decimal is None:
        intake.required(price, "unit_amount")
        return intake.amount(price, "unit_amount") or 0
    if "unit_amount" in price:
        message = "You may only specify one of these parameters: unit_amount, unit_amount_decimal."
        raise Complaint(400, message, param="unit_amount_decimal")
    whole = _WHOLE.fullmatch(decimal)
    if whole is None:
        message = f"This sandbox takes no fractions of the smallest unit: {decimal[:40]}"
        raise Complaint(400, message, param="unit_amount_decimal")
    return intake.amount({"unit_amount_decimal": whole[1]}, "unit_amount_decimal") or 0


def _line(chosen: Json, price: Json, amount: int) -> Json:
    """A line of a Checkout Session; ``chosen``: its currency, description, metadata and quantity."""
    return {
        "id": objects.new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "price": price,
        **chosen,
    }


def _price(product: Json, currency: str, unit_amount: int, now: float) -> Json:
    """A price that was described where it is used, and is for this use only."""
    return {
        "id": objects.new_id("price"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": int(now),
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product,
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": unit_amount,
        "unit_amount_decimal": str(unit_amount),
    }


def _product(chosen: Json, now: float) -> Json:
    """A product that was described where it is used; ``chosen``: what the request said of its fields."""
    return {
        "id": objects.new_id("prod"),
        "object": "product",
        "active": False,
        "created": int(now),
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": int(now),
        "url": None,
        **chosen,
    }
