"""Stripe captures a payment once and lets go of the rest: nothing that is owed is lost that way."""

from typing import Any

from tests.e2e.asking import post, prepared
from tests.e2e.problem import refusal
from tests.e2e.shop import Shop, until


def held(shop: Shop, customer: str, **how: Any) -> dict[str, Any]:
    """An order of 57 700 whose card is held at Stripe."""
    with shop.ruled("single", stripe_demo=100):
        number = shop.place(customer=customer, capture="manual", **how)["number"]
    return prepared(shop, number)


def moved(shop: Shop, order: dict[str, Any]) -> list[tuple[str, int]]:
    """Everything that has happened at Stripe, by its own ledger."""
    return [(line["operation"], line["amount"]) for line in shop.ledger(order) if line["status"] == "succeeded"]


def refused(shop: Shop, order: dict[str, Any], body: dict[str, Any]) -> list[int]:
    """A capture that must be refused and change nothing, here or there; what can be captured instead."""
    before = moved(shop, order)
    problem = refusal(post(shop.http, f"/v1/orders/{order['number']}/captures", body), 409, "captures_once")
    [card] = [p for p in order["payments"] if p["method"] == "card"]
    figures = problem["figures"]
    assert (figures["payment_id"], figures["requested"]) == (card["id"], body["amount"])
    assert "stripe-demo" in problem["detail"]
    assert all(str(other) in problem["detail"] for other in figures["instead"])
    assert (shop.order(order["number"])["version"], moved(shop, order)) == (order["version"], before)
    instead: list[int] = figures["instead"]
    return instead


def settled(shop: Shop, number: str) -> dict[str, Any]:
    """The order once nothing of it is held or on its way, and nobody has to look at it."""

    def found() -> dict[str, Any] | None:
        order = shop.order(number)
        cards = [p for p in order["payments"] if p["method"] == "card"]
        still = [o for p in cards for a in p["attempts"] for o in a["operations"] if o["outcome"] != "succeeded"]
        held = sum(p["authorized"] - p["captured"] - p["voided"] for p in cards)
        return None if still or held or order["totals"]["balance_due"] else order

    order = until(f"{number} is settled", found)
    assert order["flags"] == []
    return order


def agrees(shop: Shop, number: str) -> None:
    """The audit compares Stripe's ledger with our books, and says nothing of this order."""
    _, said = shop.audit()
    assert "not asked our books and the ledger of stripe-demo" not in said, said
    assert "our books and the ledger of stripe-demo" in said, said
    assert number not in said, said


def test_a_part_is_refused_with_what_can_be_captured_and_then_all_of_it_is(shop: Shop) -> None:
    order = held(shop, "c-241", points=0)
    assert refused(shop, order, {"amount": 5000}) == [57700]
    card = order["payments"][0]["id"]
    assert refused(shop, order, {"amount": 57699, "payment_id": card}) == [57700]
    shop.applied(order["number"], "captures", {"amount": 57700})
    order = settled(shop, order["number"])
    assert (order["payment_status"], moved(shop, order)) == ("paid", [("authorize", 57700), ("capture", 57700)])
    agrees(shop, order["number"])


def test_after_a_cancellation_the_last_capture_is_smaller_and_the_books_agree(shop: Shop) -> None:
    number = held(shop, "c-242", points=0)["number"]
    shop.applied(number, "cancellations", {"section": 2, "reason": "changed mind"})
    order = shop.order(number)
    left = order["totals"]["balance_due"]
    assert 0 < left < 57700
    assert refused(shop, order, {"amount": left - 1}) == [left]
    shop.applied(number, "captures", {"amount": left})
    order = settled(shop, number)
    [card] = order["payments"]
    assert (card["status"], card["captured"], card["voided"]) == ("captured", left, 57700 - left)
    assert moved(shop, order) == [("authorize", 57700), ("capture", left), ("void", 57700 - left)]
    agrees(shop, number)


def test_points_are_captured_in_parts_beside_a_card_that_is_captured_whole(shop: Shop) -> None:
    order = held(shop, "c-176", points=7700)
    assert refused(shop, order, {"amount": 20000}) == [7700, 50000]
    shop.applied(order["number"], "captures", {"amount": 50000})
    assert moved(shop, order) == [("authorize", 50000), ("capture", 50000)]
    shop.applied(order["number"], "captures", {})
    order = settled(shop, order["number"])
    assert (order["payment_status"], order["totals"]["captured"]) == ("paid", 57700)


def test_the_first_parcel_captures_all_where_nobody_can_capture_each(shop: Shop) -> None:
    with shop.ruled("single", stripe_demo=100):
        number = shop.place(customer="c-243", points=0, capture="on_shipment")["number"]
    order = prepared(shop, number)
    shop.applied(number, "sections/1/shipments", {"carrier": "CJ", "tracking_number": "1"})
    until("the first parcel is paid with all others", lambda: shop.order(number)["payment_status"] == "paid")
    shop.applied(number, "sections/2/shipments", {"carrier": "CJ", "tracking_number": "1"})
    order = settled(shop, number)
    assert moved(shop, order) == [("authorize", 57700), ("capture", 57700)]
    agrees(shop, number)
