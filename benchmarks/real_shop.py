"""Real orders under load, through the HTTP API alone."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import asyncpg
import httpx

from cli.addresses import Addresses
from cli.assortment import assortment
from cli.seed import CUSTOMERS
from cli.waiting import until

POINTS = 7_700
LOOK_EVERY = 0.03
"""Seconds between two looks: a skeleton's client hears at once, ours should not wait for much longer."""
WELL_STOCKED = 200
"""Pieces of a SKU that the load may order without emptying the shelf."""
ADDRESSES = (
    {"name": "Kim Minji", "line1": "12 Teheran-ro", "city": "Seoul", "postal_code": "06236", "country": "KR"},
    {"name": "Lee Jun", "line1": "3 Haeundae", "city": "Busan", "postal_code": "48094", "country": "KR"},
)
SHIPPING = (("standard", 3_000), ("express", 5_000))
SHELF = [a for a in assortment() if a.on_hand is not None and a.on_hand >= WELL_STOCKED]
FULFILLED = "SELECT /* benchmark */ count(*) FROM orders WHERE number = ANY($1) AND status = 'completed'"
PREPARED = """
    SELECT /* benchmark */ count(*) FROM section s JOIN orders o ON o.id = s.order_id
     WHERE o.number = ANY($1) AND EXISTS (SELECT FROM item i WHERE i.section_id = s.id AND i.state = 'preparing')
"""


class BadAnswer(Exception):
    """The API answered something else than was asked for."""


class RealShop:
    """`benchmarks.load.Shop` for real orders: two sections, points and card."""

    def __init__(self, addresses: Addresses, http: httpx.AsyncClient, database: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._api = addresses.api
        self._http = http
        self._database = database

    async def place(self, index: int) -> str:
        """Place and pay; raises `BadAnswer` unless it is placed and paid in the answer."""
        response = await self.checkout(index, wait=30)
        order = self.expect(response, 201)
        if (order["status"], order["payment_status"]) != ("placed", "paid"):
            raise BadAnswer(f"order {order['number']} is {order['status']}, {order['payment_status']}")
        return str(order["number"])

    async def checkout(self, index: int, *, wait: int) -> httpx.Response:
        """One checkout; the answer comes after at most ``wait`` seconds."""
        headers = {"Idempotency-Key": f"bench-{index}", "Prefer": f"wait={wait}"}
        return await self._http.post("/v1/checkouts", json=_checkout(index), headers=headers)

    async def fulfil(self, number: str) -> None:
        """Ship both sections, then deliver both."""
        parcels = [{"carrier": "CJ", "tracking_number": f"{number}-{n}"} for n in (1, 2)]
        await asyncio.gather(*(self._command(number, n, "shipments", parcels[n - 1]) for n in (1, 2)))
        await asyncio.gather(*(self._command(number, n, "deliveries", {}) for n in (1, 2)))

    async def settle(self, numbers: Sequence[str]) -> None:
        """Until every section's goods are being prepared."""
        await self._until(PREPARED, numbers, 2 * len(numbers), "sections to be prepared")

    async def finish(self, numbers: Sequence[str]) -> None:
        """Until every order is completed."""
        await self._until(FULFILLED, numbers, len(numbers), "orders to be completed")

    async def _until(self, query: str, numbers: Sequence[str], wanted: int, what: str) -> None:
        async def reached() -> bool:
            return bool(await self._database.fetchval(query, list(numbers)) == wanted)

        await until(reached, f"{wanted} {what}", within=120, longest_pause=LOOK_EVERY)

    async def _command(self, number: str, section: int, what: str, body: dict[str, Any]) -> None:
        url = f"/v1/orders/{number}/sections/{section}/{what}"
        command = self.expect(await self._http.post(url, json=body, headers={"Prefer": "wait=30"}), 200)["command"]
        if command["status"] != "applied":
            raise BadAnswer(f"{what} of {number}: {command}")

    def expect(self, response: httpx.Response, *statuses: int) -> dict[str, Any]:
        """The answer's document; raises `BadAnswer` for any other status."""
        if response.status_code not in statuses:
            asked = f"{response.request.method} {response.request.url.path}"
            raise BadAnswer(f"{asked} answered {response.status_code}: {response.text[:500]}")
        answer: dict[str, Any] = response.json()
        return answer


def _checkout(index: int) -> dict[str, Any]:
    """The same body for the same index."""
    dice = Random(index)
    sections = []
    total = 0
    for address, (method, fee), quantity in zip(ADDRESSES, SHIPPING, (2, 1), strict=True):
        article = dice.choice(SHELF)
        total += article.price * quantity + fee
        items = [{"sku": article.sku, "quantity": quantity}]
        sections.append({"destination": address, "delivery_method": method, "shipping_fee": fee, "items": items})
    return {
        "customer": {"id": f"c-{index % CUSTOMERS + 1}", "name": "Kim Minji", "email": "minji@example.com"},
        "currency": "KRW",
        "sections": sections,
        "expected_total": total,
        "payments": [
            {"method": "points", "amount": POINTS},
            {"method": "card", "amount": total - POINTS, "token": "tok_ok"},
        ],
    }
