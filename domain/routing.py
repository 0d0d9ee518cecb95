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
from domain.gateway import MethodLimit

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
    CURRENCY_NOT_OFFERED = "currency_not_offered"
    AMOUNT_OUTSIDE_LIMITS = "amount_outside_limits"
    CONSTRAINED = "constrained"


_WITHOUT_SHARE = frozenset({Reason.UNKNOWN_ACCOUNT, Reason.DISABLED})


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
    """One PG account of the store. Disabled: no share. Paused (a person, an open circuit): its share later."""

    account: str
    enabled: bool
    paused: bool
    limits: tuple[MethodLimit, ...]
    manual_capture: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account of the rule as seen by one decision. ``deficit`` is what was compared: after this payment's credit."""

    account: str
    eligible: bool
    reason: str
    weight: int
    deficit: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Who takes the payment and why; stored for audit. ``sequence`` 1 is the first choice, 2 the one after it, ...

    ``reason``: ``largest_deficit``, ``highest_priority``, ``only_eligible`` or ``fallback``.
    """

    account: str
    rule_version: int
    strategy: str
    reason: str
    sequence: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class _Payment:
    """What has to be taken."""

    method: str
    currency: str
    amount: int
    excluded: frozenset[str]
    manual_capture: bool


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


def choose(  # noqa: PLR0913 - the payment is named field by field, as its callers have it
    rule: Rule,
    accounts: Sequence[AccountState],
    deficits: Mapping[str, int],
    *,
    method: str,
    currency: str,
    amount: int,
    excluded: frozenset[str] = frozenset(),
    manual_capture: bool = False,
    clip: int = CLIP_PAYMENTS,
) -> tuple[Decision, dict[str, int]]:
    """The account for one payment, and the deficits to store with the decision, in one transaction.

    ``deficits`` start at zero with every rule version. ``clip`` is in what the rule counts: payments, or minor units
    (see `clip_of`). A payment that no weighted account can take changes no deficit. Raises `NoGatewayEligible`.
    """
    payment = _Payment(method, currency, amount, excluded, manual_capture)
    units = amount if rule.by == Measure.AMOUNT else 1
    candidates = _weigh(rule, {state.account: state for state in accounts}, deficits, payment, units=units)
    chosen, why = _pick(rule, candidates)
    decision = Decision(chosen.account, rule.version, str(rule.strategy), why, len(excluded) + 1, candidates)
    if rule.strategy != Strategy.RATIO or not chosen.weight:
        return decision, dict(deficits)
    return decision, {**deficits, **_settle(candidates, chosen, units=units, clip=clip)}


def clip_of(rule: Rule, *, mean_amount: int) -> int:
    """The clip for ``rule``: 20 payments, or 20 times the store's usual payment (minor units) for a ratio by amount.

    A recent mean will do. Far too small forgets what waiting accounts missed, far too large lets a rush fall on them.
    """
    return CLIP_PAYMENTS * mean_amount if rule.by == Measure.AMOUNT else CLIP_PAYMENTS


def _weigh(
    rule: Rule, states: Mapping[str, AccountState], deficits: Mapping[str, int], payment: _Payment, *, units: int
) -> tuple[Candidate, ...]:
    """Every account of the rule, in its order, with its deficit after this payment's credit."""
    weights = dict(rule.weights)
    candidates = []
    for account in dict.fromkeys((*weights, *rule.fallback)):
        reason = _judge(rule, states.get(account), account, payment)
        weight = weights.get(account, 0)
        credit = weight * units if rule.strategy == Strategy.RATIO and reason not in _WITHOUT_SHARE else 0
        deficit = deficits.get(account, 0) + credit
        candidates.append(Candidate(account, reason is Reason.ELIGIBLE, reason.value, weight, deficit))
    return tuple(candidates)


def _judge(rule: Rule, state: AccountState | None, account: str, payment: _Payment) -> Reason:
    """The first thing that keeps ``account`` from this payment."""
    if state is None:
        return Reason.UNKNOWN_ACCOUNT
    methods = [limit for limit in state.limits if limit.method == payment.method]
    limits = [limit for limit in methods if limit.currency == payment.currency]
    constraints = [constraint for constraint in rule.constraints if constraint.account == account]
    obstacles = {
        Reason.DISABLED: not state.enabled,
        Reason.PAUSED: state.paused,
        Reason.EXCLUDED: account in payment.excluded,
        Reason.NO_MANUAL_CAPTURE: payment.manual_capture and not state.manual_capture,
        Reason.METHOD_NOT_OFFERED: not methods,
        Reason.CURRENCY_NOT_OFFERED: not limits,
        Reason.AMOUNT_OUTSIDE_LIMITS: not any(limit.minimum <= payment.amount <= limit.maximum for limit in limits),
        Reason.CONSTRAINED: bool(constraints) and not any(_permits(constraint, payment) for constraint in constraints),
    }
    return next((reason for reason, stands in obstacles.items() if stands), Reason.ELIGIBLE)


def _permits(constraint: Constraint, payment: _Payment) -> bool:
    """Whether the rule's constraint lets this payment through."""
    return (
        (not constraint.methods or payment.method in constraint.methods)
        and (not constraint.currencies or payment.currency in constraint.currencies)
        and (constraint.min_amount is None or payment.amount >= constraint.min_amount)
        and (constraint.max_amount is None or payment.amount <= constraint.max_amount)
    )


def _pick(rule: Rule, candidates: Sequence[Candidate]) -> tuple[Candidate, str]:
    """The candidate by the rule's strategy, else by its fallback order, and why."""
    able = [candidate for candidate in candidates if candidate.eligible]
    weighted = [candidate for candidate in able if candidate.weight]
    if len(weighted) == 1:
        return weighted[0], "only_eligible"
    if weighted and rule.strategy == Strategy.RATIO:
        return max(weighted, key=lambda candidate: candidate.deficit), "largest_deficit"
    if weighted:
        return max(weighted, key=lambda candidate: candidate.weight), "highest_priority"
    for account in rule.fallback:
        for candidate in able:
            if candidate.account == account:
                return candidate, "fallback"
    refusals = [{"account": candidate.account, "reason": candidate.reason} for candidate in candidates]
    raise NoGatewayEligible("no PG account of the rule can take this payment", figures={"candidates": refusals})


def _settle(candidates: Sequence[Candidate], chosen: Candidate, *, units: int, clip: int) -> dict[str, int]:
    """The deficits after the payment: credits given, except to those who have waited too long, and paid by the chosen.

    Among the accounts that share, the sum of the deficits never changes.
    """
    sharing = [each for each in candidates if each.weight and each.reason not in _WITHOUT_SHARE]
    waiting = sorted((each for each in sharing if not each.eligible), key=lambda each: -each.deficit)
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
