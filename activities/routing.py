"""The router: which PG account takes a payment, decided inside the transaction of an order but apart from it.

What a decision needs (rule, accounts, circuits) is read once per transaction, without a lock. A choice by ratio is one
statement on a connection of its own (`activities.selector`); so is the claim to be a probe. Both are committed before
the order is: when the order is rolled back, `give_back` undoes them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.health import claim_probe, release_probe
from activities.selector import Selection, give_back, select
from domain.errors import NoGatewayEligible
from domain.gateway import Capabilities
from domain.health import CircuitState, condition_of
from domain.moment import Routed
from domain.payment import Payment
from domain.routing import (
    AccountState,
    Constraint,
    Decision,
    Rule,
    Wanted,
    contenders,
    counts,
    decision_of,
    pick,
    weigh,
)
from models.database import Database
from queries.routing import CIRCUITS

log = structlog.get_logger()


class RoutingNeeded(Exception):
    """A rule asked for a route that is not decided yet: decide it, and apply the rule again."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self.wanted = wanted


_FACTS = text(
    """
    SELECT r.id, r.version, r.strategy, r.by, r.fallback, r.constraints,
           ARRAY(SELECT w.account FROM routing_weight w WHERE w.rule_id = r.id ORDER BY w.position) AS accounts,
           ARRAY(SELECT w.weight FROM routing_weight w WHERE w.rule_id = r.id ORDER BY w.position) AS weights,
           (SELECT coalesce(jsonb_agg(jsonb_build_array(g.id, g.enabled, g.paused_at IS NOT NULL)), '[]')
              FROM gateway_account g WHERE g.store_id = r.store_id) AS known,
           (SELECT coalesce(jsonb_agg(to_jsonb(h) - 'changed_at'), '[]')
              FROM gateway_health h JOIN gateway_account g ON g.id = h.account
             WHERE g.store_id = r.store_id AND h.opened_at IS NOT NULL) AS circuits
      FROM routing_rule r
     WHERE r.store_id = :store AND r.version = (SELECT max(version) FROM routing_rule
            WHERE store_id = :store AND active_from <= :now)
    """
)
_CONSTRAINTS = TypeAdapter(tuple[Constraint, ...])


