"""Webhooks of the sandbox PG: an outbox written with the money, and the loop that delivers it, signed, until 2xx."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import httpx

from gateways.sandbox.server.fault import FaultBook, FaultKind, Moment, Target
from gateways.sandbox.server.payment import Payment
from gateways.sandbox.server.storage import Storage, iso

log = logging.getLogger("sandbox.delivery")

_EVENT_WORDS = {"capture": "captured", "void": "voided", "refund": "refunded", "neutralize": "cancelled"}
_MAX_TRIES = 9
_FIRST_BACKOFF_SECONDS = 0.5
_MAX_BACKOFF_SECONDS = 60.0
_BATCH = 20


class Outbox:
    """Events to deliver. `announce` runs inside the transaction of the change that it tells of."""

    def __init__(self, storage: Storage, faults: FaultBook) -> None:
        self._storage = storage
        self._connection = storage.connection
        self._faults = faults
        self.changed = asyncio.Event()

    def register(self, account: str, url: str, secret: str) -> None:
        """Where an account's events go from now on."""
        with self._storage.transaction():
            self._connection.execute(
                "INSERT INTO webhook_targets VALUES (?,?,?)"
                " ON CONFLICT (account) DO UPDATE SET url=excluded.url, secret=excluded.secret",
                (account, url, secret),
            )

    def as_json(self) -> dict[str, Any]:
        """Targets without their secrets, and how many deliveries are in which state."""
        targets = self._connection.execute("SELECT account, url FROM webhook_targets ORDER BY account").fetchall()
        states = self._connection.execute("SELECT state, count(*) FROM webhook_deliveries GROUP BY state").fetchall()
        return {"targets": [dict(row) for row in targets], "deliveries": {row[0]: row[1] for row in states}}

    def announce(self, payment: Payment, operation: str, now: float) -> None:
        """Write one event, as the webhook faults want it. ``now``: Unix seconds by the PG's own clock."""
        event_id = f"evt_{secrets.token_hex(10)}"
        event = {
            "id": event_id,
            "type": f"payment.{_EVENT_WORDS.get(operation, payment.status.value)}",
            "reference": payment.reference,
            "merchant_ref": payment.merchant_ref,
            "occurred_at": iso(now),
        }
        self.post(payment.account, event_id, json.dumps({"events": [event]}), operation, now)

    def post(self, account: str, event_id: str, body: str, operation: str, now: float) -> None:
        """Write one delivery, as the webhook faults want it; nothing for an account without a target.

        ``now`` as in `announce`. A clock that is wrong stays wrong for the signatures of the event's deliveries.
        """
        query = "SELECT 1 FROM webhook_targets WHERE account=?"
        if self._connection.execute(query, (account,)).fetchone() is None:
            return
        skew = self._faults.skew
        now -= skew
        fired = self._faults.fire(Target(account, operation, event_id=event_id), Moment.EVENT, now=now)
        fault = None if fired is None else fired.fault
        if fault is FaultKind.WEBHOOK_NEVER:
            return
        held_back = fired is not None and fault in {FaultKind.WEBHOOK_LATE, FaultKind.WEBHOOK_REORDERED}
        due_at = now + fired.ms / 1000 if fired is not None and held_back else now
        row = (account, event_id, body, due_at, skew, fault is FaultKind.WEBHOOK_REORDERED)
        copies = 2 if fault is FaultKind.WEBHOOK_DUPLICATE else 1
        self._connection.executemany(
            "INSERT INTO webhook_deliveries (account, event_id, body, due_at, skew, behind_next) VALUES (?,?,?,?,?,?)",
            [row] * copies,
        )
        self.changed.set()


class Voice(Protocol):
    """How a vendor's webhooks are signed, and when they count as taken."""

    def sign(self, secret: str, raw: bytes, now: float) -> Mapping[str, str]:
        """The headers of one delivery."""

    def is_acknowledged(self, status: int, body: bytes) -> bool:
        """Whether the receiver's answer counts."""

    def takes_type(self, content_type: str) -> bool:
        """Whether an answer of this ``Content-Type`` counts."""


