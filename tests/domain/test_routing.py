"""Ratios hold for every stretch of payments, with constraints, through outages and by amount."""

import random
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Invalid, NoGatewayEligible
from domain.gateway import Flow, MethodLimit
from domain.routing import (
    CLIP_PAYMENTS,
    AccountState,
    Constraint,
    Decision,
    Measure,
    Rule,
    Strategy,
    Wanted,
    choose,
    clip_of,
    validate_rule,
)

Weights = dict[str, int]
Taken = list[tuple[str, int]]
CARD = MethodLimit("card", "KRW", 100, 10_000_000_000)
TOKEN, PAGE = frozenset({Flow.SERVER_TOKEN}), frozenset({Flow.REDIRECT_CONFIRM, Flow.HOSTED_SESSION})
THREE = {"a": 50, "b": 30, "c": 20}


def a_rule(shares: Weights, **changes: object) -> Rule:
    rule = Rule(version=3, strategy=Strategy.RATIO, by=Measure.COUNT, weights=tuple(shares.items()))
    return replace(rule, **changes)  # type: ignore[arg-type]


def an_account(
    name: str,
    *,
    enabled: bool = True,
    paused: bool = False,
    limits: tuple[MethodLimit, ...] = (CARD,),
    manual_capture: bool = True,
) -> AccountState:
    return AccountState(name, enabled, paused, limits, TOKEN, manual_capture)


def take(
    rule: Rule,
    payments: Iterable[tuple[Collection[str], int]],
    deficits: dict[str, int] | None = None,
    clip: int = CLIP_PAYMENTS,
) -> tuple[Taken, dict[str, int]]:
    """Route payments, each (accounts that are not paused, amount)."""
    deficits, taken = deficits or {}, []
    for able, amount in payments:
        accounts = [an_account(name, paused=name not in able) for name, _ in rule.weights]
        decision, deficits = choose(rule, accounts, deficits, Wanted("card", "KRW", amount, TOKEN), clip=clip)
        taken.append((decision.account, amount))
    return taken, deficits


def decide(rule: Rule, accounts: list[AccountState], **changes: object) -> tuple[Decision, dict[str, int]]:
    return choose(rule, accounts, {}, replace(Wanted("card", "KRW", 1000, TOKEN), **changes))  # type: ignore[arg-type]


def counts(taken: Taken) -> Counter[str]:
    return Counter(account for account, _ in taken)


def share_of(account: str, taken: Taken) -> float:
    return sum(amount for name, amount in taken if name == account) / sum(amount for _, amount in taken)


@pytest.mark.parametrize("weights", [(70, 30), (50, 30, 20), (97, 2, 1), (60, 25, 10, 5), (3333, 3333, 3334)])
@pytest.mark.parametrize("length", [7, 100, 129, 1000])
def test_any_stretch_of_payments_is_within_two_of_its_target(weights: tuple[int, ...], length: int) -> None:
    shares = dict(zip("abcd", weights, strict=False))
    taken, _ = take(a_rule(shares), [(shares, 1000)] * 3000)
    window = counts(taken[:length])
    for gone, come in zip(taken, [*taken[length:], None], strict=False):
        assert all(abs(window[name] - length * weight / sum(weights)) <= 2 for name, weight in shares.items())
        window[gone[0]] -= 1
        if come is None:
            break
        window[come[0]] += 1


def test_payments_that_only_one_account_can_take_are_made_up_for_by_the_others() -> None:
    dice = random.Random(1)
    able = [["a"] if dice.random() < 0.2 else list(THREE) for _ in range(20_000)]
    taken, _ = take(a_rule(THREE), [(names, 1000) for names in able])
    assert {name: round(count / 200, 1) for name, count in counts(taken).items()} == {"a": 50.0, "b": 30.0, "c": 20.0}
    for start in range(0, 19_000, 250):
        window = counts(taken[start : start + 1000])
        assert all(abs(window[name] - 10 * weight) <= 15 for name, weight in THREE.items())


