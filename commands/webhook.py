"""Webhooks: verified, stored once, then a hint to the order's workflow to ask the PG now. An event moves no money.

If the process dies between the row and the hint, or Temporal is away, the upkeep workflow sends the hint: a row without
``delivered_at`` is the promise.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

import structlog
from sqlalchemy import RowMapping, text
from temporalio.client import Client
from temporalio.service import RPCError
from uuid_utils.compat import uuid7

from commands.command import submit, wake
from commands.routing import UnknownGateway
from contracts.command import Command, Recheck
from contracts.owner import Owner
from contracts.queues import GATEWAY_CALL_TIMEOUT
from contracts.webhook import DENIED_EVERY, doubt_of
from domain.errors import Rejected
from domain.gateway import Outcome
from gateways.gateway import Gateway, WebhookBatch, WebhookEvent, WebhookRefused, WebhookTrust
from models.database import Database
from queries.webhook import MONEY_IS_DUE, ORDER_OF_EVENT, TAKEN_BACK, UNRESOLVED

log = structlog.get_logger()

LARGEST_BODY = 256 * 1024
"""Bytes."""
HINT_SECONDS = 2.0
"""PGs wait some ten seconds for the acknowledgement; a hint that takes longer is sent by the upkeep workflow."""
UNSIGNED_EVERY = timedelta(seconds=5)
"""Anybody can send what nobody signs: one such event in this time wakes an order, the schedule tells of the rest."""
LONGEST_TEXT = 255
LARGEST_AMOUNT = 2**63 - 1
EARLIEST_YEAR, LATEST_YEAR = 2000, 2999

_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")
_DIGITS = re.compile("[0-9]")
_CURRENCY = re.compile("[A-Z]{3}")

_STORE = text(
    f"""
    WITH e AS (
        SELECT CAST(:account AS text) AS account, j.*
          FROM jsonb_to_recordset(CAST(:events AS jsonb))
            AS j(id uuid, event_id text, kind text, reference text, merchant_ref text, outcome text, amount bigint,
                 currency text, operation_ref text, operation_mark text, reason text, occurred_at timestamptz,
                 occurred_on date, about_account boolean, asks_back boolean)),
    found AS (SELECT e.*, CASE WHEN NOT about_account THEN ({ORDER_OF_EVENT}) END AS order_id FROM e),
    known AS (
        SELECT found.*, {MONEY_IS_DUE} AS due,
               (CAST(:trust AS text) = 'signed' AND (asks_back AND order_id IS NOT NULL
                 OR found.outcome = 'declined' AND EXISTS (
                   SELECT 1 FROM operation o JOIN attempt a ON a.id = o.attempt_id
                    WHERE o.order_id = found.order_id AND a.account = found.account AND o.outcome = 'succeeded'
                      AND (o.operation_ref = found.operation_ref OR o.key = found.merchant_ref)))) IS TRUE AS takes_back
          FROM found),
    stored AS (
        INSERT INTO webhook_event
               (id, store_id, account, event_id, kind, reference, merchant_ref, trust, outcome, amount, currency,
                operation_ref, operation_mark, reason, body_hash, occurred_at, occurred_on, received_at, order_id,
                takes_back, delivered_at, reviewed_at, reviewed_by)
        SELECT k.id, (SELECT store_id FROM gateway_account WHERE id = k.account), k.account, k.event_id, k.kind,
               k.reference, k.merchant_ref, CAST(:trust AS text), k.outcome, k.amount, k.currency, k.operation_ref,
               k.operation_mark, k.reason, CAST(:body_hash AS bytea), k.occurred_at, k.occurred_on,
               CAST(:now AS timestamptz), k.order_id, k.takes_back,
               CASE WHEN k.order_id IS NOT NULL AND NOT k.due AND NOT k.takes_back THEN CAST(:now AS timestamptz) END,
               CASE WHEN k.about_account THEN CAST(:now AS timestamptz) END, CASE WHEN k.about_account THEN 'opms' END
          FROM known k WHERE k.order_id IS NOT NULL OR CAST(:trust AS text) <> 'unsigned'
        ON CONFLICT (account, event_id) DO NOTHING
        RETURNING id)
    SELECT k.id, k.event_id, k.kind, k.order_id, k.takes_back, k.about_account, s.id IS NOT NULL AS stored, o.store_id,
           o.number,
           s.id IS NOT NULL AND NOT k.takes_back
           AND NOT (CAST(:trust AS text) = 'unsigned' AND EXISTS (
               SELECT 1 FROM webhook_event w WHERE w.order_id = k.order_id AND w.trust = 'unsigned'
                  AND coalesce(w.delivered_at, w.received_at) > :unsigned_since))
           AND EXISTS (SELECT 1 FROM operation p WHERE p.order_id = k.order_id AND p.outcome IN ({UNRESOLVED})
                      AND (p.outcome <> 'initiated' OR p.tries > 0 OR p.initiated_at < :sent_before)) AS waits
      FROM known k LEFT JOIN stored s ON s.id = k.id LEFT JOIN orders o ON o.id = k.order_id
    """
)
"""``takes_back``: the PG says no to what it had said yes to, or a customer's bank does. ``waits``: for more than a call
that is under way, whose own answer is on its way too. Were that to be lost with its workflow, the row, which is not
delivered, wakes the order by the schedule."""
_CLOSED = text(
    """
    SELECT e.event_id, o.store_id, o.number, a.merchant_ref, gone.id AS operation_id
      FROM jsonb_to_recordset(CAST(:events AS jsonb)) AS e(event_id text, reference text, merchant_ref text)
      JOIN attempt a ON a.account = :account AND (a.merchant_ref = e.merchant_ref OR a.reference = e.reference)
      JOIN orders o ON o.id = a.order_id
      LEFT JOIN operation gone ON gone.attempt_id = a.id AND gone.reversed_amount > 0 AND gone.kind = 'authorize'
     WHERE (a.outcome IN ('declined', 'not_executed') OR gone.id IS NOT NULL)
       AND NOT (CAST(:unsigned AS boolean) AND EXISTS (
           SELECT 1 FROM operation p WHERE p.attempt_id = a.id AND p.orphan AND p.initiated_at > :unsigned_since))
    """
)
"""Attempts of which a PG tells of money although they were closed, or although it had taken their money back."""
_TAKEN_BACK = text(
    f"""
    WITH e AS (
        SELECT CAST(:account AS text) AS account, j.*
          FROM jsonb_to_recordset(CAST(:events AS jsonb))
            AS j(event_id text, reference text, merchant_ref text, operation_ref text, outcome text)),
    found AS (SELECT e.*, ({ORDER_OF_EVENT}) AS order_id FROM e)
    SELECT e.event_id, r.store_id, r.number, a.merchant_ref, o.id AS operation_id
      FROM found e {TAKEN_BACK}
       AND NOT (CAST(:unsigned AS boolean) AND EXISTS (
           SELECT 1 FROM operation p WHERE p.attempt_id = a.id AND p.orphan AND p.initiated_at > :denied_since))
    """
)
_DELIVERED = text("UPDATE webhook_event SET delivered_at = :now WHERE id = ANY(:ids)")
_REVIEW = text(
    """
    UPDATE webhook_event SET reviewed_at = :now, reviewed_by = :by, review_note = :note
     WHERE store_id = :store AND id = :id AND reviewed_at IS NULL
    """
)


class WebhookUnverified(Rejected):
    """A webhook is not what this PG would send: unsigned, forged, too old or malformed. Nothing is stored."""

    code = "webhook_refused"


@dataclass(frozen=True, slots=True)
class Receipt:
    """How the PG wants it acknowledged, and what became of the events.

    Of the ``stored``, ``unmatched`` are about no order of ours and ``takes_back`` say no to what had succeeded.
    ``unmatched_unsigned`` are about no order and signed by nobody: not stored.
    """

    status: int
    body: bytes
    content_type: str
    stored: int
    duplicates: int
    unmatched: int
    unmatched_unsigned: int
    takes_back: int


def gateway_of(gateways: Mapping[str, Gateway], account: str) -> Gateway:
    """Who reads the webhooks of this account. Raises `UnknownGateway`."""
    gateway = gateways.get(account)
    if gateway is None:
        raise UnknownGateway("no PG account of this name takes webhooks here")
    return gateway


def read_webhook(gateway: Gateway, account: str, raw: bytes, headers: Mapping[str, str]) -> WebhookBatch:
    """Verify the raw body and translate it. Raises `WebhookUnverified`, which does not say why: forgers read it too."""
    try:
        batch = gateway.parse_webhook(raw, headers)
        for event in batch.events:
            _check(event)
    except WebhookRefused as refused:
        reason = _DIGITS.sub("#", str(refused))[:LONGEST_TEXT]  # Were it to quote the body, it would be no card number.
        log.warning("webhook.refused", account=account, reason=reason, bytes=len(raw))
        raise WebhookUnverified("the webhook could not be verified") from refused
    return batch


async def take_webhook(client: Client, database: Database, account: str, raw: bytes, batch: WebhookBatch) -> Receipt:
    """Store the events of a verified body once each, and hint at each order that waits for its PG.

    With Temporal out of reach the rows alone are the promise. Raises what the database raises: the PG sends it again.
    """
    rows = await _store(database, account, raw, batch) if batch.events else []
    stored = [row for row in rows if row["stored"]]
    unmatched = sum(row["order_id"] is None and not row["about_account"] for row in stored)
    if unmatched:
        log.warning("webhook.unmatched", account=account, events=unmatched)
    taken_back = [row for row in stored if row["takes_back"]]
    for row in taken_back:
        log.warning("webhook.takes_back", account=account, order=row["number"], kind=row["kind"], id=str(row["id"]))
    await _hint_all(client, database, [row for row in stored if row["waits"]])
    await _ask_again(client, database, account, batch, new={row["event_id"] for row in stored})
    unsigned = batch.trust is WebhookTrust.UNSIGNED
    dropped = sum(row["order_id"] is None for row in rows) if unsigned else 0
    return Receipt(
        batch.ack_status,
        batch.ack_body,
        batch.ack_content_type,
        stored=len(stored),
        duplicates=len(rows) - len(stored) - dropped,
        unmatched=unmatched,
        unmatched_unsigned=dropped,
        takes_back=len(taken_back),
    )


async def review_event(database: Database, store: str, event_id: UUID, *, by: str, note: str | None) -> None:
    """Note that a person has looked at an event; the first review stays. An event of another store is left alone."""
    given = {"store": store, "id": event_id, "by": by, "note": note, "now": datetime.now(UTC)}
    async with database.statement() as connection:
        await connection.execute(_REVIEW, given)


async def send_hint(client: Client, store: str, number: str) -> None:
    """Tell the order's workflow to look again now; it starts again if it has closed. Raises `RPCError`."""
    await wake(client, Owner(store, number), "look_again", why="a webhook")


