"""Every word of Stripe means what the tables say; what no table has is never success and never failure."""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from domain.gateway import Answer, Call, OperationKind, Outcome, Retry
from gateways.field import Unreadable
from gateways.gateway import MisconfiguredGateway
from gateways.stripe import reading, wire
from gateways.stripe.currency import Inexpressible, from_stripe, to_stripe
from gateways.stripe.decline import DECLINES, decline
from gateways.transport import Reply

AUTHORIZE, CAPTURE, VOID, REFUND, LOOKUP, NEUTRALIZE = OperationKind
KEY = "0123456789abcdef-a1"
NOW = 1_700_000_000


def a_call(kind: OperationKind = AUTHORIZE, **changes: Any) -> Call:
    fixed = Call(
        operation_id=UUID(int=7),
        kind=kind,
        account="stripe-a",
        merchant_ref="attempt-1",
        key=KEY,
        amount=10_000,
        currency="KRW",
        method="card",
        token="pm_card_visa",
        reference=None if kind is AUTHORIZE else "pi_1",
    )
    return dataclasses.replace(fixed, **changes)


def an_intent(status: str, **changes: Any) -> dict[str, Any]:
    fixed = {
        "id": "pi_1",
        "object": "payment_intent",
        "status": status,
        "amount": 10_000,
        "amount_received": 10_000 if status == "succeeded" else 0,
        "currency": "krw",
        "metadata": {"attempt": "attempt-1"},
        "latest_charge": None,
        "next_action": None,
        "last_payment_error": None,
    }
    return {**fixed, **changes}


def a_charge(**changes: Any) -> dict[str, Any]:
    return {"id": "ch_1", "object": "charge", "status": "succeeded", "amount_refunded": 0, **changes}


def a_refund(status: str, **changes: Any) -> dict[str, Any]:
    fixed = {
        "id": "re_1",
        "object": "refund",
        "status": status,
        "amount": 10_000,
        "currency": "krw",
        "payment_intent": "pi_1",
        "metadata": {"attempt": "attempt-1", "operation": KEY},
    }
    return {**fixed, **changes}


def reply(body: Mapping[str, Any], status: int = 200, kind: OperationKind = AUTHORIZE) -> Reply:
    return Reply(kind, status, dict(body), {"request-id": "req_1"})


def refusal(status: int = 400, **error: Any) -> Reply:
    return reply({"error": {"type": "invalid_request_error", "message": "No.", **error}}, status)


def read(kind: OperationKind, body: dict[str, Any], **changes: Any) -> Answer:
    return reading.read_intent(a_call(kind, **changes), kind, KEY, reply(body))


@pytest.mark.parametrize(
    ("status", "authorize", "capture", "void"),
    [
        ("requires_payment_method", Outcome.UNKNOWN, Outcome.PENDING, Outcome.PENDING),
        ("requires_confirmation", Outcome.UNKNOWN, Outcome.PENDING, Outcome.PENDING),
        ("requires_action", Outcome.ACTION_REQUIRED, Outcome.PENDING, Outcome.PENDING),
        ("processing", Outcome.PENDING, Outcome.PENDING, Outcome.PENDING),
        ("requires_capture", Outcome.SUCCEEDED, Outcome.UNKNOWN, Outcome.UNKNOWN),
        ("succeeded", Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.DECLINED),
        ("canceled", Outcome.NOT_EXECUTED, Outcome.DECLINED, Outcome.SUCCEEDED),
        ("requires_reauthorization", Outcome.PENDING, Outcome.PENDING, Outcome.PENDING),
        ("a_word_of_next_year", Outcome.PENDING, Outcome.PENDING, Outcome.PENDING),
    ],
)
def test_every_status_of_a_payment_intent(status: str, authorize: Outcome, capture: Outcome, void: Outcome) -> None:
    for kind, outcome in ((AUTHORIZE, authorize), (CAPTURE, capture), (VOID, void)):
        answer = read(kind, an_intent(status))
        assert (answer.outcome, answer.reference, answer.issues) == (outcome, "pi_1", ())
        assert answer.final is (outcome is Outcome.NOT_EXECUTED)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("succeeded", Outcome.SUCCEEDED),
        ("pending", Outcome.PENDING),
        ("requires_action", Outcome.ACTION_REQUIRED),
        ("failed", Outcome.DECLINED),
        ("canceled", Outcome.DECLINED),
        ("a_word_of_next_year", Outcome.PENDING),
    ],
)
def test_every_status_of_a_refund(status: str, outcome: Outcome) -> None:
    body = a_refund(status, failure_reason="lost_or_stolen_card" if status == "failed" else None)
    answer = reading.read_refund(a_call(REFUND), reply(body))
    assert (answer.outcome, answer.operation_ref, answer.reference) == (outcome, "re_1", "pi_1")
    assert (answer.decline is not None) is (outcome is Outcome.DECLINED)
    if status == "failed":
        assert answer.decline is not None
        assert answer.decline.code == "lost_or_stolen_card"


