"""The router: a store's active rule and its running deficits, read and written inside the caller's transaction.

The rows are locked only once a decision is needed, as late as the caller can: the deficits are the hottest rows of a
store. An exact ratio needs them in order; that is why they are not spread over workers.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NoGatewayEligible
from domain.gateway import Capabilities
from domain.payment import Payment
from domain.routing import AccountState, Constraint, Measure, Rule, choose, clip_of
from domain.taking import Routed


class RoutingNeeded(Exception):
    """A rule asked for a route before the router was loaded: load it, and apply the rule again."""


_RULE = text(
    """
    SELECT r.id, r.version, r.strategy, r.by, r.fallback, r.constraints, w.account, w.weight, s.deficit, s.decisions
      FROM routing_rule r
      JOIN routing_weight w ON w.rule_id = r.id
      JOIN routing_state s ON s.rule_id = r.id AND s.account = w.account
     WHERE r.store_id = :store AND r.version = (SELECT max(version) FROM routing_rule
            WHERE store_id = :store AND active_from <= :now)
     ORDER BY w.position FOR UPDATE OF s
    """
)
_ACCOUNTS = text("SELECT id, enabled, paused_at IS NOT NULL FROM gateway_account WHERE store_id = :store")
_SAVE = text(
    """
    UPDATE routing_state s SET deficit = n.deficit, decisions = n.decisions
      FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS n(account text, deficit bigint, decisions bigint)
     WHERE s.rule_id = :rule AND s.account = n.account AND (s.deficit, s.decisions) <> (n.deficit, n.decisions)
    """
)
_MEAN = text(
    """
    SELECT coalesce(round(avg(amount)), 0)::bigint FROM (
        SELECT p.amount FROM attempt a JOIN payment p ON p.id = a.payment_id
         WHERE a.account = ANY(:accounts) ORDER BY a.created_at DESC LIMIT 200) recent
    """
)
_CONSTRAINTS = TypeAdapter(tuple[Constraint, ...])


@dataclass
class _Loaded:
    rule_id: Any
    rule: Rule
    accounts: list[AccountState]
    deficits: dict[str, int]
    decisions: dict[str, int]
    mean_amount: int


class Router:
    """Chooses accounts for one order. Callable as `domain.taking.Route`."""

    def __init__(
        self, store: str, currency: str, *, manual_capture: bool, capabilities: Mapping[str, Capabilities]
    ) -> None:
        self._store = store
        self._currency = currency
        self._manual = manual_capture
        self._capabilities = capabilities
        self._loaded: _Loaded | None = None
        self._none = False

    async def load(self, connection: AsyncConnection, now: datetime) -> None:
        """Lock the deficits of the active rule. A store without a rule can take no card."""
        rows = (await connection.execute(_RULE, {"store": self._store, "now": now})).all()
        if not rows:
            self._none = True
            return
        first = rows[0]
        rule = Rule(
            version=first.version,
            strategy=first.strategy,
            by=first.by,
            weights=tuple((r.account, r.weight) for r in rows),
            fallback=tuple(first.fallback),
            constraints=_CONSTRAINTS.validate_python(first.constraints),
        )
        known = (await connection.execute(_ACCOUNTS, {"store": self._store})).all()
        accounts = [
            AccountState(
                account=account,
                enabled=enabled,
                paused=paused,
                limits=self._capabilities[account].limits,
                manual_capture=self._capabilities[account].manual_capture,
            )
            for account, enabled, paused in known
            if account in self._capabilities
        ]
        mean = 1
        if rule.by == Measure.AMOUNT:
            mean = (await connection.execute(_MEAN, {"accounts": [a.account for a in accounts]})).scalar_one()
        self._loaded = _Loaded(
            rule_id=first.id,
            rule=rule,
            accounts=accounts,
            deficits={r.account: r.deficit for r in rows},
            decisions={r.account: r.decisions for r in rows},
            mean_amount=mean,
        )

    def __call__(self, payment: Payment, excluded: frozenset[str]) -> Routed:
        """Raises `RoutingNeeded` before `load`, `NoGatewayEligible` when no account can take the payment."""
        if self._none:
            raise NoGatewayEligible("this store has no active routing rule", figures={"candidates": []})
        if self._loaded is None:
            raise RoutingNeeded
        loaded = self._loaded
        decision, loaded.deficits = choose(
            loaded.rule,
            loaded.accounts,
            loaded.deficits,
            method=payment.method,
            currency=self._currency,
            amount=payment.amount,
            excluded=excluded,
            manual_capture=self._manual,
            clip=clip_of(loaded.rule, mean_amount=loaded.mean_amount or payment.amount),
        )
        sequence = sum(loaded.decisions.values()) + 1
        loaded.decisions[decision.account] = loaded.decisions.get(decision.account, 0) + 1
        explained = asdict(decision) | {"rule_sequence": sequence}
        return Routed(decision.account, loaded.rule.version, explained)

    async def save(self, connection: AsyncConnection) -> None:
        """Write the deficits in the transaction that stores the decision."""
        if self._loaded is None:
            return
        loaded = self._loaded
        rows = [
            {"account": a, "deficit": loaded.deficits.get(a, 0), "decisions": n} for a, n in loaded.decisions.items()
        ]
        await connection.execute(_SAVE, {"rows": json.dumps(rows), "rule": loaded.rule_id})
