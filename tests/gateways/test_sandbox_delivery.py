"""Webhooks of the sandbox PG leave signed, are retried, and go wrong as armed."""

import asyncio
import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typing_extensions import override

from gateways.gateway import Account
from gateways.sandbox.adapter import SandboxGateway
from gateways.sandbox.server.app import keep_up
from tests.gateways.rig import ACCOUNT, KEY, SandboxServer, a_payment, eventually, post

Start = Callable[..., SandboxServer]
Received = list[tuple[bytes, str]]


@pytest.fixture
def shop() -> Iterator[tuple[str, Received]]:
    """A receiver of webhooks, which refuses the first delivery of each body: its address, and what it has taken."""
    received: Received = []
    refused: set[bytes] = set()

    class Shop(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            first = raw not in refused
            if first:
                refused.add(raw)
            else:
                received.append((raw, self.headers["Sandbox-Signature"]))
            self.send_response(503 if first else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        @override
        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_webhooks_are_signed_retried_and_strike_as_armed(start: Start, shop: tuple[str, Received]) -> None:
    url, received = shop
    server = start()
    target = {"account": ACCOUNT, "url": url, "secret": KEY}
    assert server.http.post("/_webhooks", json=target).status_code == 201
    for fault in ("webhook_never", "webhook_duplicate", "webhook_late"):
        server.arm(fault, "authorize", ms=700)
    bodies = [a_payment() for _ in range(4)]
    for body in bodies:
        assert post(server, "/payments", body).status_code == 201
    eventually(lambda: len(received), lambda count: count >= 4)
    gateway = SandboxGateway(Account(ACCOUNT, server.url, KEY))
    events = [
        event for raw, seal in received for event in gateway.parse_webhook(raw, {"Sandbox-Signature": seal}).events
    ]
    taken = [event.merchant_ref for event in events]
    never, duplicate, late, plain = (body["merchant_ref"] for body in bodies)
    assert sorted(str(ref) for ref in taken) == sorted([duplicate, duplicate, late, plain])
    assert never not in taken
    assert taken[-1] == late
    assert len({event.event_id for event in events}) == 3
    eventually(lambda: server.http.get("/_webhooks").json()["deliveries"], lambda seen: seen == {"delivered": 4})


async def test_a_loop_that_trips_goes_on() -> None:
    turns: list[int] = []

    async def trips() -> None:
        turns.append(len(turns))
        if len(turns) == 1:
            raise RuntimeError("a job of before")
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await keep_up(trips)
    assert turns == [0, 1]
