"""NICE Payments (Start API v1) over the sandbox's ledger, after the vendor's manual nicepayments/nicepay-manual.

Below ``/nice/{account}``, with Basic keys or a Bearer token: ``/v1/access-token``, ``/v1/subscribe/regist``,
``/v1/subscribe/{bid}/payments``, ``/v1/subscribe/{bid}/expire``, ``/v1/payments/{tid}`` (approve, look up),
``/v1/payments/find/{orderId}``, ``/v1/payments/{tid}/cancel``, ``/v1/payments/netcancel``,
``/v1/check-amount/{tid}``, ``/v1/settlements``. Open, for customers: the window and the deposit page (`nice_window`).

There is no idempotency: an order id is paid once, an order id of a cancel is used once. Where the manual is silent
the sandbox does this: a net cancel also stops a payment that comes after it; a failed payment is found with its own
result code; an order id that has failed may be used again, with the same instrument; a cancel of the whole payment
has the payment's tid; a billing id whose card asks for its customer is refused (``U311``).
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from typing_extensions import override

from gateways.sandbox.server.ledger import Charge, Stamp, Subject
from gateways.sandbox.server.payment import SLOW_TOKEN, UNDECIDED, Payment, Status
from gateways.sandbox.server.personality import Counter, Personality, Said
from gateways.sandbox.server.vendors import nice_intake as intake
from gateways.sandbox.server.vendors.nice_book import Book
from gateways.sandbox.server.vendors.nice_paper import (
    KOREA,
    PAY_METHODS,
    Credential,
    NiceRefusal,
    a_new_order,
    inflated,
    paper,
    stamp_of,
    status_of,
)
from gateways.sandbox.server.vendors.nice_registry import Registry
from gateways.sandbox.server.vendors.nice_window import Window

_NET_CANCEL_SECONDS = 3600
_CARD_MINIMUM = 1_000
_INSTALMENTS_FROM = 50_000
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

Handler = Callable[[str, Request, Credential, dict[str, Any]], Said]


class NicePersonality(Personality):
    """NICE's endpoints. Every change is one transaction."""

    vendor: ClassVar[str] = "nice"

    def __init__(self, counter: Counter) -> None:
        super().__init__(counter)
        self._book = Book(counter)
        self._registry = Registry(counter, self._book)
        self._window = Window(counter, self._book)

    @override
    def routes(self) -> list[BaseRoute]:
        start = "/nice/{account}/v1"
        known: list[BaseRoute] = [
            Route(f"{start}/access-token", self._api("lookup", self._registry.token), methods=["POST"]),
            Route(f"{start}/subscribe/regist", self._api("lookup", self._registry.register), methods=["POST"]),
            Route(f"{start}/subscribe/{{bid}}/expire", self._api("lookup", self._registry.expire), methods=["POST"]),
            Route(f"{start}/subscribe/{{bid}}/payments", self._api("authorize", self._bill), methods=["POST"]),
            Route(f"{start}/payments/netcancel", self._api("neutralize", self._net_cancel), methods=["POST"]),
            Route(f"{start}/payments/find/{{order_id}}", self._api("lookup", self._find), methods=["GET"]),
            Route(f"{start}/payments/{{tid}}/cancel", self._api("refund", self._cancel), methods=["POST"]),
            Route(f"{start}/payments/{{tid}}", self._api("authorize", self._approve), methods=["POST"]),
            Route(f"{start}/payments/{{tid}}", self._api("lookup", self._show), methods=["GET"]),
            Route(f"{start}/check-amount/{{tid}}", self._api("lookup", self._registry.check_amount), methods=["POST"]),
            Route(f"{start}/settlements", self._api("lookup", self._registry.settlements), methods=["GET"]),
            *self._window.routes(),
        ]

        async def nowhere(request: Request) -> Response:
            """An address that NICE does not have, or not for this method."""
            if any(route.matches(request.scope)[0] is Match.PARTIAL for route in known):
                return NiceRefusal("U308", status=405).said.response()
            return NiceRefusal("U320", status=404).said.response()

        return [*known, Route("/nice/{account}/{rest:path}", nowhere, methods=_METHODS)]

    @override
    def announce(self, payment: Payment, operation: str, now: float) -> None:
        order, secret = self._book.order(payment.account, payment.merchant_ref), self._book.secret(payment.account)
        if order is None or secret is None:
            return
        status = status_of(order, payment)
        if operation == "authorize" and status in {"paid", "failed"}:
            order["paidAt" if status == "paid" else "failedAt"] = stamp_of(now)
            self._book.put(payment.account, order)
        waits = order["vbank"] is not None and not payment.captured
        told = {"authorize": "ready", "neutralize": "cancelled"}.get(operation) == status and waits
        if not told and operation != "refund" and (operation, status) != ("authorize", "paid"):
            return
        newest = order["cancels"][-1]["tid"] if order["cancels"] else None
        body = json.dumps(paper(order, payment, secret, now, cancelled_tid=newest), ensure_ascii=False)
        event_id = f"{order['tid']}:{status}:{len(order['cancels'])}"
        self.counter.post(payment.account, event_id, body, operation)

    @override
    def sign(self, secret: str, raw: bytes, now: float) -> Mapping[str, str]:
        """The signature is in the body."""
        return {"Content-Type": "application/json;charset=utf-8"}

    @override
    def is_acknowledged(self, status: int, body: bytes) -> bool:
        """Exactly ``OK``, or it comes again."""
        return status == 200 and body == b"OK"

    @override
    def takes_type(self, content_type: str) -> bool:
        """A page, or it comes again."""
        return content_type.partition(";")[0].strip().lower() == "text/html"

    @override
    def refused(self) -> Said:
        return NiceRefusal("A246").said

    @override
    def broken(self) -> Said:
        return NiceRefusal("9002", "java.lang.RuntimeException", status=500).said

    @override
    def inflate(self, body: Any) -> Any:
        return inflated(body)

    @override
    def run_job(self, account: str, name: str, payload: dict[str, Any], now: float) -> None:
        """The one job there is: a virtual account's time is over."""
        order = self._book.order(account, payload["orderId"])
        if order is None:
            return
        payment = self._book.payment(account, order)
        if payment.status in UNDECIDED:
            self._book.put(account, order | {"expired": True})
            self.counter.ledger.decide(payment, self.counter.stamp(account, order["orderId"]), approve=False)

    def _api(self, operation: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint: the keys, the JSON, then the handler in one transaction, with the armed faults around it."""

        async def endpoint(request: Request) -> Response:
            try:
                account = intake.account_of(request)
                credential = intake.authenticate(self.counter, request, account)
                fields = await intake.read_fields(request)
            except NiceRefusal as refusal:
                return refusal.said.response()

            def execute() -> Said:
                try:
                    with self.counter.transaction():
                        if request.method == "POST":
                            self._book.sign_in(account, credential)
                        return handler(account, request, credential, fields)
                except NiceRefusal as refusal:
                    return refusal.said

            stated = fields.get("orderId")
            response = await self.answer(account, operation, stated if isinstance(stated, str) else None, execute)
            charset = fields.get("returnCharSet", request.query_params.get("returnCharSet"))
            response = intake.encoded(response, charset)
            if request.path_params.get("bid") == SLOW_TOKEN:
                await asyncio.sleep(self.counter.slow_seconds)
            return response

        return endpoint

    def _bill(self, account: str, request: Request, credential: Credential, fields: dict[str, Any]) -> Said:
        bid = request.path_params["bid"]
        order_id, amount = intake.text(fields, "orderId", 64), intake.amount(fields)
        intake.text(fields, "goodsName", 40)
        quota, shop_pays = fields.get("cardQuota"), fields.get("useShopInterest")
        if quota is None or shop_pays is None:
            raise NiceRefusal("U100", "cardQuota" if quota is None else "useShopInterest")
        if not str(quota).isdecimal():
            raise NiceRefusal("P010", "cardQuota", quota)
        if shop_pays is not False:
            raise NiceRefusal("P012", "useShopInterest", shop_pays, "false")
        intake.check_seal(fields, order_id, bid, secret=credential.secret)
        instrument = self._registry.instrument(account, bid)
        order = self._again(account, order_id, amount, instrument)
        if order is None:
            intake.tax_free(fields, amount, "P036")
            tid = self._book.new_tid(account, "card", self.counter.clock())
            order = a_new_order(fields, tid, "card", self.counter.clock())
            self._charge(account, order, amount, instrument)
            self._refuse_whom_nobody_asks(account, order)
        return self._said(account, order, credential)

    def _refuse_whom_nobody_asks(self, account: str, order: dict[str, Any]) -> None:
        """A billing id has no page: a card that wants its customer to authenticate cannot be charged with it."""
        payment = self._book.payment(account, order)
        if payment.status is Status.REQUIRES_ACTION:
            self.counter.ledger.decide(payment, self._stamp(account, order["orderId"]), approve=False)

    def _approve(self, account: str, request: Request, credential: Credential, fields: dict[str, Any]) -> Said:
        tid = request.path_params["tid"]
        session = self.counter.read(account, "session", tid)
        amount = intake.amount(fields)
        intake.check_seal(fields, tid, amount, secret=credential.secret)
        if session is None:
            raise NiceRefusal("U120")
        if self._book.by_tid(account, tid) is not None:
            raise NiceRefusal("U114")
        if amount != session["amount"]:
            raise NiceRefusal("A123")
        if self._again(account, session["orderId"], amount, None) is not None:
            raise AssertionError("an order id is used again only with a billing id")
        now = self.counter.clock()
        order = a_new_order(session, tid, PAY_METHODS[session["method"]], now)
        if session["method"] == "vbank":
            order["vbank"] = self._window.virtual_account(account, session, now)
        self._charge(account, order, amount, session["instrument"])
        return self._said(account, order, credential)

    def _again(self, account: str, order_id: str, amount: int, instrument: str | None) -> dict[str, Any] | None:
        """The payment of an order id that failed and is tried once more, or None for a new one."""
        if self._book.is_blocked(account, order_id):
            raise NiceRefusal("U504")
        order = self._book.order(account, order_id)
        if order is None:
            if self.counter.ledger.find_by_merchant_ref(account, order_id) is not None:
                raise NiceRefusal("U112")
            return None
        payment = self._book.payment(account, order)
        same = order["instrument"] == instrument and payment.amount == amount
        if status_of(order, payment) != "failed" or not same:
            raise NiceRefusal("U112")
        stamp = self._stamp(account, order_id)
        self.counter.ledger.note(Subject.of(payment), "authorize", amount, stamp, status="declined")
        return order

    def _charge(self, account: str, order: dict[str, Any], amount: int, instrument: str) -> None:
        if order["payMethod"] == "card" and amount < _CARD_MINIMUM:
            raise NiceRefusal("3041")
        if order["cardQuota"] > 1 and amount < _INSTALMENTS_FROM:
            raise NiceRefusal("P037")
        self._book.put(account, order | {"instrument": instrument})
        charge = Charge(order["orderId"], amount, "KRW", order["payMethod"], instrument, capture_now=True)
        self.counter.ledger.authorize(charge, self._stamp(account, order["orderId"]))

    def _cancel(self, account: str, request: Request, credential: Credential, fields: dict[str, Any]) -> Said:
        tid = request.path_params["tid"]
        reason, order_id = intake.text(fields, "reason", 100), intake.text(fields, "orderId", 64)
        intake.check_seal(fields, tid, secret=credential.secret)
        order = self._book.by_tid(account, tid)
        if order is None:
            raise NiceRefusal("2012")
        payment = self._book.payment(account, order)
        if self._book.is_cancel_order(account, order_id):
            raise NiceRefusal("U112")
        stamp = self._stamp(account, order_id)
        if payment.status in UNDECIDED and order["vbank"] is not None:
            return self._said(
                account, self._close(account, order, payment, stamp, reason), credential, cancelled_tid=tid
            )
        stated = intake.whole(fields, "cancelAmt")
        amount = payment.kept if stated is None else stated
        if code := _not_cancellable(payment, amount):
            self.counter.ledger.note(Subject.of(payment), "refund", max(amount, 0), stamp, status="refused")
            return NiceRefusal(code).said
        if order["vbank"] is not None:
            for name, most in (("refundAccount", 16), ("refundBankCode", 3), ("refundHolder", 10 * 3)):
                intake.text(fields, name, most)
        free = _tax_free_left(order)
        if amount < payment.kept:
            free = intake.tax_free(fields, min(amount, free), "U319")
        whole = amount == payment.amount
        cancel_tid = tid if whole else self._book.new_tid(account, order["payMethod"], stamp.now)
        self._book.put(account, _cancelled(order, cancel_tid, amount, reason, stamp, free))
        self._book.take_cancel_order(account, order_id, tid)
        self.counter.ledger.refund(payment, amount, payment.currency, stamp)
        return self._said(account, order, credential, cancelled_tid=cancel_tid)

    def _net_cancel(self, account: str, _request: Request, credential: Credential, fields: dict[str, Any]) -> Said:
        order_id = intake.text(fields, "orderId", 64)
        intake.check_seal(fields, order_id, secret=credential.secret)
        order, stamp = self._book.order(account, order_id), self._stamp(account, order_id)
        if order is None:
            self._book.block(account, order_id)
            self.counter.ledger.note(Subject(order_id), "neutralize", 0, stamp, status="succeeded")
            return NiceRefusal("2012").said
        payment = self._book.payment(account, order)
        if stamp.now - order["orderedAt"] > _NET_CANCEL_SECONDS:
            raise NiceRefusal("2020")
        if payment.status in {Status.CANCELLED, Status.REFUNDED}:
            raise NiceRefusal("2013")
        if payment.status is Status.DECLINED:
            raise NiceRefusal("2012")
        if payment.refunded:
            raise NiceRefusal("2014")
        self._book.block(account, order_id)
        order = self._close(account, order, payment, stamp, "망취소")
        self.counter.ledger.note(Subject.of(payment), "neutralize", 0, stamp, status="succeeded")
        return self._said(account, order, credential, cancelled_tid=order["tid"])

    def _close(
        self, account: str, order: dict[str, Any], payment: Payment, stamp: Stamp, reason: str
    ) -> dict[str, Any]:
        """Undo everything, also what only waits."""
        if payment.kept:
            order = _cancelled(order, order["tid"], payment.kept, reason, stamp, _tax_free_left(order))
        order = order | {"cancelledAt": stamp_of(stamp.now)}
        self._book.put(account, order)
        self.counter.ledger.cancel(payment, stamp)
        return order

    def _find(self, account: str, request: Request, credential: Credential, _fields: dict[str, Any]) -> Said:
        day = request.query_params.get("orderDate", "")
        if not day:
            raise NiceRefusal("U100", "orderDate")
        if not (len(day) == 8 and day.isdecimal()):
            raise NiceRefusal("U130")
        order = self._book.order(account, request.path_params["order_id"])
        if order is None or f"{datetime.fromtimestamp(order['orderedAt'], KOREA):%Y%m%d}" != day:
            raise NiceRefusal("A118")
        return self._said(account, order, credential)

    def _show(self, account: str, request: Request, credential: Credential, _fields: dict[str, Any]) -> Said:
        tid = request.path_params["tid"]
        intake.check_seal(dict(request.query_params), tid, secret=credential.secret)
        order = self._book.by_tid(account, tid)
        if order is None:
            raise NiceRefusal("A118")
        return self._said(account, order, credential)

    def _said(
        self, account: str, order: dict[str, Any], credential: Credential, *, cancelled_tid: str | None = None
    ) -> Said:
        """The payment as it stands now."""
        order = self._book.order(account, order["orderId"]) or order
        payment = self._book.payment(account, order)
        now = self.counter.clock()
        return Said.json(200, paper(order, payment, credential.secret, now, cancelled_tid=cancelled_tid))

    def _stamp(self, account: str, key: str) -> Stamp:
        return self.counter.stamp(account, f"{key}-{secrets.token_hex(4)}")


def _not_cancellable(payment: Payment, amount: int) -> str | None:
    """Why nothing of this amount can be given back; None: it can."""
    if payment.status in {Status.CANCELLED, Status.REFUNDED}:
        return "2013"
    if payment.kept == 0:
        return "2014"
    if amount <= 0:
        return "2010"
    return "2032" if amount > payment.kept else None


def _tax_free_left(order: dict[str, Any]) -> int:
    left: int = order.get("taxFree", 0) - sum(cancel.get("taxFree", 0) for cancel in order["cancels"])
    return left


def _cancelled(
    order: dict[str, Any], tid: str, amount: int, reason: str, stamp: Stamp, tax_free: int
) -> dict[str, Any]:
    moment = stamp_of(stamp.now)
    cancel = {"tid": tid, "amount": amount, "cancelledAt": moment, "reason": reason, "entry": stamp.operation_id}
    return {**order, "cancelledAt": moment, "cancels": [*order["cancels"], cancel | {"taxFree": tax_free}]}
