"""Test instruments of the Stripe personality: Stripe's own, and the sandbox's tokens beside them.

https://docs.stripe.com/testing
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from gateways.sandbox.server.vendors.stripe_intake import Complaint

_LATER, _FAILS = "pending_succeeded", "failed"


@dataclass(frozen=True, slots=True)
class Instrument:
    """``token``: how the ledger decides; ``decline``: in which of Stripe's words. ``refunds``: how they end."""

    token: str
    last4: str
    refunds: str = "succeeded"
    decline: str | None = None
    brand: str = "visa"
    funding: str = "credit"


def _refused(last4: str, decline: str) -> Instrument:
    return Instrument("tok_declined", last4, decline=decline)


_OK = Instrument("tok_ok", "4242")
_3DS = Instrument("tok_3ds", "3155")
_NUMBERS = {
    "4242424242424242": _OK,
    "4000056655665556": Instrument("tok_ok", "5556", funding="debit"),
    "5555555555554444": Instrument("tok_ok", "4444", brand="mastercard"),
    "2223003122003222": Instrument("tok_ok", "3222", brand="mastercard"),
    "5200828282828210": Instrument("tok_ok", "8210", brand="mastercard", funding="debit"),
    "378282246310005": Instrument("tok_ok", "0005", brand="amex"),
    "6011111111111117": Instrument("tok_ok", "1117", brand="discover"),
    "3056930009020004": Instrument("tok_ok", "0004", brand="diners"),
    "3566002020360505": Instrument("tok_ok", "0505", brand="jcb"),
    "6200000000000005": Instrument("tok_ok", "0005", brand="unionpay"),
    "4000000000000002": Instrument("tok_declined", "0002"),
    "4000000000009995": Instrument("tok_insufficient", "9995"),
    "4000000000009987": Instrument("tok_lost", "9987"),
    "4000000000009979": _refused("9979", "stolen_card"),
    "4000000000000069": _refused("0069", "expired_card"),
    "4000000000000127": _refused("0127", "incorrect_cvc"),
    "4000000000000119": _refused("0119", "processing_error"),
    "4000000000006975": _refused("6975", "card_velocity_exceeded"),
    "4100000000000019": _refused("0019", "fraudulent"),
    "4000002500003155": _3DS,
    "4000002760003184": replace(_3DS, last4="3184"),
    "4000000000003220": replace(_3DS, last4="3220"),
    "4000000000007726": replace(_OK, last4="7726", refunds=_LATER),
    "4000000000005126": replace(_OK, last4="5126", refunds=_FAILS),
}
_NAMES = {
    "visa": "4242424242424242",
    "visa_debit": "4000056655665556",
    "mastercard": "5555555555554444",
    "mastercard_debit": "5200828282828210",
    "amex": "378282246310005",
    "discover": "6011111111111117",
    "diners": "3056930009020004",
    "jcb": "3566002020360505",
    "unionpay": "6200000000000005",
    "chargeDeclined": "4000000000000002",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeDeclinedLostCard": "4000000000009987",
    "chargeDeclinedStolenCard": "4000000000009979",
    "chargeDeclinedExpiredCard": "4000000000000069",
    "chargeDeclinedIncorrectCvc": "4000000000000127",
    "chargeDeclinedProcessingError": "4000000000000119",
    "chargeDeclinedVelocityLimitExceeded": "4000000000006975",
    "chargeDeclinedFraudulent": "4100000000000019",
    "authenticationRequired": "4000002760003184",
    "authenticationRequiredOnSetup": "4000002500003155",
    "threeDSecure2Required": "4000000000003220",
    "pendingRefund": "4000000000007726",
    "refundFail": "4000000000005126",
}

INSTRUMENTS: dict[str, Instrument] = {
    "tok_ok": _OK,
    "tok_declined": _NUMBERS["4000000000000002"],
    "tok_lost": _NUMBERS["4000000000009987"],
    "tok_insufficient": _NUMBERS["4000000000009995"],
    "tok_3ds": _3DS,
    "tok_slow": Instrument("tok_slow", "4242"),
    "tok_pending": Instrument("tok_pending", "4242"),
    **{f"pm_card_{name}": _NUMBERS[number] for name, number in _NAMES.items()},
    **{f"pm_card_visa_{name}": _NUMBERS[number] for name, number in _NAMES.items() if name.startswith("charge")},
}
"""What may stand in ``payment_method``."""
_TOKENS = {
    f"tok_{spelt}": _NUMBERS[number]
    for name, number in _NAMES.items()
    for spelt in ((name, f"visa_{name}") if name.startswith("charge") else (name,))
}

