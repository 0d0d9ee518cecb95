"""Stripe's objects with all their documented fields, as of API version 2026-10-28.endive."""

import hashlib
import secrets
from typing import Any

API_VERSION = "2026-10-28.endive"
_AUTHORIZATION_SECONDS = 7 * 24 * 3600
_SETTLING_SECONDS = 2 * 24 * 3600
_RISK_SCORES = {"normal": 7, "elevated": 65, "highest": 80}
_SAID_BY_ISSUERS = ("advice_code", "network_advice_code", "network_decline_code")
_BLOCKED = {
    "network_status": "not_sent_to_network",
    "reason": "highest_risk_level",
    "seller_message": "Stripe blocked this payment as too risky.",
    "type": "blocked",
}
_DISPLAY_BRANDS = {"amex": "american_express", "diners": "diners_club"}
_ID_SHAPES = {
    **dict.fromkeys(("pi", "ch", "re", "txn", "evt"), ("3", 24)),
    **dict.fromkeys(("pm", "li", "price", "po", "ba"), ("1", 24)),
    "cus": ("", 14),
    "cs_test": ("a1", 58),
    "req": ("", 14),
    "prod": ("", 14),
}
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new_id(prefix: str) -> str:
    """A new object id, such as ``pi_3...``, as long as Stripe's own of this kind."""
    first, length = _ID_SHAPES.get(prefix, ("", 24))
    return f"{prefix}_{first}{_letters(length - len(first))}"


def _letters(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))


def billing_details() -> dict[str, Any]:
    """Nothing is known of the customer."""
    names = ("city", "country", "line1", "line2", "postal_code", "state")
    return {"address": dict.fromkeys(names), "email": None, "name": None, "phone": None, "tax_id": None}


def payment_method(card: dict[str, Any], chosen: dict[str, Any], now: float) -> dict[str, Any]:
    """A card; ``card``: its brand, country, funding, last4, expiry. ``chosen``: what the request said of it."""
    return {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(),
        "card": {
            "brand": card["brand"],
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "unchecked"},
            "country": card["country"],
            "display_brand": _DISPLAY_BRANDS.get(card["brand"], card["brand"]),
            "exp_month": card["exp_month"],
            "exp_year": card["exp_year"],
            "fingerprint": fingerprint(card["brand"] + card["country"] + card["last4"]),
            "funding": card["funding"],
            "generated_from": None,
            "last4": card["last4"],
            "networks": {"available": [card["brand"]], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": int(now),
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "radar_options": {},
        "type": "card",
        **chosen,
    }


def customer(chosen: dict[str, Any], now: float) -> dict[str, Any]:
    """A customer; ``chosen``: what the request said of its fields."""
    return {
        "id": new_id("cus"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": int(now),
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": _letters(8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
        **chosen,
    }


def balance(sums: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """The account's balance; ``sums``: currency -> what is available and what is pending."""

    def shown(which: int) -> list[dict[str, Any]]:
        return [
            {"amount": both[which], "currency": currency, "source_types": {"card": both[which]}}
            for currency, both in sorted(sums.items())
        ]

    return {"object": "balance", "available": shown(0), "livemode": False, "pending": shown(1)}


def payment_intent(amount: int, currency: str, chosen: dict[str, Any], now: float) -> dict[str, Any]:
    """A PaymentIntent that has not been confirmed. ``chosen``: what the request said of other fields."""
    intent_id = new_id("pi")
    return {
        "id": intent_id,
        "object": "payment_intent",
        "allowed_payment_method_types": None,
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{intent_id}_secret_{_letters(25)}",
        "confirmation_method": "automatic",
        "created": int(now),
        "currency": currency,
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "payment_method_types": ["card"],
        "payment_record": None,
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
        **chosen,
    }


def charge(intent: dict[str, Any], method: dict[str, Any], now: float) -> dict[str, Any]:
    """A charge of the intent that waits for its result."""
    card = method["card"]
    return {
        "id": new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "OPMS SANDBOX",
        "captured": False,
        "created": int(now),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "on_behalf_of": None,
        "outcome": None,
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {"card": _card_details(intent, card, now), "type": "card"},
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": intent["shipping"],
        "source": None,
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "pending",
        "transfer_data": None,
        "transfer_group": intent["transfer_group"],
    }


def outcome(error: dict[str, Any] | None, risk: str) -> dict[str, Any]:
    """A charge's ``outcome``: authorized, declined by the issuer, or blocked for its risk."""
    assessed = {"risk_level": risk, "risk_score": _RISK_SCORES[risk]}
    if error is not None and risk == "highest":
        return {**dict.fromkeys(_SAID_BY_ISSUERS), **_BLOCKED, **assessed}
    return {
        "advice_code": None if error is None else error.get("advice_code"),
        "network_advice_code": None,
        "network_decline_code": None if error is None else error.get("network_decline_code"),
        "network_status": "approved_by_network" if error is None else "declined_by_network",
        "reason": None if error is None else error.get("decline_code", error["code"]),
        **assessed,
        "seller_message": "Payment complete." if error is None else "The bank declined the payment.",
        "type": "authorized" if error is None else "issuer_declined",
    }


def refund(
    charge: dict[str, Any], amount: int, metadata: dict[str, str], reason: str | None, now: float
) -> dict[str, Any]:
    """A refund of a charge that waits for its result."""
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": int(now),
        "currency": charge["currency"],
        "customer": None,
        "customer_account": None,
        "destination_details": {
            "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"},
            "type": "card",
        },
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending",
        "transfer_reversal": None,
    }


def balance_transaction(source: dict[str, Any], amount: int, kind: str, now: float) -> dict[str, Any]:
    """What moved in the merchant's balance; ``amount`` is signed, the sandbox takes no fee.

    ``kind``: ``charge``, ``refund``, ``refund_failure`` or ``payout``, which Stripe reports under the category of the
    same name.
    """
    return {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": int(now) + _SETTLING_SECONDS,
        "balance_type": "payments",
        "created": int(now),
        "currency": source["currency"],
        "description": source.get("description"),
        "exchange_rate": None,
        "fee": 0,
        "fee_details": [],
        "net": amount,
        "reporting_category": kind,
        "source": source["id"],
        "status": "pending",
        "type": kind,
    }


def event(kind: str, about: dict[str, Any], cause: dict[str, Any], now: float) -> dict[str, Any]:
    """An event as it is posted to a webhook endpoint; ``cause``: id and idempotency_key of the request, or null."""
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": int(now),
        "data": {"object": about},
        "livemode": False,
        "pending_webhooks": 1,
        "request": cause,
        "type": kind,
    }


def page(objects: list[dict[str, Any]], url: str, *, has_more: bool) -> dict[str, Any]:
    """A list."""
    return {"object": "list", "data": objects, "has_more": has_more, "url": url}


def _card_details(intent: dict[str, Any], card: dict[str, Any], now: float) -> dict[str, Any]:
    manual = intent["capture_method"] == "manual"
    shown = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
    return {
        **{name: card[name] for name in shown},
        "amount_authorized": intent["amount"],
        "authorization_code": None,
        **({"capture_before": int(now) + _AUTHORIZATION_SECONDS} if manual else {}),
        "electronic_commerce_indicator": None,
        "extended_authorization": {"status": "disabled"},
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card["brand"],
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {"maximum_amount_capturable": intent["amount"], "status": "unavailable"},
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "transaction_link_id": None,
        "wallet": None,
    }


def fingerprint(said: str) -> str:
    """The same sixteen characters for the same words, as Stripe knows a card or a bank account again."""
    return hashlib.sha256(said.encode()).hexdigest()[:16]
