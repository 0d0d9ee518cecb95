"""What a checkout is refused for, where and with which figures; a refused one leaves nothing behind."""

import json
from copy import deepcopy
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.problem import pointers, refusal
from tests.e2e.shop import BUSAN, Shop, checkout_body

Path = tuple[str | int, ...]
GONE = "(left out)"
"""As a value: the field is not there."""
ITEM = ("sections", 0, "items", 0)
PLACE = ("sections", 1, "destination")


def changed(path: Path, value: object) -> dict[str, Any]:
    """The checkout with one value replaced, or taken away."""
    body = deepcopy(checkout_body(customer="c-157"))
    place: Any = body
    for part in path[:-1]:
        place = place[part]
    if value == GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return body


def ask(shop: Shop, body: dict[str, Any] | str) -> httpx.Response:
    """POST a checkout; text is sent as it is."""
    headers = {"Idempotency-Key": uuid4().hex, "Content-Type": "application/json"}
    content = body if isinstance(body, str) else json.dumps(body)
    return shop.http.post("/v1/checkouts", content=content, headers=headers)


@pytest.mark.parametrize(
    ("path", "value", "where", "code"),
    [
        ((*ITEM, "sku"), "NO-SUCH", "", "unknown_sku"),
        ((*ITEM, "sku"), GONE, "", "missing"),
        ((*ITEM, "sku"), "tee-blk-m", "", "unknown_sku"),
        ((*ITEM, "quantity"), 0, "", "greater_than_equal"),
        ((*ITEM, "quantity"), -1, "", "greater_than_equal"),
        ((*ITEM, "quantity"), 2.0, "", "int_type"),
        ((*ITEM, "quantity"), 2.5, "", "int_type"),
        ((*ITEM, "quantity"), True, "", "int_type"),
        ((*ITEM, "quantity"), "2", "", "int_type"),
        ((*ITEM, "quantity"), None, "", "int_type"),
        ((*ITEM, "quantity"), 10**30, "", "less_than_equal"),
        ((*ITEM, "price"), 1, "", "extra_forbidden"),
        (("sections", 1, "items"), [], "", "too_short"),
        (("sections",), [], "", "too_short"),
        (("sections",), [checkout_body()["sections"][1]] * 51, "", "too_long"),
        (("sections", 0, "items"), [{"sku": "MUG-01", "quantity": 1}] * 201, "", "too_long"),
        (("sections", 0, "items"), [{"sku": "MUG-01", "quantity": 1}] * 200, "/sections", "too_many_lines"),
        (("sections", 0, "shipping_fee"), -1, "", "greater_than_equal"),
        (("sections", 0, "shipping_fee"), False, "", "int_type"),
        ((*PLACE, "country"), GONE, "", "missing"),
        ((*PLACE, "country"), "Korea", "", "string_pattern_mismatch"),
        ((*PLACE, "country"), "ZZ", "", "unknown_country"),
        ((*PLACE, "line1"), "   ", "", "string_too_short"),
        (PLACE, GONE, "", "missing"),
        (("currency",), "USD", "", "currency_not_of_store"),
        (("currency",), GONE, "", "missing"),
        (("expected_total",), 10**40, "", "less_than_equal"),
        (("expected_total",), 57700.0, "", "int_type"),
        (("expected_total",), True, "", "int_type"),
        (("expected_total",), float("nan"), "", "int_type"),
        (("customer",), GONE, "", "missing"),
        (("customer", "id"), "", "", "string_too_short"),
        (("customer", "id"), "x" * 101, "", "string_too_long"),
        (("customer", "email"), "nobody", "", "string_pattern_mismatch"),
        (("discounts", 0, "amount"), -1, "", "greater_than_equal"),
        (("discounts", 0, "amount"), 54701, "/discounts", "too_large"),
        (("payments", 0, "amount"), 0, "", "greater_than_equal"),
        (("payments", 1, "token"), GONE, "", "token_required"),
        (("payments", 0, "token"), "tok_ok", "", "token_not_accepted"),
        (("payments", 0, "method"), "cash", "", "literal_error"),
        (("payment_mode",), "maybe", "", "literal_error"),
        (("capture",), "later", "", "literal_error"),
        (("coupon~/code",), "x", "/coupon~0~1code", "extra_forbidden"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_wrong_is_pointed_at(shop: Shop, path: Path, value: object, where: str, code: str) -> None:
    assert pointers(ask(shop, changed(path, value))) == {where or "".join(f"/{part}" for part in path): code}


@pytest.mark.parametrize("strange", ["\\u0000", "\\ud800", "\\udc00", "\\udc00\\ud800"])
def test_text_that_no_database_holds_is_refused(shop: Shop, strange: str) -> None:
    body = json.dumps(checkout_body(customer="c-157"))
    for wrong, where in (
        (body.replace("Busan", f"Bu{strange}san"), "/sections/1/destination/city"),
        (body.replace('"line1"', f'"line{strange}1"'), "/sections/0/destination"),
        (body.replace('"tok_ok"', f'[["{strange}"]]'), "/payments/1/token/0/0"),
    ):
        assert set(pointers(ask(shop, wrong))) <= {where, where.replace("/0", "/1")}


def test_text_of_all_scripts_is_kept_as_it_is(shop: Shop) -> None:
    name = "김민지 O'Neil-Ångström 😀 \\ % _ ; DROP TABLE orders"
    body = changed((*PLACE, "name"), f"  {name} ")
    answer = ask(shop, json.dumps(body))
    assert answer.status_code == 201, answer.text
    assert answer.json()["sections"][1]["destination"]["name"] == name


def test_all_that_is_wrong_is_told_at_once(shop: Shop) -> None:
    body = changed((*ITEM, "quantity"), 0)
    body["sections"][1]["destination"] = {"name": "Lee"}
    del body["expected_total"]
    assert set(pointers(ask(shop, body))) == {
        "/sections/0/items/0/quantity",
        *(f"/sections/1/destination/{name}" for name in ("line1", "city", "postal_code", "country")),
        "/expected_total",
    }


@pytest.mark.parametrize(("path", "value"), [(("expected_total",), 57701), (("payments", 0, "amount"), 7699)])
def test_a_total_that_does_not_fit_is_answered_with_the_servers_figures(shop: Shop, path: Path, value: int) -> None:
    problem = refusal(ask(shop, changed(path, value)), 409, "total_mismatch")
    figures = {"items": 54700, "discount": 5000, "shipping": 8000, "tax_included": 5245, "total": 57700}
    told = {"payments": 57700, "expected_total": 57700, "currency": "KRW"} | {
        "expected_total" if path == ("expected_total",) else "payments": value if len(path) == 1 else 57699
    }
    assert problem["figures"] == figures | told


def test_payments_above_the_total_are_refused_also_when_they_accumulate(shop: Shop) -> None:
    body = changed(("payments", 0, "amount"), 7701) | {"payment_mode": "accumulate"}
    assert refusal(ask(shop, body), 409, "total_mismatch")["figures"]["payments"] == 57701


def test_too_few_pieces_are_told_by_sku(shop: Shop) -> None:
    skus: list[dict[str, Any]] = [
        {"sku": f"API-SHORT-{n}", "name": "Short", "price": 100, "tracked": True, "on_hand": n, "options": {}}
        for n in (1, 2, 3)
    ]
    shop.http.put("/v1/skus", json={"skus": skus}).raise_for_status()
    lines = [{"sku": sku["sku"], "quantity": quantity} for sku, quantity in zip(skus, (2, 2, 2), strict=True)]
    sections = [
        {"destination": BUSAN, "delivery_method": "standard", "shipping_fee": 0, "items": items}
        for items in (lines, lines[2:])
    ]
    body = checkout_body(customer="c-157") | {"sections": sections, "discounts": [], "expected_total": 800}
    problem = refusal(ask(shop, body | {"payments": [{"method": "points", "amount": 800}]}), 409, "out_of_stock")
    assert problem["figures"]["skus"] == [
        {"sku": "API-SHORT-1", "wanted": 2, "available": 1},
        {"sku": "API-SHORT-3", "wanted": 4, "available": 3},
    ]
    assert "API-SHORT-1" in problem["detail"]
    stock = shop.sql("SELECT sum(held), sum(committed) FROM stock WHERE sku LIKE 'API-SHORT-%'")
    assert stock == [(0, 0)]


def test_fifty_sections_and_two_hundred_lines_are_an_order(shop: Shop) -> None:
    section = {"destination": BUSAN, "delivery_method": "standard", "shipping_fee": 7}
    sections = [section | {"items": [{"sku": "MUG-01", "quantity": 1}] * 4}] * 50
    total = 200 * 14900 + 50 * 7
    body = checkout_body(customer="c-158") | {"sections": sections, "discounts": [], "expected_total": total}
    headers = {"Idempotency-Key": uuid4().hex, "Prefer": "wait=30"}
    payments = [{"method": "card", "amount": total, "token": "tok_ok"}]
    answer = shop.http.post("/v1/checkouts", json=body | {"payments": payments}, headers=headers)
    assert answer.status_code == 201, answer.text
    order = answer.json()
    assert (order["status"], len(order["sections"]), order["totals"]["total"]) == ("placed", 50, total)
    assert sum(len(section["items"]) for section in order["sections"]) == 200
    canceled = shop.applied(order["number"], "cancellations", {"reason": "too much"})
    assert (canceled["status"], canceled["totals"]["refunded"]) == ("canceled", total)


def test_an_order_that_costs_nothing_is_placed_without_payments(shop: Shop) -> None:
    body = changed(("sections",), [checkout_body()["sections"][1] | {"shipping_fee": 0}])
    body |= {"discounts": [{"code": "FREE", "amount": 14900}], "expected_total": 0, "payments": []}
    order = ask(shop, body).json()
    assert (order["status"], order["payment_status"], order["totals"]["balance_due"]) == ("placed", "paid", 0)


def test_a_declined_card_leaves_an_order_that_can_be_paid(shop: Shop) -> None:
    before = shop.points("c-159")
    answer = shop.checkout(customer="c-159", token="tok_lost")
    order = answer.json()
    assert (answer.status_code, order["status"]) == (201, "pending_payment"), answer.text
    assert order["expires_at"]
    card = next(p for p in order["payments"] if p["method"] == "card")
    assert (card["status"], card["decline"]["category"]) == ("declined", "lost_or_stolen")
    assert shop.points("c-159") == before
    [request] = order["payment_requests"]
    for wrong, code in (
        ({"payments": []}, "too_short"),
        ({"payments": [{"method": "card", "amount": 57700}]}, "token_required"),
    ):
        assert set(pointers(shop.http.post(f"/v1/orders/{order['number']}/payments", json=wrong)).values()) == {code}
    pay = {"payment_request_id": request["id"], "payments": [{"method": "card", "amount": 57700, "token": "tok_ok"}]}
    headers = {"Idempotency-Key": uuid4().hex}
    paid, again = (shop.http.post(f"/v1/orders/{order['number']}/payments", json=pay, headers=headers) for _ in "12")
    assert (paid.status_code, paid.json()["status"], paid.json()["payment_status"]) == (201, "placed", "paid")
    assert paid.headers["location"] == f"/v1/orders/{order['number']}"
    assert (again.content, again.headers["idempotent-replayed"]) == (paid.content, "true")
    assert shop.charged(paid.json()) == 57700
