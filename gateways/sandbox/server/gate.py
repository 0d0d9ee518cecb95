"""The payment endpoints of the sandbox PG: check, let an armed fault strike, execute, answer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateways.sandbox.server.connection import CutConnection
from gateways.sandbox.server.execution import Done, Execution
from gateways.sandbox.server.fault import FaultBook, FaultKind, Fired, Moment, Target
from gateways.sandbox.server.intake import authenticate, read_order
from gateways.sandbox.server.refusal import NotTaken, invalid
from gateways.sandbox.server.response import answer_json
from gateways.sandbox.server.strike import damaged

Endpoint = Callable[[Request], Awaitable[Response]]


class Gate:
    """All endpoints under ``/{account}/v1``."""

    def __init__(
        self,
        execution: Execution,
        faults: FaultBook,
        *,
        keys: Mapping[str, str],
        slow_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """``slow_seconds``: how long tok_slow takes. ``clock`` gives Unix seconds."""
        self._execution = execution
        self._faults = faults
        self._keys = keys
        self._slow_seconds = slow_seconds
        self._clock = clock
        self._in_progress: set[tuple[str, str]] = set()

    def routes(self) -> list[Route]:
        """The routes, the busiest first."""
        payments = "/{account}/v1/payments"
        return [
            Route(payments, self._keyed("authorize"), methods=["POST"]),
            Route(payments, self._lookup(self._find_by_merchant_ref), methods=["GET"]),
            Route(payments + "/{reference}", self._lookup(self._find), methods=["GET"]),
            Route(payments + "/{reference}/captures", self._keyed("capture"), methods=["POST"]),
            Route(payments + "/{reference}/voids", self._keyed("void"), methods=["POST"]),
            Route(payments + "/{reference}/refunds", self._keyed("refund"), methods=["POST"]),
            Route("/{account}/v1/cancellations", self._keyed("neutralize"), methods=["POST"]),
            Route("/{account}/v1/operations/{key}", self._lookup(self._recall), methods=["GET"]),
        ]

    def _keyed(self, kind: str) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            account = authenticate(request, self._keys)
            order = await read_order(request, account, kind, now=self._clock())
            with self._alone(account, order.key):
                fired = self._faults.fire(Target(account, kind, order.key), Moment.REQUEST, now=self._clock())
                if fired is not None and fired.fault.before_effect:
                    return _before(fired)
                with self._faults.off_by(fired):
                    done = self._execution.perform(order)
                if fired is not None:
                    fired.effect = done.entries
                if done.slow:
                    await asyncio.sleep(self._slow_seconds)
                return await _after(fired, done)

        return endpoint

    def _lookup(self, find: Callable[[str, Request], dict[str, Any]]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            account = authenticate(request, self._keys)
            fired = self._faults.fire(Target(account, "lookup"), Moment.REQUEST, now=self._clock())
            if fired is not None and fired.fault.before_effect:
                return _before(fired)
            with self._faults.off_by(fired):
                found = find(account, request)
            return await _after(fired, Done(200, found, replayed=False, entries=[]))

        return endpoint

    def _find(self, account: str, request: Request) -> dict[str, Any]:
        return self._execution.find(account, request.path_params["reference"])

    def _find_by_merchant_ref(self, account: str, request: Request) -> dict[str, Any]:
        merchant_ref = request.query_params.get("merchant_ref")
        if merchant_ref is None:
            raise invalid("merchant_ref", "must be given in the query")
        return self._execution.find_by_merchant_ref(account, merchant_ref)

    def _recall(self, account: str, request: Request) -> dict[str, Any]:
        return self._execution.recall(account, request.path_params["key"])

    @contextmanager
    def _alone(self, account: str, key: str) -> Iterator[None]:
        """One request per key at a time; the others are told to come again."""
        if (account, key) in self._in_progress:
            raise NotTaken(409, "idempotency_in_progress", "A request with this key is still being answered.")
        self._in_progress.add((account, key))
        try:
            yield
        finally:
            self._in_progress.discard((account, key))


def _before(fired: Fired) -> Response:
    match fired.fault:
        case FaultKind.REFUSE:
            raise NotTaken(429, "not_accepted", "The sandbox takes no requests just now; nothing was executed.")
        case FaultKind.DROP_BEFORE:
            return CutConnection()
        case _:
            return _broken()


async def _after(fired: Fired | None, done: Done) -> Response:
    fault = None if fired is None else fired.fault
    if fault is FaultKind.ERROR_AFTER:
        return _broken()
    body = _one_too_many(done.body) if fault is FaultKind.WRONG_AMOUNT else done.body
    headers = {"Idempotent-Replayed": "true"} if done.replayed else {}
    if operation := body.get("operation"):
        headers["Request-Id"] = operation["id"]
    return await damaged(fired, answer_json(done.status, body, headers))


def _broken() -> Response:
    return answer_json(500, {"error": {"code": "internal", "message": "Something broke."}})


def _one_too_many(body: dict[str, Any]) -> dict[str, Any]:
    """The same answer with every stated ``amount`` one minor unit too high."""
    wrong = dict(body)
    for part in ("operation", "payment"):
        if isinstance(wrong.get(part), dict):
            wrong[part] = {**wrong[part], "amount": wrong[part]["amount"] + 1}
    if isinstance(wrong.get("payments"), list):
        wrong["payments"] = [{**one, "amount": one["amount"] + 1} for one in wrong["payments"]]
    return wrong