async def _store(database: Database, account: str, raw: bytes, batch: WebhookBatch) -> Sequence[RowMapping]:
    """What became of each event. One statement: two deliveries of the same event at once are one row."""
    now = datetime.now(UTC)
    parameters = {
        "account": account,
        "events": json.dumps([_row(event) for event in batch.events]),
        "trust": batch.trust.value,
        "body_hash": hashlib.sha256(raw).digest(),
        "now": now,
        "sent_before": now - GATEWAY_CALL_TIMEOUT,
        "unsigned_since": now - UNSIGNED_EVERY,
    }
    async with database.statement() as connection:
        return (await connection.execute(_STORE, parameters)).mappings().all()


async def _ask_again(
    client: Client, database: Database, account: str, batch: WebhookBatch, *, new: Collection[str]
) -> None:
    """What a PG tells that we had closed is asked about, by commands: money on a closed attempt (R9), money taken back.

    A command's id comes from the event, so that it is asked about once, also if this process dies and the PG sends the
    event again. What nobody signed is only asked about if it is ``new`` and its attempt was not asked about a moment
    ago; what that leaves out is found by the reconciliation.
    """
    unsigned = batch.trust is WebhookTrust.UNSIGNED
    heard = [e for e in batch.events if e.event_id in new or not unsigned]
    told = [e for e in heard if e.outcome is Outcome.SUCCEEDED]
    denied = [e for e in heard if e.outcome is (Outcome.ACTION_REQUIRED if unsigned else Outcome.DECLINED)]
    for statement, events in ((_CLOSED, told), (_TAKEN_BACK, denied)):
        if not events:
            continue
        given = {
            "account": account,
            "events": json.dumps([_row(event) for event in events]),
            "unsigned": unsigned,
            "unsigned_since": datetime.now(UTC) - UNSIGNED_EVERY,
            "denied_since": datetime.now(UTC) - DENIED_EVERY,
        }
        async with database.reading() as connection:
            rows = (await connection.execute(statement, given)).mappings().all()
        for row in rows:
            await submit(client, database, _question(account, row))


