"""What Toss did not answer is found in what it shows of a payment, or stays unknown."""

import dataclasses
from typing import Any

import httpx
import pytest

from domain.gateway import Call, Issue, Outcome
from tests.gateways.rig import CAPTURE, NEUTRALIZE, VOID
from tests.gateways.rigs.toss_samples import (
    ACCOUNT,
    CANCEL,
    CHARGE,
    DEPOSIT,
    GIVE_BACK,
    KEY,
    PAYMENT,
    REFUNDED,
    RETURNED,
    WAITING,
    WINDOW,
    about,
    perform,
    refused,
    said,
)


@pytest.mark.parametrize(
    ("call", "age", "outcome"),
    [
        (CHARGE, None, Outcome.UNKNOWN),
        (CHARGE, 59, Outcome.UNKNOWN),
        (CHARGE, 60, Outcome.NOT_EXECUTED),
        (RETURNED, 59, Outcome.UNKNOWN),
        (RETURNED, 60, Outcome.NOT_EXECUTED),
        (WINDOW, 2_399, Outcome.UNKNOWN),
        (WINDOW, 2_400, Outcome.NOT_EXECUTED),
        (GIVE_BACK, 3_600, Outcome.UNKNOWN),
    ],
)
async def test_not_found_is_final_only_when_nothing_can_arrive_any_more(
    call: Call, age: int | None, outcome: Outcome
) -> None:
    assert (await refused(about(call, age=age), "NOT_FOUND_PAYMENT", 404)).outcome is outcome
    neutralized = (await refused(about(call, NEUTRALIZE, age=age), "NOT_FOUND_PAYMENT", 404)).outcome
    assert neutralized is (Outcome.SUCCEEDED if outcome is Outcome.NOT_EXECUTED else Outcome.UNKNOWN)


@pytest.mark.parametrize("call", [RETURNED, WINDOW])
async def test_what_its_customer_has_authenticated_and_nobody_confirmed_is_not_on_its_way(call: Call) -> None:
    body = PAYMENT | {"status": "IN_PROGRESS", "approvedAt": None}
    assert (await perform(about(call), said(body))).outcome is Outcome.UNKNOWN
    assert (await perform(about(CHARGE), said(body))).outcome is Outcome.PENDING


@pytest.mark.parametrize(
    ("cancels", "age", "outcome"),
    [
        ([CANCEL], None, Outcome.SUCCEEDED),
        ([CANCEL | {"cancelReason": "by a person"}, CANCEL], None, Outcome.SUCCEEDED),
        ([CANCEL | {"cancelStatus": None}], None, Outcome.SUCCEEDED),
        ([CANCEL | {"cancelStatus": "IN_PROGRESS"}], None, Outcome.PENDING),
        ([CANCEL | {"cancelStatus": "UNDER_REVIEW"}], None, Outcome.PENDING),
        ([CANCEL | {"cancelStatus": 7}], None, Outcome.PENDING),
        ([CANCEL | {"cancelStatus": "ABORTED"}], None, Outcome.DECLINED),
        ([CANCEL | {"transactionKey": None}], None, Outcome.UNKNOWN),
        ([CANCEL | {"cancelReason": "refund [another-key]"}], None, Outcome.UNKNOWN),
        ([CANCEL | {"cancelReason": "refund [another-key]"}], 59, Outcome.UNKNOWN),
        ([CANCEL | {"cancelReason": "refund [another-key]"}], 60, Outcome.NOT_EXECUTED),
    ],
)
async def test_a_refund_is_found_among_the_cancels_by_our_key(
    cancels: list[dict[str, Any]], age: int | None, outcome: Outcome
) -> None:
    answer = await perform(about(GIVE_BACK, age=age), said(REFUNDED | {"cancels": cancels}))
    assert answer.outcome is outcome
    if outcome is Outcome.SUCCEEDED:
        assert (answer.operation_ref, answer.issues) == ("TX2", ())


async def test_a_refund_is_also_found_by_the_transaction_key_that_an_answer_brought() -> None:
    body = REFUNDED | {"cancels": [CANCEL | {"cancelReason": "rewritten"}]}
    known = dataclasses.replace(about(GIVE_BACK), subject_reference="TX2")
    assert (await perform(known, said(body))).outcome is Outcome.SUCCEEDED


async def test_a_refund_that_no_balance_covers_can_never_come() -> None:
    mine = {"cancelReason": "refund [another-key]"}
    body = REFUNDED | {"balanceAmount": 3_999, "cancels": [CANCEL | mine]}
    answer = await perform(about(GIVE_BACK, age=0), said(body))
    assert answer.outcome is Outcome.DECLINED
    assert answer.decline is not None
    assert answer.decline.category == "amount_exceeded"


