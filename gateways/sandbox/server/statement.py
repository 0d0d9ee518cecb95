"""Reading the ledger out: streamed from one snapshot, so that a hundred thousand rows cost little memory."""

import json
import sqlite3
from collections.abc import Iterator

from gateways.sandbox.server.storage import Storage

_CHUNK = 1_000
_COLUMNS = "account, merchant_ref, reference, operation, operation_id, amount, currency, status, idempotency_key, at"
_TOTALS = """
SELECT reference, currency,
    sum(CASE operation WHEN 'capture' THEN amount WHEN 'refund' THEN -amount
        WHEN 'capture_failed' THEN -amount WHEN 'refund_failed' THEN amount ELSE 0 END) AS net,
    sum(CASE operation WHEN 'authorize' THEN amount WHEN 'capture' THEN -amount WHEN 'void' THEN -amount
        WHEN 'capture_failed' THEN amount ELSE 0 END) AS held
FROM ledger WHERE status = 'succeeded' AND reference IN ({marks}) GROUP BY reference
"""


class Statement:
    """The ledger as JSON text: ``{"operations": [...], "net": {...}, "held": {...}, "next": cursor | null}``.

    ``net`` is captured - refunded and ``held`` authorized - captured - voided, per reference of the listed operations,
    over the whole ledger. Both are summed from the ledger's own rows.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def read(self, *, merchant_ref: str | None, account: str | None, after: int, limit: int | None) -> Iterator[str]:
        """Pieces of the JSON text, operations in the order in which they happened. No limit: all of them."""
        with self._storage.snapshot() as connection:
            references: dict[str, None] = {}
            yield '{"operations":['
            left, first, more = limit, True, True
            while more:
                size = _CHUNK if left is None else min(_CHUNK, left)
                rows = _page(connection, merchant_ref, account, after, size + 1)
                more, rows = len(rows) > size, rows[:size]
                if rows:
                    after = rows[-1]["id"]
                    references.update(dict.fromkeys(row["reference"] for row in rows if row["reference"]))
                    yield ("" if first else ",") + ",".join(_line(row) for row in rows)
                    first = False
                if left is not None:
                    left -= len(rows)
                    if left == 0:
                        break
            yield from _totals(connection, list(references))
            yield f',"next":{json.dumps(str(after)) if more else "null"}}}'


def _page(
    connection: sqlite3.Connection, merchant_ref: str | None, account: str | None, after: int, size: int
) -> list[sqlite3.Row]:
    where = ["id > ?"]
    filters: list[int | str] = [after]
    for condition, value in (("merchant_ref = ?", merchant_ref), ("account = ?", account)):
        if value is not None:
            where.append(condition)
            filters.append(value)
    query = f"SELECT id, {_COLUMNS} FROM ledger WHERE {' AND '.join(where)} ORDER BY id LIMIT ?"
    return connection.execute(query, (*filters, size)).fetchall()


def _line(row: sqlite3.Row) -> str:
    line = dict(row)
    del line["id"]
    return json.dumps(line, separators=(",", ":"))


def _totals(connection: sqlite3.Connection, references: list[str]) -> Iterator[str]:
    """``net`` and ``held`` of these references; a reference without a succeeded operation has 0."""
    net, held = dict.fromkeys(references, 0), dict.fromkeys(references, 0)
    for start in range(0, len(references), 500):
        some = references[start : start + 500]
        query = _TOTALS.format(marks=",".join("?" * len(some)))
        for row in connection.execute(query, some):
            net[row["reference"]], held[row["reference"]] = row["net"], row["held"]
    yield f'],"net":{json.dumps(net)},"held":{json.dumps(held)}'
