"""One run: stubborn clients place orders while faults strike and processes die; then peace, then the verdict."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
from temporalio.client import Client
from temporalio.service import RPCError

from cli.waiting import until
from domain.number import order_workflow_id
from tests.e2e.shop import Shop, checkout_body
from tests.e2e.window import brought_by, form_of, window_at
from tests.torture.plan import PAGE, WEIGHTS, Blow, Life, blows, lives
from tests.torture.verdict import disagreements

CLIENTS = 16
UNTAXED = "GIFT-10K"
"""A SKU without tax: what PGs are told of it must add up too."""
PATIENCE_SECONDS = 90.0
"""For one request, from first try to answer: long enough for every process to be started again."""
PEACE_SECONDS = 120.0
"""For everything in doubt to find its end once nothing is broken any more."""
WEBHOOKS_SECONDS = 180.0
"""For what a PG has taken back to be told, asked about and undone after that."""
TRY_AGAIN = {408, 409, 425, 429, 503}
UNSETTLED = """
    SELECT DISTINCT o.number FROM operation p JOIN orders o ON o.id = p.order_id JOIN payment y ON y.id = p.payment_id
     WHERE p.outcome IN ('initiated', 'unknown', 'pending')
        OR p.outcome = 'action_required' AND y.action_url IS NOT NULL
"""
WAITS = """
    SELECT p.kind, p.outcome, p.amount, p.tries, p.detail, y.status FROM operation p
      JOIN payment y ON y.id = p.payment_id JOIN orders o ON o.id = p.order_id WHERE o.number = $1
    UNION ALL SELECT kind, status, 0, 0, problem::text, id::text FROM command
     WHERE number = $1 AND status <> 'applied'
