"""Webhooks of the sandbox PG on the whole system: they wake orders, once each, and move no money by themselves."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from activities.webhook import HINT_AFTER, MATCHED_WITHIN
from api.app import create_app
from commands.order import draw_number
from contracts.queues import UPDATES
from domain.gateway import Outcome
from domain.order import Order
from domain.payment import Attempt
from domain.states import OrderStatus, PaidStatus
from gateways.sandbox.server.delivery import sign
from tests.gateways.rig import SandboxServer
from tests.stack import ACCOUNTS, Ground, Shop, a_checkout, open_shop, until
from tests.workflows.test_commands import deliver_all
from tests.workflows.test_doubt import kept, late_charge
from wiring.ports import free_ports
from wiring.resources import Resources

PENDING_MS = 4_500
"""Between the lookups of a pending payment, which are due after 1, 3 and 6 seconds: the webhook is there first."""
SECRET = "secret"
SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED


@asynccontextmanager
async def served(resources: Resources) -> AsyncIterator[str]:
    """Our server on a port of loopback."""
    [port] = free_ports(1)
    config = uvicorn.Config(create_app(resources), port=port, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await until("the server listens", started)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await running


@pytest.fixture(scope="module")
async def listening(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Shop, str]]:
    """A shop of its own whose sandbox PG posts its webhooks to our server; where that is."""
    ground = Ground(tmp_path_factory.mktemp("webhook"))
    await ground.start()
    ground.sandbox.close()
    ground.sandbox = SandboxServer(ground.folder / "posting", "--pending-ms", str(PENDING_MS))
    async with (
        open_shop(ground, "webhook", graceful_shutdown_timeout=timedelta(seconds=1)) as shop,
        served(replace(shop.resources, gateways=shop.gateways)) as url,
    ):
        for account in ACCOUNTS:
            target = {"account": account, "url": f"{url}/v1/webhooks/{account}", "secret": SECRET}
            ground.sandbox.http.post("/_webhooks", json=target).raise_for_status()
        yield shop, url
    await ground.stop()


@pytest.fixture
def shop(listening: tuple[Shop, str]) -> Shop:
    return listening[0]


@pytest.fixture
def url(listening: tuple[Shop, str]) -> str:
    return listening[1]


@pytest.fixture(autouse=True)
def disarmed(shop: Shop) -> Any:
    """No test sees another's faults."""
    yield
    shop.sandbox.http.delete("/_faults").raise_for_status()


async def a_pending_order(shop: Shop) -> str:
    """The number of an order whose PG has accepted the payment and has no result yet; no webhook tells of that."""
    shop.sandbox.arm("webhook_never", "authorize")
    number = draw_number("Asia/Seoul")
    placing = asyncio.create_task(shop.checkout(a_checkout(token="tok_pending"), number=number))
    await shop.becomes(number, "its payment is pending", lambda o: Outcome.PENDING in _outcomes(o))
    assert placing.cancel(), "nobody has waited for an outcome"
    return number


def _outcomes(order: Order) -> list[Outcome]:
    return [operation.outcome for operation in order.operations]


async def card(shop: Shop, number: str) -> Attempt:
    return next(a for a in (await shop.order(number)).attempts if a.account in ACCOUNTS)


async def events(shop: Shop, merchant_ref: str) -> list[dict[str, Any]]:
    """The rows of events that name ``merchant_ref``, in the order in which they came."""
    statement = "SELECT to_jsonb(e) FROM webhook_event e WHERE merchant_ref = :ref ORDER BY received_at, id"
    return [row[0] for row in await shop.sql(statement, ref=merchant_ref)]


async def delivered(shop: Shop, merchant_ref: str) -> list[dict[str, Any]]:
    """The same once there are some and every one of them has reached its order."""

    async def told() -> list[dict[str, Any]]:
        found = await events(shop, merchant_ref)
        return found if all(event["delivered_at"] for event in found) else []

    return await until("the events have reached their order", told)


async def history(shop: Shop, number: str) -> list[HistoryEvent]:
    return [event async for event in shop.workflow(number).fetch_history_events()]