def test_a_failed_attempt_says_why() -> None:
    error = {"code": "card_declined", "decline_code": "stolen_card", "message": "Your card was declined."}
    answer = read(AUTHORIZE, an_intent("requires_payment_method", last_payment_error=error))
    assert answer.outcome is Outcome.DECLINED
    assert answer.decline == decline(error)
    assert answer.decline.retry is Retry.NEVER


@pytest.mark.parametrize("code", sorted(DECLINES))
def test_every_listed_decline_has_its_category_and_its_retry(code: str) -> None:
    category, retry = DECLINES[code]
    answer = reading.read_refusal(
        a_call(), AUTHORIZE, refusal(402, type="card_error", code="card_declined", decline_code=code)
    )
    assert answer.outcome is Outcome.DECLINED
    assert answer.decline is not None
    assert (answer.decline.category, answer.decline.code, answer.decline.retry) == (category, code, retry)


@pytest.mark.parametrize("code", ["lost_card", "stolen_card", "fraudulent", "do_not_try_again", "pickup_card"])
def test_what_schemes_forbid_is_never_tried_again_whatever_the_advice(code: str) -> None:
    for advice in (None, "try_again_later", "confirm_card_data"):
        assert decline({"decline_code": code, "advice_code": advice}).retry is Retry.NEVER


@pytest.mark.parametrize(
    ("advice", "retry"),
    [
        ("do_not_try_again", Retry.NEVER),
        ("try_again_later", Retry.OTHER_PG),
        ("confirm_card_data", Retry.AFTER_CUSTOMER_ACTION),
        ("a_word_of_next_year", Retry.OTHER_PG),
        (None, Retry.OTHER_PG),
    ],
)
def test_the_advice_of_the_network_goes_first(advice: str | None, retry: Retry) -> None:
    assert decline({"decline_code": "generic_decline", "advice_code": advice}).retry is retry


def test_a_decline_that_nobody_knows_is_not_tried_again() -> None:
    assert decline({"decline_code": "a_word_of_next_year"}).category == "unlisted"
    assert decline({"decline_code": "a_word_of_next_year"}).retry is Retry.NEVER
    assert (decline({}).code, decline({}).retry) == ("unlisted", Retry.NEVER)


