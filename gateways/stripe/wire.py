"""Between our words and Stripe's. Pure translation: no I/O, no clock, no state.

An attempt with a token is one PaymentIntent, created and confirmed in one request; one without is a Checkout Session,
which makes its PaymentIntent when the customer first tries to pay. The PaymentIntent carries ``metadata[attempt]``, our
merchant reference; a refund carries ``metadata[operation]``, our key, and if it undoes an operation, that one's key as
``metadata[neutralizes]``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeGuard
from urllib.parse import quote

from domain.gateway import Call, OperationKind
from gateways.field import Unreadable, text, whole
from gateways.gateway import SettlementLine
from gateways.stripe.currency import from_stripe, to_stripe

ATTEMPT, ORDER, OPERATION, NEUTRALIZES = "attempt", "order", "operation", "neutralizes"
"""Our keys in Stripe's metadata."""
_INTENTS = "/v1/payment_intents"
_EXPAND_INTENT = ["latest_charge.refunds"]
_EXPAND_REFUND = ["payment_intent.latest_charge"]
_SESSIONS = "/v1/checkout/sessions"
_EXPAND_SESSION = ["payment_intent.latest_charge.refunds"]
_SESSION_ID = "cs_"
_BALANCE = "/v1/balance_transactions"
_PAGE = 100
_BALANCE_PAGE: Mapping[str, Any] = {"limit": _PAGE, "expand": ["data.source"]}
_KINDS = {
    "charge": "charge",
    "refund": "refund",
    "refund_failure": "reversal",
    "dispute": "chargeback",
    "dispute_reversal": "chargeback_reversal",
    "fee": "fee",
    "network_cost": "fee",
    "tax": "fee",
    "risk_reserved_funds": "reserve",
    "payout": "payout",
    "payout_reversal": "reserve",
}
"""A balance transaction's ``reporting_category`` -> the kind of a settlement line; else ``adjustment``.

What comes back of a payout that failed is a part of the next one, so it counts there, as what was kept back does.
"""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request. ``key``: its Idempotency-Key, for a POST."""

    method: str
    path: str
    params: dict[str, Any] = field(default_factory=dict)
    key: str | None = None


def charge(call: Call, key: str) -> Outgoing:
    """Create and confirm. Raises `Inexpressible` for an amount that Stripe cannot state."""
    metadata = {ATTEMPT: call.merchant_ref}
    params: dict[str, Any] = {
        "amount": to_stripe(call.amount, call.currency),
        "currency": call.currency.lower(),
        "payment_method_types": ["card"],
        "payment_method": call.token,
        "capture_method": "automatic" if call.capture_now else "manual",
        "confirm": "true",
        "expand": _EXPAND_INTENT,
    }
    if call.description:
        params["description"] = metadata[ORDER] = call.description
    if call.return_url is not None:
        params["return_url"] = call.return_url
    return Outgoing("post", _INTENTS, {**params, "metadata": metadata}, key)


def session(call: Call, key: str, return_url: str) -> Outgoing:
    """Open a page of Stripe's for one payment by card, for a day. Raises `Inexpressible`.

    ``expires_at`` is left out, because Stripe compares the parameters of a key; prices in other currencies are off,
    because what is paid must be what was asked for.
    """
    about: dict[str, Any] = {"capture_method": "automatic" if call.capture_now else "manual"}
    metadata = {ATTEMPT: call.merchant_ref}
    if call.description:
        about["description"] = metadata[ORDER] = call.description
    price = {
        "currency": call.currency.lower(),
        "unit_amount": to_stripe(call.amount, call.currency),
        "product_data": {"name": call.description or call.merchant_ref},
    }
    params: dict[str, Any] = {
        "mode": "payment",
        "line_items": [{"price_data": price, "quantity": 1}],
        "allowed_payment_method_types": ["card"],
        "adaptive_pricing": {"enabled": "false"},
        "client_reference_id": call.merchant_ref,
        "metadata": metadata,
        "payment_intent_data": {**about, "metadata": metadata},
        "success_url": return_url,
        "cancel_url": return_url,
        "expand": _EXPAND_SESSION,
    }
    return Outgoing("post", _SESSIONS, params, key)


def retrieve_session(reference: str) -> Outgoing:
    """A session as it stands now, with its PaymentIntent."""
    return Outgoing("get", _session_path(reference), {"expand": _EXPAND_SESSION})


def expire_session(reference: str) -> Outgoing:
    """End a session that is open. Under a key of the SDK's: twice is no more than once."""
    return Outgoing("post", f"{_session_path(reference)}/expire", {"expand": _EXPAND_SESSION})