class _OwnVoice:
    def sign(self, secret: str, raw: bytes, now: float) -> Mapping[str, str]:
        return {"Content-Type": "application/json", "Sandbox-Signature": sign(secret, raw, now)}

    def is_acknowledged(self, status: int, _body: bytes) -> bool:
        return 200 <= status < 300

    def takes_type(self, _content_type: str) -> bool:
        return True


_OWN_VOICE = _OwnVoice()


class Courier:
    """Delivers what is in the outbox. One loop, up to twenty posts at a time."""

    def __init__(
        self, storage: Storage, outbox: Outbox, voices: Mapping[str, Voice], *, clock: Callable[[], float]
    ) -> None:
        """``voices``: how accounts that speak as another vendor sign. ``clock`` gives Unix seconds."""
        self._storage = storage
        self._connection = storage.connection
        self._outbox = outbox
        self._voices = voices
        self._clock = clock

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
            while True:
                self._outbox.changed.clear()
                due = self._due()
                if due:
                    await asyncio.gather(*(self._deliver(client, row) for row in due))
                    continue
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._outbox.changed.wait(), self._seconds_to_next())

    async def _deliver(self, client: httpx.AsyncClient, row: sqlite3.Row) -> None:
        raw = row["body"].encode()
        voice = self._voices.get(row["vendor"], _OWN_VOICE)
        try:
            headers = voice.sign(row["secret"], raw, self._clock() + row["skew"])
            response = await client.post(row["url"], content=raw, headers=dict(headers))
            delivered = voice.is_acknowledged(response.status_code, response.content)
            delivered = delivered and voice.takes_type(response.headers.get("content-type", ""))
            why = f"status {response.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, AttributeError) as error:  # The last is how anyio says "hung up".
            delivered, why = False, type(error).__name__
        tries = row["tries"] + 1
        state = "delivered" if delivered else ("failed" if tries >= _MAX_TRIES else "waiting")
        if not delivered:
            log.warning("webhook.undelivered event=%s tries=%d state=%s why=%s", row["event_id"], tries, state, why)
        due_at = self._clock() + min(_MAX_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2 ** row["tries"])
        with self._storage.transaction():
            self._connection.execute(
                "UPDATE webhook_deliveries SET state=?, tries=?, due_at=? WHERE id=?", (state, tries, due_at, row["id"])
            )
            if delivered:
                self._let_go(row)

    def _let_go(self, delivered: sqlite3.Row) -> None:
        """What was to come behind this event comes now (fault ``webhook_reordered``)."""
        self._connection.execute(
            "UPDATE webhook_deliveries SET due_at=?, behind_next=0"
            " WHERE account=? AND behind_next AND state='waiting' AND id < ?",
            (self._clock(), delivered["account"], delivered["id"]),
        )

    def _due(self) -> list[sqlite3.Row]:
        return self._connection.execute(
            "SELECT d.*, t.url, t.secret, p.vendor FROM webhook_deliveries d JOIN webhook_targets t USING (account)"
            " LEFT JOIN personalities p USING (account)"
            " WHERE d.state='waiting' AND d.due_at <= ? ORDER BY d.due_at, d.id LIMIT ?",
            (self._clock(), _BATCH),
        ).fetchall()

    def _seconds_to_next(self) -> float | None:
        query = "SELECT min(due_at) FROM webhook_deliveries WHERE state='waiting'"
        next_at = self._connection.execute(query).fetchone()[0]
        return None if next_at is None else max(0.01, float(next_at) - self._clock())


def sign(secret: str, raw: bytes, now: float) -> str:
    """``t=<Unix seconds>,v1=<hex HMAC-SHA256 of "<t>." + body>``."""
    stamp = str(int(now))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"
