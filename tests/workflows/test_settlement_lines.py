"""Which line of a settlement is the same line again, which is another, and what becomes of what a PG takes back."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from activities.reconciliation import ReconciliationActivities
from contracts.reconciliation import Import
from domain.gateway import OperationKind, Outcome
from domain.reconciliation import Terms
from gateways.adyen.adapter import AdyenGateway
from gateways.gateway import Account, SettlementLine, UnreadableSettlement, WebhookEvent
from queries.audit import open_cases
from queries.reconciliation import CaseFilter, CaseView, ImportView, list_cases, view_import
from tests.gateways.rigs.adyen_said import KnownEvents, an_event
from tests.stack import STORE, Shop
from tests.workflows.settled import (
    BrokenStream,
    a_line,
    a_report,
    alone,
    an_account,
    an_import,
    lines_of,
    settled,
    steps,
)
from wiring.webhook import StoredEvents

DAY = date(2026, 11, 20)


@dataclass(frozen=True, slots=True)
class Books:
    """One paid order whose card was charged at an account of its own."""

    shop: Shop
    account: str
    number: str
    amount: int
    operation_ref: str

    def line(self, **changed: Any) -> SettlementLine:
        """The PG's line about the charge, as our books have it."""
        fixed = {"operation_ref": self.operation_ref, "gross": self.amount, "net": self.amount}
        return a_line(1, self.account, **fixed | changed)

    async def reads(self, *lines: SettlementLine, day: date = DAY, due: Import | None = None) -> Import:
        """A day read and judged."""
        due = due or await an_import(self.shop, self.account, day)
        own = steps(self.shop, {self.account: BrokenStream(lines)})
        await alone(own.read_settlement, due)
        await alone(own.judge_lines, due)
        return due

    async def view(self, due: Import) -> ImportView:
        async with self.shop.resources.database.reading() as connection:
            return await view_import(connection, STORE, due.id)

    async def cases(self, state: Any = "open") -> list[CaseView]:
        """Of this account, the oldest first."""
        async with self.shop.resources.database.reading() as connection:
            return (await list_cases(connection, STORE, CaseFilter(state, account=self.account), limit=50))[::-1]

    async def findings(self) -> list[tuple[Any, ...]]:
        """Every stored line: its money, what was found of it, and whether it is paired with the charge."""
        look = """
            SELECT gross, fee, finding, operation_id IS NOT NULL FROM settlement_line
             WHERE account = :account ORDER BY id
        """
        return await self.shop.sql(look, account=self.account)


@pytest.fixture
async def books(shop: Shop) -> AsyncIterator[Books]:
    """See `Books`."""
    account = await an_account(shop, "adyen")
    number = await shop.placed()
    order = await shop.order(number)
    [charge] = [
        o for o in order.operations if o.kind is OperationKind.AUTHORIZE and not order.payment(o.payment_id).internal
    ]
    at = datetime(DAY.year, DAY.month, DAY.day, 1, tzinfo=UTC)
    await shop.sql("UPDATE attempt SET account = :to WHERE id = :id", to=account, id=charge.attempt_id)
    await shop.sql("UPDATE operation SET initiated_at = :at, resolved_at = :at WHERE id = :id", at=at, id=charge.id)
    assert charge.operation_ref is not None
    yield Books(shop, account, number, charge.amount, charge.operation_ref)
    home = order.attempt(charge.attempt_id).account
    await shop.sql("UPDATE attempt SET account = :to WHERE id = :id", to=home, id=charge.attempt_id)
    await shop.sql("UPDATE operation SET outcome = 'succeeded' WHERE id = :id", id=charge.id)


REPORT = "http://pg.test/reports/settlement_detail_report_batch_7.csv"


def announced() -> WebhookEvent:
    return an_event("REPORT_AVAILABLE", None, merchant_ref=None, reason=REPORT)


Channel = Callable[[], Awaitable[Import]]


