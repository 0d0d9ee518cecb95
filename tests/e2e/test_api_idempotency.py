"""One Idempotency-Key is one effect and one answer, whoever repeats it and however often."""

import asyncio
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from starlette.requests import Request
from starlette.responses import Response

from api.auth import Caller
from api.once import once
from commands.idempotency import Claim
from models.database import Database
from tests.e2e.asking import post, prepared
from tests.e2e.problem import refusal
from tests.e2e.shop import Shop, checkout_body


@pytest.fixture(scope="module")
def order(shop: Shop) -> dict[str, Any]:
    """A paid order, in preparation, to which nothing happens that lasts."""
    return prepared(shop, shop.place(customer="c-164")["number"])


def test_a_checkout_needs_a_key(shop: Shop) -> None:
    problem = refusal(shop.http.post("/v1/checkouts", json=checkout_body()), 422, "idempotency_key_required")
    assert [error["pointer"] for error in problem["errors"]] == ["/headers/Idempotency-Key"]


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "tab\there", "\xe9t\xe9"])
def test_a_misshapen_key_is_refused(shop: Shop, key: str) -> None:
    answer = shop.http.post(
        "/v1/checkouts", json=checkout_body(), headers=[(b"idempotency-key", key.encode("latin-1"))]
    )
    refusal(answer, 422, "idempotency_key_invalid")


def test_two_keys_are_none(shop: Shop) -> None:
    answer = shop.http.post(
        "/v1/checkouts", json=checkout_body(), headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    )
    refusal(answer, 422, "idempotency_key_invalid")


