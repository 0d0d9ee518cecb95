"""Stripe's way of speaking: routes below ``/stripe/{account}``, keys, idempotency, errors, events."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from typing_extensions import override

from gateways.sandbox.server.delivery import sign
from gateways.sandbox.server.intake import ACCOUNT
from gateways.sandbox.server.payment import SLOW_TOKEN, Payment
from gateways.sandbox.server.personality import Counter, Personality, Said
from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_page as page
from gateways.sandbox.server.vendors.stripe_book import Book
from gateways.sandbox.server.vendors.stripe_intake import Complaint
from gateways.sandbox.server.vendors.stripe_objects import API_VERSION, new_id

Json = dict[str, Any]
Endpoint = Callable[[Request], Awaitable[Response]]
Change = Callable[[str, str, Json, str], Json]
"""account, id of the path or "", parameters, idempotency key -> the object."""
Reading = Callable[[str, str, Json], Json]

_BASE = "/stripe/{account}/v1"
_MAX_BODY_BYTES = 65_536
_MAX_KEY = 255
_MAX_LAG_MS = 600_000
_AMOUNTS = frozenset({"amount", "amount_capturable", "amount_received", "amount_captured", "amount_refunded"})
_BROKEN: Json = {"type": "api_error", "message": "An unknown error occurred. Please contact support@stripe.com."}


class StripeVoice(Personality):
    """One voice for all accounts that speak as Stripe."""

    vendor: ClassVar[str] = "stripe"

    def __init__(self, counter: Counter) -> None:
        super().__init__(counter)
        self._book = Book(counter)
        self._in_progress: set[tuple[str, str]] = set()

    @override
    def routes(self) -> list[BaseRoute]:
        book, shelf = self._book, self._book.shelf
        intents, refunds = f"{_BASE}/payment_intents", f"{_BASE}/refunds"
        methods, balance = f"{_BASE}/payment_methods", f"{_BASE}/balance_transactions"
        post, get = self._keyed, self._asked
        return [
            Route(intents, post("create", lambda a, _, p, k: book.create(a, p, k)), methods=["POST"]),
            Route(f"{intents}/search", get("search", lambda a, _, p: shelf.search(a, p)), methods=["GET"]),
            Route(f"{intents}/{{id}}", get("retrieve", self._one("payment_intent")), methods=["GET"]),
            Route(f"{intents}/{{id}}/confirm", post("confirm", book.confirm), methods=["POST"]),
            Route(f"{intents}/{{id}}/capture", post("capture", book.capture), methods=["POST"]),
            Route(f"{intents}/{{id}}/cancel", post("cancel", book.cancel), methods=["POST"]),
            Route(refunds, post("refund", lambda a, _, p, k: book.refund(a, p, k)), methods=["POST"]),
            Route(refunds, get("list_refunds", lambda a, _, p: shelf.list_refunds(a, p)), methods=["GET"]),
            Route(f"{refunds}/{{id}}", get("retrieve", self._one("refund")), methods=["GET"]),
            Route(f"{_BASE}/charges/{{id}}", get("retrieve", self._one("charge")), methods=["GET"]),
            Route(balance, get("list_balance", lambda a, _, p: shelf.list_balance(a, p)), methods=["GET"]),
            Route(f"{balance}/{{id}}", get("retrieve", self._one("balance_transaction")), methods=["GET"]),
            Route(methods, post("payment_method", lambda a, _, p, __: book.create_method(a, p)), methods=["POST"]),
            Route(f"{methods}/{{id}}", get("retrieve", self._one("payment_method")), methods=["GET"]),
            Route("/stripe/{account}/authenticate/{id}", self._customer, methods=["GET", "POST"]),
            Route("/stripe/{account}/_search", self._set_lag, methods=["POST"]),
            Route("/stripe/{account}/{rest:path}", self._no_route, methods=["GET", "POST", "DELETE"]),
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
        return _said(429, {"error": error}, stripe_rate_limited_reason="global-rate")

    @override
    def broken(self) -> Said:
        return _said(500, {"error": _BROKEN})

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
        self._book.end_refund(account, payload["refund"], payload["status"], payload["key"])

    def _keyed(self, name: str, change: Change) -> Endpoint:
        """A POST: executed once for its key."""

        async def endpoint(request: Request) -> Response:
            account, key = request.path_params["account"], request.headers.get("idempotency-key", "")
            executed = False
            try:
                self._authenticate(request, account)
                params = intake.parse((await _body(request)).decode("utf-8", "replace"))
                intake.check_known(params, name)
                if len(key) > _MAX_KEY:
                    raise Complaint(
                        400, f"Idempotency keys have at most {_MAX_KEY} characters.", type="idempotency_error"
                    )
                fingerprint = _fingerprint(request.scope["path"], params)

                def execute() -> Said:
                    nonlocal executed
                    executed = True
                    return self._execute(account, request, (key, fingerprint), params, change)

                with self._alone(account, key):
                    response = await self.answer(account, _operation(name, params), key or None, execute)
                    if executed and response.status_code == 500:
                        self._keep_failure(account, key, fingerprint)
                    if params.get("payment_method") == SLOW_TOKEN:
                        await asyncio.sleep(self.counter.slow_seconds)
                    return response
            except Complaint as complaint:
                return _complain(complaint).response()

        return endpoint

    def _asked(self, name: str, reading: Reading) -> Endpoint:
        """A GET."""

        async def endpoint(request: Request) -> Response:
            account = request.path_params["account"]

            def execute() -> Said:
                try:
                    self._authenticate(request, account)
                    params = intake.parse(request.url.query)
                    intake.check_known(params, name)
                    found = reading(account, request.path_params.get("id", ""), params)
                    return _said(200, self._book.shelf.expand(account, found, intake.words(params, "expand")))
                except Complaint as complaint:
                    return _complain(complaint)

            return await self.answer(account, "lookup", None, execute)

        return endpoint

    def _one(self, kind: str) -> Reading:
        return lambda account, thing_id, _: self._book.shelf.take(account, thing_id, kind)

    def _execute(
        self, account: str, request: Request, idempotency: tuple[str, str], params: Json, change: Change
    ) -> Said:
        """One transaction: replay, or execute and keep the answer. Raises `Complaint` for what is not kept."""
        key, fingerprint = idempotency
        with self.counter.transaction():
            if not self.counter.claim(account):
                raise Complaint(404, "This account does not speak as Stripe.")
            stored = self.counter.answer(account, key) if key else None
            if stored is not None:
                return _replayed(stored, fingerprint, key)
            try:
                changed = change(account, request.path_params.get("id", ""), params, key)
                shown = self._book.shelf.expand(account, changed, intake.words(params, "expand"))
                said = _said(200, shown, **({"idempotency_key": key} if key else {}))
            except Complaint as complaint:
                if not complaint.kept:
                    raise
                said = _complain(complaint)
            if key:
                self.counter.keep_answer(account, key, fingerprint, said)
        return said

    def _keep_failure(self, account: str, key: str, fingerprint: str) -> None:
        """A 500 that came after execution began is the answer to this key from now on."""
        if not key:
            return
        with self.counter.transaction() as connection:
            connection.execute(
                "DELETE FROM vendor_answers WHERE vendor=? AND account=? AND scope=?", (self.vendor, account, key)
            )
            self.counter.keep_answer(account, key, fingerprint, self.broken())

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

    def _authenticate(self, request: Request, account: str) -> None:
        """The secret key as a Bearer token or as the user of Basic. No configured keys: any key opens any account."""
        if ACCOUNT.fullmatch(account) is None:
            raise Complaint(404, f"Unrecognized request URL ({request.method}: {request.url.path}).")
        given = _secret_key(request.headers.get("authorization", ""))
        if not given:
            message = "You did not provide an API key. You need to provide your API key in the Authorization header."
            raise Complaint(401, message)
        keys = self.counter.keys
        if keys and not hmac.compare_digest(keys.get(account, "").encode(), given.encode("utf-8", "surrogatepass")):
            raise Complaint(401, f"Invalid API Key provided: {given[:3]}****{given[-4:]}")

    async def _customer(self, request: Request) -> Response:
        """Where a customer authenticates, once."""
        account, intent_id = request.path_params["account"], request.path_params["id"]
        shelf = self._book.shelf
        try:
            form = intake.parse((await _body(request)).decode("utf-8", "replace"))
            with self.counter.transaction():
                intent = shelf.take(account, intent_id, "payment_intent")
                if intent["status"] != "requires_action":
                    return page.tell(f"The payment is {intent['status']}", "You can go back to the shop.")
                if request.method == "GET":
                    return page.ask(intent)
                action = intake.choice(form, "action", ("approve", "decline"), "decline")
                approved = action == "approve"
                payment = self.counter.ledger.find(account, shelf.payment_of(account, intent_id))
                stamp = self.counter.stamp(account, payment.idempotency_key)
                self.counter.ledger.decide(payment, stamp, approve=approved)
                return page.back(intent, shelf.return_url(account, intent_id), approved=approved)
        except Complaint as complaint:
            return page.tell("Not possible", str(complaint), complaint.status)

    async def _set_lag(self, request: Request) -> Response:
        """``POST /stripe/{account}/_search`` with ``lag_ms``: how late the search of this account is."""
        try:
            form = intake.parse((await _body(request)).decode("utf-8", "replace"))
            given = str(form.get("lag_ms"))
            if not given.isdecimal() or int(given) > _MAX_LAG_MS:
                raise Complaint(400, f"lag_ms must be from 0 to {_MAX_LAG_MS}", param="lag_ms")
        except Complaint as complaint:
            return _complain(complaint).response()
        with self.counter.transaction():
            self._book.shelf.set_lag(request.path_params["account"], int(given) / 1000)
        return Said.json(200, {"lag_ms": int(given)}).response()

    async def _no_route(self, request: Request) -> Response:
        path = "/" + request.path_params["rest"]
        message = f"Unrecognized request URL ({request.method}: {path}). Please see https://stripe.com/docs."
        return _complain(Complaint(404, message)).response()


def _operation(name: str, params: Json) -> str:
    """Which operation of the sandbox's faults a POST is."""
    if name == "cancel":
        return "neutralize" if params.get("cancellation_reason") == "abandoned" else "void"
    return "authorize" if name in {"create", "confirm"} else name


