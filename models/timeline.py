"""The timeline: every difference that a change made, append-only, with time, actor and cause. Also the outbox."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, text
from sqlmodel import Field, SQLModel

from models.columns import moment, reference


class TimelineRow(SQLModel, table=True):
    """One field of one entity that moved. ``old``/``new`` as text; ``delivered_at``: told to the back office."""

    __tablename__ = "timeline"
    __table_args__ = (
        Index("ix_timeline_order", "order_id", "id"),
        Index(
            "ix_timeline_undelivered",
            "id",
            postgresql_where=text("delivered_at IS NULL AND field IN ('status', 'state', 'created')"),
        ),
    )
    id: int | None = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    store_id: str
    order_id: UUID = reference("orders.id", index=False)
    version: int
    entity: str
    entity_id: UUID
    field: str
    old: str | None
    new: str | None
    cause: str
    command_id: UUID | None
    actor: str
    workflow_id: str
    at: datetime = moment()
    delivered_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
