"""`python -m benchmarks.reconciliation [lines]`: read and judge one day of settlement; seconds and peak memory.

A Postgres of its own with as many charges as lines, one process that runs the steps as a worker does. Nine in a
thousand lines are wrong in some way; the report says what was found.
"""

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import text
from temporalio.testing import ActivityEnvironment
from typing_extensions import override

from activities.reconciliation import Accounts, ReconciliationActivities
from cli.database import migrate
from cli.seed import seed
from contracts.reconciliation import Import
from domain.reconciliation import Fee, Terms
from gateways.gateway import Account, SettlementLine
from gateways.sandbox.adapter import SandboxGateway
from models.database import Database
from wiring.embedded import EmbeddedPostgres, free_ports

LINES = 100_000
MOST_SECONDS, MOST_MEBIBYTES = 60, 200
ACCOUNT = "sandbox-a"
DAY = date(2026, 11, 20)
AT = datetime(2026, 11, 20, 3, tzinfo=UTC)
AMOUNT, FEE = 12_900, 387

_BOOKS = (
    """
    INSERT INTO orders (id, store_id, number, version, status, payment_status, fulfillment_status, return_status,
                        balance, has_unknown_payment, requires_review, currency, customer_id, checkout_id,
                        payment_mode, capture, items_total, discount_total, shipping_total, tax_included, total,
                        goodwill, credited, authorized, captured, refunded, created_at)
    SELECT :order, 'demo', '261120-BENCH01', 1, 'placed', 'paid', 'unfulfilled', 'none', 'settled', false, false,
           'KRW', 'c', uuidv7(), 'atomic', 'automatic', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, now()
    """,
    """
    INSERT INTO payment_request (id, order_id, scope, amount, status, purpose, paid, schedule)
    SELECT :order, :order, 'order', 1, 'paid', 'checkout', 1, '[]'
    """,
    """
    INSERT INTO payment (id, order_id, request_id, position, method, amount, status, instalments, authorized, captured,
                         voided, refunded, refund_pending)
    SELECT md5('p' || n)::uuid, :order, :order, n, 'card', :amount, 'captured', 0, :amount, :amount, 0, 0, 0
      FROM generate_series(1, CAST(:lines AS int)) AS n
    """,
    """
    INSERT INTO attempt (id, order_id, payment_id, position, account, merchant_ref, outcome, created_at, reference)
    SELECT md5('a' || n)::uuid, :order, md5('p' || n)::uuid, 1, :account, 'op-' || n, 'succeeded', :at, 'pay_' || n
      FROM generate_series(1, CAST(:lines AS int)) AS n
    """,
    """
    INSERT INTO operation (id, order_id, attempt_id, payment_id, kind, amount, key, outcome, initiated_at, resolved_at,
                           capture_now, tries, operation_ref, abandoning, contradicted, orphan, reversed_amount)
    SELECT md5('o' || n)::uuid, :order, md5('a' || n)::uuid, md5('p' || n)::uuid, 'authorize', :amount, 'key-' || n,
           'succeeded', :at, :at, true, 1, 'ch_' || n, false, false, false, 0
      FROM generate_series(1, CAST(:lines AS int)) AS n
    """,
    "ANALYZE",
)


class Settled(SandboxGateway):
    """The sandbox's adapter over a day that is made up line by line, never held in memory."""

    def __init__(self, lines: int) -> None:
        super().__init__(Account(ACCOUNT, "http://127.0.0.1:9", "key"))
        self._lines = lines

    @override
    async def settlement_lines(self, day: date) -> AsyncIterator[SettlementLine]:
        for n in range(1, self._lines + 1):
            wrong = n % 1000
            gross = AMOUNT + (wrong in {1, 2, 3})
            fee = FEE + (wrong in {4, 5, 6})
            ref = f"x{n}" if wrong in {7, 8, 9} else str(n)
            yield SettlementLine(
                account=ACCOUNT,
                line_id=f"line-{n}",
                kind="charge",
                reference=f"pay_{ref}",
                operation_ref=f"ch_{ref}",
                merchant_ref=f"op-{ref}",
                gross=gross,
                fee=fee,
                net=gross - fee,
                currency="KRW",
                occurred_at=AT + timedelta(milliseconds=n),
                paid_on=day,
            )


def run(lines: int) -> int:
    """Exit code 1 if it was too slow or too large."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        return asyncio.run(_run(EmbeddedPostgres(Path(folder), port=free_ports(1)[0]), lines))


async def _run(postgres: EmbeddedPostgres, lines: int) -> int:
    await postgres.start()
    try:
        await postgres.wait_ready()
        await postgres.create_database("opms")
        url = postgres.url("opms")
        await migrate(url)
        await seed(url, api_key="k", admin_key="a")
        return await _measure(url, lines)
    finally:
        await postgres.stop()
        postgres.discard()


async def _measure(url: str, lines: int) -> int:
    database = Database(url, size=4, application="opms-benchmark")
    order, due = uuid4(), Import(uuid4(), ACCOUNT, DAY)
    await _fill(database, order, due, lines)
    accounts = Accounts({ACCOUNT: Settled(lines)}, {ACCOUNT: Terms(fee=Fee(300))})
    steps = ReconciliationActivities(database, accounts)
    before = _peak()
    began = time.perf_counter()
    await ActivityEnvironment().run(steps.read_settlement, due)
    read = time.perf_counter()
    tally = await ActivityEnvironment().run(steps.judge_lines, due)
    judged = time.perf_counter()
    await ActivityEnvironment().run(steps.judge_movements, ACCOUNT)
    done = time.perf_counter()
    await ActivityEnvironment().run(steps.read_settlement, due)
    again = time.perf_counter()
    await database.close()
    print(f"{lines:,} lines: read {read - began:.1f} s, judged {judged - read:.1f} s, movements {done - judged:.1f} s")
    print(f"the same day again: {again - done:.1f} s")
    print(f"peak memory {_peak():.0f} MiB, of it {before:.0f} MiB before the first line")
    print(f"found: {tally.findings}")
    return int(done - began > MOST_SECONDS or _peak() > MOST_MEBIBYTES)


async def _fill(database: Database, order: UUID, due: Import, lines: int) -> None:
    given = {"order": order, "lines": lines, "account": ACCOUNT, "at": AT, "amount": AMOUNT}
    async with database.transaction() as connection:
        for statement in _BOOKS:
            wanted = {name: value for name, value in given.items() if f":{name}" in statement}
            await connection.execute(text(statement), wanted)
        await connection.execute(
            text(
                "INSERT INTO settlement_import (id, account, day, state, lines, requested_by, requested_at) "
                "VALUES (:id, :account, :day, 'requested', 0, 'benchmark', now())"
            ),
            {"id": due.id, "account": ACCOUNT, "day": DAY},
        )


def _peak() -> float:
    """MiB that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]) if len(sys.argv) > 1 else LINES))
