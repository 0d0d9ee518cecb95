"""What is sent again under a key is what was sent before, or it is not sent (R4)."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from domain.capture import capture
from domain.checkout import AskedPayment
from domain.fingerprint import fingerprint, forget_given, is_same
from domain.gateway import Action, Answer, Call, OperationKind, Outcome
from domain.paying import complete
from domain.payment import Operation
from domain.recording import record
from domain.resolution import ALTERED, Ask, call_for, doubt_what_was_lost, due_call, is_altered
from tests.domain.desk import NOT_EXECUTED, OK, START, UNKNOWN, Desk, a_checkout
from tests.domain.test_resolution import ABLE

PAGE = Answer(Outcome.ACTION_REQUIRED, reference="pg-1", action=Action("redirect", "https://pg.example"))
BROUGHT = {"payment_key": "pk-1"}
CHARGE = Call(
    operation_id=UUID(int=1),
    kind=OperationKind.AUTHORIZE,
    account="a",
    merchant_ref="op-1",
    key="1-a1",
    amount=1000,
    currency="KRW",
    method="card",
)
REFUND = replace(CHARGE, kind=OperationKind.REFUND, reference="pg-1")
OTHER: dict[str, Any] = {
    "account": "b",
    "merchant_ref": "op-2",
    "key": "2-a1",
    "amount": 1001,
    "currency": "USD",
    "method": "transfer",
    "token": "tok_ok",
    "customer": "c-1",
    "capture_now": False,
    "instalments": 3,
    "description": "Order 2",
    "return_url": "https://shop.example",
    "tax_free": 100,
    "details": {"payment_key": "pk-1"},
}
OUR_OWN: dict[str, Any] = {
    "operation_id": UUID(int=2),
    "not_after": START,
    "trace": "t",
    "subject": OperationKind.AUTHORIZE,
    "subject_key": "k",
    "subject_reference": "r",
    "subject_sent_at": START,
}


@pytest.mark.parametrize("name", OTHER)
def test_all_that_a_pg_is_told_of_an_authorization_counts(name: str) -> None:
    assert not is_same(fingerprint(CHARGE), fingerprint(replace(CHARGE, **{name: OTHER[name]})))


@pytest.mark.parametrize("name", ["account", "merchant_ref", "key", "amount", "currency", "reference", "tax_free"])
def test_all_that_a_pg_is_told_of_a_refund_counts(name: str) -> None:
    other = OTHER | {"reference": "pg-2"}
    assert not is_same(fingerprint(REFUND), fingerprint(replace(REFUND, **{name: other[name]})))


@pytest.mark.parametrize("name", OUR_OWN)
def test_our_own_bookkeeping_does_not_count(name: str) -> None:
    assert fingerprint(replace(CHARGE, **{name: OUR_OWN[name]})) == fingerprint(CHARGE)


def test_every_field_of_a_call_is_told_or_our_own() -> None:
    assert set(Call.__dataclass_fields__) == {*OTHER, *OUR_OWN, "kind", "reference"}


def test_an_answer_may_bring_the_reference_of_its_own_call() -> None:
    assert fingerprint(replace(CHARGE, reference="pg-1")) == fingerprint(CHARGE)


@pytest.mark.parametrize("name", ["method", "token", "customer", "capture_now", "instalments", "description"])
def test_what_only_an_authorization_tells_does_not_count_for_what_follows(name: str) -> None:
    assert fingerprint(replace(REFUND, **{name: OTHER[name]})) == fingerprint(REFUND)


def test_a_bank_account_counts_for_refunds_alone() -> None:
    account = {"refund_account": "1002", "refund_bank": "20", "refund_holder": "Kim"}
    assert not is_same(fingerprint(REFUND), fingerprint(replace(REFUND, details=account)))
    assert fingerprint(replace(CHARGE, details=account)) == fingerprint(CHARGE)
    void = replace(REFUND, kind=OperationKind.VOID)
    assert fingerprint(replace(void, details=account | BROUGHT)) == fingerprint(void)


def test_what_was_given_may_be_left_out_of_the_comparison() -> None:
    before, now = fingerprint(CHARGE), fingerprint(replace(CHARGE, details=BROUGHT))
    assert not is_same(before, now)
    assert is_same(before, now, apart_from_given=True)
    assert is_same(forget_given(before), now)
    assert not is_same(forget_given(before), fingerprint(replace(CHARGE, amount=1)))


def charge_of(desk: Desk) -> Operation:
    return next(o for o in desk.order.operations if o.kind is OperationKind.AUTHORIZE)


def send(desk: Desk, answer: Answer, operation: Operation | None = None) -> None:
    """What is due is sent, and its answer recorded as the workflow does it."""
    operation = operation or charge_of(desk)
    sent = fingerprint(call_for(desk.order, operation))
    desk.decide(lambda m: record(desk.order, Ask.SEND, operation, answer, m, sent=sent))


def asks(desk: Desk, operation: Operation | None = None) -> OperationKind:
    operation = operation or charge_of(desk)
    return due_call(desk.order, operation, ABLE, desk.now).call.kind


def change(desk: Desk, **fields: Any) -> None:
    """Somebody changes the payment's row."""
    [payment] = desk.order.payments
    desk.order = desk.order.put(replace(payment, **fields))


