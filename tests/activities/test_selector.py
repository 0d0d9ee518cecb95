"""The choice by ratio on a real Postgres: equal to the reference, exact under eight at once, and given back."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from uuid_utils.compat import uuid7

from activities.selector import Selection, give_back, select
from cli.database import migrate
from domain.gateway import Flow, MethodLimit
from domain.routing import (
    CLIP_PAYMENTS,
    AccountState,
    Measure,
    Rule,
    Strategy,
    Wanted,
    choose,
    clip_of,
    contenders,
    weigh,
)
from models.database import Database
from wiring.embedded import EmbeddedPostgres, free_ports

CARD = MethodLimit("card", "KRW", 1, 10**12)
TOKEN = frozenset({Flow.SERVER_TOKEN})
STATES = ("able", "paused", "disabled")
THREE = {"a": 50, "b": 30, "c": 20}
_STORE = """
    INSERT INTO store (id, name, currency, timezone, payment_window_seconds, created_at)
    VALUES ('s', 'S', 'KRW', 'Asia/Seoul', 60, now())
"""
_RULE = """
    WITH rule AS (
        INSERT INTO routing_rule (id, store_id, version, strategy, by, fallback, constraints, active_from, created_at,
                                  created_by)
        SELECT :id, 's', coalesce(max(version), 0) + 1, 'ratio', :by, '[]', '[]', now(), now(), 'test'
          FROM routing_rule RETURNING id)
    INSERT INTO routing_state (rule_id, deficits, decisions, volume)
    SELECT id, CAST(:deficits AS bigint[]), 0, 0 FROM rule
"""


@pytest.fixture(scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A database with one store."""
    folder = tmp_path_factory.mktemp("selector")
    for parent in (folder, folder.parent):
        parent.chmod(0o755)
    server = EmbeddedPostgres(folder, port=free_ports(1)[0])
    await server.start()
    await server.wait_ready()
    await server.create_database("opms")
    await migrate(server.url("opms"))
    database = Database(server.url("opms"), size=1)
    async with database.statement() as connection:
        await connection.execute(text(_STORE))
    await database.close()
    yield server.url("opms")
    await server.stop()
    server.discard()


@pytest.fixture(scope="module")
def runner(url: str) -> Iterator[tuple[asyncio.Runner, Database]]:
    """For examples of hypothesis, which knows no coroutines."""
    with asyncio.Runner() as runner:
        database = Database(url, size=2)
        yield runner, database
        runner.run(database.close())


def a_rule(weights: Sequence[int], by: str = Measure.COUNT) -> Rule:
    return Rule(1, Strategy.RATIO, by, tuple(zip("abcdef", weights, strict=False)))


async def stored(database: Database, rule: Rule, deficits: Sequence[int] = ()) -> UUID:
    rule_id = uuid7()
    parameters = {"id": rule_id, "by": rule.by, "deficits": list(deficits or [0] * len(rule.weights))}
    async with database.statement() as connection:
        await connection.execute(text(_RULE), parameters)
    return rule_id


def accounts(rule: Rule, states: Sequence[str]) -> list[AccountState]:
    return [
        AccountState(name, state != "disabled", state == "paused", (CARD,), TOKEN, manual_capture=True)
        for (name, _), state in zip(rule.weights, states, strict=True)
    ]


async def choice(database: Database, rule_id: UUID, rule: Rule, states: Sequence[str], amount: int) -> Selection:
    wanted = Wanted("card", "KRW", amount, TOKEN)
    candidates = weigh(rule, accounts(rule, states), {}, wanted)
    among, _ = contenders(rule, candidates)
    return await select(database, rule_id, rule, candidates, among, units=wanted.units(rule))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Rule, list[int], list[tuple[list[str], int]]]:
    """A rule, deficits to begin with, and payments: how each account is, and the amount."""
    size = draw(st.integers(1, 5))
    cuts = sorted(draw(st.lists(st.integers(0, 10_000), min_size=size - 1, max_size=size - 1)))
    edges = [0, *cuts, 10_000]
    rule = a_rule([high - low for low, high in pairwise(edges)], draw(st.sampled_from(Measure)))
    deficits = draw(st.lists(st.integers(-(10**7), 10**7), min_size=size, max_size=size))
    states = st.lists(st.sampled_from(STATES), min_size=size, max_size=size)
    return rule, deficits, draw(st.lists(st.tuples(states, st.integers(1, 10**9)), min_size=1, max_size=25))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cases())
