"""Orders that nobody looks after: their workflow was terminated while something of them was due.

The schedule tells them to look, starting again what has closed; whoever is looked after hears nothing of it.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import ActivityEnvironment

from activities.webhook import FORGOTTEN_AFTER, MOST_HINTS, OVERDUE_AFTER, WebhookActivities
from commands.routing import pause_gateway
from contracts.command import RefundMoney
from contracts.queues import GATEWAY_CALL_TIMEOUT, RESEND_WAITS, UPDATES
from contracts.webhook import Hint
from domain.capture import BEFORE_LAPSE
from domain.checkout import AskedPayment
from domain.order import Order
from domain.resolution import PENDING_LADDER, RETRY_LADDER, SLOWLY, UNKNOWN_LADDER
from domain.states import OrderStatus, PaidStatus, RequestStatus
from tests.stack import ACCOUNTS, STORE, Shop, a_checkout, until
from tests.workflows.test_doubt import kept
from tests.workflows.test_expiry import an_unpaid_exchange
from tests.workflows.test_webhook import hints, history, is_paid

BY_CARD = (AskedPayment("card", 57700, "tok_ok"),)
LATER = FORGOTTEN_AFTER + timedelta(seconds=1)


@pytest.fixture(autouse=True)
async def nobody_rests(shop: Shop) -> AsyncIterator[None]:
    yield
    for account in ACCOUNTS:
        await pause_gateway(shop.resources.database, STORE, account, paused=False)


async def sweep(shop: Shop) -> None:
    """What the schedule does every half minute."""
    await shop.client.execute_workflow("Hints", id=f"hints-{uuid4()}", task_queue=UPDATES)


async def time_goes_by(shop: Shop, number: str, *, told: bool = True) -> None:
    """Nothing has happened to the order for so long, nor (``told``) was it told anything."""
    of_order = "(SELECT id FROM orders WHERE store_id = :store AND number = :number)"
    moments = {"timeline": "at", "operation": "initiated_at"} | ({"hint": "told_at"} if told else {})
    for table, moment in moments.items():
        change = f"UPDATE {table} SET {moment} = {moment} - CAST(:by AS interval) WHERE order_id = {of_order}"
        await shop.sql(change, store=STORE, number=number, by=LATER)


async def terminate(shop: Shop, number: str) -> str:
    """An operator ends the order's workflow; the run that it was."""
    await shop.workflow(number).terminate("by an operator")
    return await run_of(shop, number)


async def run_of(shop: Shop, number: str) -> str:
    return str((await shop.workflow(number).describe()).run_id)


async def is_running(shop: Shop, number: str) -> bool:
    return (await shop.workflow(number).describe()).status is WorkflowExecutionStatus.RUNNING


async def confirmed_by_its_customer(shop: Shop, order: Order) -> None:
    """On the PG's own page. The PG sends no webhook here."""
    [page] = [p.action_url for p in order.payments if p.action_url]
    shop.sandbox.http.post(page, data={"action": "approve"}, follow_redirects=True).raise_for_status()


async def at_the_pgs_page(shop: Shop) -> str:
    """The number of an order whose customer is to confirm the payment."""
    return (await shop.checkout(a_checkout(token="tok_3ds"))).number


async def charged_but_unknown(shop: Shop) -> str:
    """The number of an order whose charge the PG has made; it answers nothing at all about it."""
    shop.sandbox.arm("drop_after", "authorize")
    for kind in ("authorize", "lookup", "neutralize"):
        shop.sandbox.arm("500_before", kind, times=1000)
    number = f"261101-{uuid4().hex[:7].upper()}"
    waiting = asyncio.create_task(shop.checkout(a_checkout(), number=number))
    unknown = """
        SELECT 1 FROM operation p JOIN orders o ON o.id = p.order_id WHERE o.number = :number AND p.outcome = 'unknown'
    """

    async def doubtful() -> bool:
        return bool(await shop.sql(unknown, number=number))

    await until("the charge is in doubt", doubtful)
    waiting.cancel()
    return number


