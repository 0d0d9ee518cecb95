"""What a store sells and on which terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.checkout import CatalogSku
from domain.errors import Rejected


class UnknownStore(Rejected):
    """No such store; a workflow was started for a store that this database does not have."""

    code = "store_not_found"


@dataclass(frozen=True, slots=True)
class Shelf:
    """A store's terms, and those of the SKUs asked for that it sells."""

    store: str
    currency: str
    timezone: str
    payment_window_seconds: int
    skus: dict[str, CatalogSku]


_SHELF = text(
    """
    SELECT s.currency, s.timezone, s.payment_window_seconds, k.sku, k.name, k.price, k.tax_rate, k.tracked,
           coalesce(t.on_hand - t.held - t.committed, 0)
      FROM store s
      LEFT JOIN sku k ON k.store_id = s.id AND k.sku = ANY(:skus)
      LEFT JOIN stock t ON t.store_id = k.store_id AND t.sku = k.sku
     WHERE s.id = :store
    """
)


async def load_shelf(connection: AsyncConnection, store: str, skus: Sequence[str]) -> Shelf:
    """The store with the SKUs named, in one statement. Raises `UnknownStore`."""
    rows = (await connection.execute(_SHELF, {"store": store, "skus": sorted(set(skus))})).all()
    if not rows:
        raise UnknownStore(f"no store {store}")
    found = {r[3]: CatalogSku(r[3], r[4], r[5], r[6], r[7], r[8]) for r in rows if r[3] is not None}
    return Shelf(store, rows[0][0], rows[0][1], rows[0][2], found)


@dataclass(frozen=True, slots=True)
class SkuView:
    """A SKU as staff see it. Untracked SKUs have no stock figures."""

    sku: str
    name: str
    price: int
    tax_rate: int
    tracked: bool
    on_hand: int | None
    held: int | None
    committed: int | None
    options: dict[str, Any]


_SKUS = text(
    """
    SELECT k.sku, k.name, k.price, k.tax_rate, k.tracked, t.on_hand, t.held, t.committed,
           (SELECT coalesce(jsonb_object_agg(o.name, o.value), '{}') FROM sku_option o
             WHERE o.store_id = k.store_id AND o.sku = k.sku)
      FROM sku k LEFT JOIN stock t ON t.store_id = k.store_id AND t.sku = k.sku
     WHERE k.store_id = :store AND k.sku > :after
       AND (:q = '' OR k.sku ILIKE :pattern ESCAPE '\\' OR k.name ILIKE :pattern ESCAPE '\\')
     ORDER BY k.sku LIMIT :limit
    """
)


async def list_skus(connection: AsyncConnection, store: str, *, q: str, after: str, limit: int) -> list[SkuView]:
    """SKUs by code, those whose code or name contains ``q``, beginning behind ``after``."""
    literal = q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = await connection.execute(
        _SKUS, {"store": store, "q": q, "pattern": f"%{literal}%", "after": after, "limit": limit}
    )
    return [SkuView(*row) for row in rows]
