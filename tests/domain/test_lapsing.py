"""Holds with an end are captured before the PG lets them go."""

from dataclasses import replace
from datetime import timedelta

import pytest

from activities.progress import progress_of
from domain.capture import BEFORE_LAPSE, capture_lapsing, lapses_at
from domain.gateway import OperationKind
from gateways.sandbox.adapter import CAPABILITIES
from tests.domain.desk import OK, START, Desk, a_checkout, declined

END = START + timedelta(days=7)
CAPTURE = OperationKind.CAPTURE


def held(capture: str = "on_shipment") -> Desk:
    desk = Desk(a_checkout(capture=capture), accounts=("a",))
    desk.answer(desk.due()[0], replace(OK, authorized_until=END))
    return desk


@pytest.mark.parametrize("capture", ["manual", "on_shipment"])
def test_a_hold_is_captured_a_day_before_it_lapses_and_only_once(capture: str) -> None:
    desk = held(capture)
    assert lapses_at(desk.order) == END - BEFORE_LAPSE
    assert capture_lapsing(desk.order, desk.moment) == desk.order
    desk.now = END - BEFORE_LAPSE
    desk.decide(lambda moment: capture_lapsing(desk.order, moment))
    [operation] = desk.due(CAPTURE)
    assert (operation.amount, lapses_at(desk.order)) == (62_700, None)
    desk.decide(lambda moment: capture_lapsing(desk.order, moment))
    desk.answer(operation, OK)
    assert desk.order.captured == 62_700


def test_a_capture_that_was_refused_is_not_asked_for_again_and_again() -> None:
    desk = held()
    desk.now = END
    desk.decide(lambda moment: capture_lapsing(desk.order, moment))
    desk.answer(desk.due(CAPTURE)[0], declined())
    assert lapses_at(desk.order) is None
    assert desk.order.requires_review


def test_what_has_no_end_or_is_captured_does_not_lapse() -> None:
    endless = Desk(a_checkout(capture="manual"), accounts=("a",))
    endless.answer(endless.due()[0], OK)
    assert lapses_at(endless.order) is None
    assert lapses_at(held("automatic").order) is None


def test_a_workflow_is_told_of_the_payment_window_while_it_is_open_and_of_holds_at_any_time() -> None:
    unpaid = Desk(a_checkout(capture="manual"), accounts=("a",)).order
    window = progress_of(unpaid, {"a": CAPABILITIES})
    assert (window.decided, window.expires_at, window.lapses_at) == (False, unpaid.expires_at, None)
    paid = progress_of(held().order, {"a": CAPABILITIES})
    assert (paid.decided, paid.expires_at, paid.lapses_at) == (True, None, END - BEFORE_LAPSE)