async def test_a_charge_in_doubt_whose_workflow_was_terminated_is_found_out_by_itself(shop: Shop) -> None:
    number = await charged_but_unknown(shop)
    await terminate(shop, number)
    shop.sandbox.http.delete("/_faults").raise_for_status()
    await sweep(shop)
    assert not await is_running(shop, number)  # It was touched a moment ago.
    await time_goes_by(shop, number)
    await sweep(shop)
    order = await shop.becomes(number, "it is paid", is_paid)
    assert (order.captured, sum(kept(shop, order).values())) == (57700, 50000)


async def test_a_payment_at_the_pgs_page_whose_workflow_was_terminated_is_found_out_by_itself(shop: Shop) -> None:
    number = await at_the_pgs_page(shop)
    await terminate(shop, number)
    await confirmed_by_its_customer(shop, await shop.order(number))
    await time_goes_by(shop, number)
    await sweep(shop)
    assert (await shop.becomes(number, "it is paid", is_paid)).captured == 57700


async def test_an_order_that_is_looked_after_hears_nothing(shop: Shop) -> None:
    number = await at_the_pgs_page(shop)
    days = "UPDATE operation SET initiated_at = initiated_at - interval '3 days' WHERE order_id = :id"
    await shop.sql(days, id=(await shop.order(number)).id)
    quiet = await shop.placed()
    await time_goes_by(shop, quiet)
    await sweep(shop)
    assert hints(await history(shop, number)) == []
    assert hints(await history(shop, quiet)) == []


async def test_an_order_that_runs_and_gets_nowhere_is_told_once_in_a_while(shop: Shop) -> None:
    number = await at_the_pgs_page(shop)
    shop.sandbox.arm("delay", "lookup", ms=8000, times=1000)

    async def asked() -> bool:
        return bool(shop.sandbox.http.get("/_faults").json()["fired"])

    await until("the PG lets a question wait", asked)
    run = await run_of(shop, number)
    for told, hinted in ((True, 1), (False, 1), (True, 2)):
        await time_goes_by(shop, number, told=told)
        await sweep(shop)
        assert len(hints(await history(shop, number))) == hinted
    assert await run_of(shop, number) == run


async def test_an_order_whose_workflow_ends_again_is_started_again_once_in_a_while(shop: Shop) -> None:
    number = await at_the_pgs_page(shop)
    last = await terminate(shop, number)
    for told, started in ((True, True), (False, False), (True, True)):
        await time_goes_by(shop, number, told=told)
        await sweep(shop)
        assert (await run_of(shop, number) != last) is started
        if started:
            last = await terminate(shop, number)


async def test_a_payment_window_that_is_over_closes_though_nobody_waited_for_it(shop: Shop) -> None:
    number = (await shop.checkout(a_checkout(token="tok_lost"))).number
    order = await shop.becomes(number, "the points are given back", lambda o: not o.in_flight)
    await terminate(shop, number)
    await time_goes_by(shop, number)
    for late in (OVERDUE_AFTER / 2, OVERDUE_AFTER):
        assert (await shop.order(number)).status is OrderStatus.PENDING_PAYMENT
        over = datetime.now(UTC) - late
        await shop.sql("UPDATE orders SET expires_at = :over WHERE id = :id", over=over, id=order.id)
        await shop.sql("UPDATE payment_request SET due_at = :over WHERE order_id = :id", over=over, id=order.id)
        await sweep(shop)
    await shop.becomes(number, "it has expired", lambda o: o.status is OrderStatus.EXPIRED)
    await shop.closes(number)


async def test_an_exchange_that_nobody_pays_is_given_up_though_nobody_waited_for_it(shop: Shop) -> None:
    order = await an_unpaid_exchange(shop)
    number, request = order.number, order.requests[-1]
    await terminate(shop, number)
    await time_goes_by(shop, number)
    for late in (OVERDUE_AFTER / 2, OVERDUE_AFTER):
        assert (await shop.order(number)).requests[-1].status is RequestStatus.OPEN
        over = datetime.now(UTC) - late
        await shop.sql("UPDATE payment_request SET due_at = :over WHERE id = :id", over=over, id=request.id)
        await sweep(shop)
    await shop.becomes(number, "it has expired", lambda o: o.requests[-1].status is RequestStatus.EXPIRED)
    await shop.closes(number)


