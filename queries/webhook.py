"""Webhook events: which order one is about, what verified events say of an attempt, what waits for a person."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Rejected
from domain.gateway import Outcome

ORDER_OF_EVENT = """
    SELECT found.order_id FROM (
        SELECT 1 AS place, a.order_id FROM attempt a WHERE a.account = e.account AND a.merchant_ref = e.merchant_ref
        UNION ALL
        SELECT 2, o.order_id FROM operation o JOIN attempt a ON a.id = o.attempt_id
         WHERE a.account = e.account AND o.key = e.merchant_ref
        UNION ALL
        SELECT 3, a.order_id FROM attempt a
         WHERE a.account = e.account AND a.reference IN (e.reference, e.operation_ref)
        UNION ALL
        SELECT 4, o.order_id FROM operation o JOIN attempt a ON a.id = o.attempt_id
         WHERE a.account = e.account AND o.operation_ref IN (e.operation_ref, e.reference)
    ) found ORDER BY found.place LIMIT 1
"""
"""SQL: the order that the event ``e`` is about, by our own references before the PG's; both only at its account."""

UNRESOLVED = "'initiated', 'pending', 'action_required', 'unknown'"
"""SQL: outcomes of an operation that has no end yet (`domain.payment.UNRESOLVED`; a test compares them)."""
MONEY_IS_DUE = f"""
    EXISTS (SELECT 1 FROM operation o WHERE o.order_id = found.order_id AND o.outcome IN ({UNRESOLVED}))
"""
"""SQL: whether the order ``found`` waits for any answer of a PG, so that a hint can tell it something."""


TAKEN_BACK = """
      JOIN operation o ON o.order_id = e.order_id JOIN attempt a ON a.id = o.attempt_id AND a.account = e.account
      JOIN orders r ON r.id = o.order_id JOIN payment y ON y.id = o.payment_id
     WHERE o.outcome = 'succeeded' AND o.reversed_amount = 0 AND NOT o.contradicted
       AND (o.kind IN ('capture', 'refund') OR (o.kind = 'authorize' AND o.capture_now))
       AND CASE e.outcome
           WHEN 'action_required'
           THEN o.kind = 'authorize' AND y.method = 'virtual_account' AND a.merchant_ref = e.merchant_ref
           ELSE o.operation_ref = e.operation_ref OR o.key = e.merchant_ref
             OR ((o.kind = 'authorize' OR o.operation_ref IS NULL) AND e.operation_ref IS NOT NULL
                 AND (a.reference = e.reference OR a.merchant_ref = e.merchant_ref)
                 AND NOT EXISTS (SELECT 1 FROM operation k
                                  WHERE k.order_id = o.order_id AND k.operation_ref = e.operation_ref)) END
"""
"""SQL: the operations ``o`` that had succeeded and that the event ``e`` (of a known order) says no to.

An event that names no operation of ours is about a capture that came with the authorization, or about one whose id we
never learned: both are asked about.
"""


@dataclass(frozen=True, slots=True)
class VerifiedEvent:
    """What a PG has signed about one of our references. Field by field the event that its adapter read.

    ``amount`` in minor units of ``currency``; what the event does not state is None.
    """

    event_id: str
    kind: str
    reference: str | None
    merchant_ref: str | None
    occurred_at: datetime | None
    outcome: Outcome | None
    amount: int | None
    currency: str | None
    operation_ref: str | None
    operation_mark: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as staff see it. ``order`` is the number of the order that it is about; ``amount`` in minor units."""

    id: UUID
    account: str
    event_id: str
    kind: str
    reference: str | None
    merchant_ref: str | None
    operation_ref: str | None
    trust: str
    outcome: str | None
    amount: int | None
    currency: str | None
    reason: str | None
    occurred_at: datetime | None
    received_at: datetime
    order: str | None
    matched: bool
    takes_back: bool
    delivered_at: datetime | None
    reviewed_at: datetime | None
    reviewed_by: str | None
    review_note: str | None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events: None does not filter. ``takes_back``: a PG says no to what it had said yes to."""

    matched: bool | None = None
    reviewed: bool | None = None
    takes_back: bool | None = None