def hints(seen: list[HistoryEvent]) -> list[int]:
    """Where in the history the hints are."""
    return [
        place
        for place, event in enumerate(seen)
        if event.event_type == SIGNALED
        and event.workflow_execution_signaled_event_attributes.signal_name == "look_again"
    ]


def _is_call(event: HistoryEvent) -> bool:
    return event.activity_task_scheduled_event_attributes.activity_type.name == "call_gateway"


def an_event(**changed: Any) -> dict[str, Any]:
    fixed = {"type": "payment.captured", "occurred_at": "2026-11-23T01:00:00+00:00"}
    return (
        fixed | {"id": f"evt-{uuid4().hex}", "reference": f"pay-{uuid4().hex}", "merchant_ref": uuid4().hex} | changed
    )


async def deliver(url: str, account: str, event: dict[str, Any]) -> None:
    """As the PG posts it, signed now; it must be acknowledged."""
    raw = json.dumps({"events": [event]}).encode()
    headers = {"Sandbox-Signature": sign(SECRET, raw, time.time())}
    async with httpx.AsyncClient(trust_env=False) as http:
        (await http.post(f"{url}/v1/webhooks/{account}", content=raw, headers=headers)).raise_for_status()


async def deliver_without_temporal(shop: Shop, account: str, event: dict[str, Any]) -> None:
    """To a server that reaches Postgres, but no Temporal."""
    away = await Client.connect(f"127.0.0.1:{free_ports(1)[0]}", lazy=True)
    async with served(replace(shop.resources, client=away, gateways=shop.gateways)) as url:
        await deliver(url, account, event)


async def age(shop: Shop, event: dict[str, Any], by: timedelta) -> None:
    """Time goes by for one event."""
    statement = "UPDATE webhook_event SET received_at = received_at - CAST(:by AS interval) WHERE event_id = :id"
    await shop.sql(statement, by=by, id=event["id"])


async def hint_again(shop: Shop) -> int:
    """What the schedule does every half minute; how many orders it told."""
    told = await shop.client.execute_workflow("Hints", id=f"hints-{uuid4()}", task_queue=UPDATES, result_type=int)
    return int(told)


def is_paid(order: Order) -> bool:
    return order.payment_status is PaidStatus.PAID


async def test_a_pending_payment_is_settled_by_its_webhook_before_the_next_question_is_due(shop: Shop) -> None:
    number = await a_pending_order(shop)
    assert (await shop.becomes(number, "it is paid", is_paid)).captured == 57700
    attempt, order = await card(shop, number), await shop.order(number)
    [event] = await delivered(shop, attempt.merchant_ref)
    told = {"account": attempt.account, "kind": "payment.captured", "order_id": str(order.id), "matched": True}
    assert event | told == event
    seen = await history(shop, number)
    [hint] = hints(seen)
    last_call = [place for place, each in enumerate(seen) if _is_call(each)][-1]
    assert hint < last_call
    assert EventType.EVENT_TYPE_TIMER_FIRED not in [each.event_type for each in seen[hint:last_call]]


async def test_a_webhook_that_comes_twice_is_stored_once_and_is_one_hint(shop: Shop) -> None:
    number = await a_pending_order(shop)
    shop.sandbox.arm("webhook_duplicate", "authorize")
    await shop.becomes(number, "it is paid", is_paid)

    async def all_taken() -> bool:
        states = shop.sandbox.http.get("/_webhooks").raise_for_status().json()["deliveries"]
        return set(states) == {"delivered"}

    await until("every delivery is acknowledged", all_taken)
    assert shop.sandbox.http.get("/_faults").json()["fired"][-1]["fault"] == "webhook_duplicate"
    attempt = await card(shop, number)
    assert len(await events(shop, attempt.merchant_ref)) == 1
    assert len(hints(await history(shop, number))) == 1