def _question(account: str, row: RowMapping) -> Command:
    if row["operation_id"]:
        return doubt_of(account, row["event_id"], row["operation_id"], store=row["store_id"], number=row["number"])
    command_id = uuid5(NAMESPACE_URL, f"recheck {account} {row['event_id']}")
    return Command(command_id, row["store_id"], row["number"], f"webhook:{account}", Recheck(row["merchant_ref"]))


async def _hint_all(client: Client, database: Database, rows: Sequence[RowMapping]) -> None:
    """One hint for each order, then the rows' ``delivered_at``; a crash in between sends a hint twice: no harm."""
    orders: dict[tuple[str, str], list[UUID]] = {}
    for row in rows:
        orders.setdefault((row["store_id"], row["number"]), []).append(row["id"])
    sent = await asyncio.gather(*(_hint(client, store, number) for store, number in orders))
    ids = [event for events, was_sent in zip(orders.values(), sent, strict=True) if was_sent for event in events]
    if ids:
        async with database.statement() as connection:
            await connection.execute(_DELIVERED, {"ids": ids, "now": datetime.now(UTC)})


async def _hint(client: Client, store: str, number: str) -> bool:
    """Whether it was sent. A client that has never reached Temporal says so by a `RuntimeError`."""
    try:
        async with asyncio.timeout(HINT_SECONDS):
            await send_hint(client, store, number)
    except (RPCError, RuntimeError, TimeoutError) as away:
        log.warning("webhook.hint_not_sent_yet", order=number, reason=type(away).__name__)
        return False
    return True


