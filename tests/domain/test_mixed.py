"""Mixed payments (M2-M5): what can be held first, then what is charged at once, a deposit last; all or nothing."""

from datetime import timedelta

import pytest

from domain.capture import capture
from domain.checkout import AskedPayment
from domain.fingerprint import fingerprint
from domain.gateway import Action, Amounts, Answer, OperationKind, Outcome, Retry
from domain.payback import BankAccount, name_account
from domain.paying import complete, pay
from domain.recording import BEFORE_A_HOLD_ENDS, record
from domain.reorder import AskedReorder, Wanted, reorder
from domain.resolution import Ask, call_for, due_call
from domain.reversal import doubt
from domain.states import BalanceState, OrderStatus, PaidStatus, RequestStatus, TenderStatus
from domain.taking import over
from gateways.toss.adapter import CAPABILITIES as TOSS
from tests.domain.desk import CATALOG, OK, START, Desk, a_checkout, declined

AUTHORIZE, CAPTURE, VOID, REFUND = (
    OperationKind.AUTHORIZE,
    OperationKind.CAPTURE,
    OperationKind.VOID,
    OperationKind.REFUND,
)
CARD, DEPOSIT = AskedPayment("card", 30000, "tok"), AskedPayment("virtual_account", 32700)
TWO_CARDS = (CARD, AskedPayment("card", 32700, "tok-2"))
WINDOW = Answer(Outcome.ACTION_REQUIRED, reference="va-1", action=Action("deposit", due_at=START))


def pays(desk: Desk, *legs: AskedPayment) -> None:
    """What is left of the request."""
    desk.decide(lambda m: pay(desk.order, None, legs, m, command_id=desk.new_id()))


def asked(desk: Desk) -> list[tuple[str, int, bool]]:
    """Of each operation: what, of how much, and whether it takes the money at once."""
    return [(o.kind.value, o.amount, o.capture_now) for o in desk.order.operations]


def test_a_card_is_held_before_a_deposit_is_asked_for_and_captured_once_that_has_come() -> None:
    desk = Desk(a_checkout(DEPOSIT, CARD))
    assert asked(desk) == [("authorize", 30000, False)]
    desk.succeed()
    assert asked(desk) == [("authorize", 30000, False), ("authorize", 32700, True), ("capture", 30000, False)]
    assert (desk.order.status, desk.order.captured) == (OrderStatus.PLACED, 62700)


def test_a_card_that_nobody_can_hold_is_charged_first_and_given_back_if_the_deposit_never_comes() -> None:
    desk = Desk(a_checkout(CARD, DEPOSIT), chargers=("a", "b"))
    desk.answer(desk.due()[0], Answer(Outcome.SUCCEEDED, reference="card-1"))
    [deposit] = desk.due()
    desk.answer(deposit, WINDOW)
    assert asked(desk) == [("authorize", 30000, True), ("authorize", 32700, True)]
    request = desk.order.requests[0]
    desk.decide(lambda m: over(desk.order, request, RequestStatus.EXPIRED, m))
    [back] = desk.due(REFUND)
    assert back.amount == 30000
    desk.answer(deposit, OK, Ask.NEUTRALIZE)
    desk.succeed()
    assert (desk.order.status, desk.order.captured - desk.order.refunded) == (OrderStatus.EXPIRED, 0)


@pytest.mark.parametrize("capture", ["manual", "on_shipment"])
def test_a_deposit_and_a_transfer_are_paid_though_cards_are_captured_later(capture: str) -> None:
    legs = (DEPOSIT, AskedPayment("transfer", 10000), AskedPayment("card", 20000, "tok"))
    desk = Desk(a_checkout(*legs, capture=capture))
    desk.succeed()
    assert asked(desk) == [("authorize", 20000, False), ("authorize", 10000, True), ("authorize", 32700, True)]
    assert (desk.order.status, desk.order.captured, desk.order.authorized) == (OrderStatus.PLACED, 42700, 62700)


def test_two_cards_where_nobody_can_hold_are_charged_one_after_the_other() -> None:
    desk = Desk(a_checkout(*TWO_CARDS), chargers=("a", "b"))
    desk.succeed()
    assert asked(desk) == [("authorize", 30000, True), ("authorize", 32700, True)]
    assert desk.order.status is OrderStatus.PLACED