@pytest.mark.parametrize("fetched_first", [True, False])
async def test_the_same_report_by_fetch_and_by_file_is_nothing_new_in_either_order(
    books: Books, *, fetched_first: bool
) -> None:
    shop, account = books.shop, books.account
    charge = settled(1) | {"Modification Reference": books.operation_ref, "Commission (NC)": "0"}
    charge |= {"Gross Credit (GC)": str(books.amount), "Net Credit (NC)": str(books.amount)}
    payout = {"Type": "MerchantPayout", "Net Debit (NC)": str(books.amount)}
    report = a_report([charge, payout])
    event = announced()
    assert event.occurred_at is not None
    day = event.occurred_at.date()

    async def by_fetch() -> Import:
        return await an_import(shop, account, day)

    async def by_file() -> Import:
        return await an_import(shop, account, None, report)

    respond = httpx.MockTransport(lambda _request: httpx.Response(200, content=report))
    async with httpx.AsyncClient(transport=respond) as client:
        at = Account(account, "http://pg.test", "key", webhook_secret="00", merchant="OpmsKR")
        own = steps(shop, {account: AdyenGateway(at, client=client, events=KnownEvents(event))}, Terms("Asia/Seoul"))
        first, again = [await channel() for channel in _in_order(by_fetch, by_file, swapped=not fetched_first)]
        assert await _judged(own, first) == {"matched": 1, "bookkeeping": 1}
        assert await _judged(own, again) == {}
    assert [(v.lines, v.new) for v in (await books.view(first), await books.view(again))] == [(2, 2), (2, 0)]
    assert await books.cases("all") == []
    [(paid_on,)] = await shop.sql(
        "SELECT DISTINCT paid_on FROM settlement_line WHERE account = :account", account=account
    )
    assert paid_on == day, "what one channel knows, the other does not take away"


@pytest.mark.parametrize(
    ("says", "evidence"),
    [
        ({}, 1),
        ({"net": 1, "gross": 1}, 0),
        ({"currency": "USD"}, 0),
        ({"operation_ref": "another"}, 1),
    ],
    ids=["as asked", "another amount", "another currency", "by the payment alone"],
)
async def test_a_line_about_an_operation_in_doubt_is_evidence_of_it(
    books: Books, says: dict[str, Any], evidence: int
) -> None:
    shop = books.shop
    of_charge = "operation_ref = :ref AND outcome IN ('succeeded', 'pending')"
    await shop.sql(f"UPDATE operation SET outcome = 'pending' WHERE {of_charge}", ref=books.operation_ref)
    [(merchant_ref,)] = await shop.sql("SELECT merchant_ref FROM attempt WHERE account = :a", a=books.account)
    stored = StoredEvents(shop.resources.database, books.account)
    due = await books.reads(books.line(merchant_ref=merchant_ref, **says))
    found = await stored.of(merchant_ref)
    assert [(e.outcome, e.amount, e.currency) for e in found] == [(Outcome.SUCCEEDED, books.amount, "KRW")] * evidence
    back = {"line_id": "line-2", "kind": "reversal", "gross": -books.amount, "net": -books.amount}
    reversal = books.line(merchant_ref=merchant_ref, **says | back)
    await books.reads(books.line(merchant_ref=merchant_ref, **says), reversal, due=due)
    assert await stored.of(merchant_ref) == (), "what was taken back since proves nothing"
    await books.reads(due=due)
    await shop.sql(f"UPDATE operation SET outcome = 'succeeded' WHERE {of_charge}", ref=books.operation_ref)
    assert await stored.of(merchant_ref) == (), "nor does what the PG says no longer"


def _in_order(one: Channel, other: Channel, *, swapped: bool) -> tuple[Channel, Channel]:
    return (other, one) if swapped else (one, other)


async def _judged(own: ReconciliationActivities, due: Import) -> dict[str, int]:
    await alone(own.read_settlement, due)
    found: dict[str, int] = (await alone(own.judge_lines, due)).findings
    return found


