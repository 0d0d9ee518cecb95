"""What PGs take back after it had succeeded, and deposits that need a bank account to go back to."""

from typing import Any

import httpx

from tests.e2e.shop import Shop, until

TWO_SCHEDULES = 100
"""Seconds. News of a deposit that nobody signed, a moment after a question about it, is asked about by schedule."""


def net(shop: Shop, order: dict[str, Any]) -> int:
    """What the PG has of the customer's money, by its own ledger."""
    signs = {"capture": 1, "refund": -1, "capture_failed": -1, "refund_failed": 1}
    moved = [o for o in shop.ledger(order) if o["status"] == "succeeded"]
    return sum(signs.get(o["operation"], 0) * o["amount"] for o in moved)


def operations(order: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """All of a kind, of every attempt."""
    every = [o for p in order["payments"] for a in p["attempts"] for o in a["operations"]]
    return [o for o in every if o["kind"] == kind]


def fails(shop: Shop, psp: str) -> None:
    """Adyen says that a capture or a refund has failed after all."""
    httpx.post(f"{shop.demo['sandbox']}/adyen/adyen-demo/_fail/{psp}").raise_for_status()


def with_adyen(shop: Shop) -> dict[str, Any]:
    with shop.ruled("single", adyen_demo=100):
        order = shop.place(points=0, customer="c-81")
    return shop.paid(order["number"])


def test_a_capture_that_fails_after_all_shows_and_a_person_captures_again(shop: Shop) -> None:
    order = with_adyen(shop)
    number, [payment] = order["number"], order["payments"]
    fails(shop, payment["attempts"][0]["reference"])
    shown = until("the capture is undone", lambda: _with_flag(shop, number, "requires_review"))
    [payment] = shown["payments"]
    assert (payment["status"], payment["captured"], shown["totals"]["balance_due"]) == ("authorized", 0, 57700)
    assert operations(shown, "authorize")[0]["reversed_amount"] == 57700
    assert net(shop, shown) == 0
    shop.applied(number, "captures", {})
    again = until("it is captured", lambda: _without_flags(shop, number))
    assert (again["payment_status"], net(shop, again)) == ("paid", 57700)


def test_a_refund_that_bounces_becomes_store_credit(shop: Shop) -> None:
    order = with_adyen(shop)
    number = order["number"]
    shop.applied(number, "refunds", {"amount": 5000, "reason": "late"})
    [refund] = [line for line in shop.ledger(order) if line["operation"] == "refund"]
    assert net(shop, order) == 52700
    fails(shop, refund["operation_id"])

    def planned_anew() -> dict[str, Any] | None:
        found = shop.order(number)
        return found if [leg["status"] for leg in found["refunds"][0]["legs"]] == ["reversed", "succeeded"] else None

    shown = until("the refund is planned anew", planned_anew)
    assert [leg["destination"] for leg in shown["refunds"][0]["legs"]] == ["payment", "store_credit"]
    assert (shown["refunds"][0]["status"], shown["flags"], net(shop, shown)) == ("succeeded", [], 57700)
    value = shop.http.get("/v1/customers/c-81/value").raise_for_status().json()
    assert {b["kind"]: b["available"] for b in value["balances"]}["store_credit"] == 5000


def test_a_refund_that_stripe_fails_later_is_planned_anew(shop: Shop) -> None:
    with shop.ruled("single", stripe_demo=100):
        order = shop.place(token="pm_card_refundFail", points=0, customer="c-83")
    shop.paid(order["number"])
    shop.command(order["number"], "refunds", {"amount": 5000, "reason": "late"})

    def planned_anew() -> dict[str, Any] | None:
        found = shop.order(order["number"])
        legs = [(leg["status"], leg["destination"]) for leg in found["refunds"][0]["legs"]]
        return found if legs == [("reversed", "payment"), ("succeeded", "store_credit")] else None

    shown = until("the refund is planned anew", planned_anew)
    assert (shown["totals"]["refunded"], net(shop, shown)) == (5000, 57700)


def deposited(shop: Shop) -> tuple[dict[str, Any], str]:
    """An order paid into a virtual account of Toss, and the bank's own page of it."""
    with shop.ruled("single", toss_demo=100):
        payments = [{"method": "virtual_account", "amount": 57700, "bank": "20"}]
        number = shop.checkout(points=0, customer="c-82", payments=payments).json()["number"]
    waiting = until("the account is there", lambda: _awaiting_deposit(shop, number))
    bank = f"{shop.demo['sandbox']}/toss/toss-demo/deposit/{waiting['payments'][0]['attempts'][0]['reference']}"
    httpx.post(bank, data={"action": "deposit"}).raise_for_status()
    return shop.paid(number), bank


def test_a_deposit_that_the_bank_takes_back_is_not_paid_until_it_is_made_again(shop: Shop) -> None:
    order, bank = deposited(shop)
    number = order["number"]
    httpx.post(bank, data={"action": "bounce"}).raise_for_status()
    shown = until("the payment is reversed", lambda: _with_flag(shop, number, "requires_review"))
    assert (shown["payment_status"], shown["totals"]["captured"], shown["totals"]["balance_due"]) == (
        "unpaid",
        0,
        57700,
    )
    assert [(o["outcome"], o["reversed_amount"]) for o in operations(shown, "authorize")] == [("succeeded", 57700)]
    assert net(shop, shown) == 0
    shipment = {"carrier": "CJ", "tracking_number": "1"}
    refused = shop.http.post(f"/v1/orders/{number}/sections/1/shipments", json=shipment)
    assert (refused.status_code, refused.json()["code"]) == (409, "illegal_transition")
    assert "not paid any more" in refused.json()["detail"]
    agrees(shop, number)
    httpx.post(bank, data={"action": "deposit"}).raise_for_status()
    again = until("it is taken in again", lambda: _without_flags(shop, number), within=TWO_SCHEDULES)
    assert (again["totals"]["captured"], again["totals"]["balance_due"], net(shop, again)) == (57700, 0, 57700)
    shop.applied(number, "sections/1/shipments", shipment)
    agrees(shop, number)


def test_an_order_whose_deposit_is_gone_is_canceled_and_nobody_has_anything_left(shop: Shop) -> None:
    order, bank = deposited(shop)
    number = order["number"]
    httpx.post(bank, data={"action": "bounce"}).raise_for_status()
    until("the payment is reversed", lambda: _with_flag(shop, number, "requires_review"))
    after = shop.applied(number, "cancellations", {"reason": "no money"})
    assert (after["status"], after["flags"], after["totals"]["captured"]) == ("canceled", [], 0)
    agrees(shop, number)


def agrees(shop: Shop, number: str) -> None:
    """The audit has nothing to say of this order."""
    _, said = shop.audit()
    assert number not in said, said


def test_a_deposit_goes_back_to_the_account_that_the_customer_names(shop: Shop) -> None:
    order, _ = deposited(shop)
    number = order["number"]
    refund = {"amount": 7700, "reason": "late"}
    refused = shop.http.post(f"/v1/orders/{number}/refunds", json=refund)
    assert (refused.status_code, refused.json()["code"]) == (409, "bank_account_required")
    path = f"payments/{order['payments'][0]['id']}/refund-accounts"
    account = {"bank": "20", "number": "KR1002-123-456789", "holder": "Kim Minji"}
    shop.applied(number, path, account)
    order = shop.applied(number, "refunds", refund)
    assert (order["refunds"][0]["status"], net(shop, order)) == ("succeeded", 50000)
    assert "1002123456789" not in httpx.get(f"{shop.demo['sandbox']}/_ledger").text
    timeline = shop.http.get(f"/v1/orders/{number}/timeline", params={"limit": "200"})
    told = [row for row in timeline.json()["items"] if row["field"] == "details"]
    assert [(row["from"], row["to"], row["cause"]) for row in told] == [(None, "not shown", "name_account")]
    assert "1002123456789" not in timeline.text + shop.http.get(f"/v1/orders/{number}").text
    [(body,)] = shop.sql("SELECT body::text FROM command WHERE number = $1 AND kind = 'name_account'", number)
    assert body == "{}"


def test_a_deposit_is_seen_as_it_was_when_it_was_waited_for(shop: Shop) -> None:
    order, _ = deposited(shop)
    rows = shop.http.get(f"/v1/orders/{order['number']}/timeline", params={"limit": "200"}).json()["items"]
    [asked] = [row for row in rows if row["field"] == "action_kind" and row["to"] == "deposit"]
    then = shop.http.get(f"/v1/orders/{order['number']}", params={"as_of": asked["at"]}).raise_for_status().json()
    action = then["payments"][0]["next_action"]
    assert (then["payments"][0]["status"], action["kind"], bool(action["fields"]["account"])) == (
        "awaiting_deposit",
        "deposit",
        True,
    )


def _awaiting_deposit(shop: Shop, number: str) -> dict[str, Any] | None:
    order = shop.order(number)
    return order if order["payments"][0]["status"] == "awaiting_deposit" else None


def _with_flag(shop: Shop, number: str, flag: str) -> dict[str, Any] | None:
    order = shop.order(number)
    return order if flag in order["flags"] else None


def _without_flags(shop: Shop, number: str) -> dict[str, Any] | None:
    order = shop.order(number)
    return None if order["flags"] or order["payment_status"] != "paid" else order
