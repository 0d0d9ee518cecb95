"""The sandbox's NICE an hour and a week later, on a clock of the test's own."""

import dataclasses
import html
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.gateway import Answer, Call, OperationKind, Outcome
from gateways.gateway import Account
from gateways.nice.adapter import NiceGateway
from gateways.sandbox.server.vendors.nice import NicePersonality
from tests.gateways.rig import KEY
from tests.gateways.rigs.nice_example import CHARGE, CLIENT_KEY, ORDER, about
from tests.gateways.stage import Stage

HOUR = 3600.0
WEEK = 7 * 24 * HOUR


class Later(Stage):
    """A NICE in this process whose clock can be put forward."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "nice", "nice-a", NicePersonality)
        self.began = self.now
        account = Account("nice-a", self.url, KEY, merchant=CLIENT_KEY)
        self.gateway = NiceGateway(account, client=self.http, clock=lambda: self.now)

    async def ask(self, kind: OperationKind) -> Answer:
        """Look up or neutralise the charge, by our own reference, as when its answer was lost."""
        return await self.gateway.perform(about(CHARGE, kind, datetime.fromtimestamp(self.began, UTC)))

    def net(self) -> int:
        """What the ledger has kept of the charge."""
        payment = self.ledger.find_by_merchant_ref("nice-a", ORDER)
        return 0 if payment is None else payment.kept


@pytest.fixture
async def later(tmp_path: Path) -> AsyncIterator[Later]:
    """A NICE that starts now."""
    built = Later(tmp_path)
    yield built
    await built.close()


async def paid(later: Later, call: Call = CHARGE) -> Answer:
    answer = await later.gateway.perform(dataclasses.replace(call, amount=1004))
    assert (answer.outcome, later.net()) == (Outcome.SUCCEEDED, 1004)
    return answer


async def deposited_to(later: Later) -> Answer:
    """A virtual account that nobody has paid into."""
    call = dataclasses.replace(CHARGE, token=None, method="virtual_account", return_url="http://shop.test/back")
    action = (await later.gateway.perform(call)).action
    assert action is not None
    asked = {**action.fields, "action": "approve"}
    page = (await later.http.post("http://pg.test/nice/nice-a/window/decision", data=asked)).text
    fields = {name: html.unescape(value) for name, value in re.findall(r'name="([^"]*)" value="([^"]*)"', page)}
    details = {name: fields[name] for name in ("tid", "amount", "signature")} | {"auth_token": fields["authToken"]}
    answer = await later.gateway.perform(dataclasses.replace(call, details=details))
    assert answer.outcome is Outcome.ACTION_REQUIRED
    return answer


CHARGE_BY_TOKEN = dataclasses.replace(CHARGE, token="tok_ok")


async def test_within_its_hour_a_net_cancel_undoes_the_payment(later: Later) -> None:
    await paid(later, CHARGE_BY_TOKEN)
    later.now += HOUR
    assert (await later.ask(OperationKind.NEUTRALIZE)).outcome is Outcome.SUCCEEDED
    assert later.net() == 0


async def test_after_its_hour_the_payment_is_cancelled_instead_and_once(later: Later) -> None:
    await paid(later, CHARGE_BY_TOKEN)
    later.now += HOUR + 1
    for _ in range(2):
        assert (await later.ask(OperationKind.NEUTRALIZE)).outcome is Outcome.SUCCEEDED
        assert later.net() == 0
    assert (await later.ask(OperationKind.LOOKUP)).outcome is Outcome.NOT_EXECUTED


async def test_after_its_hour_an_account_that_nobody_paid_into_is_closed(later: Later) -> None:
    await deposited_to(later)
    later.now += 2 * HOUR
    assert (await later.ask(OperationKind.NEUTRALIZE)).outcome is Outcome.SUCCEEDED
    assert (await later.ask(OperationKind.LOOKUP)).outcome is Outcome.NOT_EXECUTED
    later.now += WEEK
    assert later.run_jobs() == 1
    assert (await later.ask(OperationKind.LOOKUP)).outcome is Outcome.NOT_EXECUTED


async def test_a_virtual_account_expires_after_a_week(later: Later) -> None:
    await deposited_to(later)
    later.now += WEEK - 1
    assert later.run_jobs() == 0
    assert (await later.ask(OperationKind.LOOKUP)).outcome is Outcome.ACTION_REQUIRED
    later.now += 1
    assert later.run_jobs() == 1
    answer = await later.ask(OperationKind.LOOKUP)
    assert answer.outcome is Outcome.DECLINED
    assert answer.decline is not None
    assert (answer.decline.category, later.net()) == ("expired", 0)


async def test_what_a_net_cancel_did_not_find_is_settled_only_a_minute_after_it_was_sent(later: Later) -> None:
    later.now += 59
    early = await later.ask(OperationKind.NEUTRALIZE)
    assert (early.outcome, early.evidence.detail) == (Outcome.UNKNOWN, "2012")
    later.now += 1
    assert (await later.ask(OperationKind.NEUTRALIZE)).outcome is Outcome.SUCCEEDED
    late = await later.gateway.perform(CHARGE_BY_TOKEN)
    assert (late.outcome, late.evidence.detail) == (Outcome.NOT_EXECUTED, "U504")
    assert later.net() == 0


async def test_an_access_token_opens_for_half_an_hour(later: Later) -> None:
    base = "http://pg.test/nice/nice-a/v1"
    token = (await later.http.post(f"{base}/access-token", auth=(CLIENT_KEY, KEY))).json()["accessToken"]
    for seconds, status in ((1800, 200), (1, 401)):
        later.now += seconds
        seen = await later.http.get(f"{base}/payments/x", headers={"Authorization": f"Bearer {token}"})
        assert seen.status_code == status
