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
from temporalio.common import WorkflowIDReusePolicy
from temporalio.service import RPCError

from contracts.command import Command
from contracts.owner import Owner
from contracts.queues import ORDERS
from models.database import Database

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
    """Signal the workflow that decides the command. Raises `RPCError`."""
    await wake(client, Owner.deciding(command), "submit", command, why=command.body.kind)


async def wake(client: Client, owner: Owner, signal: str, *arguments: object, why: str) -> None:
    """Signal the owner of an order or a section; one that has closed starts again, and says why. Raises `RPCError`."""
    await client.start_workflow(
        owner.workflow,
        owner.again(),
        id=owner.workflow_id,
        task_queue=ORDERS,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal=signal,
        start_signal_args=arguments,
        rpc_timeout=SEND_TIMEOUT,
        priority=owner.priority,
        search_attributes=owner.search_attributes,
        static_summary=owner.summary,
        static_details=f"Reopened by {why}.",
    )
