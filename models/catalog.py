"""What a store sells, and how many pieces are on the shelf."""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint
from sqlmodel import Field, SQLModel

from models.columns import check, minor, moment


class Sku(SQLModel, table=True):
    """One thing that can be ordered. ``price`` has tax included; ``tax_rate`` in basis points."""

    __tablename__ = "sku"
    __table_args__ = (
        check("price_not_negative", "price >= 0"),
        check("tax_rate_range", "tax_rate BETWEEN 0 AND 10000"),
    )
    store_id: str = Field(foreign_key="store.id", primary_key=True)
    sku: str = Field(primary_key=True)
    name: str
    price: int = minor()
    tax_rate: int
    tracked: bool
    updated_at: datetime = moment()


class SkuOption(SQLModel, table=True):
    """An option of a SKU, such as colour black."""

    __tablename__ = "sku_option"
    __table_args__ = (ForeignKeyConstraint(["store_id", "sku"], ["sku.store_id", "sku.sku"], ondelete="CASCADE"),)
    store_id: str = Field(primary_key=True)
    sku: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    value: str


class Stock(SQLModel, table=True):
    """Pieces of a tracked SKU: on hand, of these held by unpaid orders, of these committed to paid ones."""

    __tablename__ = "stock"
    __table_args__ = (
        ForeignKeyConstraint(["store_id", "sku"], ["sku.store_id", "sku.sku"]),
        check("never_negative", "on_hand >= 0 AND held >= 0 AND committed >= 0"),
        check("never_oversold", "held + committed <= on_hand"),
    )
    store_id: str = Field(primary_key=True)
    sku: str = Field(primary_key=True)
    on_hand: int = minor()
    held: int = minor()
    committed: int = minor()
