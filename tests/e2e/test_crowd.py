"""A crowd: no duplicate number, no oversold piece, one order for one key, the exact ratio, every order to its end."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from tests.e2e.shop import SEOUL, Shop, until

LONG_SECONDS = 400.0
"""A thousand orders on a slow machine; how many a second is a matter of `make bench`."""


def test_a_thousand_checkouts_sixty_four_at_a_time(shop: Shop) -> None:
    def one(n: int) -> str:
        answer = shop.checkout(customer=f"c-{50 + n % 100}", wait=30)
        assert answer.status_code in {201, 202}, answer.text
        number: str = answer.json()["number"]
        return number

    with ThreadPoolExecutor(64) as pool:
        numbers = list(pool.map(one, range(1000)))
    assert len(set(numbers)) == 1000
    unpaid = "SELECT count(*) FROM orders WHERE number = ANY($1) AND payment_status <> 'paid'"
    until("every order is paid", lambda: shop.sql(unpaid, numbers) == [(0,)], within=LONG_SECONDS)
    sections = "SELECT count(*) FROM item i JOIN orders o ON o.id = i.order_id WHERE number = ANY($1) AND state = $2"
    until("every section has begun", lambda: shop.sql(sections, numbers, "preparing") == [(2000,)], within=LONG_SECONDS)
    attempts = "SELECT count(*), count(DISTINCT a.payment_id) FROM attempt a JOIN orders o ON o.id = a.order_id"
    assert shop.sql(f"{attempts} WHERE o.number = ANY($1) AND a.account <> 'points'", numbers) == [(1000, 1000)]


def test_the_ratio_is_exact_over_any_hundred_payments(shop: Shop) -> None:
    def one(n: int) -> str:
        answer = shop.checkout(customer=f"c-{50 + n % 100}", points=0)
        assert answer.status_code == 201, answer.text
        number: str = answer.json()["number"]
        return number

    def well() -> bool:
        one(0)  # a circuit closes by payments that succeed
        health = shop.admin.get("/v1/routing").json()["health"]
        return all(each["state"] == "closed" for each in health if each["account"] in {"sandbox-a", "sandbox-b"})

    until("no earlier outage keeps payments away", well)
    with shop.ruled("ratio", sandbox_a=70, sandbox_b=30) as version, ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(150)))
    chosen = shop.sql(
        "SELECT a.account FROM attempt a WHERE a.rule_version = $1 ORDER BY (a.decision->>'rule_sequence')::int",
        version,
    )
    accounts = [account for (account,) in chosen]
    assert len(accounts) == 150
    for start in range(len(accounts) - 99):
        share = accounts[start : start + 100].count("sandbox-a")
        assert abs(share - 70) <= 2, (start, share)


def test_twenty_requests_with_one_key_are_one_order_and_one_charge(shop: Shop) -> None:
    key = uuid4().hex

    def one(_: int) -> tuple[int, str]:
        answer = shop.checkout(customer="c-45", key=key)
        return answer.status_code, answer.json().get("number", answer.json().get("code"))

    with ThreadPoolExecutor(20) as pool:
        seen = Counter(pool.map(one, range(20)))
    numbers = {number for status, number in seen if status == 201}
    assert len(numbers) == 1, seen
    assert {status for status, _ in seen} <= {201, 409}, seen
    assert shop.charged(shop.order(numbers.pop())) == 50000
    again = shop.checkout(customer="c-45", key=key)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    other = shop.checkout(customer="c-46", key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_two_hundred_checkouts_on_a_hundred_pieces_sell_exactly_a_hundred(shop: Shop) -> None:
    sku = f"RARE-{uuid4().hex[:8]}"
    row = {"sku": sku, "name": "Rare", "price": 1000, "tax_rate": 1000, "tracked": True, "on_hand": 100}
    shop.http.put("/v1/skus", json={"skus": [row]}).raise_for_status()
    section = {
        "destination": SEOUL,
        "delivery_method": "standard",
        "shipping_fee": 0,
        "items": [{"sku": sku, "quantity": 1}],
    }

    def one(n: int) -> int:
        answer = shop.checkout(
            customer=f"c-{50 + n % 100}",
            sections=[section],
            discounts=[],
            expected_total=1000,
            payments=[{"method": "card", "amount": 1000, "token": "tok_ok"}],
            wait=30,
        )
        if answer.status_code == 409:
            assert answer.json()["code"] == "out_of_stock", answer.text
        return answer.status_code

    with ThreadPoolExecutor(32) as pool:
        codes = Counter(pool.map(one, range(200)))
    assert codes[409] == 100, codes
    assert codes[201] + codes[202] == 100, codes
    stock = "SELECT on_hand, held, committed FROM stock WHERE sku = $1"
    until("all sold", lambda: shop.sql(stock, sku) == [(100, 0, 100)])
