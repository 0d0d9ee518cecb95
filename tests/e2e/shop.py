"""The whole system as a newcomer starts it (`python -m cli up`), with a client that behaves like a shop's."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from api.prefer import LONGEST_WAIT
from domain.number import order_workflow_id
from wiring.embedded import is_free

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90.0
PATIENCE = 60.0
"""Seconds until what should be soon is missed: for a slow machine, not a measure of speed."""
LINES_SHOWN = 15
LONGEST_LINE = 300
"""Characters."""
T = TypeVar("T")

SEOUL = {
    "name": "Kim Minji",
    "line1": "12 Teheran-ro",
    "city": "Seoul",
    "postal_code": "06236",
    "country": "KR",
}
BUSAN = {"name": "Lee Jun", "line1": "3 Haeundae", "city": "Busan", "postal_code": "48094", "country": "KR"}


def until(what: str, found: Callable[[], T | None], *, within: float = PATIENCE) -> T:
    """The first thing that ``found`` gives; fails with ``what`` after ``within`` seconds."""
    deadline = time.monotonic() + within
    pause = 0.02
    while True:
        seen = found()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.3)


def wait_for_the_outcome(request: httpx.Request) -> None:
    """Where the API waits anyway (10 s), wait as long as it lets us: a disk may stand still for that long."""
    if request.method == "POST" and request.url.path.endswith(("/checkouts", "/payments")):
        request.headers.setdefault("Prefer", f"wait={LONGEST_WAIT}")


def free_base() -> int:
    """A port from which five in a row are free; test processes that run side by side look in places of their own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for base in range(21000 + 1000 * worker, 32000, 10):
        if all(is_free(base + k) for k in range(5)):
            return base
    raise AssertionError("no five free ports in a row")


