"""A customer without a token pays on the PG's own page: charged once, or not at all and told so."""

import asyncio
import threading
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client

from domain.number import order_workflow_id
from tests.e2e.shop import Shop, until
from tests.e2e.window import ADYEN, BACK, NICE, SANDBOX, STRIPE, TOSS, Fields, Window

TOTAL = 57_700
GIVES_UP = {"action": "cancel"}
CONFIRMED = (TOSS, NICE)
"""Windows that only authenticate."""


def of(*windows: Window) -> pytest.MarkDecorator:
    """The same for each of them."""
    return pytest.mark.parametrize("window", windows, ids=lambda window: window.account)


def sent_away(shop: Shop, window: Window, method: str = "card") -> tuple[str, str]:
    """An order whose customer is on the PG's page: its number and the page's address."""
    payments = [{"method": method, "amount": TOTAL, "return_url": BACK}]
    with shop.ruled("single", **{window.account.replace("-", "_"): 100}):
        answer = shop.checkout(points=0, customer="c-71", payments=payments)
    order = answer.json()
    [payment] = order["payments"]
    assert (order["status"], payment["status"], payment["gateway"]) == (
        "pending_payment",
        "action_required",
        window.account,
    )
    assert payment["next_action"]["kind"] == "redirect"
    return order["number"], payment["next_action"]["url"]


def path_back(shop: Shop, number: str) -> str:
    """Where the shop says that its customer is back."""
    return f"payments/{shop.order(number)['payments'][0]['id']}/completions"


def comes_back(shop: Shop, number: str, brought: Fields) -> None:
    """The shop passes on what the page has given the browser."""
    command = shop.command(number, path_back(shop, number), {"details": brought})
    assert command["status"] == "applied", command


def charged_once(shop: Shop, number: str) -> dict[str, Any]:
    """The order, placed, and the PG's own ledger has one authorization and one capture of it."""
    until(f"{number} is placed", lambda: shop.order(number)["status"] == "placed")
    order = shop.order(number)
    done = [(o["operation"], o["amount"]) for o in shop.ledger(order) if o["status"] == "succeeded"]
    assert done == [("authorize", TOTAL), ("capture", TOTAL)]
    assert [(p["status"], p["captured"], p["next_action"]) for p in order["payments"]] == [("captured", TOTAL, None)]
    assert (order["payment_status"], order["flags"]) == ("paid", [])
    return order


def declined(shop: Shop, number: str) -> dict[str, Any]:
    """The payment, once the customer is told no; nothing was charged."""

    def found() -> dict[str, Any] | None:
        [payment] = shop.order(number)["payments"]
        return payment if payment["status"] == "declined" else None

    payment = until(f"{number} is declined", found)
    assert shop.charged(shop.order(number)) == 0
    assert payment["decline"]["category"]
    return payment


@of(SANDBOX, ADYEN, STRIPE, *CONFIRMED)
def test_who_approves_on_the_pgs_page_is_charged_once(shop: Shop, window: Window) -> None:
    number, page = sent_away(shop, window)
    brought = window.decided(page, window.approve)
    comes_back(shop, number, brought)
    charged_once(shop, number)
    comes_back(shop, number, brought)
    charged_once(shop, number)


