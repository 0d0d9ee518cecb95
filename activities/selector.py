"""The choice by ratio, as one statement that is a transaction by itself: the hottest row is locked for one round trip.

It does what `domain.routing.choose` does once that has found who contends; a property test holds the two equal. The
deficits are read under the row's lock, so the choices of a rule happen one after the other, whoever asks. What a
process asks for while a statement of it is under way goes together into the next: under load a lock, which costs two
processes a change of turn, is taken once for many choices.

A choice is committed before the order that it is for. An order that is rolled back gives it back (`give_back`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from domain.routing import CLIP_PAYMENTS, Candidate, Rule
from models.database import Database

log = structlog.get_logger()

AT_ONCE = 64
"""Most choices in one statement."""

# `run` chooses one payment after the other, each from the deficits that the one before has left. One clip does for
# both measures: twenty times the usual payment, which by count is 1. Sums of bigint are numeric in Postgres, so the
# comparison with the clip cannot overflow.
_SELECT = text(
    f"""
    WITH RECURSIVE state AS MATERIALIZED (
        SELECT deficits, decisions, volume FROM routing_state WHERE rule_id = :rule FOR UPDATE),
    run AS (
        SELECT 0 AS n, CAST(NULL AS bigint) AS place, deficits AS before, deficits AS after, decisions, volume,
               CAST(1 AS bigint) AS usual
          FROM state
        UNION ALL
        SELECT run.n + 1, step.place, run.after, step.after, run.decisions + 1, run.volume + step.units, step.usual
          FROM run CROSS JOIN LATERAL (
            WITH payment AS MATERIALIZED (
                SELECT p.units, greatest((run.volume + p.units) / (run.decisions + 1), 1) AS usual
                  FROM (SELECT (CAST(:units AS bigint[]))[run.n + 1] AS units) p),
            seen AS MATERIALIZED (
                SELECT c.place, c.old, c.share, c.contends, c.old + coalesce(c.share, 0) * payment.units AS deficit
                  FROM payment, unnest(run.after, (CAST(:shares AS bigint[]))[run.n + 1 : run.n + 1],
                                       (CAST(:contends AS boolean[]))[run.n + 1 : run.n + 1]) WITH ORDINALITY
                       AS c(old, share, contends, place)),
            chosen AS MATERIALIZED (SELECT place FROM seen WHERE contends ORDER BY deficit DESC, place LIMIT 1),
            sums AS MATERIALIZED (
                SELECT count(*) AS size, sum(share) AS whole, sum(deficit) AS total FROM seen WHERE share IS NOT NULL),
            waiting AS MATERIALIZED (
                SELECT place, row_number() OVER falling AS rank, sum(deficit) OVER falling AS claim
                  FROM seen WHERE share IS NOT NULL AND NOT contends WINDOW falling AS (ORDER BY deficit DESC, place)),
            late AS MATERIALIZED (
                SELECT place FROM waiting WHERE rank <= (
                    SELECT max(w.rank) FROM waiting w, sums, payment
                     WHERE w.claim * size - (total - whole * units) * w.rank
                           > {CLIP_PAYMENTS} * usual * whole * size)),
            credited AS MATERIALIZED (
                SELECT place, deficit, share FROM seen
                 WHERE share IS NOT NULL AND place NOT IN (SELECT place FROM late))
            SELECT chosen.place, payment.units, payment.usual, ARRAY(
                SELECT coalesce(c.deficit, s.old)
                       - CASE WHEN s.place = chosen.place
                              THEN CAST((SELECT sum(share) FROM credited) AS bigint) * payment.units ELSE 0 END
                  FROM seen s LEFT JOIN credited c ON c.place = s.place ORDER BY s.place) AS after
              FROM chosen, payment) AS step
         WHERE run.n < cardinality(CAST(:units AS bigint[]))),
    saved AS (
        UPDATE routing_state r SET deficits = last.after, decisions = last.decisions, volume = last.volume
          FROM (SELECT after, decisions, volume FROM run ORDER BY n DESC LIMIT 1) last
         WHERE r.rule_id = :rule)
    SELECT n, place - 1 AS place, before, after, decisions AS sequence, usual FROM run WHERE n > 0 ORDER BY n
    """
)
_GIVE_BACK = text(
    """
    UPDATE routing_state r
       SET deficits = ARRAY(SELECT h.deficit - h.moved FROM unnest(r.deficits, CAST(:moved AS bigint[])) WITH ORDINALITY
                                   AS h(deficit, moved, place) ORDER BY h.place)
     WHERE r.rule_id = :rule
    """
)


@dataclass(frozen=True, slots=True)
class Selection:
    """One choice. ``before`` and ``after``: the deficits of the rule's accounts with a weight entry, in its order.

    ``sequence`` numbers the choices of a rule; ``usual`` is the usual payment that the clip was measured by.
    """

    rule_id: UUID
    account: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    sequence: int
    usual: int


@dataclass(frozen=True, slots=True)
class _Asked:
    names: tuple[str, ...]
    units: int
    shares: list[int | None]
    contends: list[bool]
    answer: "asyncio.Future[Selection]"


class _Queues:
    """What a process waits for, by rule. Belongs to one event loop."""

    def __init__(self) -> None:
        self.waiting: dict[UUID, list[_Asked]] = {}
        self.running: dict[UUID, asyncio.Task[None]] = {}


_QUEUES: "WeakKeyDictionary[Database, _Queues]" = WeakKeyDictionary()
"""One for the pools of each database, gone with them."""


async def select(
    database: Database,
    rule_id: UUID,
    rule: Rule,
    candidates: Sequence[Candidate],
    among: Sequence[Candidate],
    *,
    units: int,
) -> Selection:
    """Choose one of ``among``; ``candidates`` are all accounts of the rule, ``units`` what the payment counts for.

    Raises what asking the database raised: then nothing was chosen, or the answer was lost.
    """
    seen = {each.account: each for each in candidates}
    names = tuple(account for account, _ in rule.weights)
    contending = {each.account for each in among}
    asked = _Asked(
        names=names,
        units=units,
        shares=[seen[name].weight if seen[name].shares else None for name in names],
        contends=[name in contending for name in names],
        answer=asyncio.get_running_loop().create_future(),
    )
    queues = _QUEUES.setdefault(database, _Queues())
    queues.waiting.setdefault(rule_id, []).append(asked)
    if rule_id not in queues.running:
        queues.running[rule_id] = asyncio.create_task(_run(database, queues, rule_id), name="selector")
    return await asked.answer


async def give_back(database: Database, selection: Selection) -> None:
    """Take back what a choice did to the deficits; what others chose meanwhile stays."""
    moved = [after - before for after, before in zip(selection.after, selection.before, strict=True)]
    async with database.selecting() as connection:
        await connection.execute(_GIVE_BACK, {"rule": selection.rule_id, "moved": moved})


async def _run(database: Database, queues: _Queues, rule_id: UUID) -> None:
    """Ends by itself with the last who waits."""
    try:
        while waiting := queues.waiting.pop(rule_id, None):
            batch, later = waiting[:AT_ONCE], waiting[AT_ONCE:]
            if later:
                queues.waiting[rule_id] = later
            try:
                selections = await _choose(database, rule_id, batch)
            except Exception as away:  # noqa: BLE001 - each who waits gets it, and answers for it
                for asked in batch:
                    if not asked.answer.done():
                        asked.answer.set_exception(away)
                continue
            await _hand_out(database, batch, selections)
    finally:
        queues.running.pop(rule_id, None)


async def _hand_out(database: Database, batch: Sequence[_Asked], selections: Sequence[Selection]) -> None:
    """To each its own; whoever is gone does not need it."""
    unwanted = []
    for asked, selection in zip(batch, selections, strict=True):
        if asked.answer.done():
            unwanted.append(selection)
        else:
            asked.answer.set_result(selection)
    try:
        for selection in unwanted:
            await give_back(database, selection)
    except (SQLAlchemyError, OSError) as away:
        log.warning("routing.not_given_back", selections=len(unwanted), reason=type(away).__name__)


async def _choose(database: Database, rule_id: UUID, batch: Sequence[_Asked]) -> list[Selection]:
    parameters = {
        "rule": rule_id,
        "units": [asked.units for asked in batch],
        "shares": [asked.shares for asked in batch],
        "contends": [asked.contends for asked in batch],
    }
    async with database.selecting() as connection:
        rows = (await connection.execute(_SELECT, parameters)).all()
    return [
        Selection(rule_id, asked.names[r.place], tuple(r.before), tuple(r.after), r.sequence, r.usual)
        for asked, r in zip(batch, rows, strict=True)
    ]