class UnknownWebhookEvent(Rejected):
    """No such webhook event in this store."""

    code = "webhook_event_not_found"


_SIGNED = """
    SELECT event_id, kind, reference, merchant_ref, occurred_at, outcome, amount, currency, operation_ref,
           operation_mark, reason
      FROM webhook_event WHERE trust = 'signed' AND account = :account
"""
_VERIFIED = text(f"{_SIGNED} AND merchant_ref = :merchant_ref ORDER BY received_at, id")
_OF_DAY = text(f"{_SIGNED} AND kind = :kind AND occurred_on = :day AND order_id IS NULL ORDER BY received_at, id")
_COLUMNS = """
    SELECT e.id, e.account, e.event_id, e.kind, e.reference, e.merchant_ref, e.operation_ref, e.trust, e.outcome,
           e.amount, e.currency, e.reason, e.occurred_at, e.received_at, o.number AS order, e.matched, e.takes_back,
           e.delivered_at, e.reviewed_at, e.reviewed_by, e.review_note
      FROM webhook_event e LEFT JOIN orders o ON o.id = e.order_id
"""
_EVENT = text(f"{_COLUMNS} WHERE e.store_id = :store AND e.id = :id")


async def verified_events(connection: AsyncConnection, account: str, merchant_ref: str) -> tuple[VerifiedEvent, ...]:
    """The signed events of ``account`` that name ``merchant_ref``, in the order in which they came."""
    rows = await connection.execute(_VERIFIED, {"account": account, "merchant_ref": merchant_ref})
    return tuple(_verified(row) for row in rows.mappings())


async def verified_events_of_day(
    connection: AsyncConnection, account: str, kind: str, day: date
) -> tuple[VerifiedEvent, ...]:
    """The signed events of a kind that is about no order (a report is there), of a day by their own offsets."""
    rows = await connection.execute(_OF_DAY, {"account": account, "kind": kind, "day": day})
    return tuple(_verified(row) for row in rows.mappings())


async def view_event(connection: AsyncConnection, store: str, event_id: UUID) -> StoredEvent:
    """One event of the store. Raises `UnknownWebhookEvent`."""
    row = (await connection.execute(_EVENT, {"store": store, "id": event_id})).mappings().one_or_none()
    if row is None:
        raise UnknownWebhookEvent(f"no webhook event {event_id} in this store")
    return StoredEvent(**row)


async def list_events(
    connection: AsyncConnection,
    store: str,
    wanted: EventFilter,
    *,
    after: UUID | None,
    limit: int,
) -> list[StoredEvent]:
    """The ``wanted`` events of the store behind the one with the id ``after``, the longest waiting first."""
    given = {"store": store, "matched": wanted.matched, "after": after, "limit": limit}
    statement = _page(wanted, after)
    rows = await connection.execute(statement, {name: value for name, value in given.items() if value is not None})
    return [StoredEvent(**row) for row in rows.mappings()]


def _page(wanted: EventFilter, after: UUID | None) -> TextClause:
    clauses = ["e.store_id = :store"]
    if wanted.matched is not None:
        clauses.append("e.matched = :matched")
    if wanted.reviewed is not None:
        clauses.append(f"e.reviewed_at IS {'NOT ' if wanted.reviewed else ''}NULL")
    if wanted.takes_back is not None:  # A literal, so that the partial index fits.
        clauses.append("e.takes_back" if wanted.takes_back else "NOT e.takes_back")
    if after is not None:
        clauses.append("e.id > :after")
    return text(f"{_COLUMNS} WHERE {' AND '.join(clauses)} ORDER BY e.id LIMIT :limit")


def _verified(row: RowMapping) -> VerifiedEvent:
    fields: dict[str, Any] = dict(row)
    return VerifiedEvent(**fields | {"outcome": Outcome(row["outcome"]) if row["outcome"] else None})
