"""What NICE writes: a payment as its manual shows it (common/test.md, api/status-transaction.md), and refusals."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from gateways.sandbox.server.payment import UNDECIDED, Payment, Status
from gateways.sandbox.server.personality import Said

KOREA = timezone(timedelta(hours=9), "KST")
SUCCESS = "0000"
NEVER = "0"
"""What NICE writes for a point in time that has not come."""

PAY_METHODS: Mapping[str, str] = {
    **{name: name for name in ("card", "bank", "vbank", "cellphone", "payco", "ssgpay", "kakaopay")},
    "directCard": "card",
    "cardAndEasyPay": "card",
    "naverpayCard": "naverpay",
    "kakaopayCard": "kakaopay",
    "kakaopayMoney": "kakaopay",
    "samsungpayCard": "samsungpay",
}
"""The window's ``method`` -> ``payMethod`` of a payment."""
_WITHOUT_CARD = frozenset({"bank", "vbank", "cellphone"})

MESSAGES = {
    SUCCESS: "정상 처리되었습니다.",
    "2010": "취소 요청금액 0원 이하",
    "2012": "취소 해당거래 없음",
    "2013": "취소 완료 거래",
    "2014": "취소 불가능 거래",
    "2020": "망상 취소 허용시간 초과",
    "2032": "취소금액이 취소가능금액보다 큼",
    "3041": "금액 오류(1000원 미만 신용카드 승인 불가)",
    "9002": 'Try-Catch-Exception:"{}"',
    "A118": "조회 결과데이터 없음",
    "A123": "거래금액 불일치(인증된 금액과 승인요청 금액 불일치)",
    "A246": "비정상 과다접속으로 인한 오류입니다",
    "I002": "사용자가 결제를 취소하였습니다",
    "P009": "파라미터 {}:{} 길이가 최대길이{} 보다 큰값 입니다.",
    "P010": "파라미터 {}[{}]가 숫자형식이 아닙니다.",
    "P012": "파라미터 {}[{}]는 {} 값만 허용 합니다.",
    "P036": "면세금액이 결제금액을 초과할수 없습니다.",
    "P037": "5만원 미만인 경우 할부 지정이 불가 합니다.",
    "U100": "{} 필수입력항목이 누락되었습니다.",
    "U112": "이미 사용된 OrderId 입니다.",
    "U114": "이미 사용된 TID 입니다.",
    "U115": "삭제 처리된 BID 입니다.",
    "U120": "TID가 유효하지 않습니다.",
    "U127": "요청 금액이 올바르지 않습니다.",
    "U130": "허용된 Date형식이 아닙니다.",
    "U131": "허용된 Data형식이 아닙니다.",
    "U304": "BASIC AUTHENTICATION 실패",
    "U305": "BEARER AUTHENTICATION 실패",
    "U308": "Method Not Allowed.",
    "U309": "발급되지 않은 BID 입니다.",
    "U312": "SIGN DATA 검증에 실패하였습니다.",
    "U313": "상점 MID가 유효하지 않습니다.",
    "U319": "요청하신 면세금액이 취소가능한 면세금액을 초과 오류",
    "U320": "페이지를 찾을 수 없습니다.",
    "U504": "결제에 실패하였습니다.(망취소 처리)",
}
_FAILURES = {
    "generic_decline": ("3095", "카드사 실패 응답"),
    "lost_card": ("3095", "카드사 실패 응답(분실·도난 카드)"),
    "insufficient_funds": ("3095", "카드사 실패 응답(한도초과)"),
    "invalid_token": ("U309", MESSAGES["U309"]),
    "authentication_failed": ("U311", "인증이 취소되었거나 실패하였습니다. 다시 시도하여 주십시요."),
}
"""The sandbox's decline -> NICE's result. NICE has one code for what an issuer says, and the issuer's words."""


class NiceRefusal(Exception):
    """A result that is not a payment. ``about``: what the code's message names. ``status``: of HTTP."""

    def __init__(self, code: str, *about: object, status: int = 200) -> None:
        super().__init__(code)
        self.said = Said.json(status, {"resultCode": code, "resultMsg": MESSAGES[code].format(*about)})


@dataclass(frozen=True, slots=True)
class Credential:
    """Who asks: the client key and the secret key of a merchant."""

    client: str
    secret: str


def seal(*parts: str | int) -> str:
    """``hex(sha256(parts joined))``."""
    return hashlib.sha256("".join(map(str, parts)).encode()).hexdigest()


