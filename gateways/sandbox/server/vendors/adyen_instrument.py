"""What a customer pays with at the Adyen personality: a stored token of the sandbox, or Adyen's own test cards."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateways.sandbox.server.payment import TOKEN_STATUS
from gateways.sandbox.server.vendors.adyen_word import HOLDER_NAMES, REASONS, AdyenError

_TEST = "test_"
_BRANDS = {
    "4111111111111111": "visa",
    "4111111145551142": "visa",
    "4988438843884305": "visa",
    "4166676667666746": "visa",
    "4646464646464644": "visa",
    "5555444433331111": "mc",
    "2222400070000005": "mc",
    "5555341244441115": "mc",
    "370000000000002": "amex",
    "6011601160116611": "discover",
    "36006666333344": "diners",
    "3569990010095841": "jcb",
}
_ENROLLED = {"4917610000000000": "visa", "4212345678901237": "visa", "5454545454545454": "mc", "5212345678901234": "mc"}
"""Cards for which the issuer wants 3D Secure."""
_EXPIRY = ("03", "2030")
_CVC = {"737", "7373"}
_OF_TOKEN = {"tok_declined": "2", "tok_lost": "5", "tok_insufficient": "12"}
_TO_TOKEN = {"5": "tok_lost", "12": "tok_insufficient"}


@dataclass(frozen=True, slots=True)
class Instrument:
    """``token`` decides in the ledger how it goes; ``refusal`` is the refusalReasonCode if that is a no."""

    token: str
    brand: str
    last_four: str
    refusal: str = ""


def read_instrument(fields: Mapping[str, Any]) -> Instrument:
    """``paymentMethod`` of a request, with what additionalData wants to see; the amount has been read before.

    Raises 422, and 500 905_1 for a method that the merchant account does not have.
    """
    method = fields.get("paymentMethod")
    if not isinstance(method, dict):
        raise AdyenError(422, "14_006", "Required object 'paymentMethod' is not provided.")
    wanted = _wanted_refusal(fields, method)
    stored = method.get("storedPaymentMethodId") or method.get("recurringDetailReference")
    if method.get("type", "scheme") != "scheme":
        raise unconfigured(str(method["type"]), fields["amount"]["currency"])
    found = _stored(str(stored)) if stored is not None else read_card(method)
    return (
        found
        if wanted is None
        else Instrument(_TO_TOKEN.get(wanted, "tok_declined"), found.brand, found.last_four, wanted)
    )


def unconfigured(variant: str, currency: str) -> AdyenError:
    """A payment method that the merchant account does not have."""
    words = f"Could not find an acquirer account for the provided txvariant ({variant}), currency ({currency}), "
    return AdyenError(500, "905_1", words + "and action (AUTH).", "configuration")


def _stored(token: str) -> Instrument:
    if not token.startswith("tok_"):
        raise AdyenError(422, "803", "PaymentDetail not found")
    refusal = "" if token in TOKEN_STATUS else _OF_TOKEN.get(token, "8")
    return Instrument(token, "visa", "1111", refusal)


def brand_of(number: str) -> str | None:
    """The brand of a test card, of which ``number`` may be the beginning; None for any other."""
    plain = number.removeprefix(_TEST)
    return next((brand for card, brand in {**_BRANDS, **_ENROLLED}.items() if card.startswith(plain)), None)


def read_card(method: Mapping[str, Any]) -> Instrument:
    """A card that is not stored. Raises 422."""
    number = _plain(method, "number", "encryptedCardNumber")
    if number is None:
        raise AdyenError(422, "14_004", "Missing payment method details")
    if number.startswith("tok_"):
        return _stored(number)
    brand = _BRANDS.get(number) or _ENROLLED.get(number)
    if brand is None:
        raise AdyenError(422, "101", "Invalid card number")
    month = _plain(method, "expiryMonth", "encryptedExpiryMonth")
    year = _plain(method, "expiryYear", "encryptedExpiryYear")
    if month is None or year is None:
        raise AdyenError(422, "129", "Expiry Date Invalid")
    if (month.zfill(2), year) != _EXPIRY:
        return Instrument("tok_declined", brand, number[-4:], "6")
    cvc = _plain(method, "cvc", "encryptedSecurityCode")
    if cvc is not None and cvc not in _CVC:
        return Instrument("tok_declined", brand, number[-4:], "24")
    return Instrument("tok_3ds" if number in _ENROLLED else "tok_ok", brand, number[-4:])


def _wanted_refusal(fields: Mapping[str, Any], method: Mapping[str, Any]) -> str | None:
    """The refusalReasonCode that a test asks for by the holder's name or by additionalData."""
    additional = fields.get("additionalData")
    asked = additional.get("RequestedTestAcquirerResponseCode") if isinstance(additional, dict) else None
    code = HOLDER_NAMES.get(str(method.get("holderName", ""))) if asked is None else str(asked)
    return code if code in REASONS else None


def _plain(method: Mapping[str, Any], name: str, encrypted: str) -> str | None:
    """A field as it is, or as Adyen's test encryption has it: with ``test_`` before it."""
    given = method.get(encrypted, method.get(name))
    return None if given is None else str(given).removeprefix(_TEST)
