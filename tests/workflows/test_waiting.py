"""How long a checkout waits: as long as its client wants, whatever the workflow engine answers meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.app import create_app
from commands.order import Placed, draw_number
from domain.states import OrderStatus
from tests.e2e.shop import checkout_body
from tests.stack import Ground, Shop, a_checkout, open_shop, until
from tests.workflows.conftest import GRACE


@pytest.fixture(scope="module")
async def hasty(ground: Ground) -> AsyncIterator[Shop]:
    """Temporal answers each call within a tenth of a second, with the outcome or without.

    Otherwise it does so after 20 seconds, and at any time when it drops a workflow from its memory.
    """
    soon = {"history.longPollExpirationInterval": '"100ms"'}
    async with open_shop(ground, "hasty", temporal=soon, graceful_shutdown_timeout=GRACE) as shop:
        yield shop


async def test_a_checkout_without_an_outcome_waits_no_longer_than_its_client(hasty: Shop) -> None:
    hasty.sandbox.arm("500_before", "authorize", times=1000)
    placed = await hasty.checkout(a_checkout(), wait=5)
    assert placed.answer is None
    hasty.sandbox.http.delete("/_faults").raise_for_status()
    await hasty.becomes(placed.number, "it is placed all the same", lambda o: o.status is OrderStatus.PLACED)


async def test_an_outcome_that_comes_in_time_is_waited_for(hasty: Shop) -> None:
    placed = await hasty.checkout(a_checkout(token="tok_slow"))
    assert placed.answer is not None
    assert placed.answer.status == "placed"


async def test_who_is_cancelled_while_he_waits_is_told_so(hasty: Shop) -> None:
    hasty.sandbox.arm("500_before", "authorize", times=1000)
    number = draw_number("Asia/Seoul")
    waiting = asyncio.create_task(hasty.checkout(a_checkout(), number=number))
    await until("it is stored", lambda: hasty.sql("SELECT 1 FROM orders WHERE number = :number", number=number))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_without_an_outcome_nobody_is_shown_a_strangers_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = await shop.placed()

    async def unanswered(*_: Any, **__: Any) -> Placed:
        return Placed(stranger, None)

    monkeypatch.setattr("api.routes.checkout.place_order", unanswered)
    headers = {"Authorization": "Bearer shop", "Idempotency-Key": uuid4().hex}
    transport = httpx.ASGITransport(create_app(shop.resources))
    async with httpx.AsyncClient(transport=transport, base_url="http://opms") as http:
        answer = await http.post("/v1/checkouts", json=checkout_body(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert stranger not in answer.text
