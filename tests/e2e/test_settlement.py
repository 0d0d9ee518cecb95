"""One report by two channels: a day that OPMS fetches and the same file handed in by hand are the same money."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.asking import post
from tests.e2e.shop import Shop, until

ACCOUNT = "adyen-demo"
WAIT = {"Prefer": "wait=30"}


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """A system of its own: the report of a day has every charge of every test."""
    running = Shop()
    yield running
    running.close()


def paid_at_adyen(shop: Shop, *, customer: str, refund: int) -> dict[str, Any]:
    """An order of which part was given back, everything of it settled."""
    with shop.ruled("single", adyen_demo=100):
        number = shop.place(points=0, customer=customer)["number"]
    order = shop.paid(number)
    shop.command(number, "refunds", {"reason": "stain", "amount": refund})
    until("it is refunded", lambda: shop.order(number)["totals"]["refunded"] == refund)
    until("the PG has done it", lambda: shop.charged(order) == order["totals"]["total"] - refund)
    return shop.order(number)


def announced(shop: Shop) -> str:
    """The day (UTC) of the only report; announced, so that it can be fetched."""
    look = "SELECT occurred_at::date::text FROM webhook_event WHERE account = $1 AND kind = 'REPORT_AVAILABLE'"
    [(day,)] = until("Adyen announces its report", lambda: shop.sql(look, ACCOUNT))
    return str(day)


def report(shop: Shop) -> bytes:
    """The file as a person downloads it at Adyen."""
    [(address,)] = shop.sql(
        "SELECT reason FROM webhook_event WHERE account = $1 AND kind = 'REPORT_AVAILABLE'", ACCOUNT
    )
    key = shop.demo["gateways"][ACCOUNT]["key"]  # type: ignore[index] # the demo's gateways are a table
    return httpx.get(address, headers={"X-API-Key": key}).raise_for_status().content


def fetched(shop: Shop, day: str) -> dict[str, Any]:
    """The finished run of a day that OPMS fetches."""
    answer = shop.admin.post("/v1/reconciliations", json={"account": ACCOUNT, "day": day}, headers=WAIT)
    return finished(answer)


def handed_in(shop: Shop, content: bytes) -> dict[str, Any]:
    """The finished run of a file that a person hands in."""
    return finished(shop.admin.post(f"/v1/settlements/{ACCOUNT}", content=content, headers=WAIT))


def finished(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    run: dict[str, Any] = answer.json()
    assert (run["state"], run["problem"], run["open_cases"]) == ("reconciled", None, 0), run
    return run


def figures(run: dict[str, Any]) -> tuple[int, int, int]:
    return run["lines"], run["new"], run["withdrawn"]


def test_the_same_report_fetched_and_handed_in_is_nothing_new_in_both_orders(shop: Shop) -> None:
    paid_at_adyen(shop, customer="c-231", refund=1000)
    day = announced(shop)
    first = fetched(shop, day)
    assert figures(first) == (3, 3, 0)
    assert first["findings"] == {"matched": 2, "bookkeeping": 1}
    assert figures(handed_in(shop, report(shop))) == (3, 0, 0)

    paid_at_adyen(shop, customer="c-232", refund=2000)
    by_hand = handed_in(shop, report(shop))
    assert figures(by_hand) == (5, 3, 0), "a charge, a refund, and the payout of the day as it stands now"
    assert by_hand["findings"] == {"matched": 2, "bookkeeping": 1}
    again = fetched(shop, day)
    assert again["id"] == first["id"]
    assert figures(again) == (5, 2, 1), "the payout of some hours ago is said no longer"
    assert again["findings"] == {"matched": 2}

    cases = shop.admin.get("/v1/reconciliation-cases", params={"account": ACCOUNT, "state": "all"})
    assert cases.raise_for_status().json()["items"] == []
    code, said = shop.audit()
    assert (code, "differ" in said) == (0, False), said


def test_a_capture_whose_webhook_was_lost_is_known_by_its_settlement_and_its_refund_goes_on(shop: Shop) -> None:
    with shop.ruled("single", adyen_demo=100):
        number = shop.place(points=0, customer="c-233", capture="manual")["number"]
    shop.arm("webhook_never", "capture", account=ACCOUNT)
    assert post(shop.http, f"/v1/orders/{number}/captures", {}).status_code == 202
    until("the PG has captured it", lambda: shop.charged(shop.order(number)) == 57700)
    canceled = post(shop.http, f"/v1/orders/{number}/cancellations", {"section": 2, "reason": "changed mind"})
    assert canceled.status_code == 202, canceled.text
    [card] = shop.order(number)["payments"]
    assert (card["captured"], card["refunded"]) == (0, 0), "nobody has said that it was captured"
    run = shop.admin.post(f"/v1/settlements/{ACCOUNT}", content=report(shop), headers=WAIT).json()
    assert (run["state"], run["findings"]["status_mismatch"], run["open_cases"]) == ("reconciled", 1, 1), run
    order = until("all of it is known", lambda: (o := shop.order(number))["totals"]["refunded"] and o)
    totals = order["totals"]
    assert (totals["captured"], totals["balance_due"], order["flags"]) == (57700, 0, [])
    assert finished(shop.admin.post(f"/v1/settlements/{ACCOUNT}", content=report(shop), headers=WAIT))
    assert number not in shop.audit()[1]