def _row(event: WebhookEvent) -> dict[str, str | int | bool | None]:
    """What is kept of an event; not its ``secret``. A time or an amount that cannot be one counts as not stated."""
    sane = event.amount is not None and 0 <= event.amount <= LARGEST_AMOUNT
    at = event.occurred_at if event.occurred_at and _is_moment(event.occurred_at) else None
    return {
        "id": str(uuid7()),
        "event_id": event.event_id,
        "kind": event.kind,
        "reference": event.reference,
        "merchant_ref": event.merchant_ref,
        "outcome": event.outcome.value if event.outcome else None,
        "amount": event.amount if sane else None,
        "currency": event.currency if _CURRENCY.fullmatch(event.currency or "") else None,
        "operation_ref": event.operation_ref,
        "operation_mark": event.operation_mark,
        "reason": event.reason,
        "occurred_at": at.isoformat() if at else None,
        "occurred_on": at.date().isoformat() if at else None,
        "about_account": event.about_account,
        "asks_back": event.asks_back,
    }


def _is_moment(given: datetime) -> bool:
    """Whether it is one moment, of a time in which there were PGs: the ends of the calendar cannot be read back."""
    return given.tzinfo is not None and EARLIEST_YEAR <= given.year <= LATEST_YEAR


def _check(event: WebhookEvent) -> None:
    """Raises `WebhookRefused` for text that the table cannot hold."""
    texts = (
        event.event_id,
        event.kind,
        event.reference,
        event.merchant_ref,
        event.operation_ref,
        event.operation_mark,
        event.reason,
    )
    if any(each is not None and (len(each) > LONGEST_TEXT or _UNSTORABLE.search(each)) for each in texts):
        raise WebhookRefused("a text of the event is too long, or is none")
