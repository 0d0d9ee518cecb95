"""What NICE checks at its door: the merchant's keys, JSON, fields, their lengths, and the voluntary ``signData``."""

import base64
import hmac
import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateways.sandbox.server.intake import ACCOUNT, MAX_BODY_BYTES
from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors.nice_paper import Credential, NiceRefusal, seal

_MAX_AMOUNT = 10**12 - 1
_WHOLE = re.compile(r"-?[0-9]{1,15}")
TOKEN_SECONDS = 1800


def account_of(request: Request) -> str:
    """The account of the path. Raises `NiceRefusal`."""
    account: str = request.path_params["account"]
    if ACCOUNT.fullmatch(account) is None:
        raise NiceRefusal("U313", status=404)
    return account


def authenticate(counter: Counter, request: Request, account: str) -> Credential:
    """Basic keys, or a Bearer token that was given out for them. Raises `NiceRefusal` with HTTP 401."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        token = counter.read(account, "token", given.strip())
        if token is None or token["until"] < counter.clock():
            raise NiceRefusal("U305", status=401)
        return Credential(token["client"], token["secret"])
    try:
        client, _, secret = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except ValueError as error:
        raise NiceRefusal("U304", status=401) from error
    expected = counter.keys.get(account, "")
    wrong = bool(counter.keys) and not hmac.compare_digest(expected.encode(), secret.encode())
    if scheme.lower() != "basic" or not client or not secret or wrong:
        raise NiceRefusal("U304", status=401)
    return Credential(client, secret)


async def read_fields(request: Request) -> dict[str, Any]:
    """The body as a JSON object. Raises `NiceRefusal`."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise NiceRefusal("P009")
    try:
        fields = json.loads(raw or b"{}")
    except (ValueError, RecursionError) as error:
        raise NiceRefusal("U131") from error
    if not isinstance(fields, dict):
        raise NiceRefusal("U131")
    return fields


def text(fields: dict[str, Any], name: str, most: int) -> str:
    """A text that must be there, of at most ``most`` bytes. Raises `NiceRefusal`."""
    value = fields.get(name)
    if value is None or value == "":
        raise NiceRefusal("U100", name)
    if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
        raise NiceRefusal("U131")
    if len(value.encode()) > most:
        raise NiceRefusal("P009", name, value, most)
    return value


def whole(fields: dict[str, Any], name: str) -> int | None:
    """Whole won, also as a string: NICE's own samples send the form's text on. Raises `NiceRefusal`."""
    value = fields.get(name)
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    if value is not None and type(value) is not int:
        raise NiceRefusal("P010", name, value)
    return value


def amount(fields: dict[str, Any], name: str = "amount") -> int:
    """Whole won that must be there. Raises `NiceRefusal`."""
    value = whole(fields, name)
    if value is None:
        raise NiceRefusal("U100", name)
    if not 1 <= value <= _MAX_AMOUNT:
        raise NiceRefusal("U127")
    return value


def tax_free(fields: dict[str, Any], most: int, refusal: str) -> int:
    """What of an amount is free of tax; 0 where nothing is said. Raises `NiceRefusal`: ``refusal`` beyond ``most``."""
    value = whole(fields, "taxFreeAmt") or 0
    if not 0 <= value <= most:
        raise NiceRefusal(refusal)
    return value


def check_seal(fields: dict[str, Any], *parts: str | int, secret: str) -> None:
    """If the request has ``signData``, it must be the seal of ``parts``, ``ediDate`` and the key."""
    given = fields.get("signData")
    if given is None:
        return
    expected = seal(*parts, text(fields, "ediDate", 40), secret)
    if not isinstance(given, str) or not given.isascii() or not hmac.compare_digest(given, expected):
        raise NiceRefusal("U312")


def encoded(response: Response, charset: object) -> Response:
    """The answer in the ``returnCharSet`` that was asked for; what EUC-KR does not have becomes a question mark."""
    if not isinstance(charset, str) or charset.lower() != "euc-kr" or not response.body:
        return response
    response.body = bytes(response.body).decode().encode("euc-kr", "replace")
    response.headers["content-length"] = str(len(response.body))
    response.headers["content-type"] = "application/json;charset=euc-kr"
    return response
