"""Payments at the Adyen personality: ``/payments``, ``/payments/details`` and the page that 3D Secure redirects to."""

import secrets
from dataclasses import asdict, dataclass, replace
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateways.sandbox.server.ledger import Charge, Stamp
from gateways.sandbox.server.payment import UNDECIDED, Payment, Status
from gateways.sandbox.server.personality import Said
from gateways.sandbox.server.vendors.adyen_instrument import Instrument, read_instrument
from gateways.sandbox.server.vendors.adyen_intake import (
    Order,
    read_amount,
    read_reference,
    read_return_url,
    require_merchant,
)
from gateways.sandbox.server.vendors.adyen_order import Orders
from gateways.sandbox.server.vendors.adyen_paper import Paper, Papers, refusal_of
from gateways.sandbox.server.vendors.adyen_wallet import Wallet
from gateways.sandbox.server.vendors.adyen_word import REASONS, AdyenError, Amount, new_psp, result_of, speak

_HOUR_SECONDS = 3600.0
_LONGEST_DELAY_HOURS = 24 * 365


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is to be paid. ``delay_hours`` None: captured on request only; 0: at once. ``order``: its pspReference."""

    merchant: str
    reference: str
    amount: Amount
    return_url: str
    delay_hours: int | None
    order: str = ""


class Payments:
    """Opens payments and gives them their result."""

    def __init__(self, papers: Papers, wallet: Wallet, orders: Orders) -> None:
        self._papers = papers
        self._wallet = wallet
        self._orders = orders
        self._counter = papers.counter

    def pay(self, order: Order) -> Said:
        """``POST /payments``. Raises `AdyenError`."""
        purchase = read_purchase(order)
        purchase = replace(purchase, order=self._orders.claim(order, purchase.amount))
        instrument = read_instrument(order.fields)
        paper, payment = self.open(order.account, purchase, instrument, order.key)
        self._remember(order, paper, instrument)
        return speak(200, self._body(order.account, paper, payment))

    def _remember(self, order: Order, paper: Paper, instrument: Instrument) -> None:
        """Whose card is to be stored once the payment is authorised."""
        shopper = order.fields.get("shopperReference")
        new = "storedPaymentMethodId" not in order.fields["paymentMethod"]
        if new and order.fields.get("storePaymentMethod") is True and isinstance(shopper, str) and shopper:
            kept = {"shopper": shopper, "instrument": asdict(instrument)}
            self._counter.write(order.account, "to_store", paper.psp, kept)

    def _stored(self, account: str, psp: str) -> dict[str, str]:
        """What additionalData says of an authorised payment whose card has been stored with it."""
        asked = self._counter.read(account, "to_store", psp)
        if asked is None:
            return {}
        card = self._wallet.keep(account, asked["shopper"], Instrument(**asked["instrument"]))
        return {
            "tokenization.shopperReference": asked["shopper"],
            "tokenization.storedPaymentMethodId": card["id"],
            "tokenization.store.operationType": "created",
        }

    def open(self, account: str, purchase: Purchase, instrument: Instrument, key: str) -> tuple[Paper, Payment]:
        """A new payment in the ledger, its paper, and its webhook if it is decided already."""
        psp = new_psp()
        charge = Charge(
            merchant_ref=purchase.reference,
            amount=purchase.amount.value,
            currency=purchase.amount.currency,
            method="card",
            token=instrument.token,
            capture_now=purchase.delay_hours == 0,
            reference_reusable=True,
        )
        payment = self._counter.ledger.authorize(charge, Stamp(account, psp, key or psp, self._counter.clock()))
        paper = Paper(
            psp=psp,
            ledger=payment.reference,
            merchant=purchase.merchant,
            reference=purchase.reference,
            currency=purchase.amount.currency,
            value=purchase.amount.value,
            brand=instrument.brand,
            last_four=instrument.last_four,
            refusal=instrument.refusal,
            return_url=purchase.return_url,
        )
        self._papers.keep(account, paper)
        if purchase.order:
            self._orders.join(account, purchase.order, psp)
        if purchase.delay_hours:
            self._counter.later(account, "capture", {"psp": psp}, seconds=purchase.delay_hours * _HOUR_SECONDS)
        self.tell(paper, payment)
        return paper, payment

    def tell(self, paper: Paper, payment: Payment) -> None:
        """Post AUTHORISATION for a payment that has its result."""
        if payment.status in UNDECIDED:
            return
        reason = REASONS[refusal_of(paper, payment)] if payment.status is Status.DECLINED else ""
        self._papers.authorised(payment.account, paper, reason=reason)
        if payment.captured:
            self._papers.settled(payment.account, paper.merchant)
        self._orders.heard(payment.account, paper.psp)

    def details(self, order: Order) -> Said:
        """``POST /payments/details`` with what the shopper brought back. Raises `AdyenError`."""
        given = order.fields.get("details")
        if not isinstance(given, dict):
            raise AdyenError(422, "14_005", "Missing details")
        result = self._counter.read(order.account, "result", str(given.get("redirectResult", "")))
        paper = None if result is None else self._papers.find(order.account, result["psp"])
        if result is None or paper is None:
            raise AdyenError(422, "14_018", "Invalid payload provided")
        payment = self._counter.ledger.find(order.account, paper.ledger)
        if payment.status is Status.REQUIRES_ACTION:
            stamp = Stamp(order.account, paper.psp, payment.idempotency_key, self._counter.clock())
            payment = self._counter.ledger.decide(payment, stamp, approve=result["approve"])
        return speak(200, self._body(order.account, paper, payment))

    def capture_delayed(self, account: str, psp: str) -> None:
        """The capture that captureDelayHours put off: what is still held."""
        paper = self._papers.find(account, psp)
        if paper is None:
            return
        payment = self._counter.ledger.find(account, paper.ledger)
        if payment.held:
            stamp = Stamp(account, new_psp(), payment.idempotency_key, self._counter.clock())
            self._counter.ledger.capture(payment, payment.held, payment.currency, stamp)
            self._papers.settled(account, paper.merchant)

    def _body(self, account: str, paper: Paper, payment: Payment) -> dict[str, Any]:
        body: dict[str, Any] = {
            "additionalData": {"cardSummary": paper.last_four, "paymentMethod": paper.brand},
            "pspReference": paper.psp,
            "merchantReference": paper.reference,
        }
        if order := self._orders.belongs_to(account, paper.psp):
            body["order"] = self._orders.shown(account, order)
        match payment.status:
            case Status.REQUIRES_ACTION:
                return body | {"resultCode": "RedirectShopper", "action": self._redirect(account, paper)}
            case Status.PROCESSING:
                return body | {"resultCode": "Pending", "amount": paper.amount.as_json()}
            case Status.DECLINED:
                code = refusal_of(paper, payment)
                return body | {
                    "resultCode": result_of(code),
                    "refusalReason": REASONS[code],
                    "refusalReasonCode": code,
                }
            case Status.CANCELLED:
                return body | {"resultCode": "Cancelled", "refusalReason": REASONS["15"], "refusalReasonCode": "15"}
            case _:
                method = {"brand": paper.brand, "type": "scheme"}
                body["additionalData"] |= self._stored(account, paper.psp)
                return body | {"resultCode": "Authorised", "amount": paper.amount.as_json(), "paymentMethod": method}

    def _redirect(self, account: str, paper: Paper) -> dict[str, str]:
        token = secrets.token_urlsafe(24)
        self._counter.write(account, "redirect", token, {"psp": paper.psp})
        url = f"{self._counter.public_url}/adyen/{account}/checkoutshopper/threeDS/redirect/{token}"
        return {"paymentMethodType": "scheme", "url": url, "method": "GET", "type": "redirect"}

    def show(self, account: str, token: str) -> Response:
        """The page of the shopper's bank."""
        paper = self._redirected(account, token)
        if paper is None:
            return page("Unknown payment", "There is nothing to authenticate here.", status=404)
        return page("Authenticate this payment?", amount_text(paper.amount), buttons=("approve", "decline"))

    def decide(self, account: str, token: str, action: str) -> Response:
        """Send the shopper back with a redirectResult; the payment goes on when the merchant hands it in."""
        if action not in {"approve", "decline"}:
            return page("Nothing chosen", "action must be approve or decline.", status=422)
        with self._counter.transaction():
            paper = self._redirected(account, token)
            if paper is None:
                return page("Unknown payment", "There is nothing to authenticate here.", status=404)
            document = self._counter.read(account, "redirect", token) or {}
            result = document.get("result")
            if result is None:
                result = secrets.token_urlsafe(48)
                self._counter.write(account, "result", result, {"psp": paper.psp, "approve": action == "approve"})
                self._counter.write(account, "redirect", token, {**document, "result": result})
        return send_back(paper.return_url, redirectResult=result)

    def _redirected(self, account: str, token: str) -> Paper | None:
        document = self._counter.read(account, "redirect", token)
        return None if document is None else self._papers.find(account, document["psp"])