def stamp_of(now: float) -> str:
    """Unix seconds as NICE writes them: ISO 8601, milliseconds, Korean offset."""
    return datetime.fromtimestamp(now, KOREA).isoformat(timespec="milliseconds").replace("+09:00", "+0900")


def a_new_order(fields: Mapping[str, Any], tid: str, method: str, now: float) -> dict[str, Any]:
    """What is remembered of one payment beside the ledger: ``fields`` are the request's. ``now``: Unix seconds."""
    copied = ("orderId", "goodsName", "mallReserved", "mallUserId", "buyerName", "buyerTel", "buyerEmail")
    return {
        **{name: fields.get(name) for name in copied},
        "tid": tid,
        "payMethod": method,
        "cardQuota": int(fields.get("cardQuota") or 0),
        "taxFree": int(fields.get("taxFreeAmt") or 0),
        "channel": "pc",
        "orderedAt": now,
        "paidAt": NEVER,
        "failedAt": NEVER,
        "cancelledAt": NEVER,
        "cancels": [],
        "vbank": None,
        "expired": False,
    }


def status_of(order: Mapping[str, Any], payment: Payment) -> str:
    """NICE's word for where a payment is."""
    if payment.status in UNDECIDED:
        return "ready"
    if payment.status is Status.DECLINED:
        return "expired" if order["expired"] else "failed"
    if payment.status in {Status.CANCELLED, Status.REFUNDED}:
        return "cancelled"
    return "partialCancelled" if payment.refunded else "paid"


def paper(
    order: Mapping[str, Any], payment: Payment, secret: str, now: float, *, cancelled_tid: str | None = None
) -> dict[str, Any]:
    """The payment as it stands, in the fields and the order of the manual's example."""
    status, written = status_of(order, payment), stamp_of(now)
    code, message = SUCCESS, MESSAGES[SUCCESS]
    if status == "failed":
        code, message = _FAILURES[payment.decline or "generic_decline"]
    left = {"paid": payment.kept, "partialCancelled": payment.kept, "ready": payment.amount}.get(status, 0)
    return {
        "resultCode": code,
        "resultMsg": message,
        "tid": order["tid"],
        "cancelledTid": cancelled_tid,
        "orderId": order["orderId"],
        "ediDate": written,
        "signature": seal(order["tid"], payment.amount, written, secret),
        "status": status,
        "paidAt": order["paidAt"],
        "failedAt": order["failedAt"],
        "cancelledAt": order["cancelledAt"],
        "payMethod": order["payMethod"],
        "amount": payment.amount,
        "balanceAmt": left,
        "goodsName": order["goodsName"],
        "mallReserved": order["mallReserved"],
        "useEscrow": False,
        "currency": payment.currency,
        "channel": order["channel"],
        "approveNo": "000000",
        **{name: order[name] for name in ("buyerName", "buyerTel", "buyerEmail")},
        "receiptUrl": _receipt(order["tid"]),
        "mallUserId": order["mallUserId"],
        "issuedCashReceipt": False,
        "coupon": None,
        "card": _card(order["cardQuota"]) if order["payMethod"] not in _WITHOUT_CARD else None,
        "bank": {"bankCode": "088", "bankName": "신한은행"} if order["payMethod"] == "bank" else None,
        "vbank": order["vbank"],
        "cancels": [_cancel(one) for one in order["cancels"]] or None,
        "cashReceipts": None,
    }


def inflated(body: Any) -> Any:
    """The same answer with every amount that it states one won too high."""
    if isinstance(body, list):
        return [inflated(one) for one in body]
    if not isinstance(body, dict):
        return body
    amounts = {"amount", "balanceAmt"}
    return {name: value + 1 if name in amounts else inflated(value) for name, value in body.items()}


def _card(quota: int) -> dict[str, Any]:
    return {
        "cardCode": "04",
        "cardName": "삼성",
        "cardNum": "123412******1234",
        "cardQuota": quota,
        "isInterestFree": False,
        "cardType": "credit",
        "canPartCancel": True,
        "acquCardCode": "04",
        "acquCardName": "삼성",
    }


def _cancel(one: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: one[name] for name in ("tid", "amount", "cancelledAt", "reason")}
    return {**shown, "receiptUrl": _receipt(one["tid"]), "couponAmt": 0}


def _receipt(tid: str) -> str:
    return f"https://npg.nicepay.co.kr/issue/IssueLoader.do?type=0&innerWin=Y&TID={tid}"
