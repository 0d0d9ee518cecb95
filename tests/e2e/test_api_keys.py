"""Keys open what their scopes say, of their own store, until they are revoked."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.asking import post, prepared
from tests.e2e.other_store import new_key, new_store
from tests.e2e.problem import pointers, refusal
from tests.e2e.shop import Shop, checkout_body, until


@pytest.fixture(scope="module")
def order(shop: Shop) -> dict[str, Any]:
    """A paid order, in preparation, to which nothing happens that lasts."""
    return prepared(shop, shop.place(customer="c-163")["number"])


@pytest.fixture(scope="module")
def stranger(shop: Shop) -> Iterator[httpx.Client]:
    """The administrator of another store."""
    with shop.client(new_store(shop, "stranger", customer="s-1")) as client:
        yield client


class Parts(dict[str, str]):
    """Parts of a path; what is not named is an id."""

    def __missing__(self, name: str) -> str:
        return str(uuid4())


def operations(shop: Shop) -> list[tuple[str, str]]:
    """Every operation that wants a key, with a path that fits."""
    paths = shop.http.get("/openapi.json").json()["paths"]
    parts = {"number": "261122-7K3M9QX", "n": "1", "reason": "x", "account": "sandbox-a", "merchant_ref": "op-nobody"}
    return [
        (method.upper(), path.format_map(Parts(parts)))
        for path, methods in paths.items()
        for method, operation in methods.items()
        if operation.get("security")
    ]


def test_no_operation_opens_without_a_key(shop: Shop) -> None:
    found = operations(shop)
    assert len(found) >= 22
    with httpx.Client(base_url=shop.demo["api"]) as nobody:
        for method, path in found:
            answer = nobody.request(method, path)
            refusal(answer, 401, "unauthenticated")
            assert answer.headers["www-authenticate"] == 'Bearer realm="opms"', path


@pytest.mark.parametrize("header", ["Bearer wrong", "Basic YTpi", "Bearer", "bearer \xff"])
def test_a_key_that_is_none_is_401(shop: Shop, header: str) -> None:
    answer = httpx.get(f"{shop.demo['api']}/v1/orders", headers=[(b"authorization", header.encode("latin-1"))])
    refusal(answer, 401, "unauthenticated")


def test_a_key_without_scopes_opens_nothing(shop: Shop) -> None:
    with shop.client(new_key(shop, "demo", [])) as powerless:
        for method, path in operations(shop):
            refusal(powerless.request(method, path), 403, "scope_missing")


@pytest.mark.parametrize(
    ("scope", "opens", "not_this"),
    [
        ("checkout", ("GET", "/v1/skus"), ("GET", "/v1/orders")),
        ("orders:read", ("GET", "/v1/orders"), ("POST", "/v1/orders/261122-7K3M9QX/cancellations")),
        ("orders:write", ("GET", f"/v1/commands/{uuid4()}"), ("POST", "/v1/orders/261122-7K3M9QX/refunds")),
        ("refunds:write", ("POST", "/v1/orders/261122-7K3M9QX/refunds"), ("GET", "/v1/orders")),
        ("routing:write", ("GET", "/v1/routing"), ("PUT", "/v1/skus")),
        ("catalog:write", ("GET", "/v1/skus"), ("PUT", "/v1/routing")),
    ],
)
def test_a_scope_opens_its_own_and_no_more(
    shop: Shop, scope: str, opens: tuple[str, str], not_this: tuple[str, str]
) -> None:
    with shop.client(new_key(shop, "demo", [scope])) as http:
        assert http.request(*opens).status_code not in {401, 403}
        refusal(http.request(*not_this), 403, "scope_missing")


def test_a_revoked_key_dies_within_seconds(shop: Shop) -> None:
    key = new_key(shop, "demo", ["orders:read"])
    with shop.client(key) as http:
        assert http.get("/v1/orders").status_code == 200
        shop.sql("UPDATE api_key SET revoked_at = now() WHERE label = 'test' AND scopes = $1", ["orders:read"])
        until("the key is dead", lambda: http.get("/v1/orders").status_code == 401)


def test_another_stores_order_is_not_there(shop: Shop, stranger: httpx.Client, order: dict[str, Any]) -> None:
    number = order["number"]
    before = shop.order(number)
    item = {"item_id": order["sections"][0]["items"][0]["id"], "quantity": 1}
    for path in ("", "/timeline", "/events", "?as_of=2099-01-01"):
        refusal(stranger.get(f"/v1/orders/{number}{path}"), 404, "order_not_found")
    parcel = {"carrier": "CJ", "tracking_number": "1"}
    for path, body in {
        "payments": {"payments": [{"method": "points", "amount": 1}]},
        "captures": {},
        "cancellations": {"reason": "mine now"},
        "sections/1/shipments": parcel,
        "sections/1/deliveries": {},
        "sections/1/holds": {"reason": "mine now"},
        "refunds/preview": {"amount": 1},
        "refunds": {"amount": 1, "reason": "mine now"},
        "reorders": {"kind": "exchange", "items": [item | {"sku": "MUG-01"}]},
    }.items():
        refusal(post(stranger, f"/v1/orders/{number}/{path}", body), 404, "order_not_found")
    refusal(stranger.delete(f"/v1/orders/{number}/sections/1/holds/x"), 404, "order_not_found")
    assert stranger.get("/v1/orders", params={"q": number}).json()["items"] == []
    assert shop.order(number) == before


def test_another_stores_sku_account_and_command_are_not_there(
    shop: Shop, stranger: httpx.Client, order: dict[str, Any]
) -> None:
    assert stranger.get("/v1/skus", params={"q": "TEE-BLK-M"}).json()["items"] == []
    theirs = checkout_body(points=0) | {"discounts": [], "expected_total": 0, "payments": []}
    answer = post(stranger, "/v1/checkouts", theirs, Idempotency_Key=uuid4().hex)
    assert set(pointers(answer)) == {"/sections/0/items/0/sku", "/sections/1/items/0/sku"}
    refusal(post(stranger, "/v1/gateways/sandbox-a/pause", {}), 404, "gateway_not_found")
    held = shop.command(order["number"], "sections/1/holds", {"reason": "a_look"})
    refusal(stranger.get(f"/v1/commands/{held['id']}"), 404, "command_not_found")
    released = shop.http.delete(f"/v1/orders/{order['number']}/sections/1/holds/a_look", headers={"Prefer": "wait=30"})
    assert released.json()["command"]["status"] == "applied"
