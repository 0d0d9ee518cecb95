"""Looking: lists with their filters and pages, the timeline, the stream of events, an order as it was."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.asking import prepared
from tests.e2e.other_store import new_store
from tests.e2e.problem import pointers, refusal
from tests.e2e.shop import BUSAN, SEOUL, Shop, until

SKUS = ("READ-A", "READ-B")


class Reader:
    """A store of its own, so that lists have nobody else's orders."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        articles = [{"sku": sku, "name": f"Book {sku}", "price": 1000, "tracked": False} for sku in SKUS]
        http.put("/v1/skus", json={"skus": articles}).raise_for_status()

    def place(self, sku: str = SKUS[0], *, paid: bool = True, **customer: str) -> dict[str, Any]:
        """An order of one piece, paid with points or not at all."""
        section = {"destination": BUSAN, "delivery_method": "standard", "shipping_fee": 0}
        body = {
            "customer": {"id": "reader-1"} | customer,
            "currency": "KRW",
            "sections": [section | {"items": [{"sku": sku, "quantity": 1}]}],
            "expected_total": 1000,
            "payments": [{"method": "points", "amount": 1000}] if paid else [],
            "payment_mode": "atomic" if paid else "accumulate",
        }
        answer = self.http.post("/v1/checkouts", json=body, headers={"Idempotency-Key": uuid4().hex})
        assert answer.status_code == 201, answer.text
        order: dict[str, Any] = answer.json()
        return order

    def numbers(self, **filters: Any) -> list[str]:
        """The list's order numbers, newest first."""
        answer = self.http.get("/v1/orders", params=filters)
        assert answer.status_code == 200, answer.text
        return [order["number"] for order in answer.json()["items"]]


@pytest.fixture(scope="module")
def reader(shop: Shop) -> Iterator[Reader]:
    """A second store."""
    with shop.client(new_store(shop, "reader", customer="reader-1")) as http:
        yield Reader(http)


@pytest.fixture(scope="module")
def three(reader: Reader) -> list[dict[str, Any]]:
    """Three orders, oldest first: paid, unpaid of another customer, canceled of another SKU."""
    first = reader.place(name="Kim Min_ji 100%", email="kim@example.com")
    second = reader.place(paid=False, id="reader-2", name="Lee\\Jun")
    third = reader.place(SKUS[1])
    canceled = reader.http.post(
        f"/v1/orders/{third['number']}/cancellations", json={"reason": "x"}, headers={"Prefer": "wait=30"}
    )
    assert canceled.json()["command"]["status"] == "applied"
    return [reader.http.get(f"/v1/orders/{order['number']}").json() for order in (first, second, third)]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": "placed"}, [0]),
        ({"status": "pending_payment"}, [1]),
        ({"status": ["placed", "canceled"]}, [2, 0]),
        ({"status": "completed"}, []),
        ({"payment_status": "paid"}, [0]),
        ({"payment_status": ["unpaid", "refunded"]}, [2, 1]),
        ({"fulfillment_status": "canceled"}, [2]),
        ({"fulfillment_status": "unfulfilled", "payment_status": "paid"}, [0]),
        ({"return_status": "none"}, [2, 1, 0]),
        ({"sku": "READ-A"}, [1, 0]),
        ({"sku": "READ-"}, []),
        ({"customer": "reader-2"}, [1]),
        ({"customer": "reader"}, []),
        ({"gateway": "points"}, [2, 0]),
        ({"gateway": "sandbox-a"}, []),
        ({"q": "min_JI"}, [0]),
        ({"q": "100%"}, [0]),
        ({"q": "%"}, [0]),
        ({"q": "_"}, [0]),
        ({"q": "\\"}, [1]),
        ({"q": "KIM@"}, [0]),
        ({"q": "reader-2"}, [1]),
        ({"q": "  "}, [2, 1, 0]),
        ({"q": "'; DROP TABLE orders; --"}, []),
        ({"flag": "needs_attention"}, []),
        ({"placed_from": "2999-01-01"}, []),
        ({"placed_to": "2000-01-01"}, []),
        ({"placed_from": "2000-01-01", "placed_to": "2999-01-01T00:00:00+09:00"}, [2, 0]),
        ({"limit": 1}, [2]),
    ],
)
def test_a_filter_finds_what_it_says(
    reader: Reader, three: list[dict[str, Any]], filters: dict[str, Any], expected: list[int]
) -> None:
    known = {order["number"] for order in three}
    found = [number for number in reader.numbers(**filters) if number in known]
    assert found == [three[n]["number"] for n in expected]


