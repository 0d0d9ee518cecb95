"""What the sandbox's Stripe pays out, days later, and what our settlement lines make of it."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from domain.reconciliation import LineKind
from gateways.field import Unreadable
from gateways.gateway import Account, GatewayUnavailable, SettlementLine
from gateways.stripe import wire
from gateways.stripe.adapter import StripeGateway
from tests.gateways.rig import KEY
from tests.gateways.rigs.payday import DAY, Payday

ACCOUNT = "stripe-paid"


@pytest.fixture
async def stripe_(tmp_path: Path) -> AsyncIterator[Payday]:
    """A Stripe that has moved nothing yet."""
    built = Payday(tmp_path, ACCOUNT)
    yield built
    await built.close()


def moved(lines: list[SettlementLine]) -> list[SettlementLine]:
    """All but the payouts themselves."""
    return [line for line in lines if line.kind != LineKind.PAYOUT]


async def test_each_line_of_a_payout_names_it_and_they_add_up_to_it(stripe_: Payday) -> None:
    began = stripe_.today()
    await stripe_.take(5000)
    await stripe_.give_back(await stripe_.take(7000), 2000)
    made = await stripe_.lines(began)
    assert sorted(line.net for line in made) == [-2000, 5000, 7000]
    assert {(line.payout_ref, line.paid_on) for line in made} == {(None, None)}

    stripe_.days_pass(3)
    arrival = began + timedelta(days=3)
    [payout] = (await stripe_.ask("GET", "/payouts"))["data"]
    assert (payout["amount"], payout["currency"], payout["status"]) == (10_000, "krw", "paid")
    paid = await stripe_.lines(arrival)
    assert {(line.payout_ref, line.paid_on) for line in paid} == {(payout["id"], arrival)}
    assert {line.line_id for line in moved(paid)} == {line.line_id for line in made}
    assert sum(line.net for line in moved(paid)) == payout["amount"]
    assert sum(line.net for line in paid) == 0
    assert len(paid) == len({line.line_id for line in paid}) == 4, "made and paid out on one day: the payout, told once"
    assert {line.line_id for line in await stripe_.lines(began)} == {line.line_id for line in made}
    assert [event["type"] for event in stripe_.posted if "payout" in event["type"]] == ["payout.created", "payout.paid"]
    assert (await stripe_.ask("GET", "/balance"))["available"] == [
        {"amount": 0, "currency": "krw", "source_types": {"card": 0}}
    ]
    stripe_.days_pass(10)
    assert len((await stripe_.ask("GET", "/payouts"))["data"]) == 1, "nothing is paid out twice"


async def test_a_balance_below_nothing_waits_for_more(stripe_: Payday) -> None:
    intent = await stripe_.take(5000)
    stripe_.days_pass(3)
    await stripe_.give_back(intent, 5000)
    stripe_.days_pass(3)
    assert [one["amount"] for one in (await stripe_.ask("GET", "/payouts"))["data"]] == [5000]
    await stripe_.take(8000)
    stripe_.days_pass(3)
    assert [one["amount"] for one in (await stripe_.ask("GET", "/payouts"))["data"]] == [3000, 5000]
    assert sorted(line.net for line in moved(await stripe_.lines(stripe_.today()))) == [-5000, 8000]


async def test_each_currency_is_paid_out_by_itself(stripe_: Payday) -> None:
    await stripe_.take(5000)
    await stripe_.take(999, "usd")
    stripe_.days_pass(3)
    lines = await stripe_.lines(stripe_.today())
    assert {(line.currency, line.net) for line in moved(lines)} == {("KRW", 5000), ("USD", 999)}
    assert len({line.payout_ref for line in lines}) == 2


async def test_a_long_list_is_read_page_by_page(stripe_: Payday) -> None:
    for amount in range(1001, 1106):
        await stripe_.take(amount)
    stripe_.days_pass(3)
    assert sorted(line.net for line in moved(await stripe_.lines(stripe_.today()))) == list(range(1001, 1106))


async def test_lists_are_filtered_as_stripe_does(stripe_: Payday) -> None:
    await stripe_.take(5000)
    stripe_.days_pass(3)
    [payout] = (await stripe_.ask("GET", "/payouts"))["data"]
    arrival = payout["arrival_date"]
    expanded = await stripe_.ask(
        "GET", f"/payouts/{payout['id']}", {"expand[]": ["destination", "balance_transaction"]}
    )
    assert set(payout) == set(stripe.Payout.__annotations__) - {"OBJECT_NAME"}
    assert expanded["destination"]["object"] == "bank_account"
    assert set(expanded["destination"]) <= set(stripe.BankAccount.__annotations__)
    assert expanded["balance_transaction"]["net"] == -5000
    for query, count in (
        ({"arrival_date[gte]": arrival, "arrival_date[lt]": arrival + DAY}, 1),
        ({"arrival_date[gt]": arrival}, 0),
        ({"arrival_date": arrival}, 1),
        ({"status": "paid"}, 1),
        ({"status": "failed"}, 0),
        ({"destination": payout["destination"]}, 1),
    ):
        assert len((await stripe_.ask("GET", "/payouts", query))["data"]) == count, query
    for path, query in (
        ("/payouts", {"arrival_date": "tomorrow"}),
        ("/balance_transactions", {"payout": "po_nobody"}),
    ):
        headers = {"Authorization": f"Bearer {KEY}"}
        refused = await stripe_.http.get(f"{stripe_.url}/v1{path}", params=query, headers=headers)
        assert refused.status_code == 400, refused.text


EXPLAINED = {"automatic": True, "reconciliation_status": "completed", "status": "paid"}


@pytest.mark.parametrize(
    ("payout", "explained"),
    [
        (EXPLAINED, True),
        (EXPLAINED | {"status": "in_transit"}, True),
        ({"automatic": True, "status": "paid"}, True),
        (EXPLAINED | {"reconciliation_status": "in_progress"}, False),
        (EXPLAINED | {"status": "failed"}, False),
        (EXPLAINED | {"status": "canceled"}, False),
        ({"automatic": False, "reconciliation_status": "not_applicable", "status": "paid"}, False),
        ({"automatic": False, "status": "paid"}, False),
    ],
)
def test_only_what_stripe_can_explain_is_asked_about(payout: dict[str, Any], explained: bool) -> None:
    assert wire.is_explained(payout) is explained


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, json={"error": {"message": "broken"}}),
        httpx.Response(200, json={"object": "list", "data": "none"}),
        httpx.Response(200, json={"object": "list", "data": [{"automatic": True}], "has_more": False}),
        httpx.Response(200, json={"object": "list", "data": [{"id": "po_1"}, {}], "has_more": True}),
    ],
)
async def test_a_list_that_cannot_be_read_is_asked_for_again_later(answer: httpx.Response) -> None:
    transport = httpx.MockTransport(lambda _: answer)
    async with httpx.AsyncClient(transport=transport) as client:
        gateway = StripeGateway(Account(ACCOUNT, "http://pg.test", KEY), client=client)
        with pytest.raises(GatewayUnavailable):
            _ = [line async for line in gateway.settlement_lines(date(2026, 11, 24))]


def test_a_payout_without_a_day_is_unreadable() -> None:
    transaction = {"id": "txn_1", "currency": "krw", "amount": 1, "fee": 0, "net": 1, "created": 0}
    with pytest.raises(Unreadable):
        wire.settlement_line(ACCOUNT, {**transaction, "reporting_category": "charge"}, {"id": "po_1"})
