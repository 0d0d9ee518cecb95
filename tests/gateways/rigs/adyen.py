"""Adyen under the laws: the sandbox's personality, and a receiver of webhooks whose verified events are looked up."""

import asyncio
import dataclasses
import http.server
import json
import threading
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any
from uuid import uuid4

import httpx
from typing_extensions import override

from domain.gateway import Call
from gateways.adyen.adapter import AdyenGateway
from gateways.gateway import Account, WebhookBatch, WebhookEvent, WebhookRefused
from tests.gateways.rig import KEY, LOOKUP, OK, VOID, Rig, SandboxServer, eventually

MERCHANT = "LawsECOM"
HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
RETURN_URL = "https://shop.example/return?order=1"


class HeardEvents:
    """Verified events, kept as `gateways.adyen.adapter.VerifiedEvents` wants them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[str, WebhookEvent] = {}

    def add(self, batch: WebhookBatch) -> None:
        """Each event once."""
        with self._lock:
            self._events |= {event.event_id: event for event in batch.events}

    async def of(self, merchant_ref: str) -> Sequence[WebhookEvent]:
        return [event for event in self.all() if event.merchant_ref == merchant_ref]

    async def reports(self, day: date) -> Sequence[WebhookEvent]:
        reports = [event for event in self.all() if event.kind == "REPORT_AVAILABLE" and event.occurred_at]
        return [event for event in reports if event.occurred_at and event.occurred_at.date() == day]

    def all(self) -> list[WebhookEvent]:
        """In the order in which they came first."""
        with self._lock:
            return list(self._events.values())


class Receiver:
    """A real HTTP endpoint for webhooks: verified with ``parse``, acknowledged as the batch says, else 401."""

    def __init__(self, parse: Callable[[bytes], WebhookBatch], heard: HeardEvents) -> None:
        self.bodies: list[bytes] = []
        receiver = self

        class Endpoint(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.bodies.append(raw)
                try:
                    batch = parse(raw)
                except WebhookRefused:
                    status, body = 401, b""
                else:
                    heard.add(batch)
                    status, body = batch.ack_status, batch.ack_body
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, *_: Any) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhooks"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class AdyenRig(Rig):
    """A cancel states no amount, and a lookup asks nobody."""

    silent = frozenset({VOID, LOOKUP})

    def __init__(self, server: SandboxServer) -> None:
        """With an account of its own, so that no webhook of another test comes here."""
        account = f"adyen-{uuid4().hex[:12]}"
        self.heard = HeardEvents()
        gateway = AdyenGateway(an_account(server, account), events=self.heard)
        super().__init__(gateway, server, account)
        self.receiver = Receiver(lambda raw: gateway.parse_webhook(raw, {}), self.heard)
        target = {"account": account, "url": self.receiver.url, "secret": HMAC_KEY}
        server.http.post("/_webhooks", json=target).raise_for_status()

    @override
    def charge(self, amount: int = 10_000, *, token: str = OK, capture_now: bool = True) -> Call:
        """With where the customer comes back to, which Adyen wants for every payment."""
        call = super().charge(amount, token=token, capture_now=capture_now)
        return dataclasses.replace(call, customer="shopper-1", return_url=RETURN_URL)

    @override
    async def settlement(self) -> None:
        """Today's report has been announced by a webhook."""
        heard = await asyncio.to_thread(eventually, self._reports, bool)
        assert heard

    def _reports(self) -> list[WebhookEvent]:
        return [event for event in self.heard.all() if event.kind == "REPORT_AVAILABLE"]

    def net(self, reference: str) -> int:
        """What the ledger holds for a merchant's reference, captured less refunded."""
        return sum(self._server.ledger(merchant_ref=reference, account=self.account)["net"].values())

    def get(self, path: str) -> httpx.Response:
        """Ask the account."""
        return self.fetch(f"{self.url}/adyen/{self.account}{path}")

    def fetch(self, address: str, *, key: str = KEY) -> httpx.Response:
        """Ask any address with the account's key, or another."""
        return httpx.get(address, headers={"X-API-Key": key}, trust_env=False)

    def control(self, path: str) -> httpx.Response:
        """The sandbox's own controls of the account."""
        return self._server.http.post(f"/adyen/{self.account}{path}")

    def events(self, merchant_ref: str, kind: str) -> list[WebhookEvent]:
        """The verified events of a kind, once there is one."""
        mine = [event for event in self.heard.all() if event.merchant_ref == merchant_ref]
        return [event for event in mine if event.kind == kind]

    def posted(self) -> list[str]:
        """The eventCode of every item that was posted, repetitions included."""
        return [item["eventCode"] for item in self.items()]

    def items(self, code: str | None = None) -> list[dict[str, Any]]:
        """The items that were posted, as they are on the wire."""
        bodies = [json.loads(raw) for raw in list(self.receiver.bodies)]
        items = [entry["NotificationRequestItem"] for body in bodies for entry in body["notificationItems"]]
        return [item for item in items if code in {None, item["eventCode"]}]

    @override
    async def close(self) -> None:
        await super().close()
        self.receiver.close()


def a_card(**changes: str) -> dict[str, str]:
    """Adyen's documented test card, in its test encryption."""
    card = {"type": "scheme", "encryptedCardNumber": "test_4111111111111111", "encryptedExpiryMonth": "test_03"}
    return {**card, "encryptedExpiryYear": "test_2030", "encryptedSecurityCode": "test_737", **changes}


def a_payment(**changes: Any) -> dict[str, Any]:
    """The body of a payment of 10.00 EUR under a new reference."""
    fixed = {"merchantAccount": MERCHANT, "amount": {"currency": "EUR", "value": 1000}, "returnUrl": RETURN_URL}
    return {"reference": uuid4().hex, "paymentMethod": a_card(), **fixed, **changes}


def post(rig: AdyenRig, path: str, body: Any, *, key: str = "") -> httpx.Response:
    """As any client of the account would."""
    headers = {"X-API-Key": KEY} | ({"Idempotency-Key": key} if key else {})
    return httpx.post(f"{rig.url}/adyen/{rig.account}{path}", json=body, headers=headers, trust_env=False)


def an_account(server: SandboxServer, name: str) -> Account:
    """An account of its own at the sandbox's Adyen."""
    url = f"{server.url}/adyen/{name}"
    return Account(name, url, KEY, webhook_secret=HMAC_KEY, merchant=MERCHANT)


def adyen_rig(server: SandboxServer) -> Rig:
    """For ``RIGS``."""
    return AdyenRig(server)
