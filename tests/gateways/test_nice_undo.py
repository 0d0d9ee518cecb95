"""NICE's adapter without NICE: giving back, and making sure that nothing has happened."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from domain.gateway import Issue, Outcome, Retry
from gateways.nice import codes
from gateways.nice.seal import seal
from tests.gateways.rigs.nice_example import (
    CANCEL,
    CANCELLED,
    CHARGE,
    EDI_DATE,
    KEY,
    LOOKUP,
    NEUTRALIZE,
    NOW,
    ORDER,
    PAID,
    REFUND,
    SECRET_KEY,
    TID,
    about,
    answered,
    refusal,
    sent,
)


async def test_a_refund_states_its_amount_its_own_order_id_and_the_account_to_pay_to() -> None:
    details = {"refund_account": "110123", "refund_bank": "088", "refund_holder": "Kim", "tid": "not for NICE"}
    target, body, _ = await sent(dataclasses.replace(REFUND, details=details), CANCELLED)
    assert target == f"POST /v1/payments/{TID}/cancel"
    assert body == {
        "reason": f"refund {KEY}",
        "orderId": KEY,
        "cancelAmt": 1004,
        "refundAccount": "110123",
        "refundBankCode": "088",
        "refundHolder": "Kim",
        "ediDate": EDI_DATE,
        "signData": seal(TID, EDI_DATE, SECRET_KEY),
    }


@pytest.mark.parametrize("order_id", [ORDER, KEY])
async def test_a_cancels_answer_may_have_the_order_id_of_the_payment_or_its_own(order_id: str) -> None:
    answer = await answered(REFUND, CANCELLED | {"orderId": order_id})
    assert (answer.outcome, answer.issues) == (Outcome.SUCCEEDED, ())
    assert (answer.reference, answer.operation_ref) == (TID, CANCEL["tid"])


@pytest.mark.parametrize(
    ("changes", "issue"),
    [
        ({"cancels": [CANCEL | {"reason": f"refund {KEY}", "amount": 1003}]}, Issue.AMOUNT_MISMATCH),
        ({"currency": "USD"}, Issue.CURRENCY_MISMATCH),
        ({"orderId": "another-order"}, Issue.REFERENCE_MISMATCH),
        ({"tid": "UT0000113m01012110051656339999"}, Issue.REFERENCE_MISMATCH),
    ],
)
async def test_a_cancel_of_something_else_carries_the_issue(changes: dict[str, Any], issue: Issue) -> None:
    assert (await answered(REFUND, CANCELLED | changes)).issues == (issue,)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"cancels": None}, Outcome.SUCCEEDED),
        ({"cancels": [CANCEL | {"reason": "고객 요청"}]}, Outcome.SUCCEEDED),
        ({"cancels": None, "balanceAmt": 4}, Outcome.UNKNOWN),
        ({"cancels": None, "status": "paid"}, Outcome.UNKNOWN),
        ({"cancels": None, "cancelledTid": None}, Outcome.UNKNOWN),
        ({"cancels": [CANCEL | {"tid": "other", "reason": "고객 요청"}]}, Outcome.UNKNOWN),
    ],
)
async def test_a_cancel_is_found_by_its_key_by_its_tid_or_as_the_whole(
    changes: dict[str, Any], outcome: Outcome
) -> None:
    assert (await answered(REFUND, CANCELLED | changes)).outcome is outcome


@pytest.mark.parametrize("code", [*sorted(codes.CANCEL_DECLINES), *sorted(codes.DUPLICATES)])
async def test_a_refused_cancel_is_believed_only_after_a_look_at_the_payment(code: str) -> None:
    first = await answered(REFUND, refusal(code), CANCELLED)
    assert (first.outcome, first.operation_ref) == (Outcome.SUCCEEDED, CANCEL["tid"])
    declined = code in codes.CANCEL_DECLINES
    never = await answered(REFUND, refusal(code), PAID)
    assert never.outcome is (Outcome.DECLINED if declined else Outcome.UNKNOWN)
    other_hand = CANCELLED | {"cancels": [CANCEL | {"reason": "고객 요청"}]}
    assert (await answered(REFUND, refusal(code), other_hand)).outcome is Outcome.UNKNOWN
    another_refund = CANCELLED | {"cancels": [CANCEL | {"reason": "refund 0123456789abcdef-r2"}]}
    assert (await answered(REFUND, refusal(code), another_refund)).outcome is never.outcome
    assert (await answered(REFUND, refusal(code), refusal("2000"))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("code", ["2026", "2032", "U123"])
async def test_a_refund_of_more_than_is_left_is_declined_for_good(code: str) -> None:
    answer = await answered(REFUND, refusal(code), PAID)
    assert answer.decline is not None
    assert (answer.decline.category, answer.decline.retry) == ("amount_exceeded", Retry.NEVER)


async def test_a_refund_is_looked_up_by_its_key_or_by_the_tid_that_it_was_given() -> None:
    by_key = await answered(about(REFUND, LOOKUP), CANCELLED)
    assert (by_key.outcome, by_key.operation_ref) == (Outcome.SUCCEEDED, CANCEL["tid"])
    foreign = CANCELLED | {"cancels": [CANCEL | {"reason": "shortened"}]}
    assert (await answered(about(REFUND, LOOKUP), foreign)).outcome is Outcome.UNKNOWN
    known = dataclasses.replace(about(REFUND, LOOKUP), subject_reference=str(CANCEL["tid"]))
    assert (await answered(known, foreign)).outcome is Outcome.SUCCEEDED
    missing = await answered(about(REFUND, LOOKUP), PAID)
    assert (missing.outcome, missing.evidence.detail) == (Outcome.NOT_EXECUTED, "not_found")


@pytest.mark.parametrize("code", sorted(codes.NOT_FOUND))
async def test_no_such_payment_settles_a_net_cancel_only_when_none_can_come_any_more(code: str) -> None:
    call = about(CHARGE, NEUTRALIZE)
    assert (await answered(call, refusal(code), now=NOW + timedelta(seconds=59))).outcome is Outcome.UNKNOWN
    assert (await answered(call, refusal(code), now=NOW + timedelta(seconds=60))).outcome is Outcome.SUCCEEDED
    assert (await answered(about(CHARGE, NEUTRALIZE, None), refusal(code))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (PAID | {"status": "cancelled", "balanceAmt": 0}, Outcome.SUCCEEDED),
        (refusal("2013"), Outcome.SUCCEEDED),
        (PAID | {"status": "partialCancelled", "balanceAmt": 0}, Outcome.SUCCEEDED),
        (PAID | {"status": "partialCancelled", "balanceAmt": 4}, Outcome.UNKNOWN),
        (PAID, Outcome.UNKNOWN),
        (PAID | {"status": "cancelled", "balanceAmt": 0, "orderId": "another"}, Outcome.UNKNOWN),
        (PAID | {"status": "cancelled", "balanceAmt": 0, "currency": "USD"}, Outcome.UNKNOWN),
        (PAID | {"status": "cancelled", "balanceAmt": 0, "tid": None}, Outcome.UNKNOWN),
        (refusal("2014"), Outcome.UNKNOWN),
        (refusal("2015"), Outcome.UNKNOWN),
    ],
)
async def test_a_net_cancel_has_succeeded_only_when_nothing_is_left(body: dict[str, Any], outcome: Outcome) -> None:
    assert (await answered(about(CHARGE, NEUTRALIZE), body)).outcome is outcome


@pytest.mark.parametrize(
    ("bodies", "outcome"),
    [
        ([PAID, PAID | {"status": "cancelled", "balanceAmt": 0}], Outcome.SUCCEEDED),
        ([PAID, refusal("2013")], Outcome.SUCCEEDED),
        ([PAID, refusal("2016")], Outcome.UNKNOWN),
        ([PAID | {"status": "cancelled", "balanceAmt": 0}], Outcome.SUCCEEDED),
        ([PAID | {"status": "failed"}], Outcome.SUCCEEDED),
        ([PAID | {"status": "expired"}], Outcome.SUCCEEDED),
        ([PAID | {"status": "underReview"}], Outcome.UNKNOWN),
        ([PAID | {"amount": 1005}], Outcome.UNKNOWN),
        ([PAID | {"balanceAmt": None}], Outcome.UNKNOWN),
        ([refusal("A118")], Outcome.UNKNOWN),
    ],
)
async def test_after_its_hour_what_is_left_is_cancelled_instead(bodies: list[Any], outcome: Outcome) -> None:
    assert (await answered(about(CHARGE, NEUTRALIZE), refusal("2020"), *bodies)).outcome is outcome


@pytest.mark.parametrize(
    ("body", "outcome"), [(CANCELLED, Outcome.DECLINED), (PAID, Outcome.UNKNOWN), (refusal("2000"), Outcome.UNKNOWN)]
)
async def test_a_refund_is_never_neutralised(body: dict[str, Any], outcome: Outcome) -> None:
    assert (await answered(about(REFUND, NEUTRALIZE), body)).outcome is outcome
