"""SQL statements per order, as Postgres itself counts them."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import asyncpg

from benchmarks.load import Shop, median
from cli.waiting import until

LOOK_EVERY = 0.05
TRANSACTION = ("BEGIN", "COMMIT", "ROLLBACK")
_CALLS = """
    SELECT query, calls FROM pg_stat_statements
     WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND query NOT LIKE '%pg_stat_statements%' AND query NOT LIKE '%/* benchmark */%'
"""


_HEAVIEST = """
    SELECT query, calls, total_exec_time + total_plan_time AS ms FROM pg_stat_statements
     WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND query NOT LIKE '%/* benchmark */%'
     ORDER BY ms DESC LIMIT 15
"""


@dataclass(frozen=True, slots=True)
class Statements:
    """Of one order placed alone, the median. ``paid``: until its answer is there; ``prepared``: with its sections."""

    orders: int
    paid: float
    paid_without_transaction: float
    commits: float
    prepared: float
    alone_ms: float
    """From the client's first byte to the answer, with nothing else to do for anybody."""
    by_query: dict[str, float]


async def count_statements(database: "asyncpg.Pool[asyncpg.Record]", shop: Shop, indexes: Sequence[int]) -> Statements:
    """Place orders one at a time on the quiet system and count what each costs.

    The first count is taken the moment the answer is there: a section that is quicker is counted too, so the figure is
    never too low.
    """
    paid: list[dict[str, int]] = []
    prepared: list[int] = []
    alone: list[float] = []
    for index in indexes:
        before = await _quiet(database)
        start = perf_counter()
        number = await shop.place(index)
        alone.append(1000 * (perf_counter() - start))
        paid.append(_difference(before, await _calls(database)))
        await shop.settle([number])
        prepared.append(sum(_difference(before, await _calls(database)).values()))
    middle = sorted(paid, key=lambda calls: sum(calls.values()))[len(paid) // 2]
    return Statements(
        orders=len(paid),
        paid=median([sum(calls.values()) for calls in paid]),
        paid_without_transaction=median([_without_transaction(calls) for calls in paid]),
        commits=median([sum(n for query, n in calls.items() if query.startswith("COMMIT")) for calls in paid]),
        prepared=median(prepared),
        alone_ms=round(median(alone), 1),
        by_query={_line(query): n for query, n in sorted(middle.items(), key=lambda c: -c[1])},
    )


async def start_counting(database: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Switch the counters on and set them to zero."""
    await database.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    await database.execute("SELECT pg_stat_statements_reset()")


async def heaviest(database: "asyncpg.Pool[asyncpg.Record]", orders: int) -> dict[str, dict[str, float]]:
    """The statements that Postgres has worked on longest since `start_counting`, per order."""
    return {
        _line(row["query"]): {"calls": round(row["calls"] / orders, 1), "ms": round(row["ms"] / orders, 2)}
        for row in await database.fetch(_HEAVIEST)
    }


async def _calls(database: "asyncpg.Pool[asyncpg.Record]") -> dict[str, int]:
    calls: dict[str, int] = {}
    for row in await database.fetch(_CALLS):
        calls[row["query"]] = calls.get(row["query"], 0) + int(row["calls"])
    return calls


async def _quiet(database: "asyncpg.Pool[asyncpg.Record]", *, looks: int = 3) -> dict[str, int]:
    """The counts once they have not moved between several looks: what the order before has left is done."""
    seen: dict[str, int] = {}
    moving: dict[str, int] = {}
    same = 0

    async def still() -> bool:
        nonlocal seen, same, moving
        again = await _calls(database)
        moving = _difference(seen, again)
        same = 0 if moving else same + 1
        seen = again
        return same >= looks

    try:
        await until(still, "the database to be quiet", within=60, longest_pause=LOOK_EVERY)
    except TimeoutError as late:
        raise TimeoutError(f"{late}; these still run: {sorted(moving)}") from late
    return seen


def _line(query: str) -> str:
    return " ".join(query.split())[:120]


def _difference(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {query: n - before.get(query, 0) for query, n in after.items() if n != before.get(query, 0)}


def _without_transaction(calls: dict[str, int]) -> int:
    return sum(n for query, n in calls.items() if not query.startswith(TRANSACTION))
