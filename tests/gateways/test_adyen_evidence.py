"""What verified events prove at Adyen, which answers no question: lookups and technical cancels."""

import dataclasses
from datetime import UTC, datetime

import pytest

from domain.gateway import Issue, OperationKind, Outcome, Retry
from gateways.adyen.evidence import SETTLED, resolve
from tests.gateways.rigs.adyen_said import (
    AUTHORISED,
    GRANTED,
    MODIFICATION,
    RECEIVED,
    Answering,
    a_call,
    about,
    an_event,
)

MOVES = (OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND)
CODES = {OperationKind.CAPTURE: "CAPTURE", OperationKind.VOID: "CANCELLATION", OperationKind.REFUND: "REFUND"}


@pytest.mark.parametrize("kind", [OperationKind.AUTHORIZE, *MOVES])
def test_without_an_event_a_lookup_is_unknown_and_never_not_executed(kind: OperationKind) -> None:
    assert resolve(about(kind), []).outcome is Outcome.UNKNOWN
    stranger = an_event(CODES.get(kind, "CAPTURE"), Outcome.SUCCEEDED, operation_mark="0" * 32)
    assert resolve(about(kind), [stranger]).outcome is Outcome.UNKNOWN
    assert resolve(about(OperationKind.LOOKUP), [stranger]).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("kind", MOVES)
def test_an_event_is_found_by_the_mark_of_its_key_or_by_the_modifications_reference(kind: OperationKind) -> None:
    marked = an_event(CODES[kind], Outcome.SUCCEEDED, operation_ref="OTHER")
    assert resolve(about(kind), [GRANTED, marked]).outcome is Outcome.SUCCEEDED
    bare = an_event(CODES[kind], Outcome.SUCCEEDED, operation_mark=None)
    assert resolve(about(kind), [GRANTED, bare]).outcome is Outcome.UNKNOWN
    assert resolve(about(kind, subject_reference=MODIFICATION), [GRANTED, bare]).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        (OperationKind.CAPTURE, "CAPTURE_FAILED"),
        (OperationKind.REFUND, "REFUND_FAILED"),
        (OperationKind.REFUND, "REFUNDED_REVERSED"),
    ],
)
def test_a_failure_after_a_success_wins_in_any_order(kind: OperationKind, failure: str) -> None:
    done = an_event(CODES[kind], Outcome.SUCCEEDED)
    failed = an_event(failure, Outcome.DECLINED, reason="Capture Failed")
    for events in ([GRANTED, done, failed], [failed, done, done, GRANTED]):
        answer = resolve(about(kind), events)
        assert answer.decline is not None
        assert (answer.outcome, answer.decline.retry) == (Outcome.DECLINED, Retry.NEVER)


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.REFUND])
def test_what_was_settled_has_happened_unless_an_event_says_that_it_failed(kind: OperationKind) -> None:
    settled = an_event(SETTLED[kind], Outcome.SUCCEEDED, operation_mark=None)
    asked = about(kind, subject_reference=MODIFICATION)
    found = resolve(asked, [GRANTED, settled])
    assert (found.outcome, found.operation_ref, found.evidence.detail) == (
        Outcome.SUCCEEDED,
        MODIFICATION,
        SETTLED[kind],
    )
    assert resolve(about(kind, subject_reference="OTHER"), [GRANTED, settled]).outcome is Outcome.UNKNOWN
    failed = an_event(f"{CODES[kind]}_FAILED", Outcome.DECLINED, operation_mark=None)
    assert resolve(asked, [GRANTED, failed, settled]).outcome is Outcome.DECLINED


def test_a_charge_that_was_settled_stands_though_its_own_event_never_came() -> None:
    settled = an_event(SETTLED[OperationKind.AUTHORIZE], Outcome.SUCCEEDED, operation_mark=None)
    found = resolve(about(OperationKind.AUTHORIZE), [settled])
    assert (found.outcome, found.reference) == (Outcome.SUCCEEDED, GRANTED.reference)


def test_a_capture_that_came_with_the_authorization_and_failed_after_all_is_in_the_sums() -> None:
    failed = an_event("CAPTURE_FAILED", Outcome.DECLINED, amount=GRANTED.amount, operation_mark=None)
    again = an_event("CAPTURE_FAILED", Outcome.DECLINED, amount=GRANTED.amount, operation_ref="A-LATER-CAPTURE")
    answer = resolve(about(OperationKind.AUTHORIZE, capture_now=True), [failed, GRANTED, failed, again])
    assert answer.amounts is not None
    assert (answer.outcome, answer.amounts.authorized, answer.amounts.captured) == (
        Outcome.SUCCEEDED,
        GRANTED.amount,
        0,
    )


