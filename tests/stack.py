"""One running system inside the test's own process: real Postgres, real Temporal, a sandbox PG, the real workers.

Nothing here waits for a fixed time: `until` looks until something is true, or fails and says what was not.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import text
from temporalio.client import WorkflowHandle
from temporalio.worker import Worker

from cli.database import migrate
from cli.seed import seed
from commands.command import submit
from commands.order import Placed, draw_number, place_order
from contracts.command import Body, Command
from contracts.order import PlaceOrder
from domain.checkout import (
    AskedDiscount,
    AskedItem,
    AskedPayment,
    AskedSection,
    Checkout,
    Customer,
    Destination,
)
from domain.errors import UnknownOrder
from domain.number import order_workflow_id, section_workflow_id
from domain.order import Order
from domain.states import ItemState
from gateways.gateway import Gateway
from queries.order import CommandView, view_order
from tests.gateways.rig import SandboxServer
from wiring.embedded import EmbeddedPostgres, EmbeddedTemporal, free_ports
from wiring.resources import Resources, open_gateways, open_resources
from wiring.settings import Settings
from wiring.workers import build_workers

STORE = "demo"
ACCOUNTS = ("sandbox-a", "sandbox-b")
HOME = Destination("Kim Minji", "12 Teheran-ro", "Seoul", "06236", "KR")
PATIENCE = 60.0
T = TypeVar("T")


async def until(what: str, found: Callable[[], Awaitable[T | None]], *, within: float = PATIENCE) -> T:
    """The first thing that ``found`` gives; fails with ``what`` after so many seconds."""
    deadline = time.monotonic() + within
    while not (seen := await found()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        await asyncio.sleep(0.02)
    return seen


def a_checkout(*, token: str = "tok_ok", points: int = 7700, **changed: Any) -> Checkout:
    """Two shirts and a mug to two places, 57 700 KRW, by points and card."""
    checkout = Checkout(
        customer=Customer("c-1"),
        currency="KRW",
        sections=(
            AskedSection(HOME, "standard", 3000, (AskedItem("TEE-BLK-M", 2),)),
            AskedSection(HOME, "express", 5000, (AskedItem("MUG-01", 1),)),
        ),
        expected_total=57700,
        payments=(AskedPayment("points", points), AskedPayment("card", 57700 - points, token)),
        discounts=(AskedDiscount("WELCOME", 5000),),
    )
    return replace(checkout, **changed)


class Ground:
    """What all systems of a test session stand on: one database, one sandbox PG."""

    def __init__(self, folder: Path) -> None:
        for open_to_all in (folder, folder.parent):
            open_to_all.chmod(0o755)
        self.folder = folder
        self.postgres = EmbeddedPostgres(folder, port=free_ports(1)[0])
        self.sandbox = SandboxServer(folder / "sandbox", "--pending-ms", "150", "--slow-ms", "400")

    async def start(self) -> None:
        """Ready, migrated, seeded."""
        await self.postgres.start()
        await self.postgres.wait_ready()
        await self.postgres.create_database("opms")
        await migrate(self.url)
        await seed(self.url, api_key="shop", admin_key="admin")

    @property
    def url(self) -> str:
        """The database."""
        return self.postgres.url("opms")

    async def stop(self) -> None:
        """Everything ends."""
        self.sandbox.close()
        await self.postgres.stop()
        self.postgres.discard()


class Shop:
    """One Temporal with our workers on it, and what a client and staff do."""

    def __init__(self, ground: Ground, resources: Resources, gateways: Mapping[str, Gateway]) -> None:
        self.ground = ground
        self.sandbox = ground.sandbox
        self.resources = resources
        self.gateways = gateways
        self.client = resources.client

    async def checkout(
        self, checkout: Checkout, *, number: str | None = None, place_id: UUID | None = None, wait: float = PATIENCE
    ) -> Placed:
        """Place an order as the API does."""

        async def draw() -> str:
            return draw_number("Asia/Seoul")

        return await place_order(
            self.client,
            self.resources.database,
            STORE,
            number or await draw(),
            PlaceOrder(place_id or uuid4(), "customer", checkout),
            wait=timedelta(seconds=wait),
            draw=draw,
        )

    async def placed(self, **how: Any) -> str:
        """The number of an order that is paid and whose goods are in the warehouse's hands."""
        placed = await self.checkout(a_checkout(**how))
        assert placed.answer is not None
        assert placed.answer.status == "placed", placed.answer
        await self.becomes(
            placed.number, "it is prepared", lambda o: {i.state for i in o.items} == {ItemState.PREPARING}
        )
        return placed.number

    async def order(self, number: str) -> Order:
        """As it stands."""
        async with self.resources.database.reading() as connection:
            return (await view_order(connection, STORE, number)).order

    async def command(self, command_id: UUID) -> dict[str, Any]:
        """A command's row, whether or not its order exists."""
        async with self.resources.database.reading() as connection:
            rows = await connection.execute(text("SELECT * FROM command WHERE id = :id"), {"id": command_id})
            return dict(rows.mappings().one())

    async def commands(self, number: str) -> tuple[CommandView, ...]:
        """All commands of an order."""
        async with self.resources.database.reading() as connection:
            return (await view_order(connection, STORE, number)).commands

    async def submit(self, number: str, body: Body, *, command_id: UUID | None = None) -> UUID:
        """Give a command and go on."""
        command = Command(command_id or uuid4(), STORE, number, "staff", body)
        await submit(self.client, self.resources.database, command)
        return command.id

    async def decided(self, command_id: UUID, *, within: float = PATIENCE) -> dict[str, Any]:
        """A command's row once it has its end."""

        async def ended() -> dict[str, Any] | None:
            row = await self.command(command_id)
            return row if row["status"] != "accepted" else None

        return await until(f"command {command_id} has its end", ended, within=within)

    async def do(self, number: str, body: Body) -> dict[str, Any]:
        """Give a command and wait for its end."""
        return await self.decided(await self.submit(number, body))

    async def applied(self, number: str, body: Body) -> Order:
        """Give a command that must be applied; the order after it."""
        row = await self.do(number, body)
        assert row["status"] == "applied", row
        return await self.order(number)

    async def becomes(self, number: str, what: str, true: Callable[[Order], bool]) -> Order:
        """The order once something is true of it; it may not be stored yet."""

        async def seen() -> Order | None:
            try:
                order = await self.order(number)
            except UnknownOrder:
                return None
            return order if true(order) else None

        return await until(what, seen)

    def workflow(self, number: str, section: int | None = None) -> WorkflowHandle[Any, Any]:
        """The order's workflow or a section's, whichever run is the last."""
        name = order_workflow_id(STORE, number) if section is None else section_workflow_id(STORE, number, section)
        return self.client.get_workflow_handle(name)

    async def closes(self, number: str, section: int | None = None) -> None:
        """The workflow's last run comes to its end."""

        async def closed() -> bool:
            return (await self.workflow(number, section).describe()).close_time is not None

        await until(f"the workflow of {number} closes", closed)

    async def runs_out(self, number: str) -> datetime:
        """The customer has one second left to pay, the last part if there are several; until when that is."""
        order = "UPDATE orders SET expires_at = now() + interval '1 second' WHERE number = :number RETURNING expires_at"
        request = """
            UPDATE payment_request r
               SET due_at = o.expires_at, schedule = jsonb_set(schedule, '{-1,due_at}', to_jsonb(o.expires_at))
              FROM orders o WHERE o.id = r.order_id AND o.number = :number RETURNING r.due_at
        """
        [(ends,)] = await self.sql(order, number=number)
        assert await self.sql(request, number=number) == [(ends,)]
        await self.workflow(number).signal("look_again")
        assert isinstance(ends, datetime)
        return ends

    async def sql(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Look into the database, or change the scenery."""
        async with self.resources.database.statement() as connection:
            result = await connection.execute(text(statement), parameters)
            return [tuple(row) for row in result] if result.returns_rows else []


@asynccontextmanager
async def open_shop(
    ground: Ground, name: str, *, temporal: Mapping[str, str] | None = None, **workers: Any
) -> AsyncIterator[Shop]:
    """A Temporal of its own with all our workers; ``temporal`` is dynamic configuration, ``workers`` worker options."""
    server = EmbeddedTemporal(ground.folder / name, port=free_ports(1)[0], time_skipping=True, overrides=temporal)
    async with AsyncExitStack() as stack:
        await server.start()
        stack.push_async_callback(server.stop)
        await server.wait_ready()
        accounts = {a: {"vendor": "sandbox", "url": ground.sandbox.url, "key": "secret"} for a in ACCOUNTS}
        settings = Settings(database_url=ground.url, temporal_address=server.address, gateways=accounts)  # type: ignore[arg-type]
        resources = await open_resources(settings, role=name)
        stack.push_async_callback(resources.close)
        gateways = open_gateways(settings, resources.database)
        for gateway in gateways.values():
            stack.push_async_callback(gateway.close)
        running: list[Worker] = build_workers(("orders", "payments", "updates"), resources, gateways, **workers)
        for worker in running:
            await stack.enter_async_context(worker)
        yield Shop(ground, resources, gateways)