async def test_a_refund_whose_refusal_says_nothing_is_looked_up_at_once() -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(400, json={"code": "ALREADY_CANCELED_PAYMENT", "message": "no"})
        return httpx.Response(200, json=REFUNDED)

    assert (await perform(GIVE_BACK, respond)).outcome is Outcome.SUCCEEDED


async def test_a_refund_with_another_amount_or_without_its_cancel_is_not_believed() -> None:
    body = REFUNDED | {"cancels": [CANCEL | {"cancelAmount": 4_001}]}
    assert (await perform(GIVE_BACK, said(body))).issues == (Issue.AMOUNT_MISMATCH,)
    assert (await perform(GIVE_BACK, said(PAYMENT))).outcome is Outcome.UNKNOWN


async def test_a_deposit_whose_payout_failed_is_not_refunded() -> None:
    for state, outcome in (
        ("COMPLETED", Outcome.SUCCEEDED),
        ("PENDING", Outcome.SUCCEEDED),
        ("FAILED", Outcome.PENDING),
        ("PARTIAL_FAILED", Outcome.PENDING),
    ):
        body = REFUNDED | {"virtualAccount": ACCOUNT | {"refundStatus": state}}
        assert (await perform(GIVE_BACK, said(body))).outcome is outcome


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"status": "CANCELED", "balanceAmount": 0}, Outcome.SUCCEEDED),
        ({"status": "PARTIAL_CANCELED", "balanceAmount": 0}, Outcome.SUCCEEDED),
        ({"status": "ABORTED"}, Outcome.SUCCEEDED),
        ({"status": "EXPIRED"}, Outcome.SUCCEEDED),
        ({"status": "READY"}, Outcome.PENDING),
        ({"status": "IN_PROGRESS"}, Outcome.PENDING),
        ({"status": "UNDER_REVIEW"}, Outcome.PENDING),
        ({"orderId": "order-000002"}, Outcome.PENDING),
        ({"paymentKey": None}, Outcome.UNKNOWN),
    ],
)
async def test_only_what_has_an_effect_and_is_ours_is_cancelled_by_a_neutralisation(
    change: dict[str, Any], outcome: Outcome
) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        assert request.method == "GET"
        return httpx.Response(200, json=PAYMENT | change)

    assert (await perform(about(CHARGE, NEUTRALIZE), respond)).outcome is outcome


async def test_a_refund_in_doubt_is_neutralised_only_if_it_never_happened() -> None:
    undo = about(GIVE_BACK, NEUTRALIZE)
    assert (await perform(undo, said(REFUNDED))).outcome is Outcome.DECLINED
    assert (await perform(undo, said(PAYMENT))).outcome is Outcome.SUCCEEDED
    assert (await perform(about(GIVE_BACK, NEUTRALIZE, age=1), said(PAYMENT))).outcome is Outcome.UNKNOWN
    stranger = await perform(undo, said(PAYMENT | {"orderId": "order-000002"}))
    assert stranger.issues == (Issue.REFERENCE_MISMATCH,)


async def test_a_capture_is_no_operation_of_toss() -> None:
    capture = dataclasses.replace(GIVE_BACK, kind=CAPTURE)
    assert (await perform(about(capture), said(PAYMENT))).outcome is Outcome.DECLINED


@pytest.mark.parametrize("balance", [3_999, 11_000])
async def test_a_cancel_of_the_same_amount_that_nobody_marked_may_be_ours(balance: int) -> None:
    for reason in ("by a person", None, f"refund [{KEY}] (shortened", 7):
        body = REFUNDED | {"balanceAmount": balance, "cancels": [CANCEL | {"cancelReason": reason}]}
        assert (await perform(about(GIVE_BACK), said(body))).outcome is Outcome.UNKNOWN


async def test_an_unpaid_account_that_a_person_cancelled_is_voided() -> None:
    void = dataclasses.replace(DEPOSIT, kind=VOID, reference="pk_1")
    cancel = CANCEL | {"cancelAmount": 15_000, "cancelReason": "by a person"}
    body = WAITING | {"status": "CANCELED", "balanceAmount": 0, "cancels": [cancel]}
    assert (await perform(about(void), said(body))).outcome is Outcome.SUCCEEDED
    paid = body | {"approvedAt": "2026-11-23T12:00:00+09:00"}
    assert (await perform(about(void), said(paid))).outcome is Outcome.UNKNOWN
