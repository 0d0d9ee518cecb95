"""Routing rules, statistics and previews in JSON."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.schemas.field import Amount, Asked, Code, Currency
from api.schemas.moment import Moment
from domain.health import RETRY_AFTER, Circuit, CircuitState, condition_of
from domain.routing import Constraint, Rule
from queries.routing import AccountView, Preview, Rules, RuleView, Tally

Weight = Annotated[int, Field(strict=True, ge=0, le=10_000)]
MOST_ACCOUNTS = 100


class ConstraintIn(Asked):
    """What the rule lets an account take; nothing named: anything. Amounts in minor units, both ends included."""

    account: Code
    methods: Annotated[list[Literal["card", "transfer", "virtual_account"]], Field(max_length=20)] = Field(
        default_factory=list
    )
    currencies: Annotated[list[Currency], Field(max_length=20)] = Field(default_factory=list)
    min_amount: Amount | None = None
    max_amount: Amount | None = None
    max_instalments: Annotated[int, Field(strict=True, ge=0, le=60)] | None = None

    def to_domain(self) -> Constraint:
        """The constraint as the domain knows it."""
        return Constraint(
            account=self.account,
            methods=tuple(self.methods),
            currencies=tuple(self.currencies),
            min_amount=self.min_amount,
            max_amount=self.max_amount,
            max_instalments=self.max_instalments,
        )


class RuleFields(Asked):
    """A rule: shares by weight (sum 100 or 10000), the largest weight first, or one account; then the fallbacks."""

    strategy: Literal["ratio", "priority", "single"]
    by: Literal["count", "amount"] = "count"
    weights: Annotated[dict[Code, Weight], Field(max_length=MOST_ACCOUNTS)] = Field(default_factory=dict)
    fallback: Annotated[list[Code], Field(max_length=MOST_ACCOUNTS)] = Field(default_factory=list)
    constraints: Annotated[list[ConstraintIn], Field(max_length=MOST_ACCOUNTS)] = Field(default_factory=list)

    def to_domain(self) -> Rule:
        """The rule as the domain knows it; its version is not known yet."""
        constraints = tuple(constraint.to_domain() for constraint in self.constraints)
        return Rule(0, self.strategy, self.by, tuple(self.weights.items()), tuple(self.fallback), constraints)


_EXAMPLE: JsonDict = {
    "strategy": "ratio",
    "by": "count",
    "weights": {"sandbox-a": 70, "sandbox-b": 30},
    "fallback": ["sandbox-a", "sandbox-b"],
    "constraints": [],
}


class RuleIn(RuleFields):
    """The store's next rule; in force from ``active_from``, which must not be over; at once if that is absent."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})
    active_from: Moment | None = None