def test_the_first_of_two_cards_is_given_back_if_the_second_is_declined_though_it_was_charged() -> None:
    desk = Desk(a_checkout(*TWO_CARDS), chargers=("a", "b"))
    desk.answer(desk.due()[0], Answer(Outcome.SUCCEEDED, reference="card-1"))
    desk.answer(desk.due()[0], declined())
    desk.succeed()
    assert asked(desk)[2:] == [("refund", 30000, False)]
    assert (desk.order.status, desk.payment(0).refunded) == (OrderStatus.PENDING_PAYMENT, 30000)
    pays(desk, AskedPayment("card", 62700, "tok-3"))
    desk.succeed()
    assert (desk.order.status, desk.order.payment_status) == (OrderStatus.PLACED, PaidStatus.PAID)


def test_a_leg_moves_to_an_account_that_charges_if_those_that_hold_have_declined() -> None:
    desk = Desk(a_checkout(*TWO_CARDS), chargers=("b",))
    desk.answer(desk.due()[0], declined(Retry.OTHER_PG))
    assert [(a.account, o.capture_now) for a, o in zip(desk.order.attempts, desk.order.operations, strict=True)] == [
        ("a", False),
        ("b", True),
    ]


@pytest.mark.parametrize("capture", ["manual", "on_shipment"])
def test_what_is_to_be_captured_later_is_never_charged_at_once(capture: str) -> None:
    desk = Desk(a_checkout(capture=capture), chargers=("a", "b"))
    assert (asked(desk), desk.payment(0).status) == ([], TenderStatus.DECLINED)


@pytest.mark.parametrize(("mode", "left"), [("atomic", "authorized"), ("accumulate", "authorized")])
def test_a_leg_that_no_account_can_take_is_seen_at_once(mode: str, left: str) -> None:
    desk = Desk(a_checkout(*TWO_CARDS, mode=mode), accounts=())
    assert [p.status for p in desk.order.payments] == (
        [TenderStatus.DECLINED, TenderStatus.CANCELED] if mode == "atomic" else [TenderStatus.DECLINED] * 2
    )
    assert desk.payment(0).decline_message == "nobody is left"


def test_a_leg_that_no_account_can_take_gives_back_what_the_others_hold() -> None:
    desk = Desk(a_checkout(AskedPayment("points", 32700), CARD), accounts=())
    assert [p.status for p in desk.order.payments] == [TenderStatus.VOIDED, TenderStatus.DECLINED]
    assert desk.held_points == 0


def test_the_second_card_that_no_account_can_take_gives_back_the_first() -> None:
    desk = Desk(a_checkout(*TWO_CARDS))
    desk.accounts = ()
    first = desk.due()[0]
    desk.answer(first, Answer(Outcome.SUCCEEDED, reference="card-1"))
    assert [o.kind for o in desk.due()] == [VOID]
    desk.succeed()
    assert [p.status for p in desk.order.payments] == [TenderStatus.VOIDED, TenderStatus.DECLINED]


def test_what_an_attempt_was_refused_for_does_not_stand_on_a_payment_that_is_paid() -> None:
    desk = Desk(a_checkout())
    desk.answer(desk.due()[0], declined(Retry.OTHER_PG))
    assert desk.payment(0).decline_code == "05"
    desk.succeed()
    assert (desk.payment(0).status, desk.payment(0).decline_code) == (TenderStatus.CAPTURED, None)
    assert [a.outcome for a in desk.order.attempts] == [Outcome.DECLINED, Outcome.SUCCEEDED]


def test_where_a_lost_charge_could_not_be_undone_money_is_held_first() -> None:
    desk = Desk(a_checkout(), unsafe=("a",))
    desk.succeed()
    assert asked(desk) == [("authorize", 62700, False), ("capture", 62700, False)]
    transfer = Desk(a_checkout(AskedPayment("transfer", 62700)), unsafe=("a",))
    assert asked(transfer) == [("authorize", 62700, True)]


def test_a_retry_is_held_only_if_it_must_wait_not_because_the_account_before_held_first() -> None:
    desk = Desk(a_checkout(), chargers=("b",), unsafe=("a",))
    desk.answer(desk.due()[0], declined(Retry.OTHER_PG))
    assert asked(desk) == [("authorize", 62700, False), ("authorize", 62700, True)]


def test_a_transfer_that_is_taken_back_before_the_deposit_has_come_is_not_there() -> None:
    desk = Desk(a_checkout(AskedPayment("transfer", 30000), DEPOSIT))
    transfer = desk.due()[0]
    desk.answer(transfer, OK)
    deposit = desk.due()[0]
    desk.answer(deposit, WINDOW)
    desk.decide(lambda m: doubt(desk.order, transfer.id, m))
    gone = Answer(Outcome.SUCCEEDED, reference="pg-1", amounts=Amounts(30000, 0, 0, 0))
    desk.answer(desk.due(OperationKind.LOOKUP)[0], gone)
    desk.answer(deposit, OK)
    assert (desk.order.status, desk.order.requests[0].paid) == (OrderStatus.PENDING_PAYMENT, 32700)


