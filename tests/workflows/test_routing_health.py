"""Circuits, choices that are given back, and rules without weights, in the running system."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from activities.desk import utc_now
from activities.health import claim_probe, release_probe
from commands.routing import put_rule
from domain.checkout import AskedItem, AskedPayment, AskedSection
from domain.health import Circuit, CircuitState, state_of
from domain.order import Order
from domain.routing import Rule
from queries.routing import load_circuits, load_rules
from tests.stack import ACCOUNTS, HOME, STORE, Shop, a_checkout, until

SEVENTY = Rule(0, "ratio", "count", (("sandbox-a", 70), ("sandbox-b", 30)), ACCOUNTS)


async def rule(shop: Shop, rule: Rule) -> int:
    return await put_rule(shop.resources.database, STORE, rule, actor="test", check=lambda _: None)


@pytest.fixture(autouse=True)
async def healthy(shop: Shop) -> AsyncIterator[None]:
    """Everyone works, under a fresh rule, before and after."""
    for _ in range(2):
        await shop.sql("DELETE FROM gateway_health")
        await rule(shop, SEVENTY)
        if not _:
            yield


async def pay(shop: Shop) -> Order:
    placed = await shop.checkout(a_checkout(payments=(AskedPayment("card", 57700, "tok_ok"),)))
    assert placed.answer is not None
    assert placed.answer.status == "placed", placed.answer
    return await shop.order(placed.number)


async def circuit(shop: Shop, account: str) -> Circuit | None:
    async with shop.resources.database.reading() as connection:
        return next((c for c in await load_circuits(connection, STORE) if c.account == account), None)


def decision(order: Order, position: int = 0) -> dict[str, Any]:
    found = order.attempts[position].decision
    assert found is not None
    return found


def reasons(order: Order, position: int = 0) -> dict[str, str]:
    return {each["account"]: each["reason"] for each in decision(order, position)["candidates"]}


async def break_down(shop: Shop, account: str) -> None:
    """Its circuit opens after five payments that were refused a connection."""
    shop.sandbox.arm("refuse", "authorize", times=5, account=account)
    for _ in range(40):
        await pay(shop)
        found = await circuit(shop, account)
        if found and found.opened_at:
            shop.sandbox.http.delete("/_faults").raise_for_status()
            return
    raise AssertionError(f"the circuit of {account} did not open")


async def let_time_pass(shop: Shop) -> None:
    """Half a minute, for the circuits."""
    await shop.sql("UPDATE gateway_health SET opened_at = opened_at - interval '31 seconds'")


async def test_an_account_that_fails_gets_nothing_until_three_probes_have_worked(shop: Shop) -> None:
    await break_down(shop, "sandbox-a")
    for _ in range(4):
        order = await pay(shop)
        assert {a.account for a in order.attempts} == {"sandbox-b"}
        assert reasons(order)["sandbox-a"] == "circuit_open"
    await let_time_pass(shop)
    probes = []
    while (found := await circuit(shop, "sandbox-a")) and found.opened_at:
        order = await pay(shop)
        probes.append((order.attempts[0].account, decision(order)["circuit"]))
        assert len(probes) < 10
    assert probes == [("sandbox-a", "half_open")] * 3
    order = await pay(shop)
    assert (decision(order)["circuit"], reasons(order)["sandbox-a"]) == ("closed", "eligible")


async def test_a_decline_opens_nothing(shop: Shop) -> None:
    for _ in range(6):
        await shop.checkout(a_checkout(payments=(AskedPayment("card", 57700, "tok_declined"),)))
    assert [await circuit(shop, account) for account in ACCOUNTS] == [None, None]


async def test_a_probe_that_fails_opens_the_circuit_again(shop: Shop) -> None:
    await break_down(shop, "sandbox-a")
    await let_time_pass(shop)
    shop.sandbox.arm("refuse", "authorize", times=1, account="sandbox-a")
    order = await pay(shop)
    assert [a.account for a in order.attempts] == ["sandbox-a", "sandbox-b"]
    found = await circuit(shop, "sandbox-a")
    assert found is not None
    assert state_of(found, utc_now()) is CircuitState.OPEN
    assert found.probe_at is None


async def test_with_every_circuit_open_the_least_bad_account_is_tried(shop: Shop) -> None:
    await break_down(shop, "sandbox-b")
    await shop.sql(
        "INSERT INTO gateway_health"
        " SELECT 'sandbox-a', method, jsonb_build_array(now(), now()), opened_at, NULL, 0, now() FROM gateway_health"
    )
    order = await pay(shop)
    assert (order.attempts[0].account, decision(order)["reason"]) == ("sandbox-a", "least_bad")
    assert reasons(order) == dict.fromkeys(ACCOUNTS, "circuit_open")


async def test_of_many_at_once_one_is_the_probe(shop: Shop) -> None:
    await shop.sql(
        "INSERT INTO gateway_health VALUES ('sandbox-a', 'card', '[]', now() - interval '31 seconds', NULL, 0, now())"
    )
    database, now = shop.resources.database, utc_now()

    async def claim() -> bool:
        async with database.selecting() as connection:
            return await claim_probe(connection, "sandbox-a", "card", now)

    assert sorted(await asyncio.gather(*(claim() for _ in range(8)))) == [False] * 7 + [True]
    for _ in range(2):
        order = await pay(shop)
        assert (order.attempts[0].account, reasons(order)["sandbox-a"]) == ("sandbox-b", "probed")
    async with database.selecting() as connection:
        await release_probe(connection, "sandbox-a", "card", now)
    assert await claim()


async def test_orders_that_find_the_shelf_empty_leave_the_ratio_as_it_was(shop: Shop) -> None:
    sku = f"LAST-{uuid4().hex[:8]}"
    await shop.sql(
        "INSERT INTO sku (store_id, sku, name, price, tax_rate, tracked, updated_at)"
        " VALUES (:store, :sku, 'Last', 1000, 1000, true, now())",
        store=STORE,
        sku=sku,
    )
    await shop.sql("INSERT INTO stock VALUES (:store, :sku, 1, 0, 0)", store=STORE, sku=sku)
    last = a_checkout(
        sections=(AskedSection(HOME, "standard", 0, (AskedItem(sku, 1),)),),
        discounts=(),
        expected_total=1000,
        payments=(AskedPayment("card", 1000, "tok_ok"),),
    )
    async with shop.resources.database.transaction() as shelf:
        await shelf.execute(text("SELECT FROM stock WHERE sku = :sku FOR UPDATE"), {"sku": sku})
        many = asyncio.gather(*(shop.checkout(last) for _ in range(6)))

        async def routed() -> bool:
            return (await state(shop))[1] >= 6

        await until("all have a route and wait for the shelf", routed)
    answers = [placed.answer for placed in await many]
    assert sorted(answer.status for answer in answers if answer) == ["placed", *["refused"] * 5]
    deficits, decisions = await state(shop)
    assert decisions == 6
    assert sorted(deficits) in ([-30, 30], [-70, 70])


async def state(shop: Shop) -> tuple[list[int], int]:
    """Deficits and decisions of the rule in force."""
    rows = await shop.sql(
        "SELECT s.deficits, s.decisions FROM routing_state s JOIN routing_rule r ON r.id = s.rule_id"
        " WHERE r.store_id = :store ORDER BY r.version DESC LIMIT 1",
        store=STORE,
    )
    deficits, decisions = rows[0]
    return deficits, decisions


async def test_a_priority_by_fallback_alone_is_followed_and_stored_as_it_is(shop: Shop) -> None:
    version = await rule(shop, Rule(0, "priority", "count", (), ("sandbox-b", "sandbox-a")))
    order = await pay(shop)
    assert (order.attempts[0].account, order.attempts[0].rule_version) == ("sandbox-b", version)
    assert (decision(order)["reason"], decision(order)["strategy"]) == ("fallback", "priority")
    weights = "SELECT w.* FROM routing_weight w JOIN routing_rule r ON r.id = w.rule_id WHERE r.version = :version"
    assert await shop.sql(weights, version=version) == []
    async with shop.resources.database.reading() as connection:
        active = (await load_rules(connection, STORE, utc_now())).active
    assert active is not None
    assert (active.rule.weights, active.rule.fallback) == ((), ("sandbox-b", "sandbox-a"))


async def test_answers_between_two_failures_are_counted_when_the_second_comes(shop: Shop) -> None:
    """A healthy payment writes nothing, and all the same a failure now and then opens no circuit."""
    await rule(shop, Rule(0, "single", "count", (("sandbox-a", 100),), ACCOUNTS))
    for _ in range(3):
        for _ in range(2):
            await pay(shop)
        shop.sandbox.arm("refuse", "authorize", times=1, account="sandbox-a")
        await pay(shop)
    found = await circuit(shop, "sandbox-a")
    assert found is not None
    assert [call is not None for call in found.window][-6:] == [False, False, True] * 2
    assert found.opened_at is None
