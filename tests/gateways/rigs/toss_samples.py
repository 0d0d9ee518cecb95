"""What Toss Payments says, as samples, and an adapter that hears it."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from domain.gateway import Answer, Call, OperationKind
from gateways.gateway import Account
from gateways.toss.adapter import TossGateway
from tests.gateways.rig import AUTHORIZE, LOOKUP, REFUND

SECRET = "test_sk_of_the_tests"
NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
KEY = "0123456789abcdef-a1"
CHARGE = Call(
    operation_id=UUID(int=1),
    kind=AUTHORIZE,
    account="toss-a",
    merchant_ref="order-000001",
    key=KEY,
    amount=15_000,
    currency="KRW",
    method="card",
    token="billing-key",
    customer="customer-1",
    description="Order 1",
)
WINDOW = dataclasses.replace(CHARGE, token=None, return_url="https://shop.test/back?x=1")
RETURNED = dataclasses.replace(WINDOW, details={"payment_key": "pk_1", "amount": "15000"})
DEPOSIT = dataclasses.replace(CHARGE, token=None, method="virtual_account")
PAID = dataclasses.replace(CHARGE, reference="pk_1", token=None)
GIVE_BACK = dataclasses.replace(PAID, kind=REFUND, amount=4_000)
PAYMENT: dict[str, Any] = {
    "paymentKey": "pk_1",
    "orderId": "order-000001",
    "status": "DONE",
    "totalAmount": 15_000,
    "balanceAmount": 15_000,
    "currency": "KRW",
    "method": "카드",
    "approvedAt": "2026-11-23T12:00:00+09:00",
    "lastTransactionKey": "TX1",
    "cancels": None,
    "failure": None,
    "checkout": {"url": "https://pay.test/window"},
    "virtualAccount": None,
}
CANCEL: dict[str, Any] = {
    "transactionKey": "TX2",
    "cancelAmount": 4_000,
    "cancelReason": f"refund [{KEY}]",
    "cancelStatus": "DONE",
}
REFUNDED = PAYMENT | {"status": "PARTIAL_CANCELED", "balanceAmount": 11_000, "cancels": [CANCEL]}
ACCOUNT = {
    "bankCode": "20",
    "accountNumber": "X6505636518308",
    "customerName": "Kim",
    "dueDate": "2026-11-30T12:00:00+09:00",
    "expired": False,
    "refundStatus": "NONE",
}
WAITING = PAYMENT | {
    "status": "WAITING_FOR_DEPOSIT",
    "approvedAt": None,
    "virtualAccount": ACCOUNT,
    "method": "가상계좌",
}

Respond = Callable[[httpx.Request], httpx.Response]


def said(body: Any, status: int = 200) -> Respond:
    return lambda _request: httpx.Response(status, json=body, headers={"x-tosspayments-trace-id": "trace-1"})


async def perform(call: Call, respond: Respond) -> Answer:
    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
        account = Account("toss-a", "https://pg.test", SECRET)
        return await TossGateway(account, client=client, clock=NOW.timestamp).perform(call)


async def refused(call: Call, code: str, status: int = 400) -> Answer:
    return await perform(call, said({"code": code, "message": None}, status))


def about(call: Call, kind: OperationKind = LOOKUP, *, age: int | None = 3600) -> Call:
    sent_at = None if age is None else NOW - timedelta(seconds=age)
    asked = dataclasses.replace(call, kind=kind, subject=call.kind, subject_key=call.key, subject_sent_at=sent_at)
    return dataclasses.replace(asked, key="fedcba9876543210-n1")