def test_an_order_is_found_by_its_number_however_it_is_typed(reader: Reader, three: list[dict[str, Any]]) -> None:
    number: str = three[0]["number"]
    for typed in (number, number.lower(), f" {number} ", number.replace("0", "O"), number[:9]):
        assert number in reader.numbers(q=typed), typed
    for typed in (number.lower(), number.replace("0", "o")):
        assert reader.http.get(f"/v1/orders/{typed}").json()["number"] == number


def test_placed_from_is_included_and_placed_to_is_not(reader: Reader, three: list[dict[str, Any]]) -> None:
    number, placed = three[0]["number"], three[0]["placed_at"]
    later = (datetime.fromisoformat(placed) + timedelta(microseconds=1)).isoformat()
    assert number in reader.numbers(placed_from=placed)
    assert number not in reader.numbers(placed_from=later)
    assert number not in reader.numbers(placed_to=placed)
    assert number in reader.numbers(placed_to=later)
    assert number in reader.numbers(placed_from=placed[:10], placed_to=placed[:10])


@pytest.mark.parametrize(
    ("filters", "where"),
    [
        ({"status": "lost"}, "/query/status/0"),
        ({"payment_status": ["paid", "x"]}, "/query/payment_status/1"),
        ({"placed_from": "yesterday"}, "/query/placed_from"),
        ({"placed_to": "2026-11-22T00:00:00"}, "/query/placed_to"),
        ({"placed_to": "9999-12-31"}, "/query/placed_to"),
        ({"limit": 0}, "/query/limit"),
        ({"limit": 201}, "/query/limit"),
        ({"limit": "ten"}, "/query/limit"),
        ({"q": "x" * 201}, "/query/q"),
        ({"sku": ""}, "/query/sku"),
        ({"cursor": "x" * 1001}, "/query/cursor"),
    ],
)
def test_a_filter_that_is_none_is_pointed_at(reader: Reader, filters: dict[str, Any], where: str) -> None:
    assert list(pointers(reader.http.get("/v1/orders", params=filters))) == [where]


