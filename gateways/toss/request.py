"""What Toss Payments is asked: a `Call` as one HTTP request. Pure: the same call is the same bytes.

Amounts are KRW, whose minor unit is the won.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from domain.gateway import Answer, Call, Decline, Evidence, OperationKind, Outcome, Retry
from gateways.transport import turned_away

VIRTUAL_ACCOUNT = "virtual_account"
METHODS = {"card": "카드", "transfer": "계좌이체", "mobile": "휴대폰", "easy_pay": "간편결제"}
"""Our method -> Toss's word, for its payment window."""
USUAL_BANK = "20"
"""Woori: issues virtual accounts around the clock."""
CURRENCY = "KRW"

_CUSTOMER_KEY = re.compile(r"[A-Za-z0-9\-_=.,@*]{2,300}")
_MARK = re.compile(r"(refund|void|neutralize) \[[A-Za-z0-9_-]{1,64}\]")
_PAYMENT_KEY = re.compile(r"[A-Za-z0-9_=.-]{1,200}")
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request: ``path`` is quoted and relative to the account's address."""

    method: str
    path: str
    body: bytes = b""

    def key(self, call: Call) -> str:
        """The idempotency key: another request never has the same, for Toss replays without looking at the body.

        The bytes of the body are part of it. Whoever changes what a body looks like changes the keys of operations
        that are under way: their replays would be new requests. A test pins them.
        """
        digest = hashlib.sha256(b"\n".join((self.method.encode(), self.path.encode(), self.body))).hexdigest()
        return f"{call.key}-{digest[:16]}"


def opening(call: Call) -> Outgoing | Answer:
    """What an authorization sends first: confirm, charge, virtual account or window. An `Answer`: nothing is sent."""
    if not call.capture_now:
        return _kept_back("Toss captures at once")
    if call.currency != CURRENCY:
        return _kept_back(f"Toss is asked in {CURRENCY} only")
    if "payment_key" in call.details:
        return _confirmation(call)
    if call.token is not None:
        return _billing(call, call.token)
    if call.method == VIRTUAL_ACCOUNT:
        return _virtual_account(call)
    return _window(call)


def cancellation(call: Call, reference: str) -> Outgoing:
    """Refund of ``call.amount``; a void or a neutralisation cancels all that is left, so it names no amount."""
    fields: dict[str, Any] = {"cancelReason": mark_of(call)}
    if call.kind is OperationKind.REFUND:
        fields["cancelAmount"] = call.amount
        fields |= _tax_free(call)
    if call.kind is not OperationKind.VOID and "refund_account" in call.details:
        fields["refundReceiveAccount"] = {
            "bank": call.details.get("refund_bank", ""),
            "accountNumber": call.details["refund_account"],
            "holderName": call.details.get("refund_holder", ""),
        }
    return _post(f"/v1/payments/{quote(reference, safe='')}/cancel", fields)


def mark_of(call: Call) -> str:
    """The reason we give for a cancel: with the operation's key, so that a lookup finds it among ``cancels``.

    The key and not the transactionKey: that one is Toss's, and unknown exactly when the answer was lost.
    """
    if call.kind is OperationKind.NEUTRALIZE and call.subject is OperationKind.AUTHORIZE:
        return neutralization_mark(call)
    return f"{(call.subject or call.kind).value} [{call.subject_key or call.key}]"


def is_marked(reason: object) -> bool:
    """Whether the reason of a cancel is a mark of ours, of whichever operation."""
    return isinstance(reason, str) and _MARK.fullmatch(reason) is not None


def neutralization_mark(call: Call) -> str:
    """The reason of a cancel that neutralises the authorization which ``call`` is or is about."""
    return f"neutralize [{call.subject_key or call.key}]"


def question(call: Call) -> Outgoing:
    """The payment as it stands: by the paymentKey that Toss gave us, else by our orderId.

    Never by the one that a customer brought back: anybody can write it into an address.
    """
    if call.reference is not None and "payment_key" not in call.details:
        return Outgoing("GET", f"/v1/payments/{quote(call.reference, safe='')}")
    return Outgoing("GET", f"/v1/payments/orders/{quote(call.merchant_ref, safe='')}")


def _confirmation(call: Call) -> Outgoing | Answer:
    payment_key = call.details["payment_key"]
    if call.details.get("amount", str(call.amount)) != str(call.amount):
        return turned_away("another amount than was asked; not sent")
    if _PAYMENT_KEY.fullmatch(payment_key) is None or payment_key != (call.reference or payment_key):
        return turned_away("another paymentKey than the window has; not sent")
    fields = {"paymentKey": payment_key, "orderId": call.merchant_ref, "amount": call.amount}
    return _post("/v1/payments/confirm", fields)


def _billing(call: Call, token: str) -> Outgoing | Answer:
    if call.customer is None or _CUSTOMER_KEY.fullmatch(call.customer) is None:
        return _unfit("a billing key is charged for the customer whom it was issued to; none is named")
    plan = {"cardInstallmentPlan": call.instalments} if call.instalments > 1 else {}
    return _post(f"/v1/billing/{quote(token, safe='')}", {**_order(call), "customerKey": call.customer, **plan})


def _virtual_account(call: Call) -> Outgoing:
    depositor = call.details.get("customer_name") or call.customer or call.merchant_ref
    bank = call.details.get("bank", USUAL_BANK)
    return _post("/v1/virtual-accounts", {**_order(call), "customerName": depositor[:_LONGEST_NAME], "bank": bank})


def _window(call: Call) -> Outgoing | Answer:
    if call.method not in METHODS:
        return _kept_back("Toss has no window for this method")
    if call.return_url is None:
        return _unfit("the customer's window needs a return_url")
    plan = {"cardInstallmentPlan": call.instalments} if call.method == "card" and call.instalments > 1 else {}
    urls = {"successUrl": call.return_url, "failUrl": call.return_url}
    return _post("/v1/payments", {"method": METHODS[call.method], **_order(call), **urls, **plan})


def _order(call: Call) -> dict[str, Any]:
    name = (call.description or call.merchant_ref)[:_LONGEST_NAME]
    return {"amount": call.amount, "orderId": call.merchant_ref, "orderName": name, **_tax_free(call)}


def _tax_free(call: Call) -> dict[str, int]:
    """Toss takes an eleventh of the rest for tax. Left out where there is none, as in requests of before: see `key`."""
    return {"taxFreeAmount": call.tax_free} if call.tax_free else {}


def _post(path: str, fields: dict[str, Any]) -> Outgoing:
    return Outgoing("POST", path, json.dumps(fields, separators=(",", ":"), sort_keys=True).encode())


def _kept_back(detail: str) -> Answer:
    return Answer(Outcome.NOT_EXECUTED, evidence=Evidence(detail=detail))


def _unfit(detail: str) -> Answer:
    """Toss cannot take what this customer brings, another PG may: nothing is sent, and Toss is not sick."""
    refusal = Decline("not_supported", "not_sent", detail, Retry.OTHER_PG)
    return Answer(Outcome.DECLINED, decline=refusal, evidence=Evidence(detail=detail))