@pytest.mark.parametrize(
    ("kind", "error", "outcome", "category"),
    [
        (AUTHORIZE, {"code": "resource_missing", "param": "payment_method"}, Outcome.DECLINED, "invalid_instrument"),
        (AUTHORIZE, {"code": "amount_too_small", "param": "amount"}, Outcome.DECLINED, "amount_limit"),
        (AUTHORIZE, {"code": "parameter_missing", "param": "amount"}, Outcome.NOT_EXECUTED, None),
        (AUTHORIZE, {"code": "lock_timeout"}, Outcome.NOT_EXECUTED, None),
        (AUTHORIZE, {"type": "idempotency_error"}, Outcome.UNKNOWN, None),
        (AUTHORIZE, {"code": "a_word_of_next_year"}, Outcome.UNKNOWN, None),
        (AUTHORIZE, {}, Outcome.UNKNOWN, None),
        (CAPTURE, {"code": "amount_too_large"}, Outcome.DECLINED, "amount_exceeded"),
        (CAPTURE, {"code": "payment_intent_unexpected_state"}, Outcome.DECLINED, "state"),
        (CAPTURE, {"code": "capture_charge_authorization_expired"}, Outcome.DECLINED, "state"),
        (VOID, {"code": "payment_intent_unexpected_state"}, Outcome.DECLINED, "state"),
        (REFUND, {"param": "amount"}, Outcome.DECLINED, "amount_exceeded"),
        (REFUND, {"code": "charge_already_refunded"}, Outcome.DECLINED, "state"),
        (REFUND, {"code": "charge_disputed"}, Outcome.DECLINED, "state"),
        (REFUND, {"code": "balance_insufficient"}, Outcome.NOT_EXECUTED, None),
        (REFUND, {"code": "a_word_of_next_year"}, Outcome.UNKNOWN, None),
    ],
)
def test_every_listed_refusal(
    kind: OperationKind, error: dict[str, Any], outcome: Outcome, category: str | None
) -> None:
    answer = reading.read_refusal(a_call(kind), kind, refusal(**error))
    assert answer.outcome is outcome
    assert (answer.decline.category if answer.decline else None) == category


def test_an_object_that_this_account_does_not_have_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(MisconfiguredGateway, match="resource_missing"):
        reading.read_refusal(a_call(CAPTURE), CAPTURE, refusal(404, code="resource_missing", param="intent"))


@pytest.mark.parametrize("missing", ["id", "status", "amount", "currency"])
def test_an_answer_without_what_it_must_contain_proves_nothing(missing: str) -> None:
    body = an_intent("succeeded")
    del body[missing]
    assert read(AUTHORIZE, body).outcome is Outcome.UNKNOWN
    assert read(AUTHORIZE, {**an_intent("succeeded"), missing: {}}).outcome is Outcome.UNKNOWN
    refund = {**a_refund("succeeded"), missing: None}
    assert reading.read_refund(a_call(REFUND), reply(refund)).outcome is Outcome.UNKNOWN


def test_what_a_refund_undoes_has_no_effect_once_the_refund_has_succeeded() -> None:
    for status, outcome in (
        ("succeeded", Outcome.NOT_EXECUTED),
        ("pending", Outcome.UNKNOWN),
        ("failed", Outcome.SUCCEEDED),
    ):
        undoing = a_refund(status, metadata={"neutralizes": KEY})
        charge = a_charge(refunds={"object": "list", "data": [undoing]}, amount_refunded=10_000)
        answer = read(AUTHORIZE, an_intent("succeeded", latest_charge=charge))
        assert (answer.outcome, answer.final) == (outcome, outcome is Outcome.NOT_EXECUTED)
        of_another = reading.read_intent(a_call(), AUTHORIZE, "another-key-0123456", reply(answer_body(charge)))
        assert of_another.outcome is Outcome.SUCCEEDED


def answer_body(charge: dict[str, Any]) -> dict[str, Any]:
    return an_intent("succeeded", latest_charge=charge)


def test_the_sums_tell_released_from_refunded() -> None:
    charge = a_charge(amount_refunded=5_500)
    amounts = read(CAPTURE, an_intent("succeeded", amount_received=7_000, latest_charge=charge)).amounts
    assert amounts is not None
    assert (amounts.authorized, amounts.captured, amounts.refunded, amounts.voided) == (10_000, 7_000, 2_500, 3_000)
    failed = read(AUTHORIZE, an_intent("requires_payment_method", latest_charge=a_charge(status="failed"))).amounts
    assert failed is not None
    assert failed.authorized == 0


def test_the_customer_is_only_sent_to_a_page() -> None:
    page = {"type": "redirect_to_url", "redirect_to_url": {"url": "https://pg.test/3ds", "return_url": "https://x"}}
    answer = read(AUTHORIZE, an_intent("requires_action", next_action=page))
    assert answer.action is not None
    assert (answer.action.kind, answer.action.url) == ("redirect", "https://pg.test/3ds")
    script = {"type": "use_stripe_sdk", "use_stripe_sdk": {"stripe_js": "https://js.test"}}
    assert read(AUTHORIZE, an_intent("requires_action", next_action=script)).action is None


