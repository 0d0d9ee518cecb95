"""Which PG account takes a payment: eligibility first, then the share furthest behind, then the fallback order.

Ratio (gateways page, section 10): every account has a *deficit*, what it should have had minus what it got, in whole
units times the sum of the weights, so nothing is ever rounded. A payment of ``x`` (1, or its amount) credits each
account with ``weight * x``; the chosen one, the largest deficit among the eligible, pays all that was credited.

Exact under trouble means two more rules. (1) An account that cannot take this payment (paused, wrong method, already
tried) is credited all the same: it catches up later, so 50/30/20 holds even if a fifth of the payments can only go to
one. (2) Accounts that wait are credited only until *together* they lag ``clip`` units behind the rest; from then on
the payment counts among the others alone and they pay that much less. So no herd falls on an account that comes
back, and meanwhile the others keep their own proportions exactly; cutting each deficit at a bound would not do that.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import Flaw, Invalid, NoGatewayEligible
from domain.gateway import Flow, MethodLimit
from domain.health import CircuitState, Condition

CLIP_PAYMENTS = 20
"""How many payments waiting accounts may catch up together: 2 points of 1 000 after an outage (gateways page, 10)."""


class Strategy(StrEnum):
    """How a rule chooses: shares by weight; the largest weight first, ties in the rule's order; one account."""

    RATIO = "ratio"
    PRIORITY = "priority"
    SINGLE = "single"


class Measure(StrEnum):
    """What a ratio is a ratio of."""

    COUNT = "count"
    AMOUNT = "amount"


class Reason(StrEnum):
    """Why an account can or cannot take a payment. Excluded: already tried for this payment."""

    ELIGIBLE = "eligible"
    UNKNOWN_ACCOUNT = "unknown_account"
    DISABLED = "disabled"
    PAUSED = "paused"
    EXCLUDED = "excluded"
    NO_MANUAL_CAPTURE = "no_manual_capture"
    METHOD_NOT_OFFERED = "method_not_offered"
    FLOW_NOT_OFFERED = "flow_not_offered"
    """It takes tokens only, and there is none; or it has no page for the customer to pay on."""
    CURRENCY_NOT_OFFERED = "currency_not_offered"
    AMOUNT_OUTSIDE_LIMITS = "amount_outside_limits"
    INSTALMENTS_NOT_OFFERED = "instalments_not_offered"
    CONSTRAINED = "constrained"
    NO_SEVERAL_CAPTURES = "no_several_captures"
    """It could take it, but captures once: only if no other account can."""
    PROBED = "probed"
    """Its circuit is half-open and another payment is finding out whether it works."""
    CIRCUIT_OPEN = "circuit_open"


_WITHOUT_SHARE = frozenset({Reason.UNKNOWN_ACCOUNT, Reason.DISABLED})
_SICK = frozenset({Reason.PROBED, Reason.CIRCUIT_OPEN})


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a rule lets an account take; empty or None means any. Amounts in minor units, both ends included.

    An account with several constraints takes what at least one of them permits (one per currency, for example).
    """

    account: str
    methods: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    min_amount: int | None = None
    max_amount: int | None = None
    max_instalments: int | None = None
    """Months; 0 or 1: only at once."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One immutable version of a store's routing. ``strategy`` is a `Strategy`, ``by`` a `Measure`.

    ``weights`` are (account, share) with sum 100 or 10 000; their order breaks ties; weight 0 gets nothing by weight.
    ``fallback`` is walked in order when no account with a weight is eligible.
    """

    version: int
    strategy: str
    by: str
    weights: tuple[tuple[str, int], ...]
    fallback: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountState:
    """One PG account of the store. Disabled: no share. Paused by a person or by its circuit: its share later."""

    account: str
    enabled: bool
    paused: bool
    limits: tuple[MethodLimit, ...]
    flows: frozenset[Flow]
    manual_capture: bool
    several_captures: bool = True
    conditions: tuple[Condition, ...] = ()
    """Of its circuits that are not closed, by method."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account of the rule as seen by one decision. ``deficit`` is what was compared: after this payment's credit."""

    account: str
    eligible: bool
    reason: str
    weight: int
    deficit: int
    circuit: str = CircuitState.CLOSED.value
    failures: int = 0
    """Of its last calls, where the circuit is not closed."""

    @property
    def shares(self) -> bool:
        """It has a weight and is there to get its share, now or later."""
        return bool(self.weight) and self.reason not in _WITHOUT_SHARE


