"""The Toss adapter says what Toss's documents say each answer means, and nothing else is success or failure."""

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from domain.gateway import Amounts, Call, Issue, Outcome, Retry
from gateways.gateway import MisconfiguredGateway
from gateways.toss.code import AUTHORIZE_DECLINES, CANCEL_DECLINES
from gateways.toss.request import Outgoing, opening
from tests.gateways.rig import CAPTURE, LOOKUP, NEUTRALIZE, VOID
from tests.gateways.rigs.toss_samples import (
    ACCOUNT,
    CHARGE,
    DEPOSIT,
    GIVE_BACK,
    KEY,
    PAID,
    PAYMENT,
    REFUNDED,
    RETURNED,
    SECRET,
    WAITING,
    WINDOW,
    about,
    perform,
    refused,
    said,
)


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, Outcome.SUCCEEDED),
        ({"status": "PARTIAL_CANCELED", "balanceAmount": 0}, Outcome.SUCCEEDED),
        ({"status": "CANCELED", "balanceAmount": 0}, Outcome.SUCCEEDED),
        ({"status": "CANCELED", "balanceAmount": 0, "approvedAt": None}, Outcome.DECLINED),
        ({"status": "READY", "approvedAt": None}, Outcome.ACTION_REQUIRED),
        ({"status": "READY", "checkout": None}, Outcome.PENDING),
        ({"status": "IN_PROGRESS"}, Outcome.PENDING),
        ({"status": "WAITING_FOR_DEPOSIT", "virtualAccount": ACCOUNT}, Outcome.ACTION_REQUIRED),
        ({"status": "WAITING_FOR_DEPOSIT", "virtualAccount": ACCOUNT | {"expired": True}}, Outcome.DECLINED),
        ({"status": "WAITING_FOR_DEPOSIT"}, Outcome.UNKNOWN),
        ({"status": "ABORTED", "failure": {"code": "REJECT_CARD_COMPANY", "message": "no"}}, Outcome.DECLINED),
        ({"status": "ABORTED", "failure": None}, Outcome.DECLINED),
        ({"status": "EXPIRED"}, Outcome.DECLINED),
        ({"status": "UNDER_REVIEW"}, Outcome.PENDING),
        ({"status": None}, Outcome.UNKNOWN),
        ({"paymentKey": ""}, Outcome.UNKNOWN),
        ({"totalAmount": "15000"}, Outcome.UNKNOWN),
        ({"balanceAmount": True}, Outcome.UNKNOWN),
        ({"cancels": "none"}, Outcome.UNKNOWN),
    ],
)
async def test_every_status_means_what_it_means_and_an_unheard_of_one_is_pending(
    change: dict[str, Any], outcome: Outcome
) -> None:
    for call in (CHARGE, about(CHARGE)):
        assert (await perform(call, said(PAYMENT | change))).outcome is outcome


@pytest.mark.parametrize(
    ("code", "retry"),
    [
        ("INVALID_CARD_LOST_OR_STOLEN", Retry.NEVER),
        ("REJECT_CARD_COMPANY", Retry.OTHER_PG),
        ("PAY_PROCESS_CANCELED", Retry.AFTER_CUSTOMER_ACTION),
        ("NOBODY_HAS_HEARD_OF_IT", Retry.NEVER),
    ],
)
async def test_the_failure_of_an_aborted_payment_says_whether_to_try_again(code: str, retry: Retry) -> None:
    body = PAYMENT | {"status": "ABORTED", "failure": {"code": code, "message": "no"}}
    decline = (await perform(about(CHARGE), said(body))).decline
    assert decline is not None
    assert (decline.code, decline.retry) == (code, retry)


