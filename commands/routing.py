"""Changing how payments are routed: a new version of the rule, and pausing a PG account for maintenance."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime

from sqlalchemy import text
from uuid_utils.compat import uuid7

from domain.errors import Rejected
from domain.routing import Rule, validate_rule
from models.database import Database
from queries.routing import load_accounts, load_rules


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
        RETURNING rule_id, account)
    INSERT INTO routing_state (rule_id, account, deficit, decisions) SELECT rule_id, account, 0, 0 FROM weights
    """
)
_PAUSE = text(
    """
    UPDATE gateway_account SET paused_at = CASE WHEN :paused THEN coalesce(paused_at, :now) END
     WHERE store_id = :store AND id = :account RETURNING id
    """
)


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
    """Pause or resume a PG account; doing it twice changes nothing. Raises `UnknownGateway`."""
    parameters = {"store": store, "account": account, "paused": paused, "now": datetime.now(UTC)}
    async with database.statement() as connection:
        row = (await connection.execute(_PAUSE, parameters)).first()
    if row is None:
        raise UnknownGateway(f"no PG account {account} in this store")


def _weights(rule: Rule) -> list[dict[str, str | int]]:
    """The shares with their places. A priority by fallback alone gets shares of zero: the router reads them as rows."""
    shares = rule.weights or tuple((account, 0) for account in rule.fallback)
    return [{"account": a, "position": place, "weight": weight} for place, (a, weight) in enumerate(shares)]