@pytest.fixture
def desk() -> Desk:
    return Desk(a_checkout(AskedPayment("card", 62700, "tok_ok", return_url="https://shop.example")))


def test_a_doubt_is_sent_again_as_it_was(desk: Desk) -> None:
    send(desk, UNKNOWN)
    assert charge_of(desk).fingerprint
    assert asks(desk) is OperationKind.AUTHORIZE


@pytest.mark.parametrize(
    "fields",
    [{"token": "tok_other"}, {"return_url": None}, {"details": {"bank": "20"}}, {"instalments": 3}, {"method": "x"}],
)
def test_a_doubt_that_would_go_out_with_other_words_is_only_asked_about(desk: Desk, fields: dict[str, Any]) -> None:
    send(desk, UNKNOWN)
    change(desk, **fields)
    assert asks(desk) is OperationKind.LOOKUP
    desk.answer(charge_of(desk), Answer(Outcome.UNKNOWN), Ask.LOOKUP)
    desk.answer(charge_of(desk), Answer(Outcome.UNKNOWN), Ask.LOOKUP)
    assert (charge_of(desk).outcome, charge_of(desk).detail) == (Outcome.UNKNOWN, ALTERED)
    desk.answer(charge_of(desk), OK, Ask.LOOKUP)
    assert charge_of(desk).outcome is Outcome.SUCCEEDED


def test_another_amount_is_not_sent(desk: Desk) -> None:
    send(desk, UNKNOWN)
    desk.order = desk.order.put(replace(charge_of(desk), amount=1))
    assert asks(desk) is OperationKind.LOOKUP


def test_a_capture_in_doubt_is_looked_up_if_it_has_changed() -> None:
    desk = Desk(a_checkout(capture="manual"))
    desk.succeed()
    desk.decide(lambda m: capture(desk.order, None, m))
    [due] = desk.due()
    send(desk, NOT_EXECUTED, due)
    desk.order = desk.order.put(replace(desk.order.operation(due.id), amount=1000))
    assert asks(desk, desk.order.operation(due.id)) is OperationKind.CAPTURE, "nothing was executed: it may be new"
    send(desk, UNKNOWN, desk.order.operation(due.id))
    assert asks(desk, desk.order.operation(due.id)) is OperationKind.CAPTURE
    desk.order = desk.order.put(replace(desk.order.operation(due.id), amount=2000))
    assert asks(desk, desk.order.operation(due.id)) is OperationKind.LOOKUP


def returned(desk: Desk) -> None:
    [payment] = desk.order.payments
    desk.decide(lambda m: complete(desk.order, payment.id, BROUGHT, m))


def test_what_a_customer_brings_back_is_sent_and_sent_again(desk: Desk) -> None:
    send(desk, PAGE)
    returned(desk)
    assert asks(desk) is OperationKind.AUTHORIZE
    send(desk, UNKNOWN)
    assert (charge_of(desk).outcome, asks(desk)) == (Outcome.UNKNOWN, OperationKind.AUTHORIZE)
    change(desk, details={"payment_key": "another"})
    assert asks(desk) is OperationKind.LOOKUP


def test_what_a_customer_brings_back_is_not_sent_with_other_money(desk: Desk) -> None:
    send(desk, PAGE)
    returned(desk)
    change(desk, token="tok_other")
    assert asks(desk) is OperationKind.LOOKUP


def test_what_a_lost_run_may_have_sent_is_sent_with_what_was_brought(desk: Desk) -> None:
    send(desk, PAGE)
    returned(desk)
    desk.order = doubt_what_was_lost(desk.order, desk.now)
    assert (charge_of(desk).outcome, asks(desk)) == (Outcome.UNKNOWN, OperationKind.AUTHORIZE)
    change(desk, token="tok_other")
    assert asks(desk) is OperationKind.LOOKUP


def test_what_was_sent_before_this_was_kept_is_sent_again(desk: Desk) -> None:
    desk.answer(charge_of(desk), UNKNOWN)
    assert charge_of(desk).fingerprint is None
    change(desk, token="tok_other")
    assert not is_altered(desk.order, charge_of(desk))
    assert asks(desk) is OperationKind.AUTHORIZE
