"""Our own value by HTTP: gift cards, store credit, what a customer has; and where a gift card's code is not."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client

from cli.addresses import Addresses
from cli.comparison import Compared, compare
from cli.shop import open_shop
from domain.value import code_hash
from tests.e2e.other_store import new_key, new_store
from tests.e2e.problem import refusal
from tests.e2e.shop import Shop

TOTAL = 57700


def issue(shop: Shop, amount: int = TOTAL, *, key: str | None = None, **terms: Any) -> httpx.Response:
    """POST /v1/gift-cards."""
    body = {"amount": amount, "currency": "KRW"} | terms
    return shop.http.post("/v1/gift-cards", json=body, headers={"Idempotency-Key": key or uuid4().hex})


def adjust(shop: Shop, customer: str, kind: str, amount: int, *, key: str | None = None, **more: Any) -> httpx.Response:
    """POST /v1/customers/{customer}/value."""
    body = {"kind": kind, "amount": amount, "reason": "test"} | more
    path, headers = f"/v1/customers/{customer}/value", {"Idempotency-Key": key or uuid4().hex}
    return shop.http.post(path, json=body, headers=headers)


def value(shop: Shop, customer: str, kind: str) -> dict[str, Any]:
    """What a customer has of one kind."""
    found = shop.http.get(f"/v1/customers/{customer}/value").raise_for_status().json()
    [balance] = [b for b in found["balances"] if b["kind"] == kind]
    assert sum(lot["balance"] for lot in balance["lots"]) == balance["balance"]
    return dict(balance)


def pay(*legs: tuple[str, int, str | None]) -> dict[str, Any]:
    """The payments of a checkout."""
    named = [{"method": method, "amount": amount, "token": token} for method, amount, token in legs]
    return {"payments": [{k: v for k, v in leg.items() if v is not None} for leg in named]}


def refund_at_the_pg(shop: Shop, attempt: dict[str, Any], amount: int) -> None:
    """Behind the back of OPMS: what it then asks for is more than the PG has left."""
    account = attempt["gateway"]
    key = json.loads((shop.data / "keys.json").read_text())[account]
    path = f"/{account}/v1/payments/{attempt['reference']}/refunds"
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": uuid4().hex}
    shop.sandbox.post(path, json={"amount": amount, "currency": "KRW"}, headers=headers).raise_for_status()


def test_a_code_is_answered_once_and_buys_once(shop: Shop) -> None:
    key = uuid4().hex
    first, again = issue(shop, key=key), issue(shop, key=key)
    assert (first.status_code, again.status_code) == (201, 201), first.text
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json() | {"code": None}
    code = first.json()["code"]
    assert code.replace("-", "").endswith(first.json()["last_four"])
    order = shop.place(customer="c-171", **pay(("gift_card", TOTAL, code)))
    assert [(p["method"], p["status"], p["gateway"]) for p in order["payments"]] == [
        ("gift_card", "captured", "gift_card")
    ]
    spent = shop.checkout(customer="c-171", **pay(("gift_card", TOTAL, code.lower()))).json()
    assert (spent["status"], spent["payments"][0]["decline"]["code"]) == ("pending_payment", "insufficient_value")


def test_the_code_is_in_no_row_and_in_no_history(shop: Shop) -> None:
    code = issue(shop, amount=1000).json()["code"]
    order = shop.checkout(customer="c-172", payment_mode="accumulate", **pay(("gift_card", 700, code))).json()
    again = pay(("gift_card", 300, code))
    headers = {"Prefer": "wait=30", "Idempotency-Key": uuid4().hex}
    shop.http.post(f"/v1/orders/{order['number']}/payments", json=again, headers=headers).raise_for_status()
    tables = [row[0] for row in shop.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    rows = [str(row) for table in tables for row in shop.sql(f"SELECT row_to_json(t)::text FROM {table} t")]
    rows += [bytes(row[0]).decode() for row in shop.sql("SELECT answer FROM idempotency WHERE answer IS NOT NULL")]
    history = asyncio.run(_history(shop, order["workflow"]["id"]))
    letters = code.replace("-", "")
    for text in (code, letters, code.lower(), letters.lower()):
        assert not any(text in row for row in rows)
        assert text.encode() not in history
    assert sum(code_hash(code) in row for row in rows) >= 2
    assert code_hash(code).encode() in history


async def _history(shop: Shop, workflow: str) -> bytes:
    client = await Client.connect(shop.demo["temporal"])
    history = await client.get_workflow_handle(workflow).fetch_history()
    return b"".join(event.SerializeToString() for event in history.events)


def test_the_gift_card_of_the_demo_pays(shop: Shop) -> None:
    order = shop.place(customer="c-173", **pay(("gift_card", TOTAL, shop.demo["gift_card"])))
    assert order["payment_status"] == "paid"


def test_a_declined_card_leaves_the_gift_card_untouched(shop: Shop) -> None:
    code = issue(shop).json()["code"]
    legs = pay(("gift_card", 20_000, code), ("card", TOTAL - 20_000, "tok_lost"))
    order = shop.checkout(customer="c-174", **legs).json()
    assert {p["method"]: p["status"] for p in order["payments"]} == {"gift_card": "voided", "card": "declined"}
    assert shop.charged(order) == 0
    assert shop.place(customer="c-174", **pay(("gift_card", TOTAL, code)))["payment_status"] == "paid"


def test_another_stores_card_opens_nothing_here(shop: Shop) -> None:
    with shop.client(new_store(shop, "value-store", customer="x")) as elsewhere:
        card = elsewhere.post("/v1/gift-cards", json={"amount": TOTAL, "currency": "KRW"}).raise_for_status().json()
    order = shop.checkout(customer="c-175", **pay(("gift_card", TOTAL, card["code"]))).json()
    assert order["payments"][0]["decline"]["code"] == "gift_card_invalid"


def test_store_credit_is_given_shown_spent_and_given_back(shop: Shop) -> None:
    customer, key = uuid4().hex, uuid4().hex
    until_ = "2999-01-01T00:00:00.000000Z"
    for _ in range(2):
        given = adjust(shop, customer, "store_credit", 60_000, key=key, expires_at=until_, promotional=True)
        assert given.status_code == 201, given.text
    order = shop.place(customer=customer, **pay(("store_credit", TOTAL, None)))
    balance = value(shop, customer, "store_credit")
    assert (balance["balance"], balance["held"]) == (60_000 - TOTAL, 0)
    shop.applied(order["number"], "refunds", {"amount": 700, "reason": "late"})
    [lot] = value(shop, customer, "store_credit")["lots"]
    assert (lot["balance"], lot["expires_at"], lot["promotional"]) == (3_000, until_, True)
    assert value(shop, customer, "points") == {"kind": "points", "balance": 0, "held": 0, "available": 0, "lots": []}


def test_a_correction_never_goes_below_nothing(shop: Shop) -> None:
    customer = uuid4().hex
    adjust(shop, customer, "points", 500).raise_for_status()
    body = {"kind": "points", "amount": -501, "reason": "typo"}
    refused = shop.http.post(f"/v1/customers/{customer}/value", json=body)
    assert refusal(refused, 409, "insufficient_value")["figures"] == {"requested": 501, "available": 500}
    assert adjust(shop, customer, "points", -500).status_code == 201
    assert value(shop, customer, "points")["balance"] == 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"amount": 5, "currency": "USD"}, "/currency"),
        ({"amount": 5, "currency": "KRW", "expires_at": "2020-01-01"}, "/expires_at"),
        ({"amount": 0, "currency": "KRW"}, "/amount"),
        ({"amount": 5, "currency": "KRW", "code": "MINE"}, "/code"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused_where_it_is(shop: Shop, body: dict[str, Any], pointer: str) -> None:
    problem = refusal(shop.http.post("/v1/gift-cards", json=body), 422, "invalid_request")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_who_may_only_read_gives_nothing(shop: Shop) -> None:
    gift = {"kind": "points", "amount": 1, "reason": "x"}
    with shop.client(new_key(shop, "demo", ("orders:read", "checkout"))) as reader:
        refusal(reader.post("/v1/gift-cards", json={"amount": 5, "currency": "KRW"}), 403, "scope_missing")
        refusal(reader.post("/v1/customers/c-1/value", json=gift), 403, "scope_missing")
        assert reader.get("/v1/customers/c-1/value").status_code == 200


def test_a_refund_that_no_payment_can_take_is_seen_as_store_credit(shop: Shop) -> None:
    customer = uuid4().hex
    order = shop.place(customer=customer, **pay(("card", TOTAL, "tok_ok")))
    [attempt] = order["payments"][0]["attempts"]
    refund_at_the_pg(shop, attempt, 50_000)
    after = shop.applied(order["number"], "refunds", {"amount": 10_000, "reason": "broken"})
    [refund] = after["refunds"]
    assert refund["status"] == "succeeded"
    assert [(leg["destination"], leg["status"]) for leg in refund["legs"]] == [
        ("payment", "failed"),
        ("store_credit", "succeeded"),
    ]
    assert value(shop, customer, "store_credit")["available"] == 10_000
    [compared] = asyncio.run(_compared(shop, after))
    assert (compared.ours.captured, compared.ours.refunded, compared.theirs.refunded) == (TOTAL, 0, 50_000)


async def _compared(shop: Shop, order: dict[str, Any]) -> list[Compared]:
    async with open_shop(Addresses.model_validate(shop.demo)) as demo:
        return await compare(demo, [order])
