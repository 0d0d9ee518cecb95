"""What a rule would have done, and how shares are shown. No database: the payments are given."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.schemas.routing import RuleIn, circuit_out, shares_out
from domain.health import Circuit
from domain.routing import AccountState, Constraint, Rule
from gateways.sandbox.adapter import CAPABILITIES
from queries.routing import AccountView, RoutedPayment, Tally, account_states, replay
from tests.domain.test_routing import CARD, TOKEN

PAUSED = datetime(2026, 11, 22, tzinfo=UTC)


def accounts(
    *, paused: str | None = None, disabled: str | None = None, tokens_only: str | None = None
) -> tuple[AccountState, ...]:
    views = [AccountView(name, "sandbox", name != disabled, PAUSED if name == paused else None) for name in ("a", "b")]
    whole = replace(CAPABILITIES, limits=(replace(CARD, max_instalments=12),))
    can = {view.id: replace(whole, flows=TOKEN) if view.id == tokens_only else whole for view in views}
    return account_states(views, can, (), PAUSED)


def payments(count: int, *, amount: int = 1000) -> list[RoutedPayment]:
    return [RoutedPayment("a", "card", "KRW", amount)] * count


def ratio(a: int, *, by: str = "count", constraints: tuple[Constraint, ...] = ()) -> Rule:
    return Rule(0, "ratio", by, (("a", a), ("b", 100 - a)), ("a", "b"), constraints)


@given(st.integers(0, 100))
def test_a_hundred_payments_follow_the_shares_exactly(share: int) -> None:
    preview = replay(ratio(share), accounts(), payments(100))
    counts = {tally.account: tally.count for tally in preview.tallies}
    assert counts == {name: count for name, count in (("a", share), ("b", 100 - share)) if count}
    assert preview.moved == 100 - share


def test_accounts_count_as_they_are_now() -> None:
    for states in (accounts(paused="a"), accounts(disabled="a")):
        assert replay(ratio(70), states, payments(10)).tallies == (Tally("b", 10, 10_000),)


def test_constraints_count_and_what_nobody_takes_is_named() -> None:
    only_small = tuple(Constraint(name, max_amount=500) for name in ("a", "b"))
    mixed = [*payments(3), *payments(2, amount=500)]
    preview = replay(ratio(50, constraints=only_small), accounts(), mixed)
    assert (preview.payments, preview.refused) == (5, {"card KRW": 3})
    assert sum(tally.count for tally in preview.tallies) == 2


def test_a_payment_without_a_token_is_replayed_only_where_there_is_a_page() -> None:
    on_a_page = [RoutedPayment("a", "card", "KRW", 1000, token=False, page=True)] * 4
    assert replay(ratio(50), accounts(tokens_only="a"), on_a_page).tallies == (Tally("b", 4, 4000),)
    alone = replace(ratio(100), fallback=())
    assert replay(alone, accounts(tokens_only="a"), on_a_page).refused == {"card KRW": 4}


def test_an_account_of_which_nobody_knows_what_it_can_do_takes_nothing() -> None:
    assert account_states([AccountView("a", "acme", True, None)], {}, (), PAUSED) == ()


def test_nothing_recent_is_nothing_done() -> None:
    preview = replay(ratio(70, by="amount"), accounts(), [])
    assert (preview.payments, preview.tallies, preview.moved) == (0, (), 0)


def test_shares_name_every_account_of_the_rule_and_every_other_that_got_something() -> None:
    shown = shares_out(ratio(70), [Tally("a", 1, 100), Tally("old", 3, 300)])
    assert [(each.account, each.configured_percent, each.count_percent) for each in shown] == [
        ("a", 70.0, 25.0),
        ("b", 30.0, 0.0),
        ("old", 0.0, 75.0),
    ]


def test_weights_keep_the_order_in_which_they_were_sent() -> None:
    rule = RuleIn.model_validate_json('{"strategy": "ratio", "weights": {"z": 30, "a": 30, "m": 40}}')
    assert rule.to_domain().weights == (("z", 30), ("a", 30), ("m", 40))


@pytest.mark.parametrize(
    "body",
    [
        {"strategy": "dice", "weights": {"a": 100}},
        {"strategy": "ratio", "weights": {"a": 50.0, "b": 50}},
        {"strategy": "ratio", "weights": {"a": True, "b": 99}},
        {"strategy": "ratio", "weights": {"a": -1, "b": 101}},
        {"strategy": "ratio", "weights": {"a": 100}, "active_from": "2026-11-22T00:00:00"},
        {"strategy": "ratio", "weights": {"a": 100}, "colour": "red"},
        {"strategy": "ratio", "weights": {"a": 100}, "constraints": [{"account": "a", "methods": ["bogus"]}]},
    ],
)
def test_a_misshapen_rule_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RuleIn.model_validate(body)


def test_instalments_count_in_a_preview() -> None:
    at_once = ratio(50, constraints=(Constraint("a", max_instalments=0),))
    in_parts = [RoutedPayment("a", "card", "KRW", 1000, instalments=3)] * 4
    assert replay(at_once, accounts(), in_parts).tallies == (Tally("b", 4, 4000),)


def test_a_circuit_is_shown_with_what_it_remembers_and_when_it_is_probed() -> None:
    half_a_minute = timedelta(seconds=30)
    circuit = Circuit("a", "card", window=(None, PAUSED, PAUSED), opened_at=PAUSED, successes=1)
    shown = circuit_out(circuit, PAUSED)
    assert (shown.state, shown.calls, shown.failures, shown.successes) == ("open", 3, 2, 1)
    assert (shown.last_failure_at, shown.probes_from) == (PAUSED, PAUSED + half_a_minute)
    probing = replace(circuit, probe_at=PAUSED + half_a_minute)
    assert circuit_out(probing, PAUSED + half_a_minute).probe_in_flight
    assert not circuit_out(circuit, PAUSED + half_a_minute).probe_in_flight
    healthy = circuit_out(Circuit("a", "card"), PAUSED)
    assert (healthy.state, healthy.last_failure_at, healthy.probes_from) == ("closed", None, None)
