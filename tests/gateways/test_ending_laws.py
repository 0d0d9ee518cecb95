"""Whatever was lost, an authorization in doubt finds its end once its PG is well again, by the ladders of the domain.

The PG is real, and so is the order; only the pauses of the ladders are not made.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from typing_extensions import override
from uuid_utils.compat import uuid7

from cli.waiting import until
from domain.cancellation import cancel
from domain.checkout import AskedPayment
from domain.payment import Operation
from domain.resolution import Ask, call_for, due_call, weighed
from domain.states import OrderStatus
from tests.domain.desk import Desk, a_checkout
from tests.gateways.rig import AUTHORIZE, LOOKUP, NEUTRALIZE, OK, SETTLE_SECONDS, SandboxRig

ASKED = {LOOKUP: Ask.LOOKUP, NEUTRALIZE: Ask.NEUTRALIZE}


@dataclass(frozen=True)
class Loss:
    """So many requests to authorize go wrong, and the first that neutralizes."""

    fault: str
    times: int
    undoing: str | None = None
    token: str = OK

    @override
    def __str__(self) -> str:
        return f"{self.fault} {self.times} {self.undoing or 'nothing'} {self.token}"


LOSSES = (
    Loss("refuse", 7),
    Loss("drop_before", 1, "500_before", "tok_pending"),
    Loss("drop_before", 7, "webhook_never"),
    Loss("drop_after", 1, "drop_after"),
    Loss("drop_after", 7, token="tok_pending"),
    Loss("500_before", 4, "drop_after"),
    Loss("500_after", 7, "500_before"),
    Loss("garbage", 7),
    Loss("wrong_amount", 3, "500_before"),
)
NEVER_CAME = {"refuse", "drop_before", "500_before"}


class Counter(Desk):
    """An order whose one PG is the rig's."""

    def __init__(self, rig: SandboxRig, *, hold: bool, token: str) -> None:
        payment = AskedPayment("card", a_checkout().expected_total, token)
        self._rig = rig
        self.start = datetime.now(UTC)
        checkout = a_checkout(payment, capture="manual" if hold else "automatic")
        super().__init__(checkout, accounts=(rig.account,))

    @override
    def new_id(self) -> UUID:
        """Unlike those of any other order at that PG."""
        return uuid7()

    async def ask(self, operation: Operation) -> None:
        """The next step of the ladder."""
        can = self._rig.gateway.capabilities()
        step = due_call(self.order, operation, can, self.now)
        asked = ASKED.get(step.call.kind, Ask.SEND)
        self.now += timedelta(seconds=step.delay_seconds)
        gateway = self._rig.at(self.now.timestamp())
        try:
            answer = await gateway.perform(step.call)
        finally:
            await gateway.close()
        if asked is not Ask.NEUTRALIZE:
            answer = weighed(operation, answer, can, self.now)
        self.answer(operation, answer, asked)

    def gives_up(self) -> None:
        """The customer does not want it any more."""
        self.decide(lambda moment: cancel(self.order, (), None, moment, reason="changed mind", command_id=None))

    async def end(self) -> None:
        """Ask until nothing is in doubt; what a PG answers by a webhook needs a moment."""

        async def has_ended() -> bool:
            for operation in self.due()[:1]:
                await self.ask(operation)
            return not self.due()

        await until(has_ended, "the end of every doubt", within=SETTLE_SECONDS, longest_pause=0.05)

    @property
    def ours(self) -> tuple[int, int]:
        """What we say that the PG has, and what it holds."""
        payment = self.payment(0)
        held = payment.authorized - payment.captured - payment.voided
        return payment.captured - payment.refunded, held

    @property
    def theirs(self) -> tuple[int, int]:
        """The same, by the PG's own ledger."""
        calls = {call.merchant_ref: call for call in (call_for(self.order, o) for o in self.order.operations)}
        money = [self._rig.money(call) for call in calls.values()]
        return sum(m.net for m in money), sum(m.held for m in money)


@pytest.mark.parametrize("hold", [True, False], ids=["hold", "charge"])
@pytest.mark.parametrize("wanted", [True, False], ids=["wanted", "given up"])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
async def test_a_doubt_finds_its_end(vendor: SandboxRig, loss: Loss, *, wanted: bool, hold: bool) -> None:
    can = vendor.gateway.capabilities()
    if hold and not can.manual_capture:
        pytest.skip("takes money at once")
    if not (hold or wanted or can.lookup_by_merchant_ref) and loss.fault in NEVER_CAME:
        pytest.skip("waits for a person: only a charge of somebody who gave it up would tell")
    vendor.arm(loss.fault, AUTHORIZE, times=loss.times)
    if loss.undoing:
        vendor.arm(loss.undoing, NEUTRALIZE)
    counter = Counter(vendor, hold=hold, token=loss.token)
    await counter.ask(counter.due()[0])
    if not wanted:
        counter.gives_up()
    await counter.end()
    assert counter.ours == counter.theirs
    paid = counter.order.status is OrderStatus.PLACED
    total = counter.order.total if paid else 0
    assert counter.ours == ((0, total) if hold else (total, 0))
    is_sent_until_it_comes = can.idempotency.ttl_seconds > 0 and loss.fault != "refuse"
    assert paid == wanted or not (paid or is_sent_until_it_comes)
