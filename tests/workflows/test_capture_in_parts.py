"""Money that is captured as goods leave goes first to accounts that capture as often as parcels can leave."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import uuid4

from activities.order import OrderActivities
from commands.order import draw_number
from contracts.command import Capture, Command, Pay
from contracts.order import ApplyCommand, OpenOrder, OrderRef, PlaceOrder, RecordAnswer
from domain.checkout import AskedItem, AskedPayment, AskedSection, Checkout
from domain.gateway import Answer, Decline, OperationKind, Outcome, Retry
from domain.order import Order
from domain.resolution import Ask
from tests.stack import ACCOUNTS, HOME, STORE, Shop, a_checkout

ONCE, OFTEN = ACCOUNTS
DECLINED = Answer(Outcome.DECLINED, decline=Decline("generic", "05", "do not honor", Retry.OTHER_PG))


def in_one_section(item: AskedItem, total: int) -> Checkout:
    """Some pieces of one SKU to one place, by card, taken as they leave."""
    section = AskedSection(HOME, "standard", 3000, (item,))
    card = (AskedPayment("card", total, "tok_ok"),)
    return a_checkout(sections=(section,), expected_total=total, payments=card, discounts=(), capture="on_shipment")


TWO_SHIRTS, ONE_MUG = in_one_section(AskedItem("TEE-BLK-M", 2), 42800), in_one_section(AskedItem("MUG-01", 1), 17900)


class Counter:
    """The steps of an order over a database of ours, with accounts of which some capture once."""

    def __init__(self, shop: Shop, once: Collection[str] = (ONCE,)) -> None:
        self._shop = shop
        known = {name: pg.capabilities() for name, pg in shop.gateways.items()}
        known = {name: replace(can, multiple_captures=name not in once) for name, can in known.items()}
        self._steps = OrderActivities(shop.resources.database, known)

    async def opened(self, checkout: Checkout) -> Order:
        """The order with its payment routed and nothing sent."""
        number = draw_number("Asia/Seoul")
        await self._steps.open_order(OpenOrder(STORE, number, PlaceOrder(uuid4(), "customer", checkout), "test"))
        return await self._shop.order(number)

    async def declined(self, order: Order) -> Order:
        """After a decline that another account could make good."""
        return await self.answered(order, DECLINED)

    async def answered(self, order: Order, answer: Answer) -> Order:
        """After the PG's answer to what was asked last."""
        ref = OrderRef(STORE, order.number, "test")
        await self._steps.record_answer(RecordAnswer(ref, order.operations[-1].id, Ask.SEND, answer))
        return await self._shop.order(order.number)

    async def captures(self, order: Order, amount: int | None) -> dict[str, Any]:
        """What becomes of a capture by hand that no door has looked at: the command's row."""
        command = Command(uuid4(), STORE, order.number, "staff", Capture(None, amount))
        await self._steps.apply_command(ApplyCommand(command, "test"))
        return await self._shop.command(command.id)

    async def paid_again(self, order: Order) -> Order:
        """After the customer has chosen to pay once more."""
        pay = Pay((AskedPayment("card", order.total, "tok_ok"),))
        command = Command(uuid4(), STORE, order.number, "customer", pay)
        await self._steps.apply_command(ApplyCommand(command, "test"))
        return await self._shop.order(order.number)


def decision(order: Order) -> tuple[str, Any, Any]:
    """Who takes the last attempt, why, and what is said of the account that captures once."""
    attempt = order.attempts[-1]
    reasons = {each["account"]: each["reason"] for each in attempt.decision["candidates"]}  # type: ignore[index]
    return attempt.account, attempt.decision["reason"], reasons[ONCE]  # type: ignore[index]


async def test_pieces_that_can_leave_apart_are_paid_where_each_parcel_can_be_captured(shop: Shop) -> None:
    counter = Counter(shop)
    for _ in range(3):
        order = await counter.opened(TWO_SHIRTS)
        assert decision(order) == (OFTEN, "only_eligible", "no_several_captures")


async def test_a_failover_goes_where_money_is_captured_once_if_nobody_else_is_left(shop: Shop) -> None:
    counter = Counter(shop)
    order = await counter.declined(await counter.opened(TWO_SHIRTS))
    assert [a.account for a in order.attempts] == [OFTEN, ONCE]
    assert decision(order) == (ONCE, "captures_once", "no_several_captures")
    order = await counter.paid_again(await counter.declined(order))
    assert order.attempts[-1].account == OFTEN, "whoever captures each parcel comes first again"


async def test_pieces_that_can_leave_apart_are_payable_where_money_is_captured_once(shop: Shop) -> None:
    counter = Counter(shop, once=ACCOUNTS)
    assert (await counter.opened(ONE_MUG)).attempts[0].account in ACCOUNTS
    order = await counter.opened(TWO_SHIRTS)
    assert decision(order)[1:] == ("captures_once", "no_several_captures")


async def test_who_decides_refuses_a_part_where_money_is_captured_once(shop: Shop) -> None:
    counter = Counter(shop, once=ACCOUNTS)
    order = await counter.opened(replace(ONE_MUG, capture="manual"))
    order = await counter.answered(order, Answer(Outcome.SUCCEEDED, reference="pg-1"))
    refused = await counter.captures(order, 5000)
    assert (refused["status"], refused["problem"]["code"]) == ("rejected", "captures_once")
    assert refused["problem"]["figures"]["instead"] == [17900]
    assert (await shop.order(order.number)).operations == order.operations
    assert (await counter.captures(order, None))["status"] == "accepted"
    opened = (await shop.order(order.number)).operations[-1]
    assert (opened.kind, opened.amount) == (OperationKind.CAPTURE, 17900)
