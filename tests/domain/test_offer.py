"""What a payment asks of an account, and that exactly what would be taken is offered."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from domain.checkout import AskedPayment
from domain.gateway import Flow, MethodLimit, OperationKind
from domain.moment import Moment
from domain.offer import flows_for, is_takeable, needs_of, route_by, wanted_of
from domain.routing import AccountState, Constraint, Rule
from tests.domain.desk import Desk, a_checkout, declined
from tests.domain.test_routing import PAGE, TOKEN, a_rule, an_account

ISSUED = frozenset({Flow.VIRTUAL_ACCOUNT})
BACK = "https://shop.test/back"
TOTAL = 62_700
CARD, DEPOSIT = MethodLimit("card", "KRW", 100, 10**9), MethodLimit("virtual_account", "KRW", 100, 10**9)
ONE = a_rule({"a": 100})


@pytest.mark.parametrize(
    ("method", "token", "page", "flows"),
    [
        ("card", True, False, TOKEN),
        ("card", True, True, TOKEN),
        ("card", False, True, PAGE),
        ("card", False, False, frozenset()),
        ("transfer", False, True, PAGE),
        ("virtual_account", False, False, ISSUED),
        ("virtual_account", False, True, ISSUED),
        ("virtual_account", True, False, ISSUED),
    ],
)
def test_a_payment_has_the_ways_that_its_instrument_leaves_it(
    method: str, flows: frozenset[Flow], *, token: bool, page: bool
) -> None:
    assert flows_for(method, token=token, page=page) == flows


def test_routing_sees_a_payment_as_it_is() -> None:
    desk = unpaid(capture="on_shipment")
    payment = replace(desk.order.payments[0], instalments=3, token=None, return_url=BACK)
    wanted = wanted_of(payment, frozenset({"b"}), needs_of(desk.order), hold=True)
    assert (wanted.method, wanted.currency, wanted.amount, wanted.flows) == ("card", "KRW", TOTAL, PAGE)
    assert (wanted.excluded, wanted.instalments) == (frozenset({"b"}), 3)
    assert (wanted.manual_capture, wanted.several_captures) == (True, True)
    at_once = wanted_of(payment, frozenset(), needs_of(desk.order), hold=False)
    assert (at_once.manual_capture, at_once.several_captures) == (False, False)


def unpaid(**how: str) -> Desk:
    """An order whose card was refused for good: all of it is left to pay."""
    desk = Desk(a_checkout(**how), accounts=("a",))  # type: ignore[arg-type]
    desk.answer(desk.due(OperationKind.AUTHORIZE)[0], declined())
    return desk


def account(name: str = "a", **changes: object) -> AccountState:
    """Takes cards on its page and issues accounts, unless changed."""
    whole = replace(an_account(name, limits=(CARD, DEPOSIT)), flows=TOKEN | PAGE | ISSUED)
    return replace(whole, **changes)  # type: ignore[arg-type]


def offered(desk: Desk, rule: Rule, accounts: Sequence[AccountState]) -> list[str]:
    """The methods of a page by which the rest can be paid."""
    moment = Moment(desk.now, desk.new_id, route_by(rule, accounts, needs_of(desk.order)))
    [request] = desk.order.requests
    asked = [AskedPayment(m, TOTAL, return_url=BACK) for m in ("card", "transfer", "virtual_account")]
    return [one.method for one in asked if is_takeable(desk.order, request.id, one, moment)]


@pytest.mark.parametrize(
    ("state", "constraint", "methods"),
    [
        (account(), None, ["card", "virtual_account"]),
        (account(), Constraint("a", methods=("card",)), ["card"]),
        (account(), Constraint("a", max_amount=TOTAL - 1), []),
        (account(), Constraint("a", currencies=("USD",)), []),
        (account(enabled=False), None, []),
        (account(paused=True), None, []),
        (account(flows=TOKEN), None, []),
        (account(flows=TOKEN | ISSUED), None, ["virtual_account"]),
        (account(limits=(replace(CARD, maximum=TOTAL - 1), DEPOSIT)), None, ["virtual_account"]),
        (account("b"), None, []),
    ],
)
def test_what_the_rule_and_the_account_leave_is_offered(
    state: AccountState, constraint: Constraint | None, methods: list[str]
) -> None:
    rule = replace(ONE, constraints=(constraint,) if constraint else ())
    assert offered(unpaid(), rule, [state]) == methods


@pytest.mark.parametrize(
    ("capture", "methods"),
    [("automatic", ["card", "virtual_account"]), ("manual", ["virtual_account"]), ("on_shipment", ["virtual_account"])],
)
def test_what_has_to_be_held_is_not_offered_where_nobody_can_hold(capture: str, methods: list[str]) -> None:
    assert offered(unpaid(capture=capture), ONE, [account(manual_capture=False)]) == methods


def test_what_the_payments_own_rules_refuse_is_not_offered() -> None:
    desk = unpaid()
    moment = Moment(desk.now, desk.new_id, route_by(ONE, [account()], needs_of(desk.order)))
    [request] = desk.order.requests
    for amount, takeable in ((TOTAL, True), (TOTAL - 1, False), (TOTAL + 1, False)):
        asked = AskedPayment("card", amount, return_url=BACK)
        assert is_takeable(desk.order, request.id, asked, moment) is takeable


def test_looking_whether_it_can_be_paid_leaves_the_order_as_it_was() -> None:
    desk = unpaid()
    before = desk.order
    assert offered(desk, ONE, [account()])
    assert desk.order == before
