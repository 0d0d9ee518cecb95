"""What a PG settles against our books: found by example, read again, cut off, and told to the orders."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.client import WorkflowFailureError

from activities.settlement import BATCH
from commands.reconciliation import (
    CaseClosed,
    Credit,
    CreditDiffers,
    UnknownCase,
    assign_case,
    close_case,
    has_ended,
    reconcile_day,
    record_credit,
)
from commands.routing import UnknownGateway
from contracts.command import RefundMoney
from contracts.queues import UPDATES
from contracts.reconciliation import ReconcileInput, Tally
from domain.gateway import OperationKind
from domain.order import Order
from domain.reconciliation import Terms
from gateways.gateway import GatewayUnavailable, UnreadableSettlement
from queries.reconciliation import CaseFilter, CaseView, ImportView, list_cases, view_import
from tests.stack import ACCOUNTS, STORE, Shop, a_checkout, until
from tests.workflows.settled import (
    COLUMNS,
    BrokenStream,
    a_line,
    a_report,
    adyen,
    alone,
    an_account,
    an_import,
    lines_of,
    settled,
    steps,
)
from wiring.upkeep import ensure_schedules

ACTOR = "key:finance"


def today() -> date:
    return datetime.now(UTC).date()


async def reconcile(shop: Shop, account: str, day: date) -> ImportView:
    """One day of one account, to its end."""
    import_id = await reconcile_day(shop.client, shop.resources.database, STORE, account, day, actor=ACTOR)
    await shop.client.get_workflow_handle(f"reconciliation.{account}.{import_id}").result()
    return await imported(shop, import_id)


async def imported(shop: Shop, import_id: UUID) -> ImportView:
    async with shop.resources.database.reading() as connection:
        return await view_import(connection, STORE, import_id)


async def cases(shop: Shop, **wanted: Any) -> list[CaseView]:
    async with shop.resources.database.reading() as connection:
        return await list_cases(connection, STORE, CaseFilter(**wanted), limit=200)


async def case_of(shop: Shop, number: str, **wanted: Any) -> CaseView:
    [case] = [c for c in await cases(shop, **wanted) if c.number == number]
    return case


def charge_of(order: Order) -> tuple[str, Any]:
    """The account and the charge of an order's card."""
    [charge] = [
        o for o in order.operations if o.kind is OperationKind.AUTHORIZE and not order.payment(o.payment_id).internal
    ]
    return order.attempt(charge.attempt_id).account, charge


async def finding_of(shop: Shop, operation_id: UUID) -> str:
    [(finding,)] = await shop.sql("SELECT finding FROM settlement_line WHERE operation_id = :id", id=operation_id)
    return str(finding)


async def test_charges_and_refunds_of_a_day_match_and_the_same_day_again_brings_nothing_new(shop: Shop) -> None:
    number = await shop.placed()
    await shop.applied(number, RefundMoney("stain", amount=1500))
    order = await shop.becomes(number, "it is refunded", lambda o: o.refunded == 1500)
    account, charge = charge_of(order)
    [refund] = [
        o for o in order.operations if o.kind is OperationKind.REFUND and not order.payment(o.payment_id).internal
    ]
    first = await reconcile(shop, account, today())
    assert (first.state, first.problem) == ("reconciled", None)
    assert (await finding_of(shop, charge.id), await finding_of(shop, refund.id)) == ("matched", "matched")
    again = await reconcile(shop, account, today())
    assert (again.id, again.lines) == (first.id, first.lines)
    assert [c for c in await cases(shop) if c.number == number] == []