async def test_a_webhook_that_comes_late_changes_nothing_and_wakes_nobody(shop: Shop) -> None:
    shop.sandbox.arm("webhook_late", "authorize", ms=1500)
    number = await shop.placed()
    before, attempt = await shop.order(number), await card(shop, number)
    [event] = await delivered(shop, attempt.merchant_ref)
    assert (event["matched"], event["delivered_at"]) == (True, event["received_at"])
    assert hints(await history(shop, number)) == []
    assert await shop.order(number) == before


async def test_an_event_moves_no_money_the_pg_itself_is_asked(shop: Shop, url: str) -> None:
    number = await a_pending_order(shop)
    attempt = await card(shop, number)
    await deliver(url, attempt.account, an_event(merchant_ref=attempt.merchant_ref, type="payment.captured"))

    async def answered() -> bool:
        seen = await history(shop, number)
        after = seen[hints(seen)[0] :]
        return any(event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED for event in after)

    await until("the PG has answered", answered)
    order = await shop.order(number)
    assert sum(shop.sandbox.ledger(merchant_ref=attempt.merchant_ref)["net"].values()) in {0, order.captured - 7700}
    assert (await shop.becomes(number, "it is paid", is_paid)).captured == 57700


async def test_a_webhook_wakes_an_order_whose_workflow_was_terminated_while_money_was_due(shop: Shop) -> None:
    number = await a_pending_order(shop)
    first = await shop.workflow(number).describe()
    await shop.workflow(number).terminate("by an operator")
    assert (await shop.becomes(number, "it is paid", is_paid)).captured == 57700
    last = await shop.workflow(number).describe()
    assert last.run_id != first.run_id
    assert len(hints(await history(shop, number))) == 1
    await deliver_all(shop, number)
    await shop.closes(number)
    assert (await shop.order(number)).status is OrderStatus.COMPLETED


async def test_a_webhook_replayed_after_a_week_has_no_second_effect(shop: Shop, url: str) -> None:
    number = await shop.placed()
    attempt = await card(shop, number)
    event = an_event(merchant_ref=attempt.merchant_ref, reference=attempt.reference)
    await deliver(url, attempt.account, event)
    await deliver_all(shop, number)
    await shop.closes(number)
    order, run = await shop.order(number), await shop.workflow(number).describe()
    await age(shop, event, timedelta(days=7))
    await deliver(url, attempt.account, event)
    assert await shop.sql("SELECT count(*) FROM webhook_event WHERE event_id = :id", id=event["id"]) == [(1,)]
    assert await shop.order(number) == order
    assert (await shop.workflow(number).describe()).run_id == run.run_id


async def test_an_event_of_another_account_is_about_no_order(shop: Shop, url: str) -> None:
    number = await shop.placed()
    attempt = await card(shop, number)
    [other] = set(ACCOUNTS) - {attempt.account}
    event = an_event(merchant_ref=attempt.merchant_ref, reference=attempt.reference)
    await deliver(url, other, event)
    await hint_again(shop)
    [row] = [each for each in await events(shop, attempt.merchant_ref) if each["account"] == other]
    assert (row["matched"], row["order_id"], row["delivered_at"]) == (False, None, None)


@pytest.mark.parametrize("named_by", ["key", "reference", "operation_ref"])
async def test_an_event_finds_its_order_by_whatever_it_names(shop: Shop, url: str, named_by: str) -> None:
    number = await shop.placed()
    order, attempt = await shop.order(number), await card(shop, number)
    [operation] = [each for each in order.operations if each.attempt_id == attempt.id]
    assert operation.operation_ref
    names: dict[str, dict[str, Any]] = {
        "key": {"merchant_ref": operation.key},
        "reference": {"reference": attempt.reference},
        "operation_ref": {"reference": operation.operation_ref},
    }
    event = an_event(**names[named_by])
    await deliver(url, attempt.account, event)
    [row] = await events(shop, event["merchant_ref"])
    assert row["order_id"] == str(order.id)


