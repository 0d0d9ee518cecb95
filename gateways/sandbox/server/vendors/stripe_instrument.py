"""Test instruments of the Stripe personality: Stripe's own, and the sandbox's tokens beside them.

https://docs.stripe.com/testing
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Instrument:
    """``token``: how the ledger decides. ``refunds``: how they end."""

    token: str
    last4: str
    refunds: str = "succeeded"


_OK = Instrument("tok_ok", "4242")
_DECLINED = Instrument("tok_declined", "0002")
_INSUFFICIENT = Instrument("tok_insufficient", "9995")
_LOST = Instrument("tok_lost", "9987")
_3DS = Instrument("tok_3ds", "3155")
_REFUND_PENDS = Instrument("tok_ok", "7726", refunds="pending_succeeded")
_REFUND_FAILS = Instrument("tok_ok", "5126", refunds="failed")

INSTRUMENTS: dict[str, Instrument] = {
    "tok_ok": _OK,
    "tok_declined": _DECLINED,
    "tok_lost": _LOST,
    "tok_insufficient": _INSUFFICIENT,
    "tok_3ds": _3DS,
    "tok_slow": Instrument("tok_slow", "4242"),
    "tok_pending": Instrument("tok_pending", "4242"),
    "pm_card_visa": _OK,
    "pm_card_visa_debit": _OK,
    "pm_card_mastercard": _OK,
    "pm_card_chargeDeclined": _DECLINED,
    "pm_card_visa_chargeDeclined": _DECLINED,
    "pm_card_chargeDeclinedInsufficientFunds": _INSUFFICIENT,
    "pm_card_visa_chargeDeclinedInsufficientFunds": _INSUFFICIENT,
    "pm_card_chargeDeclinedLostCard": _LOST,
    "pm_card_visa_chargeDeclinedLostCard": _LOST,
    "pm_card_authenticationRequired": _3DS,
    "pm_card_authenticationRequiredOnSetup": _3DS,
    "pm_card_threeDSecure2Required": _3DS,
    "pm_card_pendingRefund": _REFUND_PENDS,
    "pm_card_refundFail": _REFUND_FAILS,
}
"""What may stand in ``payment_method``."""

_CARDS = {
    "4242424242424242": _OK,
    "5555555555554444": _OK,
    "4000000000000002": _DECLINED,
    "4000000000009995": _INSUFFICIENT,
    "4000000000009987": _LOST,
    "4000002500003155": _3DS,
    "4000002760003184": _3DS,
    "4000000000003220": _3DS,
    "4000000000007726": _REFUND_PENDS,
    "4000000000005126": _REFUND_FAILS,
}
_TOKENS = {
    "tok_visa": _OK,
    "tok_mastercard": _OK,
    "tok_chargeDeclined": _DECLINED,
    "tok_chargeDeclinedInsufficientFunds": _INSUFFICIENT,
    "tok_chargeDeclinedLostCard": _LOST,
    "tok_threeDSecure2Required": _3DS,
}

_DECLINES: dict[str, tuple[str, str | None, str]] = {
    "generic_decline": ("card_declined", "generic_decline", "Your card was declined."),
    "lost_card": ("card_declined", "lost_card", "Your card was declined."),
    "insufficient_funds": ("card_declined", "insufficient_funds", "Your card has insufficient funds."),
    "authentication_failed": (
        "payment_intent_authentication_failure",
        None,
        "The provided PaymentMethod has failed authentication. You can provide a new PaymentMethod to try again.",
    ),
}


def instrument_of_card(card: dict[str, Any]) -> Instrument | None:
    """From ``card[number]`` or ``card[token]``; None for what is no test card."""
    number, token = card.get("number"), card.get("token")
    if isinstance(number, str):
        return _CARDS.get(number.replace(" ", ""))
    return _TOKENS.get(token) if isinstance(token, str) else None


def declined(code: str) -> dict[str, Any]:
    """A ``card_error``, from the ledger's code of a decline."""
    stripe_code, decline_code, message = _DECLINES[code]
    error = {
        "type": "card_error",
        "code": stripe_code,
        "message": message,
        "doc_url": f"https://docs.stripe.com/error-codes/{stripe_code.replace('_', '-')}",
    }
    if decline_code is None:
        return error
    return {**error, "decline_code": decline_code, "network_decline_code": "05"}
