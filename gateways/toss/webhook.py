"""Webhooks of Toss Payments: unsigned, except those about payouts and sellers. Every event is a hint to ask again."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.gateway import Outcome
from gateways.field import Unreadable
from gateways.gateway import WebhookBatch, WebhookEvent, WebhookRefused, WebhookTrust
from gateways.toss.wire import moment

DEPOSIT = "DEPOSIT_CALLBACK"
STATUS = "PAYMENT_STATUS_CHANGED"
_PREFIX = "tosspayments-webhook-"
_ALWAYS_SIGNED = frozenset({"payout.changed", "seller.changed"})
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,59}")
_HEARSAY = {"DONE": Outcome.SUCCEEDED, "WAITING_FOR_DEPOSIT": Outcome.ACTION_REQUIRED}
_MAX_BYTES = 65_536
_LONGEST = 200


def read_webhook(raw: bytes, headers: Mapping[str, str], *, secret: str) -> WebhookBatch:
    """Check the size, the signature where there is one, the shape; then translate. Raises `WebhookRefused`.

    ``secret`` is the security key of the account's payout webhooks.
    """
    if len(raw) > _MAX_BYTES:
        raise WebhookRefused("the body is too large")
    lowered = {name.lower(): value for name, value in headers.items()}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise WebhookRefused("the body is not JSON") from error
    if not isinstance(body, dict):
        raise WebhookRefused("the body is no object")
    try:
        kind = _kind(body)
        signed = kind in _ALWAYS_SIGNED
        if signed:
            _verify(raw, lowered, secret)
        event = _event(kind, body, raw, lowered.get(f"{_PREFIX}transmission-id"))
    except Unreadable as error:
        raise WebhookRefused(f"the body is no webhook of Toss: {error}") from error
    return WebhookBatch(WebhookTrust.SIGNED if signed else WebhookTrust.UNSIGNED, (event,))


def signatures(raw: bytes, transmitted_at: str, secret: str) -> str:
    """``v1:<base64 HMAC-SHA256 of "<body>:<transmission-time>">``, as Toss signs payout webhooks."""
    digest = hmac.new(secret.encode(), raw + b":" + transmitted_at.encode(), hashlib.sha256).digest()
    return f"v1:{base64.b64encode(digest).decode()}"


def _verify(raw: bytes, headers: Mapping[str, str], secret: str) -> None:
    """Toss sends one signature for each key that is valid while keys are changed; any one is enough."""
    if not secret:
        raise WebhookRefused("the account has no security key to verify this webhook with")
    expected = signatures(raw, headers.get(f"{_PREFIX}transmission-time", ""), secret)
    given = [one.strip() for one in headers.get(f"{_PREFIX}signature", "").split(",")]
    if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in given):
        raise WebhookRefused("the signature does not fit the body")


def _kind(body: Mapping[str, Any]) -> str:
    """`DEPOSIT_CALLBACK` names no type: it is known by its fields."""
    if "eventType" in body:
        kind = body["eventType"]
        if not isinstance(kind, str) or _KIND.fullmatch(kind) is None:
            raise Unreadable("eventType")
        return kind
    if {"secret", "status", "orderId", "createdAt"} <= body.keys():
        return DEPOSIT
    raise Unreadable("eventType")


def _event(kind: str, body: Mapping[str, Any], raw: bytes, transmission: str | None) -> WebhookEvent:
    """Its id is Toss's id of the delivery, else made of what it says: a repetition has the same either way."""
    if kind == DEPOSIT:
        part = body
        words = (_text(body, "orderId"), _text(body, "status"), _optional(body, "transactionKey"))
        named = _joined(kind, *words)
    elif kind == STATUS:
        part = _data(body)
        _text(part, "orderId")
        words = (_text(part, "paymentKey"), _text(part, "status"), _optional(part, "lastTransactionKey"))
        named = _joined(kind, *words)
    else:
        part = _data(body)
        named = _joined(kind, hashlib.sha256(raw).hexdigest()[:32])
    return WebhookEvent(
        event_id=_id(transmission) or named,
        kind=kind,
        reference=None if kind == DEPOSIT else _optional(part, "paymentKey"),
        merchant_ref=_optional(part, "orderId"),
        occurred_at=_occurred(kind, body),
        outcome=_outcome(kind, part),
        secret=_text(body, "secret") if kind == DEPOSIT else None,
    )


def _outcome(kind: str, part: Mapping[str, Any]) -> Outcome | None:
    """Hearsay of money, as nobody signed it: a reason to ask Toss, never an answer.

    A deposit that waits (again) is news only of one that had come: the bank took it back.
    """
    return _HEARSAY.get(str(part.get("status"))) if kind in {DEPOSIT, STATUS} else None


def _joined(*words: str | None) -> str:
    return ":".join(word or "-" for word in words)


def _data(body: Mapping[str, Any]) -> Mapping[str, Any]:
    data = body.get("data", {})
    if not isinstance(data, dict):
        raise Unreadable("data")
    return data


def _occurred(kind: str, body: Mapping[str, Any]) -> datetime | None:
    if kind in _ALWAYS_SIGNED and "createdAt" not in body:
        return None
    return moment(body.get("createdAt"))


def _id(transmission: str | None) -> str | None:
    """Toss's id of the delivery; its repetitions have the same."""
    usable = transmission is not None and 1 <= len(transmission) <= _LONGEST and transmission.isprintable()
    return transmission if usable else None


def _text(part: Mapping[str, Any], name: str) -> str:
    value = part.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST:
        raise Unreadable(name)
    return value


def _optional(part: Mapping[str, Any], name: str) -> str | None:
    return _text(part, name) if isinstance(part.get(name), str) and part[name] else None
