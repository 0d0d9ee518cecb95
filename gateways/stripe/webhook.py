"""Webhooks of Stripe: the HMAC over the raw body is checked before anything is parsed.

https://docs.stripe.com/webhooks#verify-manually
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from domain.gateway import Outcome
from gateways.field import word
from gateways.gateway import WebhookBatch, WebhookEvent, WebhookRefused, WebhookTrust
from gateways.stripe.session import SESSION
from gateways.stripe.wire import ATTEMPT, metadata_of, reference_of

SIGNATURE_HEADER = "stripe-signature"
_TAKEN = frozenset(
    {
        "payment_intent.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.succeeded",
        "charge.captured",
    }
)
"""Types that tell of money taken or held."""
_REFUND_CHANGED = frozenset({"refund.updated", "charge.refund.updated"})
_DISPUTED = frozenset({"charge.dispute.created", "charge.dispute.funds_withdrawn"})
_OF_THE_ACCOUNT = ("account.", "balance.", "capability.", "payout.", "reporting.")
_STAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_TOLERANCE_SECONDS = 300
_MAX_BYTES = 262_144
_MAX_HEADER = 2_000


def read_webhook(raw: bytes, headers: Mapping[str, str], *, secret: str, now: float) -> WebhookBatch:
    """Verify, then translate. ``now``: Unix seconds. Raises `WebhookRefused`."""
    if not secret:
        raise WebhookRefused("the account has no webhook_secret")
    if len(raw) > _MAX_BYTES:
        raise WebhookRefused("the body is too large")
    _verify(raw, headers, secret, now)
    try:
        event = _event(json.loads(raw))
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError) as error:
        raise WebhookRefused("the body is signed but not an event of Stripe") from error
    return WebhookBatch(WebhookTrust.SIGNED, (event,))


def _verify(raw: bytes, headers: Mapping[str, str], secret: str, now: float) -> None:
    """One of the ``v1`` signatures must fit: there are two while a secret is being replaced."""
    given = {name.lower(): value for name, value in headers.items()}.get(SIGNATURE_HEADER, "")
    parts = [part.strip().partition("=") for part in given[:_MAX_HEADER].split(",")]
    stamps = [value for name, _, value in parts if name == "t" and _STAMP.fullmatch(value)]
    signatures = [value for name, _, value in parts if name == "v1" and _SIGNATURE.fullmatch(value)]
    if len(stamps) != 1 or not signatures:
        raise WebhookRefused("the signature is missing or malformed")
    expected = hmac.new(secret.encode(), stamps[0].encode() + b"." + raw, hashlib.sha256).hexdigest()
    fits = [hmac.compare_digest(expected, signature) for signature in signatures]
    if not any(fits):
        raise WebhookRefused("the signature does not fit the body")
    if abs(now - int(stamps[0])) > _TOLERANCE_SECONDS:
        raise WebhookRefused("the signature is too old or from the future")


def _event(body: Any) -> WebhookEvent:
    """Raises ``KeyError``, ``TypeError``, ``ValueError`` or ``OverflowError`` for anything but an event."""
    if body["object"] != "event":
        raise ValueError("not an event")
    about = body["data"]["object"]
    is_intent = about["object"] == "payment_intent"
    named = about.get("client_reference_id") if about["object"] == SESSION else None
    if type(body["created"]) is not int:
        raise TypeError("created")
    return WebhookEvent(
        event_id=word(body["id"]),
        kind=word(body["type"]),
        reference=word(about["id"]) if is_intent else reference_of(about.get("payment_intent")),
        merchant_ref=metadata_of(about).get(ATTEMPT) if named is None else word(named),
        occurred_at=datetime.fromtimestamp(body["created"], UTC),
        outcome=_outcome(body["type"], about),
        operation_ref=None if is_intent or about.get("id") is None else word(about["id"]),
        about_account=body["type"].startswith(_OF_THE_ACCOUNT),
        asks_back=body["type"] in _DISPUTED,
    )


def _outcome(kind: str, about: Mapping[str, Any]) -> Outcome | None:
    """A refund can fail after it has succeeded. None: neither of money nor of a refund that failed."""
    if kind in _TAKEN:
        return Outcome.SUCCEEDED
    failed = kind == "refund.failed" or (kind in _REFUND_CHANGED and about.get("status") == "failed")
    return Outcome.DECLINED if failed else None
