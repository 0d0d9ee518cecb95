"""Commands and idempotency: what was asked, and what was answered. What decides duplicates."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Column, Field, SQLModel

from models.columns import check, key, maybe_moment, moment


class CommandRow(SQLModel, table=True):
    """A command and its outcome. ``decided_at`` set: its effect is written; a second delivery changes nothing."""

    __tablename__ = "command"
    __table_args__ = (
        check("status_known", "status IN ('accepted', 'applied', 'rejected', 'failed')"),
        Index("ix_command_order", "store_id", "number", "accepted_at"),
        Index("ix_command_undecided", "accepted_at", postgresql_where=text("decided_at IS NULL")),
    )
    id: UUID = key()
    store_id: str
    number: str
    kind: str
    status: str
    actor: str
    request_id: str | None
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    problem: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    result: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    accepted_at: datetime = moment()
    decided_at: datetime | None = maybe_moment()
    finished_at: datetime | None = maybe_moment()


class IdempotencyRow(SQLModel, table=True):
    """One Idempotency-Key of one credential on one route: who may run it, and the answer once there is one.

    ``subject`` is the command id and ``number`` the order number that the first run drew: a run that takes over after
    a crash goes on with them, and so meets its own order again.
    """

    __tablename__ = "idempotency"
    __table_args__ = (Index("ix_idempotency_created", "created_at"),)
    credential: UUID = Field(primary_key=True)
    route: str = Field(primary_key=True)
    idempotency_key: str = Field(primary_key=True)
    request_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    subject: UUID
    number: str | None
    lease_until: datetime = moment()
    status: int | None = None
    headers: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    answer: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    created_at: datetime = moment()