_UNPROVEN = (
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod "
    "to attempt to fulfill this PaymentIntent again."
)
_DECLINED = "Your card was declined."
_DECLINES: dict[str, tuple[str, str | None, str, str]] = {
    "generic_decline": ("card_declined", "generic_decline", _DECLINED, ""),
    "insufficient_funds": ("card_declined", "insufficient_funds", "Your card has insufficient funds.", ""),
    "card_velocity_exceeded": (
        "card_declined",
        "card_velocity_exceeded",
        "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
        "",
    ),
    "lost_card": ("card_declined", "lost_card", _DECLINED, "do_not_try_again"),
    "stolen_card": ("card_declined", "stolen_card", _DECLINED, "do_not_try_again"),
    "fraudulent": ("card_declined", "fraudulent", _DECLINED, "do_not_try_again"),
    "expired_card": ("expired_card", None, "Your card has expired.", ""),
    "incorrect_cvc": ("incorrect_cvc", None, "Your card's security code is incorrect.", "confirm_card_data"),
    "processing_error": (
        "processing_error",
        None,
        "An error occurred while processing your card. Try again in a little bit.",
        "try_again_later",
    ),
    "authentication_required": (
        "authentication_required",
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
        "",
    ),
    "authentication_failed": (
        "payment_intent_authentication_failure",
        None,
        _UNPROVEN,
        "",
    ),
}
"""Our code of a decline -> Stripe's ``code``, ``decline_code``, ``message`` and ``advice_code``."""


def instrument_of_card(card: Any, now: float) -> tuple[Instrument, int | None, int | None]:
    """From ``card[number]`` or ``card[token]``, with month and year of its expiry. Raises `Complaint`."""
    if not isinstance(card, dict):
        raise Complaint(400, "Invalid object", param="card")
    token = card.get("token")
    if isinstance(token, str):
        if token not in _TOKENS:
            raise Complaint(400, f"No such token: '{token[:60]}'", code="resource_missing", param="card[token]")
        return _TOKENS[token], None, None
    for name in ("number", "exp_month", "exp_year"):
        if not isinstance(card.get(name), str):
            param = f"card[{name}]"
            raise Complaint(400, f"Missing required param: {param}.", code="parameter_missing", param=param)
    number = card["number"].replace(" ", "").replace("-", "")
    if not number.isdecimal() or not _adds_up(number):
        raise _card_error("incorrect_number", "Your card number is incorrect.", param="number")
    if number not in _NUMBERS:
        message = "Your card was declined. Your request was in test mode, but used a non test (live) card."
        raise _card_error("card_declined", message, decline_code="test_mode_live_card")
    return _NUMBERS[number], *_expiry(card["exp_month"], card["exp_year"], now)


def declined(code: str) -> dict[str, Any]:
    """A ``card_error``, from our code of a decline."""
    stripe_code, decline_code, message, advice = _DECLINES[code]
    error = {
        "type": "card_error",
        "code": stripe_code,
        "message": message,
        "doc_url": f"https://docs.stripe.com/error-codes/{stripe_code.replace('_', '-')}",
    }
    if advice:
        error["advice_code"] = advice
    return error if decline_code is None else {**error, "decline_code": decline_code, "network_decline_code": "05"}


def _expiry(month: str, year: str, now: float) -> tuple[int, int]:
    """Raises `Complaint` for a month that is none, or is over."""
    today = datetime.fromtimestamp(now, UTC)
    if not month.isdecimal() or not 1 <= int(month) <= 12:
        raise _card_error("invalid_expiry_month", "Your card's expiration month is invalid.", param="exp_month")
    whole_year = int(year) + (2000 if len(year) == 2 else 0) if year.isdecimal() and len(year) < 5 else 0
    if (whole_year, int(month)) < (today.year, today.month) or whole_year > today.year + 50:
        raise _card_error("invalid_expiry_year", "Your card's expiration year is invalid.", param="exp_year")
    return int(month), whole_year


def _adds_up(number: str) -> bool:
    """The check digit of a card number (Luhn)."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(number)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _card_error(code: str, message: str, **fields: Any) -> Complaint:
    return Complaint(402, message, type="card_error", code=code, **fields)
