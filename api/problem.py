"""What a refusal looks like on the wire (RFC 9457), and the one table of codes and statuses."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from domain.errors import Flaw, Problem

MEDIA_TYPE = "application/problem+json"

STATUS: dict[str, int] = {
    # refusals of the domain and of queries
    "rejected": 409,
    "invalid_request": 422,
    "illegal_transition": 409,
    "total_mismatch": 409,
    "out_of_stock": 409,
    "number_taken": 409,
    "amount_exceeded": 409,
    "nothing_to_do": 409,
    "difference_unsettled": 409,
    "change_open": 409,
    "captures_once": 409,
    "operation_not_in_doubt": 409,
    "bank_account_required": 409,
    "refund_window_over": 409,
    "bank_account_not_needed": 409,
    "order_not_found": 404,
    "no_gateway_eligible": 409,
    "insufficient_value": 409,
    "store_not_found": 404,
    "command_not_found": 404,
    "attempt_not_found": 404,
    "operation_not_found": 404,
    "payment_request_not_found": 404,
    "routing_not_found": 404,
    "gateway_not_found": 404,
    "webhook_event_not_found": 404,
    "webhook_refused": 401,
    "stock_below_promised": 409,
    "reconciliation_not_found": 404,
    "case_not_found": 404,
    "case_closed": 409,
    "bank_credit_differs": 409,
    "settlement_file_not_taken": 409,
    "settlement_file_empty": 422,
    # refusals that only a command's row carries
    "storage_refused": 409,
    "gateway_declined": 409,
    "refund_incomplete": 409,
    # refusals of this face
    "bad_request": 400,
    "unauthenticated": 401,
    "scope_missing": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "request_in_progress": 409,
    "stale_version": 412,
    "body_too_large": 413,
    "card_number_not_accepted": 422,
    "idempotency_key_invalid": 422,
    "idempotency_key_required": 422,
    "idempotency_key_reused": 422,
    "invalid_cursor": 422,
    "invalid_header": 422,
    "unknown_parameter": 422,
    "internal_error": 500,
    "unavailable": 503,
}
"""Every code that a client can meet, with its HTTP status. A test holds it against every `Rejected` of the house."""

TITLES: dict[str, str] = {
    "unauthenticated": "A valid API key is needed",
    "internal_error": "Something broke on our side",
    "unavailable": "Something we depend on is away for the moment",
}
"""Titles that the code alone does not tell; all others are the code in words."""

RETRYABLE = frozenset({"request_in_progress", "unavailable"})
"""Codes after which the same request may be sent again unchanged."""

PAUSE = {"request_in_progress": "1", "unavailable": "2"}
"""Seconds of ``Retry-After``."""


class Refused(Exception):
    """A refusal by the face itself. ``code`` is a row of `STATUS`; ``flaws`` become ``errors[]``."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        flaws: Sequence[Flaw] = (),
        figures: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(code, detail, dict(figures or {}), tuple(flaws))
        self.headers = dict(headers or {})


class StoredProblem(Exception):
    """A refusal that came back as a value: from a workflow (`CheckoutAnswer.refused`) or a command's row."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def status_of(code: str) -> int:
    """The HTTP status of a refusal; 409 for a code that an older or newer release has stored."""
    return STATUS.get(code, 409)


def problem_body(problem: Problem, *, request_id: str | None, status: int | None = None) -> dict[str, Any]:
    """The members of RFC 9457 and ours; ``figures`` are the server's own numbers (minor units)."""
    body: dict[str, Any] = {
        "type": f"/problems/{problem.code}",
        "title": TITLES.get(problem.code, problem.code.replace("_", " ").capitalize()),
        "status": status or status_of(problem.code),
        "detail": problem.detail,
        "code": problem.code,
        "errors": [asdict(flaw) for flaw in problem.flaws],
        "request_id": request_id,
        "retryable": problem.code in RETRYABLE,
    }
    if problem.figures:
        body["figures"] = problem.figures
    return body


def problem_response(
    scope: Scope, problem: Problem, *, headers: Mapping[str, str] | None = None, status: int | None = None
) -> Response:
    """``problem`` as an answer to the request of ``scope``."""
    body = problem_body(problem, request_id=request_id(scope), status=status)
    pause = {"Retry-After": PAUSE[problem.code]} if problem.code in PAUSE else {}
    return Response(
        json.dumps(body, ensure_ascii=False, default=str).encode(),
        status_code=int(body["status"]),
        media_type=MEDIA_TYPE,
        headers={**pause, "Cache-Control": "no-store", **(headers or {})},
    )


def request_id(scope: Scope) -> str | None:
    """The id that `api.middleware` gave this request."""
    found = scope.get("state", {}).get("request_id")
    return found if isinstance(found, str) else None


def request_id_of(request: Request) -> str | None:
    """The same, for routes."""
    return request_id(request.scope)


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901) into the body."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
