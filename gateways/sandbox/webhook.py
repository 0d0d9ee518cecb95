"""Webhooks of the sandbox PG: the HMAC over the raw body is checked before anything is parsed."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from domain.gateway import Outcome
from gateways.field import moment, word
from gateways.gateway import WebhookBatch, WebhookEvent, WebhookRefused, WebhookTrust

SIGNATURE_HEADER = "sandbox-signature"
_SIGNATURE = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")
_TOLERANCE_SECONDS = 300
_TAKEN = {"payment.authorized": Outcome.SUCCEEDED, "payment.captured": Outcome.SUCCEEDED}
"""Events that tell of money; all others only say that something has changed."""
_MAX_BYTES = 65_536


def read_webhook(raw: bytes, headers: Mapping[str, str], *, secret: str, now: float) -> WebhookBatch:
    """Verify, then translate. ``now``: Unix seconds. Raises `WebhookRefused`."""
    if len(raw) > _MAX_BYTES:
        raise WebhookRefused("the body is too large")
    _verify(raw, headers, secret, now)
    try:
        body = json.loads(raw)
        events = tuple(_event(item) for item in body["events"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WebhookRefused("the body is signed but not a webhook of the sandbox") from error
    return WebhookBatch(WebhookTrust.SIGNED, events)


def _verify(raw: bytes, headers: Mapping[str, str], secret: str, now: float) -> None:
    given = {name.lower(): value for name, value in headers.items()}.get(SIGNATURE_HEADER, "")
    match = _SIGNATURE.fullmatch(given)
    if match is None:
        raise WebhookRefused("the signature is missing or malformed")
    stamp, signature = match.groups()
    expected = hmac.new(secret.encode(), stamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature):
        raise WebhookRefused("the signature does not fit the body")
    if abs(now - int(stamp)) > _TOLERANCE_SECONDS:
        raise WebhookRefused("the signature is too old or from the future")


def _event(item: Mapping[str, Any]) -> WebhookEvent:
    """Raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything but an event."""
    return WebhookEvent(
        event_id=word(item["id"]),
        kind=word(item["type"]),
        reference=word(item["reference"]),
        merchant_ref=word(item["merchant_ref"]),
        occurred_at=moment(item["occurred_at"]),
        outcome=_TAKEN.get(item["type"]),
    )
