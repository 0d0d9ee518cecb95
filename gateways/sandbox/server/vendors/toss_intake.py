"""What Toss Payments checks of a request before it does anything: credentials, headers, fields."""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Mapping, Set
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request

from gateways.sandbox.server.intake import ACCOUNT
from gateways.sandbox.server.vendors.toss_bank import INSTITUTIONS, ISSUERS, number_of
from gateways.sandbox.server.vendors.toss_error import ERRORS, TossError
from gateways.sandbox.server.vendors.toss_payment import KST, METHODS, RECEIPT_TYPES

MAX_BODY_BYTES = 65_536
LONGEST_KEY = 300
USUAL_HOURS, _MOST_HOURS = 168, 720
_ORDER_ID = re.compile(r"[A-Za-z0-9_.=-]{6,64}")
_CUSTOMER_KEY = re.compile(r"[A-Za-z0-9_=.,@*-]{2,300}")
_DIGITS = re.compile(r"[0-9]{1,20}")
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_NUMBERS = frozenset(
    {
        "amount",
        "cancelAmount",
        "cardInstallmentPlan",
        "refundableAmount",
        "taxExemptionAmount",
        "taxFreeAmount",
        "validHours",
    }
)
_FREE = frozenset({"metadata", "useEscrow", "cultureExpense"})
"""Fields whose values stay what they are."""
_MAX_AMOUNT = 10**12
_NO_RECEIPT = "미발행"
_MINIMUM = {"카드": 100, "계좌이체": 200}
_MOST_MONTHS = 12
_MONTHS_FROM = 50_000


def authenticate(request: Request, keys: Mapping[str, str]) -> tuple[str, str]:
    """The account of the path and its secret key. No configured keys: any key will do."""
    account: str = request.path_params["account"]
    if ACCOUNT.fullmatch(account) is None:
        raise TossError("NOT_FOUND")
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic" or not encoded.strip():
        raise TossError("UNAUTHORIZED_KEY")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise TossError("INCORRECT_BASIC_AUTH_FORMAT") from error
    secret, colon, password = decoded.partition(":")
    if not colon or password:
        raise TossError("INCORRECT_BASIC_AUTH_FORMAT")
    if not secret or (keys and not hmac.compare_digest(keys.get(account, "").encode(), secret.encode())):
        raise TossError("UNAUTHORIZED_KEY")
    return account, secret


def forced_error(request: Request, secret: str) -> str | None:
    """The code that ``TossPayments-Test-Code`` asks for; live keys have no such header."""
    wanted = request.headers.get("tosspayments-test-code")
    if wanted is None or secret.startswith("live_"):
        return None
    return wanted if wanted in ERRORS else "INVALID_TEST_CODE"


async def read_body(request: Request) -> dict[str, Any]:
    """The JSON object of a request, which can be said again; an empty body is ``{}``."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise TossError("INVALID_REQUEST")
    try:
        body = json.loads(raw or b"{}")
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise TossError("INVALID_REQUEST") from error
    if not isinstance(body, dict):
        raise TossError("INVALID_REQUEST")
    return _bound(body)


def check_order(body: Mapping[str, Any], method: str) -> None:
    """What every payment names: amount, orderId, orderName, and what may stand beside them."""
    amount = whole(body, "amount")
    _require(isinstance(body.get("orderId"), str) and _ORDER_ID.fullmatch(body["orderId"]), "INVALID_ORDER_ID")
    _require(isinstance(body.get("orderName"), str) and 1 <= len(body["orderName"]) <= 100, "INVALID_ORDER_NAME")
    _require(amount >= _MINIMUM.get(method, 1), "BELOW_MINIMUM_AMOUNT")
    _require(amount <= _MAX_AMOUNT, "EXCEED_MAX_AMOUNT")
    _require(whole(body, "taxFreeAmount", 0) + whole(body, "taxExemptionAmount", 0) <= amount)
    months = whole(body, "cardInstallmentPlan", 0)
    _require(months in {0, *range(2, _MOST_MONTHS + 1)}, "EXCEED_MAX_CARD_INSTALLMENT_PLAN")
    _require(months == 0 or amount >= _MONTHS_FROM, "INVALID_CARD_INSTALLMENT_AMOUNT")
    metadata = body.get("metadata")
    _require(metadata is None or (isinstance(metadata, dict) and len(metadata) <= 5))
    _require(isinstance(body.get("customerMobilePhone"), str | None))
    _require(all(isinstance(body.get(name, False), bool | None) for name in ("useEscrow", "cultureExpense")))


def method_of(body: Mapping[str, Any]) -> str:
    """The Korean word of the ``method``, which may be given in either language."""
    stated = body.get("method")
    word = METHODS.get(stated, stated) if isinstance(stated, str) else None
    _require(word in set(METHODS.values()), "NOT_SUPPORTED_METHOD")
    return str(word)


def check_urls(body: Mapping[str, Any]) -> None:
    """Where the customer's window ends."""
    for name, code in (("successUrl", "INCORRECT_SUCCESS_URL_FORMAT"), ("failUrl", "INCORRECT_FAIL_URL_FORMAT")):
        _require(_is_address(body.get(name)), code)


