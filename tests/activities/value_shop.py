"""Owners with lots of their own in the real database, and calls on them, for the tests of our own value."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.value import PostgresLedger
from domain.gateway import Answer, Call, OperationKind
from gateways.value.adapter import ValueGateway
from models.database import Database
from models.ledger import GRANT

STORE = "value"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
Lot = tuple[int, int, int]
"""amount, held, spent."""


@dataclass(frozen=True)
class Gift:
    """A lot to begin with; ``days`` until it expires, None: never."""

    amount: int
    days: int | None = None
    promotional: bool = False


@dataclass(frozen=True)
class Owner:
    """A customer or a gift card in a store; every payment of theirs has its own reference."""

    kind: str = "points"
    name: str = field(default_factory=lambda: uuid4().hex * 2)
    store: str = STORE
    currency: str = "KRW"

    def call(self, kind: OperationKind, amount: int, payment: str, *, key: str | None = None) -> Call:
        """One movement of ``amount``; a key of its own unless one is given."""
        card = self.kind == "gift_card"
        return Call(
            operation_id=uuid4(),
            kind=kind,
            account=self.kind,
            merchant_ref=payment,
            key=key or uuid4().hex,
            amount=amount,
            currency=self.currency,
            method=self.kind,
            token=self.name if card else None,
            customer="somebody" if card else self.name,
            capture_now=False,
        )


async def a_store(database: Database, store: str = STORE) -> None:
    """The store that owns the lots."""
    async with database.transaction() as connection:
        await connection.execute(
            text(
                "INSERT INTO store (id, name, currency, timezone, payment_window_seconds, created_at)"
                " VALUES (:id, 'Value', 'KRW', 'Asia/Seoul', 60, now()) ON CONFLICT DO NOTHING"
            ),
            {"id": store},
        )


async def give(connection: AsyncConnection, owner: Owner, *gifts: Gift) -> list[UUID]:
    """New lots; their ids, in the order of ``gifts``."""
    ids = [uuid4() for _ in gifts]
    for lot, gift in zip(ids, gifts, strict=True):
        await connection.execute(
            text(GRANT),
            {
                "lot": lot,
                "store": owner.store,
                "kind": owner.kind,
                "owner": owner.name,
                "last_four": "BCDF" if owner.kind == "gift_card" else None,
                "currency": owner.currency,
                "amount": gift.amount,
                "expires_at": None if gift.days is None else NOW + gift.days * DAY,
                "promotional": gift.promotional,
                "key": f"grant-{lot}",
                "merchant_ref": None,
                "reason": "test",
                "actor": "test",
                "at": NOW - DAY,
            },
        )
    return ids


def gateway(connection: AsyncConnection, owner: Owner, *, now: datetime = NOW) -> ValueGateway:
    """The gateway on this connection's transaction."""
    return ValueGateway(PostgresLedger(connection, owner.store, now=now), "KRW")


async def act(connection: AsyncConnection, owner: Owner, call: Call, *, now: datetime = NOW) -> Answer:
    """Carry a call out."""
    return await gateway(connection, owner, now=now).perform(call)


async def lots(connection: AsyncConnection, ids: Sequence[UUID]) -> list[Lot]:
    """How the lots stand."""
    rows = await connection.execute(
        text("SELECT id, amount, held, spent FROM value_lot WHERE id = ANY(:ids)"), {"ids": list(ids)}
    )
    found = {row[0]: (row[1], row[2], row[3]) for row in rows}
    return [found[lot] for lot in ids]


async def ledger_sums(connection: AsyncConnection, ids: Sequence[UUID]) -> list[Lot]:
    """How the lots should stand by the entries alone: each amount, held and spent again from the beginning."""
    rows = await connection.execute(
        text(
            """
            SELECT lot_id, sum(amount) FILTER (WHERE operation = 'grant'),
                   coalesce(sum(CASE operation WHEN 'hold' THEN amount WHEN 'capture' THEN -amount
                                               WHEN 'release' THEN -amount END), 0),
                   coalesce(sum(CASE operation WHEN 'capture' THEN amount WHEN 'correct' THEN amount
                                               WHEN 'refund' THEN -amount END), 0)
              FROM value_entry WHERE lot_id = ANY(:ids) GROUP BY lot_id
            """
        ),
        {"ids": list(ids)},
    )
    found = {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in rows}
    return [found[lot] for lot in ids]
