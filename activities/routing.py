"""The router: which PG account takes a payment, decided inside the transaction of an order but apart from it.

What a decision needs (rule, accounts, circuits) is read once per transaction, without a lock. A choice by ratio is one
statement on a connection of its own (`activities.selector`); so is the claim to be a probe. Both are committed before
the order is: when the order is rolled back, `give_back` undoes them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.health import claim_probe, release_probe
from activities.selector import Selection, give_back, select
from domain.errors import NoGatewayEligible
from domain.gateway import Capabilities
from domain.health import CircuitState
from domain.moment import Routed
from domain.offer import Needs, wanted_of
from domain.payment import Payment
from domain.routing import (
    AccountState,
    Decision,
    Wanted,
    contenders,
    counts,
    decision_of,
    pick,
    weigh,
)
from models.database import Database
from queries.routing import InForce, load_in_force

log = structlog.get_logger()


class RoutingNeeded(Exception):
    """A rule asked for a route that is not decided yet: decide it, and apply the rule again."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class _Answer:
    wanted: Wanted
    found: Routed | NoGatewayEligible


class Router:
    """Chooses accounts for one order in one transaction. Callable as `domain.moment.Route`.

    The rules are pure and know no waiting: they are applied again after each decision (`rewind`), and what was
    decided is handed out again in its order, because a rule that is applied again draws fresh ids.
    """

    def __init__(self, database: Database, store: str, needs: Needs, capabilities: Mapping[str, Capabilities]) -> None:
        self._database = database
        self._store = store
        self._needs = needs
        self._capabilities = capabilities
        self._facts: InForce | None = None
        self._loaded = False
        self._answers: list[_Answer] = []
        self._next = 0
        self._selections: list[Selection] = []
        self._probes: list[tuple[str, str, datetime]] = []

    def __call__(self, payment: Payment, excluded: frozenset[str], *, hold: bool) -> Routed:
        """Raises `RoutingNeeded` for what is not decided, `NoGatewayEligible` when no account can take the payment."""
        wanted = wanted_of(payment, excluded, self._needs, hold=hold)
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
        return known is not None and known.captures_once

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
            self._facts = await load_in_force(connection, self._store, self._capabilities, now)
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
        can = self._capabilities[decision.account]
        return Routed(
            decision.account,
            decision.rule_version,
            explained | _figures(selection),
            can.refund_days.get(wanted.method),
            hold_first=len(decision.candidates) > 1 and can.manual_capture and not can.neutralize_undoes_capture,
            reports_tax=can.reports_tax,
        )

    async def _choose(self, facts: InForce, wanted: Wanted) -> tuple[Decision, Selection | None]:
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


def _probed(state: AccountState, account: str) -> AccountState:
    """The account while another payment is its probe."""
    if state.account != account:
        return state
    return replace(state, conditions=tuple(replace(each, may_probe=False) for each in state.conditions))


def _figures(selection: Selection | None) -> dict[str, int]:
    """The place among the rule's choices, and the usual payment (minor units by amount, else 1) that clips."""
    return {"rule_sequence": selection.sequence, "usual": selection.usual} if selection else {}
