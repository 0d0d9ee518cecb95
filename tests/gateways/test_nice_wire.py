"""NICE's adapter without NICE: what it sends to be paid, and what it believes of what may come back."""

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from domain.gateway import FORGED_RETURN, Call, Issue, OperationKind, Outcome, Retry
from gateways.gateway import MisconfiguredGateway
from gateways.nice import codes, wire
from gateways.nice.seal import seal
from tests.gateways.rigs.nice_example import (
    AUTH_SIGNATURE,
    AUTH_TOKEN,
    CANCELLED,
    CHARGE,
    CLIENT_KEY,
    EDI_DATE,
    LOOKUP,
    NEUTRALIZE,
    NOW,
    ORDER,
    PAID,
    REFUND,
    RETURNED,
    SECRET_KEY,
    TID,
    VBANK,
    about,
    answered,
    nice,
    refusal,
    sent,
)


def test_the_signatures_of_the_manual_are_ours() -> None:
    assert seal(AUTH_TOKEN, CLIENT_KEY, "1004", SECRET_KEY) == AUTH_SIGNATURE
    assert seal(TID, 1004, EDI_DATE, SECRET_KEY) == PAID["signature"]
    assert wire.edi_date(NOW.timestamp()) == EDI_DATE


async def test_the_keys_travel_as_the_manual_shows_them() -> None:
    _, _, headers = await sent(CHARGE)
    encoded = "NThlM2I1Nzg1NTVlNDU3MzhkNmI1NjllNTNkNWFlNTQ6NGYxM2NhMjY3ZGZhNGZjNjk2NDE0OGJlZGNkYTE1ZWY="
    assert headers["authorization"] == f"Basic {encoded}"
    assert headers["content-type"] == "application/json;charset=utf-8"


async def test_a_billing_id_pays_with_one_sealed_request() -> None:
    target, body, _ = await sent(dataclasses.replace(CHARGE, instalments=3))
    assert target == f"POST /v1/subscribe/{CHARGE.token}/payments"
    assert body == {
        "orderId": ORDER,
        "amount": 1004,
        "goodsName": "나이스페이-상품",
        "cardQuota": 3,
        "useShopInterest": False,
        "ediDate": EDI_DATE,
        "signData": seal(ORDER, CHARGE.token or "", EDI_DATE, SECRET_KEY),
    }


async def test_a_net_cancel_names_the_order_and_a_lookup_its_korean_day() -> None:
    target, body, _ = await sent(about(CHARGE, NEUTRALIZE), PAID | {"status": "cancelled", "balanceAmt": 0})
    assert target == "POST /v1/payments/netcancel"
    signed = seal(ORDER, EDI_DATE, SECRET_KEY)
    assert body == {"orderId": ORDER, "ediDate": EDI_DATE, "signData": signed}
    evening = datetime(2021, 10, 5, 15, 30, tzinfo=UTC)
    target, _, _ = await sent(about(CHARGE, LOOKUP, evening))
    assert target == f"GET /v1/payments/find/{ORDER}?orderDate=20211006"
    target, _, _ = await sent(about(dataclasses.replace(CHARGE, reference=TID), LOOKUP))
    assert target == f"GET /v1/payments/{TID}"


async def test_around_midnight_in_korea_both_days_are_asked() -> None:
    midnight = datetime(2021, 10, 5, 15, 0, tzinfo=UTC)
    for moment in (midnight, midnight - timedelta(minutes=4), midnight + timedelta(minutes=4)):
        assert list(wire.order_days(moment)) == [date(2021, 10, 5), date(2021, 10, 6)]
    nothing = {"resultCode": "A118", "resultMsg": "조회 결과데이터 없음"}
    found = await answered(about(CHARGE, LOOKUP, midnight), nothing, PAID)
    assert (found.outcome, found.reference) == (Outcome.SUCCEEDED, TID)
    missing = await answered(about(CHARGE, LOOKUP, midnight), nothing, nothing)
    assert (missing.outcome, missing.evidence.detail) == (Outcome.NOT_EXECUTED, "not_found")


