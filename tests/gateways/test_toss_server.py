"""The sandbox speaks as Toss Payments does: credentials, keys, errors, the Payment object, lists."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateways.toss.adapter import TossGateway
from tests.gateways.rig import REFUND, SandboxServer, succeeded
from tests.gateways.rigs.toss import CUSTOMER, TossRig, an_account

ACCOUNT = "toss-b"
CREDENTIALS = {"Authorization": f"Basic {base64.b64encode(b'test_sk_x:').decode()}"}
FIELDS = (
    "mId lastTransactionKey paymentKey orderId orderName taxExemptionAmount status requestedAt approvedAt useEscrow "
    "cultureExpense card virtualAccount transfer mobilePhone giftCertificate cashReceipt cashReceipts discount cancels "
    "secret type easyPay country failure isPartialCancelable receipt checkout currency totalAmount balanceAmount "
    "suppliedAmount vat taxFreeAmount method version metadata"
)


def ask(server: SandboxServer, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    sent = CREDENTIALS | {name.replace("_", "-"): value for name, value in headers.items()}
    return server.http.request(method, f"/toss/{ACCOUNT}/v1{path}", json=body, headers=sent)


def an_order(amount: int = 15_000, **more: Any) -> dict[str, Any]:
    return {"orderId": f"order-{uuid4().hex[:20]}", "orderName": "토스 티셔츠", "amount": amount, **more}


def charged(server: SandboxServer, amount: int = 15_000, *, token: str = "tok_ok") -> dict[str, Any]:
    body = an_order(amount, customerKey=CUSTOMER)
    payment: dict[str, Any] = ask(server, "POST", f"/billing/{token}", body).json()
    return payment


def cancelled(server: SandboxServer, key: str, **body: Any) -> httpx.Response:
    return ask(server, "POST", f"/payments/{key}/cancel", {"cancelReason": "변심", **body})


def code_of(response: httpx.Response) -> tuple[int, str]:
    said = response.json()
    assert set(said) == {"code", "message"}
    return response.status_code, said["code"]


@pytest.fixture
async def toss(sandbox: SandboxServer) -> AsyncIterator[TossRig]:
    sandbox.http.delete("/_faults").raise_for_status()
    rig = TossRig(TossGateway(an_account(sandbox, ACCOUNT)), sandbox, ACCOUNT)
    yield rig
    await rig.gateway.close()


def test_a_payment_has_every_field_in_korean_words_and_its_tax_split(sandbox: SandboxServer) -> None:
    payment = charged(sandbox)
    assert set(payment) == set(FIELDS.split())
    assert (payment["method"], payment["status"], payment["type"], payment["country"]) == (
        "카드",
        "DONE",
        "BILLING",
        "KR",
    )
    assert (payment["suppliedAmount"], payment["vat"]) == (13_636, 1_364)
    assert payment["approvedAt"].endswith("+09:00")
    assert (payment["cancels"], payment["virtualAccount"], payment["failure"]) == (None, None, None)
    for path in (f"/payments/{payment['paymentKey']}", f"/payments/orders/{payment['orderId']}"):
        assert ask(sandbox, "GET", path).json() == payment
    assert code_of(ask(sandbox, "GET", "/payments/orders/nobody-knows")) == (404, "NOT_FOUND_PAYMENT")
    answer = ask(sandbox, "GET", "/nowhere")
    assert code_of(answer) == (404, "NOT_FOUND")
    assert answer.headers["x-tosspayments-trace-id"]


@pytest.mark.parametrize(
    ("value", "status", "code"),
    [
        ("", 401, "UNAUTHORIZED_KEY"),
        ("Bearer test_sk_x", 401, "UNAUTHORIZED_KEY"),
        ("Basic", 401, "UNAUTHORIZED_KEY"),
        ("Basic !!", 403, "INCORRECT_BASIC_AUTH_FORMAT"),
        (f"Basic {base64.b64encode(b'test_sk_x').decode()}", 403, "INCORRECT_BASIC_AUTH_FORMAT"),
        (f"Basic {base64.b64encode(b':').decode()}", 401, "UNAUTHORIZED_KEY"),
    ],
)
def test_the_secret_key_stands_before_a_colon(sandbox: SandboxServer, value: str, status: int, code: str) -> None:
    for method, path in (("GET", "/payments/x"), ("POST", "/payments/confirm"), ("DELETE", "/billing/x")):
        response = ask(sandbox, method, path, Authorization=value)
        assert code_of(response) == (status, code)


def test_a_key_replays_the_first_answer_to_the_byte_whatever_the_body_errors_too(sandbox: SandboxServer) -> None:
    key, body = uuid4().hex, an_order(customerKey=CUSTOMER)
    first = ask(sandbox, "POST", "/billing/tok_ok", body, Idempotency_Key=key)
    again = ask(sandbox, "POST", "/billing/tok_ok", an_order(1, customerKey=CUSTOMER), Idempotency_Key=key)
    assert again.content == first.content
    elsewhere = ask(sandbox, "POST", "/billing/tok_slow", an_order(customerKey=CUSTOMER), Idempotency_Key=key)
    assert elsewhere.json()["orderId"] != body["orderId"]
    other_key = {"Authorization": f"Basic {base64.b64encode(b'test_sk_y:').decode()}"}
    fresh = ask(sandbox, "POST", "/billing/tok_ok", an_order(customerKey=CUSTOMER), Idempotency_Key=key, **other_key)
    assert fresh.json()["paymentKey"] != first.json()["paymentKey"]
    wrong = uuid4().hex
    path = f"/payments/{first.json()['paymentKey']}/cancel"
    for amount in (15_001, 100):
        response = ask(sandbox, "POST", path, {"cancelReason": "x", "cancelAmount": amount}, Idempotency_Key=wrong)
        assert code_of(response) == (403, "NOT_CANCELABLE_AMOUNT")
    long = ask(sandbox, "POST", path, {"cancelReason": "x"}, Idempotency_Key="k" * 301)
    assert code_of(long) == (400, "INVALID_IDEMPOTENCY_KEY")
    assert ask(sandbox, "POST", path, {"cancelReason": "x"}, Idempotency_Key="k" * 300).status_code == 200


async def test_a_key_whose_first_request_is_still_running_is_told_so(toss: TossRig, sandbox: SandboxServer) -> None:
    key, body = uuid4().hex, an_order(customerKey=CUSTOMER)
    toss.arm("delay", toss.charge().kind, ms=400)
    headers = CREDENTIALS | {"Idempotency-Key": key}
    async with httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as client:
        url = f"/toss/{ACCOUNT}/v1/billing/tok_ok"
        first = asyncio.create_task(client.post(url, json=body, headers=headers))
        for _ in range(500):
            if sandbox.ledger(merchant_ref=body["orderId"])["operations"]:
                break
            await asyncio.sleep(0.01)
        assert code_of(await client.post(url, json=body, headers=headers)) == (409, "IDEMPOTENT_REQUEST_PROCESSING")
        assert (await first).status_code == 200
        assert (await client.post(url, json=body, headers=headers)).content == (await first).content


def test_the_test_code_comes_before_everything_but_live_keys_do_not_know_it(sandbox: SandboxServer) -> None:
    forced = {"TossPayments_Test_Code": "REJECT_CARD_PAYMENT"}
    response = ask(sandbox, "POST", "/payments/confirm", {"paymentKey": "nobody"}, **forced)
    assert code_of(response) == (403, "REJECT_CARD_PAYMENT")
    assert code_of(ask(sandbox, "GET", "/payments/nobody", **forced)) == (403, "REJECT_CARD_PAYMENT")
    unheard = ask(sandbox, "POST", "/payments/confirm", {}, TossPayments_Test_Code="NOBODY")
    assert code_of(unheard) == (400, "INVALID_TEST_CODE")
    live = {"Authorization": f"Basic {base64.b64encode(b'live_sk_x:').decode()}"}
    assert code_of(ask(sandbox, "GET", "/payments/nobody", **forced, **live)) == (404, "NOT_FOUND_PAYMENT")
    english = ask(sandbox, "GET", "/payments/nobody", Accept_Language="en-US")
    assert english.json()["message"] == "Not found payment"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": 99}, "BELOW_MINIMUM_AMOUNT"),
        ({"amount": "15000원"}, "INVALID_REQUEST"),
        ({"amount": True}, "INVALID_REQUEST"),
        ({"taxFreeAmount": 10_000, "taxExemptionAmount": 5_001}, "INVALID_REQUEST"),
        ({"useEscrow": "yes"}, "INVALID_REQUEST"),
        ({"amount": -1}, "INVALID_REQUEST"),
        ({"orderId": "short"}, "INVALID_ORDER_ID"),
        ({"orderName": "x" * 101}, "INVALID_ORDER_NAME"),
        ({"cardInstallmentPlan": 13}, "EXCEED_MAX_CARD_INSTALLMENT_PLAN"),
        ({"cardInstallmentPlan": 3, "amount": 49_999}, "INVALID_CARD_INSTALLMENT_AMOUNT"),
        ({"customerKey": "한"}, "INVALID_REQUEST"),
        ({"customerKey": None}, "INVALID_REQUEST"),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused(sandbox: SandboxServer, change: dict[str, Any], code: str) -> None:
    body = an_order(customerKey=CUSTOMER) | change
    assert code_of(ask(sandbox, "POST", "/billing/tok_ok", body)) == (400, code)


@pytest.mark.parametrize("raw", [b"[]", b"{", b'{"orderName":"\\ud800"}', b'{"metadata":{"a":NaN}}', b" " * 65_537])
def test_a_body_that_cannot_be_said_again_is_refused(sandbox: SandboxServer, raw: bytes) -> None:
    path = f"/toss/{ACCOUNT}/v1/payments/confirm"
    assert code_of(sandbox.http.post(path, content=raw, headers=CREDENTIALS)) == (400, "INVALID_REQUEST")


def test_a_decline_is_an_error_and_leaves_an_aborted_payment(sandbox: SandboxServer) -> None:
    words = {
        "tok_declined": (403, "REJECT_CARD_COMPANY"),
        "tok_lost": (400, "INVALID_CARD_LOST_OR_STOLEN"),
        "tok_insufficient": (403, "REJECT_CARD_PAYMENT"),
        "tok_of_nobody": (400, "INVALID_CARD_NUMBER"),
    }
    for token, expected in words.items():
        body = an_order(customerKey=CUSTOMER)
        response = ask(sandbox, "POST", f"/billing/{token}", body)
        assert code_of(response) == expected
        seen = ask(sandbox, "GET", f"/payments/orders/{body['orderId']}").json()
        assert (seen["status"], seen["failure"]) == ("ABORTED", response.json())
        again = ask(sandbox, "POST", "/billing/tok_ok", body)
        assert code_of(again) == (400, "DUPLICATED_ORDER_ID")


def test_a_cancel_of_the_rest_stays_partial_and_a_whole_one_does_not(sandbox: SandboxServer) -> None:
    key = charged(sandbox)["paymentKey"]
    partial = cancelled(sandbox, key, cancelAmount=4_000, refundableAmount=15_000).json()
    assert (partial["status"], partial["balanceAmount"], partial["suppliedAmount"]) == (
        "PARTIAL_CANCELED",
        11_000,
        10_000,
    )
    assert code_of(cancelled(sandbox, key, refundableAmount=15_000)) == (400, "NOT_MATCHES_REFUNDABLE_AMOUNT")
    rest = cancelled(sandbox, key).json()
    assert (rest["status"], rest["balanceAmount"]) == ("PARTIAL_CANCELED", 0)
    assert [(one["cancelAmount"], one["refundableAmount"]) for one in rest["cancels"]] == [(4_000, 11_000), (11_000, 0)]
    assert rest["lastTransactionKey"] == rest["cancels"][1]["transactionKey"]
    assert code_of(cancelled(sandbox, key)) == (403, "NOT_CANCELABLE_AMOUNT")
    whole = charged(sandbox)["paymentKey"]
    assert cancelled(sandbox, whole).json()["status"] == "CANCELED"
    assert code_of(cancelled(sandbox, whole)) == (400, "ALREADY_CANCELED_PAYMENT")
    assert code_of(cancelled(sandbox, "nobody")) == (404, "NOT_FOUND_PAYMENT")
    assert code_of(cancelled(sandbox, whole, cancelReason="")) == (400, "INVALID_REQUEST")


def test_a_billing_key_belongs_to_its_customer_until_it_is_deleted(sandbox: SandboxServer) -> None:
    issued = ask(sandbox, "POST", "/billing/authorizations/issue", {"authKey": "auth", "customerKey": CUSTOMER}).json()
    path = f"/billing/{issued['billingKey']}"
    assert code_of(ask(sandbox, "POST", path, an_order(customerKey="another"))) == (400, "NOT_MATCHES_CUSTOMER_KEY")
    assert ask(sandbox, "POST", path, an_order(customerKey=CUSTOMER)).json()["status"] == "DONE"
    deleted = ask(sandbox, "DELETE", path)
    assert (deleted.status_code, deleted.content) == (200, b"")
    assert code_of(ask(sandbox, "DELETE", path)) == (400, "ALREADY_REMOVED_BILLING_KEY")
    assert code_of(ask(sandbox, "DELETE", "/billing/nobody")) == (404, "NOT_FOUND_BILLING")
    assert code_of(ask(sandbox, "POST", path, an_order(customerKey=CUSTOMER))) == (400, "ALREADY_REMOVED_BILLING_KEY")
    card = {"cardNumber": "4330123412341234", "cardExpirationYear": "30", "cardExpirationMonth": "12"}
    typed = card | {"customerIdentityNumber": "881212"}
    assert ask(sandbox, "POST", "/payments/key-in", an_order() | typed).json()["method"] == "카드"
    by_card = ask(sandbox, "POST", "/billing/authorizations/card", typed | {"customerKey": CUSTOMER}).json()
    assert ask(sandbox, "POST", f"/billing/{by_card['billingKey']}", an_order(customerKey=CUSTOMER)).status_code == 200
    assert code_of(ask(sandbox, "POST", "/payments/key-in", an_order() | typed | {"cardNumber": "1"}))[0] == 400


async def test_the_days_transactions_are_read_in_pages_and_cancels_are_negative(toss: TossRig) -> None:
    assert isinstance(toss.gateway, TossGateway)
    call = toss.charge()
    reference = (await succeeded(toss, call)).reference
    await succeeded(toss, toss.follow(call, REFUND, 4_000, reference))
    today = datetime.now(toss.zone).date()
    rows = [row async for row in toss.gateway.transactions(today) if row.merchant_ref == call.merchant_ref]
    assert [(row.status, row.amount) for row in rows] == [("DONE", 10_000), ("PARTIAL_CANCELED", -4_000)]
    assert [row async for row in toss.gateway.transactions(today - timedelta(days=9))] == []


def test_lists_are_cut_as_asked(sandbox: SandboxServer) -> None:
    keys = {charged(sandbox)["paymentKey"] for _ in range(3)}
    today = datetime.now(TossRig.zone).date()
    whole = {"startDate": f"{today}T00:00:00", "endDate": f"{today}T23:59:59"}
    rows = ask(sandbox, "GET", f"/transactions?{httpx.QueryParams(whole | {'limit': '5000'})}").json()
    assert keys <= {row["paymentKey"] for row in rows}
    second = ask(sandbox, "GET", f"/transactions?{httpx.QueryParams(whole | {'limit': '1'})}").json()
    assert second == rows[:1]
    after = whole | {"startingAfter": rows[0]["transactionKey"], "limit": "1"}
    assert ask(sandbox, "GET", f"/transactions?{httpx.QueryParams(after)}").json() == rows[1:2]
    days = {"startDate": str(today), "endDate": str(today), "dateType": "soldDate", "size": "2"}
    pages = [ask(sandbox, "GET", f"/settlements?{httpx.QueryParams(days | {'page': n})}").json() for n in ("1", "2")]
    assert [len(page) for page in pages] == [2, 2]
    assert pages[0][0]["payOutAmount"] == pages[0][0]["amount"]
    wrong = ask(sandbox, "GET", f"/settlements?{httpx.QueryParams(days | {'dateType': 'x'})}")
    assert code_of(wrong) == (400, "INVALID_REQUEST")
