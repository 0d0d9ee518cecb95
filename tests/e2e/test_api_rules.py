"""What holds for every address: versions, waiting, limits, and one shape for every refusal."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.asking import post, prepared
from tests.e2e.problem import pointers, refusal
from tests.e2e.shop import BUSAN, Shop, checkout_body, until
from tests.e2e.stopped import stopped

VISA = "4111 1111 1111 1111"


@pytest.fixture(scope="module")
def order(shop: Shop) -> dict[str, Any]:
    """A paid order, in preparation, to which nothing happens that lasts."""
    return prepared(shop, shop.place(customer="c-151")["number"])


# Versions


def test_a_known_version_is_not_sent_again(shop: Shop, order: dict[str, Any]) -> None:
    path = f"/v1/orders/{order['number']}"
    tag = shop.http.get(path).headers["etag"]
    assert tag == f'"{shop.order(order["number"])["version"]}"'
    for known in (tag, f"W/{tag}", f'"0", {tag}', "*"):
        answer = shop.http.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag), known
    assert shop.http.get(path, headers={"If-None-Match": '"0"'}).status_code == 200


def test_a_command_on_a_stale_view_changes_nothing(shop: Shop) -> None:
    order = shop.place(customer="c-154")
    path = f"/v1/orders/{order['number']}"
    stale = shop.http.get(path).headers["etag"]
    shop.applied(order["number"], "refunds", {"amount": 1, "reason": "somebody was faster"})
    for where, body in {"/refunds": {"amount": 2, "reason": "late"}, "/cancellations": {"reason": "late"}}.items():
        answer = post(shop.http, f"{path}{where}", body, If_Match=stale)
        problem = refusal(answer, 412, "stale_version")
        now = shop.order(order["number"])["version"]
        assert (problem["figures"]["current_version"], answer.headers["etag"]) == (now, f'"{now}"')
    refusal(post(shop.http, f"{path}/refunds/preview", {"amount": 2}, If_Match=stale), 412, "stale_version")
    fresh = shop.http.get(path).headers["etag"]
    answer = post(shop.http, f"{path}/refunds", {"amount": 2, "reason": "ok"}, If_Match=fresh, Prefer="wait=30")
    assert answer.json()["command"]["status"] == "applied"
    assert shop.order(order["number"])["totals"]["refunded"] == 3


@pytest.mark.parametrize("tag", ["7", "'7'", '"7', "", '"7" "8"'])
def test_an_if_match_that_is_no_tag_is_refused(shop: Shop, order: dict[str, Any], tag: str) -> None:
    answer = post(shop.http, f"/v1/orders/{order['number']}/refunds/preview", {"amount": 1}, If_Match=tag)
    assert refusal(answer, 422, "invalid_header")["errors"][0]["pointer"] == "/headers/If-Match"


# Waiting


@pytest.mark.parametrize("wait", ["wait=31", "wait=-1", "wait=x", "wait=", "wait=1.5", "wait"])
def test_a_bad_wait_is_refused_before_anything_happens(shop: Shop, order: dict[str, Any], wait: str) -> None:
    key = uuid4().hex
    answers = [
        post(shop.http, "/v1/checkouts", checkout_body(customer="c-155"), Idempotency_Key=key, Prefer=wait),
        post(shop.http, f"/v1/orders/{order['number']}/refunds", {"amount": 1, "reason": "x"}, Prefer=wait),
        shop.http.get(f"/v1/commands/{uuid4()}", headers={"Prefer": wait}),
    ]
    for answer in answers:
        assert refusal(answer, 422, "invalid_header")["errors"][0]["pointer"] == "/headers/Prefer"
    assert shop.order(order["number"])["totals"]["refunded"] == 0
    assert shop.http.get("/v1/orders", params={"customer": "c-155"}).json()["items"] == []


def test_waiting_for_a_command(shop: Shop) -> None:
    number = shop.place(customer="c-154")["number"]
    path, body = f"/v1/orders/{number}/refunds", {"amount": 1, "reason": "x"}
    for wait, statuses in {"wait=0": {200, 202}, "wait=30": {200}, "respond-async, wait=30": {200}}.items():
        answer = post(shop.http, path, body, Prefer=wait)
        assert answer.status_code in statuses, answer.text
        assert answer.headers["preference-applied"] == wait.rpartition(" ")[2]
        seen = shop.http.get(answer.headers["location"], headers={"Prefer": "wait=30"}).json()["command"]
        assert (seen["status"], seen["id"]) == ("applied", answer.json()["command"]["id"])
    plain = post(shop.http, path, body)
    assert (plain.status_code, plain.json()["command"]["status"]) == (202, "accepted")
    assert "preference-applied" not in plain.headers
    until("the last one", lambda: shop.order(number)["totals"]["refunded"] == 4)


def test_a_checkout_that_does_not_wait_goes_on_by_itself(shop: Shop) -> None:
    with stopped(shop, "payments"):
        answer = shop.checkout(customer="c-154", wait=0)
    assert answer.status_code == 202, answer.text
    assert answer.headers["preference-applied"] == "wait=0"
    early = answer.json()
    assert answer.headers["location"] == f"/v1/orders/{early['number']}"
    assert (early["status"], early["totals"]["total"], early["totals"]["captured"]) == ("pending_payment", 57700, 0)
    late = shop.paid(early["number"])
    assert set(early) == set(late)
    assert set(early["totals"]) == set(late["totals"])


# Limits


def test_a_body_over_one_mebibyte_is_refused_however_it_is_sent(shop: Shop) -> None:
    large = b'{"x": "' + b"x" * (1024 * 1024) + b'"}'

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(large), 65536):
            yield large[start : start + 65536]

    headers = {"Idempotency-Key": "x", "Content-Type": "application/json"}
    refusal(shop.http.post("/v1/checkouts", content=large, headers=headers), 413, "body_too_large")
    refusal(shop.http.post("/v1/checkouts", content=chunks(), headers=headers), 413, "body_too_large")
    allowed = shop.http.post("/v1/checkouts", content=b'{"x": "' + b"x" * 1_000_000 + b'"}', headers=headers)
    assert allowed.status_code == 422


def card_bodies() -> Iterator[tuple[str, bytes]]:
    """Bodies with a card number, and where it is."""
    body = checkout_body()

    def changed(**changes: Any) -> bytes:
        return json.dumps(body | changes).encode()

    yield "/payments/0/token", changed(payments=[{"method": "card", "amount": 1, "token": VISA.replace(" ", "")}])
    yield "/customer/name", changed(customer={"id": "x", "name": f"Kim {VISA} 12/29"})
    yield "/customer/id", changed(customer={"id": VISA.replace(" ", "-")})
    yield "/expected_total", changed(expected_total=int(VISA.replace(" ", "")))
    yield "/expected_total", changed().replace(b'"expected_total": 57700', b'"expected_total": 4.111111111111111e15')
    yield "/unknown/0/deep", changed(unknown=[{"deep": VISA}])
    yield "", changed(**{VISA: 1})
    yield "/customer/name", changed(customer={"name": VISA}).replace(b"4111", b"\\u0034111")
    yield "", b"not json " + VISA.encode()


@pytest.mark.parametrize(("where", "body"), list(card_bodies()))
def test_a_card_number_is_refused_where_it_is(shop: Shop, where: str, body: bytes) -> None:
    headers = {"Idempotency-Key": uuid4().hex, "Content-Type": "application/json"}
    answer = shop.http.post("/v1/checkouts", content=body, headers=headers)
    problem = refusal(answer, 422, "card_number_not_accepted")
    assert [error["pointer"] for error in problem["errors"]] == [where]
    assert "1111" not in answer.text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be"])
def test_no_encoding_hides_a_card_number(shop: Shop, encoding: str) -> None:
    body = json.dumps(checkout_body() | {"customer": {"id": VISA}}).encode(encoding)
    headers = {"Idempotency-Key": uuid4().hex, "Content-Type": "application/json"}
    refusal(shop.http.post("/v1/checkouts", content=body, headers=headers), 422, "invalid_request")


def test_a_phone_number_is_no_card_number(shop: Shop) -> None:
    customer = {"id": "c-152", "phone": "+4111111111111"}
    body = checkout_body(customer="c-152") | {"customer": customer}
    assert post(shop.http, "/v1/checkouts", body, Idempotency_Key=uuid4().hex).status_code == 201


# Refusals


def test_every_kind_of_error_is_one_shape(shop: Shop, order: dict[str, Any]) -> None:
    http, number = shop.http, order["number"]
    refusal(http.get("/nowhere"), 404, "not_found")
    refusal(http.get("/v1/orders/"), 404, "not_found")
    refusal(http.get("/v1/orders/261122-0000000"), 404, "order_not_found")
    refusal(http.get(f"/v1/commands/{uuid4()}"), 404, "command_not_found")
    missing = f"/v1/orders/{number}/sections/9/holds"
    refusal(post(http, missing, {"reason": "x"}), 404, "not_found")
    wrong_method = http.put("/v1/orders")
    refusal(wrong_method, 405, "method_not_allowed")
    assert wrong_method.headers["allow"] == "GET"
    no_page = http.delete("/pay/" + "A" * 43)
    refusal(no_page, 405, "method_not_allowed")
    assert set(no_page.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    headers = {"Content-Type": "application/json", "Idempotency-Key": "x"}
    for content, status, code in (
        (b"{", 422, "invalid_request"),
        (b"", 422, "invalid_request"),
        (b"[]", 422, "invalid_request"),
        (b"null", 422, "invalid_request"),
        (b'{"x": "\xff"}', 400, "bad_request"),
        (b"[" * 100_000, 400, "bad_request"),
        (b"1" * 5000, 400, "bad_request"),
    ):
        refusal(http.post("/v1/checkouts", content=content, headers=headers), status, code)
    too_much = post(http, f"/v1/orders/{number}/refunds", {"amount": 57701, "reason": "x"})
    assert refusal(too_much, 409, "amount_exceeded")["figures"]
    assert pointers(http.get("/v1/commands/x")) == {"/path/command_id": "uuid_parsing"}
    refusal(http.get("/v1/orders/%00"), 422, "invalid_request")
    refusal(http.get("/v1/orders?q=%00"), 422, "invalid_request")


def test_an_unknown_query_parameter_is_refused_everywhere(shop: Shop, order: dict[str, Any]) -> None:
    paths = ["/v1/orders", f"/v1/orders/{order['number']}", "/v1/skus", "/v1/routing", "/healthz", "/v1/routing/stats"]
    paths += [f"/v1/orders/{order['number']}/{name}" for name in ("timeline", "events")]
    for path in paths:
        problem = refusal(shop.http.get(path, params={"colour": "red"}), 422, "unknown_parameter")
        assert [error["pointer"] for error in problem["errors"]] == ["/query/colour"], path


def test_the_clients_request_id_is_ours_if_it_is_sane(shop: Shop) -> None:
    sane, card = "order-42:retry.1", "4111111111111111"
    assert shop.http.get("/nowhere", headers={"X-Request-Id": sane}).json()["request_id"] == sane
    for strange in (card, "two words", "x" * 200, ""):
        assert shop.http.get("/nowhere", headers={"X-Request-Id": strange}).json()["request_id"] != strange


# Operation


def test_probes_and_metrics_need_no_key(shop: Shop) -> None:
    with httpx.Client(base_url=shop.demo["api"]) as nobody:
        assert nobody.get("/healthz").json() == {"status": "ok"}
        assert nobody.get("/readyz").json() == dict.fromkeys(("status", "postgres", "temporal", "workers"), "ok")
        metrics = nobody.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert 'opms_http_requests_total{method="GET",route="/v1/orders/{number}",status="200"}' in metrics.text
    assert 'route="unmatched"' in metrics.text
    assert "261122-" not in metrics.text


def test_no_log_has_personal_data_keys_or_card_numbers(shop: Shop) -> None:
    person = {"id": "c-156", "name": "Zebulon Quux", "email": "zebulon@quux.example", "phone": "+82-10-9876-5432"}
    home = BUSAN | {"name": "Zebulon Quux", "line1": "77 Hidden-ro", "line2": "Apt 4242"}
    body = checkout_body(customer="c-156")
    body |= {"customer": person, "sections": [section | {"destination": home} for section in body["sections"]]}
    for token in ("tok_ok", "tok_declined", "tok_lost"):
        body["payments"][1]["token"] = token
        assert post(shop.http, "/v1/checkouts", body, Idempotency_Key=uuid4().hex).status_code == 201
    post(shop.http, "/v1/checkouts", body | {"expected_total": 1}, Idempotency_Key=uuid4().hex)
    post(shop.http, "/v1/checkouts", body | {"customer": person | {"planet": VISA}}, Idempotency_Key=uuid4().hex)
    shop.http.get("/v1/orders", params={"q": "zebulon@quux.example"})
    marker = f"end-{uuid4().hex}"
    shop.http.get("/healthz", headers={"X-Request-Id": marker})
    logs = shop.data / "logs"
    until("the log is written", lambda: marker in (logs / "server.log").read_text())
    secrets = [*person.values(), "77 Hidden-ro", "Apt 4242", "Zebulon", VISA, VISA.replace(" ", "")]
    secrets += [shop.demo["api_key"], shop.demo["admin_key"], shop.demo["database"]]
    secrets.remove("c-156")  # the client's own id is no personal data to us
    found = [(file.name, secret) for file, text in _texts(logs) for secret in secrets if secret in text]
    assert found == []


def _texts(folder: Path) -> list[tuple[Path, str]]:
    return [(file, file.read_text(errors="replace")) for file in folder.rglob("*") if file.is_file()]


def test_an_item_that_is_named_twice_is_refused(shop: Shop, order: dict[str, Any]) -> None:
    item = {"item_id": order["sections"][0]["items"][0]["id"], "quantity": 2}
    twice = {"items": [item, item], "reason": "x"}
    path = f"/v1/orders/{order['number']}"
    for where, more in {
        "cancellations": {},
        "refunds": {},
        "refunds/preview": {},
        "reorders": {"kind": "reship"},
    }.items():
        assert pointers(post(shop.http, f"{path}/{where}", twice | more)) == {"/items": "duplicate_item"}
    parcel = {"items": [item, item], "carrier": "CJ", "tracking_number": "1"}
    assert pointers(post(shop.http, f"{path}/sections/1/shipments", parcel)) == {"/items": "duplicate_item"}
