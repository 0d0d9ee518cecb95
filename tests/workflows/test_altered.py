"""A row that changes between two sends on real parts: nothing else goes out under the same key (R4)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from commands.order import draw_number
from domain.gateway import OperationKind, Outcome
from domain.order import Order
from domain.payment import Operation
from domain.resolution import ALTERED
from domain.states import OrderStatus, TenderStatus
from tests.stack import Shop, a_checkout, until

CHANGES = {
    "token": "UPDATE payment SET token = 'tok_pending' WHERE id = :payment",
    "amount": "UPDATE operation SET amount = amount - 1 WHERE id = :operation",
}
SENT_TWICE = 2
"""Tries after which the ladder looks, and then would send once more."""


def charge(order: Order) -> Operation:
    return next(o for o in order.operations if o.kind is OperationKind.AUTHORIZE and not order.own(o))


def asked(shop: Shop, key: str) -> int:
    """How many authorizations with this key have reached the PG and been struck."""
    fired = shop.sandbox.http.get("/_faults").raise_for_status().json()["fired"]
    return sum(one["idempotency_key"] == key for one in fired)


def effects(shop: Shop, order: Order) -> list[int]:
    """The amounts that the PGs have authorized for the order."""
    seen = [shop.sandbox.ledger(merchant_ref=attempt.merchant_ref)["operations"] for attempt in order.attempts]
    return [r["amount"] for rows in seen for r in rows if r["operation"] == "authorize" and r["status"] == "succeeded"]


@asynccontextmanager
async def in_doubt(shop: Shop) -> AsyncIterator[tuple[str, Operation]]:
    """An order that is charged, whose answer was lost, and whose PG is out of order since."""
    shop.sandbox.arm("500_after", "authorize")
    for kind in ("authorize", "lookup", "neutralize"):
        shop.sandbox.arm("500_before", kind, times=1000)
    number = draw_number("Asia/Seoul")
    task = asyncio.create_task(shop.checkout(a_checkout(), number=number))

    async def doubted() -> Operation | None:
        rows = await shop.sql("SELECT 1 FROM orders WHERE number = :n", n=number)
        found = charge(await shop.order(number)) if rows else None
        return found if found and found.outcome is Outcome.UNKNOWN and found.tries >= SENT_TWICE else None

    try:
        yield number, await until("the charge is in doubt", doubted)
    finally:
        task.cancel()


async def after_more_tries(shop: Shop, number: str, tries: int) -> Operation:
    """The charge once it was asked about some more."""
    order = await shop.becomes(number, "it was asked about", lambda o: charge(o).tries >= tries)
    return charge(order)


@pytest.mark.parametrize("what", CHANGES)
async def test_what_has_changed_since_it_was_sent_is_not_sent_and_the_pg_is_asked(shop: Shop, what: str) -> None:
    async with in_doubt(shop) as (number, doubt):
        assert asked(shop, doubt.key) >= 2, "as it was, it is sent again"
        await shop.sql(CHANGES[what], payment=doubt.payment_id, operation=doubt.id)
        looked = await after_more_tries(shop, number, doubt.tries + 1)
        sends = asked(shop, doubt.key)
        seen = await after_more_tries(shop, number, looked.tries + 1)
        order = await shop.order(number)
        assert asked(shop, doubt.key) == sends
        assert (seen.outcome, ALTERED in str(seen.detail)) == (Outcome.UNKNOWN, True)
        assert order.has_unknown_payment
        shop.sandbox.http.delete("/_faults").raise_for_status()
        await shop.workflow(number).signal("look_again")
        await ENDS[what](shop, number)
        assert effects(shop, await shop.order(number)) == [50_000]


async def is_placed(shop: Shop, number: str) -> None:
    await shop.becomes(number, "it is placed", lambda o: o.status is OrderStatus.PLACED)


async def waits_for_a_person(shop: Shop, number: str) -> None:
    order = await shop.becomes(number, "a person must look", lambda o: o.requires_review)
    assert [p.status for p in order.payments if p.method == "card"] == [TenderStatus.CONFLICTED]


ENDS: dict[str, Callable[[Shop, str], Awaitable[Any]]] = {"token": is_placed, "amount": waits_for_a_person}
"""Asked, the PG says what it has charged: it was that, or something else than our row says now."""


async def test_what_has_not_changed_is_sent_again_and_is_one_effect(shop: Shop) -> None:
    shop.sandbox.arm("500_after", "authorize")
    shop.sandbox.arm("500_before", "lookup", times=1000)
    number = await shop.placed()
    order = await shop.order(number)
    assert charge(order).fingerprint
    assert effects(shop, order) == [50_000]
    assert ALTERED not in str(charge(order).detail)
