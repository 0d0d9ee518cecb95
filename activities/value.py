"""The ledger of our own value in Postgres, bound to one transaction: one statement for each movement."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.gateway import Amounts, Call
from gateways.value.adapter import Movement
from models.ledger import GRANT, MOVES

ACTOR = "system"
_MOVES = {operation: text(statement) for operation, statement in MOVES.items()}
_GRANT = text(GRANT)
_AMOUNTS = text(
    """
    SELECT coalesce(sum(amount), 0), coalesce(sum(captured), 0), coalesce(sum(refunded), 0), coalesce(sum(released), 0)
      FROM value_hold WHERE merchant_ref = :merchant_ref
    """
)
_HAPPENED = text("SELECT 1 FROM value_entry WHERE key = :key")


class PostgresLedger:
    """`gateways.value.adapter.ValueLedger` for one store, inside the caller's transaction."""

    def __init__(self, connection: AsyncConnection, store: str, *, now: datetime) -> None:
        self._connection = connection
        self._store = store
        self._now = now

    async def move(self, operation: str, call: Call) -> Movement:
        """One movement, once per key. Not covered: nothing has changed."""
        taking_at_once = operation == "capture" and call.capture_now and call.kind == "authorize"
        parameters = {
            "key": f"{call.key}-captured" if taking_at_once else call.key,
            "merchant_ref": call.merchant_ref,
            "amount": call.amount,
            "reason": None,
            "actor": ACTOR,
            "at": self._now,
        }
        if operation == "hold":
            owner = call.token if call.method == "gift_card" else call.customer
            parameters |= {"store": self._store, "kind": call.method, "owner": owner or "", "currency": call.currency}
        row = (await self._connection.execute(_MOVES[operation], parameters)).one()
        return Movement(covered=row[0], known=row[1], lapsed=row[2], lapsed_at=row[3])

    async def grant(self, call: Call) -> None:
        """A new lot for the call's customer, once per key; it neither expires nor is promotional."""
        await self._connection.execute(
            _GRANT,
            {
                "lot": call.operation_id,
                "store": self._store,
                "kind": call.method,
                "owner": call.customer,
                "last_four": None,
                "currency": call.currency,
                "amount": call.amount,
                "expires_at": None,
                "promotional": False,
                "key": call.key,
                "merchant_ref": call.merchant_ref,
                "reason": call.description,
                "actor": ACTOR,
                "at": self._now,
            },
        )

    async def amounts(self, merchant_ref: str) -> Amounts:
        """The sums of one payment."""
        row = (await self._connection.execute(_AMOUNTS, {"merchant_ref": merchant_ref})).one()
        authorized, captured, refunded, voided = (int(total) for total in row)
        return Amounts(authorized=authorized, captured=captured, refunded=refunded, voided=voided)

    async def happened(self, key: str) -> bool:
        """A movement with this key is in the ledger."""
        return (await self._connection.execute(_HAPPENED, {"key": key})).scalar() is not None
