"""What the tests of Adyen's adapter say and hear: calls, stored events, and an Adyen that gives one answer."""

import dataclasses
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import httpx
from typing_extensions import override

from domain.gateway import Answer, Call, OperationKind, Outcome
from gateways.adyen import wire
from gateways.adyen.adapter import AdyenGateway, NoEvents
from gateways.gateway import Account, WebhookEvent

HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
KEY = bytes.fromhex(HMAC_KEY)
ACCOUNT = Account("adyen-a", "http://pg.test", "secret-key", webhook_secret=HMAC_KEY, merchant="TestMerchant")
PSP = "993617895204576J"
MODIFICATION = "QFQTPCQ8HXSKGK82"
AUTHORISED = {
    "resultCode": "Authorised",
    "pspReference": PSP,
    "merchantReference": "ref-000001",
    "amount": {"currency": "EUR", "value": 1000},
}
RECEIVED = {
    "merchantAccount": "TestMerchant",
    "paymentPspReference": PSP,
    "pspReference": MODIFICATION,
    "status": "received",
    "amount": {"currency": "EUR", "value": 1000},
}


class KnownEvents(NoEvents):
    """What has been heard so far."""

    def __init__(self, *events: WebhookEvent) -> None:
        self.events = events

    @override
    async def of(self, merchant_ref: str) -> Sequence[WebhookEvent]:
        return [event for event in self.events if event.merchant_ref == merchant_ref]

    @override
    async def reports(self, day: date) -> Sequence[WebhookEvent]:
        return [event for event in self.events if event.occurred_at and event.occurred_at.date() == day]


def a_call(kind: OperationKind = OperationKind.AUTHORIZE, **changes: Any) -> Call:
    call = Call(
        operation_id=uuid4(),
        kind=kind,
        account="adyen-a",
        merchant_ref="ref-000001",
        key="0123456789abcdef-a1",
        amount=1000,
        currency="EUR",
        method="card",
        token="tok_ok",
        return_url="https://shop.example/return",
        reference=None if kind is OperationKind.AUTHORIZE else PSP,
    )
    return dataclasses.replace(call, **changes)


def about(subject: OperationKind, kind: OperationKind = OperationKind.LOOKUP, **changes: Any) -> Call:
    return a_call(kind, subject=subject, subject_key="0123456789abcdef-a1", key="fedcba9876543210-n1", **changes)


def an_event(kind: str, outcome: Outcome | None, **changes: Any) -> WebhookEvent:
    event = WebhookEvent(
        event_id=uuid4().hex,
        kind=kind,
        reference=PSP,
        merchant_ref="ref-000001",
        occurred_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
        outcome=outcome,
        amount=1000,
        currency="EUR",
        operation_ref=None if kind == "AUTHORISATION" else MODIFICATION,
        operation_mark=None if kind == "AUTHORISATION" else wire.key_mark("0123456789abcdef-a1"),
    )
    return dataclasses.replace(event, **changes)


GRANTED = an_event("AUTHORISATION", Outcome.SUCCEEDED)


class Answering:
    """An Adyen that always gives one answer and remembers what it was sent."""

    def __init__(self, body: Any = None, *, status: int = 200, **headers: str) -> None:
        self.requests: list[httpx.Request] = []
        self._said = (status, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status, body, headers = self._said
        content = {"text": body} if isinstance(body, str) else {"json": body}
        return httpx.Response(status, headers=headers, **content)

    async def asked(self, call: Call, *events: WebhookEvent) -> Answer:
        async with httpx.AsyncClient(transport=httpx.MockTransport(self)) as client:
            return await AdyenGateway(ACCOUNT, client=client, events=KnownEvents(*events)).perform(call)

    @property
    def sent(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.requests[-1].content)
        return body
