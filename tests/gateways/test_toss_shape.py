"""The sandbox's Toss says what Toss was seen to say: headers, scalars of either kind, every field of every object."""

import base64
import dataclasses
import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest

from domain.gateway import Outcome
from gateways.toss.adapter import TossGateway
from gateways.toss.wire import KST
from tests.gateways.rig import SandboxServer
from tests.gateways.rigs.toss import CUSTOMER, TossRig, an_account

ACCOUNT = "toss-f"
CREDENTIALS = {"Authorization": f"Basic {base64.b64encode(b'test_sk_x:').decode()}"}
TRACE = "x-tosspayments-trace-id"
CARD = {
    "cardNumber": "9410001234567890",
    "cardExpirationYear": "30",
    "cardExpirationMonth": "12",
    "customerIdentityNumber": "900101",
}


def ask(server: SandboxServer, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    sent = CREDENTIALS | {name.replace("_", "-"): value for name, value in headers.items()}
    return server.http.request(method, f"/toss/{ACCOUNT}/v1{path}", json=body, headers=sent)


def an_order(amount: Any = 15_000, **more: Any) -> dict[str, Any]:
    return {"orderId": f"order-{uuid4().hex[:20]}", "orderName": "토스 티셔츠", "amount": amount, **more}


def made(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def window(server: SandboxServer, action: str, **more: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A window and what its customer brings back."""
    urls = {"successUrl": "https://shop.test/ok", "failUrl": "https://shop.test/no?kept=1"}
    payment = made(ask(server, "POST", "/payments", an_order(method="CARD", **urls)))
    location = server.http.post(payment["checkout"]["url"], data={"action": action, **more}).headers["location"]
    return payment, {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def test_a_key_is_said_back_and_every_answer_has_one_trace_of_its_own(sandbox: SandboxServer) -> None:
    key, body = uuid4().hex, an_order(customerKey=CUSTOMER)
    answers = [ask(sandbox, "POST", "/billing/tok_ok", body, Idempotency_Key=key) for _ in range(3)]
    assert {answer.headers["idempotency-key"] for answer in answers} == {key}
    assert len({answer.content for answer in answers}) == 1
    traces = [trace for answer in answers for trace in answer.headers.get_list(TRACE)]
    assert len(traces) == len(set(traces)) == len(answers)
    assert all(re.fullmatch("[0-9a-f]{32}", trace) for trace in traces)
    unkeyed = ask(sandbox, "POST", "/payments/confirm", {})
    assert (len(unkeyed.headers.get_list(TRACE)), "idempotency-key" in unkeyed.headers) == (1, False)
    looked = ask(sandbox, "GET", "/payments/nobody", Idempotency_Key=key)
    assert (looked.status_code, "idempotency-key" in looked.headers) == (404, False)
    refused = ask(sandbox, "POST", "/payments/confirm", {}, Idempotency_Key=key)
    assert (refused.status_code, refused.headers["idempotency-key"]) == (400, key)


def test_numbers_may_come_as_strings_and_ids_as_numbers(sandbox: SandboxServer) -> None:
    """Toss's own Django sample confirms with the amount of the query, which is a string."""
    payment, back = window(sandbox, "pay", instrument="tok_ok")
    confirmation = {name: back[name] for name in ("paymentKey", "orderId", "amount")}
    assert confirmation["amount"] == "15000"
    assert made(ask(sandbox, "POST", "/payments/confirm", confirmation))["totalAmount"] == 15_000
    path = f"/payments/{payment['paymentKey']}/cancel"
    partial = made(ask(sandbox, "POST", path, {"cancelReason": 7, "cancelAmount": "4000"}))
    assert (partial["balanceAmount"], partial["cancels"][0]["cancelReason"]) == (11_000, "7")
    assert made(ask(sandbox, "POST", path, {"cancelReason": "x", "cancelAmount": 1000.0}))["balanceAmount"] == 10_000
    number = uuid4().int % 10**12 + 10**12
    account = {"customerName": "김토스", "bank": 20, "validHours": "1"}
    issued = made(ask(sandbox, "POST", "/virtual-accounts", an_order("30000") | account | {"orderId": number}))
    assert (issued["orderId"], issued["totalAmount"]) == (str(number), 30_000)
    metadata = {"amount": "1", "n": 1}
    kept = made(ask(sandbox, "POST", "/billing/tok_ok", an_order(customerKey=CUSTOMER, metadata=metadata)))
    assert kept["metadata"] == metadata


def test_a_confirmation_of_something_else_is_refused_as_the_guide_says(sandbox: SandboxServer) -> None:
    payment, back = window(sandbox, "pay", instrument="tok_ok")
    right = {name: back[name] for name in ("paymentKey", "orderId", "amount")}
    for change, expected in (
        ({"paymentKey": "nobody"}, (404, "NOT_FOUND_PAYMENT_SESSION")),
        ({"orderId": "order-of-another"}, (403, "FORBIDDEN_REQUEST")),
        ({"amount": 14_999}, (400, "INVALID_REQUEST")),
    ):
        assert code_of(ask(sandbox, "POST", "/payments/confirm", right | change)) == expected
    assert made(ask(sandbox, "GET", f"/payments/{payment['paymentKey']}"))["status"] == "IN_PROGRESS"


def test_who_closes_the_window_comes_back_without_an_order(sandbox: SandboxServer) -> None:
    _, back = window(sandbox, "cancel")
    assert set(back) == {"kept", "code", "message"}
    assert back["code"] == "PAY_PROCESS_CANCELED"


def test_a_decline_is_told_in_the_language_of_the_request(sandbox: SandboxServer) -> None:
    body = an_order(customerKey=CUSTOMER)
    declined = ask(sandbox, "POST", "/billing/tok_declined", body, Accept_Language="en-US")
    assert declined.json() == {"code": "REJECT_CARD_COMPANY", "message": "Payment confirm is rejected"}


def test_a_cancel_that_is_refused_moves_nothing(sandbox: SandboxServer) -> None:
    payment = made(ask(sandbox, "POST", "/billing/tok_ok", an_order(customerKey=CUSTOMER)))
    path = f"/payments/{payment['paymentKey']}"
    parts: list[Any] = ["x", -1, 15_001, []]
    for part in parts:
        refused = ask(sandbox, "POST", f"{path}/cancel", {"cancelReason": "x", "taxFreeAmount": part})
        assert code_of(refused) == (400, "INVALID_REQUEST")
    assert made(ask(sandbox, "GET", path)) == payment
    assert list(sandbox.ledger(merchant_ref=payment["orderId"])["net"].values()) == [15_000]


def test_what_is_not_taxed_is_shown_and_cancelled_with_its_part(sandbox: SandboxServer) -> None:
    order = an_order(customerKey=CUSTOMER, taxFreeAmount=3_000, taxExemptionAmount=1_000, useEscrow=True)
    payment = made(ask(sandbox, "POST", "/billing/tok_ok", order | {"cultureExpense": True}))
    assert (payment["useEscrow"], payment["cultureExpense"]) == (True, True)
    path = f"/payments/{payment['paymentKey']}/cancel"
    parts = {"taxFreeAmount": 2_000, "taxExemptionAmount": 500}
    partial = made(ask(sandbox, "POST", path, {"cancelReason": "x", "cancelAmount": 4_000, **parts}))
    whole = made(ask(sandbox, "POST", path, {"cancelReason": "x"}))
    for shown, free, exempt in ((payment, 3_000, 1_000), (partial, 1_000, 500), (whole, 0, 0)):
        assert (shown["taxFreeAmount"], shown["taxExemptionAmount"]) == (free, exempt)
        assert shown["suppliedAmount"] + shown["vat"] + free + exempt == shown["balanceAmount"]
    taken = [(one["taxFreeAmount"], one["taxExemptionAmount"]) for one in whole["cancels"]]
    assert taken == [(2_000, 500), (1_000, 500)]


def test_a_card_that_was_typed_in_is_the_one_that_is_shown(sandbox: SandboxServer) -> None:
    issued = made(ask(sandbox, "POST", "/billing/authorizations/card", CARD | {"customerKey": CUSTOMER}))
    fields = "mId customerKey authenticatedAt method billingKey card transfers easyPay cardCompany cardNumber"
    assert set(issued) == set(fields.split())
    assert (issued["card"]["number"], issued["cardNumber"]) == ("94100012****789*", "94100012****789*")
    charged = made(ask(sandbox, "POST", f"/billing/{issued['billingKey']}", an_order(customerKey=CUSTOMER)))
    typed = made(ask(sandbox, "POST", "/payments/key-in", an_order() | CARD | {"cardNumber": "4330123412341234"}))
    assert [one["card"]["number"] for one in (charged, typed)] == ["94100012****789*", "43301234****123*"]


async def test_a_deleted_billing_key_or_another_customers_is_declined_at_once(sandbox: SandboxServer) -> None:
    rig = TossRig(TossGateway(an_account(sandbox, ACCOUNT)), sandbox, ACCOUNT)
    asked = {"authKey": "auth", "customerKey": CUSTOMER}
    billing_key = made(ask(sandbox, "POST", "/billing/authorizations/issue", asked))["billingKey"]
    call = rig.charge(token=billing_key)
    strange = await rig.gateway.perform(dataclasses.replace(call, customer="somebody-else"))
    ask(sandbox, "DELETE", f"/billing/{billing_key}")
    deleted = await rig.gateway.perform(call)
    assert [(one.outcome, one.decline and one.decline.code) for one in (strange, deleted)] == [
        (Outcome.DECLINED, "NOT_MATCHES_CUSTOMER_KEY"),
        (Outcome.DECLINED, "ALREADY_REMOVED_BILLING_KEY"),
    ]
    assert rig.money(call).net == 0
    await rig.gateway.close()


@pytest.mark.parametrize(
    ("due", "code"),
    [
        (timedelta(days=31), "EXCEED_MAX_DUE_DATE"),
        (timedelta(minutes=-1), "INVALID_DATE"),
        (timedelta(days=3), None),
    ],
)
def test_a_virtual_account_is_open_until_the_due_date_that_was_asked_for(
    sandbox: SandboxServer, due: timedelta, code: str | None
) -> None:
    stated = f"{datetime.now(KST) + due:%Y-%m-%dT%H:%M:%S}"
    account = {"customerName": "김토스", "bank": "20", "dueDate": stated}
    answer = ask(sandbox, "POST", "/virtual-accounts", an_order() | account)
    if code is not None:
        assert code_of(answer) == (400, code)
        return
    issued = made(answer)
    assert issued["virtualAccount"]["dueDate"] == f"{stated}+09:00"
    assert issued["receipt"]["url"].startswith(sandbox.url)
    assert code_of(ask(sandbox, "POST", "/virtual-accounts", an_order() | account | {"dueDate": "soon"}))[0] == 400


def test_lists_name_the_customer_the_receipt_and_the_fee(sandbox: SandboxServer) -> None:
    order = an_order(customerKey=CUSTOMER)
    made(ask(sandbox, "POST", "/billing/tok_ok", order))
    account = an_order() | {"customerName": "김토스", "bank": "20"}
    made(ask(sandbox, "POST", "/virtual-accounts", account))
    today = f"{datetime.now(KST):%Y-%m-%d}"
    query = httpx.QueryParams({"startDate": today, "endDate": f"{today}T23:59:59.999", "limit": "5000"})
    rows = {row["orderId"]: row for row in ask(sandbox, "GET", f"/transactions/?{query}").json()}
    paid, waiting = rows[order["orderId"]], rows[account["orderId"]]
    fields = "mId transactionKey paymentKey orderId method customerKey useEscrow receiptUrl status transactionAt"
    assert set(paid) == set(waiting) == {*fields.split(), "currency", "amount"}
    assert (paid["customerKey"], paid["status"], paid["amount"]) == (CUSTOMER, "DONE", 15_000)
    assert (waiting["customerKey"], waiting["status"], waiting["amount"]) == (None, "WAITING_FOR_DEPOSIT", 0)
    assert sandbox.http.get(paid["receiptUrl"]).status_code == 200
    settled = ask(sandbox, "GET", f"/settlements?{httpx.QueryParams({'startDate': today, 'endDate': today})}").json()
    (line,) = [one for one in settled if one["orderId"] == order["orderId"]]
    assert line["fee"] == sum(fee["fee"] for fee in line["fees"])
    assert line["supplyAmount"] + line["vat"] == line["fee"]
    assert line["payOutAmount"] == line["amount"] - line["fee"]
    assert account["orderId"] not in {one["orderId"] for one in settled}


def test_a_cash_receipt_is_issued_cancelled_in_parts_and_listed(sandbox: SandboxServer) -> None:
    order = an_order(10_000, type="소득공제", customerIdentityNumber="01012345678", taxFreeAmount=500)
    issued = made(ask(sandbox, "POST", "/cash-receipts", order))
    fields = "receiptKey orderId orderName type issueNumber receiptUrl businessNumber transactionType amount"
    more = "taxFreeAmount issueStatus failure customerIdentityNumber requestedAt"
    assert set(issued) == {*fields.split(), *more.split()}
    assert (issued["transactionType"], issued["issueStatus"], issued["amount"]) == ("CONFIRM", "IN_PROGRESS", 10_000)
    path = f"/cash-receipts/{issued['receiptKey']}/cancel"
    partial = made(ask(sandbox, "POST", path, {"amount": 3_000}))
    assert (partial["transactionType"], partial["amount"]) == ("CANCEL", 3_000)
    assert partial["receiptKey"] == issued["receiptKey"]
    assert made(ask(sandbox, "POST", path))["amount"] == 7_000
    assert code_of(ask(sandbox, "POST", path)) == (400, "INVALID_REQUEST")
    assert code_of(ask(sandbox, "POST", "/cash-receipts/nobody/cancel")) == (404, "NOT_FOUND")
    assert code_of(ask(sandbox, "POST", "/cash-receipts", order | {"type": "영수증"})) == (400, "INVALID_REQUEST")
    today = issued["requestedAt"][:10]
    first = made(ask(sandbox, "GET", f"/cash-receipts?requestDate={today}&limit=1"))
    assert first["hasNext"]
    rest = made(ask(sandbox, "GET", f"/cash-receipts?requestDate={today}&cursor={first['lastCursor']}"))
    assert not rest["hasNext"]
    seen = [one for one in first["data"] + rest["data"] if one["receiptKey"] == issued["receiptKey"]]
    assert seen == [issued, partial, seen[2]]
    assert made(ask(sandbox, "GET", "/cash-receipts?requestDate=2020-01-01"))["data"] == []
    assert code_of(ask(sandbox, "GET", "/cash-receipts?requestDate=today")) == (400, "INVALID_REQUEST")
    assert sandbox.ledger(merchant_ref=order["orderId"])["operations"] == []


def a_deposit(server: SandboxServer, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A virtual account before and after somebody has paid into it."""
    body = an_order(10_000, taxFreeAmount=500) | {"customerName": "김토스", "bank": "20"} | more
    waiting = made(ask(server, "POST", "/virtual-accounts", body))
    assert server.http.post(waiting["checkout"]["url"], data={"action": "deposit"}).status_code == 200
    return waiting, made(ask(server, "GET", f"/payments/{waiting['paymentKey']}"))


def test_a_deposit_has_the_cash_receipt_that_was_asked_for_and_each_cancel_its_own(sandbox: SandboxServer) -> None:
    asked = {"type": "소득공제", "registrationNumber": "01012345678"}
    waiting, paid = a_deposit(sandbox, cashReceipt=asked)
    assert (waiting["cashReceipt"], waiting["cashReceipts"]) == (None, None)
    shown = paid["cashReceipt"]
    assert set(shown) == {"type", "receiptKey", "issueNumber", "receiptUrl", "amount", "taxFreeAmount"}
    assert (shown["type"], shown["amount"], shown["taxFreeAmount"]) == ("소득공제", 10_000, 500)
    account = {"bank": "20", "accountNumber": "1002123456789", "holderName": "김민지"}
    part = {"cancelReason": "x", "cancelAmount": 4_000, "taxFreeAmount": 200, "refundReceiveAccount": account}
    cancelled = made(ask(sandbox, "POST", f"/payments/{paid['paymentKey']}/cancel", part))
    issued, back = cancelled["cashReceipts"]
    assert ([issued], cancelled["cashReceipt"]) == (paid["cashReceipts"], shown)
    assert shown.items() <= issued.items()
    assert (issued["transactionType"], issued["issueStatus"], issued["customerIdentityNumber"]) == (
        "CONFIRM",
        "IN_PROGRESS",
        "01012345678",
    )
    assert (back["transactionType"], back["amount"], back["taxFreeAmount"]) == ("CANCEL", 4_000, 200)
    assert cancelled["cancels"][0]["receiptKey"] == back["receiptKey"] != issued["receiptKey"]


def test_a_deposit_that_bounced_has_no_cash_receipt(sandbox: SandboxServer) -> None:
    asked = {"type": "지출증빙", "registrationNumber": "1234567890"}
    _, paid = a_deposit(sandbox, cashReceipt=asked)
    sandbox.http.post(paid["checkout"]["url"], data={"action": "bounce"})
    waiting = made(ask(sandbox, "GET", f"/payments/{paid['paymentKey']}"))
    assert (waiting["status"], waiting["cashReceipts"]) == ("WAITING_FOR_DEPOSIT", None)


@pytest.mark.parametrize("asked", [None, {"type": "미발행"}])
def test_a_deposit_whose_customer_wants_no_cash_receipt_has_none(sandbox: SandboxServer, asked: Any) -> None:
    _, paid = a_deposit(sandbox, cashReceipt=asked)
    assert (paid["status"], paid["cashReceipt"], paid["cashReceipts"]) == ("DONE", None, None)


@pytest.mark.parametrize(
    "asked",
    [
        [],
        {},
        {"type": "영수증"},
        {"type": ["소득공제"]},
        {"type": "소득공제"},
        {"type": "소득공제", "registrationNumber": "x"},
    ],
)
def test_a_cash_receipt_for_nobody_is_refused(sandbox: SandboxServer, asked: Any) -> None:
    body = an_order() | {"customerName": "김토스", "bank": "20", "cashReceipt": asked}
    assert code_of(ask(sandbox, "POST", "/virtual-accounts", body)) == (400, "INVALID_REQUEST")


def test_a_cancel_is_in_the_currency_of_its_payment(sandbox: SandboxServer) -> None:
    path = f"/payments/{made(ask(sandbox, 'POST', '/billing/tok_ok', an_order(customerKey=CUSTOMER)))['paymentKey']}"
    part = {"cancelReason": "x", "cancelAmount": 4_000}
    for wrong in ("USD", "", ["KRW"]):
        refused = ask(sandbox, "POST", f"{path}/cancel", {**part, "currency": wrong})
        assert code_of(refused) == (400, "INVALID_REQUEST")
    assert made(ask(sandbox, "GET", path))["cancels"] is None
    for currency, left in (("KRW", 11_000), (None, 7_000)):
        assert made(ask(sandbox, "POST", f"{path}/cancel", {**part, "currency": currency}))["balanceAmount"] == left
