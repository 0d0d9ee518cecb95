"""Around every request: its id, one log line, metrics, the last resort for errors, and what a body may be."""

import asyncio
import json
import re
import time
import traceback
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

from api.card import find_card, has_card, texts_of
from api.errors import away, unexpected
from api.metrics import observe
from api.parameters import template_of
from api.problem import problem_response
from domain.errors import Flaw, Problem

log = structlog.get_logger()

LARGEST_BODY = 1024 * 1024
SMALL_BODY = 16 * 1024
"""Bytes."""
WEBHOOKS = "/v1/webhooks/"
"""Here the route reads the body itself, by a smaller limit, and only its PG's adapter looks into it."""
SETTLEMENTS = "/v1/settlements/"
"""Here the route streams the body, by a larger limit."""

_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_STRANGE = re.compile(rb"\\u0000|\\u[dD][89a-fA-F]")
"""Escapes of NUL and of surrogates: without one there is nothing in a body that Postgres cannot hold."""
_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")


class Envelope:
    """Gives the request its id, writes its log line, counts it, and answers what nobody foresaw."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; errors after the answer has begun go up to the server, which cuts the connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id, store=None):
            try:
                await self._app(scope, receive, answer.send)
            except Exception as error:
                _log_error(error)
                if answer.status is not None:
                    raise
                await problem_response(scope, unexpected(error))(scope, receive, answer.send)
            finally:
                _write_line(scope, answer.status, time.perf_counter() - started)


class Intake:
    """Reads bodies before anything else does: 413 when too large, 422 for a card number or text that is none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body read, or refuse it."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"} or _is_from_pg(scope):
            await self._app(scope, receive, send)
            return
        body = await read_body(Headers(scope=scope), receive, most=LARGEST_BODY)
        if body is None:
            return  # the client has gone
        problem = body if isinstance(body, Problem) else await _judge(body)
        if problem is not None:
            await problem_response(scope, problem)(scope, receive, send)
        elif isinstance(body, bytes):
            await self._app(scope, _again(body, receive), send)


class _Answer:
    """The sending side: adds the request's id, remembers the status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            headers.setdefault("X-Content-Type-Options", "nosniff")
        await self._send(message)


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _SANE_ID.fullmatch(given) and not has_card(given) else str(uuid7())


def _write_line(scope: Scope, status: int | None, seconds: float) -> None:
    """One line and one count for a request; no path and no query, which may be personal."""
    route = template_of(scope)
    observe(scope["method"], route, status or 499, seconds)
    state: dict[str, Any] = scope["state"]
    log.info(
        "http.request",
        method=scope["method"],
        route=route,
        status=status,
        ms=round(seconds * 1000, 1),
        request_id=state["request_id"],
        store=state.get("store"),
    )


def _log_error(error: Exception) -> None:
    """Kind and place of an error and of its causes. Not their messages: those of a database quote its rows."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    frames = traceback.extract_tb(error.__traceback__)
    kinds = [f"{type(one).__module__}.{type(one).__qualname__}" for one in chain]
    write = log.warning if away(error) else log.error
    write("http.failed", kinds=kinds, frames=[f"{one.filename}:{one.lineno} {one.name}" for one in frames[-12:]])


def _is_from_pg(scope: Scope) -> bool:
    """Bodies of PGs are theirs: their references may be 16 digits, and refusing one would lose news about money."""
    path: str = scope["path"]
    return path.startswith((WEBHOOKS, SETTLEMENTS))


async def read_body(headers: Headers, receive: Receive, *, most: int) -> bytes | Problem | None:
    """The whole body, a refusal once it has more than ``most`` bytes, or None when the client left before its end."""
    too_large = Problem("body_too_large", f"a body may have {most} bytes")
    announced = headers.get("content-length", "0")
    if announced.isdigit() and int(announced[:18]) > most:
        return too_large
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > most:
            return too_large
        more = message.get("more_body", False)
    return bytes(body)


async def _judge(body: bytes) -> Problem | None:
    """Why this body is not taken, if it is not. A large one is looked through beside the other requests."""
    return _flaw_of(body) if len(body) <= SMALL_BODY else await asyncio.to_thread(_flaw_of, body)


def _flaw_of(body: bytes) -> Problem | None:
    """A card number or text that Postgres cannot hold; the refusal does not repeat what it found."""
    if b"\x00" in body:  # UTF-16 and UTF-32 too, in which JSON could hide anything from what follows
        detail = "a body is UTF-8, without NUL"
        return Problem("invalid_request", detail, flaws=(Flaw("", "invalid_text", detail),))
    at = find_card(body)
    if at is not None:
        code, detail = "card_number_not_accepted", "this looks like a card number; send a token of the PG instead"
        return Problem(code, detail, flaws=(Flaw(at, code, detail),))
    at = _find_strange(body) if _STRANGE.search(body) else None
    if at is not None:
        detail = "text may contain neither NUL nor halves of surrogate pairs"
        return Problem("invalid_request", detail, flaws=(Flaw(at, "invalid_text", detail),))
    return None


def _find_strange(body: bytes) -> str | None:
    """A JSON pointer to the first text that Postgres cannot hold; None if there is none, or no JSON."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return next((at for at, text in texts_of(document) if _UNSTORABLE.search(text)), None)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once more, and after it what really comes (the client's leaving)."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