@dataclass(frozen=True, slots=True)
class Decision:
    """Who takes the payment and why; stored for audit. ``sequence`` 1 is the first choice, 2 the one after it, ...

    ``reason``: ``largest_deficit``, ``highest_priority``, ``only_eligible``, ``fallback``; ``captures_once`` when no
    account can capture in parts what should be; ``least_bad`` when every circuit is open.
    ``circuit`` is the chosen account's: not closed means that this payment is a probe.
    """

    account: str
    rule_version: int
    strategy: str
    reason: str
    sequence: int
    candidates: tuple[Candidate, ...]
    circuit: str = CircuitState.CLOSED.value


@dataclass(frozen=True, slots=True)
class Wanted:
    """What has to be taken: ``amount`` in minor units, by ``method``, at none of the ``excluded`` accounts.

    ``flows``: the ways that are open to this payment; an account must have one of them. ``manual_capture``: held first.
    ``several_captures``: taken in parts as goods leave, if there is an account for that, else with the first of them.
    """

    method: str
    currency: str
    amount: int
    flows: frozenset[Flow]
    excluded: frozenset[str] = frozenset()
    manual_capture: bool = False
    several_captures: bool = False
    instalments: int = 0

    def units(self, rule: Rule) -> int:
        """How much of what the rule counts."""
        return self.amount if rule.by == Measure.AMOUNT else 1


def validate_rule(rule: Rule, known_accounts: Collection[str]) -> None:
    """Refuse a rule that could not be followed: `Invalid` with a flaw for each reason, pointing into the API's body.

    A ``priority`` may do without weights (then ``fallback`` is its order); a ``single`` has one account with weight.
    """
    flaws = [*_flaws_of_names(rule, known_accounts), *_flaws_of_figures(rule)]
    if flaws:
        raise Invalid("the routing rule does not hold together", flaws=flaws)


def _flaws_of_names(rule: Rule, known: Collection[str]) -> Iterator[Flaw]:
    """Words and accounts that do not exist, or stand twice."""
    for pointer, word, words in (("/strategy", rule.strategy, Strategy), ("/by", rule.by, Measure)):
        if word not in list(words):
            yield Flaw(pointer, "unknown_word", f"{word!r} is none of {', '.join(words)}")
    weighted, constrained = [account for account, _ in rule.weights], [each.account for each in rule.constraints]
    for pointer, accounts in (("/weights", weighted), ("/fallback", rule.fallback), ("/constraints", constrained)):
        for place, account in enumerate(accounts):
            at = f"{pointer}/{account.replace('~', '~0').replace('/', '~1') if accounts is weighted else place}"
            if account not in known:
                yield Flaw(at, "unknown_account", f"{account!r} is no PG account of this store")
            if account in accounts[:place] and accounts is not constrained:
                yield Flaw(at, "duplicate_account", f"{account!r} stands twice")


def _flaws_of_figures(rule: Rule) -> Iterator[Flaw]:
    """Weights that are no shares, constraints that nothing can meet."""
    weights = [weight for _, weight in rule.weights]
    optional = rule.strategy == Strategy.PRIORITY and bool(rule.fallback) and not weights
    if any(type(weight) is not int or weight < 0 for weight in weights):
        yield Flaw("/weights", "not_whole", "weights are whole numbers, zero or more")
    elif not optional and sum(weights) not in {100, 10_000}:
        yield Flaw("/weights", "wrong_sum", f"weights add up to {sum(weights)}, not to 100 or 10000")
    elif rule.strategy == Strategy.SINGLE and sum(weight > 0 for weight in weights) != 1:
        yield Flaw("/weights", "not_single", "a single has exactly one account with weight")
    for place, each in enumerate(rule.constraints):
        low, high = each.min_amount or 0, each.max_amount
        if low < 0 or (high is not None and high < low):
            yield Flaw(f"/constraints/{place}", "empty_range", "no amount lies between min_amount and max_amount")
        if each.max_instalments is not None and each.max_instalments < 0:
            yield Flaw(f"/constraints/{place}/max_instalments", "too_small", "months are zero or more")


