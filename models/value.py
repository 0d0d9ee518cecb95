"""Our own value (points, gift cards, store credit): lots, what payments hold of them, and the append-only ledger.

A lot is one gift of value to one owner: a customer, or whoever knows a gift card's code. Nothing is spent but out of a
lot, and what comes back comes back to its lot: so its expiry and its being promotional stay with it.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from models.columns import check, key, maybe_moment, minor, moment, reference

OPERATIONS = ("grant", "hold", "capture", "release", "refund", "correct")
_OPERATIONS = ", ".join(f"'{word}'" for word in OPERATIONS)


class ValueLot(SQLModel, table=True):
    """``amount`` minor units given at once; ``held`` by payments, ``spent`` by payments and corrections.

    ``owner`` is a customer's id, or the SHA-256 of a gift card's code in hexadecimal: the code itself is nowhere.
    """

    __tablename__ = "value_lot"
    __table_args__ = (
        check("kind_known", "kind IN ('points', 'gift_card', 'store_credit')"),
        check("amount_positive", "amount > 0"),
        check("spent_within_amount", "0 <= held AND 0 <= spent AND held + spent <= amount"),
        check("expires_after_birth", "expires_at > created_at"),
        check("owner_named", "owner <> ''"),
        check("card_has_last_four", "(kind = 'gift_card') = (last_four IS NOT NULL)"),
        check("card_is_hashed", "kind <> 'gift_card' OR owner ~ '^[0-9a-f]{64}$'"),
        Index("ix_value_lot_owner", "store_id", "owner", "kind", postgresql_where=sql("spent < amount")),
        Index("uq_value_lot_card", "owner", unique=True, postgresql_where=sql("kind = 'gift_card'")),
    )
    id: UUID = key()
    store_id: str = reference("store.id", index=False)
    kind: str
    owner: str
    last_four: str | None = Field(default=None, max_length=4)
    currency: str = Field(max_length=3)
    amount: int = minor()
    held: int = minor()
    spent: int = minor()
    expires_at: datetime | None = maybe_moment()
    promotional: bool
    created_at: datetime = moment()


class ValueHold(SQLModel, table=True):
    """What one attempt of a payment has of one lot: held at first, then captured or released, then refunded."""

    __tablename__ = "value_hold"
    __table_args__ = (
        check("amount_positive", "amount > 0"),
        check("taken_within_amount", "0 <= captured AND 0 <= released AND captured + released <= amount"),
        check("refunded_within_captured", "0 <= refunded AND refunded <= captured"),
    )
    merchant_ref: str = Field(primary_key=True)
    lot_id: UUID = Field(primary_key=True, foreign_key="value_lot.id", index=True)
    amount: int = minor()
    captured: int = minor()
    released: int = minor()
    refunded: int = minor()


class ValueEntry(SQLModel, table=True):
    """One lot's part of one movement. The key makes the movement happen once: there is one part 0."""

    __tablename__ = "value_entry"
    __table_args__ = (
        check("amount_positive", "amount > 0"),
        check("operation_known", f"operation IN ({_OPERATIONS})"),
        check("correction_has_reason", "operation <> 'correct' OR reason IS NOT NULL"),
        check("payment_is_named", "operation IN ('grant', 'correct') OR merchant_ref IS NOT NULL"),
    )
    key: str = Field(primary_key=True)
    part: int = Field(primary_key=True)
    lot_id: UUID = reference("value_lot.id")
    operation: str
    amount: int = minor()
    merchant_ref: str | None
    reason: str | None
    actor: str
    at: datetime = moment()