@of(SANDBOX, ADYEN, STRIPE, *CONFIRMED)
def test_a_return_that_two_tabs_post_at_once_is_one_charge(shop: Shop, window: Window) -> None:
    number, page = sent_away(shop, window)
    body = {"details": window.decided(page, window.approve)}
    path, answers = f"/v1/orders/{number}/{path_back(shop, number)}", []

    def post() -> None:
        answers.append(shop.http.post(path, json=body, headers={"Idempotency-Key": uuid4().hex}).status_code)

    tabs = [threading.Thread(target=post) for _ in range(4)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert answers == [202] * 4
    charged_once(shop, number)


@of(SANDBOX, *CONFIRMED)
def test_a_card_that_is_refused_ends_in_a_decline_and_the_customer_pays_otherwise(shop: Shop, window: Window) -> None:
    number, page = sent_away(shop, window)
    comes_back(shop, number, window.decided(page, window.decline))
    declined(shop, number)
    again = {"payments": [{"method": "card", "amount": TOTAL, "token": "tok_ok"}]}
    paid = shop.http.post(f"/v1/orders/{number}/payments", json=again)
    assert (paid.status_code, paid.json()["status"]) == (201, "placed"), paid.text
    assert shop.charged(shop.order(number)) == TOTAL


@of(*CONFIRMED)
def test_who_leaves_the_page_is_declined_and_not_charged(shop: Shop, window: Window) -> None:
    number, page = sent_away(shop, window)
    comes_back(shop, number, window.decided(page, GIVES_UP))
    assert declined(shop, number)["decline"]["retry"] == "after_customer_action"


def test_a_return_that_nice_has_not_sealed_counts_for_nothing_and_the_customer_still_pays(shop: Shop) -> None:
    number, page = sent_away(shop, NICE)
    brought = NICE.decided(page, NICE.approve)
    comes_back(shop, number, brought | {"signature": "0" * 64})
    assert "not sealed" in until("it is told", lambda: _detail(shop, number))
    assert shop.order(number)["payments"][0]["status"] == "action_required"
    comes_back(shop, number, brought)
    charged_once(shop, number)


@pytest.mark.parametrize("wrong", ["amount", "paymentKey", "another's"])
def test_a_return_to_toss_that_somebody_has_altered_counts_for_nothing_and_the_customer_still_pays(
    shop: Shop, wrong: str
) -> None:
    number, page = sent_away(shop, TOSS)
    brought = TOSS.decided(page, TOSS.approve)
    altered = {"amount": {"amount": "100"}, "paymentKey": {"paymentKey": "tvivaX"}}.get(wrong)
    if altered is None:
        altered = {"paymentKey": TOSS.decided(sent_away(shop, TOSS)[1], TOSS.approve)["paymentKey"]}
    before = _failures(shop)
    comes_back(shop, number, brought | altered)
    told = until("it is told", lambda: _detail(shop, number))
    order = shop.order(number)
    assert "forged_return" in told
    assert (order["payments"][0]["status"], order["flags"], _failures(shop)) == ("action_required", [], before)
    comes_back(shop, number, brought)
    charged_once(shop, number)


def test_who_authenticates_and_dawdles_on_the_way_back_is_charged_all_the_same(shop: Shop) -> None:
    number, page = sent_away(shop, TOSS)
    brought = TOSS.decided(page, TOSS.approve)
    before = _tries(shop, number)
    until("Toss is asked meanwhile", lambda: _tries(shop, number) > before)
    assert shop.order(number)["payments"][0]["status"] == "action_required"
    comes_back(shop, number, brought)
    charged_once(shop, number)


def test_a_virtual_account_of_nices_window_is_paid_by_its_deposit(shop: Shop) -> None:
    number, page = sent_away(shop, NICE, "virtual_account")
    brought = NICE.decided(page, {"action": "approve"})
    comes_back(shop, number, brought)
    payment = until("the account is there", lambda: _awaiting_deposit(shop, number))
    assert set(payment["next_action"]["fields"]) == {"bank", "account", "holder"}
    comes_back(shop, number, brought | {"tid": "nicsandbxm03012611220000000000"})
    assert shop.charged(shop.order(number)) == 0
    bank = f"{shop.demo['sandbox']}/nice/nice-demo/deposit/{payment['attempts'][0]['reference']}"
    assert httpx.post(bank).status_code == 200
    charged_once(shop, number)


def test_a_virtual_account_of_toss_is_paid_by_its_deposit(shop: Shop) -> None:
    with shop.ruled("single", toss_demo=100):
        payments = [{"method": "virtual_account", "amount": TOTAL}]
        number = shop.checkout(points=0, customer="c-72", payments=payments).json()["number"]
    payment = until("the account is there", lambda: _awaiting_deposit(shop, number))
    assert payment["next_action"]["fields"]["holder"] == "Kim Minji"
    bank = f"{shop.demo['sandbox']}/toss/toss-demo/deposit/{payment['attempts'][0]['reference']}"
    assert httpx.post(bank, data={"action": "deposit"}).status_code == 200
    charged_once(shop, number)


@of(*CONFIRMED)
def test_a_confirmation_whose_answer_is_lost_is_one_charge(shop: Shop, window: Window) -> None:
    number, page = sent_away(shop, window)
    brought = window.decided(page, window.approve)
    shop.arm("drop_after", account=window.account)
    comes_back(shop, number, brought)
    charged_once(shop, number)
    assert shop.sandbox.get("/_faults").json()["fired"]


def unrecorded(shop: Shop) -> tuple[str, Fields]:
    """An order that NICE has been paid for, and OPMS does not know it yet; and what its customer had brought."""
    number, page = sent_away(shop, NICE)
    brought = NICE.decided(page, NICE.approve)
    shop.arm("delay", account=NICE.account, ms=8_000)
    comes_back(shop, number, brought)
    until("NICE has taken the money", lambda: shop.charged(shop.order(number)) == TOTAL)
    assert shop.order(number)["status"] == "pending_payment"
    return number, brought


def told_once(shop: Shop, number: str) -> None:
    """It is paid, and no answer of NICE says that it was told a second time."""
    charged_once(shop, number)
    rows = shop.http.get(f"/v1/orders/{number}/timeline", params={"limit": "200"}).raise_for_status().json()["items"]
    details = {row["to"] for row in rows if row["field"] == "detail"}
    assert "paid" in details
    assert not details & {"U112", "U114"}


def test_a_worker_that_dies_between_a_confirmation_and_its_record_is_one_charge(shop: Shop) -> None:
    number, _ = unrecorded(shop)
    shop.kill("payments")
    told_once(shop, number)


def test_a_run_that_is_lost_between_a_confirmation_and_its_record_is_one_charge(shop: Shop) -> None:
    number, brought = unrecorded(shop)
    asyncio.run(_terminate(shop, number))
    comes_back(shop, number, brought)
    told_once(shop, number)


def _awaiting_deposit(shop: Shop, number: str) -> dict[str, Any] | None:
    [payment] = shop.order(number)["payments"]
    return payment if payment["status"] == "awaiting_deposit" else None


def _tries(shop: Shop, number: str) -> int:
    query = "SELECT p.tries FROM operation p JOIN orders o ON o.id = p.order_id WHERE o.number = $1"
    [(tries,)] = shop.sql(query, number)
    return int(tries)


def _failures(shop: Shop) -> list[int]:
    health = shop.http.get("/v1/routing").raise_for_status().json()["health"]
    return [each["failures"] for each in health if each["account"] == TOSS.account]


def _detail(shop: Shop, number: str) -> str:
    operations = shop.order(number)["payments"][0]["attempts"][0]["operations"]
    detail = operations[0]["detail"] or ""
    return detail if "forged" in detail else ""


async def _terminate(shop: Shop, number: str) -> None:
    client = await Client.connect(shop.demo["temporal"])
    await client.get_workflow_handle(order_workflow_id(shop.demo["store"], number)).terminate("lost by a test")
