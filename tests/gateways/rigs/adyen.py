"""Adyen under the laws: the sandbox's personality, and a receiver of webhooks whose verified events are looked up."""

import asyncio
import dataclasses
import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
from typing_extensions import override

from domain.gateway import Call
from gateways.adyen.adapter import AdyenGateway
from gateways.gateway import Account, Gateway, WebhookEvent
from tests.gateways.rig import KEY, LOOKUP, NOTHING, OK, VOID, SandboxRig, SandboxServer, eventually
from tests.gateways.rigs.receiver import HeardEvents, Receiver

MERCHANT = "LawsECOM"
HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
RETURN_URL = "https://shop.example/return?order=1"


class AdyenRig(SandboxRig):
    """A cancel states no amount, and a lookup asks nobody."""

    silent = frozenset({VOID, LOOKUP})
    states = frozenset({"resultCode", "status"})

    def __init__(self, server: SandboxServer, account: str | None = None) -> None:
        """With an account of its own, so that no webhook of another test comes here."""
        account = account or f"adyen-{uuid4().hex[:12]}"
        self.heard = HeardEvents()
        gateway = AdyenGateway(an_account(server, account), events=self.heard)
        super().__init__(gateway, server, account)
        self.receiver: Receiver = Receiver(gateway.parse_webhook, self.heard)
        self.listen(self.receiver.url, HMAC_KEY)

    @override
    def settings(self) -> Account:
        return an_account(self._server, self.account)

    @override
    def another(self, changes: Mapping[str, str] = NOTHING, **options: Any) -> Gateway:
        return super().another(changes, **{"events": self.heard, **options})

    @override
    def at(self, now: float) -> Gateway:
        """Its webhooks have no time in their signature, so the adapter knows none."""
        return self.another()

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


def adyen_rig(server: SandboxServer, account: str | None = None) -> SandboxRig:
    """For ``RIGS``."""
    return AdyenRig(server, account)
