"""What the sandbox PG keeps on disk: payments, an append-only ledger, stored answers, webhooks, vendors' own papers.

One SQLite file in WAL mode with ``synchronous=FULL``: what was answered as done survives ``kill -9`` and a power cut.
All writes happen on the event loop's thread, one transaction per request.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    reference TEXT PRIMARY KEY, account TEXT NOT NULL, merchant_ref TEXT NOT NULL, idempotency_key TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0), currency TEXT NOT NULL, method TEXT NOT NULL,
    capture_now INTEGER NOT NULL, status TEXT NOT NULL, decline TEXT,
    authorized INTEGER NOT NULL DEFAULT 0, captured INTEGER NOT NULL DEFAULT 0,
    refunded INTEGER NOT NULL DEFAULT 0, voided INTEGER NOT NULL DEFAULT 0,
    settles_at REAL, created_at TEXT NOT NULL,
    CHECK (0 <= refunded AND refunded <= captured AND 0 <= voided AND captured + voided <= authorized
           AND authorized <= amount));
CREATE INDEX IF NOT EXISTS payments_merchant_ref ON payments (account, merchant_ref);
CREATE INDEX IF NOT EXISTS payments_settling ON payments (settles_at) WHERE settles_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, merchant_ref TEXT NOT NULL, reference TEXT,
    operation TEXT NOT NULL, operation_id TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount >= 0),
    currency TEXT, status TEXT NOT NULL, idempotency_key TEXT NOT NULL, at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS ledger_merchant_ref ON ledger (merchant_ref, id);
CREATE INDEX IF NOT EXISTS ledger_reference ON ledger (reference);
CREATE INDEX IF NOT EXISTS ledger_account ON ledger (account, id);
CREATE TRIGGER IF NOT EXISTS ledger_no_update BEFORE UPDATE ON ledger BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS ledger_no_delete BEFORE DELETE ON ledger BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TABLE IF NOT EXISTS answers (
    account TEXT NOT NULL, idempotency_key TEXT NOT NULL, fingerprint BLOB NOT NULL, kind TEXT NOT NULL,
    reference TEXT, http_status INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (account, idempotency_key)
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cancellations (
    account TEXT NOT NULL, merchant_ref TEXT NOT NULL, operation_key TEXT NOT NULL,
    PRIMARY KEY (account, merchant_ref, operation_key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS cancellations_key ON cancellations (account, operation_key);
CREATE TABLE IF NOT EXISTS returns (reference TEXT PRIMARY KEY, url TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS webhook_targets (account TEXT PRIMARY KEY, url TEXT NOT NULL, secret TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS webhook_deliveries (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, event_id TEXT NOT NULL, body TEXT NOT NULL,
    due_at REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'waiting',
    skew REAL NOT NULL DEFAULT 0, behind_next INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS webhook_deliveries_waiting ON webhook_deliveries (due_at) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS personalities (account TEXT PRIMARY KEY, vendor TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    vendor TEXT NOT NULL, account TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (vendor, account, kind, key));
CREATE TABLE IF NOT EXISTS vendor_answers (
    vendor TEXT NOT NULL, account TEXT NOT NULL, scope TEXT NOT NULL, fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (vendor, account, scope))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, vendor TEXT NOT NULL, account TEXT NOT NULL, name TEXT NOT NULL,
    payload TEXT NOT NULL, due_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (due_at);
"""


_ADDED = (
    ("webhook_deliveries", "skew", "REAL NOT NULL DEFAULT 0"),
    ("webhook_deliveries", "behind_next", "INTEGER NOT NULL DEFAULT 0"),
)
"""Columns that a folder of before does not have: table, name, type."""


class FolderInUse(Exception):
    """Another sandbox PG runs on the same folder."""


class Storage:
    """The one writing connection, and how to open more for reading."""

    def __init__(self, folder: Path) -> None:
        """Create what is missing in ``folder``. Raises `FolderInUse`, ``OSError``, ``sqlite3.Error``."""
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "sandbox.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise FolderInUse(str(folder)) from error
        self._path = folder / "sandbox.sqlite3"
        self.connection = self._connect()
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        self.connection.executescript(_SCHEMA)
        for table, name, kind in _ADDED:
            if name not in {row["name"] for row in self.connection.execute(f"PRAGMA table_info({table})")}:
                self.connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. When this returns normally, the writes are on disk."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own that sees one moment, however long the reading takes."""
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA query_only=1")
            connection.execute("BEGIN")
            yield connection

    def close(self) -> None:
        """Give the folder free."""
        self.connection.close()
        self._lock.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5)
        connection.row_factory = sqlite3.Row
        return connection


def iso(seconds: float) -> str:
    """A Unix time as the sandbox writes it: UTC, milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
