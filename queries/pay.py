"""A payment request by its id alone, as its link and ``GET /v1/payment-requests/{id}`` need it."""

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
