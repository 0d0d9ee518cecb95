"""Accounts whose circuits are not closed: who waits, who probes, and who is tried when all are open."""

from collections import Counter
from dataclasses import replace

import pytest

from domain.errors import NoGatewayEligible
from domain.health import CircuitState, Condition
from domain.routing import AccountState, Wanted, choose
from tests.domain.test_routing import CARD, PAGE, TOKEN, a_rule, an_account, decide


def sick(name: str, state: CircuitState, *, failures: int = 5, may_probe: bool = False) -> AccountState:
    return replace(an_account(name), conditions=(Condition("card", state, may_probe, failures),))


def test_an_open_circuit_waits_for_its_share_and_a_half_open_one_takes_one_probe() -> None:
    rule = a_rule({"a": 70, "b": 30})
    decision, deficits = decide(rule, [sick("a", CircuitState.OPEN), an_account("b")])
    assert (decision.account, decision.candidates[0].reason, deficits) == ("b", "circuit_open", {"a": 70, "b": -70})
    decision, _ = decide(rule, [sick("a", CircuitState.HALF_OPEN), an_account("b")])
    assert (decision.account, decision.candidates[0].reason) == ("b", "probed")
    decision, _ = decide(rule, [sick("a", CircuitState.HALF_OPEN, may_probe=True), an_account("b")])
    assert (decision.account, decision.circuit, decision.reason) == ("a", "half_open", "largest_deficit")


def test_a_circuit_is_about_one_method() -> None:
    decision, _ = decide(
        a_rule({"a": 70, "b": 30}),
        [replace(sick("a", CircuitState.OPEN), limits=(CARD, replace(CARD, method="bank"))), an_account("b")],
        method="bank",
        amount=1000,
    )
    assert decision.account == "a"


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        ([sick("a", CircuitState.OPEN), sick("b", CircuitState.OPEN, failures=3)], "b"),
        ([sick("a", CircuitState.OPEN), sick("b", CircuitState.HALF_OPEN)], "a"),
        ([sick("a", CircuitState.OPEN), replace(sick("b", CircuitState.OPEN, failures=1), paused=True)], "a"),
    ],
)
def test_when_all_circuits_are_open_the_least_bad_account_is_tried(accounts: list[AccountState], expected: str) -> None:
    decision, deficits = decide(a_rule({"a": 70, "b": 30}), accounts)
    assert (decision.account, decision.reason, sum(deficits.values())) == (expected, "least_bad", 0)


def test_a_fallback_that_works_comes_before_the_least_bad() -> None:
    accounts = [sick("a", CircuitState.OPEN), an_account("b")]
    decision, deficits = decide(a_rule({"a": 100}, fallback=("b",)), accounts)
    assert (decision.account, decision.reason, deficits) == ("b", "fallback", {})
    both = [sick("a", CircuitState.OPEN), sick("b", CircuitState.OPEN)]
    assert decide(a_rule({"a": 100}, fallback=("b",)), both)[0].account == "a"
    assert decide(a_rule({}, strategy="priority", fallback=("b", "a")), both)[0].account == "b"


def test_while_all_circuits_are_open_the_equally_bad_keep_their_ratio() -> None:
    rule, taken = a_rule({"a": 70, "b": 30}), Counter[str]()
    deficits: dict[str, int] = {}
    for _ in range(100):
        accounts = [sick("a", CircuitState.OPEN), sick("b", CircuitState.OPEN)]
        decision, deficits = choose(rule, accounts, deficits, Wanted("card", "KRW", 1000, TOKEN))
        taken[decision.account] += 1
    assert taken == {"a": 70, "b": 30}


def test_an_account_that_lacks_the_flow_is_never_the_least_bad() -> None:
    rule = a_rule({"a": 70, "b": 30})
    beside = [replace(an_account("a"), flows=TOKEN), replace(sick("b", CircuitState.OPEN), flows=PAGE)]
    decision, _ = decide(rule, beside, flows=PAGE)
    assert (decision.account, decision.reason, decision.candidates[0].reason) == ("b", "least_bad", "flow_not_offered")
    alone = [sick("a", CircuitState.OPEN), sick("b", CircuitState.OPEN)]
    with pytest.raises(NoGatewayEligible) as refusal:
        decide(rule, alone, flows=PAGE)
    assert [each["reason"] for each in refusal.value.figures["candidates"]] == ["flow_not_offered"] * 2
