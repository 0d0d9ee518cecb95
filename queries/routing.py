"""A store's routing rules and PG accounts, what the routing did, and what another rule would have done."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NoGatewayEligible, Rejected
from domain.gateway import MethodLimit
from domain.health import Circuit
from domain.routing import AccountState, Constraint, Rule, Wanted, choose, clip_of

NO_LIMIT = 10**15
"""Minor units: the upper end of the limits that a preview assumes."""
ANY_MONTHS = 120
"""Instalments that a preview takes every account to offer."""


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


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would have done with recent payments. ``moved``: how many would have gone to another account."""

    payments: int
    tallies: tuple[Tally, ...]
    moved: int
    refused: dict[str, int]
    """Payments that no account of the rule could have taken, by method and currency."""


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
    SELECT a.account, p.method, o.currency, p.amount, p.instalments, a.created_at, a.id
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
    f"SELECT account, method, currency, amount, instalments FROM ({_RECENT}) AS recent ORDER BY created_at, id"
)
_CIRCUITS = text(
    """
    SELECT h.account, h.method, h."window", h.opened_at, h.probe_at, h.successes
      FROM gateway_health h JOIN gateway_account g ON g.id = h.account
     WHERE g.store_id = :store ORDER BY h.account, h.method
    """
)
_CONSTRAINTS = TypeAdapter(tuple[Constraint, ...])
CIRCUITS = TypeAdapter(tuple[Circuit, ...])


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
    return CIRCUITS.validate_python([dict(row) for row in rows])


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


def replay(rule: Rule, accounts: Sequence[AccountView], payments: Sequence[RoutedPayment]) -> Preview:
    """``payments`` in their order under ``rule``, from deficits of zero, with the accounts as they stand now.

    What a PG's contract allows is not known here: every account is taken to offer each method and currency that
    occurs in ``payments``, in any amount and with manual capture. The rule's own constraints do count.
    """
    states = _permissive(accounts, payments)
    mean = sum(payment.amount for payment in payments) // len(payments) if payments else 1
    clip = clip_of(rule, mean_amount=max(mean, 1))
    deficits: dict[str, int] = {}
    taken: dict[str, list[int]] = defaultdict(list)
    refused: Counter[str] = Counter()
    moved = 0
    for payment in payments:
        try:
            wanted = Wanted(payment.method, payment.currency, payment.amount, instalments=payment.instalments)
            decision, deficits = choose(rule, states, deficits, wanted, clip=clip)
        except NoGatewayEligible:
            refused[f"{payment.method} {payment.currency}"] += 1
            continue
        taken[decision.account].append(payment.amount)
        moved += decision.account != payment.account
    tallies = tuple(Tally(account, len(amounts), sum(amounts)) for account, amounts in taken.items())
    return Preview(len(payments), tallies, moved, dict(refused))


def _permissive(accounts: Sequence[AccountView], payments: Iterable[RoutedPayment]) -> list[AccountState]:
    offered = sorted({(payment.method, payment.currency) for payment in payments})
    limits = tuple(
        MethodLimit(method, currency, 0, NO_LIMIT, max_instalments=ANY_MONTHS) for method, currency in offered
    )
    return [
        AccountState(
            account=account.id,
            enabled=account.enabled,
            paused=account.paused_at is not None,
            limits=limits,
            manual_capture=True,
        )
        for account in accounts
    ]


def _rule_view(row: Any) -> RuleView:
    version, strategy, by, fallback, constraints, active_from, created_at, created_by, weights = row
    shares = tuple((account, weight) for account, weight in weights)
    rule = Rule(version, strategy, by, shares, tuple(fallback), _CONSTRAINTS.validate_python(constraints))
    return RuleView(rule, active_from, created_at, created_by)
