"""Adyen's standard webhooks: the HMAC of every item is checked before anything of the body is believed."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from domain.gateway import Outcome
from gateways.adyen.currency import Inexact, from_value
from gateways.field import moment, word
from gateways.gateway import WebhookBatch, WebhookEvent, WebhookRefused, WebhookTrust

REPORT_AVAILABLE = "REPORT_AVAILABLE"

_MAX_BYTES = 262_144
_MAX_TEXT = 255
_MARKED = re.compile(r"(?P<ref>[A-Za-z0-9_-]+)\.(?P<mark>[0-9a-f]{32})")
_STATES_OUTCOME = frozenset(
    {"AUTHORISATION", "CAPTURE", "CANCELLATION", "TECHNICAL_CANCEL", "REFUND", "CANCEL_OR_REFUND"}
)
"""``success`` of these says how the operation ended."""
_TAKES_BACK = frozenset({"CAPTURE_FAILED", "REFUND_FAILED", "REFUNDED_REVERSED"})
"""With success "true": what had succeeded before has failed after all."""
_ASKS_BACK = frozenset({"NOTIFICATION_OF_CHARGEBACK", "CHARGEBACK", "SECOND_CHARGEBACK"})


def read_webhook(raw: bytes, *, key: bytes, merchant: str) -> WebhookBatch:
    """Verify every item, then translate. Raises `WebhookRefused`.

    ``key``: the HMAC key, decoded from hex. A verified item of another merchant account is acknowledged and left out.
    """
    if len(raw) > _MAX_BYTES:
        raise WebhookRefused("the body is too large")
    if not key:
        raise WebhookRefused("the account has no HMAC key")
    try:
        items = [entry["NotificationRequestItem"] for entry in json.loads(raw)["notificationItems"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WebhookRefused("the body is no webhook of Adyen") from error
    if not items:
        raise WebhookRefused("the body has no items")
    try:
        for item in items:
            _verify(item, key)
        events = tuple(_event(item) for item in items if item["merchantAccountCode"] == merchant)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WebhookRefused("an item is not what Adyen sends") from error
    return WebhookBatch(WebhookTrust.SIGNED, events, ack_status=202, ack_body=b"[accepted]")


def signature(item: Mapping[str, Any], key: bytes) -> str:
    """Base64 HMAC-SHA256 over eight fields joined by colons. Raises ``KeyError``, ``TypeError``.

    Colons inside a field are not escaped: that is Adyen's definition. ``success`` must be a text, as it is sent.
    """
    amount = item["amount"]
    fields = (
        item["pspReference"],
        item.get("originalReference") or "",
        item["merchantAccountCode"],
        item["merchantReference"],
        str(_whole(amount["value"])),
        amount["currency"],
        item["eventCode"],
        item["success"],
    )
    return base64.b64encode(hmac.new(key, ":".join(fields).encode(), hashlib.sha256).digest()).decode()


def _verify(item: Mapping[str, Any], key: bytes) -> None:
    given = item["additionalData"]["hmacSignature"]
    if not isinstance(given, str) or not hmac.compare_digest(signature(item, key).encode(), given.encode()):
        raise WebhookRefused("a signature does not fit its item")


def _event(item: Mapping[str, Any]) -> WebhookEvent:
    """Raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything but an item."""
    code, own, success = word(item["eventCode"], _MAX_TEXT), word(item["pspReference"], _MAX_TEXT), item["success"]
    if success not in {"true", "false"}:
        raise ValueError("success is neither true nor false")
    original = item.get("originalReference") or None
    outcome = _outcome(code, success=success)
    marked = _MARKED.fullmatch(item["merchantReference"])
    wordy = outcome is Outcome.DECLINED or code == REPORT_AVAILABLE
    return WebhookEvent(
        event_id=f"{code}:{own}:{success}",
        kind=code,
        reference=word(original, _MAX_TEXT) if original else (own if code == "AUTHORISATION" else None),
        merchant_ref=marked["ref"] if marked else item["merchantReference"][:_MAX_TEXT] or None,
        occurred_at=moment(item["eventDate"]),
        outcome=outcome,
        amount=_minor_units(item["amount"]),
        currency=word(item["amount"]["currency"], _MAX_TEXT),
        operation_ref=None if code == "AUTHORISATION" else own,
        operation_mark=marked["mark"] if marked else None,
        reason=str(item.get("reason") or "")[:_MAX_TEXT] or None if wordy else None,
        about_account=code == REPORT_AVAILABLE,
        asks_back=code in _ASKS_BACK and success == "true",
    )


def _outcome(code: str, *, success: str) -> Outcome | None:
    """None: the event says nothing of an operation that OPMS knows."""
    if code in _STATES_OUTCOME:
        return Outcome.SUCCEEDED if success == "true" else Outcome.DECLINED
    return Outcome.DECLINED if code in _TAKES_BACK and success == "true" else None


def _minor_units(amount: Mapping[str, Any]) -> int | None:
    """None: an amount that our minor units cannot express fits no amount that was asked."""
    try:
        return from_value(_whole(amount["value"]), word(amount["currency"], _MAX_TEXT))
    except Inexact:
        return None


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError("not a whole number")
    return value