def test_a_ratio_out_of_reach_is_kept_among_those_who_can_still_share() -> None:
    dice = random.Random(2)
    able = [["a"] if dice.random() < 0.6 else list(THREE) for _ in range(20_000)]
    taken, deficits = take(a_rule(THREE), [(names, 1000) for names in able])
    free = counts([each for each, names in zip(taken, able, strict=True) if len(names) == 3])
    assert free["a"] <= 2 * CLIP_PAYMENTS
    assert abs(free["b"] * 2 - free["c"] * 3) <= 5 * CLIP_PAYMENTS
    assert all(abs(deficit) <= CLIP_PAYMENTS * 100 for deficit in deficits.values())


def test_an_account_that_comes_back_gets_its_share_and_at_most_twenty_more() -> None:
    outage, deficits = take(a_rule(THREE), [(["a", "c"], 1000)] * 2000)
    assert abs(counts(outage)["a"] - 2000 * 5 / 7) <= 5
    assert abs(counts(outage[1000:])["a"] - 1000 * 5 / 7) <= 1
    back, deficits = take(a_rule(THREE), [(list(THREE), 1000)] * 1000, deficits)
    assert 300 < counts(back)["b"] <= 320
    later, _ = take(a_rule(THREE), [(list(THREE), 1000)] * 1000, deficits)
    assert all(abs(counts(later)[name] - 10 * weight) <= 1 for name, weight in THREE.items())


def test_two_accounts_that_come_back_together_get_at_most_twenty_more_together() -> None:
    _, deficits = take(a_rule(THREE), [(["a"], 1000)] * 2000)
    back, _ = take(a_rule(THREE), [(list(THREE), 1000)] * 1000, deficits)
    assert 500 < counts(back)["b"] + counts(back)["c"] <= 520
    assert abs(counts(back)["b"] - 312) <= 1


def test_an_outage_during_constraints_leaves_the_others_their_own_proportion() -> None:
    dice = random.Random(3)
    able = [["a"] if dice.random() < 0.2 else ["a", "c"] for _ in range(20_000)]
    taken, _ = take(a_rule(THREE), [(names, 1000) for names in able])
    assert abs(counts(taken)["a"] - 20_000 * 5 / 7) <= CLIP_PAYMENTS


def test_a_ratio_by_amount_is_a_ratio_of_money() -> None:
    dice = random.Random(4)
    amounts = [int(dice.lognormvariate(10, 1)) for _ in range(10_000)]
    rule = a_rule({"a": 70, "b": 30}, by=Measure.AMOUNT)
    taken, deficits = take(rule, [("ab", amount) for amount in amounts], clip=clip_of(rule, mean_amount=36_000))
    assert abs(share_of("a", taken) - 0.7) < 0.002
    assert abs(share_of("a", taken[:1000]) - 0.7) < 0.02
    assert sum(deficits.values()) == 0
    assert abs(deficits["a"]) <= 100 * max(amounts)


def test_by_amount_too_an_outage_brings_no_rush() -> None:
    dice = random.Random(5)
    amounts = [int(dice.lognormvariate(10, 1)) for _ in range(3000)]
    rule = a_rule(THREE, by=Measure.AMOUNT)
    clip = clip_of(rule, mean_amount=36_000)
    outage, deficits = take(rule, [("ac", amount) for amount in amounts[:2000]], clip=clip)
    back, _ = take(rule, [("abc", amount) for amount in amounts[2000:]], deficits, clip=clip)
    assert abs(share_of("a", outage) - 5 / 7) < 0.005
    assert 0.3 < share_of("b", back) < 0.33


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 100), min_size=1, max_size=4).map(sorted),
    st.lists(st.tuples(st.sets(st.sampled_from("abcde"), min_size=1), st.integers(100, 10**6)), max_size=80),
    st.sampled_from(Measure),
)
def test_deficits_always_sum_to_zero_and_the_largest_eligible_one_is_chosen(
    cuts: list[int], payments: list[tuple[set[str], int]], by: Measure
) -> None:
    edges = [0, *cuts, 100]
    rule = a_rule({name: high - low for name, low, high in zip("abcde", edges, edges[1:], strict=False)}, by=by)
    deficits: dict[str, int] = {}
    for able, amount in payments:
        accounts = [an_account(name, paused=name not in able) for name, _ in rule.weights]
        try:
            decision, deficits = choose(rule, accounts, deficits, Wanted("card", "KRW", amount, TOKEN))
        except NoGatewayEligible:
            continue
        eligible = [each for each in decision.candidates if each.eligible and each.weight]
        assert decision.account == max(eligible, key=lambda each: each.deficit).account
        assert sum(deficits.values()) == 0