async def test_what_becomes_known_of_a_line_is_taken_over_and_another_name_has_it_judged_anew(books: Books) -> None:
    unnamed = books.line(operation_ref=None, merchant_ref=None, reference=None)
    due = await books.reads(unnamed)
    assert [case.kind for case in await books.cases()] == ["missing_in_opms"]
    later = books.line(paid_on=DAY, payout_ref="po-1", occurred_at=unnamed.occurred_at + timedelta(hours=9))
    await books.reads(later, due=due)
    assert await books.findings() == [(books.amount, 0, "matched", True)]
    assert await books.cases() == []
    await books.reads(unnamed, due=due)
    assert await books.findings() == [(books.amount, 0, "matched", True)]
    known = await books.shop.sql(
        "SELECT payout_ref, operation_ref FROM settlement_line WHERE account = :account", account=books.account
    )
    assert known == [("po-1", books.operation_ref)]


async def test_one_operation_settled_by_two_lines_or_twice_under_one_name_is_a_duplicate(books: Books) -> None:
    amount = books.amount
    other_name = books.line(line_id="line-2")
    other_money = books.line(gross=amount + 5, net=amount + 5)
    await books.reads(books.line(), other_name, other_money)
    assert await books.findings() == [
        (amount, 0, "matched", True),
        (amount, 0, "duplicate_line", False),
        (amount + 5, 0, "duplicate_line", False),
    ]
    assert [(c.kind, c.actual, c.owner) for c in await books.cases()] == [
        ("duplicate_line", amount, "finance"),
        ("duplicate_line", amount + 5, "finance"),
    ]


async def test_a_line_with_another_amount_than_before_is_held_against_our_books(books: Books) -> None:
    amount = books.amount
    due = await books.reads(books.line())
    for _ in range(2):  # The second time it says what it said before.
        await books.reads(books.line(gross=amount - 100, net=amount - 100), due=due)
        assert await books.findings() == [(amount, 0, "withdrawn", False), (amount - 100, 0, "amount_mismatch", True)]
        [case] = await books.cases("all")
        assert (case.kind, case.expected, case.actual) == ("amount_mismatch", amount, amount - 100)


async def test_a_line_that_was_put_right_closes_its_case_and_is_still_shown_as_changed(books: Books) -> None:
    amount = books.amount
    due = await books.reads(books.line(gross=amount - 100, net=amount - 100))
    await books.reads(books.line(), due=due)
    assert await books.findings() == [(amount - 100, 0, "withdrawn", False), (amount, 0, "changed_line", True)]
    wrong, changed = await books.cases("all")
    assert (wrong.kind, wrong.closed_by) == ("amount_mismatch", "opms.reconciliation")
    assert (changed.kind, changed.closed_at, changed.owner) == ("changed_line", None, "finance")
    assert (changed.expected, changed.actual, changed.number) == (amount - 100, amount, books.number)
    async with books.shop.resources.database.reading() as connection:
        _, told = await open_cases(connection)
    [one] = [one.what for one in told if one.subject == books.number]
    assert one.startswith(f"changed_line at {books.account}: before, the PG said {amount - 100}, the PG {amount} KRW")
    assert one.endswith("with finance")


async def test_what_another_day_or_file_says_of_a_line_takes_the_place_of_what_was_said_before(books: Books) -> None:
    amount = books.amount
    first = await books.reads(books.line(gross=amount - 100, net=amount - 100))
    other = await books.reads(books.line(), day=DAY + timedelta(days=1))
    assert await books.findings() == [(amount - 100, 0, "withdrawn", False), (amount, 0, "changed_line", True)]
    assert [(c.kind, c.closed_by) for c in await books.cases("all")] == [
        ("amount_mismatch", "opms.reconciliation"),
        ("changed_line", None),
    ]
    assert [((v := await books.view(due)).new, v.withdrawn) for due in (first, other)] == [(0, 1), (1, 0)]


async def test_a_fee_that_is_changed_afterwards_is_found_though_no_contract_is_known(books: Books) -> None:
    amount = books.amount
    due = await books.reads(books.line(fee=30, net=amount - 30, payout_ref="po-1"))
    assert await books.cases() == []
    await books.reads(books.line(fee=50, net=amount - 50, payout_ref="po-1"), due=due)
    [case] = await books.cases()
    assert (case.kind, case.expected, case.actual) == ("changed_line", amount - 30, amount - 50)
    assert (await books.view(due)).findings == {"changed_line": 1}
    await books.reads(books.line(fee=30, net=amount - 30, payout_ref="po-1"), due=due)
    assert await books.findings() == [(amount, 30, "changed_line", True), (amount, 50, "withdrawn", False)]