@pytest.mark.parametrize(
    ("changes", "outcome", "captured", "refunded"),
    [
        ({}, Outcome.SUCCEEDED, 1004, 0),
        ({"status": "partialCancelled", "balanceAmt": 1000}, Outcome.SUCCEEDED, 1004, 4),
        ({"status": "ready", "paidAt": "0"}, Outcome.PENDING, 0, 0),
        ({"status": "ready", "paidAt": "0", "vbank": VBANK}, Outcome.ACTION_REQUIRED, 0, 0),
        ({"status": "failed", "paidAt": "0"}, Outcome.DECLINED, 0, 0),
        ({"status": "expired", "paidAt": "0"}, Outcome.DECLINED, 0, 0),
        ({"status": "cancelled", "balanceAmt": 0}, Outcome.NOT_EXECUTED, 1004, 1004),
        ({"status": "cancelled", "balanceAmt": 0, "cancels": CANCELLED["cancels"]}, Outcome.SUCCEEDED, 1004, 1004),
        ({"status": "underReview"}, Outcome.PENDING, 1004, 0),
    ],
)
async def test_a_status_means_what_the_manual_says_and_an_unheard_of_one_is_pending(
    changes: dict[str, Any], outcome: Outcome, captured: int, refunded: int
) -> None:
    for call in (CHARGE, about(CHARGE, LOOKUP)):
        answer = await answered(call, PAID | changes)
        assert (answer.outcome, answer.issues) == (outcome, ())
        assert (answer.decline is not None) == (outcome is Outcome.DECLINED)
        assert answer.amounts is not None
        assert (answer.amounts.captured, answer.amounts.refunded) == (captured, refunded)


async def test_a_virtual_account_tells_the_customer_where_and_until_when() -> None:
    answer = await answered(CHARGE, PAID | {"status": "ready", "paidAt": "0", "vbank": VBANK})
    assert answer.action is not None
    assert (answer.action.kind, answer.action.due_at) == ("deposit", datetime(2021, 10, 12, 7, 56, 34, tzinfo=UTC))
    assert answer.action.fields == {"bank": "신한은행", "account": "56211102345678", "holder": "나이스"}


@pytest.mark.parametrize(
    "changes",
    [
        {"tid": None},
        {"tid": ""},
        {"status": None},
        {"status": ["paid"]},
        {"amount": "1004"},
        {"amount": True},
        {"balanceAmt": None},
        {"currency": None},
        {"orderId": None},
        {"status": "cancelled", "cancels": "none"},
        {"status": "cancelled", "cancels": ["one"]},
        {"status": "ready", "vbank": {}},
        {"status": "ready", "vbank": VBANK | {"vbankExpDate": "soon"}},
        {"signature": "0" * 64},
        {"signature": 1},
        {"signature": []},
        {"ediDate": "2021-10-05T16:56:34.448+0900"},
        {"resultCode": None},
        {"resultCode": ["0000"]},
        {"resultCode": "3001"},
    ],
)
async def test_a_success_that_cannot_be_read_or_is_not_sealed_is_unknown(changes: dict[str, Any]) -> None:
    assert (await answered(CHARGE, PAID | changes)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("missing", ["signature", "cancels", "vbank"])
async def test_what_the_manual_calls_voluntary_may_be_missing(missing: str) -> None:
    body = {name: value for name, value in PAID.items() if name != missing}
    assert (await answered(CHARGE, body)).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("changes", "issue"),
    [
        ({"amount": 1005}, Issue.AMOUNT_MISMATCH),
        ({"currency": "USD"}, Issue.CURRENCY_MISMATCH),
        ({"orderId": "another-order"}, Issue.REFERENCE_MISMATCH),
    ],
)
async def test_an_answer_about_something_else_carries_the_issue(changes: dict[str, Any], issue: Issue) -> None:
    assert (await answered(CHARGE, PAID | changes)).issues == (issue,)
    assert (await answered(about(CHARGE, LOOKUP), PAID | changes)).issues == (issue,)


async def test_a_lookup_by_tid_that_tells_of_another_tid_carries_the_issue() -> None:
    call = dataclasses.replace(about(CHARGE, LOOKUP), reference="UT0000113m01012110051656339999")
    assert (await answered(call, PAID)).issues == (Issue.REFERENCE_MISMATCH,)


