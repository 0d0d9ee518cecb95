"""The story from door to door: placed, shipped in parts, delivered, refunded, exchanged, canceled, bought again."""

from typing import Any
from uuid import uuid4

from tests.e2e.shop import SEOUL, Shop, until


def card_of(order: dict[str, Any]) -> dict[str, Any]:
    """The card payment that took money."""
    return next(p for p in order["payments"] if p["method"] == "card" and p["captured"])


def item(order: dict[str, Any], sku: str) -> dict[str, Any]:
    """The first row of a SKU."""
    return next(i for s in order["sections"] for i in s["items"] if i["sku"] == sku)


def test_a_mixed_payment_is_taken_and_equals_the_gateways_ledger(shop: Shop) -> None:
    before = shop.points("c-11")
    order = shop.place(customer="c-11")
    assert order["payment_status"] == "paid"
    assert order["totals"] == order["totals"] | {
        "items": 54700,
        "discount": 5000,
        "shipping": 8000,
        "tax_included": 5245,
        "total": 57700,
        "captured": 57700,
        "balance_due": 0,
    }
    shirt = item(order, "TEE-BLK-M")
    assert (shirt["discount"], shirt["tax_included"], shirt["paid"]) == (3638, 3287, 36162)
    assert shop.charged(order) == 50000
    assert shop.points("c-11") == (before[0] - 7700, before[1])


def test_part_of_a_section_ships_alone_and_everything_completes(shop: Shop) -> None:
    number = shop.place(customer="c-12")["number"]
    shirt = item(shop.order(number), "TEE-BLK-M")
    parcel = {
        "carrier": "CJ",
        "tracking_number": "1",
        "items": [{"item_id": shirt["id"], "quantity": 1}],
    }
    order = shop.applied(number, "sections/1/shipments", parcel)
    assert order["sections"][0]["fulfillment_status"] == "partially_shipped"
    assert sorted(i["quantity"] for i in order["sections"][0]["items"]) == [1, 1]
    assert sum(i["paid"] for i in order["sections"][0]["items"]) == 36162
    order = shop.deliver_all(number)
    assert (order["status"], order["fulfillment_status"]) == ("completed", "delivered")


def test_a_refund_of_pieces_shipping_and_an_amount_comes_back_once_each(shop: Shop) -> None:
    number = shop.place(customer="c-13")["number"]
    order = shop.deliver_all(number)
    shirt = item(order, "TEE-BLK-M")
    ask = {"items": [{"item_id": shirt["id"], "quantity": 1}], "reason": "stain"}
    preview = shop.http.post(f"/v1/orders/{number}/refunds/preview", json=ask)
    assert preview.status_code == 200, preview.text
    assert preview.json()["amount"] == 18081
    assert shop.order(number)["totals"]["refunded"] == 0
    order = shop.applied(number, "refunds", ask)
    assert order["totals"]["refunded"] == 18081
    order = shop.applied(number, "refunds", {"shipping": True, "reason": "late"})
    assert order["totals"]["refunded"] == 18081 + 8000
    order = shop.applied(number, "refunds", {"amount": 919, "reason": "sorry"})
    assert order["totals"]["refunded"] == 27000
    assert shop.charged(order) == 50000 - 27000
    again = shop.http.post(f"/v1/orders/{number}/refunds", json={"shipping": True, "reason": "again"})
    assert again.status_code == 409, again.text
    too_much = shop.http.post(f"/v1/orders/{number}/refunds", json={"amount": 30701, "reason": "more"})
    assert (too_much.status_code, too_much.json()["code"]) == (409, "amount_exceeded"), too_much.text


def test_a_double_click_on_refund_is_one_refund(shop: Shop) -> None:
    number = shop.place(customer="c-14")["number"]
    key, ask = uuid4().hex, {"amount": 5000, "reason": "sorry"}
    first = shop.command(number, "refunds", ask, key=key)
    second = shop.command(number, "refunds", ask, key=key)
    assert first["id"] == second["id"]
    order = shop.order(number)
    assert order["totals"]["refunded"] == 5000
    assert shop.charged(order) == 45000


