"""Putting SKUs into a store's catalogue: many at once, all or none."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Flaw, Invalid, Rejected
from models.database import Database


class StockBelowPromised(Rejected):
    """Fewer pieces than orders hold; ``figures.skus`` names each."""

    code = "stock_below_promised"


@dataclass(frozen=True, slots=True)
class SkuTerms:
    """A SKU as the store wants it. ``price`` in minor units, ``tax_rate`` in basis points.

    ``on_hand`` None leaves the count as it is (a new tracked SKU begins with 0). The count of a SKU that is tracked no
    more is kept out of sight: orders may still give pieces back to it.
    ``options`` replace all that there were.
    """

    sku: str
    name: str
    price: int
    tax_rate: int
    tracked: bool
    on_hand: int | None
    options: dict[str, str]


@dataclass(frozen=True, slots=True)
class Stocked:
    """How many SKUs are new and how many were there."""

    created: int
    updated: int


_GIVEN = """
    jsonb_to_recordset(CAST(:given AS jsonb))
        AS n(sku text, name text, price bigint, tax_rate int, tracked boolean, on_hand bigint, options jsonb)
"""
_UPSERT = text(
    f"""
    INSERT INTO sku (store_id, sku, name, price, tax_rate, tracked, updated_at)
    SELECT :store, n.sku, n.name, n.price, n.tax_rate, n.tracked, :now FROM {_GIVEN} ORDER BY n.sku
    ON CONFLICT (store_id, sku) DO UPDATE
       SET name = EXCLUDED.name, price = EXCLUDED.price, tax_rate = EXCLUDED.tax_rate, tracked = EXCLUDED.tracked,
           updated_at = EXCLUDED.updated_at
    RETURNING xmax = 0
    """
)
_LOCK = text(
    f"""
    SELECT s.sku, n.on_hand, s.held, s.committed, n.tracked AND s.held + s.committed > n.on_hand
      FROM stock s JOIN {_GIVEN} ON n.sku = s.sku WHERE s.store_id = :store ORDER BY s.sku FOR UPDATE OF s
    """
)
_COUNT = text(
    f"""
    INSERT INTO stock (store_id, sku, on_hand, held, committed)
    SELECT :store, n.sku, n.on_hand, 0, 0 FROM {_GIVEN} WHERE n.tracked AND n.on_hand IS NOT NULL ORDER BY n.sku
    ON CONFLICT (store_id, sku) DO UPDATE SET on_hand = EXCLUDED.on_hand
    """
)
_BEGIN_COUNT = text(
    f"""
    INSERT INTO stock (store_id, sku, on_hand, held, committed)
    SELECT :store, n.sku, 0, 0, 0 FROM {_GIVEN} WHERE n.tracked AND n.on_hand IS NULL ORDER BY n.sku
    ON CONFLICT (store_id, sku) DO NOTHING
    """
)
_CLEAR_OPTIONS = text(f"DELETE FROM sku_option o USING {_GIVEN} WHERE o.store_id = :store AND o.sku = n.sku")
_OPTIONS = text(
    f"""
    INSERT INTO sku_option (store_id, sku, name, value)
    SELECT :store, n.sku, o.key, o.value FROM {_GIVEN}, jsonb_each_text(n.options) AS o
    """
)


async def put_skus(database: Database, store: str, skus: Sequence[SkuTerms]) -> Stocked:
    """Create or replace ``skus`` in one transaction; SKUs that are not named stay as they are.

    Raises `Invalid` for a SKU that stands twice, `StockBelowPromised` for a count below what orders hold.
    """
    _refuse_doubles(skus)
    given = {"store": store, "given": json.dumps([asdict(sku) for sku in skus])}
    async with database.transaction() as connection:
        rows = await connection.execute(_UPSERT, given | {"now": datetime.now(UTC)})
        created = [bool(row[0]) for row in rows]
        await _refuse_shortage(connection, given)
        for statement in (_COUNT, _BEGIN_COUNT, _CLEAR_OPTIONS, _OPTIONS):
            await connection.execute(statement, given)
    return Stocked(created.count(True), created.count(False))


def _refuse_doubles(skus: Sequence[SkuTerms]) -> None:
    first: dict[str, int] = {}
    flaws = [
        Flaw(f"/skus/{place}/sku", "duplicate_sku", f"stands already at /skus/{first[sku.sku]}/sku")
        for place, sku in enumerate(skus)
        if first.setdefault(sku.sku, place) != place
    ]
    if flaws:
        raise Invalid("a SKU stands twice", flaws=flaws)


async def _refuse_shortage(connection: AsyncConnection, given: dict[str, str]) -> None:
    """Lock the counts of the SKUs named, in one order with all who do, and hold the wish against the promises."""
    short = [
        {"sku": sku, "on_hand": on_hand, "held": held, "committed": committed}
        for sku, on_hand, held, committed, too_few in await connection.execute(_LOCK, given)
        if too_few
    ]
    if short:
        names = ", ".join(str(each["sku"]) for each in short)
        raise StockBelowPromised(f"orders hold more pieces than that: {names}", figures={"skus": short})
