"""What a store sets: its catalogue, its routing rule, and which PG accounts rest."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.other_store import new_store
from tests.e2e.problem import pointers, refusal
from tests.e2e.shop import BUSAN, Shop


@pytest.fixture(scope="module")
def keeper(shop: Shop) -> Iterator[httpx.Client]:
    """The administrator of a store of our own."""
    with shop.client(new_store(shop, "keeper", customer="k-1")) as http:
        yield http


def article(sku: str, **terms: Any) -> dict[str, Any]:
    """A SKU as it is put."""
    return {"sku": sku, "name": f"Article {sku}", "price": 1000, "tax_rate": 1000, "tracked": True} | terms


def put(http: httpx.Client, *articles: dict[str, Any]) -> httpx.Response:
    """PUT /v1/skus."""
    return http.put("/v1/skus", json={"skus": articles})


def get(http: httpx.Client, q: str) -> list[dict[str, Any]]:
    """SKUs whose code or name has ``q``."""
    found: list[dict[str, Any]] = http.get("/v1/skus", params={"q": q}).raise_for_status().json()["items"]
    return found


def buy(http: httpx.Client, sku: str, quantity: int, total: int) -> httpx.Response:
    """A checkout of one line, paid with points."""
    lines = [{"sku": sku, "quantity": quantity}]
    section = {"destination": BUSAN, "delivery_method": "standard", "shipping_fee": 0, "items": lines}
    body = {
        "customer": {"id": "k-1"},
        "currency": "KRW",
        "sections": [section],
        "expected_total": total,
        "payments": [{"method": "points", "amount": total}],
    }
    return http.post("/v1/checkouts", json=body, headers={"Idempotency-Key": uuid4().hex})


# The catalogue


def test_a_sku_is_created_and_replaced(keeper: httpx.Client) -> None:
    first = put(keeper, article("CAT-1", on_hand=5, options={"color": "navy"}), article("CAT-2", tracked=False))
    assert (first.status_code, first.json()) == (200, {"created": 2, "updated": 0})
    again = article("CAT-1", name="Cap", price={"amount": 1500, "currency": "KRW"}, options={"size": "M"})
    assert put(keeper, again, article("CAT-3")).json() == {"created": 1, "updated": 1}
    cap, free, fresh = get(keeper, "CAT-")
    counts = {"tracked": True, "held": 0, "committed": 0}
    assert cap == counts | {
        "sku": "CAT-1",
        "name": "Cap",
        "price": 1500,
        "currency": "KRW",
        "tax_rate": 1000,
        "on_hand": 5,
        "available": 5,
        "options": {"size": "M"},
    }
    assert (free["tracked"], free["on_hand"], free["available"]) == (False, None, None)
    assert (fresh["on_hand"], fresh["available"]) == (0, 0)
    refusal(buy(keeper, "CAT-3", 1, 1000), 409, "out_of_stock")
    assert buy(keeper, "CAT-1", 1, 1500).status_code == 201


def test_a_count_below_what_orders_hold_is_refused_with_all_that_came_along(keeper: httpx.Client) -> None:
    put(keeper, article("PRO-1", on_hand=5))
    assert buy(keeper, "PRO-1", 3, 3000).json()["status"] == "placed"
    problem = refusal(put(keeper, article("PRO-2"), article("PRO-1", on_hand=2)), 409, "stock_below_promised")
    [short] = problem["figures"]["skus"]
    assert (short["sku"], short["on_hand"], short["held"] + short["committed"]) == ("PRO-1", 2, 3)
    [kept] = get(keeper, "PRO-")
    assert (kept["on_hand"], kept["available"]) == (5, 2)
    assert put(keeper, article("PRO-1", on_hand=3)).status_code == 200
    refusal(buy(keeper, "PRO-1", 1, 1000), 409, "out_of_stock")


@pytest.mark.parametrize(
    ("wrong", "where", "code"),
    [
        ({"price": -1}, "price", "greater_than_equal"),
        ({"price": 1.0}, "price", "int_type"),
        ({"price": True}, "price", "int_type"),
        ({"price": "1000"}, "price", "int_type"),
        ({"price": None}, "price", "int_type"),
        ({"price": 10**13}, "price", "less_than_equal"),
        ({"price": {"amount": 1}}, "price/currency", "missing"),
        ({"price": {"amount": 1, "currency": "USD"}}, "price/currency", "wrong_currency"),
        ({"tax_rate": 10_001}, "tax_rate", "less_than_equal"),
        ({"on_hand": -1}, "on_hand", "greater_than_equal"),
        ({"on_hand": 2**63}, "on_hand", "less_than_equal"),
        ({"tracked": 1}, "tracked", "bool_type"),
        ({"tracked": False, "on_hand": 1}, "on_hand", "not_tracked"),
        ({"name": ""}, "name", "string_too_short"),
        ({"options": {"color": 1}}, "options/color", "string_type"),
        ({"options": []}, "options", "dict_type"),
        ({"colour": "red"}, "colour", "extra_forbidden"),
    ],
)
def test_a_sku_that_is_wrong_is_pointed_at(keeper: httpx.Client, wrong: dict[str, Any], where: str, code: str) -> None:
    assert pointers(put(keeper, article("BAD-0"), article("BAD-1") | wrong)) == {f"/skus/1/{where}": code}
    assert get(keeper, "BAD-") == []


def test_a_sku_that_stands_twice_is_refused(keeper: httpx.Client) -> None:
    assert pointers(put(keeper, article("TWO"), article(" TWO "))) == {"/skus/1/sku": "duplicate_sku"}
    assert pointers(keeper.put("/v1/skus", json={"skus": []})) == {"/skus": "too_short"}
    assert pointers(put(keeper, *(article(f"MANY-{n}") for n in range(1001)))) == {"/skus": "too_long"}


def test_skus_are_paged_by_code(keeper: httpx.Client) -> None:
    names = [f"PAGE-{n}" for n in range(7)]
    put(keeper, *(article(name, name="A 100% page_") for name in names))
    assert [sku["sku"] for sku in get(keeper, "100% page_")] == names
    assert get(keeper, "100_ page%") == []
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = keeper.get("/v1/skus", params={"q": "page-", "limit": 3, **cursor}).json()
        seen += [sku["sku"] for sku in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
        put(keeper, article("PAGE-0A"))  # behind us
    assert seen == names


def test_a_thousand_skus_are_put_at_once(keeper: httpx.Client) -> None:
    assert put(keeper, *(article(f"BULK-{n}", on_hand=n) for n in range(1000))).json()["created"] == 1000


# Routing

RULE: dict[str, Any] = {"strategy": "single", "weights": {"keeper-pg": 100}}


def test_versions_of_the_rule_follow_each_other(keeper: httpx.Client) -> None:
    refusal(keeper.get("/v1/routing/stats"), 404, "routing_not_found")
    refusal(keeper.get("/v1/routing"), 404, "routing_not_found")
    first = keeper.put("/v1/routing", json=RULE)
    assert (first.status_code, first.json()["version"], first.headers["etag"]) == (200, 1, '"1"')
    second = keeper.put("/v1/routing", json=RULE | {"by": "amount"}, headers={"If-Match": first.headers["etag"]})
    assert (second.json()["version"], second.json()["by"], second.json()["created_by"]) == (2, "amount", "test")
    stale = keeper.put("/v1/routing", json=RULE, headers={"If-Match": first.headers["etag"]})
    assert refusal(stale, 412, "stale_version")["figures"]["current_version"] == 2
    shown = keeper.get("/v1/routing")
    assert (shown.json(), shown.headers["etag"]) == (second.json(), '"2"')
    assert shown.json()["accounts"] == [
        {"account": "keeper-pg", "vendor": "sandbox", "enabled": False, "paused": False}
    ]


def test_of_eight_who_change_the_rule_at_once_one_wins(keeper: httpx.Client) -> None:
    tag = keeper.put("/v1/routing", json=RULE).headers["etag"]

    def change(_: int) -> int:
        return keeper.put("/v1/routing", json=RULE, headers={"If-Match": tag}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(change, range(8))) == {200: 1, 412: 7}


def test_a_rule_waits_for_its_time(keeper: httpx.Client) -> None:
    now = keeper.put("/v1/routing", json=RULE).json()["version"]
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    shown = keeper.put("/v1/routing", json=RULE | {"by": "amount", "active_from": later})
    assert (shown.json()["version"], shown.json()["by"], shown.headers["etag"]) == (now, "count", f'"{now + 1}"')
    [scheduled] = shown.json()["scheduled"]
    assert (scheduled["version"], scheduled["by"]) == (now + 1, "amount")
    assert datetime.fromisoformat(scheduled["active_from"]) == datetime.fromisoformat(later)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"weights": {"keeper-pg": 99}}, "/weights"),
        ({"weights": {"keeper-pg": -1}}, "/weights/keeper-pg"),
        ({"weights": {"keeper-pg": 100.0}}, "/weights/keeper-pg"),
        ({"weights": {"sandbox-a": 100}}, "/weights/sandbox-a"),
        ({"fallback": ["nobody"]}, "/fallback/0"),
        ({"strategy": "dice"}, "/strategy"),
        ({"constraints": [{"account": "keeper-pg", "min_amount": 2, "max_amount": 1}]}, "/constraints/0"),
        ({"constraints": [{"account": "keeper-pg", "methods": ["card", "bogus"]}]}, "/constraints/0/methods/1"),
        ({"constraints": [{"account": "keeper-pg", "methods": ["points"]}]}, "/constraints/0/methods/0"),
        ({"active_from": "2020-01-01T00:00:00Z"}, "/active_from"),
        ({"active_from": "tomorrow"}, "/active_from"),
        ({"active_from": "2026-11-22T00:00:00"}, "/active_from"),
        ({"active_from": "0001-01-01T00:00:00+23:59"}, "/active_from"),
        ({"active_from": 1700000000}, "/active_from"),
    ],
)
def test_a_rule_that_does_not_hold_together_is_pointed_at(
    keeper: httpx.Client, wrong: dict[str, Any], where: str
) -> None:
    answer = keeper.put("/v1/routing", json={"strategy": "ratio", "weights": {"keeper-pg": 100}} | wrong)
    assert list(pointers(answer)) == [where]


def test_statistics_tell_configured_and_actual(shop: Shop) -> None:
    shop.place(customer="c-161", points=0)
    stats = shop.http.get("/v1/routing/stats", params={"window": 50, "version": 0}).json()
    assert (stats["window"], stats["currency"], stats["rule_version"]) == (50, "KRW", None)
    assert stats["attempts"] == sum(share["count"] for share in stats["accounts"]) >= 1
    configured = {share["account"]: share["configured_percent"] for share in stats["accounts"]}
    assert {name: percent for name, percent in configured.items() if percent} == {"sandbox-a": 70, "sandbox-b": 30}
    assert round(sum(share["count_percent"] for share in stats["accounts"]), 3) == 100
    assert shop.http.get("/v1/routing/stats", params={"version": 999}).json()["attempts"] == 0
    for name, value in (("version", -1), ("version", 2**31), ("version", 10**30), ("window", 0), ("window", 10**9)):
        assert list(pointers(shop.http.get("/v1/routing/stats", params={name: value}))) == [f"/query/{name}"]


def test_a_preview_replays_recent_payments_and_stores_nothing(shop: Shop) -> None:
    shop.place(customer="c-161", points=0)
    before = shop.http.get("/v1/routing").json()
    rule = {"strategy": "single", "weights": {"sandbox-b": 100}, "limit": 10}
    preview = shop.http.post("/v1/routing/preview", json=rule).json()
    [share] = [share for share in preview["accounts"] if share["account"] == "sandbox-b"]
    assert share["count"] == preview["payments"] >= 1
    assert preview["assumes"]
    assert shop.http.get("/v1/routing").json() == before
    assert list(pointers(shop.http.post("/v1/routing/preview", json=rule | {"weights": {"x": 100}}))) == ["/weights/x"]


def test_new_payments_go_around_an_account_that_is_paused(shop: Shop) -> None:
    try:
        for _ in range(2):
            paused = shop.http.post("/v1/gateways/sandbox-a/pause")
            assert paused.json() == {"account": "sandbox-a", "vendor": "sandbox", "enabled": True, "paused": True}
        [payment] = shop.place(customer="c-161", points=0)["payments"]
    finally:
        resumed = shop.http.post("/v1/gateways/sandbox-a/resume")
    assert payment["gateway"] == "sandbox-b"
    reasons = {each["account"]: each["reason"] for each in payment["attempts"][0]["decision"]["candidates"]}
    assert reasons["sandbox-a"] == "paused"
    assert resumed.json()["paused"] is False
    assert not any(account["paused"] for account in shop.http.get("/v1/routing").json()["accounts"])
    refusal(shop.http.post("/v1/gateways/nobody/pause"), 404, "gateway_not_found")
