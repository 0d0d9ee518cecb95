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


async def test_only_what_is_available_is_paid_out_and_the_rest_on_its_own_day(stripe_: Payday) -> None:
    await stripe_.take(5000)
    stripe_.days_pass(2)
    await stripe_.take(700)
    stripe_.days_pass(1)
    assert [one["amount"] for one in (await stripe_.ask("GET", "/payouts"))["data"]] == [5000]
    stripe_.days_pass(2)
    assert [one["amount"] for one in (await stripe_.ask("GET", "/payouts"))["data"]] == [700, 5000]


async def test_a_payday_that_was_slept_through_pays_on_the_day_on_which_it_wakes(stripe_: Payday) -> None:
    await stripe_.take(5000)
    stripe_.now += 9 * DAY
    stripe_.run_jobs()
    [payout] = (await stripe_.ask("GET", "/payouts"))["data"]
    assert payout["arrival_date"] == stripe_.now // DAY * DAY
    await stripe_.take(800)
    stripe_.days_pass(3)
    assert [one["amount"] for one in (await stripe_.ask("GET", "/payouts"))["data"]] == [800, 5000]


async def test_a_payday_that_comes_a_moment_early_pays_all_the_same(stripe_: Payday) -> None:
    await stripe_.take(5000)
    [(due,)] = stripe_.storage.connection.execute("SELECT due_at FROM jobs").fetchall()
    stripe_.storage.connection.execute("UPDATE jobs SET due_at = due_at - 0.000001")
    stripe_.now = due - 0.000001
    assert stripe_.run_jobs() == 1
    assert [one["arrival_date"] for one in (await stripe_.ask("GET", "/payouts"))["data"]] == [due]


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
        ({"automatic": False, "reconciliation_status": "not_applicable", "status": "paid"}, False),
        ({"automatic": False, "status": "paid"}, False),
    ],
)
def test_only_what_stripe_can_explain_is_asked_about(payout: dict[str, Any], explained: bool) -> None:
    assert wire.is_explained(payout) is explained


def balance_of(line_id: str, net: int, category: str = "charge") -> dict[str, Any]:
    """A balance transaction of long ago."""
    fixed = {"currency": "krw", "fee": 0, "created": 1_790_000_000, "reporting_category": category}
    return {"id": line_id, "amount": net, "net": net, **fixed}


async def test_a_payout_that_tells_nothing_takes_nothing_with_it() -> None:
    day = {"arrival_date": 1_790_208_000}
    payouts = [
        {"id": "po_good", **EXPLAINED, **day},
        {"id": "po_failed", **EXPLAINED, **day, "status": "failed"},
        {"id": "po_refused", **EXPLAINED, **day},
        {"id": "po_by_hand", "automatic": False, "status": "paid", **day},
        {"id": "po_in_progress", "automatic": True, "reconciliation_status": "in_progress", "status": "paid", **day},
    ]
    parts = {
        "po_good": [balance_of("txn_1", 3000), balance_of("txn_2", 5000, "payout_reversal")],
        "po_failed": [balance_of("txn_3", 5000)],
        None: [balance_of("txn_4", 700)],
    }

    def answer(request: httpx.Request) -> httpx.Response:
        payout = request.url.params.get("payout")
        if payout not in parts:
            return httpx.Response(400, json={"error": {"type": "invalid_request_error", "message": "no history"}})
        listed = payouts if request.url.path == "/v1/payouts" else parts[payout]
        return httpx.Response(200, json={"object": "list", "data": listed, "has_more": False})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        gateway = StripeGateway(Account(ACCOUNT, "http://pg.test", KEY), client=client)
        lines = [line async for line in gateway.settlement_lines(date(2026, 9, 24))]
    assert [(line.line_id, line.payout_ref, line.net) for line in lines] == [
        ("txn_1", "po_good", 3000),
        ("txn_2", "po_good", 5000),
        ("txn_3", None, 5000),
        ("txn_4", None, 700),
    ]
    assert len(moved(lines)) == 4, "what came back of a payout that failed counts in the next one"


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