def test_two_refunds_of_everything_at_once_give_back_everything_once(shop: Shop) -> None:
    number = shop.place(customer="c-15")["number"]
    from concurrent.futures import ThreadPoolExecutor

    def ask(_: int) -> int:
        body = {"amount": 57700, "reason": "all"}
        return shop.http.post(f"/v1/orders/{number}/refunds", json=body, headers={"Prefer": "wait=30"}).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(ask, range(8)))
    assert set(codes) <= {200, 409}, codes
    order = shop.order(number)
    assert order["totals"]["refunded"] == 57700
    assert shop.charged(order) == 0


def test_an_exchange_opens_a_new_section_and_collects_the_difference(shop: Shop) -> None:
    number = shop.place(customer="c-16")["number"]
    order = shop.deliver_all(number)
    mug = item(order, "MUG-01")
    ask = {
        "kind": "exchange",
        "items": [{"item_id": mug["id"], "quantity": 1, "sku": "TEE-BLK-M"}],
        "difference": "collect",
        "policy": "ship_first",
    }
    order = shop.applied(number, "reorders", ask)
    section = order["sections"][-1]
    assert section["status"] == "awaiting_payment"
    due = next(r for r in order["payment_requests"] if r["status"] == "open")
    assert due["amount"] == 19900 - mug["paid"]
    pay = {
        "payment_request_id": due["id"],
        "payments": [{"method": "card", "amount": due["amount"], "token": "tok_ok"}],
    }
    answer = shop.http.post(f"/v1/orders/{number}/payments", json=pay, headers={"Idempotency-Key": uuid4().hex})
    assert answer.status_code == 201, answer.text
    assert answer.json()["sections"][-1]["status"] == "open"
    order = shop.deliver_all(number)
    assert (order["status"], order["payment_status"], order["totals"]["balance_due"]) == ("completed", "paid", 0)
    assert shop.charged(order) == 50000 + due["amount"]


def test_a_cheaper_exchange_gives_the_difference_back(shop: Shop) -> None:
    number = shop.place(customer="c-17")["number"]
    order = shop.deliver_all(number)
    shirt = item(order, "TEE-BLK-M")
    ask = {
        "kind": "exchange",
        "items": [{"item_id": shirt["id"], "quantity": 1, "sku": "MUG-01"}],
        "difference": "refund",
        "policy": "return_first",
    }
    order = shop.applied(number, "reorders", ask)
    assert order["totals"]["refunded"] == 18081 - 14900
    section = order["sections"][-1]
    assert (section["status"], section["holds"][0]) == ("on_hold", section["holds"][0])
    released = shop.http.request(
        "DELETE",
        f"/v1/orders/{number}/sections/{section['number']}/holds/awaiting_return",
        headers={"Prefer": "wait=30"},
    )
    assert released.json()["command"]["status"] == "applied", released.text
    order = shop.deliver_all(number)
    assert order["status"] == "completed"
    assert all(s["payment_status"] in {"paid", "partially_refunded"} for s in order["sections"]), order["sections"]


def test_a_lost_parcel_is_shipped_again_for_nothing(shop: Shop) -> None:
    number = shop.place(customer="c-18")["number"]
    order = shop.deliver_all(number)
    ask = {
        "kind": "reship",
        "items": [{"item_id": item(order, "MUG-01")["id"], "quantity": 1}],
        "destination": SEOUL | {"line1": "99 New Road"},
    }
    order = shop.applied(number, "reorders", ask)
    assert order["sections"][-1]["destination"]["line1"] == "99 New Road"
    order = shop.deliver_all(number)
    assert (order["status"], shop.charged(order)) == ("completed", 50000)


def test_buying_again_is_a_new_order_that_waits_for_its_payment(shop: Shop) -> None:
    number = shop.place(customer="c-19")["number"]
    command = shop.command(number, "reorders", {"kind": "again"})
    assert command["status"] == "applied", command
    fresh = command["result"]["order"]
    until("the new order", lambda: shop.http.get(f"/v1/orders/{fresh}").is_success)
    answer = shop.order(fresh)
    assert (answer["reorder_of"], answer["status"]) == (number, "pending_payment")
    total = answer["totals"]["total"]
    pay = {"payments": [{"method": "card", "amount": total, "token": "tok_ok"}]}
    paid = shop.http.post(f"/v1/orders/{fresh}/payments", json=pay, headers={"Idempotency-Key": uuid4().hex})
    assert (paid.status_code, paid.json()["status"]) == (201, "placed"), paid.text


