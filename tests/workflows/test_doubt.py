"""Money in doubt on real parts: a person's decision, and money that turns up on an attempt that was closed."""

import asyncio
from uuid import uuid4

from contracts.command import Judge, Recheck
from domain.gateway import OperationKind, Outcome
from domain.order import Order
from domain.payment import Attempt
from domain.states import OrderStatus
from tests.stack import Shop, a_checkout, until

KEY = "secret"


def late_charge(shop: Shop, attempt: Attempt, amount: int) -> None:
    """A request of ours reaches the PG long after we gave it up."""
    body = {"merchant_ref": attempt.merchant_ref, "amount": amount, "currency": "KRW"}
    body |= {"method": "card", "token": "tok_ok"}
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": uuid4().hex}
    shop.sandbox.http.post(f"/{attempt.account}/v1/payments", json=body, headers=headers).raise_for_status()


def kept(shop: Shop, order: Order) -> dict[str, int]:
    """What each account keeps for an order, by the PG's own ledger."""
    money = {}
    for attempt in order.attempts:
        seen = shop.sandbox.ledger(merchant_ref=attempt.merchant_ref)
        if seen["operations"]:
            money[attempt.merchant_ref] = sum(seen["net"].values()) + sum(seen["held"].values())
    return money


async def test_money_that_turns_up_on_a_closed_attempt_goes_back_by_itself(shop: Shop) -> None:
    shop.sandbox.arm("refuse", "authorize")
    placed = await shop.checkout(a_checkout())
    order = await shop.becomes(placed.number, "it is paid elsewhere", lambda o: o.status is OrderStatus.PLACED)
    closed, paid = (a for a in order.attempts if a.account != "points")
    assert (closed.outcome, paid.outcome) == (Outcome.NOT_EXECUTED, Outcome.SUCCEEDED)
    late_charge(shop, closed, 50_000)
    assert kept(shop, order) == {closed.merchant_ref: 50_000, paid.merchant_ref: 50_000}
    row = await shop.do(placed.number, Recheck(closed.merchant_ref))
    assert row["status"] == "applied", row
    after = await shop.order(placed.number)
    assert kept(shop, after) == {closed.merchant_ref: 0, paid.merchant_ref: 50_000}
    assert (after.captured, after.refunded, after.requires_review) == (57_700, 0, False)
    assert [(o.kind, o.outcome) for o in after.operations if o.orphan] == [
        (OperationKind.LOOKUP, Outcome.SUCCEEDED),
        (OperationKind.REFUND, Outcome.SUCCEEDED),
    ]


async def test_a_person_decides_what_no_pg_answers_for(shop: Shop) -> None:
    for kind in ("authorize", "lookup", "neutralize"):
        shop.sandbox.arm("500_before", kind, times=1000)
    number = await place_unanswered(shop)
    [doubt] = [o for o in (await shop.order(number)).operations if o.outcome is Outcome.UNKNOWN]
    refused = await shop.do(number, Judge(uuid4(), "succeeded", "the PG's console shows it"))
    assert refused["problem"]["code"] == "operation_not_in_doubt"
    row = await shop.do(number, Judge(doubt.id, "declined", "the PG's console shows nothing"))
    assert row["status"] == "applied", row
    order = await shop.order(number)
    assert order.operation(doubt.id).outcome is Outcome.DECLINED
    assert not any(p.exposed for p in order.payments if p.method == "card")
    told = await shop.sql("SELECT actor FROM timeline WHERE command_id = :id AND field = 'outcome'", id=row["id"])
    assert {actor for (actor,) in told} == {"staff"}


async def place_unanswered(shop: Shop) -> str:
    """An order whose charge is in doubt; nobody waits for its outcome."""
    number = "261101-DOVBTFV"
    waiting = shop.checkout(a_checkout(), number=number)

    task = asyncio.create_task(waiting)

    async def doubtful() -> bool | None:
        rows = await shop.sql(
            "SELECT 1 FROM operation p JOIN orders o ON o.id = p.order_id"
            " WHERE o.number = :n AND p.outcome = 'unknown'",
            n=number,
        )
        return bool(rows) or None

    await until("the charge is in doubt", doubtful)
    task.cancel()
    return number
