"""What is sent to NICE (Start API v1, JSON). Pure translation: no I/O, no clock, no state; the way back is `answer`.

``ediDate`` and ``signData`` are voluntary at NICE. They are sent always: with them nobody can change an amount.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from domain.gateway import Call
from gateways.nice.seal import seal

KOREA = timezone(timedelta(hours=9), "KST")
"""NICE's dates are Korean; Korea has no summer time."""

_AROUND_MIDNIGHT = timedelta(minutes=5)
_GOODS_BYTES = 40
_OUR_REASON = re.compile(r"refund [A-Za-z0-9_-]{16,64}")
_PAGE_SIZE = 500
METHODS = {"card": "card", "transfer": "bank", "virtual_account": "vbank", "mobile": "cellphone"}
"""Our word for a way to pay -> the window's ``method``."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """``client_key`` names the merchant in the window; ``secret_key`` signs."""

    client_key: str
    secret_key: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request: ``path`` is quoted and relative to the account."""

    method: str
    path: str
    body: bytes = b""


def billing(call: Call, token: str, edi_date: str, secret: str) -> Outgoing:
    """Pay with a billing id (manual, api/payment-subscribe.md): money moves with this one request."""
    fields = {
        "orderId": call.merchant_ref,
        "amount": call.amount,
        "goodsName": goods_name(call),
        "cardQuota": call.instalments if call.instalments > 1 else 0,
        "useShopInterest": False,
        **_tax_free(call),
    }
    sealed = _sealed(fields, edi_date, call.merchant_ref, token, edi_date, secret)
    return _post(f"/v1/subscribe/{quote(token, safe='')}/payments", sealed)


def approval(call: Call, tid: str, edi_date: str, secret: str) -> Outgoing:
    """Take what the customer has authenticated in the window (api/payment-window-server.md)."""
    sealed = _sealed({"amount": call.amount}, edi_date, tid, call.amount, edi_date, secret)
    return _post(f"/v1/payments/{quote(tid, safe='')}", sealed)


def refund(call: Call, tid: str, edi_date: str, secret: str) -> Outgoing:
    """Cancel a part or all (api/cancel.md). The call's key is the cancel's own order id, which NICE takes once.

    ``cancelAmt`` is always stated: without it NICE gives back all that is left.
    """
    fields: dict[str, Any] = {"reason": refund_reason(call.key), "orderId": call.key, "cancelAmt": call.amount}
    ours = {"refundAccount": "refund_account", "refundBankCode": "refund_bank", "refundHolder": "refund_holder"}
    fields |= {name: call.details[key] for name, key in ours.items() if key in call.details} | _tax_free(call)
    return _post(f"/v1/payments/{quote(tid, safe='')}/cancel", _sealed(fields, edi_date, tid, edi_date, secret))


def undoing(call: Call, tid: str, balance: int | None, edi_date: str, secret: str) -> Outgoing:
    """Cancel ``balance`` minor units, which is all that is left; None: an account nobody has paid into yet."""
    fields: dict[str, Any] = {"reason": f"undo {call.merchant_ref}", "orderId": call.key}
    if balance is not None:
        fields["cancelAmt"] = balance
    return _post(f"/v1/payments/{quote(tid, safe='')}/cancel", _sealed(fields, edi_date, tid, edi_date, secret))


def net_cancel(call: Call, edi_date: str, secret: str) -> Outgoing:
    """Undo what a lost answer may have done; NICE takes it for an hour after the request (api/cancel.md)."""
    fields = {"orderId": call.merchant_ref}
    return _post("/v1/payments/netcancel", _sealed(fields, edi_date, call.merchant_ref, edi_date, secret))


def question(tid: str) -> Outgoing:
    """One payment by NICE's own id."""
    return Outgoing("GET", f"/v1/payments/{quote(tid, safe='')}")


def search(merchant_ref: str, day: date) -> Outgoing:
    """One payment by our reference; ``day``: the Korean day on which it was ordered."""
    return Outgoing("GET", f"/v1/payments/find/{quote(merchant_ref, safe='')}?orderDate={day:%Y%m%d}")


def order_days(sent_at: datetime) -> Iterator[date]:
    """The Korean day of ``sent_at``; the neighbour too if it is minutes from midnight."""
    first = (sent_at - _AROUND_MIDNIGHT).astimezone(KOREA).date()
    last = (sent_at + _AROUND_MIDNIGHT).astimezone(KOREA).date()
    yield first
    if last != first:
        yield last


def settlement_page(day: date, page: int) -> Outgoing:
    """One page, from 1, of what was settled on a Korean day. The manual has no such endpoint yet: see the guide."""
    return Outgoing("GET", f"/v1/settlements?settlementDate={day:%Y%m%d}&page={page}&size={_PAGE_SIZE}")


def window_fields(call: Call, credentials: Credentials, return_url: str) -> dict[str, str]:
    """What ``AUTHNICE.requestPay`` is called with: nothing of it is secret, the customer's browser sees it."""
    fields = {
        "clientId": credentials.client_key,
        "method": METHODS.get(call.method, call.method),
        "orderId": call.merchant_ref,
        "amount": str(call.amount),
        "goodsName": goods_name(call),
        "returnUrl": return_url,
    }
    if fields["method"] == "vbank":
        fields["vbankHolder"] = goods_name(call)
    elif call.instalments > 1:
        fields["cardQuota"] = f"{call.instalments:02d}"
    return fields | {name: str(amount) for name, amount in _tax_free(call).items()}


def goods_name(call: Call) -> str:
    """At most 40 bytes of what the customer is told; NICE itself replaces quotes and bars."""
    text = (call.description or call.merchant_ref).replace('"', "-").replace("|", "-")
    return text.encode()[:_GOODS_BYTES].decode(errors="ignore")


def _tax_free(call: Call) -> dict[str, int]:
    """NICE takes an eleventh of the rest for tax. Said in the window: the approval after it has no such field."""
    return {"taxFreeAmt": call.tax_free} if call.tax_free else {}


def refund_reason(key: str) -> str:
    """A cancel's only field that comes back in a payment's list of cancels: it carries the key of the refund."""
    return f"refund {key}"


def is_our_refund(reason: object) -> bool:
    """Whether a cancel was asked for by `refund`, whatever its key."""
    return isinstance(reason, str) and _OUR_REASON.fullmatch(reason) is not None


def edi_date(now: float) -> str:
    """``now`` (Unix seconds) as NICE writes it: ISO 8601, milliseconds, Korean offset."""
    return datetime.fromtimestamp(now, KOREA).isoformat(timespec="milliseconds").replace("+09:00", "+0900")


def _sealed(fields: dict[str, Any], edi_date: str, *parts: str | int) -> dict[str, Any]:
    return {**fields, "ediDate": edi_date, "signData": seal(*parts)}


def _post(path: str, fields: dict[str, Any]) -> Outgoing:
    return Outgoing("POST", path, json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode())
