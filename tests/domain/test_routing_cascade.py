"""The next account after a decline: where the flow allows it, and never where the customer is bound to one PG."""

from collections.abc import Callable

import pytest

from domain.gateway import Answer, OperationKind, Outcome, Retry
from domain.moment import Moment
from domain.recording import record
from domain.resolution import Ask
from domain.states import TenderStatus
from tests.domain.desk import Desk, a_checkout, declined

NOT_EXECUTED = Answer(Outcome.NOT_EXECUTED)


def never(_account: str) -> bool:
    return False


def always(_account: str) -> bool:
    return True


@pytest.mark.parametrize(
    ("answer", "cascades", "accounts", "status"),
    [
        (declined(Retry.OTHER_PG), always, ["a", "b"], TenderStatus.PROCESSING),
        (declined(Retry.OTHER_PG), never, ["a"], TenderStatus.DECLINED),
        (declined(Retry.NEVER), always, ["a"], TenderStatus.DECLINED),
        (NOT_EXECUTED, never, ["a", "b"], TenderStatus.PROCESSING),
    ],
    ids=["another may try", "bound by the flow", "forbidden by the decline", "never reached, so bound to nobody"],
)
def test_who_may_try_after_the_first(
    answer: Answer, cascades: Callable[[str], bool], accounts: list[str], status: TenderStatus
) -> None:
    desk = Desk(a_checkout())
    operation = desk.due(OperationKind.AUTHORIZE)[0]

    def rule(moment: Moment) -> object:
        bound = Moment(moment.now, moment.new_id, moment.route, cascades)
        return record(desk.order, Ask.SEND, operation, answer, bound)

    order = desk.decide(rule)  # type: ignore[arg-type]
    assert [attempt.account for attempt in order.attempts] == accounts
    assert order.payments[0].status is status
