"""A deposit that the bank takes back: not paid any more, not shipped, taken in again when it is made again."""

from dataclasses import replace
from uuid import uuid4

import pytest

from domain.cancellation import cancel
from domain.checkout import AskedPayment
from domain.errors import IllegalTransition
from domain.gateway import Action, Amounts, Answer, OperationKind, Outcome
from domain.paying import pay
from domain.resolution import Ask
from domain.states import BalanceState, OrderStatus, PaidStatus, TenderStatus
from tests.domain.desk import OK, Desk, a_checkout, declined
from tests.domain.test_reversal import done, doubted

AUTHORIZE = OperationKind.AUTHORIZE


def pays_by_card(desk: Desk, amount: int) -> None:
    """So much of what is asked for comes from a card."""
    card = AskedPayment("card", amount, "tok-1")
    desk.decide(lambda m: pay(desk.order, None, [card], m, command_id=uuid4()))
    desk.succeed()


def deposited(gone: Answer) -> Desk:
    """An order whose deposit has come, and of which the PG says this since."""
    desk = Desk(a_checkout(AskedPayment("virtual_account", 62700)))
    desk.answer(desk.due()[0], Answer(Outcome.ACTION_REQUIRED, reference="pg-1", action=Action("deposit")))
    desk.answer(desk.due()[0], OK, Ask.LOOKUP)
    assert (desk.order.status, desk.order.payment_status) == (OrderStatus.PLACED, PaidStatus.PAID)
    desk.answer(doubted(desk, done(desk, AUTHORIZE)), gone)
    return desk


WAITS_AGAIN = Answer(Outcome.ACTION_REQUIRED, amounts=Amounts(0, 0, 0, 0), action=Action("deposit"))


@pytest.mark.parametrize("gone", [WAITS_AGAIN, replace(declined(), amounts=Amounts(0, 0, 0, 0))])
def test_a_deposit_that_the_bank_takes_back_is_no_longer_paid(gone: Answer) -> None:
    desk = deposited(gone)
    assert (desk.order.captured, desk.order.balance, desk.order.requires_review) == (0, BalanceState.DUE, True)
    assert desk.order.payment_status is PaidStatus.UNPAID
    assert [s.payment_status for s in desk.order.sections] == [PaidStatus.UNPAID] * 2
    assert (done(desk, AUTHORIZE).reversed_amount, done(desk, AUTHORIZE).contradicted) == (62700, False)
    assert not desk.due()


def test_a_deposit_that_is_made_a_second_time_is_taken_in_again() -> None:
    desk = deposited(WAITS_AGAIN)
    desk.answer(doubted(desk, done(desk, AUTHORIZE)), replace(OK, amounts=Amounts(62700, 62700, 0, 0)))
    assert (desk.order.captured, desk.order.balance, desk.order.requires_review) == (62700, BalanceState.SETTLED, False)
    assert (desk.order.payment_status, desk.payment(0).status) == (PaidStatus.PAID, TenderStatus.CAPTURED)
    desk.ships(1)


def test_what_the_bank_has_taken_the_money_of_is_not_shipped() -> None:
    desk = deposited(WAITS_AGAIN)
    with pytest.raises(IllegalTransition, match="not paid any more") as refused:
        desk.ships(1)
    assert refused.value.figures["taken_back"] == desk.order.allocations[0].amount
    desk.decide(lambda m: cancel(desk.order, (), None, m, reason="no", command_id=uuid4()))
    assert (desk.order.status, desk.order.requires_review, desk.due()) == (OrderStatus.CANCELED, False, [])


def test_a_deposit_that_is_made_again_after_others_have_paid_is_there_and_too_much() -> None:
    desk = Desk(a_checkout(AskedPayment("virtual_account", 30000), mode="accumulate"))
    desk.answer(desk.due()[0], Answer(Outcome.ACTION_REQUIRED, reference="pg-1", action=Action("deposit")))
    desk.answer(desk.due()[0], OK, Ask.LOOKUP)
    deposit = done(desk, AUTHORIZE)
    desk.answer(doubted(desk, deposit), WAITS_AGAIN)
    pays_by_card(desk, 35000)
    pays_by_card(desk, 20000)
    assert desk.order.status is OrderStatus.PENDING_PAYMENT
    desk.answer(doubted(desk, deposit), replace(OK, amounts=Amounts(30000, 30000, 0, 0)))
    desk.succeed()
    assert (desk.order.status, desk.order.captured) == (OrderStatus.PLACED, 85000)
    assert (desk.order.balance, desk.order.requires_review) == (BalanceState.CREDIT, True)
