"""What is captured in parts, as goods leave, goes to accounts that can, and elsewhere rather than nowhere."""

from dataclasses import replace

import pytest

from domain.errors import NoGatewayEligible
from domain.health import CircuitState, Condition
from domain.routing import AccountState
from tests.domain.test_routing import a_rule, an_account, decide

IN_PARTS = {"several_captures": True}


def once(name: str) -> AccountState:
    return replace(an_account(name), several_captures=False)


@pytest.mark.parametrize("strategy", ["ratio", "priority"])
@pytest.mark.parametrize("tried", ["", "c"])
def test_what_is_captured_in_parts_goes_where_that_can_be_and_elsewhere_only_if_nobody_else_can(
    strategy: str, tried: str
) -> None:
    rule = a_rule({"a": 60, "b": 40}, strategy=strategy, fallback=("c",))
    accounts = [once("a"), once("b"), an_account("c")]
    excluded = frozenset(tried)
    decision, _ = decide(rule, accounts, excluded=excluded, **IN_PARTS)
    assert (decision.account, decision.reason) == (("a", "captures_once") if tried else ("c", "fallback"))
    reasons = {each.account: (each.eligible, each.reason) for each in decision.candidates}
    assert reasons["a"] == reasons["b"] == (False, "no_several_captures")


def test_who_captures_once_and_is_sick_or_unfit_is_not_taken_for_that() -> None:
    rule = a_rule({"a": 60, "b": 40})
    sick = Condition("card", CircuitState.OPEN, may_probe=False, failures=3)
    decision, _ = decide(rule, [replace(once("a"), conditions=(sick,)), once("b")], **IN_PARTS)
    assert (decision.account, decision.reason) == ("b", "captures_once")
    with pytest.raises(NoGatewayEligible) as refusal:
        decide(rule, [replace(once("a"), paused=True), once("b")], **IN_PARTS, method="points")
    reasons = [each["reason"] for each in refusal.value.figures["candidates"]]
    assert reasons == ["paused", "method_not_offered"]