def sessions_of(intent: str) -> Outgoing:
    """The session that has made a PaymentIntent; none for one of another origin."""
    expand = [f"data.{path}" for path in _EXPAND_SESSION]
    return Outgoing("get", _SESSIONS, {"payment_intent": intent, "limit": 2, "expand": expand})


def sessions_since(moment: datetime, after: str | None) -> Outgoing:
    """A page of the sessions opened since a day before ``moment``, the newest first; ``after``: the last id before."""
    since = {"gte": int((moment - timedelta(days=1)).timestamp())}
    params: dict[str, Any] = {"created": since, "limit": _PAGE, "expand": [f"data.{path}" for path in _EXPAND_SESSION]}
    return Outgoing("get", _SESSIONS, params if after is None else {**params, "starting_after": after})


def is_session(reference: str | None) -> TypeGuard[str]:
    """Whether this is the id of a session."""
    return reference is not None and reference.startswith(_SESSION_ID)


def fence(call: Call, kind: OperationKind, key: str) -> Outgoing:
    """Take the key of an operation of ``kind`` in doubt for a PaymentIntent that nobody confirms.

    Stripe compares the parameters of a key: if the operation has come, this is refused; if it has not, it will be
    refused when it comes. Raises `Inexpressible`.
    """
    metadata = {NEUTRALIZES: key}
    if kind is OperationKind.AUTHORIZE:
        metadata[ATTEMPT] = call.merchant_ref  # found by a lookup in the place of what never came
    params = {
        "amount": to_stripe(call.amount, call.currency),
        "currency": call.currency.lower(),
        "payment_method_types": ["card"],
        "metadata": metadata,
        "expand": _EXPAND_INTENT,
    }
    return Outgoing("post", _INTENTS, params, key)


def capture(call: Call, reference: str, key: str) -> Outgoing:
    """Take ``call.amount``; Stripe releases the rest. Raises `Inexpressible`."""
    params = {"amount_to_capture": to_stripe(call.amount, call.currency), "expand": _EXPAND_INTENT}
    return Outgoing("post", f"{intent_path(reference)}/capture", params, key)


def void(reference: str, key: str) -> Outgoing:
    """Cancel an authorized PaymentIntent."""
    return Outgoing("post", f"{intent_path(reference)}/cancel", {"expand": _EXPAND_INTENT}, key)


def abandon(reference: str, key: str | None) -> Outgoing:
    """Cancel a PaymentIntent so that it can never succeed. ``key`` None: the SDK draws one."""
    params = {"cancellation_reason": "abandoned", "expand": _EXPAND_INTENT}
    return Outgoing("post", f"{intent_path(reference)}/cancel", params, key)


def refund(call: Call, reference: str, key: str) -> Outgoing:
    """Give back ``call.amount``. Raises `Inexpressible`."""
    params = {
        "payment_intent": reference,
        "amount": to_stripe(call.amount, call.currency),
        "metadata": {ATTEMPT: call.merchant_ref, OPERATION: key},
        "expand": _EXPAND_REFUND,
    }
    return Outgoing("post", "/v1/refunds", params, key)


def give_back(call: Call, reference: str, subject_key: str) -> Outgoing:
    """Refund what an operation in doubt has taken: the same request every time, so at most one refund."""
    key = f"{subject_key}-undo"
    params: dict[str, Any] = {
        "payment_intent": reference,
        "metadata": {ATTEMPT: call.merchant_ref, OPERATION: key, NEUTRALIZES: subject_key},
        "expand": _EXPAND_REFUND,
    }
    return Outgoing("post", "/v1/refunds", params, key)


def retrieve(reference: str) -> Outgoing:
    """A PaymentIntent as it stands now, with its charge and refunds."""
    return Outgoing("get", intent_path(reference), {"expand": _EXPAND_INTENT})


def retrieve_refund(reference: str) -> Outgoing:
    """A refund as it stands now."""
    return Outgoing("get", f"/v1/refunds/{quote(reference, safe='')}", {"expand": _EXPAND_REFUND})


