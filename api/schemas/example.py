"""Examples of the documentation: they are computed by the same rules as real answers, so they cannot lag.

The checkout works as it stands in the demo store that `make up` makes.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic_core import to_jsonable_python

from api.pay.link import PayLinks
from api.schemas.checkout import CheckoutIn
from api.schemas.moment import rfc3339
from api.schemas.order import Links, order_out
from domain.cascade import cascade
from domain.checkout import CatalogSku, Opening, open_order, quote
from domain.gateway import Amounts, Answer, Outcome
from domain.moment import Moment, Routed
from domain.number import make_number
from domain.order import Order
from domain.payment import Payment
from domain.recording import record
from domain.resolution import Ask
from domain.taking import settle
from queries.order import OrderView

_NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
CHECKOUT: dict[str, Any] = {
    "customer": {"id": "c-1", "name": "Kim Minji", "email": "minji@example.com", "phone": "+82-10-0000-0000"},
    "currency": "KRW",
    "sections": [
        {
            "destination": {
                "name": "Kim Minji",
                "line1": "12 Teheran-ro",
                "city": "Seoul",
                "postal_code": "06236",
                "country": "KR",
            },
            "delivery_method": "standard",
            "shipping_fee": 3000,
            "items": [{"sku": "TEE-BLK-M", "quantity": 2}],
        },
        {
            "destination": {
                "name": "Lee Jun",
                "line1": "3 Haeundae",
                "city": "Busan",
                "postal_code": "48094",
                "country": "KR",
            },
            "delivery_method": "express",
            "shipping_fee": 5000,
            "items": [{"sku": "MUG-01", "quantity": 1}],
        },
    ],
    "discounts": [{"code": "WELCOME", "amount": 5000}],
    "expected_total": 57700,
    "payments": [
        {"method": "points", "amount": 7700},
        {"method": "card", "amount": 50000, "token": "tok_ok"},
    ],
    "payment_mode": "atomic",
    "capture": "automatic",
}
"""A checkout of two sections, paid with points and a card."""
CARD_CHECKOUT: dict[str, Any] = CHECKOUT | {
    "sections": CHECKOUT["sections"][1:],
    "discounts": [],
    "expected_total": 19900,
    "payments": [{"method": "card", "amount": 19900, "token": "tok_ok"}],
}
"""The shortest: one section, one card."""
SCHEDULE_CHECKOUT: dict[str, Any] = {name: part for name, part in CARD_CHECKOUT.items() if name != "payment_mode"} | {
    "payments": [{"method": "card", "amount": 5000, "token": "tok_ok"}],
    "payment_schedule": [
        {"amount": 5000, "due_at": None},
        {"amount": 14900, "due_at": rfc3339(datetime.now(UTC) + timedelta(weeks=8))},
    ],
}
"""A deposit now, the rest in eight weeks from the start of this process: as long as a real date can be right."""
_CATALOG = {
    "TEE-BLK-M": CatalogSku("TEE-BLK-M", "T-shirt black M", 19900, 1000, tracked=False, available=0),
    "MUG-01": CatalogSku("MUG-01", "Mug", 14900, 1000, tracked=False, available=0),
}


def _ids() -> Callable[[], UUID]:
    drawn = iter(range(1, 1000))
    return lambda: UUID(f"019ab3c0-0000-7000-8000-{next(drawn):012x}")


def _route(_payment: Payment, _excluded: frozenset[str], **_hold: bool) -> Routed:
    return Routed("sandbox-a", 1, {"strategy": "ratio", "chosen": "sandbox-a"})


def placed_order() -> Order:
    """The example's checkout, paid: every PG operation succeeds as asked."""
    new_id = _ids()
    moment = Moment(_NOW, new_id, _route)
    opening = Opening(
        order_id=new_id(),
        store_id="demo",
        number=make_number(_NOW.date(), 256_512_957),
        checkout_id=new_id(),
        now=_NOW,
        expires_at=_NOW + timedelta(minutes=30),
        new_id=new_id,
    )
    checkout = CheckoutIn.model_validate(CHECKOUT).to_domain()
    order = settle(open_order(checkout, quote(checkout, _CATALOG, currency="KRW", now=_NOW), opening), moment)
    while due := [o for o in order.operations if o.outcome is Outcome.INITIATED]:
        for operation in due:
            captured = operation.amount if operation.capture_now else 0
            answer = Answer(
                Outcome.SUCCEEDED,
                reference=f"pg-{operation.id.hex[-4:]}",
                amounts=Amounts(operation.amount, captured, 0, 0),
            )
            order = settle(record(order, Ask.SEND, operation, answer, moment), moment)
    return cascade(order)


ORDER: dict[str, Any] = to_jsonable_python(
    order_out(
        OrderView(placed_order(), ()),
        Links("http://127.0.0.1:7302", "default", PayLinks("http://127.0.0.1:7300", "example")),
    )
)
"""A placed order."""
