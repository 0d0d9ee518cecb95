"""Decisions of the router a second, by several processes at once on one rule: the hottest row of a store.

Each decision is what an order's transaction does: begin, read rule and accounts, choose, commit. Nothing else is
written, so the figure says what the routing alone would allow.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

from sqlalchemy import text

from activities.routing import Router
from benchmarks.load import percentile
from commands.routing import put_rule
from domain.gateway import Capabilities, Flow, Idempotency, MethodLimit, NeutralizeBy
from domain.offer import Needs
from domain.routing import Rule, Wanted
from models.database import Database

CLIENTS = (1, 8, 32)
PROCESSES = 4
SECONDS = 4.0
WARM_UP = 50
"""Decisions of each process before anything is counted."""
PATIENCE = 60.0
"""Seconds for the processes to start."""
STORE = "selector-benchmark"
WEIGHTS = {f"{STORE}-a": 50, f"{STORE}-b": 30, f"{STORE}-c": 20}
_STORE = text(
    """
    WITH made AS (
        INSERT INTO store (id, name, currency, timezone, payment_window_seconds, created_at)
        VALUES (:store, :store, 'KRW', 'Asia/Seoul', 60, now()) RETURNING id)
    INSERT INTO gateway_account (id, store_id, vendor, enabled, created_at)
    SELECT account, made.id, 'sandbox', true, now() FROM made, unnest(CAST(:accounts AS text[])) AS account
    """
)
_STATE = text(
    """
    SELECT s.deficits, s.decisions FROM routing_state s JOIN routing_rule r ON r.id = s.rule_id
     WHERE r.store_id = :store AND r.version = :version
    """
)
CAN = Capabilities(
    flows=frozenset({Flow.SERVER_TOKEN}),
    limits=(MethodLimit("card", "KRW", 1, 10**12),),
    manual_capture=True,
    multiple_captures=True,
    partial_capture=True,
    partial_refund=True,
    idempotency=Idempotency(),
    lookup_by_reference=True,
    lookup_by_merchant_ref=True,
    not_found_final_after_seconds=None,
    neutralize_by=NeutralizeBy.NONE,
)


@dataclass(frozen=True, slots=True)
class Decisions:
    """One run. ``off_by``: how far the accounts are from their shares at its end, in payments."""

    clients: int
    processes: int
    per_second: float
    p50_ms: float
    p99_ms: float
    off_by: float


async def measure_selector(url: str, *, seconds: float = SECONDS) -> list[Decisions]:
    """Decisions on a store of its own in the database ``url``, by 1, 8 and 32 clients, each run under a fresh rule."""
    database = Database(url, size=2)
    try:
        async with database.statement() as connection:
            await connection.execute(_STORE, {"store": STORE, "accounts": list(WEIGHTS)})
        return [await _run(database, url, clients, seconds) for clients in CLIENTS]
    finally:
        await database.close()


async def _run(database: Database, url: str, clients: int, seconds: float) -> Decisions:
    rule = Rule(0, "ratio", "count", tuple(WEIGHTS.items()))
    version = await put_rule(database, STORE, rule, actor="benchmark", check=lambda _: None)
    processes = min(clients, PROCESSES)
    context = get_context("spawn")
    loop, begin = asyncio.get_running_loop(), (context.Barrier(processes),)
    with ProcessPoolExecutor(processes, mp_context=context, initializer=line_up, initargs=begin) as pool:
        shares = [clients // processes + (index < clients % processes) for index in range(processes)]
        runs = [loop.run_in_executor(pool, decide_for, url, share, seconds) for share in shares]
        taken = [ms for run in await asyncio.gather(*runs) for ms in run]
    async with database.reading() as connection:
        deficits, _ = (await connection.execute(_STATE, {"store": STORE, "version": version})).one()
    return Decisions(
        clients=clients,
        processes=processes,
        per_second=round(len(taken) / seconds, 1),
        p50_ms=round(percentile(taken, 0.5), 2),
        p99_ms=round(percentile(taken, 0.99), 2),
        off_by=max(abs(deficit) for deficit in deficits) / sum(WEIGHTS.values()),
    )


class Start:
    """When all processes of a run begin; each has its own copy of the same barrier."""

    barrier: Barrier | None = None


def line_up(barrier: Barrier) -> None:
    """Tell a new process what it begins at."""
    Start.barrier = barrier


def decide_for(url: str, clients: int, seconds: float) -> list[float]:
    """One process: decisions for so long, together with the others; how long each took, in milliseconds."""
    return asyncio.run(_decide(url, clients, seconds))


async def _decide(url: str, clients: int, seconds: float) -> list[float]:
    database = Database(url, size=max(clients, 2))
    taken: list[float] = []

    async def client(end: float) -> None:
        while (begun := time.perf_counter()) < end:
            await _decision(database)
            taken.append(1000 * (time.perf_counter() - begun))

    try:
        for _ in range(WARM_UP):
            await _decision(database)
        if Start.barrier is not None:
            await asyncio.to_thread(Start.barrier.wait, PATIENCE)
        end = time.perf_counter() + seconds
        await asyncio.gather(*(client(end) for _ in range(clients)))
    finally:
        await database.close()
    return taken


async def _decision(database: Database) -> None:
    now = datetime.now(UTC)
    needs = Needs("KRW", several_captures=False)
    async with database.transaction() as connection:
        router = Router(database, STORE, needs, dict.fromkeys(WEIGHTS, CAN))
        await router.decide(connection, Wanted("card", "KRW", 10_000, CAN.flows), now)


def at(decisions: Sequence[Decisions], clients: int) -> Decisions:
    """The run with so many clients."""
    return next(each for each in decisions if each.clients == clients)
