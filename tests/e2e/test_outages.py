"""Parts of the system die while orders are placed: nothing is lost, nothing happens twice."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from uuid import uuid4

import httpx

from tests.e2e.shop import Shop, until
from tests.e2e.stopped import stopped


def place_stubbornly(shop: Shop, customer: str) -> str:
    """A client that repeats the same request with the same key until it has an order."""
    key = uuid4().hex

    def attempt() -> str | None:
        try:
            answer = shop.checkout(customer=customer, key=key)
        except httpx.TransportError:
            return None
        if answer.status_code in {409, 500, 503}:
            assert answer.status_code != 500, answer.text
            return None
        assert answer.status_code in {201, 202}, answer.text
        number: str = answer.json()["number"]
        return number

    return until("an order", attempt)


def all_paid_once(shop: Shop, numbers: list[str]) -> None:
    """Every order is paid, and the gateway charged each exactly once."""
    assert len(set(numbers)) == len(numbers)
    for number in numbers:
        order = shop.paid(number)
        assert shop.charged(order) == 50000


def test_postgres_stops_for_ten_seconds_and_no_order_is_lost(shop: Shop) -> None:
    halted = Event()

    def one(n: int) -> str:
        if n == 10:
            postgres = shop.pid("postgres")
            os.kill(postgres, signal.SIGSTOP)
            for child in children(postgres):
                os.kill(child, signal.SIGSTOP)
            halted.set()
        return place_stubbornly(shop, f"c-{50 + n}")

    def later() -> None:
        halted.wait(30)
        Event().wait(10)  # The outage itself is what is tested: ten seconds of it.
        postgres = shop.pid("postgres")
        for child in [*children(postgres), postgres]:
            os.kill(child, signal.SIGCONT)

    with ThreadPoolExecutor(10) as pool:
        outage = pool.submit(later)
        numbers = list(pool.map(one, range(50)))
        outage.result()
    all_paid_once(shop, numbers)


def test_every_process_is_killed_in_turn_while_orders_are_placed(shop: Shop) -> None:
    victims = ["server", "orders", "payments", "postgres", "temporal", "sandbox"]

    def one(n: int) -> str:
        if n % 6 == 3 and n // 6 < len(victims):
            shop.kill(victims[n // 6])
        return place_stubbornly(shop, f"c-{50 + n}")

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(one, range(40)))
    all_paid_once(shop, numbers)
    until("everything serves again", shop.ready)


def test_everything_is_killed_at_once_and_the_next_up_goes_on(shop: Shop) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = [
            a.json()["number"]
            for a in pool.map(lambda n: shop.checkout(customer=f"c-{50 + n}", token="tok_slow", wait=1), range(8))
        ]
    shop.kill_all()
    all_paid_once(shop, numbers)
    order = shop.deliver_all(numbers[0])
    assert order["status"] == "completed"


def test_a_workflow_engine_that_hangs_is_told_at_once_and_the_order_is_placed_once(shop: Shop) -> None:
    key = uuid4().hex
    with stopped(shop, "temporal"):
        refused = shop.checkout(customer="c-198", key=key, wait=0)
        assert (refused.status_code, refused.json()["retryable"]) == (503, True), refused.text
    number = until("an order", lambda: shop.checkout(customer="c-198", key=key).json().get("number"))
    all_paid_once(shop, [number])
    assert [o["number"] for o in shop.http.get("/v1/orders", params={"customer": "c-198"}).json()["items"]] == [number]


def test_reads_work_while_every_worker_is_down(shop: Shop) -> None:
    number = shop.place(customer="c-60")["number"]
    with stopped(shop, "orders", "payments"):
        assert shop.order(number)["status"] == "placed"
        answer = shop.http.post(f"/v1/orders/{number}/refunds", json={"amount": 700, "reason": "while you were out"})
        assert answer.status_code == 202, answer.text
        command = answer.headers["Location"]
    done = until(
        "the refund",
        lambda: (c := shop.http.get(command).json()["command"])["status"] == "applied" and c,
    )
    assert shop.order(number)["totals"]["refunded"] == 700, done


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    with open(f"/proc/{pid}/task/{pid}/children") as found:
        return [int(child) for child in found.read().split()]
