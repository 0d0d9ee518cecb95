"""The order of the measurements, all on the same servers in one run: skeletons and real orders take turns."""

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count

import asyncpg
import httpx
from temporalio.client import Client

from benchmarks.acknowledgement import listening
from benchmarks.histories import Footprint, footprint
from benchmarks.load import Phase, Shop, live_many, place_many
from benchmarks.real_shop import RealShop
from benchmarks.selector import Decisions, measure_selector
from benchmarks.skeleton import QUEUE
from benchmarks.skeleton_shop import SkeletonShop
from benchmarks.stack import UnderLoad
from benchmarks.statements import Statements, count_statements, heaviest, start_counting
from cli.addresses import Addresses
from cli.processes import Polls, ProcessSpec
from cli.supervisor import Rank
from wiring.converter import data_converter

SAMPLED_HISTORIES = 20
COUNTED_ORDERS = 9
"""Orders placed alone to count their statements."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. ``orders`` in each kind of phase, split over ``rounds`` that take turns."""

    orders: int
    clients: int
    warm_up: int
    rounds: int
    skeleton_only: bool = False


@dataclass(frozen=True, slots=True)
class Accept:
    """Milliseconds from a checkout's first byte until its workflow was durably started, and until the answer."""

    durable: float
    answer: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that one run has measured; times in milliseconds."""

    machine: dict[str, str | float | int]
    sizes: Sizes
    skeleton_placing: list[Phase]
    skeleton_lives: list[Phase]
    skeleton_footprint: Footprint
    placing: list[Phase] = field(default_factory=list)
    lives: list[Phase] = field(default_factory=list)
    accepts: list[Accept] = field(default_factory=list)
    heaviest: dict[str, dict[str, float]] = field(default_factory=dict)
    footprint: Footprint | None = None
    statements: Statements | None = None
    routing: list[Decisions] = field(default_factory=list)


class Plan:
    """One run. ``say`` is told what is being done."""

    def __init__(self, system: UnderLoad, sizes: Sizes, say: Callable[[str], None]) -> None:
        self._system = system
        self._sizes = sizes
        self._say = say
        self._indexes = count()

    async def run(self) -> Measured:
        """Measure; raises whatever goes wrong, because a run with a failed order has measured nothing."""
        machine = describe_machine()
        addresses = self._system.addresses
        client = await Client.connect(addresses.temporal, data_converter=data_converter)
        async with (
            listening(self._system.acknowledgement_port) as heard,
            http_clients(addresses, self._sizes.clients) as http,
            asyncpg.create_pool(addresses.database, min_size=1, max_size=2, reset=as_it_is) as database,
        ):
            await self._start_skeleton_worker()
            skeletons = SkeletonShop(client, heard)
            real = RealShop(addresses, http, database)
            shops: list[Shop] = [skeletons] if self._sizes.skeleton_only else [skeletons, real]
            for shop in shops:
                await self._live(shop, "warm-up", self._sizes.warm_up)
            await start_counting(database)
            placing, lives = await self._rounds(shops)
            heavy = await heaviest(database, self._sizes.orders * 2)
            self._say("fetching histories")
            sampled = [[j.number for phase in phases for j in phase.journeys][-SAMPLED_HISTORIES:] for phases in lives]
            bare = Measured(machine, self._sizes, placing[0], lives[0], await footprint(client, sampled[0]))
            if self._sizes.skeleton_only:
                return bare
            return replace(
                bare,
                placing=placing[1],
                lives=lives[1],
                heaviest=heavy,
                footprint=await footprint(client, sampled[1]),
                accepts=await self._accepts(real, client),
                statements=await self._statements(real, database),
                routing=await self._routing(),
            )

    async def _rounds(self, shops: list[Shop]) -> tuple[list[list[Phase]], list[list[Phase]]]:
        """Skeleton and real take turns, so that a machine that slows down slows both."""
        placing: list[list[Phase]] = [[] for _ in shops]
        lives: list[list[Phase]] = [[] for _ in shops]
        size = self._sizes.orders // self._sizes.rounds
        for turn in range(1, self._sizes.rounds + 1):
            for shop, placed, lived in zip(shops, placing, lives, strict=True):
                kind = type(shop).__name__
                self._say(f"round {turn}: {kind} places {size}")
                placed.append(await self._place(shop, kind, size))
                self._say(f"round {turn}: {kind} lives {size}")
                lived.append(await self._live(shop, kind, size))
        return placing, lives

    async def _place(self, shop: Shop, name: str, size: int) -> Phase:
        cpu = self._system.cpu_seconds
        return await place_many(shop, name, self._next(size), clients=self._sizes.clients, cpu=cpu)

    async def _live(self, shop: Shop, name: str, size: int) -> Phase:
        cpu = self._system.cpu_seconds
        return await live_many(shop, name, self._next(size), clients=self._sizes.clients, cpu=cpu)

    async def _accepts(self, real: RealShop, client: Client) -> list[Accept]:
        """Checkouts that ask for an answer without waiting (`Prefer: wait=0`)."""
        self._say("accepting without waiting")
        taken: list[Accept] = []
        left = iter(self._next(self._sizes.orders // 2))

        async def shopper() -> None:
            for index in left:
                sent = datetime.now(UTC)
                response = await real.checkout(index, wait=0)
                answered = datetime.now(UTC)
                workflow = real.expect(response, 201, 202)["workflow"]["id"]
                started = (await client.get_workflow_handle(workflow).describe()).start_time
                taken.append(Accept(1000 * (started - sent).total_seconds(), 1000 * (answered - sent).total_seconds()))

        async with asyncio.TaskGroup() as group:
            for _ in range(self._sizes.clients):
                group.create_task(shopper())
        return taken

    async def _statements(self, real: RealShop, database: "asyncpg.Pool[asyncpg.Record]") -> Statements:
        self._say("counting statements")
        return await count_statements(database, real, self._next(COUNTED_ORDERS))

    async def _routing(self) -> list[Decisions]:
        self._say("deciding who takes payments")
        return await measure_selector(self._system.addresses.database)

    async def _start_skeleton_worker(self) -> None:
        words = ("-m", "benchmarks.skeleton_worker", self._system.addresses.temporal)
        port = str(self._system.acknowledgement_port)
        spec = ProcessSpec(name="skeleton", words=(*words, port), rank=Rank.WORKER, serves=Polls(queue=QUEUE))
        await self._system.start(spec)

    def _next(self, size: int) -> range:
        start = next(self._indexes) * 1_000_000
        return range(start, start + size)


async def as_it_is(_: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Give a connection back without the statements that asyncpg would run: they would be counted."""


@asynccontextmanager
async def http_clients(addresses: Addresses, clients: int) -> AsyncIterator[httpx.AsyncClient]:
    """One pool of connections with the shop's key; each client keeps two, one per section."""
    limits = httpx.Limits(max_connections=2 * clients, max_keepalive_connections=2 * clients)
    headers = {"Authorization": f"Bearer {addresses.api_key}"}
    async with httpx.AsyncClient(base_url=addresses.api, headers=headers, limits=limits, timeout=60) as http:
        yield http


def describe_machine() -> dict[str, str | float | int]:
    """What the figures depend on. ``load``: runnable processes of the last minute, before anything was measured."""
    return {
        "cores": os.cpu_count() or 0,
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "workflow_sandbox": os.environ.get("OPMS_WORKFLOW_SANDBOX", "true"),
    }
