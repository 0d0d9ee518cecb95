"""What shoppers have stored at the Adyen personality, and what a card number tells of its card.

Every shopper has the sandbox's ``tok_ok`` from the beginning; cards that are stored later are found by their tokens.
"""

from typing import Any

from gateways.sandbox.server.personality import Counter, Said
from gateways.sandbox.server.vendors.adyen_instrument import Instrument, brand_of, read_card
from gateways.sandbox.server.vendors.adyen_intake import Order, require_merchant
from gateways.sandbox.server.vendors.adyen_word import AdyenError, invalid_merchant, missing_field, not_found, speak

_MODELS = ["CardOnFile", "Subscription", "UnscheduledCardOnFile"]
_HOLDER = "John Smith"
_AT_FIRST = Instrument("tok_ok", "visa", "1111")
_EXPIRY = {"expiryMonth": "03", "expiryYear": "30"}


class Wallet:
    """Stored cards by shopper: a document for each shopper, token -> card, None where it has been deleted."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def cards(self, account: str, shopper: str) -> list[dict[str, Any]]:
        """What the shopper may pay with."""
        document = self._counter.read(account, "wallet", shopper) or {}
        kept = {_AT_FIRST.token: _card(_AT_FIRST, _HOLDER), **document}
        return [card for card in kept.values() if card is not None]

    def keep(self, account: str, shopper: str, instrument: Instrument, holder: str = _HOLDER) -> dict[str, Any]:
        """Store a card, inside a transaction; the card as it is listed."""
        card = _card(instrument, holder)
        document = self._counter.read(account, "wallet", shopper) or {}
        self._counter.write(account, "wallet", shopper, {**document, instrument.token: card})
        return card

    def store(self, order: Order) -> Said:
        """``POST /storedPaymentMethods``. Raises `AdyenError`."""
        require_merchant(order)
        shopper = _shopper(order.fields.get("shopperReference"))
        if order.fields.get("recurringProcessingModel") not in _MODELS:
            raise missing_field("recurringProcessingModel")
        method = order.fields.get("paymentMethod")
        if not isinstance(method, dict):
            raise AdyenError(422, "14_006", "Required object 'paymentMethod' is not provided.")
        card = self.keep(order.account, shopper, read_card(method), str(method.get("holderName") or _HOLDER))
        return speak(201, {**card, "shopperReference": shopper})

    def show(self, account: str, merchant: str | None, shopper: str | None) -> Said:
        """``GET /storedPaymentMethods?merchantAccount=&shopperReference=``. Raises `AdyenError`."""
        if not merchant:
            raise invalid_merchant()
        whose = _shopper(shopper)
        cards = [{**card, "shopperReference": whose} for card in self.cards(account, whose)]
        return speak(200, {"merchantAccount": merchant, "shopperReference": whose, "storedPaymentMethods": cards})

    def forget(self, account: str, token: str, merchant: str | None, shopper: str | None) -> Said:
        """``DELETE /storedPaymentMethods/{token}``. Raises `AdyenError`."""
        if not merchant:
            raise invalid_merchant()
        whose = _shopper(shopper)
        if all(card["id"] != token for card in self.cards(account, whose)):
            raise not_found()
        document = self._counter.read(account, "wallet", whose) or {}
        self._counter.write(account, "wallet", whose, {**document, token: None})
        return Said(204, b"", speak(204, {}).headers)


def card_details(order: Order) -> Said:
    """``POST /cardDetails``: the brand of a card number, or of the beginning of one. Raises `AdyenError`."""
    require_merchant(order)
    number = order.fields.get("cardNumber") or order.fields.get("encryptedCardNumber")
    if not isinstance(number, str) or not number:
        raise missing_field("cardNumber")
    brand = brand_of(number)
    if brand is None:
        return speak(200, {})
    supported = order.fields.get("supportedBrands")
    answer = {"type": brand, "supported": not isinstance(supported, list) or brand in supported}
    return speak(200, {"brands": [answer], "fundingSource": "CREDIT", "isCardCommercial": False})


def _card(instrument: Instrument, holder: str) -> dict[str, Any]:
    shown = {"brand": instrument.brand, "holderName": holder, "id": instrument.token, "lastFour": instrument.last_four}
    named = {"name": instrument.brand.upper(), "type": "scheme"}
    return {**shown, **_EXPIRY, **named, "supportedRecurringProcessingModels": _MODELS}


def _shopper(given: object) -> str:
    if not isinstance(given, str) or not given:
        raise AdyenError(422, "121", "Required field 'shopperReference' is not provided.")
    return given
