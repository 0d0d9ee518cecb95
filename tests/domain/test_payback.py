"""Deposits and the bank account that they go back to."""

from uuid import uuid4

import pytest

from domain.checkout import AskedPayment
from domain.errors import IllegalTransition
from domain.gateway import Action, Answer, OperationKind, Outcome
from domain.orphan import recheck
from domain.payback import BankAccount, NoBankAccountNeeded, name_account
from domain.refund import AskedRefund, BankAccountRequired, grant
from domain.resolution import Ask, call_for
from domain.states import OrderStatus, RequestStatus
from domain.taking import over
from tests.domain.desk import OK, UNKNOWN, Desk, a_checkout, declined

REFUND = OperationKind.REFUND
HOME = BankAccount("20", "1002123456789", "Kim Minji")
AWAITED = Answer(Outcome.ACTION_REQUIRED, reference="pg-1", action=Action("deposit"))


def deposited() -> Desk:
    desk = Desk(a_checkout(AskedPayment("virtual_account", 62700)))
    desk.answer(desk.due()[0], AWAITED)
    desk.answer(desk.due()[0], OK, Ask.LOOKUP)
    assert desk.order.status is OrderStatus.PLACED
    return desk


def refund(desk: Desk, amount: int = 5000) -> None:
    desk.decide(lambda m: grant(desk.order, AskedRefund(amount=amount), m, command_id=uuid4()))


def named(desk: Desk, account: BankAccount = HOME) -> None:
    desk.decide(lambda m: name_account(desk.order, desk.payment(0).id, account, m))


def test_a_deposit_is_not_given_back_to_nowhere() -> None:
    desk = deposited()
    with pytest.raises(BankAccountRequired) as refused:
        refund(desk)
    assert refused.value.figures == {"payments": [str(desk.payment(0).id)]}
    named(desk)
    refund(desk)
    [operation] = desk.due(REFUND)
    details = call_for(desk.order, operation).details
    assert (details["refund_bank"], details["refund_account"], details["refund_holder"]) == (
        "20",
        "1002123456789",
        "Kim Minji",
    )


def test_a_card_needs_no_account() -> None:
    desk = Desk(a_checkout())
    desk.succeed()
    with pytest.raises(NoBankAccountNeeded):
        named(desk)


def test_the_account_cannot_change_while_money_is_on_its_way_to_the_one_before() -> None:
    desk = deposited()
    named(desk)
    refund(desk)
    desk.answer(desk.due()[0], UNKNOWN)
    other = BankAccount("20", "999999", "Lee Jun")
    with pytest.raises(IllegalTransition):
        named(desk, other)
    named(desk)  # the same once more is no change
    desk.succeed()
    named(desk, other)


def expired_and_deposited() -> Desk:
    desk = Desk(a_checkout(AskedPayment("virtual_account", 62700)))
    desk.answer(desk.due()[0], AWAITED)
    request = desk.order.requests[0]
    desk.decide(lambda m: over(desk.order, request, RequestStatus.EXPIRED, m))
    desk.answer(desk.due()[0], OK, Ask.LOOKUP)
    return desk


def test_a_deposit_that_came_too_late_waits_for_an_account_and_then_goes_back() -> None:
    desk = expired_and_deposited()
    assert (desk.due(), desk.order.requires_review, desk.order.captured) == ([], True, 62700)
    named(desk)
    desk.succeed()
    assert (desk.order.refunded, desk.order.requires_review, desk.order.status) == (62700, False, OrderStatus.EXPIRED)


def test_a_wrong_account_is_put_right_and_the_money_goes_back_to_the_right_one() -> None:
    desk = expired_and_deposited()
    named(desk, BankAccount("20", "111111", "Nobody"))
    desk.answer(desk.due()[0], declined())
    assert (desk.due(), desk.order.requires_review) == ([], True)
    named(desk)
    assert [o.kind for o in desk.due()] == [REFUND]
    desk.succeed()
    assert (desk.order.refunded, desk.order.requires_review) == (62700, False)


def found_on_a_closed_attempt() -> Desk:
    """The PG said no, and has a deposit all the same."""
    desk = Desk(a_checkout(AskedPayment("virtual_account", 62700)), accounts=("a",))
    desk.answer(desk.due()[0], declined())
    ref = desk.order.attempts[0].merchant_ref
    desk.decide(lambda m: recheck(desk.order, ref, m))
    desk.answer(desk.due(OperationKind.LOOKUP)[0], OK)
    return desk


def test_a_deposit_on_a_closed_attempt_waits_for_an_account_and_then_goes_back() -> None:
    desk = found_on_a_closed_attempt()
    assert (desk.due(), desk.order.requires_review) == ([], True)
    named(desk)
    desk.answer(desk.due(OperationKind.LOOKUP)[0], OK)
    [back] = desk.due(REFUND)
    assert (back.orphan, call_for(desk.order, back).details["refund_account"]) == (True, HOME.number)
    desk.answer(back, UNKNOWN)
    with pytest.raises(IllegalTransition):
        named(desk, BankAccount("20", "999999", "Lee Jun"))
    desk.succeed()
    assert (desk.due(), desk.order.requires_review) == ([], False)


def test_an_orphan_that_was_refused_is_made_up_for_by_the_next_try() -> None:
    desk = found_on_a_closed_attempt()
    named(desk, BankAccount("20", "111111", "Nobody"))
    desk.answer(desk.due(OperationKind.LOOKUP)[0], OK)
    desk.answer(desk.due(REFUND)[0], declined())
    assert desk.order.requires_review
    named(desk)
    desk.succeed()
    assert (desk.due(), desk.order.requires_review) == ([], False)