class Shop:
    """One running system; ``http`` is the shop's key, ``admin`` the store's admin key."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="opms-e2e-")
        Path(self._home.name).chmod(0o711)  # As root, Postgres is another user, and would keep its files elsewhere.
        self.data = Path(self._home.name) / "data"
        self._environment = os.environ | {"OPMS_DATA_DIR": str(self.data), "OPMS_PORT_BASE": str(free_base())}
        try:
            self.up = self._start()
        except BaseException:
            self._home.cleanup()
            raise
        self.demo: dict[str, str] = json.loads((self.data / "demo.json").read_text())
        self.http = self.client(self.demo["api_key"])
        self.admin = self.client(self.demo["admin_key"])
        self.sandbox = httpx.Client(base_url=self.demo["sandbox"], timeout=30)

    def client(self, key: str) -> httpx.Client:
        """A client with this key."""
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
        headers = {"Authorization": f"Bearer {key}"}
        hooks = {"request": [wait_for_the_outcome]}
        return httpx.Client(base_url=self.demo["api"], headers=headers, timeout=60, limits=limits, event_hooks=hooks)

    @contextmanager
    def ruled(self, strategy: str, **weights: int) -> Iterator[int]:
        """Payments are routed so (``toss_demo=30`` is the account toss-demo); the demo's rule again afterwards.

        Gives the version of the rule in between.
        """
        before = self.admin.get("/v1/routing").raise_for_status().json()
        rule = {name: before[name] for name in ("strategy", "by", "weights", "fallback", "constraints")}
        shares = {account.replace("_", "-"): share for account, share in weights.items()}
        rewritten = self.admin.put("/v1/routing", json={"strategy": strategy, "weights": shares}).raise_for_status()
        try:
            yield rewritten.json()["version"]
        finally:
            self.admin.put("/v1/routing", json=rule).raise_for_status()

    def pid(self, name: str) -> int:
        """The process that runs under this name now."""
        running = json.loads((self.data / "running.json").read_text())
        return int(running[name]["pid"])

    def kill(self, name: str) -> None:
        """``kill -9``; `up` starts it again."""
        old = self.pid(name)
        os.kill(old, signal.SIGKILL)
        until(f"{name} is started again", lambda: self.pid(name) != old)

    def kill_all(self) -> None:
        """``kill -9`` of every process at once, `up` first; then `up` again on the same data."""
        running = json.loads((self.data / "running.json").read_text())
        os.kill(self.up.pid, signal.SIGKILL)
        for entry in running.values():
            try:
                os.kill(int(entry["pid"]), signal.SIGKILL)
            except ProcessLookupError:
                continue  # it ended with `up`, as it should
        self.up.wait(timeout=10)
        self.up = self._start()

    def ready(self) -> bool:
        """Everything serves."""
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def logged(self) -> Iterator[tuple[str, str]]:
        """The last lines of each process's log."""
        for log in sorted((self.data / "logs").glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-LINES_SHOWN:]
            yield log.name, "\n".join(line[:LONGEST_LINE] for line in lines)

    def audit(self) -> tuple[int, str]:
        """`python -m cli audit`: its exit code, and what it printed."""
        command = [sys.executable, "-m", "cli", "audit"]
        done = subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def stop(self) -> float:
        """Ctrl-C; how many seconds it took until everything was gone."""
        began = time.monotonic()
        self.up.send_signal(signal.SIGINT)
        self.up.wait(timeout=30)
        return time.monotonic() - began

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        for client in (self.http, self.admin, self.sandbox):
            client.close()
        if self.up.poll() is None:
            self.stop()
        subprocess.run(["make", "-s", "reset"], cwd=ROOT, env=self._environment, check=True)
        self._home.cleanup()

    def _start(self) -> subprocess.Popen[bytes]:
        (self.data / "demo.json").unlink(missing_ok=True)
        log = Path(self._home.name) / "up.log"
        with log.open("ab") as out:
            up = subprocess.Popen(
                [sys.executable, "-m", "cli", "up"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

        def started() -> bool:
            assert up.poll() is None, f"up ended:\n{log.read_text()[-3000:]}"
            return (self.data / "demo.json").exists()

        until("up is ready", started, within=START_SECONDS)
        return up

    # What a shop does.

    def checkout(
        self,
        *,
        token: str = "tok_ok",
        points: int = 7700,
        customer: str = "c-1",
        key: str | None = None,
        wait: int | None = None,
        **changes: Any,
    ) -> httpx.Response:
        """POST /v1/checkouts with two sections; ``changes`` replace parts of the body."""
        body = checkout_body(token=token, points=points, customer=customer) | changes
        headers = {"Idempotency-Key": key or uuid4().hex}
        if wait is not None:
            headers["Prefer"] = f"wait={wait}"
        return self.http.post("/v1/checkouts", json=body, headers=headers)

    def place(self, **how: Any) -> dict[str, Any]:
        """A placed order."""
        answer = self.checkout(**how)
        assert answer.status_code == 201, answer.text
        order: dict[str, Any] = answer.json()
        assert order["status"] == "placed", answer.text
        return order

    def order(self, number: str) -> dict[str, Any]:
        """GET /v1/orders/{number}."""
        found: dict[str, Any] = self.http.get(f"/v1/orders/{number}").raise_for_status().json()
        return found

    def command(self, number: str, path: str, body: dict[str, Any], *, key: str | None = None) -> dict[str, Any]:
        """POST a command, wait for its end, and give it."""
        headers = {"Prefer": f"wait={LONGEST_WAIT}", "Idempotency-Key": key or uuid4().hex}
        answer = self.http.post(f"/v1/orders/{number}/{path}", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        command: dict[str, Any] = answer.json()["command"]
        return command

    def applied(self, number: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST a command that must be applied; the order after it."""
        command = self.command(number, path, body)
        assert command["status"] == "applied", command
        return self.order(number)

    def paid(self, number: str) -> dict[str, Any]:
        """The order once it is paid."""

        def found() -> dict[str, Any] | None:
            order = self.order(number)
            return order if order["payment_status"] == "paid" else None

        return until(f"{number} is paid", found)

    def deliver_all(self, number: str) -> dict[str, Any]:
        """Ship and deliver every open section."""
        for section in self.order(number)["sections"]:
            if section["status"] == "open":
                path = f"sections/{section['number']}"
                self.applied(number, f"{path}/shipments", {"carrier": "CJ", "tracking_number": uuid4().hex[:12]})
                self.applied(number, f"{path}/deliveries", {})
        return self.order(number)

    def ledger(self, order: dict[str, Any]) -> list[dict[str, Any]]:
        """What the sandbox PG says of an order: every operation of every attempt."""
        operations: list[dict[str, Any]] = []
        for payment in order["payments"]:
            for attempt in payment["attempts"]:
                query = {"merchant_ref": attempt["merchant_ref"]}
                operations += self.sandbox.get("/_ledger", params=query).raise_for_status().json()["operations"]
        return operations

    def charged(self, order: dict[str, Any]) -> int:
        """What the customer's card was charged for an order, less what came back, by the PG's own ledger."""
        signs = {"capture": 1, "refund": -1}
        return sum(signs.get(o["operation"], 0) * o["amount"] for o in self.ledger(order) if o["status"] == "succeeded")

    def arm(self, fault: str, operation: str | None = "authorize", **more: Any) -> None:
        """Arm a fault at the sandbox PG."""
        body = {"fault": fault, "operation": operation, **more}
        self.sandbox.post("/_faults", json={k: v for k, v in body.items() if v is not None}).raise_for_status()

    def look_again(self, number: str) -> None:
        """What an operator does in the Temporal UI: the order asks at once, whatever pause it makes."""
        import asyncio

        from temporalio.client import Client
        from temporalio.service import RPCError, RPCStatusCode

        async def hint() -> None:
            client = await Client.connect(self.demo["temporal"])
            workflow = client.get_workflow_handle(order_workflow_id(self.demo["store"], number))
            try:
                await workflow.signal("look_again")
            except RPCError as away:
                if away.status is not RPCStatusCode.NOT_FOUND:  # Its run is over.
                    raise

        asyncio.run(hint())

    def points(self, customer: str) -> tuple[int, int]:
        """A customer's points by our own ledger: (balance, held)."""
        look = "SELECT sum(amount - spent)::int, sum(held)::int FROM value_lot WHERE kind = 'points' AND owner = $1"
        [(balance, held)] = self.sql(look, customer)
        return balance, held

    def sql(self, statement: str, *arguments: Any) -> list[Any]:
        """Look into the database."""
        import asyncio

        import asyncpg

        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.demo["database"])
            try:
                return [tuple(row) for row in await connection.fetch(statement, *arguments)]
            finally:
                await connection.close()

        return asyncio.run(run())


def checkout_body(*, token: str = "tok_ok", points: int = 7700, customer: str = "c-1") -> dict[str, Any]:
    """Two shirts to Seoul, a mug to Busan: 57 700 KRW, points and card."""
    total = 2 * 19900 + 14900 + 8000 - 5000
    payments: list[dict[str, Any]] = [{"method": "card", "amount": total - points, "token": token}]
    if points:
        payments.insert(0, {"method": "points", "amount": points})
    return {
        "customer": {"id": customer, "name": "Kim Minji", "email": "minji@example.com", "phone": "+82-10-0000-0000"},
        "currency": "KRW",
        "sections": [
            {
                "destination": SEOUL,
                "delivery_method": "standard",
                "shipping_fee": 3000,
                "items": [{"sku": "TEE-BLK-M", "quantity": 2}],
            },
            {
                "destination": BUSAN,
                "delivery_method": "express",
                "shipping_fee": 5000,
                "items": [{"sku": "MUG-01", "quantity": 1}],
            },
        ],
        "discounts": [{"code": "WELCOME", "amount": 5000}],
        "expected_total": total,
        "payments": payments,
        "payment_mode": "atomic",
        "capture": "automatic",
    }
