"""Changing how payments are routed: a new version of the rule, and pausing a PG account for maintenance."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import text
from temporalio.client import Client
from temporalio.service import RPCError
from uuid_utils.compat import uuid7

from domain.errors import Flaw, Invalid, Rejected
from domain.number import order_workflow_id
from domain.routing import Rule, validate_rule
from models.database import Database
from queries.routing import load_accounts, load_rules

log = structlog.get_logger()


class UnknownGateway(Rejected):
    """No such PG account in this store."""

    code = "gateway_not_found"


# NO KEY UPDATE: one change of a store's rule at a time, while orders, which refer to the store, go on.
_LOCK = text("SELECT id FROM store WHERE id = :store FOR NO KEY UPDATE")
_RULE = text(
    """
    WITH rule AS (
        INSERT INTO routing_rule
               (id, store_id, version, strategy, by, fallback, constraints, active_from, created_at, created_by)
        VALUES (:id, :store, :version, :strategy, :by, CAST(:fallback AS jsonb), CAST(:constraints AS jsonb),
                :active_from, :now, :actor)
        RETURNING id),
    weights AS (
        INSERT INTO routing_weight (rule_id, account, position, weight)
        SELECT rule.id, w.account, w.position, w.weight
          FROM rule, jsonb_to_recordset(CAST(:weights AS jsonb)) AS w(account text, position int, weight int)
        RETURNING rule_id)
    INSERT INTO routing_state (rule_id, deficits, decisions, volume)
    SELECT rule.id, array_fill(CAST(0 AS bigint), ARRAY[jsonb_array_length(CAST(:weights AS jsonb))]), 0, 0 FROM rule
    """
)
_PAUSE = text(
    """
    UPDATE gateway_account SET paused_at = CASE WHEN :paused THEN coalesce(paused_at, :now) END
     WHERE store_id = :store AND id = :account RETURNING id
    """
)


_WAITING = text(
    """
    SELECT DISTINCT r.store_id, r.number
      FROM operation o JOIN attempt a ON a.id = o.attempt_id JOIN orders r ON r.id = o.order_id
     WHERE o.outcome IN ('initiated', 'unknown') AND o.kind IN ('capture', 'void', 'refund') AND a.account = :account
     LIMIT :most
    """
)
WAKE_AT_MOST = 1000
WAKE_AT_ONCE = 16
WAKE_TIMEOUT = timedelta(seconds=5)


async def put_rule(
    database: Database,
    store: str,
    rule: Rule,
    *,
    actor: str,
    active_from: datetime | None = None,
    check: Callable[[int], None],
) -> int:
    """Store ``rule`` as the store's next version and return its number; ``rule.version`` is not looked at.

    It is in force from ``active_from`` (None: now) until a later version is. ``check`` is called with the latest
    version, under the lock, and may refuse. Raises `Invalid` with a flaw for each thing that does not hold together.
    """
    now = datetime.now(UTC)
    if active_from is not None and active_from < now:
        flaw = Flaw(
            "/active_from", "in_the_past", "must be in the future; leave it out for a rule that is in force at once"
        )
        raise Invalid("a rule cannot be in force before it was made", flaws=[flaw])
    async with database.transaction() as connection:
        await connection.execute(_LOCK, {"store": store})
        latest = (await load_rules(connection, store, now)).latest
        check(latest)
        validate_rule(rule, {account.id for account in await load_accounts(connection, store)})
        version = replace(rule, version=latest + 1)
        await connection.execute(
            _RULE,
            {
                "id": uuid7(),
                "store": store,
                "version": version.version,
                "strategy": version.strategy,
                "by": version.by,
                "fallback": json.dumps(version.fallback),
                "constraints": json.dumps([asdict(constraint) for constraint in version.constraints]),
                "weights": json.dumps(_weights(version)),
                "active_from": active_from or now,
                "now": now,
                "actor": actor,
            },
        )
    return version.version


async def pause_gateway(database: Database, store: str, account: str, *, paused: bool) -> None:
    """Pause or resume a PG account; doing it twice changes nothing. Raises `UnknownGateway`.

    New payments go elsewhere at once. Captures, voids and refunds there wait; see `wake_orders` for when they run.
    """
    parameters = {"store": store, "account": account, "paused": paused, "now": datetime.now(UTC)}
    async with database.statement() as connection:
        row = (await connection.execute(_PAUSE, parameters)).first()
    if row is None:
        raise UnknownGateway(f"no PG account {account} in this store")


async def wake_orders(client: Client, database: Database, account: str) -> int:
    """Tell the orders whose money waits for ``account`` that it may go on; how many were told.

    A hint: an order that does not hear it, as any beyond the first thousand, looks by itself within
    `LOOK_WHILE_PAUSED` seconds.
    """
    async with database.reading() as connection:
        rows = (await connection.execute(_WAITING, {"account": account, "most": WAKE_AT_MOST})).all()
    gate = asyncio.Semaphore(WAKE_AT_ONCE)

    async def wake(store: str, number: str) -> bool:
        async with gate:
            handle = client.get_workflow_handle(order_workflow_id(store, number))
            try:
                await handle.signal("look_again", rpc_timeout=WAKE_TIMEOUT)
            except RPCError as away:
                log.warning("gateway.order_not_woken", order=number, account=account, reason=away.message)
                return False
        return True

    return sum(await asyncio.gather(*(wake(store, number) for store, number in rows)))


def _weights(rule: Rule) -> list[dict[str, str | int]]:
    """The shares with their places; none for a priority by fallback alone."""
    return [{"account": a, "position": place, "weight": weight} for place, (a, weight) in enumerate(rule.weights)]
