"""The fences in the database itself: what the code must never do, Postgres refuses."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from models.database import Database

STORE = "fences"
SUMS = (
    "items_total",
    "discount_total",
    "shipping_total",
    "tax_included",
    "total",
    "goodwill",
    "credited",
    "authorized",
    "captured",
    "refunded",
)


async def run(connection: AsyncConnection, statement: str, **values: Any) -> None:
    """One statement."""
    await connection.execute(text(statement), values)


async def insert(connection: AsyncConnection, table: str, **values: Any) -> None:
    """One row."""
    names = ", ".join(values)
    holders = ", ".join(f":{name}" for name in values)
    await run(connection, f"INSERT INTO {table} ({names}) VALUES ({holders})", **values)


async def a_store(connection: AsyncConnection) -> None:
    """The store of these tests."""
    await run(
        connection,
        "INSERT INTO store (id, name, currency, timezone, payment_window_seconds, created_at)"
        " VALUES (:id, 'Fences', 'KRW', 'Asia/Seoul', 60, now()) ON CONFLICT DO NOTHING",
        id=STORE,
    )


async def an_order(connection: AsyncConnection, number: str | None = None, **changes: Any) -> UUID:
    """An order with nothing in it."""
    await a_store(connection)
    order_id = uuid4()
    row: dict[str, Any] = {
        "id": order_id,
        "store_id": STORE,
        "number": number or uuid4().hex,
        "version": 1,
        "status": "placed",
        "payment_status": "paid",
        "fulfillment_status": "unfulfilled",
        "return_status": "none",
        "balance": "settled",
        "has_unknown_payment": False,
        "requires_review": False,
        "currency": "KRW",
        "customer_id": "c",
        "checkout_id": uuid4(),
        "payment_mode": "atomic",
        "capture": "automatic",
        **dict.fromkeys(SUMS, 0),
    }
    names = row | changes
    columns = ", ".join(names)
    holders = ", ".join(f":{name}" for name in names)
    await run(connection, f"INSERT INTO orders ({columns}, created_at) VALUES ({holders}, now())", **names)
    return order_id


async def a_payment(connection: AsyncConnection, **changes: Any) -> tuple[UUID, UUID]:
    """An order with one payment of 1000: (order, payment)."""
    order_id, request_id, payment_id = await an_order(connection), uuid4(), uuid4()
    await insert(
        connection,
        "payment_request",
        id=request_id,
        order_id=order_id,
        scope="order",
        amount=1000,
        status="open",
        purpose="checkout",
        paid=0,
        schedule="[]",
    )
    amounts = {"authorized": 0, "captured": 0, "voided": 0, "refunded": 0, "refund_pending": 0}
    row = {"position": 0, "method": "card", "amount": 1000, "status": "created", "instalments": 0} | amounts | changes
    await insert(connection, "payment", id=payment_id, order_id=order_id, request_id=request_id, **row)
    return order_id, payment_id


async def test_the_reading_session_cannot_write(database: Database) -> None:
    async with database.reading() as connection:
        with pytest.raises(DBAPIError, match="read-only transaction"):
            await run(connection, "DELETE FROM idempotency")


async def test_an_order_number_is_unique_in_its_store(database: Database) -> None:
    async with database.transaction() as connection:
        number = uuid4().hex
        await an_order(connection, number)
        with pytest.raises(IntegrityError, match="uq_orders_store_id_number"):
            await an_order(connection, number)


@pytest.mark.parametrize(
    ("changes", "fence"),
    [
        ({"status": "teleported"}, "status_known"),
        ({"refunded": 1}, "refunded_within_captured"),
        ({"captured": 1}, "captured_within_authorized"),
        ({"credited": 1}, "credited_within_total"),
        ({"total": 1}, "total_adds_up"),
    ],
)
async def test_an_order_cannot_contradict_itself(database: Database, changes: dict[str, Any], fence: str) -> None:
    with pytest.raises(IntegrityError, match=fence):
        async with database.transaction() as connection:
            await an_order(connection, **changes)


@pytest.mark.parametrize(
    ("amounts", "fence"),
    [
        ({"authorized": 1001}, "fold_captures"),
        ({"authorized": 1000, "captured": 900, "voided": 101}, "fold_captures"),
        ({"authorized": 1000, "captured": 1000, "refunded": 600, "refund_pending": 401}, "fold_refunds"),
    ],
)
async def test_a_payment_never_gives_back_more_than_it_took(
    database: Database, amounts: dict[str, int], fence: str
) -> None:
    with pytest.raises(IntegrityError, match=fence):
        async with database.transaction() as connection:
            await a_payment(connection, **amounts)


async def test_a_payment_has_one_attempt_that_may_still_charge(database: Database) -> None:
    with pytest.raises(IntegrityError, match="uq_attempt_exposed"):
        async with database.transaction() as connection:
            order_id, payment_id = await a_payment(connection)
            for position, outcome in enumerate(("declined", "not_executed", "unknown", "initiated")):
                await run(
                    connection,
                    "INSERT INTO attempt"
                    " (id, order_id, payment_id, position, account, merchant_ref, outcome, created_at)"
                    " VALUES (:id, :order, :payment, :position, 'sandbox-a', :ref, :outcome, now())",
                    id=uuid4(),
                    order=order_id,
                    payment=payment_id,
                    position=position,
                    ref=uuid4().hex,
                    outcome=outcome,
                )


async def test_an_order_has_one_open_change(database: Database) -> None:
    with pytest.raises(IntegrityError, match="uq_order_change_open"):
        async with database.transaction() as connection:
            order_id = await an_order(connection)
            for status in ("confirmed", "awaiting_payment", "draft"):
                await insert(
                    connection,
                    "order_change",
                    id=uuid4(),
                    order_id=order_id,
                    kind="exchange",
                    status=status,
                    command_id=uuid4(),
                )


@pytest.mark.parametrize(
    ("stock", "fence"),
    [((-1, 0, 0), "never_negative"), ((5, -1, 0), "never_negative"), ((5, 3, 3), "never_oversold")],
)
async def test_stock_is_never_negative_nor_oversold(
    database: Database, stock: tuple[int, int, int], fence: str
) -> None:
    with pytest.raises(IntegrityError, match=fence):
        async with database.transaction() as connection:
            await a_store(connection)
            sku = uuid4().hex
            await run(
                connection,
                "INSERT INTO sku (store_id, sku, name, price, tax_rate, tracked, updated_at)"
                " VALUES (:store, :sku, 'x', 1, 0, true, now())",
                store=STORE,
                sku=sku,
            )
            on_hand, held, committed = stock
            await insert(connection, "stock", store_id=STORE, sku=sku, on_hand=on_hand, held=held, committed=committed)
