"""A store's routing rules and PG accounts, what the routing did, and what another rule would have done."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NoGatewayEligible, Rejected
from domain.gateway import Capabilities
from domain.health import Circuit, condition_of
from domain.offer import flows_for
from domain.routing import AccountState, Constraint, Rule, Wanted, choose, clip_of


class UnknownRouting(Rejected):
    """The store has no such routing rule, or none that is active."""

    code = "routing_not_found"


@dataclass(frozen=True, slots=True)
class RuleView:
    """One version of a store's rule. ``rule.weights`` keep their order."""

    rule: Rule
    active_from: datetime
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The rule in force, and later versions that wait for their time. ``latest`` is the highest version, 0 if none."""

    active: RuleView | None
    scheduled: tuple[RuleView, ...]
    latest: int


@dataclass(frozen=True, slots=True)
class AccountView:
    """A PG account of a store."""

    id: str
    vendor: str
    enabled: bool
    paused_at: datetime | None


@dataclass(frozen=True, slots=True)
class Tally:
    """What one account got. ``amount`` in minor units of the store's currency."""

    account: str
    count: int
    amount: int


@dataclass(frozen=True, slots=True)
class RoutedPayment:
    """One payment as it was routed. ``account`` took it in fact."""

    account: str
    method: str
    currency: str
    amount: int
    instalments: int = 0
    token: bool = True
    """One stood for the instrument."""
    page: bool = False
    """There was an address to come back to from the PG's page."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would have done with recent payments. ``moved``: how many would have gone to another account."""

    payments: int
    tallies: tuple[Tally, ...]
    moved: int
    refused: dict[str, int]
    """Payments that no account of the rule could have taken, by method and currency."""


@dataclass(frozen=True, slots=True)
class InForce:
    """A store's rule in force, and the store's PG accounts as they stand: all that a choice rests on."""

    rule_id: UUID
    rule: Rule
    accounts: tuple[AccountState, ...]


_IN_FORCE = text(
    """
    SELECT r.id, r.version, r.strategy, r.by, r.fallback, r.constraints,
           ARRAY(SELECT w.account FROM routing_weight w WHERE w.rule_id = r.id ORDER BY w.position) AS accounts,
           ARRAY(SELECT w.weight FROM routing_weight w WHERE w.rule_id = r.id ORDER BY w.position) AS weights,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('id', g.id, 'vendor', g.vendor, 'enabled', g.enabled,
                                                         'paused_at', g.paused_at)), '[]')
              FROM gateway_account g WHERE g.store_id = r.store_id) AS known,
           (SELECT coalesce(jsonb_agg(to_jsonb(h) - 'changed_at'), '[]')
              FROM gateway_health h JOIN gateway_account g ON g.id = h.account
             WHERE g.store_id = r.store_id AND h.opened_at IS NOT NULL) AS circuits
      FROM routing_rule r
     WHERE r.store_id = :store AND r.version = (SELECT max(version) FROM routing_rule
            WHERE store_id = :store AND active_from <= :now)
    """
)
_RULES = text(
    """
    SELECT r.version, r.strategy, r.by, r.fallback, r.constraints, r.active_from, r.created_at, r.created_by,
           (SELECT coalesce(jsonb_agg(jsonb_build_array(w.account, w.weight) ORDER BY w.position), '[]')
              FROM routing_weight w WHERE w.rule_id = r.id)
      FROM routing_rule r
     WHERE r.store_id = :store
       AND r.version >= coalesce((SELECT max(version) FROM routing_rule
                                   WHERE store_id = :store AND active_from <= :now), 0)
     ORDER BY r.version
    """
)
_ACCOUNTS = text("SELECT id, vendor, enabled, paused_at FROM gateway_account WHERE store_id = :store ORDER BY id")
_RECENT = """
    SELECT a.account, p.method, o.currency, p.amount, p.instalments, p.token IS NOT NULL AS token,
           p.return_url IS NOT NULL AS page, a.created_at, a.id
      FROM gateway_account g
      CROSS JOIN LATERAL (SELECT * FROM attempt t
                           WHERE t.account = g.id AND t.rule_version IS NOT NULL
                             AND (CAST(:version AS int) IS NULL OR t.rule_version = :version)
                           ORDER BY t.created_at DESC LIMIT :limit) a
      JOIN payment p ON p.id = a.payment_id
      JOIN orders o ON o.id = a.order_id
     WHERE g.store_id = :store AND (NOT :first_only OR a.position = (SELECT min(f.position) FROM attempt f
            WHERE f.payment_id = a.payment_id AND f.rule_version IS NOT NULL))
     ORDER BY a.created_at DESC, a.id DESC LIMIT :limit
"""
"""The newest attempts that a rule has routed, of every account of the store by its own index, then together."""
_TALLIES = text(f"SELECT account, count(*), sum(amount)::bigint FROM ({_RECENT}) AS recent GROUP BY account")
_PAYMENTS = text(
    "SELECT account, method, currency, amount, instalments, token, page"
    f" FROM ({_RECENT}) AS recent ORDER BY created_at, id"
)
_CIRCUITS = text(
    """
    SELECT h.account, h.method, h."window", h.opened_at, h.probe_at, h.successes
      FROM gateway_health h JOIN gateway_account g ON g.id = h.account
     WHERE g.store_id = :store ORDER BY h.account, h.method
    """
)
_CONSTRAINTS = TypeAdapter(tuple[Constraint, ...])
_CIRCUIT_ROWS = TypeAdapter(tuple[Circuit, ...])
_ACCOUNT_ROWS = TypeAdapter(tuple[AccountView, ...])


