"""Orders of the Adyen personality: an amount that several payments pay together."""

import secrets
from typing import Any

from gateways.sandbox.server.ledger import Stamp
from gateways.sandbox.server.payment import UNDECIDED, Payment, Status
from gateways.sandbox.server.personality import Said
from gateways.sandbox.server.vendors.adyen_instrument import unconfigured
from gateways.sandbox.server.vendors.adyen_intake import (
    Order,
    read_amount,
    read_expiry,
    read_reference,
    require_merchant,
)
from gateways.sandbox.server.vendors.adyen_paper import Event, Paper, Papers
from gateways.sandbox.server.vendors.adyen_word import AdyenError, Amount, moment, new_psp, speak

_LASTS_SECONDS = 86_400
_WITHOUT_MONEY = frozenset({Status.DECLINED, Status.CANCELLED, Status.VOIDED})


class Orders:
    """A document for each order, by its pspReference; what remains is counted from its payments as they stand."""

    def __init__(self, papers: Papers) -> None:
        self._papers = papers
        self._counter = papers.counter

    def create(self, order: Order) -> Said:
        """``POST /orders``. Raises `AdyenError`."""
        require_merchant(order)
        amount, psp = read_amount(order.fields), new_psp()
        document = {
            "merchant": order.merchant,
            "reference": read_reference(order.fields, required=True),
            "amount": amount.as_json(),
            "data": secrets.token_urlsafe(96),
            "expires": read_expiry(order.fields, self._counter.clock(), _LASTS_SECONDS),
            "payments": [],
            "opened": False,
            "closed": False,
        }
        self._counter.write(order.account, "order", psp, document)
        return speak(200, {**self.shown(order.account, psp), "resultCode": "Success"})

    def cancel(self, order: Order) -> Said:
        """``POST /orders/cancel``: what its payments hold or took goes back. Raises `AdyenError`."""
        require_merchant(order)
        psp, document = self._open(order)
        own = new_psp()
        stamp = Stamp(order.account, own, order.key or own, self._counter.clock())
        for _, payment in self._payments(order.account, document):
            self._counter.ledger.cancel(payment, stamp)
        self._close(order.account, psp, document, success=False)
        return speak(200, {"pspReference": own, "resultCode": "Received"})

    def claim(self, order: Order, amount: Amount) -> str:
        """The pspReference of the order that a payment of ``amount`` belongs to, empty if none. Raises `AdyenError`."""
        if order.fields.get("order") is None:
            return ""
        psp, document = self._open(order)
        if amount.currency != document["amount"]["currency"] or amount.value > self._remaining(order.account, document):
            raise AdyenError(422, "166", "Amount not allowed for this operation")
        return psp

    def join(self, account: str, psp: str, payment_psp: str) -> None:
        """A payment belongs to the order from now on."""
        document = self._counter.read(account, "order", psp) or {}
        self._counter.write(account, "order", psp, {**document, "payments": [*document["payments"], payment_psp]})
        self._counter.write(account, "order_of", payment_psp, {"order": psp})

    def belongs_to(self, account: str, payment_psp: str) -> str:
        """The pspReference of a payment's order; empty if it has none."""
        return str((self._counter.read(account, "order_of", payment_psp) or {}).get("order", ""))

    def heard(self, account: str, payment_psp: str) -> None:
        """A payment has its result: post ORDER_OPENED after the first, ORDER_CLOSED once nothing remains."""
        psp = self.belongs_to(account, payment_psp)
        document = self._counter.read(account, "order", psp) if psp else None
        if document is None or document["closed"]:
            return
        live = self._payments(account, document)
        if live and not document["opened"]:
            document = {**document, "opened": True}
            self._counter.write(account, "order", psp, document)
            self._post(account, "ORDER_OPENED", psp, document, success=True)
        undecided = any(payment.status in UNDECIDED for _, payment in live)
        if not undecided and self._remaining(account, document) == 0:
            self._close(account, psp, document, success=True)

    def shown(self, account: str, psp: str) -> dict[str, Any]:
        """An order as answers show it."""
        document = self._counter.read(account, "order", psp) or {}
        amount = document["amount"]
        return {
            "amount": amount,
            "expiresAt": moment(document["expires"]),
            "orderData": document["data"],
            "pspReference": psp,
            "reference": document["reference"],
            "remainingAmount": {**amount, "value": self._remaining(account, document)},
        }

    def _open(self, order: Order) -> tuple[str, dict[str, Any]]:
        """The order that ``order`` of a request means, if it can still be paid or cancelled."""
        given = order.fields.get("order")
        psp = str(given.get("pspReference", "")) if isinstance(given, dict) else ""
        document = self._counter.read(order.account, "order", psp)
        if (
            document is None
            or not isinstance(given, dict)
            or given.get("orderData") != document["data"]
            or document["merchant"] != order.merchant
            or document["closed"]
            or self._counter.clock() > document["expires"]
        ):
            raise AdyenError(422, "14_037", "Provided orderData is invalid")
        return psp, document

    def _payments(self, account: str, document: dict[str, Any]) -> list[tuple[Paper, Payment]]:
        """Those that hold or took money, or still may."""
        papers = [paper for psp in document["payments"] if (paper := self._papers.find(account, psp)) is not None]
        every = [(paper, self._counter.ledger.find(account, paper.ledger)) for paper in papers]
        return [(paper, payment) for paper, payment in every if payment.status not in _WITHOUT_MONEY]

    def _remaining(self, account: str, document: dict[str, Any]) -> int:
        paid = sum(paper.value for paper, _ in self._payments(account, document))
        return int(document["amount"]["value"]) - paid

    def _close(self, account: str, psp: str, document: dict[str, Any], *, success: bool) -> None:
        self._counter.write(account, "order", psp, {**document, "closed": True})
        self._post(account, "ORDER_CLOSED", psp, document, success=success)

    def _post(self, account: str, code: str, psp: str, document: dict[str, Any], *, success: bool) -> None:
        amount = Amount(**document["amount"])
        event = Event(code, psp, document["merchant"], document["reference"], amount, success=success)
        self._papers.post(account, event, "order")


def balance(order: Order) -> Said:
    """``POST /paymentMethods/balance``: this merchant account has no gift cards. Raises `AdyenError`."""
    require_merchant(order)
    amount, method = read_amount(order.fields), order.fields.get("paymentMethod")
    if not isinstance(method, dict):
        raise AdyenError(422, "14_006", "Required object 'paymentMethod' is not provided.")
    raise unconfigured(str(method.get("type", "scheme")), amount.currency)