def test_the_statement_chooses_as_the_reference_does(
    runner: tuple[asyncio.Runner, Database], case: tuple[Rule, list[int], list[tuple[list[str], int]]]
) -> None:
    async def run(database: Database) -> None:
        rule, begin, payments = case
        rule_id = await stored(database, rule, begin)
        deficits = {name: deficit for (name, _), deficit in zip(rule.weights, begin, strict=True)}
        decided = volume = 0
        for states, amount in payments:
            wanted = Wanted("card", "KRW", amount, TOKEN)
            able = [state for (_, weight), state in zip(rule.weights, states, strict=True) if weight]
            if "able" not in able:
                continue
            found = await choice(database, rule_id, rule, states, amount)
            decided, volume = decided + 1, volume + amount
            clip = clip_of(rule, mean_amount=max(volume // decided, 1))
            expected, deficits = choose(rule, accounts(rule, states), deficits, wanted, clip=clip)
            assert found.account == expected.account
            assert dict(zip(deficits, found.after, strict=True)) == deficits
            assert (found.sequence, found.usual) == (decided, clip // CLIP_PAYMENTS)

    loop, database = runner
    loop.run(run(database))


def backlog(rule: Rule, taken: Sequence[tuple[str, frozenset[str]]], group: frozenset[str]) -> float:
    """How far payments that only ``group`` could take have run ahead of its share: no choice could prevent it."""
    share = sum(weight for name, weight in rule.weights if name in group) / 100
    ahead = most = 0.0
    for _, able in taken:
        ahead = max(0.0, ahead + (able <= group) - share)
        most = max(most, ahead)
    return most


def worst_window(rule: Rule, chosen: Sequence[str], length: int) -> float:
    """The largest distance from a share over every window of so many payments."""
    worst = 0.0
    for name, weight in rule.weights:
        sums = [0]
        for each in chosen:
            sums.append(sums[-1] + (each == name))
        target = length * weight / 100
        worst = max(worst, *(abs(end - begin - target) for begin, end in zip(sums, sums[length:], strict=False)))
    return worst


CHOICES = {
    "everyone": [("abc", 1.0)],
    "some not c": [("ab", 0.3), ("abc", 0.7)],
    "some not c, some not b": [("ab", 0.2), ("ac", 0.2), ("abc", 0.6)],
}
FORCED = {
    "some only a": [("a", 0.2), ("abc", 0.8)],
    "some only a, some only b or c": [("a", 0.2), ("bc", 0.2), ("abc", 0.6)],
}
KINDS = CHOICES | FORCED


@pytest.mark.parametrize("kind", KINDS)
async def test_eight_at_once_keep_every_window_of_a_thousand(url: str, kind: str) -> None:
    """Within 2. Where chance sends runs of payments that one account must take, by as much more as those runs force."""
    rule = a_rule([50, 30, 20])
    databases = [Database(url, size=2) for _ in range(8)]
    rule_id = await stored(databases[0], rule)
    groups, chances = zip(*KINDS[kind], strict=True)
    taken: list[tuple[int, str, frozenset[str]]] = []

    async def worker(index: int) -> None:
        dice = random.Random(f"{kind} {index}")
        for _ in range(250):
            able = dice.choices(groups, chances)[0]
            states = ["able" if name in able else "paused" for name in "abc"]
            found = await choice(databases[index], rule_id, rule, states, 1000)
            taken.append((found.sequence, found.account, frozenset(able)))

    await asyncio.gather(*map(worker, range(8)))
    for database in databases:
        await database.close()
    taken.sort()
    assert [sequence for sequence, _, _ in taken] == list(range(1, 2001))
    history = [(account, able) for _, account, able in taken]
    forced = (
        max(backlog(rule, history, frozenset(group)) for group in groups if group != "abc") if kind in FORCED else 0
    )
    worst = worst_window(rule, [account for account, _ in history], 1000)
    assert worst <= 2 + forced, (worst, forced)


async def test_after_an_outage_the_account_gets_its_share_and_at_most_twenty_more(url: str) -> None:
    rule = a_rule([50, 30, 20])
    database = Database(url, size=2)
    rule_id = await stored(database, rule)
    seen = Counter[str]()
    for states, size in ((["able", "paused", "able"], 400), (["able", "able", "able"], 1000)):
        seen = Counter([(await choice(database, rule_id, rule, states, 1000)).account for _ in range(size)])
    await database.close()
    assert 300 < seen["b"] <= 320


async def test_what_is_given_back_has_not_happened(url: str) -> None:
    rule = a_rule([50, 30, 20])
    databases = [Database(url, size=2) for _ in range(8)]
    rule_id = await stored(databases[0], rule)
    kept: list[tuple[int, str]] = []

    async def worker(index: int) -> None:
        dice = random.Random(index)
        for _ in range(250):
            found = await choice(databases[index], rule_id, rule, ["able"] * 3, 1000)
            if dice.random() < 0.4:
                await give_back(databases[index], found)
            else:
                kept.append((found.sequence, found.account))

    await asyncio.gather(*map(worker, range(8)))
    async with databases[0].statement() as connection:
        query = text("SELECT deficits, decisions FROM routing_state WHERE rule_id = :id")
        deficits, decisions = (await connection.execute(query, {"id": rule_id})).one()
    for database in databases:
        await database.close()
    taken = Counter(account for _, account in kept)
    assert decisions == 2000
    # Exactly what was kept: a deficit is what an account should have had of it minus what it got.
    assert deficits == [len(kept) * weight - 100 * taken[name] for name, weight in rule.weights]
    # Those that are on their way count until they are given back: at most one for each worker.
    assert all(abs(deficit) <= 100 * 8 for deficit in deficits)
    assert worst_window(rule, [account for _, account in sorted(kept)], 1000) <= 2 + 8


async def test_an_amount_that_is_as_large_as_can_be_overflows_nothing(url: str) -> None:
    rule = a_rule([5000, 3000, 2000], by=Measure.AMOUNT)
    database = Database(url, size=2)
    rule_id = await stored(database, rule)
    largest = 10**12
    found = [await choice(database, rule_id, rule, ["able", "able", "paused"], largest) for _ in range(60)]
    await database.close()
    assert sum(found[-1].after) == 0
    assert found[-1].usual == largest
    assert {each.account for each in found} == {"a", "b"}


async def test_whoever_is_gone_before_the_answer_has_chosen_nothing(url: str) -> None:
    rule = a_rule([50, 30, 20])
    database = Database(url, size=2)
    rule_id = await stored(database, rule)
    lock = text("SELECT FROM routing_state WHERE rule_id = :id FOR UPDATE")
    async with database.transaction() as connection:
        await connection.execute(lock, {"id": rule_id})
        choices = [asyncio.create_task(choice(database, rule_id, rule, ["able"] * 3, 1000)) for _ in range(5)]
        await asyncio.sleep(0)  # All five are in the queue; the row is locked, so none can have its answer.
        for gone in choices[1:]:
            gone.cancel()
        done = await asyncio.gather(*choices[1:], return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in done)
    kept = [(await choices[0]).account, (await choice(database, rule_id, rule, ["able"] * 3, 1000)).account]
    async with database.statement() as connection:
        query = text("SELECT deficits, decisions FROM routing_state WHERE rule_id = :id")
        deficits, decisions = (await connection.execute(query, {"id": rule_id})).one()
    await database.close()
    taken = Counter(kept)
    assert decisions == 6
    assert deficits == [len(kept) * weight - 100 * taken[name] for name, weight in rule.weights]


async def test_a_choice_that_the_database_does_not_answer_fails_for_all_who_wait_and_the_next_one_works(
    url: str,
) -> None:
    rule = a_rule([50, 30, 20])
    database = Database(url, size=2)
    nowhere = uuid7()
    lost = await asyncio.gather(
        *(choice(database, nowhere, rule, ["able"] * 3, 1000) for _ in range(3)), return_exceptions=True
    )
    assert [type(each) for each in lost] == [ValueError] * 3
    rule_id = await stored(database, rule)
    assert (await choice(database, rule_id, rule, ["able"] * 3, 1000)).account == "a"
    await database.close()