async def test_a_payout_is_the_sum_of_what_the_pg_says_now(books: Books) -> None:
    shop, amount = books.shop, books.amount
    due = await books.reads(books.line(fee=30, net=amount - 30, payout_ref="po-1"))
    await books.reads(books.line(fee=50, net=amount - 50, payout_ref="po-1"), due=due)
    credit = """
        INSERT INTO bank_credit (id, account, payout_ref, amount, currency, credited_on, recorded_by, recorded_at)
        VALUES (uuidv7(), :account, 'po-1', :amount, 'KRW', :day, 'test', now())
    """
    await shop.sql(credit, account=books.account, amount=amount - 50, day=DAY)
    own = steps(shop, {books.account: BrokenStream(())})
    assert (await alone(own.judge_payouts, books.account)).findings == {"matched": 1}


async def test_what_a_day_says_no_longer_counts_no_more_and_its_figures_stay_true(books: Books) -> None:
    stray = a_line(2, books.account)
    growing = a_line(3, books.account, kind="payout", operation_ref=None, gross=-1, net=-1)
    due = await books.reads(books.line(), stray, growing)
    first = await books.view(due)
    assert (first.lines, first.new, first.withdrawn) == (3, 3, 0)
    assert [case.kind for case in await books.cases()] == ["missing_in_opms"]
    await books.reads(a_line(3, books.account, kind="payout", operation_ref=None, gross=-2, net=-2), due=due)
    second = await books.view(due)
    assert (second.lines, second.new, second.withdrawn) == (1, 1, 3)
    assert second.findings == {"bookkeeping": 1}
    assert await books.cases() == []
    [closed] = await books.cases("closed")
    assert (closed.closed_by, closed.note) == ("opms.reconciliation", "The PG says this line no longer.")
    assert (books.amount, 0, "withdrawn", False) in await books.findings()
    own = steps(books.shop, {books.account: BrokenStream(())})
    for later in (1, 2):
        await alone(own.read_settlement, await an_import(books.shop, books.account, DAY + timedelta(days=later)))
    assert (await alone(own.judge_movements, books.account)).findings == {"missing_at_pg": 1}
    await books.reads(books.line(), due=due)
    assert [case.kind for case in await books.cases()] == []
    assert (await books.view(due)).findings == {"matched": 1}


async def test_a_line_that_moves_to_another_day_belongs_to_that_day(books: Books) -> None:
    first = await books.reads(books.line())
    await books.reads(due=first)
    moved = await books.reads(books.line(), day=DAY + timedelta(days=1))
    await books.reads(due=first)
    assert await books.findings() == [(books.amount, 0, "matched", True)]
    assert list(await lines_of(books.shop, moved.id)) == ["line-1"]


async def test_a_case_goes_from_desk_to_desk_with_its_kind_until_it_is_given_to_somebody(books: Books) -> None:
    due = await books.reads(books.line(gross=1, net=1))
    assert [(c.kind, c.owner) for c in await books.cases()] == [("amount_mismatch", "finance")]
    for owner, expected in (("finance", "operations"), ("Choi", "Choi")):
        await books.shop.sql(
            "UPDATE reconciliation_case SET owner = :owner, kind = 'amount_mismatch' WHERE account = :account",
            owner=owner,
            account=books.account,
        )
        await books.shop.sql(
            "UPDATE operation SET outcome = 'declined' WHERE operation_ref = :ref", ref=books.operation_ref
        )
        await books.shop.sql(
            "UPDATE settlement_line SET finding = NULL, operation_id = NULL WHERE account = :account",
            account=books.account,
        )
        await books.reads(books.line(gross=1, net=1), due=due)
        assert [(c.kind, c.owner) for c in await books.cases()] == [("status_mismatch", expected)]


async def test_a_name_without_end_is_refused(books: Books) -> None:
    with pytest.raises(UnreadableSettlement, match="cannot be stored"):
        await books.reads(books.line(line_id="x" * 256))