def test_a_checkout_again_is_the_same_answer_byte_for_byte(shop: Shop) -> None:
    key = uuid4().hex
    first, second = (shop.checkout(customer="c-152", key=key) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert (first.content, first.headers["location"]) == (second.content, second.headers["location"])
    assert first.headers["etag"] == second.headers["etag"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"


def test_the_order_of_members_is_not_another_body(shop: Shop) -> None:
    key = uuid4().hex
    body = checkout_body(customer="c-152")
    first = post(shop.http, "/v1/checkouts", body, Idempotency_Key=key)
    other = json.dumps(dict(reversed(body.items())), indent=3)
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    second = shop.http.post("/v1/checkouts", content=other, headers=headers)
    assert second.headers.get("idempotent-replayed") == "true", second.text
    assert second.json()["number"] == first.json()["number"]


def test_a_key_with_another_body_is_refused(shop: Shop) -> None:
    key = uuid4().hex
    assert shop.checkout(customer="c-152", key=key).status_code == 201
    refusal(shop.checkout(customer="c-153", key=key), 422, "idempotency_key_reused")


def test_a_key_belongs_to_one_credential_and_one_kind_of_request(shop: Shop, order: dict[str, Any]) -> None:
    key = uuid4().hex
    mine = shop.checkout(customer="c-152", key=key).json()["number"]
    theirs = post(shop.admin, "/v1/checkouts", checkout_body(customer="c-153"), Idempotency_Key=key)
    assert theirs.status_code == 201
    assert theirs.json()["number"] != mine
    preview = post(shop.http, f"/v1/orders/{order['number']}/refunds/preview", {"amount": 5}, Idempotency_Key=key)
    assert preview.status_code == 200, preview.text


def test_a_key_of_one_order_is_not_good_for_another(shop: Shop, order: dict[str, Any]) -> None:
    key, body = uuid4().hex, {"amount": 5}
    other = shop.place(customer="c-152")["number"]
    assert post(shop.http, f"/v1/orders/{other}/refunds/preview", body, Idempotency_Key=key).status_code == 200
    answer = post(shop.http, f"/v1/orders/{order['number']}/refunds/preview", body, Idempotency_Key=key)
    refusal(answer, 422, "idempotency_key_reused")


def test_a_refusal_that_was_decided_is_kept(shop: Shop) -> None:
    for changes, status, code in (
        ({"expected_total": 1}, 409, "total_mismatch"),
        ({"currency": "USD"}, 422, "invalid_request"),
    ):
        key = uuid4().hex
        first, second = (shop.checkout(customer="c-152", key=key, **changes) for _ in range(2))
        assert refusal(first, status, code)["figures" if status == 409 else "errors"]
        assert (second.status_code, second.content) == (status, first.content)
        assert second.headers["idempotent-replayed"] == "true"
        assert second.headers["content-type"] == "application/problem+json"


def test_a_misshapen_body_does_not_use_the_key_up(shop: Shop) -> None:
    key = uuid4().hex
    assert shop.checkout(customer="c-152", key=key, sections=[]).status_code == 422
    assert shop.checkout(customer="c-152", key=key).status_code == 201


def test_a_stale_view_does_not_use_the_key_up(shop: Shop, order: dict[str, Any]) -> None:
    key, path = uuid4().hex, f"/v1/orders/{order['number']}/sections/1/holds"
    body = {"reason": "stale_or_not"}
    refusal(post(shop.http, path, body, Idempotency_Key=key, If_Match='"0"'), 412, "stale_version")
    answer = post(shop.http, path, body, Idempotency_Key=key, Prefer="wait=30")
    assert answer.json()["command"]["status"] == "applied", answer.text
    assert "idempotent-replayed" not in answer.headers
    gone = shop.http.delete(f"{path}/stale_or_not", headers={"Prefer": "wait=30"})
    assert gone.json()["command"]["status"] == "applied"


def test_what_is_not_there_does_not_use_the_key_up(shop: Shop) -> None:
    key = uuid4().hex
    for _ in range(2):
        answer = post(shop.http, "/v1/orders/261122-0000000/refunds/preview", {"amount": 1}, Idempotency_Key=key)
        refusal(answer, 404, "order_not_found")
        assert "idempotent-replayed" not in answer.headers


def test_one_key_in_parallel_is_one_refund(shop: Shop) -> None:
    number, key = shop.place(customer="c-154")["number"], uuid4().hex

    def ask(_: int) -> tuple[int, str]:
        body = {"amount": 1000, "reason": "double click"}
        answer = post(shop.http, f"/v1/orders/{number}/refunds", body, Idempotency_Key=key, Prefer="wait=30")
        if answer.status_code == 409:
            assert refusal(answer, 409, "request_in_progress")["retryable"] is True
            assert answer.headers["retry-after"] == "1"
        return answer.status_code, answer.json().get("code") or answer.json()["command"]["id"]

    with ThreadPoolExecutor(8) as pool:
        seen = Counter(pool.map(ask, range(8)))
    assert len({command for status, command in seen if status == 200}) == 1, seen
    assert set(seen) - {(409, "request_in_progress")} == {entry for entry in seen if entry[0] == 200}, seen
    assert shop.order(number)["totals"]["refunded"] == 1000


async def test_a_run_that_broke_is_taken_over_at_once_with_its_own_ids(shop: Shop) -> None:
    [(credential,)] = await asyncio.to_thread(shop.sql, "SELECT id FROM api_key WHERE label = 'demo-shop'")
    caller = Caller(credential, "demo", frozenset(), "demo-shop")
    database = Database(shop.demo["database"])
    app = SimpleNamespace(state=SimpleNamespace(resources=SimpleNamespace(database=database)))
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/x", "query_string": b"", "app": app}
    scope |= {"headers": [(b"idempotency-key", uuid4().hex.encode())], "server": ("here", 80)}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    seen: list[Claim] = []

    async def run(claim: Claim) -> Response:
        seen.append(claim)
        if len(seen) == 1:
            raise ZeroDivisionError
        return Response(b"done")

    async def ask() -> Response:
        request = Request(cast("Any", scope), cast("Any", receive))
        return await once(request, caller, route="test", required=True, number="n", run=run)

    try:
        with pytest.raises(ZeroDivisionError):
            await ask()
        assert (await ask()).body == b"done"
        assert (await ask()).headers["idempotent-replayed"] == "true"
    finally:
        await database.close()
    first, second = seen
    assert (first.subject, first.taken_over, second.taken_over) == (second.subject, False, True)