def _said(status: int, body: Json, **headers: str) -> Said:
    should_retry = "true" if status in {409, 429} else "false"
    usual = {"request_id": new_id("req"), "stripe_version": API_VERSION, "stripe_should_retry": should_retry}
    return Said.json(status, body, **{**usual, **headers})


def _complain(complaint: Complaint) -> Said:
    return _said(complaint.status, {"error": complaint.error})


def _replayed(stored: tuple[str, Said], fingerprint: str, key: str) -> Said:
    """The stored answer, marked. Raises `Complaint` if it answered another request."""
    known, said = stored
    if known.partition(" ")[0] != fingerprint.partition(" ")[0]:
        message = (
            "Keys for idempotent requests can only be used for the same endpoint they were first used for "
            f"('{known.partition(' ')[0]}' vs '{fingerprint.partition(' ')[0]}'). Try using a key other than '{key}' "
            "if you meant to execute a different request."
        )
        raise Complaint(400, message, type="idempotency_error")
    if known != fingerprint:
        message = (
            "Keys for idempotent requests can only be used with the same parameters they were first used with. "
            f"Try using a key other than '{key}' if you meant to execute a different request."
        )
        raise Complaint(400, message, type="idempotency_error")
    marks = {
        "idempotency-key": key,
        "idempotent-replayed": "true",
        "original-request": said.headers["request-id"],
        "request-id": new_id("req"),
    }
    return Said(said.status, said.body, {**said.headers, **marks}, said.media_type)


def _fingerprint(path: str, params: Json) -> str:
    """The path of the vendor's own, a space, and a digest of the parameters."""
    own = path[path.index("/v1/") :]
    return f"{own} {hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()}"


def _secret_key(header: str) -> str:
    scheme, _, given = header.partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(given, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


async def _body(request: Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _MAX_BODY_BYTES:
            raise Complaint(413, f"A body has at most {_MAX_BODY_BYTES} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)