class PreviewIn(RuleFields):
    """A rule to try on the last ``limit`` payments."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_EXAMPLE, "limit": 1000}]})
    limit: Annotated[int, Field(strict=True, ge=1, le=5000)] = 1000


class ConstraintOut(BaseModel):
    """What the rule lets an account take."""

    account: str
    methods: list[str]
    currencies: list[str]
    min_amount: int | None
    max_amount: int | None
    max_instalments: int | None


class RuleOut(BaseModel):
    """One version of the rule; versions never change."""

    version: int
    strategy: str
    by: str
    weights: dict[str, int]
    fallback: list[str]
    constraints: list[ConstraintOut]
    active_from: datetime
    created_at: datetime
    created_by: str


class AccountOut(BaseModel):
    """A PG account of the store."""

    account: str
    vendor: str
    enabled: bool
    paused: bool


class CircuitOut(BaseModel):
    """Whether one method works at one account, by technical failures alone; a decline is an answer.

    ``closed``: all payments; ``open``: none, unless every account is open; ``half_open``: one at a time, as a probe.
    """

    account: str
    method: str
    state: str
    calls: int
    """So many of the last calls are remembered."""
    failures: int
    last_failure_at: datetime | None
    opened_at: datetime | None
    probes_from: datetime | None
    probe_in_flight: bool
    successes: int
    """Answers since it opened; three close it."""


class RoutingOut(RuleOut):
    """The rule in force, versions that wait for their time, the accounts there are, and the health of those in use."""

    scheduled: list[RuleOut]
    accounts: list[AccountOut]
    health: list[CircuitOut]
    """Only what has ever failed; what is not here is healthy."""


class ShareOut(BaseModel):
    """What an account should get and what it got. Percentages of the window; amounts in minor units."""

    account: str
    configured_percent: float
    count: int
    count_percent: float
    amount: int
    amount_percent: float


class StatsOut(BaseModel):
    """Shares over the last attempts that the rule of ``rule_version`` has routed (null: any rule)."""

    rule_version: int | None
    by: str
    window: int
    attempts: int
    currency: str
    accounts: list[ShareOut]


class PreviewOut(BaseModel):
    """What the rule would have done. ``assumes`` says what it does not know."""

    payments: int
    moved: int
    refused: dict[str, int]
    currency: str
    accounts: list[ShareOut]
    assumes: list[str]


ASSUMES = [
    "every account can hold money and capture it later, in parts",
    "accounts offer what they offer now, are enabled and paused as they are now, and all of them work",
    "each payment is routed once; second choices after a decline are not replayed",
    "the shares begin at zero, as they do with a new version",
]


def rule_out(view: RuleView) -> RuleOut:
    """A version as clients see it."""
    rule = view.rule
    return RuleOut(
        version=rule.version,
        strategy=rule.strategy,
        by=rule.by,
        weights=dict(rule.weights),
        fallback=list(rule.fallback),
        constraints=[
            ConstraintOut(
                account=each.account,
                methods=list(each.methods),
                currencies=list(each.currencies),
                min_amount=each.min_amount,
                max_amount=each.max_amount,
                max_instalments=each.max_instalments,
            )
            for each in rule.constraints
        ],
        active_from=view.active_from,
        created_at=view.created_at,
        created_by=view.created_by,
    )


def routing_out(
    active: RuleView, rules: Rules, accounts: Sequence[AccountView], circuits: Sequence[Circuit], now: datetime
) -> RoutingOut:
    """The whole of a store's routing."""
    return RoutingOut(
        **rule_out(active).model_dump(),
        scheduled=[rule_out(view) for view in rules.scheduled],
        accounts=[account_out(account) for account in accounts],
        health=[circuit_out(circuit, now) for circuit in circuits],
    )


def circuit_out(circuit: Circuit, now: datetime) -> CircuitOut:
    """A circuit as clients see it at ``now``."""
    condition = condition_of(circuit, now)
    failures = [call for call in circuit.window if call]
    return CircuitOut(
        account=circuit.account,
        method=circuit.method,
        state=condition.state.value,
        calls=len(circuit.window),
        failures=len(failures),
        last_failure_at=max(failures, default=None),
        opened_at=circuit.opened_at,
        probes_from=circuit.opened_at + RETRY_AFTER if circuit.opened_at else None,
        probe_in_flight=condition.state is CircuitState.HALF_OPEN and not condition.may_probe,
        successes=circuit.successes,
    )


def account_out(account: AccountView) -> AccountOut:
    """An account as clients see it."""
    return AccountOut(
        account=account.id, vendor=account.vendor, enabled=account.enabled, paused=account.paused_at is not None
    )


def shares_out(rule: Rule, tallies: Sequence[Tally]) -> list[ShareOut]:
    """Configured and actual, for every account of the rule and every one that got something."""
    weights: Mapping[str, int] = dict(rule.weights)
    got = {tally.account: tally for tally in tallies}
    count, amount = sum(tally.count for tally in tallies), sum(tally.amount for tally in tallies)
    whole = sum(weights.values())
    names = dict.fromkeys((*weights, *rule.fallback, *sorted(got)))
    found = [got.get(name, Tally(name, 0, 0)) for name in names]
    return [
        ShareOut(
            account=each.account,
            configured_percent=_percent(weights.get(each.account, 0), whole),
            count=each.count,
            count_percent=_percent(each.count, count),
            amount=each.amount,
            amount_percent=_percent(each.amount, amount),
        )
        for each in found
    ]


def preview_out(rule: Rule, preview: Preview, currency: str) -> PreviewOut:
    """A preview as clients see it."""
    return PreviewOut(
        payments=preview.payments,
        moved=preview.moved,
        refused=preview.refused,
        currency=currency,
        accounts=shares_out(rule, preview.tallies),
        assumes=ASSUMES,
    )


def _percent(part: int, whole: int) -> float:
    """A percentage with four digits behind the point; shown to people, never calculated with."""
    return round(100 * part / whole, 4) if whole else 0.0
