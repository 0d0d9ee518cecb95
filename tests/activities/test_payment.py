"""The one step that speaks to a PG: what may be a second effect by now is not sent."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment
from typing_extensions import override

import activities.payment
from activities.payment import PaymentActivities
from contracts.queues import GATEWAY_CALL_TIMEOUT
from domain.gateway import Answer, Call, Outcome
from domain.resolution import call_for, due_call
from gateways.gateway import Account
from gateways.sandbox.adapter import CAPABILITIES, SandboxGateway
from tests.domain.desk import UNKNOWN, Desk, a_checkout

DEAD_ADDRESS = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("age", "outcome"), [(timedelta(hours=1), Outcome.NOT_EXECUTED), (timedelta(days=2), Outcome.UNKNOWN)]
)
async def test_a_call_that_waited_until_its_key_was_forgotten_is_not_sent(age: timedelta, outcome: Outcome) -> None:
    desk = Desk(a_checkout(), accounts=("sandbox-a",))
    desk.now = datetime.now(UTC) - age
    operation = replace(desk.due()[0], initiated_at=desk.now)
    desk.order = desk.order.put(operation)
    first = due_call(desk.order, operation, CAPABILITIES, desk.now).call
    assert first.not_after is None, "what was never sent may be sent whenever a worker comes"
    desk.answer(operation, UNKNOWN)
    again = due_call(desk.order, desk.due()[0], CAPABILITIES, desk.now).call
    gateway = SandboxGateway(Account("sandbox-a", DEAD_ADDRESS, "key"))
    answer = await ActivityEnvironment().run(PaymentActivities({"sandbox-a": gateway}).call_gateway, again)
    await gateway.close()
    assert answer.outcome is outcome
    assert ("too late" in answer.evidence.detail) == (outcome is Outcome.UNKNOWN)


class Endless(SandboxGateway):
    """A PG whose answer never ends."""

    @override
    async def perform(self, call: Call) -> Answer:
        """Waits for nothing."""
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")


async def test_a_call_ends_before_the_workflow_takes_it_for_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    assert activities.payment.ANSWER_WITHIN < GATEWAY_CALL_TIMEOUT
    monkeypatch.setattr(activities.payment, "ANSWER_WITHIN", timedelta(milliseconds=10))
    gateway = Endless(Account("sandbox-a", DEAD_ADDRESS, "key"))
    desk = Desk(a_checkout(), accounts=("sandbox-a",))
    call = call_for(desk.order, desk.due()[0])
    answer = await ActivityEnvironment().run(PaymentActivities({"sandbox-a": gateway}).call_gateway, call)
    await gateway.close()
    assert (answer.outcome, answer.evidence.detail) == (Outcome.UNKNOWN, "no whole answer in time")