async def test_money_that_moved_by_hand_at_the_pg_opens_a_case_and_its_order_is_told_to_look(shop: Shop) -> None:
    number = await shop.placed()
    order = await shop.order(number)
    account, charge = charge_of(order)
    reference = order.attempt(charge.attempt_id).reference
    at_pg(shop, account, f"payments/{reference}/refunds", {"amount": 900, "currency": "KRW"})
    await reconcile(shop, account, today())
    case = await case_of(shop, number)
    assert (case.kind, case.expected, case.actual, case.line_kind) == ("missing_in_opms", 0, -900, "refund")
    assert case.hinted_at is not None
    signals = [
        event.workflow_execution_signaled_event_attributes.signal_name
        async for event in shop.workflow(number).fetch_history_events()
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
    assert "look_again" in signals
    await reconcile(shop, account, today())
    assert (await case_of(shop, number)).id == case.id


async def test_money_on_an_attempt_that_we_closed_is_asked_about_and_given_back(shop: Shop) -> None:
    placed = await shop.checkout(a_checkout(token="tok_lost"))
    order = await shop.becomes(
        placed.number, "the card is declined", lambda o: any(p.status == "declined" for p in o.payments)
    )
    account, charge = charge_of(order)
    merchant_ref = f"late-{uuid4().hex[:20]}"
    await shop.sql(
        "UPDATE attempt SET merchant_ref = :ref, reference = NULL WHERE id = :id",
        ref=merchant_ref,
        id=charge.attempt_id,
    )
    body = {
        "merchant_ref": merchant_ref,
        "amount": charge.amount,
        "currency": "KRW",
        "method": "card",
        "token": "tok_ok",
    }
    at_pg(shop, account, "payments", body)
    await reconcile(shop, account, today())
    case = await case_of(shop, placed.number)
    assert (case.kind, case.actual) == ("status_mismatch", charge.amount)
    assert (await shop.decided(case.id))["kind"] == "recheck"

    async def given_back() -> bool:
        ledger = shop.sandbox.ledger(merchant_ref=merchant_ref)
        return bool(ledger["net"]) and not any(ledger["net"].values())

    await until("the money goes back", given_back)
    await shop.becomes(placed.number, "the refund is known", lambda o: not o.in_flight)
    await reconcile(shop, account, today())
    [closed] = [c for c in await cases(shop, state="closed") if c.id == case.id]
    assert closed.closed_by == "opms.reconciliation"


async def test_what_no_line_speaks_of_is_missing_only_after_all_its_days_and_closed_when_the_line_comes(
    shop: Shop,
) -> None:
    account = await an_account(shop)
    number = await shop.placed()
    home, charge = charge_of(await shop.order(number))
    day = today() - timedelta(days=4)
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    await shop.sql("UPDATE attempt SET account = :to WHERE id = :id", to=account, id=charge.attempt_id)
    await shop.sql("UPDATE operation SET initiated_at = :at, resolved_at = :at WHERE id = :id", at=at, id=charge.id)
    own = steps(shop, {account: BrokenStream(())})
    tallies = []
    for later in range(3):
        await alone(own.read_settlement, await an_import(shop, account, day + timedelta(days=later)))
        tallies.append((await alone(own.judge_movements, account)).findings)
    assert tallies == [{"timing": 1}, {"timing": 1}, {"missing_at_pg": 1}]
    assert ((await case_of(shop, number)).kind, (await case_of(shop, number)).expected) == (
        "missing_at_pg",
        charge.amount,
    )
    line = a_line(1, account, operation_ref=charge.operation_ref, gross=charge.amount, net=charge.amount)
    own = steps(shop, {account: BrokenStream([line])})
    late = await an_import(shop, account, today())
    await alone(own.read_settlement, late)
    assert (await alone(own.judge_lines, late)).findings == {"matched": 1}
    assert [c for c in await cases(shop) if c.number == number] == []
    await shop.sql("UPDATE attempt SET account = :to WHERE id = :id", to=home, id=charge.attempt_id)


async def test_a_reading_that_broke_goes_on_and_one_that_changed_begins_anew_and_no_line_counts_twice(
    shop: Shop,
) -> None:
    account = await an_account(shop)
    lines = [a_line(n, account) for n in range(2 * BATCH + 500)]
    due = await an_import(shop, account, date(2026, 11, 20))
    told: list[Any] = []
    broken = BrokenStream(lines, after=2 * BATCH + 100)
    with pytest.raises(GatewayUnavailable):
        await alone(steps(shop, {account: broken}).read_settlement, due, told=told)
    assert (await imported(shop, due.id)).state == "reading"
    assert len(await lines_of(shop, due.id)) == 2 * BATCH
    again = [*lines, lines[3]]
    read = await alone(steps(shop, {account: BrokenStream(again)}).read_settlement, due, heartbeat=told[-1])
    assert read == len(again)
    assert await lines_of(shop, due.id) == {line.line_id: int(line is lines[3]) for line in lines}
    other_order = BrokenStream([a_line(-1, account), *lines])
    await alone(steps(shop, {account: other_order}).read_settlement, due, heartbeat=told[-1])
    assert len(await lines_of(shop, due.id)) == len(lines) + 1
    assert set((await lines_of(shop, due.id)).values()) == {0}


async def test_a_file_is_read_by_its_headers_and_the_same_lines_in_another_file_are_nothing_new(shop: Shop) -> None:
    account = await an_account(shop, "adyen")
    own = steps(shop, {account: adyen(account)}, Terms("Asia/Seoul"))
    rows = [settled(n) for n in range(30)]
    first = await an_import(shop, account, None, a_report(rows))
    assert await alone(own.read_settlement, first) == 30
    assert len(await lines_of(shop, first.id)) == 30
    assert (await imported(shop, first.id)).state == "read"
    shuffled = await an_import(shop, account, None, a_report(rows, COLUMNS[::-1]))
    assert await alone(own.read_settlement, shuffled) == 30
    assert await lines_of(shop, shuffled.id) == {}
    assert (await alone(own.judge_lines, first)).findings == {"missing_in_opms": 30}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (a_report(settled(n) for n in range(3))[:-40], "in the middle of a line"),
        (a_report([settled(1), settled(2)]).rsplit(b",", 3)[0] + b"\n", "cells"),
        (a_report([settled(1)], COLUMNS[:-5]), "lacks 'Net Currency'"),
        (a_report([settled(1), settled(2, **{"Gross Credit (GC)": "12,5"})]), "line 3"),
        (a_report([settled(1), settled(2, **{"Creation Date": "yesterday"})]), "line 3"),
        (a_report([settled(1), settled(2, **{"Merchant Account": "Stranger"})]), "'Stranger', and .* is 'OpmsKR'"),
        (a_report([]), "no line below its headers"),
        (a_report([settled(1)]).replace(b"visa", b"\xff\xfe"), "not UTF-8"),
        (b"\n", "no header"),
        (b"", "is empty"),
    ],
)
async def test_a_file_that_is_cut_or_strange_is_refused_as_a_whole(shop: Shop, content: bytes, said: str) -> None:
    account = await an_account(shop, "adyen")
    due = await an_import(shop, account, None, content)
    with pytest.raises(UnreadableSettlement, match=said):
        await alone(steps(shop, {account: adyen(account)}).read_settlement, due)
    assert await lines_of(shop, due.id) == {}


