"""PG accounts of a store, the immutable versions of its rule, the deficits that make a ratio exact, and circuits."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
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
    """The running deficits of a rule, one row and the hottest of its store: changed by one statement per decision."""

    __tablename__ = "routing_state"
    __table_args__ = (
        check("counts_not_negative", "decisions >= 0 AND volume >= 0"),
        {"postgresql_with": {"fillfactor": "50"}},  # A new version fits beside the old one: no index is touched.
    )
    rule_id: UUID = Field(foreign_key="routing_rule.id", primary_key=True)
    deficits: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))
    """One for each account with a share, by `RoutingWeight.position`."""
    decisions: int = Field(default=0, sa_type=BigInteger, nullable=False)
    volume: int = Field(default=0, sa_type=BigInteger, nullable=False)
    """What was decided about so far, in what the rule counts: payments or minor units."""


class GatewayHealth(SQLModel, table=True):
    """The circuit of one method at one PG account; a row from its first technical failure on."""

    __tablename__ = "gateway_health"
    __table_args__ = (check("successes_not_negative", "successes >= 0"),)
    account: str = Field(foreign_key="gateway_account.id", primary_key=True)
    method: str = Field(primary_key=True)
    window: list[str | None] = Field(sa_column=Column(JSONB, nullable=False))
    """The last calls, oldest first: the time of a technical failure, null for an answer."""
    opened_at: datetime | None = maybe_moment()
    probe_at: datetime | None = maybe_moment()
    successes: int = 0
    changed_at: datetime = moment()