@dataclass(frozen=True, slots=True)
class _Facts:
    rule_id: UUID
    rule: Rule
    accounts: tuple[AccountState, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    wanted: Wanted
    found: Routed | NoGatewayEligible


@dataclass(frozen=True, slots=True)
class Needs:
    """What an order asks of every account that takes a payment of it."""

    currency: str
    several_captures: bool


class Router:
    """Chooses accounts for one order in one transaction. Callable as `domain.taking.Route`.

    The rules are pure and know no waiting: they are applied again after each decision (`rewind`), and what was
    decided is handed out again in its order, because a rule that is applied again draws fresh ids.
    """

    def __init__(self, database: Database, store: str, needs: Needs, capabilities: Mapping[str, Capabilities]) -> None:
        self._database = database
        self._store = store
        self._needs = needs
        self._capabilities = capabilities
        self._facts: _Facts | None = None
        self._loaded = False
        self._answers: list[_Answer] = []
        self._next = 0
        self._selections: list[Selection] = []
        self._probes: list[tuple[str, str, datetime]] = []

    def __call__(self, payment: Payment, excluded: frozenset[str], *, hold: bool) -> Routed:
        """Raises `RoutingNeeded` for what is not decided, `NoGatewayEligible` when no account can take the payment."""
        wanted = Wanted(
            method=payment.method,
            currency=self._needs.currency,
            amount=payment.amount,
            excluded=excluded,
            manual_capture=hold,
            several_captures=hold and self._needs.several_captures,
            instalments=payment.instalments,
        )
        if self._next == len(self._answers) or self._answers[self._next].wanted != wanted:
            raise RoutingNeeded(wanted)
        answer = self._answers[self._next]
        self._next += 1
        if isinstance(answer.found, NoGatewayEligible):
            raise answer.found
        return answer.found

    def cascades(self, account: str) -> bool:
        """Whether another account may try after a decline there: not where the customer has authenticated with it."""
        known = self._capabilities.get(account)
        return known is None or known.cascades_after_decline

    def captures_once(self, account: str) -> bool:
        """Whether the account lets go of what a capture leaves of its hold."""
        known = self._capabilities.get(account)
        return known is not None and not (known.multiple_captures and known.partial_capture)

    def forget(self) -> None:
        """The next rule begins; what the one before was told is used up."""
        self._answers = []
        self._next = 0

    def rewind(self) -> None:
        """The same rule is applied again from its beginning."""
        self._next = 0

    async def decide(self, connection: AsyncConnection, wanted: Wanted, now: datetime) -> None:
        """Decide what a rule has asked for. ``connection`` is the order's: only read from."""
        if not self._loaded:
            self._facts = await self._load(connection, now)
            self._loaded = True
        found: Routed | NoGatewayEligible
        try:
            found = await self._find(wanted, now)
        except NoGatewayEligible as no:
            found = no
        self._answers = [*self._answers[: self._next], _Answer(wanted, found)]

    async def give_back(self) -> None:
        """The order's transaction is rolled back: its choices did not happen.

        Out of reach of the database they stay; each then counts for one payment that was not made.
        """
        selections, probes, self._selections, self._probes = self._selections, self._probes, [], []
        try:
            for selection in selections:
                await give_back(self._database, selection)
            for account, method, at in probes:
                async with self._database.selecting() as connection:
                    await release_probe(connection, account, method, at)
        except (SQLAlchemyError, OSError) as away:
            log.warning("routing.not_given_back", selections=len(selections), reason=type(away).__name__)

    async def _find(self, wanted: Wanted, now: datetime) -> Routed:
        if self._facts is None:
            raise NoGatewayEligible("this store has no active routing rule", figures={"candidates": []})
        facts = self._facts
        while True:
            decision, selection = await self._choose(facts, wanted)
            probe = decision.reason != "least_bad" and decision.circuit == CircuitState.HALF_OPEN
            if not probe or await self._claim(decision.account, wanted.method, now):
                break
            if selection:  # Another payment is the probe: the account waits, the others share.
                await give_back(self._database, selection)
            facts = replace(facts, accounts=tuple(_probed(each, decision.account) for each in facts.accounts))
        if selection:
            self._selections.append(selection)
        explained: dict[str, Any] = asdict(decision)
        days = self._capabilities[decision.account].refund_days.get(wanted.method)
        return Routed(decision.account, decision.rule_version, explained | _figures(selection), days)

    async def _choose(self, facts: _Facts, wanted: Wanted) -> tuple[Decision, Selection | None]:
        rule = facts.rule
        candidates = weigh(rule, facts.accounts, {}, wanted)
        among, why = contenders(rule, candidates)
        if not counts(rule, among[0]):
            return decision_of(rule, candidates, pick(rule, among), why, wanted), None
        selection = await select(self._database, facts.rule_id, rule, candidates, among, units=wanted.units(rule))
        before = {account: was for (account, _), was in zip(rule.weights, selection.before, strict=True)}
        seen = weigh(rule, facts.accounts, before, wanted)
        chosen = next(each for each in seen if each.account == selection.account)
        return decision_of(rule, seen, chosen, why, wanted), selection

    async def _claim(self, account: str, method: str, now: datetime) -> bool:
        async with self._database.selecting() as connection:
            claimed = await claim_probe(connection, account, method, now)
        if claimed:
            self._probes.append((account, method, now))
        return claimed

    async def _load(self, connection: AsyncConnection, now: datetime) -> _Facts | None:
        """The active rule with the store's accounts. A store without a rule can take no card."""
        row = (await connection.execute(_FACTS, {"store": self._store, "now": now})).one_or_none()
        if row is None:
            return None
        rule = Rule(
            version=row.version,
            strategy=row.strategy,
            by=row.by,
            weights=tuple(zip(row.accounts, row.weights, strict=True)),
            fallback=tuple(row.fallback),
            constraints=_CONSTRAINTS.validate_python(row.constraints),
        )
        circuits = CIRCUITS.validate_python(row.circuits)
        accounts = [
            AccountState(
                account=account,
                enabled=enabled,
                paused=paused,
                limits=can.limits,
                manual_capture=can.manual_capture,
                several_captures=can.multiple_captures and can.partial_capture,
                conditions=tuple(condition_of(each, now) for each in circuits if each.account == account),
            )
            for account, enabled, paused in row.known
            if (can := self._capabilities.get(account)) is not None
        ]
        return _Facts(row.id, rule, tuple(accounts))


def _probed(state: AccountState, account: str) -> AccountState:
    """The account while another payment is its probe."""
    if state.account != account:
        return state
    return replace(state, conditions=tuple(replace(each, may_probe=False) for each in state.conditions))


def _figures(selection: Selection | None) -> dict[str, int]:
    """The place among the rule's choices, and the usual payment (minor units by amount, else 1) that clips."""
    return {"rule_sequence": selection.sequence, "usual": selection.usual} if selection else {}
