"""Webhooks of the sandbox PG in disorder and from a wrong clock, as our adapters take them."""

import http.server
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typing_extensions import override

from domain.gateway import Call, OperationKind, Outcome
from gateways.catalog import build_gateway
from gateways.gateway import Account, Gateway, WebhookEvent, WebhookRefused
from gateways.sandbox.server.storage import Storage
from tests.gateways.rig import ACCOUNT, KEY, SandboxServer, a_payment, eventually, post
from tests.gateways.rigs.nice import an_account as nice_account
from tests.gateways.rigs.stripe import Merchant, set_search_lag, stripe_account
from tests.gateways.rigs.struck import fired, kept, pay_at_sandbox

Start = Callable[..., SandboxServer]
AHEAD = timedelta(seconds=400)
"""More than the 300 seconds by which a signature may be off."""


class Shop:
    """Takes every webhook, verified by a gateway's adapter or refused with 400, as our own API does."""

    def __init__(self) -> None:
        self.taken: list[WebhookEvent] = []
        self.refused: list[str] = []
        self.gateway: Gateway | None = None
        shop = self

        class Endpoint(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                status, kind, body = shop.take(raw, dict(self.headers.items()))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, *_: Any) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def take(self, raw: bytes, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
        """Status, content type and body of the acknowledgement."""
        assert self.gateway is not None
        try:
            batch = self.gateway.parse_webhook(raw, headers)
        except WebhookRefused as refused:
            self.refused.append(str(refused))
            return 400, "text/plain", b"no"
        self.taken += batch.events
        return batch.ack_status, batch.ack_content_type, batch.ack_body

    def hears(self, server: SandboxServer, account: Account, vendor: str) -> Gateway:
        """This account's webhooks come here from now on."""
        self.gateway = build_gateway(vendor, account)
        target = {"account": account.name, "url": self.url, "secret": account.webhook_secret or account.key}
        server.http.post("/_webhooks", json=target).raise_for_status()
        return self.gateway


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A receiver of webhooks."""
    shop = Shop()
    thread = threading.Thread(target=shop.server.serve_forever, args=(0.02,))
    thread.start()
    yield shop
    shop.server.shutdown()
    thread.join()
    shop.server.server_close()


def own_account(server: SandboxServer) -> Account:
    return Account(ACCOUNT, server.url, KEY)


def a_call(account: str, kind: OperationKind = OperationKind.AUTHORIZE, **changes: Any) -> Call:
    """10 000 KRW by card, taken at once."""
    ref = uuid4().hex
    fixed: dict[str, Any] = {"merchant_ref": f"fault-{ref[:24]}", "key": f"{ref}-a1", "token": "tok_ok"}
    money: dict[str, Any] = {"amount": 10_000, "currency": "KRW", "method": "card"}
    return Call(operation_id=uuid4(), kind=kind, account=account, **(fixed | money | changes))


def asked(call: Call) -> Call:
    """The question what became of it."""
    about = {"subject": call.kind, "subject_key": call.key, "key": f"{uuid4().hex}-l1", "token": None}
    return a_call(call.account, OperationKind.LOOKUP, merchant_ref=call.merchant_ref, **about)


@pytest.mark.parametrize("vendor", ["sandbox", "nice"])
async def test_a_reordered_event_comes_behind_the_next_one(start: Start, shop: Shop, vendor: str) -> None:
    server = start()
    account = own_account(server) if vendor == "sandbox" else nice_account(server)
    gateway = shop.hears(server, account, vendor)
    server.arm("webhook_reordered", "authorize", account=account.name, ms=600_000)
    first, second = a_call(account.name), a_call(account.name)
    await gateway.perform(first)
    assert eventually(lambda: deliveries(server), lambda seen: seen == {"waiting": 1}) == {"waiting": 1}
    assert shop.taken == []
    await gateway.perform(second)
    eventually(lambda: deliveries(server), lambda seen: seen == {"delivered": 2})
    assert [event.merchant_ref for event in shop.taken] == [second.merchant_ref, first.merchant_ref]
    await gateway.close()


async def test_a_reordered_event_that_nothing_follows_is_only_late(start: Start, shop: Shop) -> None:
    server = start()
    gateway = shop.hears(server, own_account(server), "sandbox")
    server.arm("webhook_reordered", "authorize", ms=300)
    call = a_call(ACCOUNT)
    began = time.monotonic()
    await gateway.perform(call)
    eventually(lambda: len(shop.taken), lambda count: count == 1)
    assert [event.merchant_ref for event in shop.taken] == [call.merchant_ref]
    assert time.monotonic() - began >= 0.3
    await gateway.close()


def deliveries(server: SandboxServer) -> dict[str, int]:
    seen: dict[str, int] = server.http.get("/_webhooks").json()["deliveries"]
    return seen


def test_a_folder_of_before_gets_what_it_lacks(tmp_path: Path) -> None:
    Storage(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "sandbox.sqlite3")) as connection:
        for name in ("skew", "behind_next"):
            connection.execute(f"ALTER TABLE webhook_deliveries DROP COLUMN {name}")
    storage = Storage(tmp_path)
    assert storage.connection.execute("SELECT skew, behind_next FROM webhook_deliveries").fetchall() == []
    storage.close()


# A wrong clock.


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("vendor", ["sandbox", "stripe"])
async def test_an_event_of_a_wrong_clock_is_refused_and_asking_finds_the_money(
    start: Start, shop: Shop, vendor: str, sign: int
) -> None:
    server = start("--pending-ms", "100")
    account = own_account(server) if vendor == "sandbox" else stripe_account(server)
    gateway = shop.hears(server, account, vendor)
    set_search_lag(server, account.name, 0)
    skew = int(AHEAD.total_seconds() * 1000) * sign
    server.arm("clock_skew", "authorize", account=account.name, ms=skew, times=2)
    call = a_call(account.name, token="tok_pending")
    assert (await gateway.perform(call)).outcome is Outcome.PENDING
    eventually(lambda: kept(server, account.name), lambda net: net == [10_000])
    eventually(lambda: [one["fault"] for one in fired(server)], lambda seen: len(seen) == 2)
    eventually(lambda: len(shop.refused), lambda count: count >= 2)
    assert set(shop.refused) == {"the signature is too old or from the future"}
    assert shop.taken == []
    answer = await gateway.perform(asked(call))
    assert (answer.outcome, answer.issues) == (Outcome.SUCCEEDED, ())
    await gateway.perform(a_call(account.name))
    eventually(lambda: len(shop.taken), lambda count: count >= 1)
    assert shop.taken, "the clock is right again"
    await gateway.close()


def test_a_wrong_clock_is_in_the_answer_and_a_result_comes_no_later(start: Start) -> None:
    server = start("--pending-ms", "100")
    merchant = Merchant(server, "stripe-skew")
    server.arm("clock_skew", "authorize", ms=-400_000)
    before = int(time.time())
    struck = merchant.pay()
    plain = merchant.pay()
    assert before - 400 <= struck["created"] <= int(time.time()) - 400
    assert before <= plain["created"] <= int(time.time())
    for skew in (600_000, -600_000):
        server.arm("clock_skew", ms=skew, account=ACCOUNT)
        assert post(server, "/payments", a_payment(token="tok_pending")).status_code == 202
    eventually(lambda: kept(server, ACCOUNT), lambda net: net == [1000, 1000])
    assert kept(server, ACCOUNT) == [1000, 1000]


async def test_a_seal_without_a_tolerance_of_time_still_fits(start: Start, shop: Shop) -> None:
    server = start()
    gateway = shop.hears(server, nice_account(server), "nice")
    server.arm("clock_skew", "authorize", ms=600_000)
    answer = await gateway.perform(a_call("nice-a"))
    eventually(lambda: len(shop.taken), lambda count: count == 1)
    [event] = shop.taken
    assert (answer.outcome, event.outcome) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED)
    assert event.occurred_at is not None
    assert event.occurred_at - datetime.now(event.occurred_at.tzinfo) > timedelta(minutes=9)
    assert shop.refused == []
    await gateway.close()


async def test_the_header_strikes_the_event_that_the_request_causes(start: Start, shop: Shop) -> None:
    server = start()
    gateway = shop.hears(server, own_account(server), "sandbox")
    assert pay_at_sandbox(server, ACCOUNT, **{"Sandbox-Fault": "webhook_never"}).status_code == 201
    told = a_call(ACCOUNT)
    await gateway.perform(told)
    eventually(lambda: len(shop.taken), lambda count: count == 1)
    assert [event.merchant_ref for event in shop.taken] == [told.merchant_ref]
    [struck] = fired(server)
    assert (struck["fault"], struck["by"], struck["effect"]) == ("webhook_never", "header", [])
    assert struck["event_id"].startswith("evt_")
    await gateway.close()