def test_a_charge_says_who_it_is_and_leaves_out_what_the_call_has_not() -> None:
    plain = wire.charge(a_call(), KEY)
    assert (plain.method, plain.path, plain.key) == ("post", "/v1/payment_intents", KEY)
    assert {"return_url", "description", "customer"}.isdisjoint(plain.params)
    assert plain.params["metadata"] == {"attempt": "attempt-1"}
    assert (plain.params["capture_method"], plain.params["currency"]) == ("automatic", "krw")
    full = wire.charge(a_call(capture_now=False, description="Order 7", return_url="https://shop.test/back"), KEY)
    assert full.params["metadata"] == {"attempt": "attempt-1", "order": "Order 7"}
    assert (full.params["capture_method"], full.params["return_url"]) == ("manual", "https://shop.test/back")
    assert wire.charge(a_call(), KEY) == plain, "the same call is the same request"


def test_a_fence_differs_from_every_operation_and_confirms_nothing() -> None:
    for kind in (AUTHORIZE, CAPTURE, VOID, REFUND):
        fence = wire.fence(a_call(NEUTRALIZE), kind, KEY)
        assert "confirm" not in fence.params
        assert "payment_method" not in fence.params
        assert fence.key == KEY
        assert ("attempt" in fence.params["metadata"]) is (kind is AUTHORIZE)
    assert wire.give_back(a_call(NEUTRALIZE), "pi_1", KEY) == wire.give_back(
        a_call(NEUTRALIZE, key="another-key-0123456"), "pi_1", KEY
    )


@pytest.mark.parametrize(
    ("currency", "ours", "stripes"),
    [
        ("KRW", 12_900, 12_900),
        ("JPY", 1, 1),
        ("USD", 1_999, 1_999),
        ("ISK", 500, 50_000),
        ("UGX", 7, 700),
        ("MGA", 12_300, 123),
        ("KWD", 5_120, 5_120),
    ],
)
def test_amounts_are_counted_as_stripe_counts_them(currency: str, ours: int, stripes: int) -> None:
    assert to_stripe(ours, currency) == stripes
    assert from_stripe(stripes, currency) == ours


@pytest.mark.parametrize(("currency", "amount"), [("MGA", 150), ("KWD", 5_123), ("BHD", 1)])
def test_an_amount_that_stripe_cannot_state_is_not_sent(currency: str, amount: int) -> None:
    with pytest.raises(Inexpressible):
        to_stripe(amount, currency)
    with pytest.raises(Inexpressible):
        from_stripe(150, "ISK")


def a_transaction(**changes: Any) -> dict[str, Any]:
    source = {"id": "re_1", "object": "refund", "payment_intent": "pi_1", "metadata": {"attempt": "attempt-1"}}
    fixed = {"id": "txn_1", "reporting_category": "refund", "amount": -4_000, "fee": 0, "net": -4_000}
    return {**fixed, "currency": "krw", "created": NOW, "source": source, **changes}


def test_a_balance_transaction_is_a_line_of_the_settlement() -> None:
    line = wire.settlement_line("stripe-a", a_transaction())
    assert (line.kind, line.gross, line.fee, line.net, line.currency) == ("refund", -4_000, 0, -4_000, "KRW")
    assert (line.reference, line.operation_ref, line.merchant_ref) == ("pi_1", "re_1", "attempt-1")
    assert line.occurred_at == datetime.fromtimestamp(NOW, UTC)
    fee = wire.settlement_line("stripe-a", a_transaction(reporting_category="fee", source=None))
    assert (fee.kind, fee.reference, fee.operation_ref) == ("fee", None, None)
    bounced = wire.settlement_line("stripe-a", a_transaction(reporting_category="refund_failure", amount=4_000))
    assert (bounced.kind, bounced.gross, bounced.operation_ref) == ("reversal", 4_000, "re_1")
    unheard = wire.settlement_line("stripe-a", a_transaction(reporting_category="a_word_of_next_year", source="ch_9"))
    assert (unheard.kind, unheard.operation_ref) == ("adjustment", "ch_9")
    with pytest.raises(Unreadable):
        wire.settlement_line("stripe-a", a_transaction(amount="4000"))
