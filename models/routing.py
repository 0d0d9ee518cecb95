"""PG accounts of a store, the immutable versions of its routing rule, and the deficits that make a ratio exact."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Column, Field, SQLModel

from models.columns import check, key, maybe_moment, moment, reference


class GatewayAccount(SQLModel, table=True):
    """One contract with one PG. Its secret is in the settings, never here."""

    __tablename__ = "gateway_account"
    __table_args__ = (check("id_shape", "id ~ '^[a-z0-9][a-z0-9-]{0,39}$'"),)
    id: str = Field(primary_key=True)
    store_id: str = reference("store.id")
    vendor: str
    enabled: bool
    paused_at: datetime | None = maybe_moment()
    created_at: datetime = moment()


class RoutingRule(SQLModel, table=True):
    """One version of a store's rule; never changed, only followed by the next."""

    __tablename__ = "routing_rule"
    __table_args__ = (
        UniqueConstraint("store_id", "version"),
        check("strategy_known", "strategy IN ('ratio', 'priority', 'single')"),
        check("by_known", "by IN ('count', 'amount')"),
    )
    id: UUID = key()
    store_id: str = reference("store.id", index=False)
    version: int
    strategy: str
    by: str
    fallback: list[str] = Field(sa_column=Column(JSONB, nullable=False))
    constraints: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    active_from: datetime = moment()
    created_at: datetime = moment()
    created_by: str


class RoutingWeight(SQLModel, table=True):
    """An account's share in a rule."""

    __tablename__ = "routing_weight"
    __table_args__ = (check("weight_not_negative", "weight >= 0"),)
    rule_id: UUID = Field(foreign_key="routing_rule.id", primary_key=True)
    account: str = Field(foreign_key="gateway_account.id", primary_key=True)
    position: int
    weight: int


class RoutingState(SQLModel, table=True):
    """The running deficit of an account under a rule, changed in the transaction that stores the decision."""

    __tablename__ = "routing_state"
    __table_args__ = (
        ForeignKeyConstraint(["rule_id", "account"], ["routing_weight.rule_id", "routing_weight.account"]),
    )
    rule_id: UUID = Field(primary_key=True)
    account: str = Field(primary_key=True)
    deficit: int = Field(default=0, sa_type=BigInteger, nullable=False)
    decisions: int = Field(default=0, sa_type=BigInteger, nullable=False)
