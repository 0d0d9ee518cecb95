"""The steps of the reconciliation. They compare and write findings and cases; money moves elsewhere, if at all."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity
from typing_extensions import override
from uuid_utils.compat import uuid7

from activities.casebook import (
    Opening,
    close_healed,
    close_withdrawn,
    find_untold_cases,
    judge_again,
    note_told_cases,
    open_cases,
)
from activities.desk import utc_now
from activities.settlement import (
    Cursor,
    batched,
    store_lines,
    uploaded_file,
    withdraw_restated,
    withdraw_unread,
)
from contracts.reconciliation import (
    FailImport,
    Hinted,
    Hints,
    Import,
    PlanDays,
    ReconciliationSteps,
    Tally,
)
from domain.reconciliation import EXCEPTIONS, Finding, Judged, LineKind, Terms, payout_finding, reconcile, waiting
from gateways.gateway import Gateway, MisconfiguredGateway, SettlementFile, UnreadableSettlement
from models.database import Database
from queries.settlement import days_read, movements_of, movements_without_line, unjudged_lines

log = structlog.get_logger()

CHUNK = 2_000
"""Lines or movements that are judged by one transaction."""
LOOK_BACK = timedelta(days=45)
"""How long a movement without a line is looked at, and a payout compared."""

_FIRST = UUID(int=0)
# One judge of an account at a time: a schedule's run and one that was asked for would pair the same movements.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('opms.reconciliation.' || :account, 0))")
_PLAN = text(
    """
    INSERT INTO settlement_import (id, account, day, state, lines, requested_by, requested_at)
    VALUES (:id, :account, :day, 'requested', 0, 'schedule', :now)
    ON CONFLICT (account, day) DO UPDATE SET account = EXCLUDED.account RETURNING id
    """
)
_IMPORT = text("SELECT id, account, day FROM settlement_import WHERE id = :id")
_STATE = text("UPDATE settlement_import SET state = :state, problem = :problem, finished_at = :now WHERE id = :id")
_READ = text(
    """
    UPDATE settlement_import SET state = 'read', problem = NULL, lines = :lines, first_day = :first, last_day = :last
     WHERE id = :id
    """
)
_FINDINGS = text(
    """
    UPDATE settlement_line l SET finding = n.finding, operation_id = n.operation_id
      FROM json_to_recordset(CAST(:rows AS json)) AS n(id bigint, finding text, operation_id uuid) WHERE l.id = n.id
    """
)
_PAYOUTS = text(
    """
    SELECT c.payout_ref, c.amount, c.currency, sum(l.net) FILTER (WHERE l.kind <> :payout)::bigint,
           coalesce(bool_and(l.currency = c.currency) FILTER (WHERE l.kind <> :payout), true), c.credited_on,
           EXISTS (SELECT FROM settlement_line k
                    WHERE k.account = c.account AND k.payout_ref IS NULL AND k.paid_on IS NOT NULL) AS by_day,
           EXISTS (SELECT FROM settlement_import i
                    WHERE i.account = c.account AND i.day = max(l.paid_on) AND i.state IN ('reading', 'failed')) AS torn
      FROM bank_credit c LEFT JOIN settlement_line l ON l.account = c.account AND l.finding IS DISTINCT FROM 'withdrawn'
           AND (l.payout_ref = c.payout_ref OR (l.payout_ref IS NULL AND l.paid_on = c.credited_on))
     WHERE c.account = :account AND c.recorded_at >= :since
     GROUP BY c.id ORDER BY c.id
    """
)


@dataclass(frozen=True, slots=True)
class Accounts:
    """The PG accounts and the terms by which each settles."""

    gateways: Mapping[str, Gateway]
    terms: Mapping[str, Terms]

    def of(self, account: str) -> Terms:
        """An account that is in no settings any more has the usual terms."""
        return self.terms.get(account, Terms())


class ReconciliationActivities(ReconciliationSteps):
    """Reads PGs, writes lines, findings and cases."""

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self._database = database
        self._accounts = accounts

    @override
    @activity.defn
    async def plan_days(self, request: PlanDays) -> tuple[Import, ...]:
        """Yesterday, and the days before it whose lines may have come late; none for a PG that gives no lines."""
        gateway = self._accounts.gateways.get(request.account)
        if gateway is None or not gateway.capabilities().settlement:
            return ()
        terms = self._accounts.of(request.account)
        today = request.at.astimezone(ZoneInfo(terms.timezone)).date()
        due = []
        async with self._database.transaction() as connection:
            for back in range(terms.days + 1, 0, -1):
                day = today - timedelta(days=back)
                new = {"id": uuid7(), "account": request.account, "day": day, "now": utc_now()}
                due.append(Import((await connection.execute(_PLAN, new)).scalar_one(), request.account, day))
        return tuple(due)

    @override
    @activity.defn
    async def find_import(self, import_id: UUID) -> Import:
        """The import that somebody has asked for."""
        async with self._database.reading() as connection:
            return Import(*(await connection.execute(_IMPORT, {"id": import_id})).one())

    @override
    @activity.defn
    async def read_settlement(self, request: Import) -> int:
        """Every line of a day or a file, once; how many there were.

        A file is read to its end before its first line is taken. Raises `GatewayUnavailable` (again later),
        `UnreadableSettlement` and `MisconfiguredGateway` (never again).
        """
        gateway = self._accounts.gateways.get(request.account)
        if gateway is None:
            raise MisconfiguredGateway(f"no gateway account {request.account} is configured here")
        zone = ZoneInfo(self._accounts.of(request.account).timezone)
        began, resume = utc_now(), Cursor.of_heartbeat()
        async with self._database.statement() as connection:
            await connection.execute(_STATE, {"id": request.id, "state": "reading", "problem": None, "now": None})
        if request.day is None:
            return await self._read_file(request, gateway, zone, resume)
        read = None
        while read is None:
            batches = batched(gateway.settlement_lines(request.day))
            read = await store_lines(self._database, request.account, request.id, batches, zone=zone, resume=resume)
            resume = None
        over = datetime.combine(request.day + timedelta(days=1), time.min, zone)
        covered = request.day if began >= over else None  # Of a day that goes on nobody knows what is missing.
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK, {"account": request.account})
            await close_withdrawn(connection, await withdraw_unread(connection, request.id, read.run), now=utc_now())
            await _note_read(connection, request.id, read.lines, (covered, covered))
        return read.lines

    async def _read_file(self, request: Import, gateway: Gateway, zone: ZoneInfo, resume: Cursor | None) -> int:
        if not isinstance(gateway, SettlementFile):
            raise UnreadableSettlement(f"{request.account} settles by no file that we can read")
        async with uploaded_file(self._database, request.id, gateway) as file:
            found = await file.check(zone)
            while (
                await store_lines(self._database, request.account, request.id, file.batches(), zone=zone, resume=resume)
            ) is None:
                resume = None
        async with self._database.statement() as connection:
            await _note_read(connection, request.id, found.lines, (found.first_day, found.last_day))
        return found.lines

    @override
    @activity.defn
    async def fail_import(self, request: FailImport) -> None:
        """Write down that it could not be read, and why."""
        log.error("reconciliation.not_read", import_id=str(request.import_id), problem=request.problem)
        failed = {"id": request.import_id, "state": "failed", "problem": request.problem, "now": utc_now()}
        async with self._database.statement() as connection:
            await connection.execute(_STATE, failed)

    @override
    @activity.defn
    async def judge_lines(self, request: Import) -> Tally:
        """A finding for every line of the account that has none, or whose case an order may have healed since."""
        counted: Counter[str] = Counter()
        async with self._database.transaction() as connection:
            await judge_again(connection, request.account)
        for named in (True, False):  # Those that name an operation first: they must find theirs free.
            after: int | None = 0
            while after is not None:
                async with self._database.transaction() as connection:
                    await connection.execute(_LOCK, {"account": request.account})
                    after = await self._judge(connection, request.account, named=named, after=after, counted=counted)
                activity.heartbeat(after)
        done = {"id": request.id, "state": "reconciled", "problem": None, "now": utc_now()}
        async with self._database.statement() as connection:
            await connection.execute(_STATE, done)
        return Tally(dict(counted))

    async def _judge(
        self, connection: AsyncConnection, account: str, *, named: bool, after: int, counted: Counter[str]
    ) -> int | None:
        """One chunk; where the next begins. What the PG says of a line now takes the place of what it said before."""
        found = await unjudged_lines(connection, account, named=named, after=after, limit=CHUNK)
        if not found:
            return None
        withdrawn = await withdraw_restated(connection, found)
        await close_withdrawn(connection, withdrawn, now=utc_now())
        lines = [line for line in found if line.id not in withdrawn]
        movements = await movements_of(connection, account, lines)
        judged = reconcile(lines, movements, self._accounts.of(account))
        await connection.execute(_FINDINGS, {"rows": _findings(judged)})
        await open_cases(connection, account, [_opening(one) for one in judged if one.finding in EXCEPTIONS])
        healed = [f"line:{one.line.id}" for one in judged if one.finding not in EXCEPTIONS]
        healed += [f"operation:{one.paired.id}" for one in judged if one.paired]
        await close_healed(connection, healed, now=utc_now())
        counted.update(one.finding.value for one in judged)
        return found[-1].id

    @override
    @activity.defn
    async def judge_movements(self, account: str) -> Tally:
        """What we have moved and no line speaks of: still in time, or missing."""
        terms, since = self._accounts.of(account), utc_now() - LOOK_BACK
        zone = ZoneInfo(terms.timezone)
        counted: Counter[str] = Counter()
        after = _FIRST
        async with self._database.reading() as connection:
            read = await days_read(connection, account, since.date())
        while True:
            async with self._database.transaction() as connection:
                found = await movements_without_line(connection, account, since=since, after=after, limit=CHUNK)
                missing = []
                for one in found:
                    started, moved = (at.astimezone(zone).date() for at in (one.started_at, one.moved_at))
                    finding = waiting(started, moved, read, terms.days)
                    counted[finding.value] += 1
                    if finding is Finding.MISSING_AT_PG:
                        missing.append(Opening.of_movement(one.movement))
                await open_cases(connection, account, missing)
            if not found:
                return Tally(dict(counted))
            after = found[-1].movement.id
            activity.heartbeat(str(after))

    @override
    @activity.defn
    async def judge_payouts(self, account: str) -> Tally:
        """The bank's credits against the sums of the lines of their payouts, to the last unit.

        Lines that name no payout are of the one of the day on which they are paid out. Of a payout that no line names
        (one by hand at Stripe), or whose day was not read to its end, no sum can be told: its credit is ``timing``.
        """
        counted: Counter[str] = Counter()
        opened, healed = [], []
        since = utc_now() - LOOK_BACK
        wanted = {"account": account, "since": since, "payout": LineKind.PAYOUT.value}
        async with self._database.transaction() as connection:
            read = await days_read(connection, account, since.date())
            found = await connection.execute(_PAYOUTS, wanted)
            for payout, amount, currency, net, same, credited_on, by_day, torn in found:
                if torn or (net is None and not (by_day and credited_on in read)):
                    counted[Finding.TIMING.value] += 1
                    continue
                finding = payout_finding(net or 0, amount) if same else Finding.PAYOUT_MISMATCH
                counted[finding.value] += 1
                subject = f"payout:{account}:{payout}"
                if finding is Finding.MATCHED:
                    healed.append(subject)
                else:
                    opened.append(Opening(finding, subject, net or 0, amount, currency))
            await open_cases(connection, account, opened)
            await close_healed(connection, healed, now=utc_now())
        return Tally(dict(counted))

    @override
    @activity.defn
    async def find_untold_cases(self, account: str) -> Hints:
        """The next orders that have to be told of a case, with the commands that ask, promised by their rows."""
        async with self._database.transaction() as connection:
            return await find_untold_cases(connection, account, now=utc_now())

    @override
    @activity.defn
    async def note_told_cases(self, request: Hinted) -> None:
        """They have been told."""
        async with self._database.statement() as connection:
            await note_told_cases(connection, request.cases, now=utc_now())


async def _note_read(
    connection: AsyncConnection, import_id: UUID, lines: int, covered: tuple[date | None, date | None]
) -> None:
    first, last = covered
    await connection.execute(_READ, {"id": import_id, "lines": lines, "first": first, "last": last})


def _findings(judged: Sequence[Judged]) -> str:
    rows = [
        {"id": one.line.id, "finding": one.finding, "operation_id": str(one.paired.id) if one.paired else None}
        for one in judged
    ]
    return json.dumps(rows, separators=(",", ":"))


def _opening(one: Judged) -> Opening:
    return Opening(
        one.finding,
        f"line:{one.line.id}",
        one.expected,
        one.actual,
        one.line.currency,
        number=one.about.number if one.about else None,
        merchant_ref=one.about.merchant_ref if one.about else one.line.merchant_ref,
        reference=one.line.reference,
        operation_id=str(one.about.id) if one.about else None,
        line_id=one.line.id,
    )
