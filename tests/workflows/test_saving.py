"""Saving under contention: a lock that was waited for shows all that the other one wrote; a command is decided once."""

import asyncio
from uuid import uuid4

import pytest
from uuid_utils.compat import uuid7

from activities.command import refuse_command
from activities.desk import utc_now
from activities.saving import Cause, DecidedMeanwhile, lock_order, save_order
from contracts.command import Command, Hold
from domain.errors import Problem
from domain.fulfillment import hold
from domain.moment import Moment
from tests.stack import STORE, Shop, until

WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%row_to_json(o)%'"


def a_moment() -> Moment:
    """Now, for rules that route nothing."""
    return Moment(utc_now(), uuid7, lambda *_, **__: pytest.fail("nothing is to be routed here"))


async def test_whoever_waited_for_the_lock_reads_what_the_other_one_wrote(shop: Shop) -> None:
    number = await shop.placed()
    database = shop.resources.database

    async def second() -> int:
        async with database.transaction() as connection:
            order, _ = await lock_order(connection, STORE, number)
            return len(order.holds)

    async with database.transaction() as connection:
        before, _ = await lock_order(connection, STORE, number)
        waiting = asyncio.create_task(second())

        async def blocked() -> bool | None:
            return bool(await shop.sql(WAITING)) or None

        await until("the second one waits for the lock", blocked)
        cause = Cause("hold", "staff", "test", utc_now())
        await save_order(connection, before, hold(before, 1, "fraud", a_moment()), cause)
    assert await waiting == 1


async def test_a_command_that_was_decided_meanwhile_takes_its_change_back(shop: Shop) -> None:
    number = await shop.placed()
    database = shop.resources.database
    command = Command(uuid4(), STORE, number, "staff", Hold(1, "fraud"))
    no = Problem("conflict", "decided by another run")
    with pytest.raises(DecidedMeanwhile):
        async with database.transaction() as connection:
            before, decided = await lock_order(connection, STORE, number, command_id=command.id)
            assert not decided
            async with database.transaction() as other:
                await refuse_command(other, command, no, utc_now())
            cause = Cause("hold", "staff", "test", utc_now(), command.id)
            row = {"id": command.id, "store_id": STORE, "number": number, "kind": "hold", "status": "applied"}
            row |= {"actor": "staff", "result": {}, "decided_at": utc_now(), "finished_at": utc_now()}
            await save_order(connection, before, hold(before, 1, "fraud", a_moment()), cause, lambda _: row)
    assert (await shop.command(command.id))["status"] == "rejected"
    assert not (await shop.order(number)).holds
    async with database.transaction() as connection:
        _, decided = await lock_order(connection, STORE, number, command_id=command.id)
    assert decided
