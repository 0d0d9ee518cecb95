"""Mixed payments at real accounts: a card beside a deposit, two cards where nobody can hold, legs that nobody takes."""

from collections import Counter
from typing import Any

import httpx
import pytest

from tests.e2e.asking import post
from tests.e2e.shop import Shop, until

TOTAL, CARD, DEPOSIT = 57700, 20000, 37700
Leg = dict[str, Any]
GOOD: Leg
BAD: Leg
GOOD, BAD = {"method": "card", "token": "tok_ok"}, {"method": "card", "token": "tok_lost"}
LEGS: list[Leg] = [{"method": "virtual_account", "amount": DEPOSIT, "bank": "20"}, GOOD | {"amount": CARD}]


def begun(shop: Shop, customer: str, legs: list[Leg] = LEGS, **terms: Any) -> dict[str, Any]:
    """An order that is not paid in full yet."""
    answer = shop.checkout(points=0, customer=customer, payments=legs, wait=30, **terms)
    assert answer.status_code in {201, 202}, answer.text
    return shop.order(answer.json()["number"])


def statuses(order: dict[str, Any]) -> list[tuple[str, str]]:
    """Of each payment in the order of taking."""
    return [(payment["method"], payment["status"]) for payment in order["payments"]]


def becomes(shop: Shop, number: str, *wanted: tuple[str, str]) -> dict[str, Any]:
    """The order once its payments are so."""
    return until(
        f"{number}: {wanted}", lambda: order if statuses(order := shop.order(number)) == list(wanted) else None
    )


def held_and_charged(shop: Shop, order: dict[str, Any]) -> tuple[int, int]:
    """What the PGs hold and what they have of the customer's money, by their own ledgers."""
    sums = Counter[str]()
    for line in shop.ledger(order):
        if line["status"] == "succeeded":
            sums[line["operation"]] += line["amount"]
    return sums["authorize"] - sums["capture"] - sums["void"], sums["capture"] - sums["refund"]


def net(order: dict[str, Any]) -> int:
    """What we have of the customer's money, by our own books."""
    return int(order["totals"]["captured"] - order["totals"]["refunded"])


def bank_of(shop: Shop, order: dict[str, Any]) -> str:
    """The page on which the deposit is made."""
    [deposit] = [p for p in order["payments"] if p["method"] == "virtual_account"]
    return f"{shop.demo['sandbox']}/toss/toss-demo/deposit/{deposit['attempts'][0]['reference']}"


@pytest.mark.parametrize("mode", ["atomic", "accumulate"])
def test_a_card_is_held_until_the_deposit_has_come(shop: Shop, mode: str) -> None:
    with shop.ruled("ratio", sandbox_a=50, toss_demo=50):
        number = begun(shop, "c-191", payment_mode=mode)["number"]
    order = becomes(shop, number, ("card", "authorized"), ("virtual_account", "awaiting_deposit"))
    assert order["payments"][0]["attempts"][0]["gateway"] == "sandbox-a", "the one of the two that can hold"
    assert held_and_charged(shop, order) == (CARD, 0)
    httpx.post(bank_of(shop, order), data={"action": "deposit"}).raise_for_status()
    order = shop.paid(number)
    assert (order["status"], held_and_charged(shop, order)) == ("placed", (0, TOTAL))


@pytest.mark.parametrize("accounts", [{"sandbox_a": 50, "toss_demo": 50}, {"toss_demo": 100}])
def test_a_card_goes_back_if_the_deposit_is_not_waited_for(shop: Shop, accounts: dict[str, int]) -> None:
    with shop.ruled("ratio", **accounts):
        number = begun(shop, "c-192")["number"]
    taken = "authorized" if "sandbox_a" in accounts else "captured"
    order = becomes(shop, number, ("card", taken), ("virtual_account", "awaiting_deposit"))
    shop.applied(number, "cancellations", {"reason": "changed mind"})
    until("the card has its money back", lambda: held_and_charged(shop, order) == (0, 0))
    until("so our books say", lambda: net(shop.order(number)) == 0)
    assert shop.order(number)["status"] == "canceled"
    httpx.post(bank_of(shop, order), data={"action": "deposit"})
    assert held_and_charged(shop, order)[0] == 0


def test_two_cards_at_a_pg_that_cannot_hold_are_both_charged_or_none(shop: Shop) -> None:
    with shop.ruled("single", toss_demo=100):
        paid = begun(shop, "c-193", [GOOD | {"amount": CARD}, GOOD | {"amount": DEPOSIT}])
        refused = begun(shop, "c-194", [GOOD | {"amount": CARD}, BAD | {"amount": DEPOSIT}])
    paid = shop.paid(paid["number"])
    assert (statuses(paid), held_and_charged(shop, paid)) == ([("card", "captured")] * 2, (0, TOTAL))
    until("the first is given back", lambda: held_and_charged(shop, refused) == (0, 0))
    until("so our books say", lambda: net(shop.order(refused["number"])) == 0)
    order = shop.order(refused["number"])
    assert order["status"] == "pending_payment"
    again = {"payments": [GOOD | {"amount": TOTAL}], "payment_request_id": order["payment_requests"][0]["id"]}
    assert post(shop.http, f"/v1/orders/{order['number']}/payments", again).status_code == 201
    assert shop.paid(order["number"])["status"] == "placed"


@pytest.mark.parametrize("mode", ["atomic", "accumulate"])
def test_a_leg_that_no_account_takes_says_why_and_keeps_nothing_of_the_others(shop: Shop, mode: str) -> None:
    legs = [{"method": "points", "amount": 7700}, GOOD | {"amount": TOTAL - 7700, "instalments": 5}]
    before = shop.points("c-195")
    with shop.ruled("single", sandbox_a=100):
        order = begun(shop, "c-195", legs, payment_mode=mode)
    assert statuses(order) == [("points", "voided" if mode == "atomic" else "authorized"), ("card", "declined")]
    assert order["payments"][1]["decline"]["code"] == "no_gateway_eligible"
    assert "sandbox-a: instalments_not_offered" in order["payments"][1]["decline"]["message"]
    if mode == "atomic":
        assert shop.points("c-195") == before
    due = TOTAL if mode == "atomic" else TOTAL - 7700
    rest = {"payments": [GOOD | {"amount": due}]}
    assert post(shop.http, f"/v1/orders/{order['number']}/payments", rest).status_code == 201
    assert shop.paid(order["number"])["status"] == "placed"


def test_adyen_holds_first_where_another_account_could_take_over(shop: Shop) -> None:
    with shop.ruled("ratio", adyen_demo=100, sandbox_a=0):
        safe = shop.place(points=0, customer="c-196")
    with shop.ruled("single", adyen_demo=100):
        alone = shop.place(points=0, customer="c-197")
    for order, kinds in ((safe, ["authorize", "capture"]), (alone, ["authorize"])):
        [payment] = shop.paid(order["number"])["payments"]
        assert [o["kind"] for o in payment["attempts"][0]["operations"]] == kinds
        assert held_and_charged(shop, order) == (0, TOTAL)