LISTED_DECLINES = [
    *((CHARGE, code) for code in (*AUTHORIZE_DECLINES, "EXCEED_MAX_PAYMENT_AMOUNT", "EXCEED_MAX_DAILY_PAYMENT_COUNT")),
    *((GIVE_BACK, code) for code in CANCEL_DECLINES),
]
LISTED_UNKNOWN = [
    *(
        (CHARGE, code, 400)
        for code in ("ALREADY_PROCESSED_PAYMENT", "PROVIDER_ERROR", "DUPLICATED_ORDER_ID", "NOBODY_HAS_HEARD_OF_IT")
    ),
    *(
        (CHARGE, code, 500)
        for code in (
            "FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING",
            "FAILED_INTERNAL_SYSTEM_PROCESSING",
            "UNKNOWN_PAYMENT_ERROR",
            "COMMON_ERROR",
        )
    ),
    (CHARGE, "IDEMPOTENT_REQUEST_PROCESSING", 409),
    (CHARGE, "NOBODY_HAS_HEARD_OF_IT", 403),
    (CHARGE, "NOT_FOUND_PAYMENT", 404),
    (CHARGE, "NOT_CANCELABLE_AMOUNT", 403),
    *(
        (GIVE_BACK, code, 400)
        for code in ("ALREADY_CANCELED_PAYMENT", "ALREADY_REFUND_PAYMENT", "PROVIDER_ERROR", "REJECT_CARD_COMPANY")
    ),
    *(
        (GIVE_BACK, code, 500)
        for code in ("FAILED_REFUND_PROCESS", "FAILED_METHOD_HANDLING_CANCEL", "FAILED_PARTIAL_REFUND", "COMMON_ERROR")
    ),
    (GIVE_BACK, "IDEMPOTENT_REQUEST_PROCESSING", 409),
    (GIVE_BACK, "EXCEED_MAX_PAYMENT_AMOUNT", 403),
]


@pytest.mark.parametrize(("call", "code"), LISTED_DECLINES)
async def test_a_listed_refusal_is_a_decline_whatever_its_http_status(call: Call, code: str) -> None:
    for status in (400, 403, 404):
        answer = await refused(call, code, status)
        assert answer.outcome is Outcome.DECLINED
        assert answer.decline is not None
        assert answer.decline.code == answer.evidence.detail == code


@pytest.mark.parametrize(("call", "code", "status"), LISTED_UNKNOWN)
async def test_what_may_have_happened_is_unknown(call: Call, code: str, status: int) -> None:
    assert (await refused(call, code, status)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("call", [CHARGE, RETURNED, GIVE_BACK])
@pytest.mark.parametrize(
    ("code", "status"),
    [("NOT_AVAILABLE_BANK", 403), ("FORBIDDEN_CONSECUTIVE_REQUEST", 403), ("TOO_MANY_REQUESTS", 429), ("", 429)],
)
async def test_bank_hours_and_too_many_requests_are_not_executed(call: Call, code: str, status: int) -> None:
    assert (await refused(call, code, status)).outcome is Outcome.NOT_EXECUTED
    assert (await refused(about(call), code, status)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("UNAUTHORIZED_KEY", 401),
        ("INVALID_API_KEY", 400),
        ("INCORRECT_BASIC_AUTH_FORMAT", 403),
        ("FORBIDDEN_REQUEST", 403),
        ("NOT_REGISTERED_BUSINESS", 400),
        ("INVALID_REQUEST", 400),
        ("INVALID_IDEMPOTENCY_KEY", 400),
        ("", 401),
    ],
)
async def test_what_a_person_must_mend_is_raised(code: str, status: int) -> None:
    for call in (CHARGE, GIVE_BACK, about(CHARGE)):
        with pytest.raises(MisconfiguredGateway):
            await refused(call, code, status)


@pytest.mark.parametrize(
    ("change", "issue"),
    [
        ({"totalAmount": 14_999}, Issue.AMOUNT_MISMATCH),
        ({"currency": "USD"}, Issue.CURRENCY_MISMATCH),
        ({"orderId": "order-000002"}, Issue.REFERENCE_MISMATCH),
        ({"paymentKey": "pk_2"}, Issue.REFERENCE_MISMATCH),
    ],
)
async def test_an_answer_about_something_else_carries_the_issue(change: dict[str, Any], issue: Issue) -> None:
    for call in (PAID, RETURNED, about(PAID)):
        sent = dataclasses.replace(call, token="billing-key") if call is PAID else call
        assert (await perform(sent, said(PAYMENT | change))).issues == (issue,)


