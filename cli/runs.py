"""What the database waits for beside the open workflows: nothing may wait without one, none may run for nothing."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.progress import progress_of
from cli.disagreement import Disagreement, Part
from cli.waiting import until
from domain.cascade import cascade
from domain.errors import UnknownOrder
from domain.number import order_workflow_id, section_workflow_id
from domain.order import Order
from models.database import Database
from queries.audit import BUG, every_order
from queries.order import load_order

OPEN = "ExecutionStatus = 'Running' AND WorkflowType IN ('Order', 'Section')"
PATIENCE = 10.0
"""Seconds in which a workflow that is just starting or ending, or its entry in the list, may follow."""
WAITS = "give the order any command, or start its workflow: it reads the database and goes on"
RUNS = "look at it in the Temporal UI; terminate it if it does nothing"


@dataclass(frozen=True, slots=True)
class Expected:
    """What an order needs: workflow ids that must be open."""

    store: str
    number: str
    open: frozenset[str]


async def compare_runs(database: Database, client: Client) -> tuple[Part, Part]:
    """Statuses beside what they follow from, and orders and sections beside open workflows."""
    drifted: list[Disagreement] = []
    expected: dict[str, Expected] = {}
    orders = 0
    async with database.reading() as connection:
        async for order in every_order(connection):
            orders += 1
            if cascade(order) != order:
                drifted.append(Disagreement(order.number, "its stored statuses are not what its items say", BUG))
            needs = expected_of(order)
            expected |= dict.fromkeys(needs.open, needs)
    statuses = Part("statuses follow from items and amounts", orders, tuple(drifted))
    name = "what waits, and the workflows that are open"
    try:
        running = {run.id async for run in client.list_workflows(OPEN)}
        suspects = running ^ expected.keys()
        told = await _settled(database, client, suspects)
    except RPCError as away:
        return statuses, Part(name, unasked=f"Temporal does not answer: {away.status.name}")
    return statuses, Part(name, len(running | expected.keys()), tuple(told))


def expected_of(order: Order) -> Expected:
    """The workflows that must be open for an order as it stands."""
    progress = progress_of(order, {})
    needed = {section_workflow_id(order.store_id, order.number, s.number) for s in progress.sections if not s.closed}
    if not progress.closed:
        needed.add(order_workflow_id(order.store_id, order.number))
    return Expected(order.store_id, order.number, frozenset(needed))


async def _settled(database: Database, client: Client, suspects: Collection[str]) -> list[Disagreement]:
    """What of these workflow ids the database and Temporal do not come to agree about."""
    left = set(suspects)

    async def agreed() -> bool:
        for workflow_id in sorted(left):
            if await _is_needed(database, workflow_id) == await _is_open(client, workflow_id):
                left.discard(workflow_id)
        return not left

    with suppress(TimeoutError):
        await until(agreed, "both sides to agree", within=PATIENCE)
    return [await _told(database, workflow_id) for workflow_id in sorted(left)]


async def _told(database: Database, workflow_id: str) -> Disagreement:
    _, number = _order_of(workflow_id)
    if await _is_needed(database, workflow_id):
        return Disagreement(number, f"it waits, and its workflow {workflow_id} is not open", WAITS)
    return Disagreement(number, f"nothing is left to do, and its workflow {workflow_id} is open", RUNS)


def _order_of(workflow_id: str) -> tuple[str, str]:
    """Store and number in a workflow's id."""
    _, store, number, *_ = f"{workflow_id}...".split(".")
    return store, number


async def _is_needed(database: Database, workflow_id: str) -> bool:
    store, number = _order_of(workflow_id)
    try:
        async with database.reading() as connection:
            return workflow_id in expected_of(await load_order(connection, store, number)).open
    except UnknownOrder:
        return False


async def _is_open(client: Client, workflow_id: str) -> bool:
    try:
        return (await client.get_workflow_handle(workflow_id).describe()).status is WorkflowExecutionStatus.RUNNING
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
