"""What a test may see and arm: the ledger, the faults, the webhook targets, health, and a page that says so."""

import httpx
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from gateways.sandbox.server.arming import check_account, is_plan, read_arming, read_plan
from gateways.sandbox.server.delivery import Outbox
from gateways.sandbox.server.fault import FaultBook
from gateways.sandbox.server.intake import read_any_object, read_number, read_object
from gateways.sandbox.server.refusal import invalid
from gateways.sandbox.server.response import answer_json
from gateways.sandbox.server.statement import Statement

_MAX_LIMIT = 100_000

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox PG</title>
<h1>Sandbox PG</h1><p>A payment gateway for tests: real HTTP, a ledger of its own, no real money.</p>
<ul><li><a href="/_ledger?limit=100">/_ledger</a> what really happened
<li><a href="/_faults">/_faults</a> armed and fired faults
<li><a href="/_webhooks">/_webhooks</a> webhook targets and deliveries
<li><a href="/healthz">/healthz</a></ul>
<p>Tokens: tok_ok, tok_declined, tok_lost, tok_insufficient, tok_3ds, tok_slow, tok_pending.</p></html>"""


class Inspection:
    """The endpoints that belong to no account. They are open: the sandbox listens on loopback."""

    def __init__(self, faults: FaultBook, outbox: Outbox, statement: Statement) -> None:
        self._faults = faults
        self._outbox = outbox
        self._statement = statement

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/", self._page, methods=["GET"]),
            Route("/healthz", self._health, methods=["GET"]),
            Route("/_ledger", self._ledger, methods=["GET"]),
            Route("/_faults", self._show_faults, methods=["GET"]),
            Route("/_faults", self._arm, methods=["POST"]),
            Route("/_faults", self._disarm, methods=["DELETE"]),
            Route("/_webhooks", self._show_webhooks, methods=["GET"]),
            Route("/_webhooks", self._register, methods=["POST"]),
        ]

    async def _page(self, _request: Request) -> Response:
        return HTMLResponse(_PAGE)

    async def _health(self, _request: Request) -> Response:
        return answer_json(200, {"status": "ok"})

    async def _ledger(self, request: Request) -> Response:
        query = request.query_params
        known = {"merchant_ref", "account", "limit", "cursor"}
        if unknown := sorted(set(query) - known):
            raise invalid(unknown[0][:60].encode("ascii", "backslashreplace").decode(), "is not a filter of the ledger")
        limit = read_number(query.get("limit"), "limit", _MAX_LIMIT)
        if limit == 0:
            raise invalid("limit", f"must be from 1 to {_MAX_LIMIT}")
        lines = self._statement.read(
            merchant_ref=query.get("merchant_ref"),
            account=query.get("account"),
            after=read_number(query.get("cursor"), "cursor", 10**18) or 0,
            limit=limit,
        )
        return StreamingResponse(lines, media_type="application/json")

    async def _show_faults(self, _request: Request) -> Response:
        return answer_json(200, self._faults.as_json())

    async def _arm(self, request: Request) -> Response:
        body = await read_any_object(request)
        if is_plan(body):
            plan = read_plan(body)
            self._faults.follow(plan)
            return answer_json(201, plan.as_json())
        asked = read_arming(body)
        armed = self._faults.arm(
            asked.fault, account=asked.account, operation=asked.operation, times=asked.times, ms=asked.ms
        )
        return answer_json(201, armed.as_json())

    async def _disarm(self, _request: Request) -> Response:
        return answer_json(200, {"disarmed": self._faults.disarm()})

    async def _show_webhooks(self, _request: Request) -> Response:
        return answer_json(200, self._outbox.as_json())

    async def _register(self, request: Request) -> Response:
        body = await read_object(request, frozenset({"account", "url", "secret"}), frozenset())
        account, url, secret = body["account"], body["url"], body["secret"]
        check_account(account)
        if not isinstance(url, str) or not _callable(url):
            raise invalid("url", "must be an http or https address")
        if not isinstance(secret, str) or not 1 <= len(secret) <= 200 or not secret.isascii():
            raise invalid("secret", "must be 1 to 200 ASCII characters")
        self._outbox.register(account, url, secret)
        return answer_json(201, {"account": account, "url": url})


def _callable(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        return False
    return url.isascii() and len(url) <= 2000 and parsed.scheme in {"http", "https"} and bool(parsed.host)