TABLES: dict[str, frozenset[str]] = {
    "declines": frozenset(codes.PAYMENT_DECLINES),
    "duplicates": codes.DUPLICATES,
    "net cancelled": codes.NET_CANCELLED,
    "not taken": codes.NOT_TAKEN,
    "misconfigured": codes.MISCONFIGURED,
}


def test_no_code_has_two_meanings_for_a_payment() -> None:
    listed = [code for table in TABLES.values() for code in table]
    assert len(listed) == len(set(listed))
    refunds = [*codes.CANCEL_DECLINES, *codes.DUPLICATES, *codes.NOT_TAKEN, *codes.MISCONFIGURED]
    assert len(refunds) == len(set(refunds))


@pytest.mark.parametrize(
    ("table", "outcome"),
    [
        ("declines", Outcome.DECLINED),
        ("duplicates", Outcome.UNKNOWN),
        ("net cancelled", Outcome.NOT_EXECUTED),
        ("not taken", Outcome.NOT_EXECUTED),
    ],
)
async def test_every_listed_code_of_a_payment_has_its_outcome(table: str, outcome: Outcome) -> None:
    for code in sorted(TABLES[table]):
        answer = await answered(CHARGE, refusal(code))
        assert (code, answer.outcome, answer.evidence.detail) == (code, outcome, code)
        assert answer.decline is None or answer.decline.code == code


@pytest.mark.parametrize("code", sorted(codes.MISCONFIGURED))
async def test_wrong_keys_are_for_a_person(code: str) -> None:
    for call, status in ((CHARGE, 200), (REFUND, 200), (about(CHARGE, LOOKUP), 401), (about(CHARGE, NEUTRALIZE), 403)):
        with pytest.raises(MisconfiguredGateway):
            await answered(call, refusal(code), status=status)


@pytest.mark.parametrize("code", ["2000", "A110", "A299", "U303", "U501", "U503", "U508", "X003", "S999", "Z777", ""])
async def test_a_code_that_leaves_doubt_or_is_unheard_of_is_unknown(code: str) -> None:
    for call in (CHARGE, REFUND, about(CHARGE, LOOKUP), about(REFUND, LOOKUP), about(CHARGE, NEUTRALIZE)):
        assert (await answered(call, refusal(code))).outcome is Outcome.UNKNOWN


async def test_an_unheard_of_code_beside_the_status_failed_is_a_decline_that_is_never_tried_again() -> None:
    body = PAID | {"resultCode": "Z777", "status": "failed", "paidAt": "0"}
    for call in (CHARGE, about(CHARGE, LOOKUP)):
        answer = await answered(call, body)
        assert answer.outcome is Outcome.DECLINED
        assert answer.decline is not None
        assert (answer.decline.category, answer.decline.retry) == ("unlisted", Retry.NEVER)


@pytest.mark.parametrize(
    ("message", "category", "retry"),
    [
        ("카드사 실패 응답", "generic", Retry.OTHER_PG),
        ("카드사 실패 응답(분실카드)", "lost_or_stolen", Retry.NEVER),
        ("도난카드", "lost_or_stolen", Retry.NEVER),
        ("1회 한도초과", "insufficient_funds", Retry.AFTER_CUSTOMER_ACTION),
        ("잔액부족", "insufficient_funds", Retry.AFTER_CUSTOMER_ACTION),
    ],
)
async def test_the_issuers_words_make_its_refusal_stricter(message: str, category: str, retry: Retry) -> None:
    answer = await answered(CHARGE, refusal("3095", message))
    assert answer.decline is not None
    assert (answer.decline.category, answer.decline.retry) == (category, retry)


async def test_a_return_from_the_window_is_checked_then_approved() -> None:
    call = dataclasses.replace(CHARGE, token=None, details=RETURNED | {"auth_result_code": "0000", "order_id": ORDER})
    target, body, _ = await sent(call)
    assert target == f"POST /v1/payments/{TID}"
    signed = seal(TID, 1004, EDI_DATE, SECRET_KEY)
    assert body == {"amount": 1004, "ediDate": EDI_DATE, "signData": signed}


