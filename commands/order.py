"""Placing an order: start its workflow with the checkout, and wait for the outcome as long as the client wants."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError

from contracts.order import CheckoutAnswer, OrderInput, PlaceOrder
from contracts.owner import Owner
from contracts.queues import ORDERS
from domain.errors import NumberTaken, UnknownOrder
from domain.number import DICE_SIDES, make_number, order_workflow_id
from models.database import Database
from queries.order import load_order
from workflows.order import OrderWorkflow

log = structlog.get_logger()

MOST_DRAWS = 20
"""Numbers that are tried for one checkout; of a thousand million a day, a second is rarely needed."""
Dice = Callable[[], int]
"""A throw: 0 <= n < `DICE_SIDES`."""


def throw() -> int:
    """A throw that nobody can guess."""
    return secrets.randbelow(DICE_SIDES)


def draw_number(timezone: str, *, dice: Dice = throw) -> str:
    """A number of the store's local day. Uniqueness is not decided here but by Temporal and the database."""
    return make_number(datetime.now(ZoneInfo(timezone)).date(), dice())


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a checkout: its number, and the outcome, or None if it is not there yet (it goes on by itself)."""

    number: str
    answer: CheckoutAnswer | None


async def place_order(  # noqa: PLR0913 - each part of the placement, named
    client: Client,
    database: Database,
    store: str,
    number: str,
    place: PlaceOrder,
    *,
    wait: timedelta,
    draw: Callable[[], Awaitable[str]],
) -> Placed:
    """Start the order once, whoever calls and however often, and wait up to ``wait`` for its outcome.

    ``number`` is used first; a number that is taken is drawn again by ``draw`` (which must make it durable before it
    returns), silently. Temporal out of reach raises its `RPCError`: nothing is lost, the same call may be repeated.
    """
    answer: CheckoutAnswer | None = _taken()
    for _ in range(MOST_DRAWS):
        answer = await _start(client, database, store, number, place, wait=wait)
        if answer is None or answer.refused is None or answer.refused.code != NumberTaken.code:
            return Placed(number, answer)
        number = await draw()
    return Placed(number, answer)


async def _start(
    client: Client, database: Database, store: str, number: str, place: PlaceOrder, *, wait: timedelta
) -> CheckoutAnswer | None:
    owner = Owner(store, number)
    operation = WithStartWorkflowOperation(
        OrderWorkflow.run,
        OrderInput(store, number, place),
        id=owner.workflow_id,
        task_queue=ORDERS,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        priority=owner.priority,
        search_attributes=owner.search_attributes,
        static_summary=owner.summary,
        static_details=f"Placed by {place.actor} at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC.",
    )
    limit = asyncio.timeout(wait.total_seconds())
    try:
        # No rpc_timeout: it bounds each call, and Temporal may answer a call without the outcome, upon which the SDK
        # asks again for as long as it takes.
        async with limit:
            answer: CheckoutAnswer = await client.execute_update_with_start_workflow(
                "checkout",
                str(place.id),
                start_workflow_operation=operation,
                id=str(place.id),
                result_type=CheckoutAnswer,
            )
    except (WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as ended:
        if isinstance(ended, TimeoutError) and not limit.expired():
            raise
        await _forget(operation)
        return None
    except WorkflowUpdateFailedError as failed:
        if _is_anothers(failed):
            return await _closed_outcome(client, database, store, number, place)
        return None
    except WorkflowAlreadyStartedError:
        return await _closed_outcome(client, database, store, number, place)
    return answer


async def _forget(operation: WithStartWorkflowOperation[OrderWorkflow, CheckoutAnswer]) -> None:
    """Take the start's own result, else asyncio reports an error that nobody has looked at. The order goes on.

    The SDK says the same of a wait that has ended and of a caller who was cancelled: only the caller is told again.
    """
    try:
        await operation.workflow_handle()
    except (RPCError, asyncio.CancelledError) as late:
        log.info("checkout.waited_long_enough", reason=type(late).__name__)
    caller = asyncio.current_task()
    if caller is not None and caller.cancelling():
        raise asyncio.CancelledError


def _is_anothers(failed: WorkflowUpdateFailedError) -> bool:
    """The workflow did not begin with this checkout. A later run of our own order did not either: the rows decide."""
    return isinstance(failed.cause, ApplicationError) and failed.cause.type == "number_taken"


async def _closed_outcome(
    client: Client, database: Database, store: str, number: str, place: PlaceOrder
) -> CheckoutAnswer:
    """The number's workflow has ended, or runs for later commands: ours, with its outcome, or another checkout's."""
    async with database.reading() as connection:
        try:
            order = await load_order(connection, store, number)
        except UnknownOrder:
            return await _refused_outcome(client, store, number, place)
    return CheckoutAnswer(order.status.value, order.version) if order.checkout_id == place.id else _taken()


async def _refused_outcome(client: Client, store: str, number: str, place: PlaceOrder) -> CheckoutAnswer:
    """No order was written: the checkout that drew this number was refused. Its history says whose it was."""
    handle = client.get_workflow_handle(order_workflow_id(store, number), result_type=CheckoutAnswer)
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        [start] = await client.data_converter.decode(payloads, [OrderInput])
        if start.place is None or start.place.id != place.id:
            return _taken()
        break
    answer: CheckoutAnswer = await handle.result()
    return answer


def _taken() -> CheckoutAnswer:
    return CheckoutAnswer("refused", 0, NumberTaken("the number belongs to another checkout").problem)