def test_canceling_a_section_gives_its_money_and_stock_back(shop: Shop) -> None:
    number = shop.place(customer="c-20")["number"]
    stock = "SELECT held, committed FROM stock WHERE sku = 'MUG-01'"
    before = shop.sql(stock)[0]
    order = shop.applied(number, "cancellations", {"section": 2, "reason": "changed mind"})
    mug = item(order, "MUG-01")
    assert mug["state"] == "canceled"
    assert order["totals"]["refunded"] == mug["paid"] + 5000
    assert shop.sql(stock)[0] == (before[0], before[1] - 1)
    order = shop.applied(number, "cancellations", {"reason": "the rest too"})
    assert (order["status"], order["payment_status"], shop.charged(order)) == ("canceled", "refunded", 0)


def test_what_has_shipped_cannot_be_canceled(shop: Shop) -> None:
    number = shop.place(customer="c-21")["number"]
    shop.deliver_all(number)
    answer = shop.http.post(f"/v1/orders/{number}/cancellations", json={"reason": "too late"})
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition"), answer.text


def test_a_held_section_ships_only_after_every_hold_is_released(shop: Shop) -> None:
    number = shop.place(customer="c-22")["number"]
    until("preparing", lambda: item(shop.order(number), "MUG-01")["state"] == "preparing")
    for reason in ("fraud_check", "address_check"):
        shop.applied(number, "sections/2/holds", {"reason": reason})
    parcel = {"carrier": "CJ", "tracking_number": "1"}
    refused = shop.http.post(f"/v1/orders/{number}/sections/2/shipments", json=parcel)
    assert refused.status_code == 409, refused.text
    for reason in ("fraud_check", "address_check"):
        shop.http.request("DELETE", f"/v1/orders/{number}/sections/2/holds/{reason}", headers={"Prefer": "wait=30"})
    order = shop.applied(number, "sections/2/shipments", parcel)
    assert item(order, "MUG-01")["state"] == "shipped"


def test_manual_capture_waits_for_the_command(shop: Shop) -> None:
    order = shop.place(customer="c-23", capture="manual")
    assert (order["payment_status"], order["totals"]["captured"]) == ("authorized", 0)
    assert shop.charged(order) == 0
    order = shop.applied(order["number"], "captures", {})
    assert (order["payment_status"], order["totals"]["captured"], shop.charged(order)) == ("paid", 57700, 50000)


def test_on_shipment_takes_what_leaves(shop: Shop) -> None:
    number = shop.place(customer="c-24", capture="on_shipment")["number"]
    order = shop.applied(number, "sections/2/shipments", {"carrier": "CJ", "tracking_number": "1"})
    mug = item(order, "MUG-01")
    until("captured", lambda: shop.order(number)["totals"]["captured"] == mug["paid"] + 5000)
    order = shop.applied(number, "sections/1/shipments", {"carrier": "CJ", "tracking_number": "2"})
    order = until("all captured", lambda: (o := shop.order(number))["payment_status"] == "paid" and o)
    assert shop.charged(order) == 50000


def test_an_order_as_it_was_then(shop: Shop) -> None:
    number = shop.place(customer="c-25")["number"]
    then = shop.order(number)
    rows = shop.http.get(f"/v1/orders/{number}/timeline?limit=200").json()["items"]
    moment = max(r["at"] for r in rows if r["version"] <= then["version"])
    shop.applied(number, "refunds", {"amount": 1000, "reason": "sorry"})
    past = shop.http.get(f"/v1/orders/{number}", params={"as_of": moment}).json()
    assert past["totals"] == then["totals"] | {}
    assert past["refunds"] == []
    assert shop.order(number)["totals"]["refunded"] == 1000
