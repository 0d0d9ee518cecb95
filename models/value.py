"""Our own value (points): balances, and the append-only ledger that they are the sum of."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.columns import check, key, minor, moment


class ValueAccount(SQLModel, table=True):
    """A customer's balance of one kind, and what of it is held."""

    __tablename__ = "value_account"
    __table_args__ = (check("held_within_balance", "0 <= held AND held <= balance"),)
    store_id: str = Field(foreign_key="store.id", primary_key=True)
    customer_id: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    balance: int = minor()
    held: int = minor()


class ValueEntry(SQLModel, table=True):
    """One movement; the key makes it happen once."""

    __tablename__ = "value_entry"
    __table_args__ = (
        UniqueConstraint("key"),
        Index("ix_value_entry_account", "store_id", "customer_id", "kind"),
        Index("ix_value_entry_reference", "merchant_ref"),
        check("amount_positive", "amount > 0"),
        check("operation_known", "operation IN ('grant', 'hold', 'capture', 'release', 'refund')"),
    )
    id: UUID = key()
    store_id: str
    customer_id: str
    kind: str
    operation: str
    amount: int = minor()
    merchant_ref: str
    key: str
    at: datetime = moment()
