"""Sessions of the Adyen personality: created by the merchant, paid by the shopper on a hosted page, then asked for."""

import base64
import json
import secrets
from typing import Any

from starlette.responses import Response

from gateways.sandbox.server.payment import Payment, Status
from gateways.sandbox.server.personality import Said
from gateways.sandbox.server.vendors.adyen_instrument import Instrument
from gateways.sandbox.server.vendors.adyen_intake import Order, read_expiry
from gateways.sandbox.server.vendors.adyen_paper import Paper, Papers
from gateways.sandbox.server.vendors.adyen_payment import (
    Payments,
    Purchase,
    amount_text,
    page,
    read_purchase,
    send_back,
)
from gateways.sandbox.server.vendors.adyen_word import (
    Amount,
    invalid_field,
    missing_field,
    moment,
    result_of,
    speak,
)

_LASTS_SECONDS = 3600
_CHOICES = {"pay": Instrument("tok_ok", "visa", "1111"), "decline": Instrument("tok_declined", "visa", "1111", "2")}


class Sessions:
    """``/sessions``: create and ask; ``hosted`` sessions have a page."""

    def __init__(self, papers: Papers, payments: Payments) -> None:
        self._counter = papers.counter
        self._payments = payments

    def create(self, order: Order) -> Said:
        """``POST /sessions``. Raises `AdyenError`."""
        purchase = read_purchase(order)
        session_id = f"CS{secrets.token_hex(8).upper()}"
        expires = read_expiry(order.fields, self._counter.clock(), _LASTS_SECONDS)
        mode = order.fields.get("mode", "embedded")
        if mode not in ("embedded", "hosted"):
            raise invalid_field("mode")
        document = {
            "merchant": purchase.merchant,
            "reference": purchase.reference,
            "amount": purchase.amount.as_json(),
            "return_url": purchase.return_url,
            "delay_hours": purchase.delay_hours,
            "expires": expires,
            "status": "active",
        }
        self._counter.write(order.account, "session", session_id, document)
        token = base64.b64encode(json.dumps({"session": session_id}).encode()).decode()
        body: dict[str, Any] = {
            **order.fields,
            "amount": purchase.amount.as_json(),
            "expiresAt": moment(expires),
            "id": session_id,
            "merchantAccount": purchase.merchant,
            "mode": mode,
            "reference": purchase.reference,
            "returnUrl": purchase.return_url,
            "sessionData": token,
        }
        if mode == "hosted":
            body["url"] = f"{self._counter.public_url}/adyen/{order.account}/checkoutshopper/hosted/{session_id}"
        return speak(201, body)

    def ask(self, account: str, session_id: str, session_result: str | None) -> Said:
        """``GET /sessions/{id}?sessionResult=``. Raises `AdyenError`."""
        document = self._counter.read(account, "session", session_id)
        if not session_result:
            raise missing_field("sessionResult")
        if document is None or (document["status"] != "active" and session_result != document.get("result")):
            raise invalid_field("sessionId")
        status = document["status"]
        if status == "active" and self._counter.clock() > document["expires"]:
            status = "expired"
        body: dict[str, Any] = {"id": session_id, "reference": document["reference"], "status": status}
        return speak(200, body | ({"payments": [document["payment"]]} if status == "completed" else {}))

    def show(self, account: str, session_id: str) -> Response:
        """The hosted page."""
        document = self._counter.read(account, "session", session_id)
        if document is None:
            return page("Unknown session", "There is nothing to pay here.", status=404)
        if document["status"] != "active":
            return page(f"The session is {document['status']}", "You can go back to the shop.")
        return page("Pay?", amount_text(Amount(**document["amount"])), buttons=(*_CHOICES, "cancel"))

    def choose(self, account: str, session_id: str, action: str) -> Response:
        """The shopper pays, is declined, or leaves; then goes back with sessionId and sessionResult."""
        if action not in {*_CHOICES, "cancel"}:
            return page("Nothing chosen", "action must be one of the buttons.", status=422)
        with self._counter.transaction():
            document = self._counter.read(account, "session", session_id)
            if document is None:
                return page("Unknown session", "There is nothing to pay here.", status=404)
            if document["status"] == "active" and self._counter.clock() <= document["expires"]:
                self._counter.claim(account)
                document = {**document, **self._outcome(account, document, action), "result": secrets.token_urlsafe(32)}
                self._counter.write(account, "session", session_id, document)
        if "result" not in document:
            return page("The session is expired", "You can go back to the shop.", status=410)
        return send_back(document["return_url"], sessionId=session_id, sessionResult=document["result"])

    def _outcome(self, account: str, document: dict[str, Any], action: str) -> dict[str, Any]:
        if action == "cancel":
            return {"status": "canceled"}
        purchase = Purchase(
            merchant=document["merchant"],
            reference=document["reference"],
            amount=Amount(**document["amount"]),
            return_url=document["return_url"],
            delay_hours=document["delay_hours"],
        )
        paper, payment = self._payments.open(account, purchase, _CHOICES[action], "")
        if payment.status is Status.DECLINED:
            return {"status": "refused"}
        return {"status": "completed", "payment": _shown(paper, payment)}


def _shown(paper: Paper, payment: Payment) -> dict[str, Any]:
    return {
        "amount": paper.amount.as_json(),
        "paymentMethod": {"brand": paper.brand, "type": "scheme"},
        "pspReference": paper.psp,
        "resultCode": "Authorised" if payment.authorized else result_of("2"),
    }
