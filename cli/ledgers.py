"""Our books beside a PG's own ledger, attempt by attempt: what was taken, given back, and is still held."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from cli.comparison import Money
from cli.disagreement import Disagreement, Part
from cli.waiting import until
from models.database import Database
from queries.audit import AttemptMoney, money_of_account, money_of_attempt

PAGE = 5_000
PATIENCE = 10.0
"""Seconds in which two sides that are asked one after the other may come to agree: the system is running."""

ASK = "ask the order again: signal look_again to its workflow, or close the doubt with evidence"
ORPHAN = "nobody's money: find the order by the reference; give it back at the PG and note why"


@dataclass(frozen=True, slots=True)
class Ledger:
    """The open ledger of a sandbox PG: it can be asked what really happened."""

    http: httpx.AsyncClient
    account: str

    async def sums(self) -> dict[str, Money]:
        """What moved, by merchant reference."""
        sums: dict[str, Money] = {}
        async for line in self._lines({}):
            reference = str(line["merchant_ref"])
            sums[reference] = sums.get(reference, Money()) + _money(line)
        return sums

    async def sum_of(self, merchant_ref: str) -> Money:
        """What moved for one reference."""
        return sum([_money(line) async for line in self._lines({"merchant_ref": merchant_ref})], Money())

    async def _lines(self, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            page = {"account": self.account, "limit": str(PAGE), **query} | ({"cursor": cursor} if cursor else {})
            answer = await self.http.get("/_ledger", params=page)
            answer.raise_for_status()
            document = answer.json()
            for line in document["operations"]:
                yield line
            cursor = document["next"]
            if cursor is None:
                return


async def compare_ledger(database: Database, ledger: Ledger) -> Part:
    """Every attempt at one account. What differs is asked again for some seconds before it is said to differ."""
    name = f"our books and the ledger of {ledger.account}"
    try:
        theirs = await ledger.sums()
        async with database.reading() as connection:
            ours = {one.merchant_ref: one for one in await money_of_account(connection, ledger.account)}
        seen = {ref: (ours.get(ref), theirs.get(ref, Money())) for ref in sorted(ours.keys() | theirs.keys())}
        suspects = {ref: sides for ref, sides in seen.items() if not _agree(*sides)}
        found = [
            _told(ledger.account, ref, *sides) for ref, sides in (await _settled(database, ledger, suspects)).items()
        ]
    except (httpx.HTTPError, KeyError, ValueError) as away:
        return Part(name, unasked=f"the PG's ledger cannot be read: {type(away).__name__}")
    return Part(name, len(seen), tuple(found))


async def _settled(
    database: Database, ledger: Ledger, suspects: Mapping[str, tuple[AttemptMoney | None, Money]]
) -> dict[str, tuple[AttemptMoney | None, Money]]:
    """Those that do not come to agree, as they were seen last."""
    left = dict(suspects)

    async def agreed() -> bool:
        for ref in list(left):
            async with database.reading() as connection:
                left[ref] = (await money_of_attempt(connection, ledger.account, ref), await ledger.sum_of(ref))
            if _agree(*left[ref]):
                del left[ref]
        return not left

    with suppress(TimeoutError):
        await until(agreed, "both sides to agree", within=PATIENCE)
    return left


def _agree(ours: AttemptMoney | None, theirs: Money) -> bool:
    """An attempt of which we have nothing may have been taken and undone at the PG."""
    mine = Money() if ours is None else Money(ours.captured, ours.refunded, ours.held)
    return mine.is_met_by(theirs)


def _told(account: str, merchant_ref: str, ours: AttemptMoney | None, theirs: Money) -> Disagreement:
    has = f"the PG has captured {theirs.captured}, refunded {theirs.refunded}, held {theirs.held}"
    if ours is None:
        return Disagreement(
            "no order", f"{account} has money under {merchant_ref}, which we do not know: {has}", ORPHAN
        )
    doubt = " (in doubt: OPMS is asking)" if ours.in_doubt else ""
    mine = f"we have captured {ours.captured}, refunded {ours.refunded}, held {ours.held}"
    return Disagreement(ours.number, f"{account}, {merchant_ref}: {mine}{doubt}; {has}", ASK)


_MOVES: Mapping[str, Callable[[int], Money]] = {
    "authorize": lambda amount: Money(held=amount),
    "capture": lambda amount: Money(captured=amount, held=-amount),
    "capture_failed": lambda amount: Money(captured=-amount, held=amount),
    "void": lambda amount: Money(held=-amount),
    "refund": lambda amount: Money(refunded=amount),
    "refund_failed": lambda amount: Money(refunded=-amount),
}


def _money(line: Mapping[str, Any]) -> Money:
    """What one entry of the ledger moves."""
    moves = _MOVES.get(line["operation"])
    return moves(int(line["amount"])) if moves and line["status"] == "succeeded" else Money()
