"""Real orders under load, through the HTTP API alone."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import asyncpg
import httpx

from cli.addresses import Addresses
from cli.assortment import assortment
from cli.seed import CUSTOMERS, STORE
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
FULFILLED = """
    SELECT /* benchmark */ o.number FROM orders o
     WHERE o.store_id = $1 AND o.number = ANY($2) AND o.status = 'completed'
"""
PREPARED = """
    SELECT /* benchmark */ o.number FROM orders o
     WHERE o.store_id = $1 AND o.number = ANY($2) AND NOT EXISTS (
        SELECT FROM section s WHERE s.order_id = o.id AND NOT EXISTS (
            SELECT FROM item i WHERE i.section_id = s.id AND i.state = 'preparing'))
"""


class BadAnswer(Exception):
    """The API answered something else than was asked for."""


class Lookout:
    """One question to the database for all clients that wait: looking must cost no more than a skeleton's report."""

    def __init__(self, database: "asyncpg.Pool[asyncpg.Record]", query: str, what: str) -> None:
        self._database = database
        self._query = query
        self._what = what
        self._missing: set[str] = set()
        self._looking = asyncio.Lock()

    async def all_of(self, numbers: Sequence[str]) -> None:
        """Until the query finds all of them. Raises `TimeoutError`."""
        wanted = set(numbers)
        self._missing |= wanted

        async def found() -> bool:
            if self._looking.locked():  # Another client asks for us as well.
                return not wanted & self._missing
            async with self._looking:
                if wanted & self._missing:
                    rows = await self._database.fetch(self._query, STORE, list(self._missing))
                    self._missing -= {row["number"] for row in rows}
                    await asyncio.sleep(LOOK_EVERY)
            return not wanted & self._missing

        await until(found, f"{len(wanted)} {self._what}", within=120, longest_pause=LOOK_EVERY)


class RealShop:
    """`benchmarks.load.Shop` for real orders: two sections, points and card."""

    def __init__(self, addresses: Addresses, http: httpx.AsyncClient, database: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._api = addresses.api
        self._http = http
        self._prepared = Lookout(database, PREPARED, "sections to be prepared")
        self._fulfilled = Lookout(database, FULFILLED, "orders to be completed")

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
        await self._prepared.all_of(numbers)

    async def finish(self, numbers: Sequence[str]) -> None:
        """Until every order is completed."""
        await self._fulfilled.all_of(numbers)

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