def test_a_disabled_account_gets_no_share_and_no_claim() -> None:
    accounts = [an_account("a"), an_account("b", enabled=False), an_account("c")]
    deficits: dict[str, int] = {"b": 7}
    taken = Counter[str]()
    for _ in range(700):
        decision, deficits = choose(a_rule(THREE), accounts, deficits, Wanted("card", "KRW", 1000, TOKEN))
        taken[decision.account] += 1
    assert taken == {"a": 500, "c": 200}
    assert deficits["b"] == 7


def test_a_claim_that_left_with_a_disabled_account_does_not_move_the_bound_of_the_others() -> None:
    _, deficits = take(a_rule(THREE), [("ac", 1000)] * 2000)
    accounts = [an_account("a"), an_account("b", enabled=False), an_account("c", paused=True)]
    for _ in range(2000):
        _, deficits = choose(a_rule(THREE), accounts, deficits, Wanted("card", "KRW", 1000, TOKEN))
    back = Counter[str]()
    for _ in range(700):
        accounts = [an_account("a"), an_account("b", enabled=False), an_account("c")]
        decision, deficits = choose(a_rule(THREE), accounts, deficits, Wanted("card", "KRW", 1000, TOKEN))
        back[decision.account] += 1
    assert 200 < back["c"] <= 200 + CLIP_PAYMENTS + 1


def test_ties_go_by_the_order_of_the_rule() -> None:
    accounts = [an_account("b"), an_account("a")]
    assert decide(a_rule({"a": 50, "b": 50}), accounts)[0].account == "a"
    assert decide(a_rule({"b": 50, "a": 50}), accounts)[0].account == "b"


def test_a_decision_tells_what_it_saw() -> None:
    rule = a_rule({"a": 70, "b": 30}, fallback=("x",))
    decision, deficits = decide(rule, [an_account("a"), an_account("b")])
    assert (decision.account, decision.rule_version, decision.strategy, decision.sequence) == ("a", 3, "ratio", 1)
    assert decision.reason == "largest_deficit"
    assert [(each.account, each.eligible, each.reason, each.weight, each.deficit) for each in decision.candidates] == [
        ("a", True, "eligible", 70, 70),
        ("b", True, "eligible", 30, 30),
        ("x", False, "unknown_account", 0, 0),
    ]
    assert deficits == {"a": -30, "b": 30}


def test_the_next_choice_after_a_refusal_leaves_out_who_was_tried() -> None:
    accounts = [an_account("a"), an_account("b")]
    decision, _ = decide(a_rule({"a": 70, "b": 30}), accounts, excluded=frozenset({"a"}))
    assert (decision.account, decision.sequence, decision.reason) == ("b", 2, "only_eligible")


def test_the_fallback_is_walked_in_its_order_and_changes_no_deficit() -> None:
    rule = a_rule({"a": 100, "b": 0}, fallback=("x", "b", "y"))
    accounts = [an_account("a", paused=True), an_account("b"), an_account("x", enabled=False), an_account("y")]
    decision, deficits = choose(rule, accounts, {"a": 5}, Wanted("card", "KRW", 1000, TOKEN))
    assert (decision.account, decision.reason, deficits) == ("b", "fallback", {"a": 5})


@pytest.mark.parametrize(
    ("weights", "fallback", "paused", "expected", "reason"),
    [
        ({"a": 30, "b": 70}, (), "", "b", "highest_priority"),
        ({"a": 50, "b": 50}, (), "", "a", "highest_priority"),
        ({"a": 30, "b": 70}, (), "b", "a", "only_eligible"),
        ({}, ("b", "a"), "", "b", "fallback"),
        ({}, ("b", "a"), "b", "a", "fallback"),
    ],
)
def test_priority_takes_the_largest_weight_then_the_fallback(
    weights: Weights, fallback: tuple[str, ...], paused: str, expected: str, reason: str
) -> None:
    rule = a_rule(weights, strategy="priority", fallback=fallback)
    decision, deficits = decide(rule, [an_account(name, paused=name == paused) for name in "ab"])
    assert (decision.account, decision.reason, deficits) == (expected, reason, {})