def refunds_of(reference: str, after: str | None) -> Outgoing:
    """A page of a PaymentIntent's refunds, the newest first; ``after``: the last id of the page before."""
    params: dict[str, Any] = {"payment_intent": reference, "limit": _PAGE, "expand": [f"data.{_EXPAND_REFUND[0]}"]}
    return Outgoing("get", "/v1/refunds", params if after is None else {**params, "starting_after": after})


def search(merchant_ref: str) -> Outgoing:
    """Our reference in the metadata. Stripe's index is late by up to a minute, in an outage by an hour."""
    expand = [f"data.{path}" for path in _EXPAND_INTENT]
    query = f"metadata['{ATTEMPT}']:'{merchant_ref}'"
    return Outgoing("get", f"{_INTENTS}/search", {"query": query, "limit": 2, "expand": expand})


def balance(day: date) -> Outgoing:
    """The balance transactions that were made on a day (UTC), the newest first."""
    return Outgoing("get", _BALANCE, {"created": _within(day), **_BALANCE_PAGE})


def payouts(day: date) -> Outgoing:
    """The payouts that arrive at the bank on a day (UTC)."""
    return Outgoing("get", "/v1/payouts", {"arrival_date": _within(day), "limit": _PAGE})


def made_up_of(payout_ref: str) -> Outgoing:
    """The balance transactions that a payout is made of, and its own."""
    return Outgoing("get", _BALANCE, {"payout": payout_ref, **_BALANCE_PAGE})


def page_after(outgoing: Outgoing, last_id: str | None) -> Outgoing:
    """The page of a list that follows on an object; None: the first."""
    return outgoing if last_id is None else replace(outgoing, params={**outgoing.params, "starting_after": last_id})


def is_explained(payout: Mapping[str, Any]) -> bool:
    """Whether Stripe tells what a payout is made of: not of one by hand, and of another once it has found out."""
    automatic = payout.get("automatic") is True
    return automatic and payout.get("reconciliation_status", "completed") == "completed"


def arrives(payout: Mapping[str, Any]) -> bool:
    """Whether it brings its money to the bank, as far as is known: it may fail days after it was ``paid``."""
    return payout.get("status") not in {"failed", "canceled"}


def _within(day: date) -> dict[str, int]:
    start = datetime.combine(day, time(), UTC)
    return {"gte": int(start.timestamp()), "lt": int((start + timedelta(days=1)).timestamp())}


def settlement_line(
    account: str, transaction: Mapping[str, Any], payout: Mapping[str, Any] | None = None
) -> SettlementLine:
    """One balance transaction, in minor units of the balance's currency; ``payout``: which it is known to be a part of.

    Raises `Unreadable`, `Inexpressible`.
    """
    source = transaction.get("source")
    about = source if isinstance(source, dict) else {}
    currency = text(transaction, "currency").upper()
    gross, fee, net = (from_stripe(whole(transaction, name), currency) for name in ("amount", "fee", "net"))
    return SettlementLine(
        account=account,
        line_id=text(transaction, "id"),
        kind=_KINDS.get(text(transaction, "reporting_category"), "adjustment"),
        reference=reference_of(about.get("payment_intent")),
        operation_ref=reference_of(source),
        merchant_ref=metadata_of(about).get(ATTEMPT),
        gross=gross,
        fee=fee,
        net=net,
        currency=currency,
        occurred_at=datetime.fromtimestamp(whole(transaction, "created"), UTC),
        paid_on=datetime.fromtimestamp(whole(payout, "arrival_date"), UTC).date() if payout else None,
        payout_ref=text(payout, "id") if payout else None,
    )


def intent_path(reference: str) -> str:
    """The path of a PaymentIntent."""
    return f"{_INTENTS}/{quote(reference, safe='')}"


def _session_path(reference: str) -> str:
    return f"{_SESSIONS}/{quote(reference, safe='')}"


def items(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The objects of a list or a search result. Raises `Unreadable`."""
    found = body.get("data")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Unreadable("data")
    return found


def subject_of(call: Call) -> tuple[OperationKind, str] | None:
    """The operation that a lookup or a neutralisation is about, and its key; None if the call does not say."""
    return None if call.subject is None or call.subject_key is None else (call.subject, call.subject_key)


def metadata_of(thing: Mapping[str, Any]) -> dict[str, str]:
    """Metadata, whatever stands there."""
    found = thing.get("metadata")
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}


def reference_of(thing: object) -> str | None:
    """The id of an expandable field, expanded or not."""
    found = thing.get("id") if isinstance(thing, dict) else thing
    return found if isinstance(found, str) and found else None
