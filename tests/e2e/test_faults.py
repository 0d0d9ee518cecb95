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
