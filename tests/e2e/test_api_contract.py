"""The contract, literally: its examples work as they are printed, and answers have every name that it promises."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.e2e.shop import Shop, until

CHECKOUT: dict[str, Any] = {
    "customer": {"id": "c-1", "name": "Kim Minji", "email": "minji@example.com", "phone": "+82-10-0000-0000"},
    "currency": "KRW",
    "sections": [
        {
            "destination": {
                "name": "Kim Minji",
                "line1": "12 Teheran-ro",
                "city": "Seoul",
                "postal_code": "06236",
                "country": "KR",
            },
            "delivery_method": "standard",
            "shipping_fee": 3000,
            "items": [{"sku": "TEE-BLK-M", "quantity": 2}],
        },
        {
            "destination": {
                "name": "Lee Jun",
                "line1": "3 Haeundae",
                "city": "Busan",
                "postal_code": "48094",
                "country": "KR",
            },
            "delivery_method": "express",
            "shipping_fee": 5000,
            "items": [{"sku": "MUG-01", "quantity": 1}],
        },
    ],
    "discounts": [{"code": "WELCOME", "amount": 5000}],
    "expected_total": 57700,
    "payments": [{"method": "points", "amount": 7700}, {"method": "card", "amount": 50000, "token": "tok_ok"}],
    "payment_mode": "atomic",
    "capture": "automatic",
}

NAMES = {
    "": "number id store version status payment_status fulfillment_status return_status flags currency totals customer"
    " placed_at expires_at workflow sections payment_requests payments refunds rmas changes commands",
    "totals": "items discount shipping tax_included total authorized captured refunded balance_due",
    "workflow": "id url",
    "customer": "id name email phone",
    "sections": "number status fulfillment_status payment_status destination delivery_method shipping_fee holds"
    " workflow items shipments",
    "sections.workflow": "id",
    "sections.items": "id sku name quantity unit_price discount tax_included paid refunded state return_state"
    " split_from_id origin",
    "sections.shipments": "id carrier tracking_number items",
    "payment_requests": "id scope amount status due_at url",
    "payments": "id method gateway status amount authorized captured refunded next_action decline attempts",
    "payments.attempts": "gateway reference merchant_ref outcome decision",
    "commands": "id kind status",
}
"""Every name of the order in the contract, by where it stands."""


@pytest.fixture(scope="module")
def order(shop: Shop) -> dict[str, Any]:
    """The printed checkout, its first section shipped."""
    answer = shop.http.post("/v1/checkouts", json=CHECKOUT, headers={"Idempotency-Key": uuid4().hex})
    assert answer.status_code == 201, answer.text
    number = answer.json()["number"]
    assert answer.headers["location"] == f"/v1/orders/{number}"
    parcel = {"carrier": "CJ", "tracking_number": "123-456"}
    return shop.applied(number, "sections/1/shipments", parcel)


def places(value: Any, path: list[str]) -> list[dict[str, Any]]:
    """All objects at a path, lists walked through."""
    if isinstance(value, list):
        return [found for inner in value for found in places(inner, path)]
    return places(value[path[0]], path[1:]) if path else [value]


@pytest.mark.parametrize("where", NAMES)
def test_an_order_has_every_promised_name(order: dict[str, Any], where: str) -> None:
    found = places(order, where.split(".") if where else [])
    assert found
    for each in found:
        assert set(NAMES[where].split()) <= set(each)


def test_an_order_has_the_printed_figures(order: dict[str, Any]) -> None:
    assert order["store"] == "demo"
    assert (order["status"], order["payment_status"]) == ("placed", "paid")
    assert (order["fulfillment_status"], order["return_status"], order["flags"]) == ("partially_shipped", "none", [])
    assert (
        order["totals"]
        | {
            "items": 54700,
            "discount": 5000,
            "shipping": 8000,
            "tax_included": 5245,
            "total": 57700,
            "authorized": 57700,
            "captured": 57700,
            "refunded": 0,
            "balance_due": 0,
        }
        == order["totals"]
    )
    number, customer = order["number"], order["customer"]
    assert customer == CHECKOUT["customer"]
    assert order["workflow"]["id"] == f"order.demo.{number}"
    assert order["workflow"]["url"].startswith("http")
    first, second = order["sections"]
    assert [first["workflow"]["id"], second["workflow"]["id"]] == [f"section.demo.{number}.{n}" for n in (1, 2)]
    [shirt] = first["items"]
    printed = {"quantity": 2, "unit_price": 19900, "discount": 3638, "tax_included": 3287, "paid": 36162, "refunded": 0}
    printed_states = {"state": "shipped", "return_state": "none", "split_from_id": None, "origin": "sale"}
    assert shirt | printed | printed_states == shirt
    assert (first["status"], first["fulfillment_status"], first["shipping_fee"]) == ("open", "shipped", 3000)
    assert first["shipments"][0]["carrier"] == "CJ"
    [request] = order["payment_requests"]
    assert (request["scope"], request["amount"], request["status"]) == ("order", 57700, "paid")
    card = next(payment for payment in order["payments"] if payment["method"] == "card")
    assert (card["status"], card["authorized"], card["captured"], card["refunded"]) == ("captured", 50000, 50000, 0)
    assert card["gateway"] in {"sandbox-a", "sandbox-b"}
    assert card["attempts"][0]["outcome"] == "succeeded"
    assert all(UUID(each["id"]).version == 7 for each in (order, first, shirt, request, card))
    assert order["placed_at"].endswith("Z")


def test_a_command_is_accepted_and_then_final(shop: Shop, order: dict[str, Any]) -> None:
    item = order["sections"][0]["items"][0]["id"]
    card = next(payment["id"] for payment in order["payments"] if payment["method"] == "card")
    ask = {
        "items": [{"item_id": item, "quantity": 1}],
        "shipping": True,
        "amount": 1,
        "reason": "x",
        "legs": [{"payment_id": card, "amount": 26082}],
    }
    preview = shop.http.post(f"/v1/orders/{order['number']}/refunds/preview", json=ask)
    assert preview.status_code == 200, preview.text
    assert preview.json()["amount"] == 26082
    answer = shop.http.post(f"/v1/orders/{order['number']}/refunds", json=ask)
    assert answer.status_code == 202, answer.text
    command = answer.json()["command"]
    assert answer.headers["location"] == f"/v1/commands/{command['id']}"
    assert (command["kind"], command["status"]) == ("refund", "accepted")
    final = shop.http.get(answer.headers["location"], headers={"Prefer": "wait=30"}).json()["command"]
    assert (final["id"], final["status"], final["problem"]) == (command["id"], "applied", None)
    after = until("the refund", lambda: (o := shop.order(order["number"]))["totals"]["refunded"] and o)
    assert after["totals"]["refunded"] == 26082


def test_bodies_of_the_table_are_taken(shop: Shop) -> None:
    put = {"sku": "CON-1", "name": "C", "price": 1, "tax_rate": 1000, "tracked": True, "on_hand": 9, "options": {}}
    assert shop.http.put("/v1/skus", json={"skus": [put]}).status_code == 200
    [sku] = shop.http.get("/v1/skus", params={"q": "CON-1"}).json()["items"]
    assert set(put) <= set(sku)
    rule = {"strategy": "ratio", "by": "count", "weights": {"sandbox-a": 70, "sandbox-b": 30}}
    rule |= {"fallback": ["sandbox-a"], "constraints": []}
    assert shop.http.post("/v1/routing/preview", json=rule).status_code == 200
    assert set(rule) <= set(shop.http.get("/v1/routing").json())
    order = shop.place(customer="c-162", capture="manual")
    card = next(payment for payment in order["payments"] if payment["method"] == "card")
    order = shop.applied(order["number"], "captures", {"payment_id": card["id"], "amount": 50000})
    order = shop.applied(order["number"], "captures", {})
    assert order["payment_status"] == "paid"
    number, items = order["number"], order["sections"][0]["items"]
    pieces = [{"item_id": items[0]["id"], "quantity": 1}]
    order = shop.applied(number, "cancellations", {"items": pieces, "reason": "one is enough"})
    parcel = {"carrier": "CJ", "tracking_number": "9"}
    left = next(item for item in order["sections"][0]["items"] if item["state"] != "canceled")
    pieces = [{"item_id": left["id"], "quantity": 1}]
    order = shop.applied(number, "sections/1/shipments", parcel | {"items": pieces})
    shipment = order["sections"][0]["shipments"][0]
    assert shipment["items"][0]["item_id"] == left["id"]
    order = shop.applied(number, "sections/1/deliveries", {"shipment_id": shipment["id"]})
    again = {
        "kind": "exchange",
        "items": [{"item_id": left["id"], "quantity": 1, "sku": "MUG-01"}],
        "destination": CHECKOUT["sections"][1]["destination"],
        "difference": "waive",
        "policy": "ship_first",
    }
    order = shop.applied(number, "reorders", again)
    assert order["sections"][-1]["items"][0]["origin"] == "exchange"


def test_all_faults_of_the_sandbox_can_be_armed_seen_and_disarmed(shop: Shop) -> None:
    kinds = ["refuse", "drop_before", "drop_after", "delay", "500_before", "500_after", "garbage", "wrong_amount"]
    kinds += ["webhook_duplicate", "webhook_late", "webhook_never"]
    for fault in kinds:
        armed = {"account": "sandbox-a", "operation": "refund", "fault": fault, "times": 1, "ms": 3000}
        assert shop.sandbox.post("/_faults", json=armed).is_success, fault
    assert all(fault in shop.sandbox.get("/_faults").text for fault in kinds)
    assert shop.sandbox.delete("/_faults").is_success


def test_openapis_own_examples_work(shop: Shop) -> None:
    document = shop.http.get("/openapi.json").json()
    content = document["paths"]["/v1/checkouts"]["post"]["requestBody"]["content"]["application/json"]
    number = ""
    for example in content["examples"].values():
        answer = shop.http.post("/v1/checkouts", json=example["value"], headers={"Idempotency-Key": uuid4().hex})
        order = answer.json()
        deposit = "payment_schedule" in example["value"]
        assert (answer.status_code, order["status"]) == (201, "pending_payment" if deposit else "placed"), answer.text
        number = number if deposit else order["number"]
    for path in ("refunds", "sections/1/holds"):
        operation = document["paths"][f"/v1/orders/{{number}}/{path.replace('/1/', '/{n}/')}"]["post"]
        reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        [example] = document["components"]["schemas"][reference]["examples"]
        shop.applied(number, path, example)
