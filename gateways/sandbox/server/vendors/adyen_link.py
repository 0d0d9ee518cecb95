"""Payment links of the Adyen personality: a page where whoever has its address can pay, until it is over."""

import secrets
from typing import Any

from starlette.responses import Response

from gateways.sandbox.server.payment import Status
from gateways.sandbox.server.personality import Said
from gateways.sandbox.server.vendors.adyen_instrument import Instrument
from gateways.sandbox.server.vendors.adyen_intake import (
    Order,
    read_amount,
    read_expiry,
    read_reference,
    require_merchant,
)
from gateways.sandbox.server.vendors.adyen_paper import Papers
from gateways.sandbox.server.vendors.adyen_payment import (
    Payments,
    Purchase,
    amount_text,
    delay_hours,
    page,
    send_back,
)
from gateways.sandbox.server.vendors.adyen_word import Amount, invalid_field, moment, speak

_LASTS_SECONDS = 86_400
_LONGEST_SECONDS = 70 * 86_400
_CHOICES = {"pay": Instrument("tok_ok", "visa", "1111"), "decline": Instrument("tok_declined", "visa", "1111", "2")}


class Links:
    """A document for each link: ``shown`` as answers show it, ``expires`` in Unix seconds, when it is captured."""

    def __init__(self, papers: Papers, payments: Payments) -> None:
        self._counter = papers.counter
        self._payments = payments

    def create(self, order: Order) -> Said:
        """``POST /paymentLinks``. Raises `AdyenError`."""
        require_merchant(order)
        read_amount(order.fields)
        read_reference(order.fields, required=True)
        now, link = self._counter.clock(), f"PL{secrets.token_hex(8).upper()}"
        expires = read_expiry(order.fields, now, _LASTS_SECONDS)
        if not now < expires <= now + _LONGEST_SECONDS:
            raise invalid_field("expiresAt")
        if not isinstance(order.fields.get("returnUrl", ""), str):
            raise invalid_field("returnUrl")
        shown = {
            **order.fields,
            "expiresAt": moment(expires),
            "id": link,
            "reusable": order.fields.get("reusable") is True,
            "status": "active",
            "url": f"{self._counter.public_url}/adyen/{order.account}/checkoutshopper/link/{link}",
        }
        delay = None if order.fields.get("manualCapture") is True else delay_hours(order.fields)
        self._counter.write(order.account, "link", link, {"shown": shown, "expires": expires, "delay_hours": delay})
        return speak(201, shown)

    def ask(self, account: str, link: str) -> Said:
        """``GET /paymentLinks/{id}``. Raises `AdyenError`."""
        document = self._find(account, link)
        if document is None:
            raise invalid_field("linkId")
        return speak(200, document["shown"])

    def expire(self, order: Order) -> Said:
        """``PATCH /paymentLinks/{id}`` with status expired. Raises `AdyenError`."""
        document = self._find(order.account, order.original)
        if document is None:
            raise invalid_field("linkId")
        if order.fields.get("status") != "expired" or document["shown"]["status"] == "completed":
            raise invalid_field("status")
        return speak(200, self._turn(order.account, document, "expired"))

    def show(self, account: str, link: str) -> Response:
        """The page."""
        document = self._find(account, link)
        if document is None:
            return page("Unknown link", "There is nothing to pay here.", status=404)
        shown = document["shown"]
        if shown["status"] != "active":
            return page(f"The link is {shown['status']}", "You can go back to the shop.")
        return page("Pay?", amount_text(Amount(**shown["amount"])), buttons=tuple(_CHOICES))

    def choose(self, account: str, link: str, action: str) -> Response:
        """Whoever opened it pays or is declined; a link is good for one payment unless it is reusable."""
        if action not in _CHOICES:
            return page("Nothing chosen", "action must be one of the buttons.", status=422)
        with self._counter.transaction():
            document = self._find(account, link)
            if document is None or document["shown"]["status"] != "active":
                return self.show(account, link)
            self._counter.claim(account)
            _, payment = self._payments.open(account, _purchase(document), _CHOICES[action], "")
            paid = payment.status is not Status.DECLINED
            if paid and not document["shown"]["reusable"]:
                self._turn(account, document, "completed")
        if not paid:
            return page("The payment was refused", "You can try again.", buttons=tuple(_CHOICES))
        return_url = document["shown"].get("returnUrl")
        return send_back(return_url) if return_url else page("Paid", "You can go back to the shop.")

    def _find(self, account: str, link: str) -> dict[str, Any] | None:
        """The document, expired if its time is over."""
        document = self._counter.read(account, "link", link)
        over = document is not None and self._counter.clock() > document["expires"]
        if document is None or not over or document["shown"]["status"] != "active":
            return document
        return {**document, "shown": {**document["shown"], "status": "expired"}}

    def _turn(self, account: str, document: dict[str, Any], status: str) -> dict[str, Any]:
        shown = {**document["shown"], "status": status, "updatedAt": moment(self._counter.clock())}
        self._counter.write(account, "link", shown["id"], {**document, "shown": shown})
        return shown


def _purchase(document: dict[str, Any]) -> Purchase:
    shown = document["shown"]
    return Purchase(
        merchant=shown["merchantAccount"],
        reference=shown["reference"],
        amount=Amount(**shown["amount"]),
        return_url=shown.get("returnUrl", ""),
        delay_hours=document["delay_hours"],
    )
