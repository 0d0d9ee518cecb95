"""When the money of a part is captured: no hold is trusted to last until the next part is due."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from activities.progress import progress_of, waits_for
from domain.capture import BEFORE_LAPSE, USUAL_HOLD, capture, capture_lapsing, lapses_at
from domain.checkout import AskedPayment
from domain.errors import NothingToDo, TotalMismatch
from domain.gateway import Action, Amounts, Answer, OperationKind, Outcome
from domain.paying import refuse_stale_payer
from domain.resolution import Ask
from domain.reversal import doubt
from domain.states import OrderStatus, TenderStatus
from gateways.sandbox.adapter import CAPABILITIES
from tests.domain.desk import OK, START, Desk, a_checkout, declined
from tests.domain.scheduled import SECOND, WINDOW, expires, pays, scheduled

CAPTURE, REFUND, VOID = OperationKind.CAPTURE, OperationKind.REFUND, OperationKind.VOID
TWO_CARDS = (AskedPayment("card", 4000, "tok-1"), AskedPayment("card", 6000, "tok-2"))
STATED = START + timedelta(days=4)


def lapse(desk: Desk, at: datetime) -> None:
    """It is this late, and holds are looked at."""
    desk.now = at
    desk.decide(lambda m: capture_lapsing(desk.order, m))


def test_both_cards_of_a_deposit_are_captured_once_it_is_complete_and_not_before() -> None:
    desk = Desk(scheduled(*TWO_CARDS))
    desk.answer(desk.due()[0], OK)
    assert (desk.payment(0).status, desk.due(CAPTURE)) == (TenderStatus.AUTHORIZED, [])
    desk.answer(desk.due()[0], OK)
    assert [(o.payment_id, o.amount) for o in desk.due()] == [(desk.payment(0).id, 4000)]
    desk.succeed()
    assert (desk.order.status, desk.order.captured) == (OrderStatus.PENDING_PAYMENT, 10_000)


def test_without_a_schedule_the_first_card_is_held_until_all_is_there() -> None:
    desk = Desk(a_checkout(*TWO_CARDS, mode="accumulate"))
    desk.succeed()
    assert [p.captured for p in desk.order.payments] == [0, 6000]


def test_a_card_whose_part_lacks_the_rest_is_only_held_and_goes_back_without_a_refund() -> None:
    desk = Desk(scheduled())
    desk.succeed()
    pays(desk, 15_000, 5000)
    desk.answer(desk.due()[0], OK)
    desk.answer(desk.due()[0], declined())
    assert (desk.order.requests[0].paid, desk.due()) == (25_000, [])
    expires(desk, SECOND)
    assert [(o.kind, o.amount) for o in desk.due()] == [(VOID, 15_000), (REFUND, 10_000)]
    desk.succeed()
    assert sum(p.exposed for p in desk.order.payments) == 0


def test_a_card_is_captured_when_what_was_missing_beside_it_has_come() -> None:
    desk = Desk(scheduled())
    desk.succeed()
    pays(desk, 15_000, 5000)
    desk.answer(desk.due()[0], OK)
    desk.answer(desk.due()[0], declined())
    pays(desk, 5000)
    desk.succeed()
    assert [p.captured for p in desk.order.payments] == [10_000, 15_000, 0, 5000]


def test_points_of_a_part_are_held_until_all_is_paid() -> None:
    desk = Desk(scheduled(AskedPayment("points", 4000), AskedPayment("card", 6000, "tok")))
    desk.succeed()
    assert (desk.held_points, desk.order.captured) == (4000, 6000)
    assert lapses_at(desk.order) is None, "our own hold does not lapse"
    pays(desk, 52_700)
    desk.succeed()
    assert (desk.held_points, desk.points, desk.order.captured) == (0, 10**9 - 4000, 62_700)


def test_a_capture_of_a_part_that_the_pg_refused_is_not_asked_for_again_and_a_person_is_told() -> None:
    desk = Desk(scheduled(*TWO_CARDS))
    desk.answer(desk.due()[0], OK)
    desk.answer(desk.due()[0], OK)
    desk.answer(desk.due(CAPTURE)[0], declined())
    assert (desk.due(), desk.order.requires_review) == ([], True)
    pays(desk, 52_700)
    desk.succeed()
    assert (desk.order.status, desk.order.requires_review) == (OrderStatus.PLACED, True)


@pytest.mark.parametrize("mode", ["manual", "on_shipment"])
@pytest.mark.parametrize(("stated", "end"), [(STATED, STATED), (None, START + USUAL_HOLD)], ids=["stated", "unstated"])
def test_a_held_deposit_is_captured_a_day_before_it_lapses(mode: str, stated: datetime | None, end: datetime) -> None:
    desk = Desk(scheduled(capture=mode), accounts=("a",))
    desk.answer(desk.due()[0], replace(OK, authorized_until=stated))
    assert desk.payment(0).status is TenderStatus.AUTHORIZED
    told = progress_of(desk.order, {"a": CAPABILITIES})
    assert (told.expires_at, told.lapses_at) == (SECOND, end - BEFORE_LAPSE)
    lapse(desk, end - BEFORE_LAPSE - timedelta(microseconds=1))
    assert desk.due() == []
    lapse(desk, end - BEFORE_LAPSE)
    assert ([o.amount for o in desk.due(CAPTURE)], lapses_at(desk.order)) == ([10_000], None)
    desk.succeed()
    assert (desk.order.captured, desk.order.requests[0].due_at) == (10_000, SECOND)
    expires(desk, SECOND)
    assert [(o.kind, o.amount) for o in desk.due()] == [(REFUND, 10_000)]


def test_a_capture_on_its_way_when_its_part_is_overdue_is_given_back_after_it() -> None:
    desk = Desk(scheduled(capture="manual"), accounts=("a",))
    desk.succeed()
    lapse(desk, START + USUAL_HOLD)
    expires(desk, SECOND)
    assert [o.kind for o in desk.due()] == [CAPTURE]
    desk.succeed()
    assert (desk.order.status, desk.order.captured, desk.order.refunded) == (OrderStatus.EXPIRED, 10_000, 10_000)


def test_all_holds_of_a_part_that_lapse_are_captured_and_never_more_than_is_owed() -> None:
    desk = Desk(scheduled(*TWO_CARDS, capture="manual"), accounts=("a",))
    desk.succeed()
    lapse(desk, START + USUAL_HOLD)
    assert sorted(o.amount for o in desk.due(CAPTURE)) == [4000, 6000]
    desk.succeed()
    assert lapses_at(desk.order) is None


def test_what_pays_only_a_part_is_still_not_captured_by_hand() -> None:
    desk = Desk(scheduled(capture="manual"))
    desk.succeed()
    with pytest.raises(NothingToDo):
        capture(desk.order, None, desk.moment)


def test_whoever_looks_is_told_which_amount_is_waited_for_and_until_when() -> None:
    desk = Desk(replace(scheduled(), payments=()))
    assert waits_for(desk.order) == f"the customer to pay 10000 KRW until {WINDOW:%Y-%m-%d %H:%M} UTC"
    pays(desk, 10_000)
    desk.succeed()
    assert waits_for(desk.order) == f"the customer to pay 20000 KRW until {SECOND:%Y-%m-%d %H:%M} UTC"


def test_a_deposit_that_the_bank_takes_back_is_asked_for_again_and_captured_by_nobody() -> None:
    desk = Desk(scheduled(AskedPayment("virtual_account", 10_000)))
    desk.answer(desk.due()[0], Answer(Outcome.ACTION_REQUIRED, reference="pg-1", action=Action("deposit")))
    desk.answer(desk.due()[0], OK, Ask.LOOKUP)
    [request] = desk.order.requests
    assert (request.paid, request.due_at) == (10_000, SECOND)
    charge = desk.order.operations[0]
    desk.decide(lambda m: doubt(desk.order, charge.id, m))
    gone = replace(OK, amounts=Amounts(10_000, 0, 0, 0))
    desk.answer(desk.due(OperationKind.LOOKUP)[0], gone)
    [request] = desk.order.requests
    assert (request.paid, desk.due()) == (0, [])
    pays(desk, 30_000)
    desk.succeed()
    assert (desk.order.requests[0].paid, desk.order.captured) == (30_000, 30_000)
    pays(desk, 32_700)
    desk.succeed()
    assert (desk.order.status, desk.order.captured) == (OrderStatus.PLACED, 62_700)
    assert sum(a.amount for a in desk.order.allocations) == 62_700, "what is not there covers nothing"


def test_a_card_whose_charge_was_taken_back_is_not_charged_again_with_the_next_part() -> None:
    desk = Desk(scheduled(AskedPayment("card", 10_000, "tok")))
    desk.succeed()
    charge = next(o for o in desk.order.operations if o.kind is OperationKind.CAPTURE or o.capture_now)
    desk.decide(lambda m: doubt(desk.order, charge.id, m))
    declined_capture = charge.kind is OperationKind.CAPTURE
    answer = declined() if declined_capture else replace(OK, amounts=Amounts(10_000, 0, 0, 0))
    desk.answer(desk.due(OperationKind.LOOKUP)[0], answer)
    pays(desk, 20_000)
    desk.succeed()
    assert (desk.order.captured, desk.order.requires_review) == (20_000, True)


def test_two_tabs_do_not_pay_two_parts() -> None:
    desk = Desk(scheduled(AskedPayment("card", 10_000, "tok")))
    desk.succeed()
    refuse_stale_payer(desk.order, None, 52_700)
    pays(desk, 20_000)
    with pytest.raises(TotalMismatch) as stale:
        refuse_stale_payer(desk.order, None, 52_700)
    assert stale.value.figures["left"] == 32_700