def test_a_single_is_one_account_with_or_without_a_fallback() -> None:
    rule = a_rule({"a": 100}, strategy="single")
    assert decide(rule, [an_account("a"), an_account("b")])[0].account == "a"
    accounts = [an_account("a", paused=True), an_account("b")]
    assert decide(replace(rule, fallback=("b",)), accounts)[0].account == "b"
    with pytest.raises(NoGatewayEligible):
        decide(rule, accounts)


USD = MethodLimit("card", "USD", 50, 99)
BANK = MethodLimit("bank", "KRW", 200, 500)
MONTHS = MethodLimit("card", "KRW", 100, 10_000, max_instalments=6, instalments_from=500)


@pytest.mark.parametrize(
    ("account", "constraint", "payment", "reason"),
    [
        (an_account("z"), None, {}, "unknown_account"),
        (an_account("a", enabled=False), None, {}, "disabled"),
        (an_account("a", paused=True), None, {}, "paused"),
        (an_account("a"), None, {"excluded": frozenset({"a"})}, "excluded"),
        (an_account("a", manual_capture=False), None, {"manual_capture": True}, "no_manual_capture"),
        (an_account("a"), None, {"method": "points"}, "method_not_offered"),
        (an_account("a"), None, {"flows": PAGE}, "flow_not_offered"),
        (an_account("a"), None, {"flows": frozenset()}, "flow_not_offered"),
        (replace(an_account("a"), flows=PAGE), None, {}, "flow_not_offered"),
        (an_account("a", limits=(CARD, BANK)), None, {"currency": "USD"}, "currency_not_offered"),
        (an_account("a", limits=(USD, BANK)), None, {"currency": "USD"}, "amount_outside_limits"),
        (an_account("a", limits=(BANK,)), None, {"method": "bank", "amount": 199}, "amount_outside_limits"),
        (an_account("a"), Constraint("a", methods=("bank",)), {}, "constrained"),
        (an_account("a"), Constraint("a", currencies=("USD",)), {}, "constrained"),
        (an_account("a"), Constraint("a", min_amount=1001), {}, "constrained"),
        (an_account("a"), Constraint("a", max_amount=999), {}, "constrained"),
        (an_account("a"), None, {"instalments": 3}, "instalments_not_offered"),
        (an_account("a", limits=(MONTHS,)), None, {"instalments": 7}, "instalments_not_offered"),
        (an_account("a", limits=(MONTHS,)), None, {"instalments": 3, "amount": 499}, "instalments_not_offered"),
        (an_account("a", limits=(MONTHS,)), Constraint("a", max_instalments=2), {"instalments": 3}, "constrained"),
        (an_account("a", limits=(MONTHS,)), Constraint("a", max_instalments=0), {"instalments": 2}, "constrained"),
    ],
)
def test_each_reason_against_an_account_is_named(
    account: AccountState, constraint: Constraint | None, payment: dict[str, object], reason: str
) -> None:
    rule = a_rule({"a": 100}, constraints=(constraint,) if constraint else ())
    with pytest.raises(NoGatewayEligible) as refusal:
        decide(rule, [account], **payment)
    assert refusal.value.figures == {"candidates": [{"account": "a", "reason": reason}]}


@pytest.mark.parametrize(
    "constraints",
    [
        (Constraint("a"),),
        (Constraint("b", methods=("bank",)),),
        (Constraint("a", ("card",), ("KRW",), 1000, 1000),),
        (Constraint("a", currencies=("USD",), max_amount=5), Constraint("a", currencies=("KRW",))),
    ],
)
def test_a_payment_passes_if_one_of_the_constraints_permits_it(constraints: tuple[Constraint, ...]) -> None:
    assert decide(a_rule({"a": 100}, constraints=constraints), [an_account("a")])[0].account == "a"


