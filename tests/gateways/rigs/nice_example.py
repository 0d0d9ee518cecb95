"""The manual's own example of a payment, and a NICE that says what a test wants it to say."""

import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx

from domain.gateway import Answer, Call, OperationKind
from gateways.gateway import Account
from gateways.nice.adapter import NiceGateway

CLIENT_KEY = "58e3b578555e45738d6b569e53d5ae54"
SECRET_KEY = "4f13ca267dfa4fc6964148bedcda15ef"
"""The keys of the manual's example (common/test.md): its signatures can be checked with them."""
TID = "UT0000113m01012110051656331001"
ORDER = "b0980639-52db-4504-9e4d-97200827dc48"
AUTH_TOKEN = "NICEUNTT9FBBD87FD2393AFEE45A7DCA61C194AA"
AUTH_SIGNATURE = "7cc95c592e2a12f0292e1a20d68dd9eb8132fd3c0af675b981a4c1c2ce63a93b"
NOW = datetime(2021, 10, 5, 7, 56, 34, 447_000, tzinfo=UTC)
EDI_DATE = "2021-10-05T16:56:34.447+0900"
PAID: dict[str, Any] = {
    "resultCode": "0000",
    "resultMsg": "정상 처리되었습니다.",
    "tid": TID,
    "cancelledTid": None,
    "orderId": ORDER,
    "ediDate": EDI_DATE,
    "signature": "28c2e8bae912847541d4885db17648f963c7cc8e8249ff010097d6f1395df993",
    "status": "paid",
    "paidAt": "2021-10-05T16:56:34.000+0900",
    "failedAt": "0",
    "cancelledAt": "0",
    "payMethod": "card",
    "amount": 1004,
    "balanceAmt": 1004,
    "goodsName": "나이스페이-상품",
    "mallReserved": None,
    "useEscrow": False,
    "currency": "KRW",
    "channel": "pc",
    "approveNo": "000000",
    "buyerName": None,
    "buyerTel": None,
    "buyerEmail": None,
    "receiptUrl": "https://npg.nicepay.co.kr/issue/IssueLoader.do?type=0&innerWin=Y&TID=UT0000113m01012110051656331001",
    "mallUserId": None,
    "issuedCashReceipt": False,
    "coupon": None,
    "card": {
        "cardCode": "04",
        "cardName": "삼성",
        "cardNum": "123412******1234",
        "cardQuota": 0,
        "isInterestFree": False,
        "cardType": "credit",
        "canPartCancel": True,
        "acquCardCode": "04",
        "acquCardName": "삼성",
    },
    "vbank": None,
    "cancels": None,
    "cashReceipts": None,
}
"""The manual's example of an approval."""
KEY = "0123456789abcdef-r1"
CANCEL = {"tid": "UT0000113m01012110051656331002", "amount": 1004, "cancelledAt": EDI_DATE, "receiptUrl": "https://x"}
CANCELLED = PAID | {
    "status": "cancelled",
    "cancelledTid": CANCEL["tid"],
    "balanceAmt": 0,
    "cancels": [CANCEL | {"reason": f"refund {KEY}"}],
}
VBANK = {
    "vbankCode": "088",
    "vbankName": "신한은행",
    "vbankNumber": "56211102345678",
    "vbankExpDate": "2021-10-12T16:56:34.000+0900",
    "vbankHolder": "나이스",
}
CHARGE = Call(
    operation_id=UUID(int=1),
    kind=OperationKind.AUTHORIZE,
    account="nice-a",
    merchant_ref=ORDER,
    key="0123456789abcdef-a1",
    amount=1004,
    currency="KRW",
    method="card",
    token="BIKYnictest00m1104191651325596",
    description="나이스페이-상품",
)
REFUND = dataclasses.replace(CHARGE, kind=OperationKind.REFUND, key=KEY, reference=TID, token=None)
RETURNED = {"tid": TID, "auth_token": AUTH_TOKEN, "signature": AUTH_SIGNATURE, "amount": "1004"}
"""What the manual's example brings back from the window."""
LOOKUP, NEUTRALIZE = OperationKind.LOOKUP, OperationKind.NEUTRALIZE


def about(call: Call, kind: OperationKind, sent_at: datetime | None = NOW) -> Call:
    return dataclasses.replace(
        call, kind=kind, key="0123456789abcdef-n1", subject=call.kind, subject_key=call.key, subject_sent_at=sent_at
    )


@asynccontextmanager
async def nice(
    respond: Callable[[httpx.Request], httpx.Response], *, url: str = "http://pg.test", now: datetime = NOW
) -> AsyncIterator[NiceGateway]:
    account = Account("nice-a", url, SECRET_KEY, merchant=CLIENT_KEY)
    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
        yield NiceGateway(account, client=client, clock=now.timestamp)


async def answered(call: Call, *bodies: Any, status: int = 200, now: datetime = NOW) -> Answer:
    """The adapter's answer to ``call`` while NICE says ``bodies``, one after the other."""
    said = iter(bodies)
    async with nice(lambda _request: httpx.Response(status, json=next(said)), now=now) as gateway:
        answer = await gateway.perform(call)
    assert next(said, None) is None
    return answer


async def sent(call: Call, body: Any = PAID) -> tuple[str, dict[str, Any], httpx.Headers]:
    """The one request that ``call`` becomes."""
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=body)

    async with nice(respond) as gateway:
        await gateway.perform(call)
    (request,) = requests
    target = request.url.raw_path.decode()
    return f"{request.method} {target}", json.loads(request.content or b"{}"), request.headers


def refusal(code: str, message: str = "no") -> dict[str, Any]:
    return {"resultCode": code, "resultMsg": message}
