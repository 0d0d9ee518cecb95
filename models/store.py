"""A brand's shop, and the keys that open it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, String, UniqueConstraint
from sqlmodel import Column, Field, SQLModel

from models.columns import check, key, maybe_moment, moment, reference


class Store(SQLModel, table=True):
    """A brand's shop: its currency, clock and terms."""

    __tablename__ = "store"
    __table_args__ = (
        check("id_shape", "id ~ '^[a-z0-9][a-z0-9-]{0,39}$'"),
        check("payment_window_positive", "payment_window_seconds > 0"),
    )
    id: str = Field(primary_key=True)
    name: str
    currency: str = Field(max_length=3)
    timezone: str
    payment_window_seconds: int
    """How long an unpaid order holds its stock."""
    created_at: datetime = moment()


class ApiKey(SQLModel, table=True):
    """A key of one store with its scopes. Only its SHA-256 is kept."""

    __tablename__ = "api_key"
    __table_args__ = (UniqueConstraint("key_hash"),)
    id: UUID = key()
    store_id: str = reference("store.id")
    label: str
    key_hash: str
    scopes: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    created_at: datetime = moment()
    revoked_at: datetime | None = maybe_moment()
