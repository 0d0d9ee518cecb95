"""Three ways: our books, what Stripe has settled, and what the bank has credited some days later."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.settlement import BATCH
from commands.reconciliation import Credit, record_credit
from gateways.gateway import GatewayUnavailable
from tests.gateways.rigs.payday import Payday
from tests.stack import STORE, Shop
from tests.workflows.settled import BrokenStream, a_line, alone, an_account, an_import, steps


@pytest.mark.parametrize(("credited", "finding"), [(10_000, "matched"), (9_999, "payout_mismatch")])
async def test_what_stripe_pays_out_is_compared_with_the_bank_to_the_last_unit(
    shop: Shop, tmp_path: Path, credited: int, finding: str
) -> None:
    account = await an_account(shop, "stripe")
    pg = Payday(tmp_path, account)
    pg.now = (datetime.now(UTC) - timedelta(days=10)).timestamp()
    own = steps(shop, {account: pg.gateway})
    days: dict[date, Any] = {}

    async def read(day: date) -> None:
        days[day] = days.get(day) or await an_import(shop, account, day)
        await alone(own.read_settlement, days[day])

    async def judged() -> dict[str, int]:
        found: dict[str, int] = (await alone(own.judge_payouts, account)).findings
        return found

    taken_on = pg.today()
    await pg.take(5000)
    await pg.give_back(await pg.take(7000), 2000)
    await read(taken_on)
    pg.days_pass(3)
    [payout] = (await pg.ask("GET", "/payouts"))["data"]
    credit = Credit(account, payout["id"], credited, "KRW", pg.today())
    await record_credit(shop.resources.database, STORE, credit, actor="key:finance")
    assert await judged() == {"timing": 1}, "what it is made of is not known before its day is read"
    await read(pg.today())
    assert await judged() == {finding: 1}
    await read(taken_on)
    assert await judged() == {finding: 1}, "the day on which it was taken takes no name away"
    by_hand = Credit(account, "po_by_hand", 5, "KRW", pg.today())
    await record_credit(shop.resources.database, STORE, by_hand, actor="key:finance")
    assert await judged() == {finding: 1, "timing": 1}, "of a payout by hand Stripe tells nothing"
    look = "SELECT count(*), count(payout_ref), sum(net) FILTER (WHERE kind <> 'payout') FROM settlement_line"
    assert await shop.sql(f"{look} WHERE account = :account", account=account) == [(4, 4, 10_000)]
    await pg.close()


async def test_a_payout_that_was_read_in_part_is_not_judged_and_its_name_is_told_late(shop: Shop) -> None:
    account, taken_on = await an_account(shop), date(2026, 11, 18)
    paid_on = taken_on + timedelta(days=2)
    lines = [a_line(n, account) for n in range(BATCH + 2)]
    paid = [replace(line, payout_ref="po-1", paid_on=paid_on) for line in lines]
    total = sum(line.net for line in lines)
    await record_credit(shop.resources.database, STORE, Credit(account, "po-1", total, "KRW", paid_on), actor="test")
    payday, made = await an_import(shop, account, paid_on), await an_import(shop, account, taken_on)
    told: list[Any] = []
    with pytest.raises(GatewayUnavailable):
        await alone(steps(shop, {account: BrokenStream(paid, after=BATCH + 1)}).read_settlement, payday, told=told)
    own = steps(shop, {account: BrokenStream(lines)})
    assert (await alone(own.judge_payouts, account)).findings == {"timing": 1}, "half of it is no mismatch"
    await alone(own.read_settlement, made)
    await alone(steps(shop, {account: BrokenStream(paid)}).read_settlement, payday, heartbeat=told[-1])
    assert (await alone(own.judge_payouts, account)).findings == {"matched": 1}
    look = "SELECT count(payout_ref), sum(repeats) FROM settlement_line WHERE account = :account"
    assert await shop.sql(look, account=account) == [(BATCH + 2, 0)]