"""
UNDECIDED = "SELECT DISTINCT number FROM command WHERE status = 'accepted'"


class Broken(Exception):
    """The system gave an answer that it must never give."""


@dataclass
class Report:
    """What happened. ``wrong``: everything that must not have."""

    seed: int
    numbers: dict[int, str] = field(default_factory=dict)
    kills: list[str] = field(default_factory=list)
    fired: int = 0
    taken_back: int = 0
    wrong: list[str] = field(default_factory=list)


class Torture:
    """One run against a running system of its own."""

    def __init__(self, shop: Shop, seed: int, orders: int, say: Callable[[str], None]) -> None:
        self._shop = shop
        self._seed = seed
        self._orders = orders
        self._say = say
        self.report = Report(seed)
        headers = {"Authorization": f"Bearer {shop.demo['api_key']}"}
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=50, keepalive_expiry=2)
        self._api = httpx.AsyncClient(base_url=shop.demo["api"], headers=headers, limits=limits, timeout=20)
        self._pg = httpx.AsyncClient(base_url=shop.demo["sandbox"], timeout=20)

    async def run(self) -> Report:
        """Everything; raises nothing about money: that is in the report."""
        waiting = iter(lives(self._seed, self._orders))
        falling = blows(self._seed, self._orders)

        async def client() -> None:
            for life in waiting:
                while falling and falling[0].before <= life.index:
                    await self._strike(falling.pop(0))
                await self._live(life)
                if life.index % 100 == 0:
                    self._say(f"{life.index} of {self._orders} orders")

        async with self._api, self._pg:
            await self._spread()
            async with asyncio.TaskGroup() as group:
                for _ in range(CLIENTS):
                    group.create_task(client())
            await self._make_peace()
        return self.report

    async def _spread(self) -> None:
        """All PG accounts take their share."""
        rule = {"strategy": "ratio", "by": "count", "weights": WEIGHTS, "fallback": list(WEIGHTS), "constraints": []}
        admin = {"Authorization": f"Bearer {self._shop.demo['admin_key']}"}
        (await self._api.put("/v1/routing", json=rule, headers=admin)).raise_for_status()

    async def _strike(self, blow: Blow) -> None:
        if blow.victim is not None:
            self.report.kills.append(blow.victim)
            if blow.victim == "sandbox":
                await self._count_faults()
            os.kill(self._shop.pid(blow.victim), signal.SIGKILL)
            return
        body: dict[str, object] = {"fault": blow.fault, "account": blow.account, "operation": blow.operation}
        body |= {"times": blow.times, "ms": 1500}
        await self._sandbox("POST", "/_faults", {k: v for k, v in body.items() if v is not None})

    async def _count_faults(self) -> None:
        """What has struck; a sandbox PG that is started again has forgotten it."""
        self.report.fired += len((await self._sandbox("GET", "/_faults")).json()["fired"])

    async def _live(self, life: Life) -> None:
        key = f"torture-{self._seed}-{life.index}"
        clicks = [self._checkout(life, key) for _ in range(2 if life.double_click else 1)]
        numbers = {number for number in await asyncio.gather(*clicks) if number is not None}
        if len(numbers) > 1:
            self.report.wrong.append(f"one key made several orders: {sorted(numbers)}")
        for number in numbers:
            self.report.numbers[life.index] = number
            order = await self._answered(number, approve=life.approves)
            if order["status"] == "placed":
                await self._meet_fate(life, order)
            if life.taken_back:
                await self._take_back(number)

    async def _checkout(self, life: Life, key: str) -> str | None:
        body = body_of(life)
        answer = await self._stubbornly("/v1/checkouts", body, key, wait=3)
        if answer.status_code not in {201, 202}:
            return None
        return str(answer.json()["number"])

    async def _answered(self, number: str, *, approve: bool) -> dict[str, Any]:
        """The order once its payment has an outcome, or as it stands after a while: it goes on by itself."""
        order: dict[str, Any] = {"status": "unknown", "payments": []}
        for _ in range(12):
            found = await self._get(f"/v1/orders/{number}")
            if found is not None:
                order = found
                await self._authenticate(order, approve=approve)
                if order["status"] != "pending_payment":
                    break
                if all(p["status"] in {"declined", "voided", "expired"} for p in order["payments"]):
                    break
            await asyncio.sleep(0.4)
        return order

    async def _authenticate(self, order: dict[str, Any], *, approve: bool, ending: bool = False) -> None:
        """The customer decides on each page that waits; ``ending``: so that it waits no more."""
        for payment in order["payments"]:
            action = payment["next_action"]
            if payment["status"] == "action_required" and action and action["url"]:
                window = window_at(action["url"])
                target, fields = form_of(await self._sandbox("GET", action["url"]))
                choice = window.approve if approve or (ending and window.try_again) else window.decline
                brought = brought_by(await self._sandbox("POST", target, form=fields | choice))
                path = f"/v1/orders/{order['number']}/payments/{payment['id']}/completions"
                await self._command(path, {"details": brought})

    async def _meet_fate(self, life: Life, order: dict[str, Any]) -> None:
        path = f"/v1/orders/{order['number']}"
        parcel = {"carrier": "CJ", "tracking_number": "1"}
        if life.capture == "manual":
            await self._command(f"{path}/captures", {})
        match life.fate:
            case "cancel":
                await self._command(f"{path}/cancellations", {"reason": "changed mind"})
            case "refund":
                twice = uuid4().hex
                small = self._command(f"{path}/refunds", {"amount": 3_000, "reason": "late"}, twice)
                again = self._command(f"{path}/refunds", {"amount": 3_000, "reason": "late"}, twice)
                await asyncio.gather(small, again)
                await self._command(f"{path}/refunds", {"shipping": True, "reason": "late"})
            case "ship":
                await self._command(f"{path}/sections/1/shipments", parcel)
            case "deliver":
                for section in order["sections"]:
                    await self._command(f"{path}/sections/{section['number']}/shipments", parcel)
                    await self._command(f"{path}/sections/{section['number']}/deliveries", {})
            case "leave":
                return

    async def _take_back(self, number: str) -> None:
        """Adyen says that what it has given back of an order, or else taken, failed after all.

        Not both: a capture that fails once its money went elsewhere is a loss, which only a person can settle.
        """
        order = await self._get(f"/v1/orders/{number}") or {"payments": []}
        refs = [a["merchant_ref"] for p in order["payments"] for a in p["attempts"] if a["gateway"] == "adyen-demo"]
        ledgers = [(await self._sandbox("GET", f"/_ledger?merchant_ref={ref}")).json()["operations"] for ref in refs]
        done = [row for rows in ledgers for row in rows if row["status"] == "succeeded"]
        given_back = [row["operation_id"] for row in done if row["operation"] == "refund"]
        taken = [row["operation_id"] for row in done if row["operation"] == "capture"]
        is_whole = order.get("status") in {"placed", "completed"} and not order.get("refunds")
        for psp in given_back or (taken if is_whole else []):
            failed = await self._sandbox("POST", f"/adyen/adyen-demo/_fail/{psp}")
            self.report.taken_back += failed.status_code == 200

    async def _command(self, path: str, body: dict[str, Any], key: str | None = None) -> None:
        await self._stubbornly(path, body, key or uuid4().hex, wait=3)

    async def _stubbornly(self, path: str, body: dict[str, Any], key: str, *, wait: int) -> httpx.Response:
        """The same request with the same key until there is an answer that is one."""
        headers = {"Idempotency-Key": key, "Prefer": f"wait={wait}"}
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            try:
                answer = await self._api.post(path, json=body, headers=headers)
            except httpx.TransportError as away:
                why = type(away).__name__
            else:
                if answer.status_code == 500:
                    raise Broken(f"{path} answered 500: {answer.text[:300]}")
                if answer.status_code not in TRY_AGAIN or not answer.json().get("retryable"):
                    return answer
                why = answer.text
            if asyncio.get_running_loop().time() > deadline:
                raise Broken(f"no answer to {path} within {PATIENCE_SECONDS} s: {why[:300]}")
            await asyncio.sleep(0.3)

    async def _get(self, path: str) -> dict[str, Any] | None:
        try:
            answer = await self._api.get(path)
        except httpx.TransportError:
            return None
        if answer.status_code == 500:
            raise Broken(f"{path} answered 500: {answer.text[:300]}")
        return answer.json() if answer.status_code == 200 else None

    async def _sandbox(
        self, method: str, url: str, body: dict[str, Any] | None = None, form: dict[str, str] | None = None
    ) -> httpx.Response:
        """Something for the sandbox PG; it may be down just now, and is asked again."""
        for _ in range(60):
            try:
                return await self._pg.request(method, url, json=body, data=form, follow_redirects=method == "GET")
            except httpx.TransportError:
                await asyncio.sleep(0.3)
        raise Broken("the sandbox PG does not come back")

    async def _make_peace(self) -> None:
        """Nothing is broken any more, customers decline what they left open, and operators hint at what waits."""
        self._say("peace: everything in doubt finds its end")
        await self._sandbox("DELETE", "/_faults")
        await self._count_faults()
        database = await asyncpg.connect(self._shop.demo["database"])
        client = await Client.connect(self._shop.demo["temporal"])
        deadline = asyncio.get_running_loop().time() + PEACE_SECONDS
        left: set[str] = set()
        while asyncio.get_running_loop().time() < deadline:
            rows = [*await database.fetch(UNSETTLED), *await database.fetch(UNDECIDED)]
            left = {row["number"] for row in rows}
            if not left:
                break
            for number in left:
                order = await self._get(f"/v1/orders/{number}")
                if order is not None:
                    await self._authenticate(order, approve=False, ending=True)
                try:
                    await client.get_workflow_handle(order_workflow_id(self._shop.demo["store"], number)).signal(
                        "look_again"
                    )
                except RPCError:
                    continue  # Its run is over; whatever is due starts another one.
            self._say(f"{len(left)} orders wait for an end")
            await asyncio.sleep(2)
        for number in sorted(left):
            waits = await database.fetch(WAITS, number)
            waiting = [tuple(row) for row in waits]
            self.report.wrong.append(f"{number} found no end within {PEACE_SECONDS:.0f} s of peace: {waiting}")
        await database.close()
        await self._webhooks_arrive()

    async def _webhooks_arrive(self) -> None:
        """What a PG has taken back is told by webhooks, and those take their time. What stays is for the verdict."""

        async def agreed() -> bool:
            return not await disagreements(self._shop.demo["database"], self._shop.demo["sandbox"])

        with suppress(TimeoutError):
            await until(agreed, "all PGs to agree with us", within=WEBHOOKS_SECONDS, longest_pause=1.0)


def body_of(life: Life) -> dict[str, Any]:
    """The checkout of a life: 57 700 KRW over points and one or two cards; 52 800 where a part of it has no tax."""
    body = checkout_body(customer=f"c-{life.index % 200 + 1}", points=life.points)
    if life.index % 2:
        body["sections"][1]["items"] = [{"sku": UNTAXED, "quantity": 1}]
        body["expected_total"] = 52_800
    left = body["expected_total"] - life.points
    amounts = [left] if len(life.tokens) == 1 else [20_000, left - 20_000]
    page = {"method": "card", "return_url": "http://shop.test/back"}
    cards = [
        {**page, "amount": a} | ({} if t == PAGE else {"token": t}) for a, t in zip(amounts, life.tokens, strict=True)
    ]
    points = [{"method": "points", "amount": life.points}] if life.points else []
    return body | {"payments": points + cards, "capture": life.capture, "payment_mode": life.mode}
