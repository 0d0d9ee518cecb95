"""Our own value under the laws: the gateway on the real ledger in Postgres, whose tables are the judge."""

import dataclasses
import threading
from typing import Any, cast
from uuid import uuid4

import asyncpg
from anyio.from_thread import start_blocking_portal
from sqlalchemy.exc import IntegrityError
from typing_extensions import override

from activities.value import PostgresLedger
from domain.gateway import Answer, Call
from gateways.value.adapter import MOST, ValueGateway, ValueLedger
from models.database import Database
from tests.activities.value_shop import NOW, STORE, Gift, Owner, a_store, give
from tests.gateways.rig import OK, Money, Rig

CURRENCY = "KRW"
_KINDS = {"hold": "authorize", "capture": "capture", "release": "void", "refund": "refund"}
_SUMS = "SELECT amount, captured, released, refunded FROM value_hold WHERE merchant_ref = $1"
_ENTRIES = """
    SELECT operation, sum(amount)::bigint AS amount FROM value_entry WHERE merchant_ref = $1
     GROUP BY key, operation ORDER BY min(at), operation
"""


class Tables:
    """The tables of the ledger, read over a connection of its own: it sees what is committed and nothing else."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._asked = threading.Lock()
        self._portal = start_blocking_portal()
        self._loop = self._portal.__enter__()
        self._connection: Any = self._loop.call(asyncpg.connect, url)

    def rows(self, query: str, merchant_ref: str) -> list[Any]:
        """What the query finds about a payment."""
        with self._asked:
            found: list[Any] = self._loop.call(self._connection.fetch, query, merchant_ref)
        return found

    def close(self) -> None:
        """Hang up."""
        self._loop.call(self._connection.close)
        self._portal.__exit__(None, None, None)


class CommittedValue(ValueGateway):
    """Each call is a transaction of its own; what lost a race for a key is made again, as a workflow would."""

    def __init__(self, database: Database) -> None:
        super().__init__(cast("ValueLedger", None), CURRENCY)  # There is no ledger but inside a transaction.
        self._database = database

    @override
    async def perform(self, call: Call) -> Answer:
        try:
            return await self._committed(call)
        except IntegrityError:
            return await self._committed(call)

    async def _committed(self, call: Call) -> Answer:
        async with self._database.transaction() as connection:
            return await ValueGateway(PostgresLedger(connection, STORE, now=NOW), CURRENCY).perform(call)


class ValueRig(Rig):
    """Customers, or gift cards, with plenty, with next to nothing, and with nothing at all."""

    currency = CURRENCY
    unchecked = frozenset({(CURRENCY, MOST + 1)})
    leaves_no_trace = frozenset({"tok_insufficient", "tok_of_nobody"})

    def __init__(self, database: Database, tables: Tables, kind: str) -> None:
        super().__init__(CommittedValue(database), kind)
        self.method = kind
        self._tables = tables
        self._rich, self._poor, self._nobody = Owner(kind), Owner(kind), Owner(kind)

    async def endow(self, database: Database) -> None:
        """Plenty is several lots, of which the first expires soon; a gift card is one."""
        await a_store(database)
        card = self.method == "gift_card"
        lots = [] if card else [Gift(4_000, days=1), Gift(3_000, days=2, promotional=True)]
        async with database.transaction() as connection:
            await give(connection, self._rich, *lots, Gift(2 * MOST))
            await give(connection, self._poor, Gift(1))

    @override
    def charge(self, amount: int = 10_000, *, token: str = OK, capture_now: bool = True) -> Call:
        """Tokens of the sandbox that say what somebody has stand for an owner who has it."""
        call = super().charge(amount, token=token, capture_now=capture_now)
        owner = {"tok_insufficient": self._poor, "tok_of_nobody": self._nobody}.get(token, self._rich)
        whose = {"token": owner.name} if self.method == "gift_card" else {"token": None, "customer": owner.name}
        return dataclasses.replace(call, key=uuid4().hex, **whose)

    @override
    def money(self, call: Call) -> Money:
        sums = self._tables.rows(_SUMS, call.merchant_ref)
        net = sum(one["captured"] - one["refunded"] for one in sums)
        held = sum(one["amount"] - one["captured"] - one["released"] for one in sums)
        entries = self._tables.rows(_ENTRIES, call.merchant_ref)
        return Money(net, held, tuple((_KINDS[one["operation"]], one["amount"], "succeeded") for one in entries))

    @override
    async def close(self) -> None:
        """The pools and the judge serve all laws."""


async def value_rig(database: Database, tables: Tables, kind: str) -> Rig:
    """For the fixture ``rig``."""
    built = ValueRig(database, tables, kind)
    await built.endow(database)
    return built