async def test_a_hint_that_temporal_did_not_take_is_sent_by_the_schedule(shop: Shop) -> None:
    shop.sandbox.arm("webhook_never", "authorize", times=2)
    number = await a_pending_order(shop)
    attempt = await card(shop, number)
    event = an_event(merchant_ref=attempt.merchant_ref)
    await deliver_without_temporal(shop, attempt.account, event)
    [row] = await events(shop, attempt.merchant_ref)
    assert (row["matched"], row["delivered_at"]) == (True, None)
    assert hints(await history(shop, number)) == []
    assert await hint_again(shop) == 0
    await age(shop, event, HINT_AFTER)
    assert await hint_again(shop) == 1
    assert len(hints(await history(shop, number))) == 1
    await delivered(shop, attempt.merchant_ref)
    assert await hint_again(shop) == 0


async def test_the_schedule_starts_an_order_again_whose_workflow_is_gone_while_money_is_due(shop: Shop) -> None:
    shop.sandbox.arm("webhook_never", "authorize", times=2)
    number = await a_pending_order(shop)
    attempt = await card(shop, number)
    await shop.workflow(number).terminate("by an operator")
    event = an_event(merchant_ref=attempt.merchant_ref)
    await deliver_without_temporal(shop, attempt.account, event)
    await age(shop, event, HINT_AFTER)
    assert await hint_again(shop) == 1
    assert (await shop.becomes(number, "it is paid", is_paid)).captured == 57700


async def test_an_event_that_came_before_our_own_row_is_matched_later(shop: Shop, url: str) -> None:
    shop.sandbox.arm("webhook_never", "authorize", times=2)
    number = await a_pending_order(shop)
    await shop.workflow(number).terminate("so that nobody asks the PG, which would tell its reference again")
    attempt = await card(shop, number)
    early, stale = an_event(reference=attempt.reference), an_event(reference=attempt.reference)
    change = "UPDATE attempt SET reference = :reference WHERE id = :id"
    await shop.sql(change, reference=None, id=attempt.id)
    for event in (early, stale):
        await deliver(url, attempt.account, event)
        [row] = await events(shop, event["merchant_ref"])
        assert (row["matched"], row["delivered_at"]) == (False, None)
    await shop.sql(change, reference=attempt.reference, id=attempt.id)
    await age(shop, early, HINT_AFTER)
    await age(shop, stale, MATCHED_WITHIN + timedelta(minutes=1))
    assert await hint_again(shop) == 1
    [row] = await delivered(shop, early["merchant_ref"])
    assert row["order_id"] == str((await shop.order(number)).id)
    [row] = await events(shop, stale["merchant_ref"])
    assert (row["matched"], row["delivered_at"]) == (False, None)
    assert (await shop.becomes(number, "it is paid", is_paid)).captured == 57700


async def test_the_webhook_of_a_payment_that_was_answered_at_once_wakes_nobody(shop: Shop) -> None:
    number = await shop.placed()
    attempt = await card(shop, number)

    async def arrived() -> list[dict[str, Any]]:
        return await events(shop, attempt.merchant_ref)

    [event] = await until("its webhook is there", arrived)
    await age(shop, {"id": event["event_id"]}, HINT_AFTER)
    assert await hint_again(shop) == 0
    await delivered(shop, attempt.merchant_ref)
    assert hints(await history(shop, number)) == []


async def test_money_told_of_on_a_closed_attempt_is_given_back(shop: Shop) -> None:
    shop.sandbox.arm("refuse", "authorize")
    placed = await shop.checkout(a_checkout())
    order = await shop.becomes(placed.number, "it is paid elsewhere", lambda o: o.status is OrderStatus.PLACED)
    closed = next(a for a in order.attempts if a.outcome is Outcome.NOT_EXECUTED)
    late_charge(shop, closed, 50_000)  # The sandbox tells us of it by a webhook.
    await shop.becomes(
        placed.number,
        "the orphan is given back",
        lambda o: (
            [p.kind.value for p in o.operations if p.orphan and p.outcome is Outcome.SUCCEEDED] == ["lookup", "refund"]
        ),
    )
    assert kept(shop, await shop.order(placed.number))[closed.merchant_ref] == 0
