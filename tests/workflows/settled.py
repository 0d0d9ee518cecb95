"""Steps of the reconciliation run alone, against the real database: what a file or a broken stream leaves behind."""

import dataclasses
import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

from temporalio.testing import ActivityEnvironment
from typing_extensions import override

from activities.reconciliation import Accounts, ReconciliationActivities
from contracts.reconciliation import Import
from domain.reconciliation import Terms
from gateways.adyen.adapter import AdyenGateway
from gateways.gateway import Account, Gateway, GatewayUnavailable, SettlementLine
from gateways.sandbox.adapter import SandboxGateway
from tests.stack import STORE, Shop

COLUMNS = (
    "Company Account",
    "Merchant Account",
    "Psp Reference",
    "Merchant Reference",
    "Payment Method",
    "Creation Date",
    "TimeZone",
    "Type",
    "Modification Reference",
    "Gross Currency",
    "Gross Debit (GC)",
    "Gross Credit (GC)",
    "Net Currency",
    "Net Debit (NC)",
    "Net Credit (NC)",
    "Commission (NC)",
    "Batch Number",
)


class BrokenStream(SandboxGateway):
    """The sandbox's adapter over lines that are given, and that end early as often as is wanted."""

    def __init__(self, lines: Sequence[SettlementLine], *, after: int | None = None) -> None:
        super().__init__(Account("nowhere", "http://127.0.0.1:9", "key"))
        self.lines = list(lines)
        self.after = after

    @override
    async def settlement_lines(self, day: date) -> AsyncIterator[SettlementLine]:
        for number, line in enumerate(self.lines):
            if number == self.after:
                self.after = None
                raise GatewayUnavailable("the stream broke")
            yield line


def a_line(n: int, account: str, **changed: Any) -> SettlementLine:
    """The n-th charge of a day that nobody's books know."""
    line = SettlementLine(
        account=account,
        line_id=f"line-{n}",
        kind="charge",
        reference=f"pay-{account}-{n}",
        operation_ref=f"op-{account}-{n}",
        merchant_ref=f"ref-{account}-{n}",
        gross=1000 + n,
        fee=0,
        net=1000 + n,
        currency="KRW",
        occurred_at=datetime(2026, 11, 20, 1, tzinfo=UTC),
        paid_on=None,
    )
    return dataclasses.replace(line, **changed)


async def an_account(shop: Shop, vendor: str = "sandbox") -> str:
    """A PG account that no other test uses."""
    account = f"pg-{uuid4().hex[:8]}"
    await shop.sql(
        "INSERT INTO gateway_account (id, store_id, vendor, enabled, created_at) "
        "VALUES (:id, :store, :vendor, false, now())",
        id=account,
        store=STORE,
        vendor=vendor,
    )
    return account


async def an_import(shop: Shop, account: str, day: date | None, content: bytes = b"", *, chunk: int = 100) -> Import:
    """A day, or a file that was received in chunks."""
    new = Import(uuid4(), account, day)
    await shop.sql(
        "INSERT INTO settlement_import (id, account, day, file_hash, state, lines, requested_by, requested_at) "
        "VALUES (:id, :account, :day, :hash, 'requested', 0, 'test', now())",
        id=new.id,
        account=account,
        day=day,
        hash=None if day else hashlib.sha256(content).digest(),
    )
    for position in range(0 if day else -(-len(content) // chunk)):
        part = content[position * chunk : (position + 1) * chunk]
        row = "INSERT INTO settlement_file_chunk (import_id, position, content) VALUES (:id, :position, :content)"
        await shop.sql(row, id=new.id, position=position, content=part)
    return new


def steps(shop: Shop, gateways: dict[str, Gateway], terms: Terms | None = None) -> ReconciliationActivities:
    """The activities over these adapters."""
    return ReconciliationActivities(
        shop.resources.database, Accounts(gateways, dict.fromkeys(gateways, terms or Terms()))
    )


async def alone(step: Any, request: Any, *, heartbeat: Sequence[Any] = (), told: list[Any] | None = None) -> Any:
    """Run one step as a worker does; ``heartbeat``: what the try before has left; ``told`` gets its own."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, heartbeat_details=list(heartbeat))
    if told is not None:
        environment.on_heartbeat = lambda *details: told.append(details)
    return await environment.run(step, request)


def adyen(account: str) -> AdyenGateway:
    """An adapter that reads Adyen's files; its PG is nowhere."""
    return AdyenGateway(Account(account, "http://127.0.0.1:9", "key", webhook_secret="00", merchant="OpmsKR"))


def a_report(rows: Iterable[dict[str, str]], columns: Sequence[str] = COLUMNS) -> bytes:
    """A settlement details report; columns in the order that is wanted."""
    fixed = {
        "Company Account": "Opms",
        "Merchant Account": "OpmsKR",
        "Payment Method": "visa",
        "Creation Date": "2026-11-20 10:00:00",
        "TimeZone": "KST",
        "Gross Currency": "KRW",
        "Net Currency": "KRW",
        "Batch Number": "7",
    }
    lines = [",".join(columns)]
    lines += [",".join((fixed | row).get(column, "") for column in columns) for row in rows]
    return ("\n".join(lines) + "\n").encode()


def settled(n: int, **changed: str) -> dict[str, str]:
    """One charge in it, 1000 less a commission of 30."""
    return {
        "Psp Reference": f"PSP{n:013}",
        "Merchant Reference": f"op-{n:032}",
        "Type": "Settled",
        "Modification Reference": f"MOD{n:013}",
        "Gross Credit (GC)": "1000",
        "Net Credit (NC)": "970",
        "Commission (NC)": "30",
    } | changed


async def lines_of(shop: Shop, import_id: UUID) -> dict[str, int]:
    """The PG's names of the lines that an import was the first to bring, with how often each was repeated."""
    rows = await shop.sql("SELECT line_ref, repeats FROM settlement_line WHERE import_id = :id", id=import_id)
    return {str(name): int(repeats) for name, repeats in rows}