def test_an_event_that_differs_from_what_was_asked_carries_the_issue() -> None:
    for change, issue in (
        ({"amount": 999}, Issue.AMOUNT_MISMATCH),
        ({"amount": None}, Issue.AMOUNT_MISMATCH),
        ({"currency": "USD"}, Issue.CURRENCY_MISMATCH),
        ({"reference": "OTHER"}, Issue.REFERENCE_MISMATCH),
    ):
        for subject, kind in ((OperationKind.AUTHORIZE, "AUTHORISATION"), (OperationKind.CAPTURE, "CAPTURE")):
            event = an_event(kind, Outcome.SUCCEEDED, **change)
            answer = resolve(about(subject), [event])
            assert (answer.outcome, answer.issues) == (Outcome.SUCCEEDED, (issue,))


def test_two_authorizations_under_one_reference_are_for_a_person() -> None:
    twice = [GRANTED, dataclasses.replace(GRANTED, reference="OTHER00000000000")]
    assert resolve(about(OperationKind.AUTHORIZE, reference=None), twice).issues == (Issue.REFERENCE_MISMATCH,)


def test_a_refused_authorization_is_declined_with_its_reason() -> None:
    refused = an_event("AUTHORISATION", Outcome.DECLINED, reason="Not enough balance")
    answer = resolve(about(OperationKind.AUTHORIZE), [refused])
    assert answer.decline is not None
    assert (answer.outcome, answer.decline.category) == (Outcome.DECLINED, "insufficient_funds")
    nameless = resolve(about(OperationKind.AUTHORIZE), [dataclasses.replace(refused, reason=None)])
    assert nameless.decline is not None
    assert nameless.decline.retry is Retry.NEVER


CANCELLED = an_event("TECHNICAL_CANCEL", Outcome.SUCCEEDED)
NOT_CANCELLED = an_event("TECHNICAL_CANCEL", Outcome.DECLINED, reference=None)


async def test_a_technical_cancel_is_sure_only_once_its_event_says_so() -> None:
    undo = about(OperationKind.AUTHORIZE, OperationKind.NEUTRALIZE)
    received = {"pspReference": MODIFICATION, "status": "received", "paymentReference": "ref-000001"}
    adyen = Answering(received, status=201)
    assert (await adyen.asked(undo)).outcome is Outcome.PENDING
    assert adyen.requests[0].url.path == "/v72/cancels"
    assert adyen.sent["paymentReference"] == "ref-000001"
    assert (await adyen.asked(undo, GRANTED)).outcome is Outcome.PENDING
    assert (await adyen.asked(undo, GRANTED, CANCELLED)).outcome is Outcome.SUCCEEDED
    assert (await adyen.asked(undo, CANCELLED)).outcome is Outcome.SUCCEEDED
    refused = an_event("AUTHORISATION", Outcome.DECLINED, reason="Refused")
    assert (await adyen.asked(undo, refused)).outcome is Outcome.SUCCEEDED
    assert len(adyen.requests) == 2


async def test_a_technical_cancel_that_found_nothing_proves_nothing_and_is_tried_anew() -> None:
    undo = about(OperationKind.AUTHORIZE, OperationKind.NEUTRALIZE)
    adyen = Answering({"pspReference": MODIFICATION, "status": "received"}, status=201)
    for events in ((), (NOT_CANCELLED,), (NOT_CANCELLED,)):
        assert (await adyen.asked(undo, *events)).outcome is Outcome.PENDING
    keys = [request.headers["idempotency-key"] for request in adyen.requests]
    assert keys[0] != keys[1] == keys[2]
    assert len({request.content for request in adyen.requests}) == 1
    assert (await adyen.asked(undo, NOT_CANCELLED, GRANTED)).outcome is Outcome.PENDING
    assert len({request.headers["idempotency-key"] for request in adyen.requests}) == 3
    sent_again = dataclasses.replace(undo, subject_sent_at=datetime(2026, 11, 23, tzinfo=UTC))
    await adyen.asked(sent_again, NOT_CANCELLED)
    assert len({request.headers["idempotency-key"] for request in adyen.requests}) == 4
    assert resolve(about(OperationKind.AUTHORIZE), [NOT_CANCELLED]).outcome is Outcome.UNKNOWN


async def test_only_an_authorization_is_neutralised_and_nothing_is_sent_for_another_operation() -> None:
    adyen = Answering(RECEIVED, status=201)
    for subject in (*MOVES, None):
        undo = dataclasses.replace(about(OperationKind.CAPTURE, OperationKind.NEUTRALIZE), subject=subject)
        assert (await adyen.asked(undo)).outcome is Outcome.UNKNOWN
    assert adyen.requests == []


async def test_a_cancelled_payment_is_not_sent_again_though_its_replay_would_say_authorised() -> None:
    adyen = Answering(AUTHORISED)
    answer = await adyen.asked(a_call(), GRANTED, CANCELLED)
    assert (answer.outcome, adyen.requests) == (Outcome.NOT_EXECUTED, [])
    looked_up = resolve(about(OperationKind.AUTHORIZE), [GRANTED, CANCELLED])
    assert (looked_up.outcome, looked_up.final) == (Outcome.NOT_EXECUTED, True)
