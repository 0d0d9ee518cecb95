"""What comes in at the Adyen personality, checked before anything is touched: key, account, JSON, amount, reference."""

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request

from domain.money import EXPONENTS
from gateways.sandbox.server.intake import ACCOUNT, MAX_AMOUNT
from gateways.sandbox.server.vendors.adyen_word import (
    AdyenError,
    Amount,
    invalid_field,
    invalid_merchant,
    missing_field,
    moment,
    unauthorized,
)

_MAX_BODY_BYTES = 262_144
LONGEST_KEY = 64
_LONGEST_REFERENCE = 80


@dataclass(frozen=True, slots=True)
class Order:
    """One POST: ``key`` empty if the merchant sent none; ``original`` the payment in the path."""

    account: str
    key: str
    fields: dict[str, Any]
    original: str = ""

    @property
    def merchant(self) -> str:
        """The merchant account of the body."""
        return str(self.fields["merchantAccount"])

    @property
    def test_error(self) -> str:
        """additionalData.RequestedTestErrorResponseCode: a communication error that the merchant wants to see."""
        given = self.fields.get("additionalData")
        names = ("RequestedTestErrorResponseCode", "requestedTestErrorResponseCode")
        stated = [str(given[name]) for name in names if name in given] if isinstance(given, dict) else []
        return stated[0] if stated else ""


def authenticate(request: Request, keys: Mapping[str, str]) -> str:
    """The account of the path, once X-API-Key or the password of Basic has been checked.

    No configured keys: any key will do.
    """
    account: str = request.path_params["account"]
    given = request.headers.get("x-api-key", "").strip() or _password(request.headers.get("authorization", ""))
    if ACCOUNT.fullmatch(account) is None or not given:
        raise unauthorized()
    if keys and not hmac.compare_digest(keys.get(account, "").encode(), given.encode("utf-8", "surrogatepass")):
        raise unauthorized()
    return account


def _password(header: str) -> str:
    """Of a Basic authorization; empty for anything else."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


async def read_order(request: Request, account: str) -> Order:
    """The body as a JSON object with its key. Raises `AdyenError`."""
    key = request.headers.get("idempotency-key", "")
    if len(key) > LONGEST_KEY:
        raise AdyenError(422, "702", f"The Idempotency-Key has more than {LONGEST_KEY} characters")
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > _MAX_BODY_BYTES:
            raise AdyenError(400, "702", "The request is too large")
    try:
        fields = json.loads(raw or b"null")
        json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()  # What comes back must be JSON in UTF-8.
    except (ValueError, RecursionError) as error:
        raise AdyenError(400, "702", "Unexpected input, expected: {") from error
    if not isinstance(fields, dict):
        raise AdyenError(400, "702", "Unexpected input, expected: {")
    return Order(account, key, fields, request.path_params.get("original", ""))


def require_merchant(order: Order) -> None:
    """Raises 403 901 for a body without a merchant account."""
    given = order.fields.get("merchantAccount")
    if not isinstance(given, str) or not given.strip():
        raise invalid_merchant()


def refuse_stranger(order: Order, merchants: Mapping[str, str]) -> None:
    """Raises 403 901 for the merchant account of somebody else than the key's; an endpoint without one has none."""
    given, own = order.fields.get("merchantAccount"), merchants.get(order.account)
    if own is not None and given is not None and given != own:
        raise invalid_merchant()


def read_amount(fields: Mapping[str, Any]) -> Amount:
    """``amount``. Raises 422 100, 137, 138."""
    given = fields.get("amount")
    if not isinstance(given, dict):
        raise AdyenError(422, "100", "Required object 'amount' is not provided.")
    value, currency = given.get("value"), given.get("currency")
    if type(value) is not int or not 1 <= value <= MAX_AMOUNT:
        raise AdyenError(422, "137", "Field 'amount' is not valid.")
    if not isinstance(currency, str) or currency not in EXPONENTS:
        raise AdyenError(422, "138", "Unsupported currency specified")
    return Amount(currency, value)


def read_reference(fields: Mapping[str, Any], *, required: bool) -> str:
    """``reference``, at most 80 characters; empty if it may be left out. Raises 422 130, 192, 29_001."""
    given = fields.get("reference") or ""
    if not isinstance(given, str):
        raise invalid_field("reference")
    if required and not given:
        raise missing_field("reference")
    if len(given) > _LONGEST_REFERENCE:
        raise AdyenError(422, "29_001", f"Field 'reference' may not exceed {_LONGEST_REFERENCE} characters.")
    return given


def read_return_url(fields: Mapping[str, Any]) -> str:
    """``returnUrl``. Raises 422 14_030."""
    given = fields.get("returnUrl")
    if not isinstance(given, str) or not given:
        raise AdyenError(422, "14_030", "Return URL is missing.")
    return given


def read_expiry(fields: Mapping[str, Any], now: float, seconds: float) -> float:
    """``expiresAt``, else so many ``seconds`` from ``now``; Unix seconds. Raises 422 192."""
    if fields.get("expiresAt") is None:
        return now + seconds
    try:
        asked = datetime.fromisoformat(fields["expiresAt"]).timestamp()
        moment(asked)
    except (TypeError, ValueError, OverflowError) as error:
        raise invalid_field("expiresAt") from error
    return asked