async def test_a_run_that_temporal_has_forgotten_is_over(shop: Shop) -> None:
    assert await has_ended(shop.client, "sandbox-a", uuid4(), within=timedelta(seconds=30))


async def test_an_import_that_cannot_be_read_says_so_and_may_be_asked_for_again(shop: Shop) -> None:
    account = await an_account(shop)
    import_id = await reconcile_day(shop.client, shop.resources.database, STORE, account, today(), actor=ACTOR)
    with pytest.raises(WorkflowFailureError):
        await shop.client.get_workflow_handle(f"reconciliation.{account}.{import_id}").result()
    failed = await imported(shop, import_id)
    assert (failed.state, failed.lines) == ("failed", 0)
    assert account in (failed.problem or "")
    again = await reconcile_day(shop.client, shop.resources.database, STORE, account, today(), actor=ACTOR)
    assert again == import_id
    with pytest.raises(UnknownGateway):
        await reconcile_day(shop.client, shop.resources.database, STORE, "nobodys", today(), actor=ACTOR)


async def test_a_payout_is_compared_with_the_banks_credit(shop: Shop) -> None:
    account = await an_account(shop)
    lines = [a_line(n, account, payout_ref=f"po-{n % 2}", fee=10, net=990 + n) for n in range(4)]
    lines.append(a_line(9, account, kind="payout", payout_ref="po-0", gross=-1982, net=-1982))
    own = steps(shop, {account: BrokenStream(lines)})
    await alone(own.read_settlement, await an_import(shop, account, today() - timedelta(days=1)))
    for payout, amount in (("po-0", 990 + 992), ("po-1", 1), ("po-2", 5)):
        credit = Credit(account, payout, amount, "KRW", today())
        recorded = [await record_credit(shop.resources.database, STORE, credit, actor=ACTOR) for _ in range(2)]
        assert recorded[0] == recorded[1]
    assert (await alone(own.judge_payouts, account)).findings == {"matched": 1, "payout_mismatch": 1, "timing": 1}
    [case] = await cases(shop, account=account, kind="payout_mismatch")
    assert (case.expected, case.actual) == (991 + 993, 1)
    with pytest.raises(CreditDiffers):
        await record_credit(shop.resources.database, STORE, Credit(account, "po-1", 2, "KRW", today()), actor=ACTOR)