async def test_the_sums_are_those_of_toss() -> None:
    answer = await perform(CHARGE, said(REFUNDED))
    assert (answer.reference, answer.operation_ref) == ("pk_1", None)
    assert answer.amounts == Amounts(authorized=15_000, captured=15_000, refunded=4_000, voided=0)
    assert (await perform(CHARGE, said(PAYMENT))).operation_ref == "TX1"
    assert (await perform(DEPOSIT, said(WAITING))).amounts == Amounts(0, 0, 0, 0)
    assert answer.evidence.request_id == "trace-1"


async def test_a_virtual_account_is_something_to_deposit_into_until_it_is_due() -> None:
    action = (await perform(DEPOSIT, said(WAITING))).action
    assert action is not None
    assert (action.kind, action.fields) == ("deposit", {"bank": "20", "account": "X6505636518308", "holder": "Kim"})
    assert action.due_at == datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
    naive = WAITING | {"virtualAccount": ACCOUNT | {"dueDate": "2026-11-30T12:00:00"}}
    again = (await perform(DEPOSIT, said(naive))).action
    assert again == action


def requested(call: Call) -> tuple[str, dict[str, Any], str]:
    outgoing = opening(call)
    assert isinstance(outgoing, Outgoing)
    return outgoing.path, json.loads(outgoing.body), outgoing.key(call)


def test_each_way_to_pay_is_its_own_request_with_its_own_key() -> None:
    order = {"orderId": "order-000001", "orderName": "Order 1", "amount": 15_000}
    monthly = dataclasses.replace(CHARGE, instalments=3)
    assert requested(CHARGE)[:2] == ("/v1/billing/billing-key", {**order, "customerKey": "customer-1"})
    assert requested(monthly)[1]["cardInstallmentPlan"] == 3
    confirmed = {"paymentKey": "pk_1", "orderId": "order-000001", "amount": 15_000}
    assert requested(RETURNED)[:2] == ("/v1/payments/confirm", confirmed)
    assert requested(DEPOSIT)[:2] == ("/v1/virtual-accounts", {**order, "customerName": "customer-1", "bank": "20"})
    assert requested(dataclasses.replace(DEPOSIT, details={"bank": "88"}))[1]["bank"] == "88"
    back = "https://shop.test/back?x=1"
    assert requested(WINDOW)[:2] == ("/v1/payments", {**order, "method": "카드", "successUrl": back, "failUrl": back})
    keys = {requested(call)[2] for call in (CHARGE, monthly, RETURNED, DEPOSIT, WINDOW)}
    assert len(keys) == 5
    assert all(key.startswith(KEY) and len(key) <= 300 for key in keys)


def test_the_bytes_and_so_the_keys_of_operations_under_way_never_change() -> None:
    """A change here makes every replay of an operation that is in doubt a new request at Toss."""
    assert requested(CHARGE)[2] == f"{KEY}-196a3e36aee97d18"
    assert requested(RETURNED)[2] == f"{KEY}-2e8d11341c4f1d8b"


