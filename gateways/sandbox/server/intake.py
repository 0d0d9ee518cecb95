"""What comes in from outside, checked before anything is touched: account, key, headers, JSON fields."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request

from gateways.sandbox.server.execution import Order
from gateways.sandbox.server.refusal import NotTaken, invalid

MAX_BODY_BYTES = 65_536
MAX_AMOUNT = 10**12
ACCOUNT = re.compile(r"[a-z0-9-]{1,40}")
_MERCHANT_REF = re.compile(r"[A-Za-z0-9_-]{6,40}")
_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_WORD = re.compile(r"[\x21-\x7e]{1,200}")
_ADDRESS = re.compile(r"https?://[\x21-\x7e]{1,1990}")
_CUSTOMER = re.compile(r"[^\x00-\x1f\ud800-\udfff]{1,200}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_MILLISECONDS = re.compile(r"[0-9]{1,15}")

Rule = Callable[[Any], bool]


def _like(pattern: re.Pattern[str]) -> Rule:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def whole_number(low: int, high: int) -> Rule:
    """An integer from ``low`` to ``high``, both included; true and false are not numbers."""
    return lambda value: type(value) is int and low <= value <= high


_RULES: dict[str, tuple[Rule, str]] = {
    "merchant_ref": (_like(_MERCHANT_REF), "must be 6 to 40 characters of A-Z a-z 0-9 _ -"),
    "amount": (whole_number(1, MAX_AMOUNT), f"must be a whole number of minor units from 1 to {MAX_AMOUNT}"),
    "currency": (_like(_CURRENCY), "must be three capital letters"),
    "method": (_like(_WORD), "must be 1 to 200 printable ASCII characters without spaces"),
    "token": (_like(_WORD), "must be 1 to 200 printable ASCII characters without spaces"),
    "return_url": (_like(_ADDRESS), "must be an http or https address of at most 2000 characters"),
    "capture": (lambda value: isinstance(value, bool), "must be true or false"),
    "customer": (_like(_CUSTOMER), "must be 1 to 200 characters of text"),
    "operation_key": (_like(_KEY), "must be 16 to 64 characters of A-Z a-z 0-9 _ -"),
}
_FIELDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "authorize": (
        frozenset({"merchant_ref", "amount", "currency", "method"}),
        frozenset({"token", "capture", "customer", "return_url"}),
    ),
    "capture": (frozenset({"amount", "currency"}), frozenset()),
    "void": (frozenset(), frozenset()),
    "refund": (frozenset({"amount", "currency"}), frozenset()),
    "neutralize": (frozenset({"merchant_ref"}), frozenset({"operation_key"})),
}


def authenticate(request: Request, keys: Mapping[str, str]) -> str:
    """The account of the path, once its Bearer key has been checked. No configured keys: any key will do."""
    account: str = request.path_params["account"]
    if ACCOUNT.fullmatch(account) is None:
        raise NotTaken(404, "no_such_route", "An account is 1 to 40 characters of a-z 0-9 -.")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    given = given.strip()
    if scheme.lower() != "bearer" or not given:
        raise NotTaken(401, "unauthorized", "Send the account's key as Authorization: Bearer.")
    if keys and not hmac.compare_digest(keys.get(account, "").encode(), given.encode("utf-8", "surrogatepass")):
        raise NotTaken(401, "unauthorized", "This is not the account's key.")
    return account


async def read_order(request: Request, account: str, kind: str, *, now: float) -> Order:
    """A keyed request as an `Order`. ``now``: Unix seconds. Raises `NotTaken`."""
    key = request.headers.get("idempotency-key", "")
    if _KEY.fullmatch(key) is None:
        raise invalid("Idempotency-Key", "must be a header of 16 to 64 characters of A-Z a-z 0-9 _ -")
    fields = await read_object(request, *_FIELDS[kind])
    for name, value in fields.items():
        rule, words = _RULES[name]
        if not rule(value):
            raise invalid(name, words)
    _refuse_expired(request.headers.get("request-expires-at"), now)
    canonical = json.dumps([request.scope["path"], fields], sort_keys=True).encode()
    fingerprint = hashlib.sha256(canonical).digest()
    return Order(account, key, kind, fields, fingerprint, request.path_params.get("reference"))


async def read_object(request: Request, required: frozenset[str], optional: frozenset[str]) -> dict[str, Any]:
    """The body as a JSON object with exactly the known fields; an empty body counts as ``{}``."""
    body = await read_any_object(request)
    check_fields(body, required, optional)
    return body


async def read_any_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object; an empty body counts as ``{}``."""
    raw = await _read_body(request)
    try:
        body = json.loads(raw or b"{}")
    except (ValueError, RecursionError) as error:
        raise NotTaken(400, "malformed_json", "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise NotTaken(400, "malformed_json", "The body must be a JSON object.")
    return body


def check_fields(body: Mapping[str, Any], required: frozenset[str], optional: frozenset[str]) -> None:
    """No unknown field and none missing. Raises `NotTaken`."""
    if unknown := sorted(set(body) - required - optional):
        name = unknown[0].encode("ascii", "backslashreplace").decode()[:60]
        raise NotTaken(400, "unknown_field", f"There is no field {name}.", field=name)
    if missing := sorted(required - set(body)):
        raise NotTaken(400, "missing_field", f"{missing[0]} is missing.", field=missing[0])


def read_number(text: str | None, name: str, highest: int) -> int | None:
    """A whole number of the query; None if it is not there."""
    if text is None:
        return None
    if _NUMBER.fullmatch(text) is None or int(text) > highest:
        raise invalid(name, f"must be a whole number up to {highest}")
    return int(text)


async def _read_body(request: Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise NotTaken(413, "body_too_large", f"A body has at most {MAX_BODY_BYTES} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)


def _refuse_expired(expires_at: str | None, now: float) -> None:
    """A request that was held up on its way past its own deadline (Unix milliseconds) is not executed."""
    if expires_at is None:
        return
    if _MILLISECONDS.fullmatch(expires_at) is None:
        raise invalid("Request-Expires-At", "must be Unix milliseconds")
    if int(expires_at) < now * 1000:
        raise NotTaken(408, "request_expired", "The request came after its own deadline and was not executed.")
