"""Every error becomes one problem+json answer: refusals by their code, shape errors with pointers, outages as 503."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from api.problem import STATUS, Refused, StoredProblem, pointer, problem_response
from domain.errors import Flaw, Problem, Rejected
from queries.outage import is_outage

AWAY = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.ABORTED,
        RPCStatusCode.CANCELLED,
    }
)
"""What Temporal says when the same call may be repeated later."""

_BY_STATUS = {400: "bad_request", 401: "unauthenticated", 403: "scope_missing", 404: "not_found"} | {
    405: "method_not_allowed",
    413: "body_too_large",
}
_WHERE = {"query": ("query",), "path": ("path",), "header": ("headers",), "cookie": ("cookies",)}


def install(app: FastAPI) -> None:
    """Answer refusals and shape errors; what nobody foresaw is answered by `api.middleware.Envelope`."""

    @app.exception_handler(Rejected)
    async def rejected(request: Request, error: Rejected) -> Response:
        return problem_response(request.scope, error.problem)

    @app.exception_handler(StoredProblem)
    async def stored(request: Request, error: StoredProblem) -> Response:
        return problem_response(request.scope, error.problem)

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return problem_response(request.scope, error.problem, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def misshapen(request: Request, error: RequestValidationError) -> Response:
        flaws = flaws_of(error.errors(), error.body)
        return problem_response(request.scope, Problem("invalid_request", "the request is misshapen", flaws=flaws))

    @app.exception_handler(HTTPException)
    async def by_status(request: Request, error: HTTPException) -> Response:
        code = _BY_STATUS.get(error.status_code, "bad_request" if error.status_code < 500 else "internal_error")
        detail = _DETAILS.get(code, "the request cannot be answered")
        status = error.status_code if STATUS[code] != error.status_code else None
        return problem_response(request.scope, Problem(code, detail), headers=error.headers, status=status)


_DETAILS = {
    "bad_request": "the body cannot be read",
    "not_found": "there is nothing at this address",
    "method_not_allowed": "this address does not take this method",
    "body_too_large": "the body is larger than 1 MiB",
}


def unexpected(error: Exception) -> Problem:
    """What a client is told about an error that nobody caught: nothing about its inside."""
    if away(error):
        return Problem("unavailable", "the database or the workflow engine is away; send the same request again")
    return Problem("internal_error", "the error is logged under this request_id")


def away(error: Exception) -> bool:
    """Whether Postgres or Temporal is out of reach, so that the same request may be repeated."""
    if isinstance(error, RPCError):
        return error.status in AWAY
    if isinstance(error, WorkflowUpdateRPCTimeoutOrCancelledError):
        return True
    if isinstance(error, RuntimeError) and str(error).startswith("Failed client connect"):
        return True  # a lazy client has never reached Temporal
    return is_outage(error)


def flaws_of(errors: Sequence[Mapping[str, Any]], body: object) -> tuple[Flaw, ...]:
    """Pydantic's errors as flaws. Their messages name rules, never the value that was sent."""
    return tuple(Flaw(_pointer(error, body), str(error["type"]), str(error["msg"])) for error in errors)


def _pointer(error: Mapping[str, Any], body: object) -> str:
    """A pointer into the body, or below ``/query``, ``/path``, ``/headers``."""
    source, *parts = error["loc"] or ("body",)
    if source in _WHERE:
        return pointer(*_WHERE[source], *parts)
    if error["type"] == "json_invalid":
        return ""
    return pointer(*_within(body, parts))


def _within(body: object, parts: Sequence[str | int]) -> list[str | int]:
    """The parts that are in ``body``, and the last if an object lacks it.

    The others are names of union members, which no client knows.
    """
    found: list[str | int] = []
    for place, part in enumerate(parts):
        lacking = place == len(parts) - 1
        if isinstance(body, Mapping) and (part in body or lacking):
            body = body.get(part)
        elif isinstance(body, Sequence) and not isinstance(body, str | bytes) and isinstance(part, int):
            body = body[part] if part < len(body) else None
        else:
            continue
        found.append(part)
    return found