def test_pages_stay_as_they_are_while_orders_are_placed(reader: Reader) -> None:
    name = f"Paging {uuid4().hex}"
    old = [reader.place(name=name)["number"] for _ in range(5)][::-1]
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = reader.http.get("/v1/orders", params={"q": name, "limit": 2, **cursor}).json()
        assert set(page) == {"items", "next_cursor"}
        seen += [order["number"] for order in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
        reader.place(name=name)
    assert seen == old
    full = reader.http.get("/v1/orders", params={"q": name, "limit": 7}).json()
    assert (len(full["items"]), full["next_cursor"]) == (7, None)


def test_a_cursor_that_was_tampered_with_is_refused(reader: Reader, three: list[dict[str, Any]]) -> None:
    cursor: str = reader.http.get("/v1/orders", params={"limit": 1}).json()["next_cursor"]
    flipped = [cursor[:n] + ("A" if cursor[n] != "A" else "B") + cursor[n + 1 :] for n in range(0, len(cursor), 7)]
    for wrong in [*flipped, cursor[:-1], cursor + "A", cursor + "=", "", "x", "💥", cursor.lower()]:
        for path in ("/v1/orders", "/v1/skus", f"/v1/orders/{three[0]['number']}/timeline"):
            refusal(reader.http.get(path, params={"cursor": wrong}), 422, "invalid_cursor")
    for path in ("/v1/skus", f"/v1/orders/{three[0]['number']}/timeline"):
        refusal(reader.http.get(path, params={"cursor": cursor}), 422, "invalid_cursor")


# Time


def test_the_timeline_tells_every_move_and_whose_it_was(reader: Reader, three: list[dict[str, Any]]) -> None:
    number = three[2]["number"]
    path = f"/v1/orders/{number}/timeline"
    entries = reader.http.get(path, params={"limit": 200}).json()["items"]
    fields = {"entity", "entity_id", "field", "from", "to", "cause", "command_id", "actor", "workflow_id", "at"}
    assert all(set(entry) == fields | {"version"} for entry in entries)
    moves = [(e["from"], e["to"]) for e in entries if (e["entity"], e["field"]) == ("order", "status")]
    assert moves[-1] == ("placed", "canceled")
    assert [new for _, new in moves[:-1]] == [old for old, _ in moves[1:]]
    assert [e["version"] for e in entries] == sorted(e["version"] for e in entries)
    canceled = next(e for e in entries if e["to"] == "canceled")
    assert (canceled["command_id"], canceled["actor"]) == (three[2]["commands"][0]["id"], "key:test")
    pages: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = reader.http.get(path, params={"limit": 3, **cursor}).json()
        pages += page["items"]
        if not page["next_cursor"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert pages == entries


def test_an_order_is_shown_exactly_as_it_was_at_every_version(shop: Shop) -> None:
    number = shop.place(customer="c-160")["number"]
    seen = [prepared(shop, number)]
    shirt = seen[0]["sections"][0]["items"][0]["id"]
    parcel = {"carrier": "CJ", "tracking_number": "1", "items": [{"item_id": shirt, "quantity": 1}]}
    for path, body in (
        ("sections/1/shipments", parcel),
        ("sections/2/holds", {"reason": "a_look"}),
        ("refunds", {"items": [{"item_id": shirt, "quantity": 1}], "reason": "stain"}),
        ("sections/1/deliveries", {}),
        ("refunds", {"shipping": True, "amount": 1, "reason": "late"}),
        ("cancellations", {"section": 2, "reason": "changed mind"}),
    ):
        seen.append(shop.applied(number, path, body))
    rows = shop.http.get(f"/v1/orders/{number}/timeline", params={"limit": 200}).json()["items"]
    for order in seen:
        at = max(row["at"] for row in rows if row["version"] <= order["version"])
        past = shop.http.get(f"/v1/orders/{number}", params={"as_of": at})
        assert past.headers["etag"] == f'"{order["version"]}"'
        then = past.json()
        for each in (then, order):
            each.pop("commands")  # these are shown with what became of them
        assert then == order
    refusal(shop.http.get(f"/v1/orders/{number}", params={"as_of": "2001-01-01"}), 404, "order_not_found")
    now = shop.http.get(f"/v1/orders/{number}", params={"as_of": "2999-01-01T00:00:00Z"}).json()
    assert now == shop.order(number)
    assert list(pointers(shop.http.get(f"/v1/orders/{number}", params={"as_of": "soon"}))) == ["/query/as_of"]


def test_events_tell_the_version_at_once_and_each_change_after(shop: Shop) -> None:
    number = shop.place(customer="c-160")["number"]
    path = f"/v1/orders/{number}/events"

    def ended() -> float:
        lines = shop.http.get("/metrics").text.splitlines()
        wanted = 'opms_http_requests_total{method="GET",route="/v1/orders/{number}/events",status="200"}'
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(wanted))

    before = ended()
    with shop.http.stream("GET", path) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = _events(stream)
        first = next(events)
        assert first["data"] == f'{{"version": {first["id"]}, "number": "{number}"}}'
        assert first["event"] == "changed"
        shop.applied(number, "refunds", {"amount": 1, "reason": "x"})
        version = shop.order(number)["version"]
        last = first
        while int(last["id"]) < version:
            following = next(events)
            assert int(following["id"]) > int(last["id"])
            last = following
    until("the server has seen that we left", lambda: ended() == before + 1)
    known = {"Last-Event-ID": str(shop.order(number)["version"])}
    with shop.http.stream("GET", path, headers=known) as stream:
        assert next(stream.iter_lines()).startswith(":")


def _events(stream: httpx.Response) -> Iterator[dict[str, str]]:
    """Server-sent events."""
    event: dict[str, str] = {}
    for line in stream.iter_lines():
        name, _, value = line.partition(": ")
        if line and name:
            event[name] = value
        elif event:
            yield event
            event = {}


def test_a_list_shows_heads_that_are_the_orders_own(shop: Shop, reader: Reader, three: list[dict[str, Any]]) -> None:
    heads = reader.http.get("/v1/orders", params={"limit": 200}).json()["items"]
    for order in three:
        [head] = [head for head in heads if head["number"] == order["number"]]
        assert head == {name: order[name] for name in head}
    assert reader.numbers(customer="c-160") == []
    assert SEOUL["line1"] not in str(heads)
