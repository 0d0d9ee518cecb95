"""Toss Payments' core API (2022-11-16) below ``/toss/{account}``: credentials, idempotency, faults, routes.

POST   /v1/payments, /v1/payments/confirm, /v1/payments/key-in, /v1/payments/{paymentKey}/cancel
POST   /v1/virtual-accounts, /v1/billing/{billingKey}, /v1/billing/authorizations/issue and /card
POST   /v1/cash-receipts, /v1/cash-receipts/{receiptKey}/cancel
GET    /v1/payments/{paymentKey}, /v1/payments/orders/{orderId}, /v1/transactions, /v1/settlements, /v1/cash-receipts
DELETE /v1/billing/{billingKey}

Faults: what takes or could take money is ``authorize``, a cancel ``refund`` (of a virtual account without a deposit
``void``), a GET of a payment ``lookup``; Toss has no capture and nothing of its own that neutralises.
"""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from typing_extensions import override

from gateways.sandbox.server.payment import SLOW_TOKEN, Payment
from gateways.sandbox.server.personality import Counter, Personality, Said
from gateways.sandbox.server.vendors import toss_intake as intake
from gateways.sandbox.server.vendors import toss_report as report
from gateways.sandbox.server.vendors.toss_desk import Desk
from gateways.sandbox.server.vendors.toss_error import TossError, error
from gateways.sandbox.server.vendors.toss_page import Pages
from gateways.sandbox.server.vendors.toss_payment import Paper, korean
from gateways.sandbox.server.vendors.toss_receipt import Receipts

_ROOT = "/toss/{account}"
_REPLAYED_SECONDS = 15 * 86_400
_AMOUNTS = frozenset(
    {"totalAmount", "balanceAmount", "suppliedAmount", "amount", "cancelAmount", "refundableAmount", "payOutAmount"}
)
_REMEMBERED = 10_000
_TRACE = "x-tosspayments-trace-id"

Body = Mapping[str, Any]
Act = Callable[[str, Request, Body, str], Said]
"""What a POST does: account, request, body, idempotency key. Runs inside a transaction."""
Endpoint = Callable[[Request], Awaitable[Response]]


