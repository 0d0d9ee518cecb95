"""What PGs tell of a payment by webhook, in their own words and sealed as they seal it."""

import json
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import stripe

from gateways.adyen.webhook import signature

SECRET = "whsec_trust"
HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"


@dataclass(frozen=True)
class Charged:
    """What the database holds of one payment."""

    order_id: UUID
    number: str
    attempt_id: UUID
    merchant_ref: str
    operation_ref: str


async def from_stripe(http: httpx.AsyncClient, kind: str, about: dict[str, Any], event_id: str | None = None) -> str:
    """Deliver a signed event; its id."""
    event = {"id": event_id or f"evt_{uuid4().hex}", "object": "event", "type": kind, "created": int(time.time())}
    raw = json.dumps(event | {"data": {"object": about}})
    header = stripe.WebhookSignature.generate_signature_header(raw, SECRET)
    answer = await http.post("/v1/webhooks/stripe", content=raw, headers={"Stripe-Signature": header})
    assert answer.status_code == 200
    return str(event["id"])


async def from_adyen(http: httpx.AsyncClient, code: str, of: Charged, success: str = "true") -> str:
    """Deliver a signed item about the operation; its event's id."""
    item: dict[str, Any] = {
        "amount": {"value": 1000, "currency": "KRW"},
        "eventCode": code,
        "eventDate": "2026-11-23T00:30:00+09:00",
        "merchantAccountCode": "ShopECOM",
        "merchantReference": of.merchant_ref,
        "originalReference": "PSP1",
        "pspReference": of.operation_ref,
        "success": success,
    }
    signed = item | {"additionalData": {"hmacSignature": signature(item, bytes.fromhex(HMAC_KEY))}}
    body = {"live": "false", "notificationItems": [{"NotificationRequestItem": signed}]}
    assert (await http.post("/v1/webhooks/adyen", json=body)).status_code == 202
    return f"{code}:{of.operation_ref}:{success}"


def a_refund(of: Charged, status: str = "failed") -> dict[str, Any]:
    return {"id": of.operation_ref, "object": "refund", "status": status, "metadata": {"attempt": of.merchant_ref}}


async def from_toss(http: httpx.AsyncClient, of: Charged, status: str = "DONE") -> str:
    """Deliver what anybody could; its id."""
    data = {"paymentKey": f"pk_{uuid4().hex}", "orderId": of.merchant_ref, "status": status}
    body = {"eventType": "PAYMENT_STATUS_CHANGED", "createdAt": "2026-11-23T12:00:00.000000", "data": data}
    transmission = uuid4().hex
    headers = {"TossPayments-Webhook-Transmission-Id": transmission}
    assert (await http.post("/v1/webhooks/toss", json=body, headers=headers)).status_code == 200
    return transmission
