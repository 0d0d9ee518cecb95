"""Webhook events in JSON: what PGs told us, and what a person noted about it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.field import Asked, Reason
from api.schemas.moment import rfc3339
from queries.webhook import StoredEvent


class ReviewIn(Asked):
    """What the person who looked at an event found."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "a charge made by hand in the PG's console"}]})

    note: Annotated[Reason, Field(description="What it was about.")]


class WebhookEventOut(BaseModel):
    """One event of a PG. ``amount`` in minor units of ``currency``; what the event does not state is null."""

    id: str
    account: str
    event_id: str
    kind: str
    reference: str | None
    merchant_ref: str | None
    operation_ref: str | None
    trust: str = Field(description="`signed`, `secret` or `unsigned`: how far its content may be believed.")
    outcome: str | None
    amount: int | None
    currency: str | None
    reason: str | None = Field(description="The PG's words: of a refusal, or where a report lies.")
    occurred_at: str | None
    received_at: str
    order: str | None = Field(description="The number of the order that it is about.")
    matched: bool = Field(description="False: it is about no order of ours; a person must look.")
    takes_back: bool = Field(
        description="True: it says no to an operation that had succeeded; no money was moved, a person must look."
    )
    delivered_at: str | None = Field(description="When the order was told, or was found to wait for nothing.")
    reviewed_at: str | None
    reviewed_by: str | None
    review_note: str | None


class WebhookEventPage(BaseModel):
    """Events, the longest waiting first."""

    items: list[WebhookEventOut]
    next_cursor: str | None


def webhook_event_out(event: StoredEvent) -> WebhookEventOut:
    """An event as the API shows it."""
    return WebhookEventOut(
        id=str(event.id),
        account=event.account,
        event_id=event.event_id,
        kind=event.kind,
        reference=event.reference,
        merchant_ref=event.merchant_ref,
        operation_ref=event.operation_ref,
        trust=event.trust,
        outcome=event.outcome,
        amount=event.amount,
        currency=event.currency,
        reason=event.reason,
        occurred_at=rfc3339(event.occurred_at),
        received_at=rfc3339(event.received_at),
        order=event.order,
        matched=event.matched,
        takes_back=event.takes_back,
        delivered_at=rfc3339(event.delivered_at),
        reviewed_at=rfc3339(event.reviewed_at),
        reviewed_by=event.reviewed_by,
        review_note=event.review_note,
    )