async def test_a_hold_is_captured_before_it_lapses_though_nobody_waited_for_it(shop: Shop) -> None:
    number = await shop.placed(payments=BY_CARD, capture="manual")
    order = await shop.order(number)
    assert (order.captured, order.in_flight) == (0, False)
    await terminate(shop, number)
    await time_goes_by(shop, number)
    ends = datetime.now(UTC) + BEFORE_LAPSE - OVERDUE_AFTER
    await shop.sql("UPDATE attempt SET authorized_until = :ends WHERE order_id = :id", ends=ends, id=order.id)
    await sweep(shop)
    order = await shop.becomes(number, "it is captured", lambda o: o.captured == 57700)
    assert order.payment_status is PaidStatus.PAID


async def test_what_waits_for_an_account_that_rests_is_not_overdue_until_it_is_resumed(shop: Shop) -> None:
    number = await shop.placed(payments=BY_CARD)
    [account] = {a.account for a in (await shop.order(number)).attempts}
    await pause_gateway(shop.resources.database, STORE, account, paused=True)
    refund = await shop.submit(number, RefundMoney("late", amount=1000))
    await shop.becomes(number, "the refund waits", lambda o: o.in_flight)
    await terminate(shop, number)
    await time_goes_by(shop, number)
    await sweep(shop)
    assert not await is_running(shop, number)
    await pause_gateway(shop.resources.database, STORE, account, paused=False)
    await sweep(shop)
    assert (await shop.decided(refund))["status"] == "applied"
    assert (await shop.order(number)).refunded == 1000


async def test_a_run_tells_a_bounded_number_of_orders_and_the_next_one_those_that_are_left(shop: Shop) -> None:
    template = (await shop.order(await shop.placed())).id
    many = {f"261102-{n:07}" for n in range(MOST_HINTS + 1)}
    copy = """
        INSERT INTO orders SELECT (jsonb_populate_record(o, jsonb_build_object(
                  'id', gen_random_uuid(), 'number', n, 'checkout_id', gen_random_uuid(),
                  'status', 'pending_payment', 'expires_at', now() - interval '1 day'))).*
          FROM orders o, unnest(CAST(:many AS text[])) n WHERE o.id = :template
    """
    touch = """
        INSERT INTO timeline (store_id, order_id, version, entity, entity_id, field, cause, actor, workflow_id, at)
        SELECT store_id, id, version, 'order', id, 'status', 'test', 'test', 'test', now() - interval '1 day'
          FROM orders WHERE number = ANY(:many)
    """
    activities = WebhookActivities(shop.resources.database)

    async def found() -> list[str]:
        hints_now: tuple[Hint, ...] = await ActivityEnvironment().run(activities.find_hints)
        return [hint.number for hint in hints_now if not hint.events]

    await shop.sql(copy, many=sorted(many), template=template)
    try:
        await shop.sql(touch, many=sorted(many))
        rounds = [await found() for _ in range(3)]
    finally:
        for table in ("timeline", "hint"):
            mine = "(SELECT id FROM orders WHERE number = ANY(:many))"
            await shop.sql(f"DELETE FROM {table} WHERE order_id IN {mine}", many=sorted(many))
        await shop.sql("DELETE FROM orders WHERE number = ANY(:many)", many=sorted(many))
    assert len(rounds[0]) == MOST_HINTS
    assert sorted(number for told in rounds for number in told if number in many) == sorted(many)


def test_whoever_asks_by_a_ladder_asks_more_often_than_an_order_is_forgotten() -> None:
    pauses = [SLOWLY, *PENDING_LADDER, *RETRY_LADDER, *(seconds for seconds, _ in UNKNOWN_LADDER)]
    assert timedelta(seconds=max(pauses)) + RESEND_WAITS + GATEWAY_CALL_TIMEOUT < FORGOTTEN_AFTER
