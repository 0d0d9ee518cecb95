"""Webhooks of NICE (manual, api/hook.md): the seal is inside the JSON and covers tid, amount and time, no more.

So the status and the order id of a webhook are hearsay even when the seal fits: it is a hint to ask NICE.
"""

import json
from datetime import datetime
from typing import Any

from domain.gateway import Outcome
from gateways.field import word
from gateways.gateway import WebhookBatch, WebhookEvent, WebhookRefused, WebhookTrust
from gateways.nice.seal import is_sealed
from gateways.nice.wire import KOREA

_MAX_BYTES = 65_536
_MOMENTS = {"paid": "paidAt", "failed": "failedAt", "cancelled": "cancelledAt", "partialCancelled": "cancelledAt"}


def read_webhook(raw: bytes, *, secret: str) -> WebhookBatch:
    """Verify, then translate. Raises `WebhookRefused`.

    NICE gives an event no id: it is made of the payment, its status and its newest cancel, so that NICE's own
    repetitions (ten, a minute apart) are one event. The acknowledgement must be ``OK`` as ``text/html``.
    """
    if len(raw) > _MAX_BYTES:
        raise WebhookRefused("the body is too large")
    try:
        body = json.loads(raw)
        if not _fits(body, secret):
            raise WebhookRefused("the signature does not fit the body")
        event = _event(body)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WebhookRefused("the body is not a webhook of NICE") from error
    return WebhookBatch(WebhookTrust.SIGNED, (event,), ack_body=b"OK", ack_content_type="text/html")


def _fits(body: dict[str, Any], secret: str) -> bool:
    amount = body["amount"]
    if type(amount) is not int:
        raise TypeError("not an amount")
    return is_sealed(body.get("signature"), word(body["tid"]), amount, word(body["ediDate"]), secret)


def _event(body: dict[str, Any]) -> WebhookEvent:
    tid, status, cancelled = word(body["tid"]), word(body["status"]), body.get("cancelledTid")
    parts = [tid, status] if cancelled is None else [tid, status, word(cancelled)]
    moment = body.get(_MOMENTS.get(status, "ediDate"))
    at = datetime.fromisoformat(word(body["ediDate"] if moment in (None, "", "0") else moment))
    return WebhookEvent(
        event_id=":".join(parts),
        kind=f"payment.{status}",
        reference=tid,
        merchant_ref=word(body["orderId"]),
        occurred_at=at if at.tzinfo else at.replace(tzinfo=KOREA),
        outcome=Outcome.SUCCEEDED if status == "paid" else None,
    )
