"""Idempotency-Key on every POST: one run for one key, and its answer given again."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from uuid_utils.compat import uuid7

from api.auth import Caller
from api.errors import away
from api.problem import Refused, StoredProblem, problem_response
from api.resources import resources_of
from commands import idempotency
from commands.idempotency import Claim, Slot
from domain.errors import Flaw, Rejected

log = structlog.get_logger()

KEY = re.compile(r"[\x21-\x7e]{1,255}")
POINTER = "/headers/Idempotency-Key"
KEPT_HEADERS = ("content-type", "location", "etag", "preference-applied", "retry-after")
"""Headers that belong to an answer and are given again with it."""
KEPT_REFUSALS = frozenset({402, 409, 410, 422})
"""Refusals that were decided. Not kept: 401, 403, 404 and 412 may be otherwise the next time, 5xx was no answer."""

Run = Callable[[Claim], Awaitable[Response]]


async def once(
    request: Request, caller: Caller, *, route: str, required: bool, number: str | None, run: Run
) -> Response:
    """Do ``run`` once for the Idempotency-Key of ``request``; repeated requests get the stored answer.

    ``run`` must use ``claim.subject`` as the id of what it makes (command id, place id) and ``claim.number`` as the
    order number: both survive a crash. A `Rejected` or `StoredProblem` that it raises becomes the answer and is kept;
    a `Refused` (a refusal of the face: bad header, stale view) passes and is not. ``number`` is a proposal for a
    new key. Without a key (when not ``required``) ``run`` gets a fresh subject. Raises `Refused`: key missing,
    misshapen, reused with another body, or still running (409, retryable).
    """
    slot = slot_of(request, caller, route=route)
    if slot is None and required:
        raise _bad_key("idempotency_key_required", "this request needs an Idempotency-Key")
    if slot is None:
        return await run(Claim("run", uuid7(), number))
    database = resources_of(request).database
    claim = await idempotency.claim(
        database, slot, request_hash=await fingerprint(request), subject=uuid7(), number=number
    )
    if claim.state == "replay":
        return _replay(claim)
    if claim.state == "reused":
        raise _bad_key("idempotency_key_reused", "this Idempotency-Key was used for another request")
    if claim.state == "running":
        raise Refused("request_in_progress", "the first request with this Idempotency-Key is still running")
    return await _run(request, slot, claim, run)


async def renumber(request: Request, caller: Caller, *, route: str, number: str) -> None:
    """The drawn order number was taken: make ``number`` the claim's, durably, before it is used. No key: nothing."""
    slot = slot_of(request, caller, route=route)
    if slot is not None:
        await idempotency.renumber(resources_of(request).database, slot, number)


def slot_of(request: Request, caller: Caller, *, route: str) -> Slot | None:
    """What the Idempotency-Key of ``request`` stands for; None without one. Raises `Refused` for a misshapen key."""
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or not KEY.fullmatch(keys[0]):
        raise _bad_key("idempotency_key_invalid", "an Idempotency-Key is 1 to 255 visible ASCII characters")
    return Slot(caller.key_id, route, keys[0])


async def fingerprint(request: Request) -> bytes:
    """SHA-256 of method, path, query and body; a JSON body counts by its content, not by its spaces or key order."""
    body = await request.body()
    try:
        canonical = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        canonical = body
    target = f"{request.method} {request.url.path}?{request.url.query}\n"
    return hashlib.sha256(target.encode() + canonical).digest()


async def _run(request: Request, slot: Slot, claim: Claim, run: Run) -> Response:
    database = resources_of(request).database
    try:
        response = await run(claim)
    except Exception as error:
        if not isinstance(error, Rejected | StoredProblem):
            await _release(request, slot)
            raise
        response = problem_response(request.scope, error.problem)
    if not _is_answer(response.status_code):
        await _release(request, slot)
        return response
    headers = {name: value for name, value in response.headers.items() if name in KEPT_HEADERS}
    try:
        await idempotency.keep_answer(
            database, slot, status=response.status_code, headers=json.dumps(headers), answer=bytes(response.body)
        )
    except Exception as error:
        if not away(error):
            raise
        log.warning("idempotency.answer_not_kept", route=slot.route, reason=type(error).__name__)
    return response


def _is_answer(status: int) -> bool:
    return 200 <= status < 300 or status in KEPT_REFUSALS


async def _release(request: Request, slot: Slot) -> None:
    """Let the next one run at once; if the database is away, the claim ends by its lease."""
    try:
        await idempotency.release(resources_of(request).database, slot)
    except Exception as error:
        if not away(error):
            raise
        log.warning("idempotency.claim_not_released", route=slot.route, reason=type(error).__name__)


def _replay(claim: Claim) -> Response:
    headers: dict[str, Any] = dict(claim.headers or {})
    return Response(claim.answer, status_code=claim.status or 200, headers=headers | {"Idempotent-Replayed": "true"})


def _bad_key(code: str, detail: str) -> Refused:
    return Refused(code, detail, flaws=[Flaw(POINTER, code, detail)])