def test_a_deposit_is_waited_for_no_longer_than_the_card_beside_it_is_held() -> None:
    desk = Desk(a_checkout(CARD, DEPOSIT))
    ends = START + timedelta(days=2)
    desk.answer(desk.due()[0], Answer(Outcome.SUCCEEDED, reference="card-1", authorized_until=ends))
    late = Action("deposit", due_at=START + timedelta(days=7))
    desk.answer(desk.due()[0], Answer(Outcome.ACTION_REQUIRED, reference="va-1", action=late))
    assert desk.order.requests[0].due_at == ends - BEFORE_A_HOLD_ENDS


def test_a_late_deposit_for_an_exchange_that_is_over_pays_for_nothing_else() -> None:
    desk = Desk(a_checkout(capture="manual"))
    desk.succeed()
    for number in (1, 2):
        desk.ships(number)
        desk.delivers(number)
    asked_for = AskedReorder("exchange", (Wanted(desk.item("MUG").id, 1, "TEE"),), return_first=False)
    desk.decide(lambda m: reorder(desk.order, asked_for, CATALOG, m, command_id=desk.new_id()))
    pays(desk, AskedPayment("virtual_account", 5000))
    deposit = desk.due()[0]
    desk.answer(deposit, WINDOW)
    desk.decide(lambda m: over(desk.order, desk.order.requests[1], RequestStatus.EXPIRED, m))
    desk.answer(deposit, OK)
    desk.decide(lambda m: capture(desk.order, None, m))
    desk.succeed()
    account = BankAccount("20", "1002123456789", "Kim Minji")
    desk.decide(lambda m: name_account(desk.order, desk.order.payments[1].id, account, m))
    desk.succeed()
    assert (desk.order.captured - desk.order.refunded, desk.order.balance) == (62700, BalanceState.SETTLED)
    assert not desk.order.requires_review


def test_what_was_brought_from_one_pgs_page_is_not_sent_to_another_pg() -> None:
    desk = Desk(a_checkout(AskedPayment("card", 62700, return_url="https://shop.test/back")))
    [first] = desk.due()
    desk.answer(first, Answer(Outcome.ACTION_REQUIRED, reference="r-1", action=Action("redirect", "https://a")))
    desk.decide(lambda m: complete(desk.order, desk.payment(0).id, {"redirectResult": "of a"}, m))
    desk.answer(first, declined(Retry.OTHER_PG))
    assert [call_for(desk.order, o).details for o in desk.due()] == [{}]


def test_who_comes_back_a_second_time_while_the_pg_is_told_of_the_first_is_told_of_too() -> None:
    desk = Desk(a_checkout(AskedPayment("card", 62700, return_url="https://shop.test/back")))
    window = Answer(Outcome.ACTION_REQUIRED, reference="r-1", action=Action("redirect", "https://a"))
    [first] = desk.due()
    desk.answer(first, window)
    desk.now += timedelta(minutes=1)
    desk.decide(lambda m: complete(desk.order, desk.payment(0).id, {"code": "USER_CANCEL"}, m))
    sent = fingerprint(call_for(desk.order, desk.order.operation(first.id)))
    desk.now += timedelta(seconds=1)
    desk.decide(lambda m: complete(desk.order, desk.payment(0).id, {"payment_key": "pk"}, m))
    desk.now += timedelta(seconds=1)
    told = desk.order.operation(first.id)
    desk.decide(lambda m: record(desk.order, Ask.SEND, told, window, m, sent=sent))
    again = due_call(desk.order, desk.order.operation(first.id), TOSS, desk.now)
    assert (again.call.kind, again.delay_seconds, again.call.details) == (AUTHORIZE, 0, {"payment_key": "pk"})


def test_a_deposit_that_is_taken_back_is_not_captured_by_hand() -> None:
    desk = Desk(a_checkout(DEPOSIT, AskedPayment("card", 30000, "tok"), capture="manual", mode="accumulate"))
    desk.succeed()
    deposit = next(o for o in desk.order.operations if o.capture_now)
    desk.decide(lambda m: doubt(desk.order, deposit.id, m))
    gone = Answer(Outcome.SUCCEEDED, reference="pg-1", amounts=Amounts(32700, 0, 0, 0))
    desk.answer(desk.due(OperationKind.LOOKUP)[0], gone)
    desk.decide(lambda m: capture(desk.order, None, m))
    assert [(o.amount, o.payment_id) for o in desk.due(CAPTURE)] == [(30000, desk.payment(0).id)]