async def test_the_same_call_is_the_same_bytes_and_another_amount_another_key() -> None:
    seen: list[tuple[bytes, str]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append((request.content, request.headers["idempotency-key"]))
        assert request.headers["authorization"] == "Basic dGVzdF9za19vZl90aGVfdGVzdHM6"
        return httpx.Response(200, json=REFUNDED)

    for call in (GIVE_BACK, GIVE_BACK, dataclasses.replace(GIVE_BACK, amount=3_999)):
        await perform(call, respond)
    assert seen[0] == seen[1]
    assert len({key for _, key in seen}) == 2
    assert json.loads(seen[0][0]) == {"cancelAmount": 4_000, "cancelReason": f"refund [{KEY}]"}


def never(_request: httpx.Request) -> httpx.Response:
    raise AssertionError("nothing must be sent")


@pytest.mark.parametrize(
    "brought",
    [
        *({"amount": amount} for amount in ("14999", "15000.0", "", "-15000")),
        *({"payment_key": key} for key in ("", "pk 1", "pk/1", "x" * 201, "pk_1\n", "pk_of_another")),
    ],
)
async def test_what_somebody_else_brings_back_counts_for_nothing_and_is_not_sent(brought: dict[str, str]) -> None:
    call = dataclasses.replace(RETURNED, reference="pk_1", details=RETURNED.details | brought)
    answer = await perform(call, never)
    assert (answer.outcome, answer.issues) == (Outcome.ACTION_REQUIRED, ())
    assert answer.decline is not None
    assert (answer.decline.code, answer.evidence.detail[-8:]) == ("forged_return", "not sent")


@pytest.mark.parametrize(("code", "status"), [("FORBIDDEN_REQUEST", 403), ("INVALID_REQUEST", 400)])
async def test_a_payment_key_that_toss_refuses_as_anothers_is_no_fault_of_the_account(code: str, status: int) -> None:
    answer = await refused(RETURNED, code, status)
    assert (answer.outcome, answer.evidence.http_status) == (Outcome.ACTION_REQUIRED, status)
    with pytest.raises(MisconfiguredGateway):
        await refused(RETURNED, "UNAUTHORIZED_KEY", 401)
    with pytest.raises(MisconfiguredGateway):
        await refused(dataclasses.replace(RETURNED, reference="pk_1"), code, status)


async def test_what_a_customer_brought_back_is_never_asked_for() -> None:
    forged = dataclasses.replace(RETURNED, reference="pk_1", details={"payment_key": "pk_of_another"})
    paths: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        undone = {"status": "CANCELED", "balanceAmount": 0} if request.method == "POST" else {}
        return httpx.Response(200, json=PAYMENT | undone)

    for kind in (LOOKUP, NEUTRALIZE):
        assert (await perform(about(forged, kind), respond)).reference == "pk_1"
    asked = "/v1/payments/orders/order-000001"
    assert paths == [asked, asked, "/v1/payments/pk_1/cancel"]


@pytest.mark.parametrize(
    ("call", "outcome"),
    [
        (dataclasses.replace(CHARGE, capture_now=False), Outcome.NOT_EXECUTED),
        (dataclasses.replace(CHARGE, currency="USD"), Outcome.NOT_EXECUTED),
        (dataclasses.replace(CHARGE, customer=None), Outcome.DECLINED),
        (dataclasses.replace(CHARGE, customer="김"), Outcome.DECLINED),
        (dataclasses.replace(WINDOW, return_url=None), Outcome.DECLINED),
        (dataclasses.replace(WINDOW, method="cheque"), Outcome.NOT_EXECUTED),
        (dataclasses.replace(PAID, kind=CAPTURE), Outcome.DECLINED),
        (dataclasses.replace(PAID, kind=VOID), Outcome.DECLINED),
        (dataclasses.replace(GIVE_BACK, reference=None), Outcome.NOT_EXECUTED),
    ],
)
async def test_what_toss_cannot_do_is_not_sent(call: Call, outcome: Outcome) -> None:
    assert (await perform(call, never)).outcome is outcome


async def test_no_secret_and_no_foreign_text_gets_into_the_evidence() -> None:
    bodies: list[tuple[Any, int]] = [
        ({"code": f"{SECRET} <b>", "message": SECRET}, 400),
        ({"code": "NOBODY_HAS_HEARD_OF_IT", "message": SECRET}, 400),
        (PAYMENT | {"status": 7, "secret": "ps_1"}, 200),
    ]
    for body, status in bodies:
        answer = await perform(CHARGE, said(body, status))
        assert SECRET not in repr(answer.evidence)
        assert "billing-key" not in repr(answer)