@pytest.mark.parametrize(
    ("changes", "amount"),
    [
        ({"signature": "0" * 64}, 1004),
        ({"signature": "é"}, 1004),
        ({"auth_token": "another"}, 1004),
        ({"amount": "1005"}, 1005),
        ({}, 1005),
        ({"order_id": "another-order"}, 1004),
        ({"order_id": "another-order", "auth_result_code": "I002"}, 1004),
    ],
)
async def test_a_return_that_is_forged_or_about_something_else_counts_for_nothing(
    changes: dict[str, str], amount: int
) -> None:
    call = dataclasses.replace(CHARGE, token=None, amount=amount, details=RETURNED | changes)
    answer = await answered(call)
    assert answer.decline is not None
    assert (answer.outcome, answer.decline.code) == (Outcome.ACTION_REQUIRED, FORGED_RETURN)


async def test_a_customer_who_gives_up_in_the_window_has_declined() -> None:
    call = dataclasses.replace(CHARGE, token=None, details={"auth_result_code": "I002"})
    answer = await answered(call)
    assert answer.outcome is Outcome.DECLINED
    assert answer.decline is not None
    assert answer.decline.retry is Retry.AFTER_CUSTOMER_ACTION


async def test_without_a_token_the_customer_is_sent_to_the_window_with_nothing_secret() -> None:
    call = dataclasses.replace(CHARGE, token=None, return_url="http://shop.test/back", instalments=3, amount=60_000)
    answer = await answered(call)
    assert answer.outcome is Outcome.ACTION_REQUIRED
    assert answer.action is not None
    address, _, query = str(answer.action.url).partition("?")
    assert (answer.action.kind, answer.action.method, address) == ("redirect", "GET", "http://pg.test/window")
    assert dict(parse_qsl(query)) == answer.action.fields
    assert answer.action.fields == {
        "clientId": CLIENT_KEY,
        "method": "card",
        "orderId": ORDER,
        "amount": "60000",
        "goodsName": "나이스페이-상품",
        "returnUrl": "http://shop.test/back",
        "cardQuota": "03",
    }
    vbank = (await answered(dataclasses.replace(call, method="virtual_account"))).action
    assert vbank is not None
    assert (vbank.fields["method"], vbank.fields["vbankHolder"]) == ("vbank", "나이스페이-상품")
    async with nice(lambda _request: httpx.Response(500), url="https://api.nicepay.co.kr") as live:
        assert (await live.perform(call)).outcome is Outcome.DECLINED


@pytest.mark.parametrize(
    "call",
    [
        dataclasses.replace(CHARGE, capture_now=False),
        dataclasses.replace(CHARGE, currency="USD"),
        dataclasses.replace(CHARGE, kind=OperationKind.CAPTURE, reference=TID),
        dataclasses.replace(CHARGE, kind=OperationKind.VOID, reference=TID),
        dataclasses.replace(REFUND, reference=None),
    ],
)
async def test_what_nice_cannot_do_is_not_sent(call: Call) -> None:
    assert (await answered(call)).outcome is Outcome.NOT_EXECUTED


async def test_a_customer_who_brings_nothing_that_nice_can_take_is_for_another_pg() -> None:
    refused = await answered(dataclasses.replace(CHARGE, token=None))
    assert refused.decline is not None
    assert (refused.outcome, refused.decline.retry) == (Outcome.DECLINED, Retry.OTHER_PG)


@pytest.mark.parametrize("kind", [LOOKUP, NEUTRALIZE])
async def test_a_question_that_does_not_say_enough_is_not_sent_and_stays_unknown(kind: OperationKind) -> None:
    for call in (
        dataclasses.replace(about(REFUND, kind), reference=None),
        dataclasses.replace(about(REFUND, kind), subject_key=None),
        dataclasses.replace(about(CHARGE, kind), subject=OperationKind.CAPTURE),
    ):
        assert (await answered(call)).outcome is Outcome.UNKNOWN


async def test_an_http_refusal_with_an_unheard_of_code_is_configuration_or_unknown() -> None:
    assert (await answered(CHARGE, refusal("Z777"), status=405)).outcome is Outcome.UNKNOWN
    for status in (401, 403, 404):
        with pytest.raises(MisconfiguredGateway):
            await answered(CHARGE, refusal("Z777"), status=status)
