"""Goods with and without tax in one order, at a PG that reports the tax of what it takes and gives back (rule M10)."""

import json
from typing import Any

from tests.e2e.shop import SEOUL, Shop, until

TOSS = "toss-demo"
SHIRT, BOOK, FEE = 19_900, 18_000, 3_000
TOTAL = SHIRT + BOOK + FEE


def test_what_has_no_tax_is_told_when_it_is_paid_and_when_it_goes_back(shop: Shop) -> None:
    section: dict[str, Any] = {"destination": SEOUL, "delivery_method": "standard", "shipping_fee": FEE}
    section["items"] = [{"sku": "TEE-BLK-M", "quantity": 1}, {"sku": "BOOK-01", "quantity": 1}]
    paid = {"expected_total": TOTAL, "payments": [{"method": "card", "amount": TOTAL, "token": "tok_ok"}]}
    with shop.ruled("single", toss_demo=100):
        number = shop.place(customer="c-196", sections=[section], discounts=[], **paid)["number"]
    order = shop.paid(number)
    shirt, book = order["sections"][0]["items"]
    [told] = by_card(order, "authorize")
    assert told == BOOK + book["shipping"]
    assert at_toss(shop, order)["taxFreeAmount"] == told
    for item, back in ((shirt, 0), (book, BOOK)):
        asked = {"items": [{"item_id": item["id"], "quantity": 1}], "reason": "damaged"}
        assert by_card(shop.applied(number, "refunds", asked), "refund")[-1] == back
    until("it has gone back", lambda: shop.order(number)["totals"]["refunded"] == SHIRT + BOOK)
    payment = at_toss(shop, order)
    assert sorted(cancel["taxFreeAmount"] for cancel in payment["cancels"]) == [0, BOOK]
    assert (payment["taxFreeAmount"], payment["balanceAmount"]) == (book["shipping"], FEE)


def by_card(order: dict[str, Any], kind: str) -> list[int]:
    """What is free of tax of each thing that the card's PG was asked for."""
    [card] = [p for p in order["payments"] if p["method"] == "card"]
    [attempt] = card["attempts"]
    return [o["tax_free"] for o in attempt["operations"] if o["kind"] == kind]


def at_toss(shop: Shop, order: dict[str, Any]) -> dict[str, Any]:
    """The card's payment as Toss shows it."""
    [card] = [p for p in order["payments"] if p["method"] == "card"]
    key = json.loads((shop.data / "keys.json").read_text())[TOSS]
    path = f"/toss/{TOSS}/v1/payments/{card['attempts'][0]['reference']}"
    payment: dict[str, Any] = shop.sandbox.get(path, auth=(key, "")).raise_for_status().json()
    return payment
