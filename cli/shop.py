"""The demo's hands: the HTTP API as a shop's and a warehouse's programs use it. Every wait has a deadline."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import httpx

from cli.addresses import Addresses
from cli.refusal import Refusal
from cli.waiting import until

WAIT = {"Prefer": "wait=10"}
PATIENCE = 45.0
"""Seconds for anything that goes on by itself; a lost answer is asked for again after some seconds."""
FINAL = frozenset({"applied", "rejected", "failed"})

Order = dict[str, Any]
"""An order as `GET /v1/orders/{number}` answers it."""


class Shop:
    """One store's API, and the ledger and faults of its sandbox PG. Raises `Refusal` for every surprise."""

    def __init__(self, addresses: Addresses, http: httpx.AsyncClient) -> None:
        self._addresses = addresses
        self._http = http

    async def place(self, checkout: dict[str, Any]) -> Order:
        """Place an order; what has no outcome yet goes on by itself."""
        headers = WAIT | {"Idempotency-Key": str(uuid4())}
        return await self._json("POST", "/v1/checkouts", {201, 202}, json=checkout, headers=headers)

    async def order(self, number: str) -> Order:
        """The order as it stands."""
        return await self._json("GET", f"/v1/orders/{number}", {200})

    async def order_when(self, number: str, holds: Callable[[Order], bool], what: str) -> Order:
        """The order as soon as ``holds`` is true of it; ``what`` says in words what is waited for."""
        seen: list[Order] = []

        async def reached() -> bool:
            seen[:] = [await self.order(number)]
            return holds(seen[0])

        try:
            await until(reached, what, within=PATIENCE)
        except TimeoutError as late:
            last = seen[0] if seen else {}
            states = {name: value for name, value in last.items() if name.endswith("status")}
            raise Refusal(f"Order {number}: {late}; it is {states}.") from late
        return seen[0]

    async def command(self, number: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Give a command and return it when it was applied."""
        url = f"/v1/orders/{number}/{path}"
        headers = WAIT | {"Idempotency-Key": str(uuid4())}
        command: dict[str, Any] = (await self._json("POST", url, {200, 202}, json=body, headers=headers))["command"]
        while command["status"] not in FINAL:
            command = await self._outcome(number, command["id"])
        if command["status"] != "applied":
            raise Refusal(f"Order {number}: {path} was {command['status']}: {command.get('problem')}.")
        return command

    async def ledger(self, *, account: str, merchant_ref: str) -> list[dict[str, Any]]:
        """What the sandbox PG says that it did."""
        query = {"account": account, "merchant_ref": merchant_ref}
        answer = await self._json("GET", f"{self._addresses.sandbox}/_ledger", {200}, params=query)
        operations: list[dict[str, Any]] = answer["operations"]
        return operations

    @asynccontextmanager
    async def fault(self, **fault: Any) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
        """Arm a fault of the sandbox; gives a question: has it fired? What has not fired at the end is disarmed."""
        url = f"{self._addresses.sandbox}/_faults"
        armed = await self._json("POST", url, {201}, json=fault)

        async def fired() -> bool:
            book = await self._json("GET", url, {200})
            return any(one["fault_id"] == armed["id"] for one in book["fired"])

        try:
            yield fired
        finally:
            if any(one["id"] == armed["id"] for one in (await self._json("GET", url, {200}))["armed"]):
                await self._json("DELETE", url, {200})

    async def _outcome(self, number: str, command_id: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        async def final() -> bool:
            url = f"/v1/commands/{command_id}"
            answer = await self._json("GET", url, {200}, headers=WAIT)
            found[:] = [answer["command"]]
            return found[0]["status"] in FINAL

        try:
            await until(final, f"command {command_id}", within=PATIENCE)
        except TimeoutError as late:
            raise Refusal(f"Order {number}: {late}.") from late
        return found[0]

    async def _json(self, method: str, url: str, expected: set[int], **request: Any) -> dict[str, Any]:
        try:
            response = await self._http.request(method, url, **request)
        except httpx.TransportError as lost:
            raise Refusal(f"{method} {url} got no answer ({lost!r}): is `make up` still running?") from lost
        if response.status_code not in expected:
            reason = HTTPStatus(response.status_code).phrase
            raise Refusal(f"{method} {url} answered {response.status_code} {reason}: {response.text[:400]}")
        answer: dict[str, Any] = response.json()
        return answer


@asynccontextmanager
async def open_shop(addresses: Addresses) -> AsyncIterator[Shop]:
    """The running system's API with the shop's key, which the sandbox never sees."""

    api = httpx.URL(addresses.api).netloc

    async def sign(request: httpx.Request) -> None:
        if request.url.netloc == api:
            request.headers["Authorization"] = f"Bearer {addresses.api_key}"

    hooks = {"request": [sign]}
    async with httpx.AsyncClient(base_url=addresses.api, timeout=45, event_hooks=hooks) as http:
        yield Shop(addresses, http)
