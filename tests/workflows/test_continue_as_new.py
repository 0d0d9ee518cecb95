"""An order goes on over any number of runs; no command is lost on the way, no call is made twice or forgotten."""

import asyncio

from commands.order import draw_number
from contracts.command import Cancel, Capture, Hold, Judge, RefundMoney, Release
from domain.gateway import OperationKind, Outcome
from domain.order import Order
from domain.payment import Operation
from domain.states import OrderStatus
from tests.stack import Shop, a_checkout, until
from tests.workflows.test_commands import deliver_all


async def has_gone_on(shop: Shop, number: str, section: int | None = None) -> None:
    """Return once a workflow is seen to have had more than one run; the list of workflows is a little late."""
    workflow_id = shop.workflow(number, section).id

    async def seen() -> bool:
        return sum([1 async for _ in shop.client.list_workflows(f"WorkflowId = '{workflow_id}'")]) > 1

    await until(f"{workflow_id} has gone on in another run", seen)


async def test_no_command_is_lost_over_many_runs(short: Shop) -> None:
    number = await short.placed()
    bodies = [RefundMoney("drop by drop", amount=n) for n in range(1, 16)]
    holds = [act(1, f"reason {n}") for n in range(12) for act in (Hold, Release)]
    given = await asyncio.gather(*(short.submit(number, body) for body in bodies))
    for body in holds:
        await short.submit(number, body)
    rows = [await short.decided(command) for command in given]
    assert {r["status"] for r in rows} == {"applied"}
    order = await short.becomes(number, "all holds are released", lambda o: len(o.holds) == 12 and not _held(o))
    assert (order.goodwill, order.refunded) == (sum(range(1, 16)), sum(range(1, 16)))
    await deliver_all(short, number)
    await short.closes(number)
    assert {c.status for c in await short.commands(number)} == {"applied"}
    assert (await short.order(number)).status is OrderStatus.COMPLETED
    await has_gone_on(short, number)
    await has_gone_on(short, number, 1)


def _held(order: object) -> bool:
    return any(h.released_at is None for h in order.holds)  # type: ignore[attr-defined]


async def test_a_pg_that_answers_slowly_keeps_no_command_waiting_behind_the_next_question(short: Shop) -> None:
    placed = await short.checkout(a_checkout(token="tok_3ds"))
    short.sandbox.arm("delay", "lookup", ms=2500, times=100)

    async def asked() -> int:
        return len(short.sandbox.http.get("/_faults").json()["fired"])

    await until("a question is on its way", asked)
    given = [await short.submit(placed.number, Capture()) for _ in range(25)]
    rows = [await short.decided(command) for command in given]
    assert await asked() < len(given) / 2, "they were not decided one after the other, each behind a question"
    short.sandbox.http.delete("/_faults").raise_for_status()
    assert {r["status"] for r in rows} == {"rejected"}
    await has_gone_on(short, placed.number)
    await short.applied(placed.number, Cancel("never mind"))
    order = await short.becomes(placed.number, "nothing is in flight", lambda o: not o.in_flight)
    assert (order.status, order.captured) == (OrderStatus.CANCELED, 0)
    await short.closes(placed.number)


async def test_a_checkout_that_waits_for_its_outcome_does_not_keep_an_order_in_doubt_from_going_on(short: Shop) -> None:
    for kind in ("authorize", "lookup", "neutralize"):
        short.sandbox.arm("500_before", kind, times=1000)
    number = draw_number("Asia/Seoul")
    waits = asyncio.create_task(short.checkout(a_checkout(), number=number))
    try:
        await has_gone_on(short, number)
        [doubt] = _in_doubt(await short.order(number))
        order = await short.applied(number, Judge(doubt.id, "declined", "the console shows nothing"))
        assert not _in_doubt(order)
        assert (await waits).answer is not None, "whoever waits hears that it is undecided"
        await short.applied(number, Cancel("never mind"))
    finally:
        waits.cancel()
        short.sandbox.http.delete("/_faults").raise_for_status()
    await short.closes(number)


def _in_doubt(order: Order) -> list[Operation]:
    charges = (o for o in order.operations if o.kind is OperationKind.AUTHORIZE)
    return [o for o in charges if o.outcome is Outcome.UNKNOWN]
