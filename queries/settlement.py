"""What the reconciliation compares: lines of a PG, and our movements at it, with what each says of the other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.gateway import OperationKind, Outcome
from domain.reconciliation import Line, LineKind, Movement, Restated

# A charge that our books have as declined is known once an orphan's question has found it (`domain.orphan`).
_MOVEMENT = """
    o.id, r.store_id, r.number, o.kind, o.amount, r.currency,
    CASE WHEN o.kind = 'authorize' AND EXISTS (
              SELECT FROM operation q WHERE q.attempt_id = o.attempt_id AND q.orphan AND q.kind = 'lookup'
                 AND q.outcome = 'succeeded') THEN 'succeeded' ELSE o.outcome END,
    t.merchant_ref, o.operation_ref, t.reference,
    EXISTS (SELECT FROM settlement_line s WHERE s.operation_id = o.id), o.reversed_amount
"""
_MOVES_MONEY = """
    (o.kind IN ('capture', 'refund') OR (o.kind = 'authorize' AND o.capture_now)) AND NOT EXISTS (
        SELECT FROM refund_leg g WHERE g.id = o.leg_id AND g.destination = 'store_credit')
"""
_LINES = text(
    """
    SELECT l.id, l.kind, l.gross, l.fee, l.currency, l.operation_ref, l.reference, l.merchant_ref, l.repeats,
           (SELECT p.net FROM settlement_line p
             WHERE p.account = l.account AND p.line_ref = l.line_ref AND p.run < l.run ORDER BY p.run DESC LIMIT 1),
           l.net
      FROM settlement_line l
     WHERE l.account = :account AND l.finding IS NULL AND (l.operation_ref IS NOT NULL) = :named AND l.id > :after
     ORDER BY l.id LIMIT :limit
    """
)
_MOVEMENTS = text(
    f"""
    WITH found AS (
        SELECT t.id FROM attempt t WHERE t.account = :account AND t.merchant_ref = ANY(:merchant_refs)
         UNION SELECT t.id FROM attempt t WHERE t.account = :account AND t.reference = ANY(:references)
         UNION SELECT t.id FROM operation o JOIN attempt t ON t.id = o.attempt_id
                WHERE t.account = :account AND o.operation_ref = ANY(:operation_refs))
    SELECT {_MOVEMENT}
      FROM found JOIN attempt t ON t.id = found.id JOIN operation o ON o.attempt_id = t.id
      JOIN orders r ON r.id = o.order_id
     WHERE {_MOVES_MONEY} ORDER BY o.id
    """
)
_WITHOUT_LINE = text(
    f"""
    SELECT {_MOVEMENT}, o.initiated_at, o.resolved_at
      FROM operation o JOIN attempt t ON t.id = o.attempt_id JOIN orders r ON r.id = o.order_id
     WHERE t.account = :account AND o.initiated_at >= :since AND o.outcome = 'succeeded' AND {_MOVES_MONEY}
       AND NOT EXISTS (SELECT FROM settlement_line s WHERE s.operation_id = o.id)
       AND o.id > :after
     ORDER BY o.id LIMIT :limit
    """
)
# Paired by the judge; by the operation's own name, or by the payment and the very amount. What the PG has taken back
# since is no evidence, nor is what it says no longer, which is paired with nothing.
_PROVEN = text(
    """
    SELECT l.id, o.kind, l.reference, l.operation_ref, o.amount, l.currency, l.occurred_at
      FROM attempt t JOIN operation o ON o.attempt_id = t.id JOIN settlement_line l ON l.operation_id = o.id
      JOIN orders r ON r.id = o.order_id
     WHERE t.account = :account AND t.merchant_ref = :merchant_ref AND l.finding = 'status_mismatch'
       AND l.currency = r.currency AND l.gross = CASE o.kind WHEN 'refund' THEN -o.amount ELSE o.amount END
       AND NOT EXISTS (SELECT FROM settlement_line b
                        WHERE b.account = l.account AND b.kind = 'reversal' AND b.operation_ref = l.operation_ref
                          AND b.finding IS DISTINCT FROM 'withdrawn')
     ORDER BY l.id
    """
)
_COVERED = text(
    """
    SELECT first_day, last_day FROM settlement_import
     WHERE account = :account AND state IN ('read', 'reconciled') AND last_day >= :since
    """
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A movement that no line is paired with. ``moved_at``: when its success became known."""

    movement: Movement
    started_at: datetime
    moved_at: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """An operation that our books do not have as succeeded, and that the PG has settled as it was asked for."""

    line: int
    kind: OperationKind
    reference: str | None
    operation_ref: str | None
    amount: int
    currency: str
    occurred_at: datetime


async def settled_in_doubt(connection: AsyncConnection, account: str, merchant_ref: str) -> list[Settled]:
    """What the settlement lines of the account prove about the operations of one attempt."""
    rows = await connection.execute(_PROVEN, {"account": account, "merchant_ref": merchant_ref})
    return [Settled(row[0], OperationKind(row[1]), *row[2:]) for row in rows]


async def unjudged_lines(
    connection: AsyncConnection, account: str, *, named: bool, after: int, limit: int
) -> list[Line]:
    """Lines without a finding behind ``after``; ``named``: those that name an operation, or those that do not.

    Each with what an earlier reading said of the line of its name, if it said other money.
    """
    wanted = {"account": account, "named": named, "after": after, "limit": limit}
    rows = await connection.execute(_LINES, wanted)
    return [_line(row) for row in rows]


async def movements_of(connection: AsyncConnection, account: str, lines: Sequence[Line]) -> list[Movement]:
    """Every movement of every attempt that one of the lines names, by any of its names."""
    names = {
        f"{name}s": [value for line in lines if (value := getattr(line, name))]
        for name in ("operation_ref", "merchant_ref", "reference")
    }
    return [_movement(row) for row in await connection.execute(_MOVEMENTS, names | {"account": account})]


async def movements_without_line(
    connection: AsyncConnection, account: str, *, since: datetime, after: UUID, limit: int
) -> list[Waiting]:
    """What has moved money since then and no line speaks of, by id."""
    wanted = {"account": account, "since": since, "after": after, "limit": limit}
    rows = (await connection.execute(_WITHOUT_LINE, wanted)).all()
    return [Waiting(_movement(row), row[-2], row[-1] or row[-2]) for row in rows]


async def days_read(connection: AsyncConnection, account: str, since: date) -> frozenset[date]:
    """The days since then whose lines have all been read."""
    rows = (await connection.execute(_COVERED, {"account": account, "since": since})).all()
    return frozenset(
        first + timedelta(days=k) for first, last in rows for k in range((last - first).days + 1) if first is not None
    )


def _line(row: Any) -> Line:
    before, now = row[9:]
    line = Line(*row[:9])
    return line if before is None else replace(line, restated=Restated(before, now))


def _movement(row: Any) -> Movement:
    kind = LineKind.REFUND if row[3] == OperationKind.REFUND else LineKind.CHARGE
    return Movement(row[0], row[1], row[2], kind, row[4], row[5], Outcome(row[6]), *row[7:12])
