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
    """``token``: how the ledger decides; ``decline``: in which of Stripe's words. ``refunds``: how they end.

    ``off_session``: the token when the customer is not there; ``settled``: its money is available at once.
    """

    token: str
    last4: str
    refunds: str = "succeeded"
    decline: str | None = None
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    risk: str = "normal"
    off_session: str | None = None
    settled: bool = False


def _refused(last4: str, decline: str) -> Instrument:
    return Instrument("tok_declined", last4, decline=decline)


_OK = Instrument("tok_ok", "4242")
_3DS = Instrument("tok_3ds", "3155")
_COUNTRIES = {
    "ar": "4000000320000021", "at": "4000000400000008", "au": "4000000360000006", "be": "4000000560000004",
    "br": "4000000760000002", "ca": "4000001240000000", "ch": "4000007560000009", "cn": "4000001560000002",
    "de": "4000002760000016", "dk": "4000002080000001", "es": "4000007240000007", "fi": "4000002460000001",
    "fr": "4000002500000003", "gb": "4000008260000000", "hk": "4000003440000004", "ie": "4000003720000005",
    "in": "4000003560000008", "it": "4000003800000008", "jp": "4000003920000003", "mx": "4000004840008001",
    "my": "4000004580000002", "nl": "4000005280000002", "no": "4000005780000007", "nz": "4000005540000008",
    "pl": "4000006160000005", "pt": "4000006200000007", "se": "4000007520000008", "sg": "4000007020000003",
    "tw": "4000001580000008",
}  # fmt: skip
_NUMBERS = {
    "4242424242424242": _OK,
    "4000056655665556": Instrument("tok_ok", "5556", funding="debit"),
    "5555555555554444": Instrument("tok_ok", "4444", brand="mastercard"),
    "2223003122003222": Instrument("tok_ok", "3222", brand="mastercard"),
    "5200828282828210": Instrument("tok_ok", "8210", brand="mastercard", funding="debit"),
    "5105105105105100": Instrument("tok_ok", "5100", brand="mastercard", funding="prepaid"),
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
    "4000000000000341": Instrument("tok_declined", "0341"),
    "4000000000000101": _refused("0101", "incorrect_cvc"),
    "4100000000000019": replace(_refused("0019", "fraudulent"), risk="highest"),
    "4000000000004954": replace(_OK, last4="4954", risk="highest"),
    "4000000000009235": replace(_OK, last4="9235", risk="elevated"),
    "4000002500003155": _3DS,
    "4000002760003184": replace(_3DS, last4="3184"),
    "4000000000003220": replace(_3DS, last4="3220"),
    "4000000000003063": replace(_3DS, last4="3063"),
    "4000003800000446": replace(_3DS, last4="0446", off_session="tok_ok"),
    "4000008260003178": replace(_3DS, last4="3178", decline="insufficient_funds"),
    "4000008400001629": replace(_3DS, last4="1629", decline="generic_decline"),
    "4000000000003055": replace(_OK, last4="3055"),
    "4000000000000077": replace(_OK, last4="0077", settled=True),
    "4000000000000259": replace(_OK, last4="0259"),
    "4000000000002685": replace(_OK, last4="2685"),
    "4000000000001976": replace(_OK, last4="1976"),
    "4000000000007726": replace(_OK, last4="7726", refunds=_LATER),
    "4000000000005126": replace(_OK, last4="5126", refunds=_FAILS),
    **{number: replace(_OK, last4=number[-4:], country=name.upper()) for name, number in _COUNTRIES.items()},
}
_NAMES = {
    "visa": "4242424242424242",
    "visa_debit": "4000056655665556",
    "mastercard": "5555555555554444",
    "mastercard_debit": "5200828282828210",
    "mastercard_prepaid": "5105105105105100",
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
    "chargeCustomerFail": "4000000000000341",
    "cvcCheckFail": "4000000000000101",
    "radarBlock": "4100000000000019",
    "riskLevelHighest": "4000000000004954",
    "riskLevelElevated": "4000000000009235",
    "authenticationRequired": "4000002760003184",
    "authenticationRequiredOnSetup": "4000002500003155",
    "authenticationRequiredSetupForOffSession": "4000003800000446",
    "authenticationRequiredChargeDeclinedInsufficientFunds": "4000008260003178",
    "threeDSecure2Required": "4000000000003220",
    "threeDSecureRequired": "4000000000003063",
    "threeDSecureRequiredChargeDeclined": "4000008400001629",
    "threeDSecureOptional": "4000000000003055",
    "bypassPending": "4000000000000077",
    "createDispute": "4000000000000259",
    "createDisputeProductNotReceived": "4000000000002685",
    "createDisputeInquiry": "4000000000001976",
    "pendingRefund": "4000000000007726",
    "refundFail": "4000000000005126",
    "us": "4242424242424242",
    **_COUNTRIES,
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