def choose(
    rule: Rule,
    accounts: Sequence[AccountState],
    deficits: Mapping[str, int],
    wanted: Wanted,
    *,
    clip: int = CLIP_PAYMENTS,
) -> tuple[Decision, dict[str, int]]:
    """The account for one payment, and the deficits after it. The reference for `activities.selector`, which does it.

    ``deficits`` start at zero with every rule version. ``clip`` is in what the rule counts: payments, or minor units
    (see `clip_of`). A payment that no weighted account can take changes no deficit. Raises `NoGatewayEligible`.
    """
    candidates = weigh(rule, accounts, deficits, wanted)
    among, why = contenders(rule, candidates)
    chosen = pick(rule, among)
    decision = decision_of(rule, candidates, chosen, why, wanted)
    if not counts(rule, chosen):
        return decision, dict(deficits)
    sharing = [each for each in candidates if each.shares]
    waiting = [each for each in sharing if each not in among]
    return decision, {**deficits, **_settle(sharing, waiting, chosen, units=wanted.units(rule), clip=clip)}


def counts(rule: Rule, chosen: Candidate) -> bool:
    """Whether the choice moves deficits: by a ratio, and not by its fallback."""
    return rule.strategy == Strategy.RATIO and chosen.weight > 0


def decision_of(rule: Rule, candidates: tuple[Candidate, ...], chosen: Candidate, why: str, wanted: Wanted) -> Decision:
    """The choice with all that explains it."""
    sequence = len(wanted.excluded) + 1
    return Decision(chosen.account, rule.version, str(rule.strategy), why, sequence, candidates, chosen.circuit)


def clip_of(rule: Rule, *, mean_amount: int) -> int:
    """The clip for ``rule``: 20 payments, or 20 times the store's usual payment (minor units) for a ratio by amount.

    A recent mean will do. Far too small forgets what waiting accounts missed, far too large lets a rush fall on them.
    """
    return CLIP_PAYMENTS * mean_amount if rule.by == Measure.AMOUNT else CLIP_PAYMENTS


def weigh(
    rule: Rule, accounts: Sequence[AccountState], deficits: Mapping[str, int], wanted: Wanted
) -> tuple[Candidate, ...]:
    """Every account of the rule, in its order, with its deficit after this payment's credit."""
    weights, states = dict(rule.weights), {state.account: state for state in accounts}
    candidates = []
    for account in dict.fromkeys((*weights, *rule.fallback)):
        state = states.get(account)
        reason = _judge(rule, state, account, wanted)
        condition = _condition(state, wanted.method)
        weight = weights.get(account, 0)
        credit = weight * wanted.units(rule) if rule.strategy == Strategy.RATIO and reason not in _WITHOUT_SHARE else 0
        candidates.append(
            Candidate(
                account=account,
                eligible=reason is Reason.ELIGIBLE,
                reason=reason.value,
                weight=weight,
                deficit=deficits.get(account, 0) + credit,
                circuit=condition.state.value if condition else CircuitState.CLOSED.value,
                failures=condition.failures if condition else 0,
            )
        )
    return tuple(candidates)


def _judge(rule: Rule, state: AccountState | None, account: str, wanted: Wanted) -> Reason:
    """The first thing that keeps ``account`` from this payment; what is only worse than elsewhere comes last."""
    if state is None:
        return Reason.UNKNOWN_ACCOUNT
    methods = [limit for limit in state.limits if limit.method == wanted.method]
    limits = [limit for limit in methods if limit.currency == wanted.currency]
    within = [limit for limit in limits if limit.minimum <= wanted.amount <= limit.maximum]
    constraints = [constraint for constraint in rule.constraints if constraint.account == account]
    condition = _condition(state, wanted.method)
    obstacles = {
        Reason.DISABLED: not state.enabled,
        Reason.PAUSED: state.paused,
        Reason.EXCLUDED: account in wanted.excluded,
        Reason.NO_MANUAL_CAPTURE: wanted.manual_capture and not state.manual_capture,
        Reason.METHOD_NOT_OFFERED: not methods,
        Reason.FLOW_NOT_OFFERED: wanted.flows.isdisjoint(state.flows),
        Reason.CURRENCY_NOT_OFFERED: not limits,
        Reason.AMOUNT_OUTSIDE_LIMITS: not within,
        Reason.INSTALMENTS_NOT_OFFERED: wanted.instalments > 1 and not any(_in_parts(each, wanted) for each in within),
        Reason.CONSTRAINED: bool(constraints) and not any(_permits(constraint, wanted) for constraint in constraints),
        Reason.PROBED: condition is not None and condition.state is CircuitState.HALF_OPEN and not condition.may_probe,
        Reason.CIRCUIT_OPEN: condition is not None and condition.state is CircuitState.OPEN,
        Reason.NO_SEVERAL_CAPTURES: wanted.several_captures and not state.several_captures,
    }
    return next((reason for reason, stands in obstacles.items() if stands), Reason.ELIGIBLE)


