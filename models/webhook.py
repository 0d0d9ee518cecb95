"""Webhook events: what PGs told us, once each. A hint for the order's workflow; for some PGs the only evidence.

And the hints to orders that nobody looked after.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Computed, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Column, Field, SQLModel

from domain.gateway import Outcome
from models.columns import check, key, maybe_moment, moment, one_of, reference


class WebhookEventRow(SQLModel, table=True):
    """One verified event of one PG account. The body is not kept (personal data), only its SHA-256.

    ``delivered_at``: the order's workflow was told, or waited for nothing. ``store_id`` and ``order_id`` are empty
    until the account has a store and the event is found to be about an order. ``takes_back``: it says no to an
    operation that had succeeded; it waits for a person, and is never delivered.
    """

    __tablename__ = "webhook_event"
    __table_args__ = (
        UniqueConstraint("account", "event_id"),
        one_of("outcome", Outcome),
        check("trust_known", "trust IN ('signed', 'secret', 'unsigned')"),
        check("amount_not_negative", "amount >= 0"),
        check("hash_size", "octet_length(body_hash) = 32"),
        check("review_complete", "(reviewed_at IS NULL) = (reviewed_by IS NULL)"),
        Index("ix_webhook_event_store", "store_id", "matched", "id"),
        Index("ix_webhook_event_merchant_ref", "account", "merchant_ref", "received_at"),
        Index("ix_webhook_event_takes_back", "store_id", "id", postgresql_where=text("takes_back")),
        Index(
            "ix_webhook_event_kind",
            "account",
            "kind",
            "occurred_on",
            postgresql_where=text("order_id IS NULL"),
        ),
        Index(
            "ix_webhook_event_declined",
            "received_at",
            postgresql_where=text("trust = 'signed' AND outcome = 'declined'"),
        ),
        Index(
            "ix_webhook_event_waiting",
            "received_at",
            postgresql_where=text("delivered_at IS NULL AND reviewed_at IS NULL"),
        ),
    )
    id: UUID = key()
    store_id: str | None = reference("store.id", nullable=True, index=False)
    order_id: UUID | None = reference("orders.id", nullable=True)
    account: str
    event_id: str
    kind: str
    reference: str | None
    merchant_ref: str | None
    trust: str
    outcome: str | None
    amount: int | None = Field(default=None, sa_type=BigInteger)
    currency: str | None = Field(default=None, max_length=3)
    operation_ref: str | None
    operation_mark: str | None
    reason: str | None
    body_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    occurred_at: datetime | None = maybe_moment()
    occurred_on: date | None = None
    """The day of ``occurred_at`` by its own offset."""
    received_at: datetime = moment()
    matched: bool = Field(
        default=None, sa_column=Column(Boolean, Computed("order_id IS NOT NULL", persisted=True), nullable=False)
    )
    takes_back: bool
    delivered_at: datetime | None = maybe_moment()
    reviewed_at: datetime | None = maybe_moment()
    reviewed_by: str | None
    review_note: str | None


class HintRow(SQLModel, table=True):
    """When an order that nobody looked after was last told to look again."""

    __tablename__ = "hint"
    order_id: UUID = Field(foreign_key="orders.id", primary_key=True)
    told_at: datetime = moment()
