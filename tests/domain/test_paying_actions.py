"""The customer's turn: pages of a PG that are left and come back from, and deposits that take days."""

from datetime import timedelta

import pytest

from domain.checkout import AskedPayment
from domain.errors import Invalid
from domain.gateway import Action, Answer, Outcome
from domain.paying import complete
from domain.recording import LONGEST_DEPOSIT
from domain.resolution import Ask, call_for, due_call
from domain.states import OrderStatus, RequestStatus, TenderStatus
from gateways.sandbox.adapter import CAPABILITIES
from tests.domain.desk import OK, PENDING, START, Desk, a_checkout

PAGE = Answer(Outcome.ACTION_REQUIRED, reference="pg-1", action=Action("redirect", "https://pg.example/pay"))
BROUGHT = {"payment_key": "abc", "amount": "50000"}


def sent_away() -> Desk:
    desk = Desk(a_checkout(), accounts=("a",))
    desk.answer(desk.due()[0], PAGE)
    return desk


def back(desk: Desk) -> None:
    as_it_came = {"paymentKey": "abc", "amount": "50000"}
    desk.decide(lambda moment: complete(desk.order, desk.payment(0).id, as_it_came, moment))


def test_who_comes_back_has_what_was_brought_sent_once_at_once() -> None:
    desk = sent_away()
    assert due_call(desk.order, desk.due()[0], CAPABILITIES, desk.now).call.subject is not None
    back(desk)
    due = due_call(desk.order, desk.due()[0], CAPABILITIES, desk.now)
    assert (due.delay_seconds, due.call.details, due.call.subject) == (0, BROUGHT, None)
    assert due.call.key == desk.due()[0].key
    desk.now += timedelta(seconds=1)
    desk.answer(desk.due()[0], PENDING)
    assert due_call(desk.order, desk.due()[0], CAPABILITIES, desk.now).call.subject is not None
    desk.answer(desk.due()[0], OK, Ask.LOOKUP)
    assert desk.order.status is OrderStatus.PLACED


def test_a_page_that_is_reloaded_brings_nothing_new() -> None:
    desk = sent_away()
    back(desk)
    desk.now += timedelta(seconds=1)
    desk.answer(desk.due()[0], PAGE)
    before = desk.order
    back(desk)
    assert desk.order == before
    desk.answer(desk.due()[0], OK)
    paid = desk.order
    back(desk)
    assert desk.order == paid


def test_a_payment_of_another_order_is_not_completed() -> None:
    desk = sent_away()
    with pytest.raises(Invalid):
        complete(desk.order, desk.order.id, BROUGHT, desk.moment)


@pytest.mark.parametrize("given", [None, {"bank": "20"}])
def test_a_return_replaces_what_an_earlier_one_brought_and_never_what_the_shop_gave(
    given: dict[str, str] | None,
) -> None:
    asked = AskedPayment("card", a_checkout().expected_total, details=given)
    desk = Desk(a_checkout(asked), accounts=("a",))
    desk.answer(desk.due()[0], PAGE)
    for n in range(40):
        brought = {f"name{n}": "x" * 100, "bank": "99", "refundAccount": "mine", "refund_holder": "me"}
        desk.decide(lambda moment, new=brought: complete(desk.order, desk.payment(0).id, new, moment))  # type: ignore[misc]
    assert desk.payment(0).details == (given or {}) | {"name39": "x" * 100}
    before = desk.order
    desk.decide(lambda moment: complete(desk.order, desk.payment(0).id, {"refund_bank": "20"}, moment))
    assert desk.order == before, "it has brought nothing that counts"


def test_who_comes_back_with_nothing_has_the_pg_asked_and_takes_nothing_away() -> None:
    desk = Desk(a_checkout(AskedPayment("card", 62_700, details={"bank": "20"})), accounts=("a",))
    desk.answer(desk.due()[0], PAGE)
    desk.decide(lambda moment: complete(desk.order, desk.payment(0).id, {}, moment))
    assert (desk.payment(0).details, desk.due()[0].completed_at) == ({"bank": "20"}, desk.now)
    back(desk)
    desk.decide(lambda moment: complete(desk.order, desk.payment(0).id, {}, moment))
    assert desk.payment(0).details == {"bank": "20"} | BROUGHT


def deposit(days: int) -> Answer:
    fields = {"bank": "20", "account": "123", "holder": "OPMS"}
    due_at = START + timedelta(days=days)
    return Answer(Outcome.ACTION_REQUIRED, reference="va", action=Action("deposit", fields=fields, due_at=due_at))


@pytest.mark.parametrize(("days", "waits"), [(2, timedelta(days=2)), (30, LONGEST_DEPOSIT)])
def test_an_order_waits_for_a_deposit_as_long_as_it_is_good(days: int, waits: timedelta) -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    desk.answer(desk.due()[0], deposit(days))
    payment = desk.payment(0)
    assert (payment.status, payment.action_fields) == (TenderStatus.AWAITING_DEPOSIT, deposit(1).action.fields)  # type: ignore[union-attr]
    assert desk.order.expires_at == desk.order.requests[0].due_at == START + waits
    desk.answer(desk.due()[0], OK, Ask.LOOKUP)
    assert (desk.order.status, desk.payment(0).action_fields) == (OrderStatus.PLACED, None)
    assert desk.order.requests[0].status is RequestStatus.PAID


def test_the_card_is_taken_before_the_deposit_account_is_issued() -> None:
    total = a_checkout().expected_total
    asked = (AskedPayment("virtual_account", total - 20_000), AskedPayment("card", 20_000, "tok"))
    desk = Desk(a_checkout(*asked), accounts=("a",))
    assert [desk.order.payment(o.payment_id).method for o in desk.due()] == ["card"]
    desk.answer(desk.due()[0], OK)
    waiting = [o for o in desk.due() if desk.order.payment(o.payment_id).method == "virtual_account"]
    assert call_for(desk.order, waiting[0]).method == "virtual_account"
