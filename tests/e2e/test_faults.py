"""Cut answers, events in disorder, a PG whose clock is wrong: the order comes through, and the money moves once."""

import re
from typing import Any

import pytest

from tests.e2e.shop import Shop, until


def succeeded(shop: Shop, order: dict[str, Any], operation: str) -> list[int]:
    """The amounts of what the PG has done, by its own ledger."""
    done = [line for line in shop.ledger(order) if line["status"] == "succeeded"]
    return [line["amount"] for line in done if line["operation"] == operation]


def fired(shop: Shop, account: str) -> list[str]:
    """What has struck this account so far."""
    log = shop.sandbox.get("/_faults").raise_for_status().json()["fired"]
    return [one["fault"] for one in log if one["account"] == account]


def refused_events(shop: Shop, account: str) -> float:
    """How many deliveries of this account our API has refused."""
    text = shop.http.get("/metrics").raise_for_status().text
    counts = re.findall(rf'^opms_webhooks_refused_total{{account="{account}",[^}}]*}} (\S+)$', text, re.MULTILINE)
    return sum(float(count) for count in counts)


@pytest.mark.parametrize("vendor", ["stripe", "adyen"])
def test_an_order_survives_cut_answers_and_events_in_disorder(shop: Shop, vendor: str) -> None:
    account = f"{vendor}-demo"
    before = len(fired(shop, account))
    for operation in ("authorize", "capture", "refund"):
        shop.arm("truncated", operation, account=account)
    shop.arm("webhook_reordered", None, account=account, times=3, ms=1500)
    with shop.ruled("single", **{f"{vendor}_demo": 100}):
        number = shop.checkout(points=0, customer="c-91", capture="manual").json()["number"]
    until("it is placed", lambda: shop.order(number)["status"] == "placed")
    shop.applied(number, "captures", {})
    shop.paid(number)
    shop.command(number, "refunds", {"amount": 5000, "reason": "late"})
    order = until("it is refunded", lambda: (o := shop.order(number))["totals"]["refunded"] == 5000 and o)
    assert sorted(fired(shop, account)[before:]) == ["truncated"] * 3 + ["webhook_reordered"] * 3
    assert [succeeded(shop, order, kind) for kind in ("authorize", "capture", "refund")] == [[57700], [57700], [5000]]

    def all_told() -> bool:
        return "waiting" not in shop.sandbox.get("/_webhooks").raise_for_status().json()["deliveries"]

    until("every event was taken", all_told)
    after = shop.order(number)
    assert (after["totals"], after["flags"], shop.charged(after)) == (order["totals"], [], 52700)


def test_the_event_of_a_wrong_clock_is_refused_and_the_pg_is_asked(shop: Shop) -> None:
    account, refused = "stripe-demo", refused_events(shop, "stripe-demo")
    shop.arm("clock_skew", "authorize", account=account, ms=400_000, times=2)
    with shop.ruled("single", stripe_demo=100):
        number = shop.checkout(token="tok_pending", points=0, customer="c-92").json()["number"]
    order = shop.paid(number)
    assert fired(shop, account)[-2:] == ["clock_skew", "clock_skew"]
    until("its events were refused", lambda: refused_events(shop, account) > refused)
    look = "SELECT count(*) FROM webhook_event WHERE account = 'stripe-demo' AND merchant_ref = $1"
    [attempt] = order["payments"][0]["attempts"]
    assert shop.sql(look, attempt["merchant_ref"]) == [(0,)]
    assert (succeeded(shop, order, "authorize"), shop.charged(order)) == ([57700], 57700)


def placed_by_looking_again(shop: Shop, number: str) -> dict[str, Any]:
    """The order once it is placed; its pauses are cut short."""

    def placed() -> dict[str, Any] | None:
        shop.look_again(number)
        order = shop.order(number)
        return order if order["status"] == "placed" else None

    return until("it is placed", placed)


def kept_and_held(shop: Shop, order: dict[str, Any]) -> tuple[int, int]:
    """By the PG's own ledger."""
    money = {kind: sum(succeeded(shop, order, kind)) for kind in ("authorize", "capture", "void", "refund")}
    return money["capture"] - money["refund"], money["authorize"] - money["capture"] - money["void"]


@pytest.mark.parametrize("capture", ["manual", "automatic"])
def test_what_never_reached_a_pg_that_answers_no_question_is_paid_after_all(shop: Shop, capture: str) -> None:
    account = "adyen-demo"
    before = len(fired(shop, account))
    shop.arm("500_before", account=account, times=4)
    with shop.ruled("single", adyen_demo=100):
        number = shop.checkout(points=0, customer="c-93", capture=capture, wait=0).json()["number"]
        order = placed_by_looking_again(shop, number)
    assert fired(shop, account)[before:] == ["500_before"] * 4
    assert kept_and_held(shop, order) == ((0, 57700) if capture == "manual" else (57700, 0))
    assert (order["totals"]["authorized"], order["flags"]) == (57700, [])


def test_a_hold_in_doubt_that_nobody_wants_any_more_leaves_nothing_behind(shop: Shop) -> None:
    account = "adyen-demo"
    before = len(fired(shop, account))
    shop.arm("500_before", account=account, times=4)
    with shop.ruled("single", adyen_demo=100):
        number = shop.checkout(points=0, customer="c-95", capture="manual", wait=0).json()["number"]
    until("its answer is lost", lambda: fired(shop, account)[before:])
    shop.command(number, "cancellations", {"reason": "changed mind"})

    def ended() -> dict[str, Any] | None:
        shop.look_again(number)
        order = shop.order(number)
        return order if [p["status"] for p in order["payments"]] == ["expired"] else None

    order = until("it has ended", ended)
    assert fired(shop, account)[before:] == ["500_before"] * 4
    assert kept_and_held(shop, order) == (0, 0)
    assert (order["status"], order["flags"]) == ("canceled", [])


def test_a_replay_tells_of_a_hold_that_a_cancel_of_ours_has_undone(shop: Shop) -> None:
    account = "adyen-demo"
    before = len(fired(shop, account))
    shop.arm("webhook_never", account=account)
    shop.arm("500_after", account=account, times=4)
    shop.arm("webhook_late", "neutralize", account=account, ms=5000)
    with shop.ruled("single", adyen_demo=100):
        number = shop.checkout(points=0, customer="c-94", capture="manual", wait=0).json()["number"]
        order = placed_by_looking_again(shop, number)
    assert sorted(fired(shop, account)[before:]) == ["500_after"] * 4 + ["webhook_late", "webhook_never"]
    assert kept_and_held(shop, order) == (0, 57700)
    assert succeeded(shop, order, "void") == [57700]
    told = shop.http.get(f"/v1/orders/{number}/timeline", params={"limit": 200}).json()["items"]
    [undone, _] = order["payments"][0]["attempts"]
    asks = [row["cause"] for row in told if row["entity_id"] == undone["operations"][0]["id"]]
    assert "gateway_send" in asks[asks.index("gateway_neutralize") :]
