"""The sandbox's NICE sends webhooks until it reads ``OK``, and the adapter believes only those that are sealed."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typing_extensions import override

from domain.gateway import OperationKind, Outcome
from gateways.gateway import WebhookBatch, WebhookRefused
from gateways.nice.adapter import NiceGateway
from tests.gateways.rig import KEY, SandboxServer, eventually
from tests.gateways.rigs.nice import ACCOUNT, NiceRig, an_account

Start = Callable[..., SandboxServer]
Received = list[bytes]


@pytest.fixture
def shop() -> Iterator[tuple[str, Received, list[tuple[str, bytes]]]]:
    """A receiver of webhooks: its address, what it got, and its next answers (type and body); then as NICE wants."""
    received: Received = []
    answers: list[tuple[str, bytes]] = []

    class Shop(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            kind, body = answers.pop(0) if answers else ("text/html", b"OK")
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", received, answers
    server.shutdown()
    thread.join()
    server.server_close()


async def test_webhooks_come_until_ok_as_html_and_are_verified_by_the_adapter(
    start: Start, shop: tuple[str, Received, list[tuple[str, bytes]]]
) -> None:
    url, received, answers = shop
    server = start()
    nice = NiceRig(NiceGateway(an_account(server)), server, ACCOUNT)
    answers += [("text/html", b"ok"), ("text/plain", b"OK")]
    target = {"account": ACCOUNT, "url": url, "secret": KEY}
    assert server.http.post("/_webhooks", json=target).status_code == 201
    charge = nice.charge()
    paid = await nice.gateway.perform(charge)
    eventually(lambda: len(received), lambda count: count >= 3)
    eventually(lambda: server.http.get("/_webhooks").json()["deliveries"], lambda seen: seen == {"delivered": 1})
    assert (len(received), len(set(received))) == (3, 1)
    (event,) = nice.gateway.parse_webhook(received[0], {}).events
    assert (event.kind, event.reference, event.merchant_ref) == ("payment.paid", paid.reference, charge.merchant_ref)
    forged = json.dumps(json.loads(received[0]) | {"amount": 1}).encode()
    with pytest.raises(WebhookRefused):
        nice.gateway.parse_webhook(forged, {})
    await nice.gateway.close()


async def test_webhooks_strike_as_armed_and_a_repetition_is_the_same_event(
    start: Start, shop: tuple[str, Received, list[tuple[str, bytes]]]
) -> None:
    url, received, _ = shop
    server = start()
    nice = NiceRig(NiceGateway(an_account(server)), server, ACCOUNT)
    server.http.post("/_webhooks", json={"account": ACCOUNT, "url": url, "secret": KEY}).raise_for_status()
    for fault in ("webhook_never", "webhook_duplicate", "webhook_late"):
        server.arm(fault, "authorize", ms=700)
    calls = [nice.charge() for _ in range(4)]
    references = [(await nice.gateway.perform(call)).reference for call in calls]
    refund = nice.follow(calls[3], OperationKind.REFUND, 4_000, references[3])
    await nice.gateway.perform(refund)
    eventually(lambda: len(received), lambda count: count >= 5)
    batches: list[WebhookBatch] = [nice.gateway.parse_webhook(raw, {}) for raw in received]
    seen = [(event.merchant_ref, event.kind) for batch in batches for event in batch.events]
    never, duplicate, late, plain = (call.merchant_ref for call in calls)
    wanted = [(duplicate, "payment.paid")] * 2 + [(late, "payment.paid"), (plain, "payment.paid")]
    assert sorted(seen, key=str) == sorted([*wanted, (plain, "payment.partialCancelled")], key=str)
    assert seen[-1] == (late, "payment.paid")
    assert never not in [merchant_ref for merchant_ref, _ in seen]
    assert len({event.event_id for batch in batches for event in batch.events}) == 4
    await nice.gateway.close()


async def test_a_result_that_comes_later_is_announced_with_the_money(
    start: Start, shop: tuple[str, Received, list[tuple[str, bytes]]]
) -> None:
    url, received, _ = shop
    server = start("--pending-ms", "100")
    nice = NiceRig(NiceGateway(an_account(server)), server, ACCOUNT)
    server.http.post("/_webhooks", json={"account": ACCOUNT, "url": url, "secret": KEY}).raise_for_status()
    call = nice.charge(token="tok_pending")
    assert (await nice.gateway.perform(call)).outcome is Outcome.PENDING
    eventually(lambda: len(received), lambda count: count >= 1)
    (event,) = nice.gateway.parse_webhook(received[0], {}).events
    assert (event.kind, event.merchant_ref) == ("payment.paid", call.merchant_ref)
    assert nice.money(call).net == 10_000
    await nice.gateway.close()