async def load_in_force(
    connection: AsyncConnection, store: str, can: Mapping[str, Capabilities], now: datetime
) -> InForce | None:
    """The rule in force with the store's accounts, in one statement; ``can``: what each account can do, by name.

    None: the store has no rule, so it can take nothing through a PG.
    """
    row = (await connection.execute(_IN_FORCE, {"store": store, "now": now})).one_or_none()
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
    circuits = _CIRCUIT_ROWS.validate_python(row.circuits)
    return InForce(row.id, rule, account_states(_ACCOUNT_ROWS.validate_python(row.known), can, circuits, now))


def account_states(
    accounts: Iterable[AccountView], can: Mapping[str, Capabilities], circuits: Sequence[Circuit], now: datetime
) -> tuple[AccountState, ...]:
    """The accounts as routing judges them; one of which nobody knows what it can do is none."""
    return tuple(
        AccountState(
            account=account.id,
            enabled=account.enabled,
            paused=account.paused_at is not None,
            limits=known.limits,
            flows=known.flows,
            manual_capture=known.manual_capture,
            several_captures=not known.captures_once,
            conditions=tuple(condition_of(each, now) for each in circuits if each.account == account.id),
        )
        for account in accounts
        if (known := can.get(account.id)) is not None
    )


async def load_rules(connection: AsyncConnection, store: str, now: datetime) -> Rules:
    """The rule in force at ``now``, and the later versions."""
    views = [_rule_view(row) for row in await connection.execute(_RULES, {"store": store, "now": now})]
    active = next((view for view in views if view.active_from <= now), None)
    scheduled = tuple(view for view in views if view is not active)
    return Rules(active, scheduled, max((view.rule.version for view in views), default=0))


async def load_accounts(connection: AsyncConnection, store: str) -> tuple[AccountView, ...]:
    """The store's PG accounts, by name."""
    return tuple(AccountView(*row) for row in await connection.execute(_ACCOUNTS, {"store": store}))


async def load_circuits(connection: AsyncConnection, store: str) -> tuple[Circuit, ...]:
    """The circuits of the store's accounts, by account and method; none where nothing has ever failed."""
    rows = (await connection.execute(_CIRCUITS, {"store": store})).mappings().all()
    return _CIRCUIT_ROWS.validate_python([dict(row) for row in rows])


async def count_attempts(
    connection: AsyncConnection, store: str, *, window: int, version: int | None
) -> tuple[Tally, ...]:
    """What each account got of the last ``window`` attempts that a rule (that of ``version``, or any) has routed."""
    parameters = {"store": store, "limit": window, "version": version, "first_only": False}
    return tuple(Tally(*row) for row in await connection.execute(_TALLIES, parameters))


async def recent_payments(connection: AsyncConnection, store: str, *, limit: int) -> tuple[RoutedPayment, ...]:
    """The last ``limit`` payments that a rule has routed, oldest first, each as its first choice was made."""
    parameters = {"store": store, "limit": limit, "version": None, "first_only": True}
    return tuple(RoutedPayment(*row) for row in await connection.execute(_PAYMENTS, parameters))


def replay(rule: Rule, accounts: Sequence[AccountState], payments: Sequence[RoutedPayment]) -> Preview:
    """``payments`` in their order under ``rule``, from deficits of zero, with the accounts as they are given.

    Whether money had to be held first is not asked: every account is taken to be able to.
    """
    mean = sum(payment.amount for payment in payments) // len(payments) if payments else 1
    clip = clip_of(rule, mean_amount=max(mean, 1))
    deficits: dict[str, int] = {}
    taken: dict[str, list[int]] = defaultdict(list)
    refused: Counter[str] = Counter()
    moved = 0
    for payment in payments:
        try:
            decision, deficits = choose(rule, accounts, deficits, _wanted(payment), clip=clip)
        except NoGatewayEligible:
            refused[f"{payment.method} {payment.currency}"] += 1
            continue
        taken[decision.account].append(payment.amount)
        moved += decision.account != payment.account
    tallies = tuple(Tally(account, len(amounts), sum(amounts)) for account, amounts in taken.items())
    return Preview(len(payments), tallies, moved, dict(refused))


def _wanted(payment: RoutedPayment) -> Wanted:
    flows = flows_for(payment.method, token=payment.token, page=payment.page)
    return Wanted(payment.method, payment.currency, payment.amount, flows, instalments=payment.instalments)


def _rule_view(row: Any) -> RuleView:
    version, strategy, by, fallback, constraints, active_from, created_at, created_by, weights = row
    shares = tuple((account, weight) for account, weight in weights)
    rule = Rule(version, strategy, by, shares, tuple(fallback), _CONSTRAINTS.validate_python(constraints))
    return RuleView(rule, active_from, created_at, created_by)