def _condition(state: AccountState | None, method: str) -> Condition | None:
    return next((each for each in state.conditions if each.method == method), None) if state else None


def _in_parts(limit: MethodLimit, wanted: Wanted) -> bool:
    """Whether the PG's contract lets the customer pay in so many months."""
    return wanted.instalments <= limit.max_instalments and wanted.amount >= limit.instalments_from


def _permits(constraint: Constraint, wanted: Wanted) -> bool:
    """Whether the rule's constraint lets this payment through."""
    return (
        (not constraint.methods or wanted.method in constraint.methods)
        and (not constraint.currencies or wanted.currency in constraint.currencies)
        and (constraint.min_amount is None or wanted.amount >= constraint.min_amount)
        and (constraint.max_amount is None or wanted.amount <= constraint.max_amount)
        and (constraint.max_instalments is None or wanted.instalments <= max(constraint.max_instalments, 1))
    )


def contenders(rule: Rule, candidates: Sequence[Candidate]) -> tuple[tuple[Candidate, ...], str]:
    """Those among whom the strategy chooses, and why: the able; else those that capture once; else the least bad.

    They all have a weight, or there is one without: the first of the fallback. Raises `NoGatewayEligible`.
    """
    among, why = _in_turn(rule, [each for each in candidates if each.eligible])
    if among:
        return among, why
    among, _ = _in_turn(rule, [each for each in candidates if each.reason == Reason.NO_SEVERAL_CAPTURES])
    return (among, "captures_once") if among else (_least_bad(rule, candidates), "least_bad")


def _in_turn(rule: Rule, able: Sequence[Candidate]) -> tuple[tuple[Candidate, ...], str]:
    """Those with a weight, else the first one of the fallback."""
    weighted = tuple(each for each in able if each.weight)
    if weighted:
        by_strategy = "largest_deficit" if rule.strategy == Strategy.RATIO else "highest_priority"
        return weighted, "only_eligible" if len(weighted) == 1 else by_strategy
    named = {each.account: each for each in able}
    return tuple(named[account] for account in rule.fallback if account in named)[:1], "fallback"


def _least_bad(rule: Rule, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Of those whom only their circuit keeps away, the ones that failed least: a try is better than no payment."""
    sick = [each for each in candidates if each.reason in _SICK and (each.weight or each.account in rule.fallback)]
    if not sick:
        refusals = [{"account": candidate.account, "reason": candidate.reason} for candidate in candidates]
        raise NoGatewayEligible("no PG account of the rule can take this payment", figures={"candidates": refusals})
    fewest = min((each.failures, not each.weight) for each in sick)
    least = tuple(each for each in sick if (each.failures, not each.weight) == fewest)
    return least if least[0].weight else least[:1]


def pick(rule: Rule, among: Sequence[Candidate]) -> Candidate:
    """The contender with the largest deficit, or weight; the first in the rule's order if several have it."""
    if rule.strategy == Strategy.RATIO:
        return max(among, key=lambda candidate: candidate.deficit)
    return max(among, key=lambda candidate: candidate.weight)


def _settle(
    sharing: Sequence[Candidate], waiting: Sequence[Candidate], chosen: Candidate, *, units: int, clip: int
) -> dict[str, int]:
    """The deficits after the payment: credits given, except to those who have waited too long, and paid by the chosen.

    Among the accounts that share, the sum of the deficits never changes.
    """
    waiting = sorted(waiting, key=lambda each: -each.deficit)
    ends = range(1, len(waiting) + 1)
    too_long = max((end for end in ends if _exceeds(waiting[:end], sharing, units=units, clip=clip)), default=0)
    credited = [each for each in sharing if each not in waiting[:too_long]]
    settled = {each.account: each.deficit for each in credited}
    settled[chosen.account] -= units * sum(each.weight for each in credited)
    return settled


def _exceeds(block: Sequence[Candidate], sharing: Sequence[Candidate], *, units: int, clip: int) -> bool:
    """Whether ``block`` together would lag more than ``clip`` behind the rest, this payment included.

    Its lag is what it would be handed until all deficits are level. Their level is zero, but for an account that was
    disabled with a claim or a debt of its own.
    """
    whole = sum(each.weight for each in sharing)
    level = sum(each.deficit for each in sharing) - whole * units
    lag = sum(each.deficit for each in block) * len(sharing) - level * len(block)
    return lag > clip * whole * len(sharing)