def check_customer_key(body: Mapping[str, Any]) -> str:
    """The merchant's own id of the customer."""
    key = text(body, "customerKey", 300)
    _require(_CUSTOMER_KEY.fullmatch(key))
    return key


def check_card(body: Mapping[str, Any]) -> str:
    """A card typed in, to be shown: any number of a card's length will do, as in Toss's test environment."""
    number = text(body, "cardNumber", 20)
    _require(_DIGITS.fullmatch(number) and len(number) >= 13, "INVALID_CARD_NUMBER")
    month, year = text(body, "cardExpirationMonth", 2), text(body, "cardExpirationYear", 2)
    _require(month.isdecimal() and 1 <= int(month) <= 12 and year.isdecimal(), "INVALID_CARD_EXPIRATION")
    _require(_DIGITS.fullmatch(text(body, "customerIdentityNumber", 10)))
    return masked(number)


def bank_of(body: Mapping[str, Any], among: Set[str] = ISSUERS) -> str:
    """The number of a bank, which may be given by number or name."""
    number = number_of(text(body, "bank", 50))
    _require(number in among, "INVALID_BANK")
    return str(number)


def masked(number: str) -> str:
    """A card's number as answers show it: 16 digits become ``94100012****789*``."""
    return f"{number[:8]}{'*' * (len(number) - 12)}{number[-4:-1]}*"


def due_of(body: Mapping[str, Any], now: float) -> float:
    """When a virtual account closes (Unix seconds): ``dueDate``, else ``validHours``, else in 168 hours."""
    stated = body.get("dueDate")
    if stated is None:
        hours = whole(body, "validHours", USUAL_HOURS)
        _require(1 <= hours <= _MOST_HOURS, "EXCEED_MAX_VALID_HOURS")
        return now + hours * 3600
    try:
        due = datetime.fromisoformat(stated) if isinstance(stated, str) else None
    except ValueError:
        due = None
    if due is None:
        raise TossError("INVALID_DATE")
    seconds = (due if due.tzinfo else due.replace(tzinfo=KST)).timestamp()
    _require(now < seconds, "INVALID_DATE")
    _require(seconds <= now + _MOST_HOURS * 3600, "EXCEED_MAX_DUE_DATE")
    return seconds


def refund_account(body: Mapping[str, Any]) -> dict[str, str] | None:
    """Where a deposit goes back to, in the words of the ``Payment`` object."""
    stated = body.get("refundReceiveAccount")
    if stated is None:
        return None
    _require(isinstance(stated, dict))
    number = stated.get("accountNumber")
    _require(isinstance(number, str) and _DIGITS.fullmatch(number), "INVALID_REFUND_ACCOUNT_NUMBER")
    holder = stated.get("holderName")
    _require(isinstance(holder, str) and 1 <= len(holder) <= 60, "INVALID_REFUND_ACCOUNT_INFO")
    return {"bankCode": bank_of(stated, INSTITUTIONS), "accountNumber": str(number), "holderName": str(holder)}


def check_currency(body: Mapping[str, Any]) -> None:
    """A cancel may state its currency, which is that of the payment."""
    _require(body.get("currency") in [None, "KRW"])


def cash_receipt(body: Mapping[str, Any]) -> dict[str, str] | None:
    """The cash receipt that a depositor wants: what for, and whose it is; None for none."""
    stated = body.get("cashReceipt")
    if stated is None:
        return None
    _require(isinstance(stated, dict) and stated.get("type") in [*RECEIPT_TYPES, _NO_RECEIPT])
    if stated["type"] == _NO_RECEIPT:
        return None
    number = text(stated, "registrationNumber", 30)
    _require(number.isdecimal())
    return {"type": stated["type"], "customerIdentityNumber": number}


def text(body: Mapping[str, Any], name: str, longest: int) -> str:
    """A string that is not empty."""
    value = body.get(name)
    _require(isinstance(value, str) and 1 <= len(value) <= longest)
    return str(value)


def whole(body: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """A whole number, not negative."""
    value = body.get(name, default)
    value = default if value is None else value
    if type(value) is not int or value < 0:
        raise TossError("INVALID_REQUEST")
    return value


def _bound(body: dict[str, Any]) -> dict[str, Any]:
    """The fields as Toss binds them: ``"15000"`` is an amount, ``71`` is an order's id."""
    return {
        name: _bound(value) if isinstance(value, dict) and name not in _FREE else _scalar(name, value)
        for name, value in body.items()
    }


def _scalar(name: str, value: Any) -> Any:
    if name in _FREE or isinstance(value, bool):
        return value
    if name not in _NUMBERS:
        return str(value) if isinstance(value, int) else value
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_address(value: object) -> bool:
    if not isinstance(value, str) or len(value) > 2_000 or any(ord(letter) < 33 for letter in value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _require(fact: object, code: str = "INVALID_REQUEST") -> None:
    if not fact:
        raise TossError(code)
