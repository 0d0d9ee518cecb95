"""Three ways: our books, what Stripe has settled, and what the bank has credited some days later."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from commands.reconciliation import Credit, record_credit
from tests.gateways.rigs.payday import Payday
from tests.stack import STORE, Shop
from tests.workflows.settled import alone, an_account, an_import, steps


@pytest.mark.parametrize(("credited", "finding"), [(10_000, "matched"), (9_999, "payout_mismatch")])
async def test_what_stripe_pays_out_is_compared_with_the_bank_to_the_last_unit(
    shop: Shop, tmp_path: Path, credited: int, finding: str
) -> None:
    account = await an_account(shop, "stripe")
    pg = Payday(tmp_path, account)
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
    look = "SELECT count(*), count(payout_ref), sum(net) FILTER (WHERE kind <> 'payout') FROM settlement_line"
    assert await shop.sql(f"{look} WHERE account = :account", account=account) == [(4, 4, 10_000)]
    await pg.close()
