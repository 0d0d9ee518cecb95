"""Stripe's way of speaking: routes below ``/stripe/{account}``, keys, idempotency, errors, events."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope
from typing_extensions import override

from gateways.sandbox.server.delivery import sign
from gateways.sandbox.server.intake import ACCOUNT
from gateways.sandbox.server.payment import SLOW_TOKEN, Payment
from gateways.sandbox.server.personality import Counter, Personality, Said
from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_page as page
from gateways.sandbox.server.vendors import stripe_paper as paper
from gateways.sandbox.server.vendors.stripe_book import Book
from gateways.sandbox.server.vendors.stripe_checkout import RUN_OUT
from gateways.sandbox.server.vendors.stripe_endpoints import Endpoint, endpoints
from gateways.sandbox.server.vendors.stripe_intake import Complaint
from gateways.sandbox.server.vendors.stripe_objects import API_VERSION, new_id
from gateways.sandbox.server.vendors.stripe_payout import PAY_OUT

Json = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]

_BASE, _ROOT = "/stripe/{account}/v1", "/v1"
_ROOT_ACCOUNT = "stripe"
"""Who is meant below ``/v1`` while any key opens any account."""
_METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH"]
_REPLAYED = "idempotent-replayed"
_MAX_KEY = 255
_MAX_LAG_MS = 600_000
_AMOUNTS = frozenset(
    {"amount", "amount_capturable", "amount_received", "amount_captured", "amount_refunded", "amount_total"}
)


class StripeVoice(Personality):
    """One voice for all accounts that speak as Stripe."""

    vendor: ClassVar[str] = "stripe"

    def __init__(self, counter: Counter) -> None:
        super().__init__(counter)
        self._book = Book(counter)
        self._in_progress: set[tuple[str, str]] = set()

    @override
    def routes(self) -> list[BaseRoute]:
        """Below ``/stripe/{account}``; below ``/v1``, for SDKs that take no path, the key names the account."""
        routes: list[BaseRoute] = []
        for endpoint in endpoints(self._book):
            handler = self._asked(endpoint) if endpoint.method == "GET" else self._keyed(endpoint)
            for kind, base in ((Route, _BASE), (_SpokenBySdk, _ROOT)):
                routes.append(kind(base + endpoint.path, handler, methods=[endpoint.method]))
        return [
            *routes,
            Route("/stripe/{account}/authenticate/{id}", self._customer, methods=["GET", "POST"]),
            Route("/stripe/{account}/c/pay/{id}", self._checkout, methods=["GET", "POST"]),
            Route("/stripe/{account}/_search", self._set_lag, methods=["POST"]),
            Route("/stripe/{account}/{rest:path}", self._no_route, methods=_METHODS),
            _SpokenBySdk("/{rest:path}", self._no_route, methods=_METHODS),
        ]

    @override
    def announce(self, payment: Payment, operation: str, now: float) -> None:
        """Results of authorizations come through here, at once or later; the rest the `Book` tells itself."""
        if operation == "authorize":
            self._book.decided(payment, now)

    @override
    def sign(self, secret: str, raw: bytes, now: float) -> Mapping[str, str]:
        return {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": sign(secret, raw, now),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }

    @override
    def refused(self) -> Said:
        error = {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many requests."}
        return paper.said(429, {"error": error}, stripe_rate_limited_reason="global-rate")

    @override
    def broken(self) -> Said:
        return paper.said(500, {"error": paper.BROKEN})

    @override
    def inflate(self, body: Any) -> Any:
        if isinstance(body, list):
            return [self.inflate(one) for one in body]
        if not isinstance(body, dict):
            return body
        stated = {name for name in _AMOUNTS & set(body) if type(body[name]) is int and body[name]}
        return {name: value + 1 if name in stated else self.inflate(value) for name, value in body.items()}

    @override
    def run_job(self, account: str, name: str, payload: Json, now: float) -> None:
        if name == RUN_OUT:
            self._book.checkouts.run_out(account, payload["session"])
        elif name == PAY_OUT:
            self._book.payouts.pay_out(account, payload["payday"])
        else:
            self._book.refunds.end(account, payload["refund"], payload["status"], payload["key"])

    def _keyed(self, endpoint: Endpoint) -> Handler:
        """A POST: executed once for its key. A DELETE has no key."""

        async def handle(request: Request) -> Response:
            key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
            executed: list[Said] = []
            try:
                account = self._account(request)
                params = intake.parse(await paper.form(request))
                intake.check_known(params, endpoint.name)
                params |= paper.owner(request)
                if len(key) > _MAX_KEY:
                    raise Complaint(400, f"Idempotency keys can have up to {_MAX_KEY} characters.")
                fingerprint = paper.fingerprint(request.scope["path"], params)

                def execute() -> Said:
                    thing_id = request.path_params.get("id", "")
                    executed.append(self._execute((account, thing_id), (key, fingerprint), params, endpoint))
                    return executed[0]

                with self._alone(account, key):
                    response = await self.answer(account, _operation(endpoint, params), key or None, execute)
                    if response.status_code == 500 and executed and _REPLAYED not in executed[0].headers:
                        response.headers["request-id"] = executed[0].headers["request-id"]
                        self._keep_failure(account, key, fingerprint, response.headers["request-id"])
                    if params.get("payment_method") == SLOW_TOKEN:
                        await asyncio.sleep(self.counter.slow_seconds)
                    return paper.versioned(request, response)
            except Complaint as complaint:
                return paper.versioned(request, self._complain(complaint).response())

        return handle

    def _asked(self, endpoint: Endpoint) -> Handler:
        """A GET."""

        async def handle(request: Request) -> Response:
            try:
                account = self._account(request)
            except Complaint as complaint:
                return paper.versioned(request, self._complain(complaint).response())

            def execute() -> Said:
                try:
                    params = intake.parse(request.url.query)
                    intake.check_known(params, endpoint.name)
                    owned = {**params, **paper.owner(request)}
                    found = endpoint.act(account, request.path_params.get("id", ""), owned, "")
                    return paper.said(200, self._book.shelf.expand(account, found, intake.words(params, "expand")))
                except Complaint as complaint:
                    return self._complain(complaint)

            response = await self.answer(account, "lookup", None, execute)
            if response.status_code == 500:  # Who has only asked may ask again.
                del response.headers["stripe-should-retry"]
            return paper.versioned(request, response)

        return handle

    def _execute(self, about: tuple[str, str], idempotency: tuple[str, str], params: Json, endpoint: Endpoint) -> Said:
        """One transaction: replay, or execute and keep the answer. Raises `Complaint` for what is not kept."""
        (account, thing_id), (key, fingerprint) = about, idempotency
        request_id = new_id("req")
        named = {"request_id": request_id, **({"idempotency_key": key, "original_request": request_id} if key else {})}
        with self.counter.transaction():
            if not self.counter.claim(account):
                raise Complaint(404, "This account does not speak as Stripe.")
            stored = self.counter.answer(account, key) if key else None
            if stored is not None:
                return paper.replayed(stored, fingerprint, key)
            try:
                with self._book.events.caused_by(request_id, key):
                    changed = endpoint.act(account, thing_id, params, key)
                shown = self._book.shelf.expand(account, changed, intake.words(params, "expand"))
                said = paper.said(200, shown, **named)
            except Complaint as complaint:
                if not complaint.kept:
                    raise
                said = self._complain(complaint, **named)
            if key:
                self.counter.keep_answer(account, key, fingerprint, said)
        return said

    def _keep_failure(self, account: str, key: str, fingerprint: str, request_id: str) -> None:
        """A 500 that came after execution began is the answer to this key from now on."""
        if not key:
            return
        with self.counter.transaction() as connection:
            connection.execute(
                "DELETE FROM vendor_answers WHERE vendor=? AND account=? AND scope=?", (self.vendor, account, key)
            )
            broken = self.broken()
            named = {"request-id": request_id, "original-request": request_id, "idempotency-key": key}
            kept = replace(broken, headers={**broken.headers, **named})
            self.counter.keep_answer(account, key, fingerprint, kept)

    @contextmanager
    def _alone(self, account: str, key: str) -> Iterator[None]:
        """One request per key at a time."""
        if not key:
            yield
            return
        if (account, key) in self._in_progress:
            message = (
                "There is currently another in-progress request using this Idempotent Key (that probably means you "
                f"submitted twice, and the other request is still going through): {key}. Please try again later."
            )
            raise Complaint(409, message, type="idempotency_error", code="idempotency_key_in_use")
        self._in_progress.add((account, key))
        try:
            yield
        finally:
            self._in_progress.discard((account, key))

    def _account(self, request: Request) -> str:
        """The account that a request is for, once its key and its version are right. Raises `Complaint`.

        The key is a Bearer token or the user of Basic. No configured keys: any key opens any account.
        """
        account = request.path_params.get("account")
        if account is not None and ACCOUNT.fullmatch(account) is None:
            raise paper.unrecognized(request)
        given, keys = paper.secret_key(request.headers.get("authorization", "")), self.counter.keys
        if not given:
            raise Complaint(401, paper.NO_KEY)
        fitting = [name for name, key in keys.items() if paper.is_same(key, given)]
        if keys and (not fitting if account is None else account not in fitting):
            raise Complaint(401, f"Invalid API Key provided: {paper.masked(given)}")
        if not paper.is_version(request.headers.get("stripe-version", API_VERSION)):
            raise Complaint(400, f"Invalid Stripe API version: {request.headers['stripe-version'][:40]}")
        if account is not None:
            return str(account)
        speaking = [name for name in fitting if self._book.shelf.is_open(name)]
        return (speaking or fitting or [_ROOT_ACCOUNT])[0]

    def _complain(self, complaint: Complaint, **headers: str) -> Said:
        """An error; whoever is known is told where to read more of the request."""
        request_id = headers.get("request_id", new_id("req"))
        error = dict(complaint.error)
        if complaint.status not in {401, 404} or "code" in error:
            at = int(self.counter.clock())
            error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}?t={at}"
        challenge = {"www_authenticate": 'Bearer realm="Stripe"'} if complaint.status == 401 else {}
        return paper.said(complaint.status, {"error": error}, **{"request_id": request_id, **headers, **challenge})

    async def _customer(self, request: Request) -> Response:
        """Where a customer authenticates, once."""
        account, intent_id = request.path_params["account"], request.path_params["id"]
        shelf = self._book.shelf
        try:
            form = intake.parse((await paper.body(request)).decode("utf-8", "replace"))
            with self.counter.transaction():
                intent = shelf.take(account, intent_id, "payment_intent")
                if intent["status"] != "requires_action":
                    return page.tell(f"The payment is {intent['status']}", "You can go back to the shop.")
                if request.method == "GET":
                    return page.ask(intent)
                action = intake.choice(form, "action", ("approve", "decline"), "decline")
                refused = shelf.instrument_of(account, intent["payment_method"]).decline is not None
                approved = action == "approve" and not refused
                payment = self.counter.ledger.find(account, shelf.payment_of(account, intent_id))
                stamp = self.counter.stamp(account, payment.idempotency_key)
                self.counter.ledger.decide(payment, stamp, approve=approved)
                return page.back(intent, shelf.return_url(account, intent_id), approved=approved)
        except Complaint as complaint:
            return page.tell("Not possible", str(complaint), complaint.status)

    async def _checkout(self, request: Request) -> Response:
        """Where the customer of a Checkout Session pays, until a card is taken or the session is over."""
        account, session_id = request.path_params["account"], request.path_params["id"]
        checkouts = self._book.checkouts
        try:
            form = intake.parse((await paper.body(request)).decode("utf-8", "replace"))
            with self.counter.transaction():
                session = checkouts.visit(account, session_id)
                if session["status"] != "open":
                    return page.tell(f"This checkout is {session['status']}", "You can go back to the shop.")
                if request.method == "GET":
                    return page.checkout(session)
                action = intake.choice(form, "action", ("pay", "decline"), "decline") or "decline"
                try:
                    session = checkouts.choose(account, session_id, action)
                except Complaint as declined:  # It has left its traces: they are kept.
                    if not declined.kept:
                        raise
                    return page.checkout(session, declined.error["message"])
                return page.leave(session)
        except Complaint as complaint:
            return page.tell("Not possible", str(complaint), complaint.status)

    async def _set_lag(self, request: Request) -> Response:
        """``POST /stripe/{account}/_search`` with ``lag_ms``: how late the search of this account is."""
        try:
            form = intake.parse((await paper.body(request)).decode("utf-8", "replace"))
            given = str(form.get("lag_ms"))
            if not given.isdecimal() or int(given) > _MAX_LAG_MS:
                raise Complaint(400, f"lag_ms must be from 0 to {_MAX_LAG_MS}", param="lag_ms")
        except Complaint as complaint:
            return self._complain(complaint).response()
        with self.counter.transaction():
            self._book.shelf.set_lag(request.path_params["account"], int(given) / 1000)
        return Said.json(200, {"lag_ms": int(given)}).response()

    async def _no_route(self, request: Request) -> Response:
        return self._complain(paper.unrecognized(request)).response()


class _SpokenBySdk(Route):
    """A path of Stripe's own, taken only from who says which version of Stripe's API it speaks, as every SDK does."""

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_own = scope["type"] == "http" and scope["path"].startswith(("/v1/", "/v2/"))
        if is_own and any(name == b"stripe-version" for name, _ in scope["headers"]):
            return super().matches(scope)
        return Match.NONE, {}


def _operation(endpoint: Endpoint, params: Json) -> str:
    """Which operation of the sandbox's faults a request is."""
    if endpoint.name == "cancel" and params.get("cancellation_reason") == "abandoned":
        return "neutralize"
    return endpoint.fault