@pytest.mark.parametrize(
    ("paid_on", "credited", "findings"),
    [
        (0, 990 + 991, {"matched": 1}),
        (0, 990, {"payout_mismatch": 1}),
        (1, 990 + 991, {"payout_mismatch": 1}),
        (None, 990 + 991, {"timing": 1}),
    ],
    ids=["all of its day", "too little", "another day", "no day is named"],
)
async def test_lines_that_name_no_payout_are_of_the_one_of_their_day(
    shop: Shop, paid_on: int | None, credited: int, findings: dict[str, int]
) -> None:
    account, day = await an_account(shop), today() - timedelta(days=1)
    when = None if paid_on is None else day + timedelta(days=paid_on)
    lines = [a_line(n, account, fee=10, net=990 + n, paid_on=when) for n in range(2)]
    own = steps(shop, {account: BrokenStream(lines)})
    await alone(own.read_settlement, await an_import(shop, account, day))
    await record_credit(shop.resources.database, STORE, Credit(account, "bank-1", credited, "KRW", day), actor=ACTOR)
    assert (await alone(own.judge_payouts, account)).findings == findings


async def test_a_case_has_an_owner_and_what_was_explained_is_not_asked_again(shop: Shop) -> None:
    account = await an_account(shop)
    database = shop.resources.database
    own = steps(shop, {account: BrokenStream([a_line(1, account), a_line(2, account)])})
    due = await an_import(shop, account, today())
    for _ in range(2):
        await alone(own.read_settlement, due)
        await alone(own.judge_lines, due)
        assert len(await cases(shop, account=account)) == 2
    newest, oldest = await cases(shop, account=account)
    await assign_case(database, STORE, newest.id, owner="Choi", note=None)
    assert [c.id for c in await cases(shop, account=account, owner="Choi")] == [newest.id]
    await close_case(database, STORE, newest.id, actor=ACTOR, note="a test charge of the PG's own")
    with pytest.raises(CaseClosed):
        await close_case(database, STORE, newest.id, actor=ACTOR, note="again")
    with pytest.raises(UnknownCase):
        await assign_case(database, "elsewhere", oldest.id, owner="Choi", note=None)
    await shop.sql("UPDATE settlement_line SET finding = NULL WHERE account = :account", account=account)
    await alone(own.judge_lines, due)
    assert [c.id for c in await cases(shop, account=account)] == [oldest.id]


async def test_the_schedule_reads_yesterday_and_the_days_whose_lines_may_be_late(shop: Shop) -> None:
    handle = await shop.client.start_workflow(
        "Reconciliation", ReconcileInput(ACCOUNTS[1]), id=f"scheduled-{uuid4()}", task_queue=UPDATES, result_type=Tally
    )
    await handle.result()
    rows = await shop.sql(
        "SELECT day, state FROM settlement_import "
        "WHERE account = :account AND day < :today AND requested_by = 'schedule'",
        account=ACCOUNTS[1],
        today=today(),
    )
    days = {today() - timedelta(days=back): "reconciled" for back in (1, 2, 3)}
    assert dict(rows) == days


async def test_a_schedule_for_every_account_in_its_own_time_zone_and_a_change_of_it_is_taken_over(shop: Shop) -> None:
    for zone in ("Asia/Seoul", "Europe/Berlin"):
        await ensure_schedules(shop.client, {"sandbox-a": Terms(zone)})
        found = await shop.client.get_schedule_handle("opms-reconciliation-sandbox-a").describe()
        assert found.schedule.spec.time_zone_name == zone
        assert [c.hour[0].start for c in found.schedule.spec.calendars] == [4]
    for name in ("reconciliation-sandbox-a", "relay", "housekeeping", "hints"):
        await shop.client.get_schedule_handle(f"opms-{name}").delete()


def at_pg(shop: Shop, account: str, path: str, body: dict[str, Any]) -> None:
    """Something that the PG was asked for by somebody else."""
    headers = {"Authorization": "Bearer secret", "Idempotency-Key": uuid4().hex}
    shop.sandbox.http.post(f"/{account}/v1/{path}", json=body, headers=headers).raise_for_status()
