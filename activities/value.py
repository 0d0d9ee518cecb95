"""The ledger of customers' own value in Postgres, bound to one transaction."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.gateway import Amounts, Call
from domain.section import NewId

_DELTAS = {
    "grant": "balance = balance + :amount",
    "hold": "held = held + :amount",
    "capture": "held = held - :amount, balance = balance - :amount",
    "release": "held = held - :amount",
    "refund": "balance = balance + :amount",
}
_COVERED = {
    "grant": "true",
    "hold": "balance - held >= :amount",
    "capture": "(SELECT coalesce(sum(CASE operation WHEN 'hold' THEN amount ELSE -amount END), 0) FROM value_entry"
    " WHERE merchant_ref = :merchant_ref AND operation IN ('hold', 'capture', 'release')) >= :amount",
    "refund": "(SELECT coalesce(sum(CASE operation WHEN 'capture' THEN amount ELSE -amount END), 0) FROM value_entry"
    " WHERE merchant_ref = :merchant_ref AND operation IN ('capture', 'refund')) >= :amount",
}
_COVERED["release"] = _COVERED["capture"]
_MOVES = {
    operation: text(
        f"""
        WITH known AS (SELECT 1 FROM value_entry WHERE key = :key),
        moved AS (UPDATE value_account SET {delta}
                   WHERE store_id = :store AND customer_id = :customer AND kind = :kind
                     AND NOT EXISTS (SELECT FROM known) AND {_COVERED[operation]} RETURNING 1),
        written AS (INSERT INTO value_entry
                    (id, store_id, customer_id, kind, operation, amount, merchant_ref, key, at)
                    SELECT :id, :store, :customer, :kind, '{operation}', :amount, :merchant_ref, :key, :at FROM moved
                    RETURNING 1)
        SELECT EXISTS (SELECT FROM known) OR EXISTS (SELECT FROM written)
        """
    )
    for operation, delta in _DELTAS.items()
}
_AMOUNTS = text(
    "SELECT operation, coalesce(sum(amount), 0) FROM value_entry WHERE merchant_ref = :merchant_ref GROUP BY operation"
)
_HAPPENED = text("SELECT 1 FROM value_entry WHERE key = :key")


class PostgresLedger:
    """`gateways.points.adapter.ValueLedger` for one store, inside the caller's transaction."""

    def __init__(self, connection: AsyncConnection, store: str, *, now: datetime, new_id: NewId) -> None:
        self._connection = connection
        self._store = store
        self._now = now
        self._new_id = new_id

    async def move(self, operation: str, call: Call) -> bool:
        """One movement, once per key and operation. False: not covered, and nothing has changed."""
        key = call.key if operation != "capture" or not call.capture_now else f"{call.key}-captured"
        done = await self._connection.execute(
            _MOVES[operation],
            {
                "id": self._fresh(),
                "store": self._store,
                "customer": call.customer,
                "kind": call.method,
                "amount": call.amount,
                "merchant_ref": call.merchant_ref,
                "key": key,
                "at": self._now,
            },
        )
        return bool(done.scalar())

    async def amounts(self, merchant_ref: str) -> Amounts:
        """The sums of one payment."""
        rows = await self._connection.execute(_AMOUNTS, {"merchant_ref": merchant_ref})
        sums = {operation: int(total) for operation, total in rows}
        return Amounts(
            authorized=sums.get("hold", 0),
            captured=sums.get("capture", 0),
            refunded=sums.get("refund", 0),
            voided=sums.get("release", 0),
        )

    async def happened(self, key: str) -> bool:
        """A movement with this key is in the ledger."""
        return (await self._connection.execute(_HAPPENED, {"key": key})).scalar() is not None

    def _fresh(self) -> UUID:
        return self._new_id()