def test_the_clip_is_twenty_payments_or_their_usual_amount() -> None:
    assert clip_of(a_rule(THREE), mean_amount=36_000) == 20
    assert clip_of(a_rule(THREE, by="amount"), mean_amount=36_000) == 720_000


@pytest.mark.parametrize(
    "rule",
    [
        a_rule({"a": 70, "b": 30}),
        a_rule({"a": 9_999, "b": 1}, by="amount", fallback=("c", "a")),
        a_rule({"a": 100, "b": 0}, strategy="single"),
        a_rule({}, strategy="priority", fallback=("b", "a")),
        a_rule({"a": 70, "b": 30}, constraints=(Constraint("a", max_amount=5), Constraint("a", min_amount=9))),
    ],
)
def test_a_sound_rule_passes(rule: Rule) -> None:
    validate_rule(rule, {"a", "b", "c"})


@pytest.mark.parametrize(
    ("changes", "flaws"),
    [
        ({"strategy": "random"}, {("/strategy", "unknown_word")}),
        ({"by": "weight"}, {("/by", "unknown_word")}),
        ({"weights": (("a", 70), ("b", 29))}, {("/weights", "wrong_sum")}),
        ({"weights": ()}, {("/weights", "wrong_sum")}),
        ({"weights": (), "strategy": "priority"}, {("/weights", "wrong_sum")}),
        ({"weights": (), "fallback": ("a",)}, {("/weights", "wrong_sum")}),
        ({"weights": (("a", 101), ("b", -1))}, {("/weights", "not_whole")}),
        ({"weights": (("a", 70.0), ("b", 30))}, {("/weights", "not_whole")}),
        ({"weights": (("a", 99), ("b", True))}, {("/weights", "not_whole")}),
        ({"strategy": "single"}, {("/weights", "not_single")}),
        ({"weights": (("a", 70), ("n/a~", 30))}, {("/weights/n~1a~0", "unknown_account")}),
        ({"weights": (("a", 70), ("a", 30))}, {("/weights/a", "duplicate_account")}),
        ({"fallback": ("a", "x", "a")}, {("/fallback/1", "unknown_account"), ("/fallback/2", "duplicate_account")}),
        ({"constraints": (Constraint("x"),)}, {("/constraints/0", "unknown_account")}),
        ({"constraints": (Constraint("a", min_amount=-1),)}, {("/constraints/0", "empty_range")}),
        ({"constraints": (Constraint("a", min_amount=9, max_amount=8),)}, {("/constraints/0", "empty_range")}),
        ({"constraints": (Constraint("a", max_instalments=-1),)}, {("/constraints/0/max_instalments", "too_small")}),
        ({"strategy": "x", "by": "y"}, {("/strategy", "unknown_word"), ("/by", "unknown_word")}),
    ],
)
def test_an_unsound_rule_is_refused_with_every_flaw(changes: dict[str, object], flaws: set[tuple[str, str]]) -> None:
    with pytest.raises(Invalid) as refusal:
        validate_rule(a_rule({"a": 70, "b": 30}, **changes), {"a", "b", "c"})
    assert {(flaw.pointer, flaw.code) for flaw in refusal.value.flaws} == flaws


def test_an_account_without_the_flow_makes_up_for_it_with_the_payments_that_it_can_take() -> None:
    rule = a_rule({"a": 50, "b": 50})
    accounts = [an_account("a"), replace(an_account("b"), flows=TOKEN | PAGE)]
    deficits: dict[str, int] = {}
    taken: list[tuple[str, bool]] = []
    for turn in range(1000):
        by_page = turn % 5 == 0
        wanted = Wanted("card", "KRW", 1000, PAGE if by_page else TOKEN)
        decision, deficits = choose(rule, accounts, deficits, wanted)
        taken.append((decision.account, by_page))
    assert {account for account, by_page in taken if by_page} == {"b"}
    assert Counter(account for account, _ in taken) == {"a": 500, "b": 500}


def test_the_same_decision_follows_from_the_same_facts() -> None:
    assert take(a_rule(THREE), [("abc", 1000)] * 50) == take(a_rule(THREE), [("abc", 1000)] * 50)
