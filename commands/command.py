"""Commands on a placed order: the row first, then a signal that starts the workflow if it has closed.

If the process dies between the two, the upkeep workflow sends the signal again: the row is the promise, the id makes
the effect happen once.
"""

import json
from datetime import UTC, datetime, timedelta

import structlog
from pydantic import TypeAdapter
from sqlalchemy import text
from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError

from contracts.command import SECTION_COMMANDS, Command
from contracts.order import OrderInput
from contracts.queues import OPMS_NUMBER, OPMS_STORE, ORDER_PRIORITY, ORDERS, SECTION_PRIORITY
from contracts.section import SectionInput
from domain.number import order_workflow_id, section_workflow_id
from models.database import Database
from workflows.order import OrderWorkflow
from workflows.section import SectionWorkflow

log = structlog.get_logger()

COMMAND = TypeAdapter(Command)

SEND_TIMEOUT = timedelta(seconds=5)

_INSERT = text(
    """
    INSERT INTO command (id, store_id, number, kind, status, actor, request_id, body, result, accepted_at)
    VALUES (:id, :store, :number, :kind, 'accepted', :actor, :request_id, CAST(:body AS jsonb), '{}', :now)
    ON CONFLICT (id) DO NOTHING
    """
)


async def submit(client: Client, database: Database, command: Command) -> None:
    """Accept a command durably. The same command twice is one effect.

    With Temporal out of reach the row alone is the promise: the upkeep workflow sends the signal once it is back.
    """
    async with database.statement() as connection:
        await connection.execute(
            _INSERT,
            {
                "id": command.id,
                "store": command.store,
                "number": command.number,
                "kind": command.body.kind,
                "actor": command.actor,
                "request_id": command.request_id,
                "body": json.dumps(COMMAND.dump_python(command, mode="json")["body"]),
                "now": datetime.now(UTC),
            },
        )
    try:
        await send(client, command)
    except (RPCError, RuntimeError) as away:  # RuntimeError: a client that has never reached Temporal says so.
        log.warning("command.not_sent_yet", command=str(command.id), order=command.number, reason=str(away))


async def send(client: Client, command: Command) -> None:
    """Signal the workflow that decides the command: the section's for goods, the order's for all else."""
    if isinstance(command.body, SECTION_COMMANDS):
        await _send_to_section(client, command, command.body.section)
    else:
        await _send_to_order(client, command)


async def _send_to_order(client: Client, command: Command) -> None:
    await client.start_workflow(
        OrderWorkflow.run,
        OrderInput(command.store, command.number),
        id=order_workflow_id(command.store, command.number),
        task_queue=ORDERS,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal="submit",
        start_signal_args=[command],
        rpc_timeout=SEND_TIMEOUT,
        priority=Priority(priority_key=ORDER_PRIORITY, fairness_key=command.store),
        search_attributes=_searchable(command),
        static_summary=f"Order {command.number}",
        static_details=f"Reopened by {command.body.kind}.",
    )


async def _send_to_section(client: Client, command: Command, section: int) -> None:
    await client.start_workflow(
        SectionWorkflow.run,
        SectionInput(command.store, command.number, section, report=True),
        id=section_workflow_id(command.store, command.number, section),
        task_queue=ORDERS,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal="submit",
        start_signal_args=[command],
        rpc_timeout=SEND_TIMEOUT,
        priority=Priority(priority_key=SECTION_PRIORITY, fairness_key=command.store),
        search_attributes=_searchable(command),
        static_summary=f"Section {section} of order {command.number}",
    )


def _searchable(command: Command) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [SearchAttributePair(OPMS_STORE, command.store), SearchAttributePair(OPMS_NUMBER, command.number)]
    )
