"""Cases of the reconciliation: opened once per subject, closed when the subject has healed, told to the orders."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from activities.promise import promise
from contracts.command import Command, Doubt, Recheck
from contracts.reconciliation import Hint, Hints
from domain.payment import RELEASED_OUTCOMES
from domain.reconciliation import HEALED_BY_ORDER, Desk, Finding, Movement, desk_of

ACTOR = "opms.reconciliation"
"""Who closes what has healed, and who asks orders."""
HINTS = 50

_HEALING = ", ".join(f"'{finding.value}'" for finding in sorted(HEALED_BY_ORDER))
_DESKS = ", ".join(f"'{desk.value}'" for desk in Desk)
# What a person has closed stays closed as long as the figures are the same. A case that nobody was given changes its
# desk with what it is about.
_OPEN = text(
    f"""
    INSERT INTO reconciliation_case AS c
           (id, store_id, account, kind, subject, number, merchant_ref, operation_id, line_id, expected, actual,
            currency, owner, opened_at)
    SELECT n.id, a.store_id, a.id, n.kind, n.subject,
           coalesce(n.number, (SELECT r.number FROM attempt t JOIN orders r ON r.id = t.order_id
                                WHERE t.account = a.id AND t.merchant_ref = n.merchant_ref),
                    (SELECT r.number FROM attempt t JOIN orders r ON r.id = t.order_id
                      WHERE t.account = a.id AND t.reference = n.reference LIMIT 1)),
           coalesce(n.merchant_ref, (SELECT t.merchant_ref FROM attempt t
                                      WHERE t.account = a.id AND t.reference = n.reference LIMIT 1)),
           n.operation_id, n.line_id, n.expected, n.actual, n.currency, n.owner, now()
      FROM json_to_recordset(CAST(:rows AS json)) AS n(
           id uuid, kind text, subject text, number text, merchant_ref text, reference text, operation_id uuid,
           line_id bigint, expected bigint, actual bigint, currency text, owner text)
      JOIN gateway_account a ON a.id = :account
     WHERE NOT EXISTS (SELECT FROM reconciliation_case k
                        WHERE k.subject = n.subject AND k.kind = n.kind AND k.closed_by <> :actor
                          AND (k.expected, k.actual) = (n.expected, n.actual))
    ON CONFLICT (subject) WHERE closed_at IS NULL DO UPDATE
       SET kind = EXCLUDED.kind, expected = EXCLUDED.expected, actual = EXCLUDED.actual, number = EXCLUDED.number,
           merchant_ref = EXCLUDED.merchant_ref, operation_id = EXCLUDED.operation_id,
           owner = CASE WHEN c.owner IN ({_DESKS}) THEN EXCLUDED.owner ELSE c.owner END
     WHERE (c.kind, c.expected, c.actual) <> (EXCLUDED.kind, EXCLUDED.expected, EXCLUDED.actual)
    """
)
_CLOSE = text(
    """
    UPDATE reconciliation_case SET closed_at = :now, closed_by = :actor,
           note = concat_ws(E'\\n', note, CAST(:why AS text))
     WHERE subject = ANY(:subjects) AND closed_at IS NULL
    """
)
_JUDGE_AGAIN = text(
    f"""
    UPDATE settlement_line l SET finding = NULL, operation_id = NULL
      FROM reconciliation_case c
     WHERE c.account = :account AND c.closed_at IS NULL AND c.kind IN ({_HEALING}) AND l.id = c.line_id
    """
)
_UNHINTED = text(
    f"""
    SELECT c.id, c.store_id, c.number, c.merchant_ref, t.outcome,
           CASE WHEN o.outcome = 'succeeded' THEN o.id END
      FROM reconciliation_case c
      LEFT JOIN attempt t ON t.account = c.account AND t.merchant_ref = c.merchant_ref
      LEFT JOIN operation o ON o.id = c.operation_id AND c.kind = 'status_mismatch'
     WHERE c.account = :account AND c.closed_at IS NULL AND c.hinted_at IS NULL AND c.number IS NOT NULL
       AND c.kind IN ({_HEALING})
     ORDER BY c.id LIMIT :limit
    """
)
_NOTE = text("UPDATE reconciliation_case SET hinted_at = :now WHERE id = ANY(:ids)")


@dataclass(frozen=True, slots=True)
class Opening:
    """A case to open: a finding about one subject, with both sides' figures in minor units."""

    kind: Finding
    subject: str
    expected: int
    actual: int
    currency: str
    number: str | None = None
    merchant_ref: str | None = None
    reference: str | None = None
    operation_id: str | None = None
    line_id: int | None = None

    @classmethod
    def of_movement(cls, movement: Movement) -> "Opening":
        """Money that we say has moved and the PG does not."""
        return cls(
            Finding.MISSING_AT_PG,
            f"operation:{movement.id}",
            movement.signed,
            0,
            movement.currency,
            number=movement.number,
            merchant_ref=movement.merchant_ref,
            reference=movement.reference,
            operation_id=str(movement.id),
        )


async def open_cases(connection: AsyncConnection, account: str, openings: Sequence[Opening]) -> None:
    """Open what is not open; a case that is open takes over what is said now. Twice is once."""
    if openings:
        rows = json.dumps([asdict(one) | {"id": str(uuid7()), "owner": desk_of(one.kind)} for one in openings])
        await connection.execute(_OPEN, {"account": account, "rows": rows, "actor": ACTOR})


async def close_healed(
    connection: AsyncConnection,
    subjects: Sequence[str],
    *,
    now: datetime,
    why: str = "The next reconciliation found it in order.",
) -> None:
    """Close the cases of subjects that are in order now; ``why`` is added to their notes."""
    if subjects:
        await connection.execute(_CLOSE, {"subjects": list(subjects), "now": now, "actor": ACTOR, "why": why})


async def close_withdrawn(connection: AsyncConnection, lines: Sequence[int], *, now: datetime) -> None:
    """Close the cases of lines that the PG says no longer; of what it says instead there are others."""
    subjects = [f"line:{line}" for line in lines]
    await close_healed(connection, subjects, now=now, why="The PG says this line no longer.")


async def judge_again(connection: AsyncConnection, account: str) -> None:
    """Take back the findings that an order may have healed since; their cases stay open until then."""
    await connection.execute(_JUDGE_AGAIN, {"account": account})


async def find_untold_cases(connection: AsyncConnection, account: str, *, now: datetime) -> Hints:
    """Up to `HINTS` cases whose orders have not been told.

    A closed attempt is asked about by the command ``recheck``, what the PG has taken back by ``doubt``; either has the
    case's id, and its row is the promise. Anything else is being asked about already, and only hurried.
    """
    rows = (await connection.execute(_UNHINTED, {"account": account, "limit": HINTS})).all()
    commands: list[Command] = []
    looks: list[Hint] = []
    for case, store, number, merchant_ref, outcome, taken_back in rows:
        if taken_back is not None:
            commands.append(Command(case, store, number, ACTOR, Doubt(taken_back)))
        elif outcome in RELEASED_OUTCOMES:
            commands.append(Command(case, store, number, ACTOR, Recheck(merchant_ref)))
        else:
            looks.append(Hint(store, number))
    await promise(connection, commands, now)
    return Hints(tuple(commands), tuple(dict.fromkeys(looks)), tuple(row[0] for row in rows))


async def note_told_cases(connection: AsyncConnection, cases: Sequence[UUID], *, now: datetime) -> None:
    """Their orders have been told."""
    await connection.execute(_NOTE, {"ids": list(cases), "now": now})
