"""A payment request by its id alone, as its link and ``GET /v1/payment-requests/{id}`` need it; ways to pay it."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Rejected

_FIND = text(
    """
    SELECT o.store_id, o.number, s.timezone
      FROM payment_request r JOIN orders o ON o.id = r.order_id JOIN store s ON s.id = o.store_id
     WHERE r.id = :request
    """
)
_ACCOUNTS = text(
    """
    SELECT g.id FROM gateway_account g
     WHERE g.store_id = :store AND g.enabled AND g.paused_at IS NULL AND EXISTS (
        SELECT FROM routing_rule r LEFT JOIN routing_weight w ON w.rule_id = r.id AND w.account = g.id
         WHERE r.store_id = :store AND (w.weight > 0 OR jsonb_exists(r.fallback, g.id))
           AND r.version = (SELECT max(version) FROM routing_rule WHERE store_id = :store AND active_from <= now()))
    """
)


class UnknownPaymentRequest(Rejected):
    """No such payment request."""

    code = "payment_request_not_found"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Which order of which store a payment request belongs to, and the clock that its customers go by."""

    store: str
    number: str
    timezone: str


async def find_request(connection: AsyncConnection, request_id: UUID) -> Whereabouts:
    """Where a request belongs. Raises `UnknownPaymentRequest`."""
    row = (await connection.execute(_FIND, {"request": request_id})).one_or_none()
    if row is None:
        raise UnknownPaymentRequest(f"no payment request {request_id}")
    return Whereabouts(*row)


async def paying_accounts(connection: AsyncConnection, store: str) -> list[str]:
    """The PG accounts that the store's active rule may choose now."""
    return list((await connection.execute(_ACCOUNTS, {"store": store})).scalars())
