"""Requests and answers of Stripe's API as they stand on the wire: keys, versions, forms, stored answers."""

import base64
import binascii
import hashlib
import hmac
import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateways.sandbox.server.personality import Said
from gateways.sandbox.server.vendors.stripe_intake import Complaint
from gateways.sandbox.server.vendors.stripe_objects import API_VERSION, new_id

Json = dict[str, Any]

_FORM = "application/x-www-form-urlencoded"
_OF_ACCOUNT = re.compile(r"^/stripe/[^/]+(?=/v[0-9]+/)")
_VERSION = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9](\.[a-z]+)?(;.*)?")
_RELEASE = API_VERSION.partition(".")[2]
_MAX_BODY_BYTES = 65_536
NO_KEY = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth "
    "(e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for details, or "
    "we can help at https://support.stripe.com/."
)
BROKEN: Json = {"type": "api_error", "message": "An unknown error occurred. Please contact support@stripe.com."}


def unrecognized(request: Request) -> Complaint:
    """The answer to an address that Stripe does not have, or not for this method."""
    own = _OF_ACCOUNT.sub("", request.scope["path"])
    return Complaint(
        404,
        f"Unrecognized request URL ({request.method}: {own}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/.",
    )


def owner(request: Request) -> Json:
    """What a path names beside the object itself, as Stripe's reference calls it: ``charge``, ``customer``."""
    return {name: value for name, value in request.path_params.items() if name not in {"account", "id"}}


def is_version(text: str) -> bool:
    """Whether this may be a version of Stripe's API."""
    return _VERSION.fullmatch(text) is not None


def versioned(request: Request, response: Response) -> Response:
    """Told in the version that was asked for, if it is one of this release: all of them are alike here."""
    asked = request.headers.get("stripe-version", "")
    if is_version(asked) and asked.partition(";")[0].partition(".")[2] == _RELEASE:
        response.headers["stripe-version"] = asked
    return response


def said(status: int, body: Json, **headers: str) -> Said:
    """An answer with the headers that all of Stripe's have."""
    should_retry = "true" if status in {409, 429} else "false"
    usual = {"request_id": new_id("req"), "stripe_version": API_VERSION, "stripe_should_retry": should_retry}
    return Said.json(status, body, **{**usual, **headers})


def replayed(stored: tuple[str, Said], fingerprint: str, key: str) -> Said:
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


def fingerprint(path: str, params: Json) -> str:
    """The path of the vendor's own, a space, and a digest of the parameters."""
    own = path[path.index("/v1/") :]
    return f"{own} {hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()}"


def is_same(key: str, given: str) -> bool:
    """Compare two keys in a time that says nothing of either."""
    return hmac.compare_digest(key.encode(), given.encode("utf-8", "surrogatepass"))


def masked(key: str) -> str:
    """As Stripe repeats a key that it does not know: its beginning and its last four characters."""
    return f"{key[:8]}{'*' * max(0, len(key) - 12)}{key[-4:]}" if len(key) > 12 else "*" * len(key)


def secret_key(header: str) -> str:
    """The key of an ``Authorization`` header: a Bearer token, or the user of Basic; empty if there is none."""
    scheme, _, given = header.partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(given, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


async def form(request: Request) -> str:
    """Raises `Complaint` for a body that is no form."""
    raw = await body(request)
    if raw and request.headers.get("content-type", _FORM).partition(";")[0].strip().lower() != _FORM:
        message = (
            f"Invalid request (check that your POST content type is {_FORM}). If you have any questions, we can help "
            "at https://support.stripe.com/."
        )
        raise Complaint(400, message)
    return raw.decode("utf-8", "replace")


async def body(request: Request) -> bytes:
    """The raw body. Raises `Complaint` for one that is too large."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _MAX_BODY_BYTES:
            raise Complaint(413, f"A body has at most {_MAX_BODY_BYTES} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)