class TossPayments(Personality):
    """One PG account that speaks as Toss Payments does."""

    vendor: ClassVar[str] = "toss"

    def __init__(self, counter: Counter) -> None:
        super().__init__(counter)
        self._desk = Desk(counter)
        self._pages = Pages(counter, self._desk)
        self._receipts = Receipts(counter)
        self._in_progress: set[str] = set()
        self._deliveries: dict[str, int] = {}

    @override
    def routes(self) -> list[BaseRoute]:
        desk = self._desk
        authorize, unstruck = _always("authorize"), _always(None)

        def transactions(account: str, asked: Request) -> Said:
            return report.transactions(desk, account, asked.query_params)

        posts: dict[str, tuple[Callable[[str, Request], str | None], Act]] = {
            "/payments/confirm": (authorize, lambda account, _, body, key: desk.confirm(account, body, key)),
            "/payments/key-in": (authorize, lambda account, _, body, key: desk.charge_card(account, body, key)),
            "/payments/{key}/cancel": (self._cancel_word, self._cancel),
            "/payments": (authorize, lambda account, _, body, _key: desk.open_window(account, body)),
            "/virtual-accounts": (authorize, lambda account, _, body, key: desk.open_account(account, body, key)),
            "/billing/authorizations/issue": (unstruck, self._issue),
            "/billing/authorizations/card": (unstruck, self._register),
            "/billing/{key}": (authorize, self._charge),
            "/cash-receipts": (unstruck, lambda account, _, body, _key: self._receipts.issue(account, body)),
            "/cash-receipts/{key}/cancel": (unstruck, self._cancel_receipt),
        }
        gets: dict[str, tuple[str | None, Callable[[str, Request], Said]]] = {
            "/payments/orders/{order_id}": ("lookup", self._by_order),
            "/payments/{key}": ("lookup", self._by_key),
            "/transactions": (None, transactions),
            "/transactions/": (None, transactions),
            "/settlements": (None, lambda account, asked: report.settlements(desk, account, asked.query_params)),
            "/cash-receipts": (None, lambda account, asked: self._receipts.listed(account, asked.query_params)),
        }
        return [
            *(Route(f"{_ROOT}/v1{path}", self._post(*one), methods=["POST"]) for path, one in posts.items()),
            *(Route(f"{_ROOT}/v1{path}", self._get(*one), methods=["GET"]) for path, one in gets.items()),
            Route(f"{_ROOT}/v1/billing/{{key}}", self._delete, methods=["DELETE"]),
            *self._pages.routes(_ROOT),
            Route(f"{_ROOT}/{{rest:path}}", self._nowhere, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]

    @override
    def announce(self, payment: Payment, operation: str, now: float) -> None:
        """Only what nobody asked for just now: a deposit, a result that was pending. The rest is told by its desk."""
        if operation == "authorize":
            self._desk.settled(payment, now)

    @override
    def sign(self, secret: str, raw: bytes, now: float) -> Mapping[str, str]:
        """Payment events have no signature; a delivery and its repetitions have one id."""
        transmission = hashlib.sha256(raw).hexdigest()[:32]
        count = self._deliveries.pop(transmission, -1) + 1
        self._deliveries[transmission] = count
        while len(self._deliveries) > _REMEMBERED:
            del self._deliveries[next(iter(self._deliveries))]
        return {
            "Content-Type": "application/json",
            "tosspayments-webhook-transmission-time": korean(now),
            "tosspayments-webhook-transmission-retried-count": str(count),
            "tosspayments-webhook-transmission-id": transmission,
        }

    @override
    def is_acknowledged(self, status: int, body: bytes) -> bool:
        return status == 200

    @override
    def refused(self) -> Said:
        return error("FORBIDDEN_CONSECUTIVE_REQUEST")

    @override
    def broken(self) -> Said:
        return error("FAILED_INTERNAL_SYSTEM_PROCESSING")

    @override
    def inflate(self, body: Any) -> Any:
        if isinstance(body, list):
            return [self.inflate(one) for one in body]
        if not isinstance(body, dict):
            return body
        return {
            name: value + 1 if name in _AMOUNTS and type(value) is int else self.inflate(value)
            for name, value in body.items()
        }

    @override
    def run_job(self, account: str, name: str, payload: dict[str, Any], now: float) -> None:
        """The one job there is: something may have expired."""
        self._desk.expire(account, payload["key"])

    def _post(self, word: Callable[[str, Request], str | None], act: Act) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            manner = Manner.of(request)
            key = manner.key
            try:
                account, secret = intake.authenticate(request, self.counter.keys)
                if (code := intake.forced_error(request, secret)) is not None:
                    raise TossError(code)
                body = await intake.read_body(request)
                if len(key) > intake.LONGEST_KEY:
                    raise TossError("INVALID_IDEMPOTENCY_KEY")
                scope = _scope(request, secret, key) if key else secrets.token_hex(16)
                if scope in self._in_progress:
                    raise TossError("IDEMPOTENT_REQUEST_PROCESSING")
            except TossError as refusal:
                return manner.refusal(refusal)

            acted = False

            def act_once() -> Said:
                nonlocal acted
                acted = True
                return act(account, request, body, key)

            def execute() -> Said:
                return self._once(account, scope if key else None, manner, act_once)

            self._in_progress.add(scope)
            try:
                response = await self._struck(account, word(account, request), key or None, execute)
                if acted and self._is_slow(account, body):
                    await asyncio.sleep(self.counter.slow_seconds)
                return manner.traced(response)
            finally:
                self._in_progress.discard(scope)

        return endpoint

    def _get(self, word: str | None, find: Callable[[str, Request], Said]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            manner = Manner.of(request)
            try:
                account, secret = intake.authenticate(request, self.counter.keys)
                if (code := intake.forced_error(request, secret)) is not None:
                    raise TossError(code)
            except TossError as refusal:
                return manner.refusal(refusal)

            def execute() -> Said:
                try:
                    return find(account, request)
                except TossError as refusal:
                    return error(refusal.code, english=manner.english)

            return manner.traced(await self._struck(account, word, None, execute))

        return endpoint

    async def _struck(self, account: str, word: str | None, key: str | None, execute: Callable[[], Said]) -> Response:
        return execute().response() if word is None else await self.answer(account, word, key, execute)

    def _once(self, account: str, scope: str | None, manner: "Manner", act: Callable[[], Said]) -> Said:
        """Execute, or say the same bytes again, errors included: the body of a request is never compared."""
        now = self.counter.clock()
        with self.counter.transaction():
            generation = 0
            while scope and (kept := self.counter.answer(account, f"{scope}#{generation}")) is not None:
                if now - float(kept[0]) < _REPLAYED_SECONDS:
                    return kept[1]
                generation += 1
            try:
                if not self.counter.claim(account):
                    raise TossError("UNAUTHORIZED_KEY")
                said = manner.translated(act())
            except TossError as refusal:
                said = error(refusal.code, english=manner.english)
            if scope:
                self.counter.keep_answer(account, f"{scope}#{generation}", str(now), said)
        return said

    def _is_slow(self, account: str, body: Body) -> bool:
        """A charge of tok_slow answers late."""
        order_id = body.get("orderId")
        paper = self._desk.papers.by_order(account, order_id) if isinstance(order_id, str) else None
        return paper is not None and paper.token == SLOW_TOKEN

    def _cancel_word(self, account: str, request: Request) -> str:
        paper = self._desk.papers.find(account, request.path_params["key"])
        waits = paper is not None and self._desk.status(account, paper) == "WAITING_FOR_DEPOSIT"
        return "void" if waits else "refund"

    def _cancel(self, account: str, request: Request, body: Body, key: str) -> Said:
        return self._desk.cancel(account, self._found(account, request), body, key)

    def _charge(self, account: str, request: Request, body: Body, key: str) -> Said:
        return self._desk.charge_billing_key(account, request.path_params["key"], body, key)

    def _issue(self, account: str, _request: Request, body: Body, _key: str) -> Said:
        return self._desk.issue_billing_key(account, body, intake.text(body, "authKey", 300))

    def _register(self, account: str, _request: Request, body: Body, _key: str) -> Said:
        return self._desk.issue_billing_key(account, body, "tok_ok", intake.check_card(body))

    def _cancel_receipt(self, account: str, request: Request, body: Body, _key: str) -> Said:
        return self._receipts.cancel(account, request.path_params["key"], body)

    def _by_key(self, account: str, request: Request) -> Said:
        return Said.json(200, self._desk.shown(account, self._found(account, request)))

    def _by_order(self, account: str, request: Request) -> Said:
        paper = self._desk.papers.by_order(account, request.path_params["order_id"])
        if paper is None:
            raise TossError("NOT_FOUND_PAYMENT")
        return Said.json(200, self._desk.shown(account, paper))

    def _found(self, account: str, request: Request) -> Paper:
        paper = self._desk.papers.find(account, request.path_params["key"])
        if paper is None:
            raise TossError("NOT_FOUND_PAYMENT")
        return paper

    async def _delete(self, request: Request) -> Response:
        manner = Manner.of(request)
        try:
            account, _ = intake.authenticate(request, self.counter.keys)
            with self.counter.transaction():
                return manner.traced(self._desk.delete_billing_key(account, request.path_params["key"]).response())
        except TossError as refusal:
            return manner.refusal(refusal)

    async def _nowhere(self, request: Request) -> Response:
        return Manner.of(request).refusal(TossError("NOT_FOUND"))


@dataclass(frozen=True, slots=True)
class Manner:
    """How one request is answered: its language, Toss's id of it, and its idempotency key, which is said back."""

    english: bool
    trace: str
    key: str

    @classmethod
    def of(cls, request: Request) -> Self:
        """Of a new request; only a POST has a key."""
        english = request.headers.get("accept-language", "").lower().startswith("en")
        key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
        return cls(english, secrets.token_hex(16), key)

    def traced(self, response: Response) -> Response:
        """With the headers that every answer has. A replay is a request of its own, with an id of its own."""
        response.headers[_TRACE] = self.trace
        if self.key:
            response.headers["idempotency-key"] = self.key
        return response

    def refusal(self, refused: TossError) -> Response:
        """What is answered before anything is done."""
        return self.traced(error(refused.code, english=self.english).response())

    def translated(self, said: Said) -> Said:
        """A decline in the language of the request."""
        if not self.english or said.status < 400:
            return said
        return error(json.loads(said.body)["code"], english=True)


def _always(word: str | None) -> Callable[[str, Request], str | None]:
    return lambda _account, _request: word


def _scope(request: Request, secret: str, key: str) -> str:
    """What a replay must share: the key, the API key, the address and the method. Not the body."""
    parts = (key, secret, request.scope["path"], request.method)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
