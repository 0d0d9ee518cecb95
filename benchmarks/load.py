"""Closed-loop load: so many clients, each begins its next job when the last has ended; times and CPU of a phase."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

Cpu = Callable[[], dict[str, float]]


@dataclass
class Journey:
    """One order's way: seconds since the phase began, or None where it never came to it."""

    began: float
    placed: float | None = None
    delivered: float | None = None
    number: str = ""


@dataclass(frozen=True, slots=True)
class Phase:
    """What a phase took. ``seconds``: from the first start to the last end; ``cpu``: seconds used by each process."""

    name: str
    journeys: list[Journey]
    seconds: float
    cpu: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Orders per second."""
        return len(self.journeys) / self.seconds

    @property
    def placed_rate(self) -> float:
        """Placed and paid orders per second, until the last one was."""
        return len(self.journeys) / max(j.placed or math.inf for j in self.journeys)

    @property
    def cpu_ms_per_order(self) -> dict[str, float]:
        """CPU milliseconds by process."""
        return {name: 1000 * used / len(self.journeys) for name, used in self.cpu.items()}

    def to_placed_ms(self) -> list[float]:
        """From the client's first byte to its answer, of each order."""
        return [1000 * (j.placed - j.began) for j in self.journeys if j.placed is not None]


class Shop(Protocol):
    """One kind of orders, real or skeleton. Each may raise; a job that fails ends the benchmark."""

    async def place(self, index: int) -> str:
        """Place and pay one order; returns its number."""

    async def fulfil(self, number: str) -> None:
        """Ship and deliver its sections."""

    async def settle(self, numbers: Sequence[str]) -> None:
        """Wait until the sections of these orders are ready to be shipped: nothing is left to do by itself."""

    async def finish(self, numbers: Sequence[str]) -> None:
        """Wait until everything about these delivered orders has ended."""


async def place_many(shop: Shop, name: str, indexes: range, *, clients: int, cpu: Cpu) -> Phase:
    """Place orders as fast as the clients can; then (not counted) let the system catch up."""

    async def job(index: int, journey: Journey, clock: Callable[[], float]) -> None:
        journey.number = await shop.place(index)
        journey.placed = clock()

    phase = await _run(name, job, indexes, clients=clients, cpu=cpu)
    await shop.settle([j.number for j in phase.journeys])
    return phase


async def live_many(shop: Shop, name: str, indexes: range, *, clients: int, cpu: Cpu) -> Phase:
    """Whole lives: each client places, ships (once the goods are prepared) and delivers one order after the other."""

    async def job(index: int, journey: Journey, clock: Callable[[], float]) -> None:
        journey.number = await shop.place(index)
        journey.placed = clock()
        await shop.settle([journey.number])
        await shop.fulfil(journey.number)
        journey.delivered = clock()

    phase = await _run(name, job, indexes, clients=clients, cpu=cpu)
    await shop.finish([j.number for j in phase.journeys])
    return phase


async def _run(
    name: str,
    job: Callable[[int, Journey, Callable[[], float]], Awaitable[None]],
    indexes: range,
    *,
    clients: int,
    cpu: Cpu,
) -> Phase:
    journeys: list[Journey] = []
    left = iter(indexes)
    before = cpu()
    start = perf_counter()

    def clock() -> float:
        return perf_counter() - start

    async def client() -> None:
        for index in left:
            journey = Journey(began=clock())
            journeys.append(journey)
            await job(index, journey, clock)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    seconds = clock()
    after = cpu()
    return Phase(name, journeys, seconds, {process: used - before.get(process, 0.0) for process, used in after.items()})


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of the values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return percentile(values, 0.5)
