"""The verdict: what each PG's own ledger says of every order, beside what we say, and beside what must never be."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx

ATTEMPTS = """
    SELECT o.number, o.status AS order_status, o.total, y.id AS payment_id, y.status, y.amount, y.authorized,
           y.captured, y.voided, y.refunded, a.merchant_ref, a.outcome, a.account,
           (SELECT coalesce(sum(g.amount), 0)::bigint FROM refund_leg g
             WHERE g.payment_id = y.id AND g.destination = 'store_credit' AND g.status = 'succeeded') AS credited
      FROM attempt a JOIN payment y ON y.id = a.payment_id JOIN orders o ON o.id = a.order_id
     WHERE a.account <> y.method
"""
REFUSALS = """
    SELECT o.number, a.account, p.kind, p.amount, p.tax_free, p.detail
      FROM operation p JOIN attempt a ON a.id = p.attempt_id JOIN orders o ON o.id = p.order_id
     WHERE p.detail IS NOT NULL
"""
TAX_CODES = ("P036", "U319", "U321")
"""NICE's words for more than there is that is free of tax."""
ENDED = {"canceled", "expired"}


@dataclass
class Held:
    """What one PG keeps on one merchant reference, by its own ledger. Minor units."""

    net: int = 0
    held: int = 0
    authorizations: int = 0


@dataclass
class Books:
    """What all PGs say, by merchant reference."""

    by_ref: dict[str, Held] = field(default_factory=lambda: defaultdict(Held))

    @classmethod
    def of(cls, operations: list[dict[str, Any]]) -> "Books":
        """Fold a ledger's own rows; what did not succeed moved nothing."""
        books = cls()
        signs = {
            "authorize": (0, 1),
            "capture": (1, -1),
            "capture_failed": (-1, 1),
            "void": (0, -1),
            "refund": (-1, 0),
            "refund_failed": (1, 0),
        }
        for row in operations:
            if row["status"] != "succeeded" or row["operation"] not in signs:
                continue
            kept = books.by_ref[row["merchant_ref"]]
            net, held = signs[row["operation"]]
            kept.net += net * row["amount"]
            kept.held += held * row["amount"]
            kept.authorizations += row["operation"] == "authorize"
        return books


async def disagreements(database_url: str, sandbox_url: str) -> list[str]:
    """Every way in which money is not where it must be; empty: all is well."""
    connection = await asyncpg.connect(database_url)
    attempts = await connection.fetch(ATTEMPTS)
    refusals = await connection.fetch(REFUSALS)
    await connection.close()
    async with httpx.AsyncClient(timeout=120) as http:
        ledger = (await http.get(f"{sandbox_url}/_ledger")).raise_for_status().json()
    wrong = judge([dict(a) for a in attempts], Books.of(ledger["operations"]))
    return wrong + wrongly_untaxed([dict(r) for r in refusals])


def judge(attempts: list[dict[str, Any]], books: Books) -> list[str]:
    """Pure: the attempts of our database beside the PGs' books."""
    wrong = [
        _unknown(ref, kept) for ref, kept in books.by_ref.items() if ref not in {a["merchant_ref"] for a in attempts}
    ]
    payments: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for attempt in attempts:
        payments[attempt["payment_id"]].append(attempt)
    for tried in payments.values():
        wrong += _of_payment(tried, books)
    orders: dict[str, int] = defaultdict(int)
    for attempt in attempts:
        kept = books.by_ref[attempt["merchant_ref"]]
        orders[attempt["number"]] += kept.net + kept.held
    totals = {a["number"]: (a["total"], a["order_status"]) for a in attempts}
    credited: dict[str, int] = defaultdict(int)
    for tried in payments.values():
        credited[tried[0]["number"]] += tried[0]["credited"]
    for number, sum_kept in orders.items():
        total, status = totals[number]
        if sum_kept > total:
            wrong.append(f"{number}: the PGs keep {sum_kept} of an order of {total}")
        if status in ENDED and sum_kept != credited[number]:
            given = f"; {credited[number]} was given as store credit" if credited[number] else ""
            wrong.append(f"{number} is {status} and the PGs keep {sum_kept}{given}")
    return [line for line in wrong if line]


def wrongly_untaxed(refusals: list[dict[str, Any]]) -> list[str]:
    """Pure: what NICE has refused because of what it was told is free of tax."""
    return [
        f"{r['number']}: {r['account']} refused the {r['kind']} of {r['amount']}, {r['tax_free']} free of tax"
        for r in refusals
        if any(code in r["detail"] for code in TAX_CODES)
    ]


def _unknown(ref: str, kept: Held) -> str:
    return f"{ref}: the PGs keep {kept.net + kept.held} and we know nothing of it" if kept.net or kept.held else ""


def _of_payment(tried: list[dict[str, Any]], books: Books) -> list[str]:
    wrong = []
    first = tried[0]
    number = first["number"]
    keeping = [a for a in tried if books.by_ref[a["merchant_ref"]].net or books.by_ref[a["merchant_ref"]].held]
    if len(keeping) > 1:
        wrong.append(f"{number}: {len(keeping)} attempts of one payment keep money: {[a['account'] for a in keeping]}")
    net = sum(books.by_ref[a["merchant_ref"]].net for a in tried)
    held = sum(books.by_ref[a["merchant_ref"]].held for a in tried)
    ours = (
        first["captured"] - first["refunded"] + first["credited"],
        first["authorized"] - first["captured"] - first["voided"],
    )
    if (net, held) != ours:
        wrong.append(
            f"{number}: the PGs keep {net} and hold {held}, we say {ours[0]} and {ours[1]} ({first['status']})"
        )
    wrong += [
        f"{number}: {a['merchant_ref']} was authorized {books.by_ref[a['merchant_ref']].authorizations} times"
        for a in tried
        if books.by_ref[a["merchant_ref"]].authorizations > 1
    ]
    return wrong