def read_purchase(order: Order) -> Purchase:
    """What ``/payments`` and ``/sessions`` have in common. Raises `AdyenError`."""
    require_merchant(order)
    return Purchase(
        merchant=order.merchant,
        reference=read_reference(order.fields, required=True),
        amount=read_amount(order.fields),
        return_url=read_return_url(order.fields),
        delay_hours=delay_hours(order.fields),
    )


def delay_hours(fields: dict[str, Any]) -> int | None:
    """When it is captured; this merchant account captures at once unless the request says otherwise."""
    additional = fields.get("additionalData")
    if isinstance(additional, dict) and str(additional.get("manualCapture", "")).lower() == "true":
        return None
    hours = fields.get("captureDelayHours", 0)
    if type(hours) is not int or not 0 <= hours <= _LONGEST_DELAY_HOURS:
        raise AdyenError(422, "702", "captureDelayHours is not a number of hours")
    return hours


def amount_text(amount: Amount) -> str:
    """For a page of the sandbox."""
    return f"{amount.value} {amount.currency} (minor units)"


def page(title: str, text: str, *, buttons: tuple[str, ...] = (), status: int = 200) -> Response:
    """A plain page; ``buttons`` are the values of ``action`` that the shopper may choose from."""
    shown = " ".join(
        f'<button name="action" value="{escape(one)}">{escape(one.capitalize())}</button>' for one in buttons
    )
    form = f'<form method="post">{shown}</form>' if buttons else ""
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<h1>{escape(title)}</h1><p>{escape(text)}</p>{form}</html>",
        status,
    )


def send_back(return_url: str, **results: str) -> Response:
    """To the merchant's return URL, with what Adyen appends to its query; an app's own scheme is only shown."""
    parts = urlsplit(return_url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *results.items()])
    address = urlunsplit(parts._replace(query=query))
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return page("Go back to the shop", address)
    return RedirectResponse(address, 303)
