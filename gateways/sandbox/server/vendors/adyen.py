"""Adyen's way of speaking: Checkout API v71 and v72 below ``/adyen/{account}``, over the sandbox's one ledger.

Beside Adyen's own paths: ``POST /adyen/{account}/_fail/{pspReference}`` makes a succeeded capture or refund fail.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Match, Route
from typing_extensions import override

from gateways.sandbox.server.payment import SLOW_TOKEN, Payment
from gateways.sandbox.server.personality import Counter, Personality, Said
from gateways.sandbox.server.vendors.adyen_fields import refuse_unknown, refuse_unlisted
from gateways.sandbox.server.vendors.adyen_intake import (
    LONGEST_KEY,
    Order,
    authenticate,
    read_order,
    refuse_stranger,
    require_merchant,
)
from gateways.sandbox.server.vendors.adyen_link import Links
from gateways.sandbox.server.vendors.adyen_modification import Modifications
from gateways.sandbox.server.vendors.adyen_order import Orders, balance
from gateways.sandbox.server.vendors.adyen_paper import Papers
from gateways.sandbox.server.vendors.adyen_payment import Payments, page
from gateways.sandbox.server.vendors.adyen_report import day_of, write_report
from gateways.sandbox.server.vendors.adyen_session import Sessions
from gateways.sandbox.server.vendors.adyen_wallet import Wallet, card_details
from gateways.sandbox.server.vendors.adyen_word import AdyenError, in_progress, new_psp, not_found, speak

Endpoint = Callable[[Request], Awaitable[Response]]
Execute = Callable[[Order], Said]
Look = Callable[[str, Request], Said]
Show = Callable[[str, str], Response]
Choose = Callable[[str, str, str], Response]

_VERSIONS = ("v72", "v71")
_MAX_FORM_BYTES = 2_000
_EVERY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE")
_METHODS = {
    "paymentMethods": [
        {"brands": ["visa", "mc", "amex", "discover", "diners", "jcb"], "name": "Cards", "type": "scheme"}
    ]
}


class AdyenPersonality(Personality):
    """Refusals are HTTP 200, modifications are received first, and a key's answer is final unless it was transient."""

    vendor: ClassVar[str] = "adyen"

    def __init__(self, counter: Counter) -> None:
        super().__init__(counter)
        self._papers = Papers(counter)
        self._wallet = Wallet(counter)
        self._orders = Orders(self._papers)
        self._payments = Payments(self._papers, self._wallet, self._orders)
        self._modifications = Modifications(self._papers)
        self._sessions = Sessions(self._papers, self._payments)
        self._links = Links(self._papers, self._payments)
        self._in_progress: set[tuple[str, str]] = set()
        self._known: list[BaseRoute] = []

    @override
    def routes(self) -> list[BaseRoute]:
        root = "/adyen/{account}"
        shopper = root + "/checkoutshopper"
        sessions, payments, links = self._sessions, self._payments, self._links
        for version in _VERSIONS:
            self._known += self._checkout(f"{root}/{version}")
        return [
            *self._known,
            Route(shopper + "/threeDS/redirect/{id}", _shown(payments.show), methods=["GET"]),
            Route(shopper + "/threeDS/redirect/{id}", _chosen(payments.decide), methods=["POST"]),
            Route(shopper + "/hosted/{id}", _shown(sessions.show), methods=["GET"]),
            Route(shopper + "/link/{id}", _shown(links.show), methods=["GET"]),
            Route(shopper + "/link/{id}", _chosen(links.choose), methods=["POST"]),
            Route(shopper + "/hosted/{id}", _chosen(sessions.choose), methods=["POST"]),
            Route(root + "/reports/download/MerchantAccount/{merchant}/{name}", self._download, methods=["GET"]),
            Route(root + "/_fail/{id}", self._fail, methods=["POST"]),
            Route(root + "/v{version:int}/{rest:path}", self._elsewhere, methods=_EVERY_METHOD),
        ]

    def _checkout(self, base: str) -> list[BaseRoute]:
        original = base + "/payments/{original}"
        done = self._modifications
        posts: list[tuple[str, str, Execute, str]] = [
            (base + "/payments", "authorize", self._payments.pay, "PaymentRequest"),
            (base + "/payments/details", "authorize", self._payments.details, "PaymentDetailsRequest"),
            (original + "/captures", "capture", done.capture, "PaymentCaptureRequest"),
            (original + "/cancels", "void", done.cancel, "PaymentCancelRequest"),
            (original + "/refunds", "refund", done.refund, "PaymentRefundRequest"),
            (original + "/reversals", "void", done.reverse, "PaymentReversalRequest"),
            (original + "/amountUpdates", "lookup", done.adjust, "PaymentAmountUpdateRequest"),
            (base + "/cancels", "neutralize", done.cancel_by_reference, "StandalonePaymentCancelRequest"),
            (base + "/sessions", "authorize", self._sessions.create, "CreateCheckoutSessionRequest"),
            (base + "/paymentMethods", "lookup", self._payment_methods, "PaymentMethodsRequest"),
            (base + "/paymentMethods/balance", "lookup", balance, "BalanceCheckRequest"),
            (base + "/orders", "lookup", self._orders.create, "CreateOrderRequest"),
            (base + "/orders/cancel", "void", self._orders.cancel, "CancelOrderRequest"),
            (base + "/paymentLinks", "lookup", self._links.create, "PaymentLinkRequest"),
            (base + "/cardDetails", "lookup", card_details, "CardDetailsRequest"),
            (base + "/storedPaymentMethods", "lookup", self._wallet.store, "StoredPaymentMethodRequest"),
        ]
        routes: list[BaseRoute] = [
            Route(path, self._posted(operation, run, structure), methods=["POST"])
            for path, operation, run, structure in posts
        ]
        link, stored = base + "/paymentLinks/{original}", base + "/storedPaymentMethods"
        return [
            *routes,
            Route(base + "/sessions/{id}", self._asked(self._session), methods=["GET"]),
            Route(link, self._asked(self._link), methods=["GET"]),
            Route(link, self._posted("lookup", self._links.expire, "UpdatePaymentLinkRequest"), methods=["PATCH"]),
            Route(stored, self._asked(self._stored), methods=["GET"]),
            Route(stored + "/{id}", self._asked(self._forget), methods=["DELETE"]),
        ]

    @override
    def announce(self, payment: Payment, operation: str, now: float) -> None:
        """A payment that waited has its result; modifications post their own webhooks."""
        if operation != "authorize":
            return
        paper = self._papers.of_ledger(payment.account, payment.reference)
        if paper is not None:
            self._payments.tell(paper, payment)

    @override
    def sign(self, secret: str, raw: bytes, now: float) -> Mapping[str, str]:
        return {"Content-Type": "application/json"}  # Adyen signs each item inside the body.

    @override
    def refused(self) -> Said:
        return AdyenError(429, "029", "Too many requests", "internal", transient=True).said()

    @override
    def broken(self) -> Said:
        body = {"status": 500, "errorCode": "000", "message": "Internal error", "errorType": "internal"}
        return speak(500, {**body, "pspReference": new_psp()})

    @override
    def inflate(self, body: Any) -> Any:
        if not isinstance(body, dict) or not isinstance(body.get("amount"), dict):
            return body
        return {**body, "amount": {**body["amount"], "value": body["amount"]["value"] + 1}}

    @override
    def run_job(self, account: str, name: str, payload: dict[str, Any], now: float) -> None:
        if name == "report":
            self._papers.announce_report(account, payload["merchant"], payload["day"])
        else:
            self._payments.capture_delayed(account, payload["psp"])

    def _posted(self, operation: str, execute: Execute, structure: str) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            try:
                account = authenticate(request, self.counter.keys)
                order = await read_order(request, account)
                refuse_unknown(structure, order.fields)
                with self._alone(order):
                    key = order.key or None
                    response = await self.answer(account, operation, key, lambda: self._perform(order, execute))
                    if _is_slow(order):
                        await asyncio.sleep(self.counter.slow_seconds)
            except AdyenError as error:
                response = error.said().response()
            return _sent(request, response)

        return endpoint

    def _perform(self, order: Order, execute: Execute) -> Said:
        """Execute or replay in one transaction. A refused request is rolled back, and its answer kept all the same."""
        counter = self.counter
        try:
            with counter.transaction():
                stored = counter.answer(order.account, order.key) if order.key else None
                if stored is not None:
                    return stored[1]
                if order.test_error == "NO_CONNECTION_AVAILABLE":
                    raise AdyenError(500, "905", "No connection available", "internal", transient=True)
                if not counter.claim(order.account):
                    raise AdyenError(403, "010", "Not allowed", "security")
                refuse_stranger(order, counter.merchants)
                refuse_unlisted(order.fields)
                said = execute(order)
                return self._keep(order, self.broken() if order.test_error == "IOEXCEPTION_RECEIVED" else said)
        except AdyenError as error:
            if not error.is_final:
                return error.said()
            with counter.transaction():
                return self._keep(order, error.said())

    def _keep(self, order: Order, said: Said) -> Said:
        """The key alone finds an answer again: its body is not compared, its scope is the company account."""
        if order.key:
            self.counter.keep_answer(order.account, order.key, "", said)
        return said

    @contextmanager
    def _alone(self, order: Order) -> Iterator[None]:
        """One request per key at a time; the others get 704."""
        mine = (order.account, order.key)
        if order.key and mine in self._in_progress:
            raise in_progress()
        self._in_progress.add(mine)
        try:
            yield
        finally:
            self._in_progress.discard(mine)

    def _asked(self, look: Look) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            try:
                account = authenticate(request, self.counter.keys)
                response = await self.answer(account, "lookup", None, lambda: look(account, request))
            except AdyenError as error:
                response = error.said().response()
            return _sent(request, response)

        return endpoint

    def _session(self, account: str, request: Request) -> Said:
        return self._sessions.ask(account, request.path_params["id"], request.query_params.get("sessionResult"))

    def _link(self, account: str, request: Request) -> Said:
        return self._links.ask(account, request.path_params["original"])

    def _stored(self, account: str, request: Request) -> Said:
        return self._wallet.show(account, *_whose(request))

    def _forget(self, account: str, request: Request) -> Said:
        with self.counter.transaction():
            return self._wallet.forget(account, request.path_params["id"], *_whose(request))

    def _payment_methods(self, order: Order) -> Said:
        require_merchant(order)
        shopper = order.fields.get("shopperReference")
        if not isinstance(shopper, str):
            return speak(200, _METHODS)
        usable = {"supportedShopperInteractions": ["Ecommerce", "ContAuth"]}
        stored = [{**card, **usable} for card in self._wallet.cards(order.account, shopper)]
        return speak(200, {**_METHODS, "storedPaymentMethods": stored})

    async def _elsewhere(self, request: Request) -> Response:
        """No address of this API, or none for this method."""
        try:
            authenticate(request, self.counter.keys)
        except AdyenError as error:
            return _sent(request, error.said().response())
        known = any(route.matches(request.scope)[0] is not Match.NONE for route in self._known)
        wrong = (
            AdyenError(405, "000", "HTTP Status Response - Method Not Allowed", "security") if known else not_found()
        )
        return _sent(request, wrong.said().response())

    async def _download(self, request: Request) -> Response:
        try:
            account = authenticate(request, self.counter.keys)
        except AdyenError as error:
            return error.said().response()
        day = day_of(request.path_params["name"])
        if day is None:
            return not_found().said().response()
        lines = write_report(self.counter.storage, account, request.path_params["merchant"], day)
        return StreamingResponse(lines, media_type="text/csv")

    async def _fail(self, request: Request) -> Response:
        try:
            with self.counter.transaction():
                return self._modifications.fail(request.path_params["account"], request.path_params["id"]).response()
        except AdyenError as error:
            return error.said().response()


def _sent(request: Request, response: Response) -> Response:
    """With the header that says that the key was taken note of."""
    key = request.headers.get("idempotency-key", "")
    if request.method == "POST" and 0 < len(key) <= LONGEST_KEY:
        response.headers["idempotency-key"] = key
    return response


def _whose(request: Request) -> tuple[str | None, str | None]:
    return request.query_params.get("merchantAccount"), request.query_params.get("shopperReference")


def _is_slow(order: Order) -> bool:
    method = order.fields.get("paymentMethod")
    return isinstance(method, dict) and method.get("storedPaymentMethodId") == SLOW_TOKEN


def _shown(show: Show) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return show(request.path_params["account"], request.path_params["id"])

    return endpoint


def _chosen(choose: Choose) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        raw = b""
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > _MAX_FORM_BYTES:
                return page("Too much", "That was not this form.", status=413)
        action = parse_qs(raw.decode("latin-1")).get("action", [""])[0]
        return choose(request.path_params["account"], request.path_params["id"], action)

    return endpoint
