"""Commands reach an order once, whatever happens to its workflow in between."""

from uuid import UUID, uuid4

from contracts.command import Cancel, Capture, Deliver, Hold, RefundMoney, Release, Reorder, Ship
from domain.checkout import Customer
from domain.reorder import Wanted
from domain.states import OrderStatus, SectionStatus
from tests.stack import STORE, Shop, a_checkout, until


async def deliver_all(shop: Shop, number: str) -> None:
    """Ship and deliver everything that is open."""
    for section in (await shop.order(number)).sections:
        if section.status is SectionStatus.OPEN:
            await shop.applied(number, Ship(section.number, "CJ", "1"))
            await shop.applied(number, Deliver(section.number))


async def test_a_whole_story_with_a_worker_that_replays_at_every_step(forgetful: Shop) -> None:
    number = await forgetful.placed()
    await forgetful.applied(number, Hold(1, "fraud"))
    await forgetful.applied(number, Release(1, "fraud"))
    await deliver_all(forgetful, number)
    await forgetful.closes(number)
    tee = next(i for i in (await forgetful.order(number)).items if i.sku == "TEE-BLK-M")
    swap = Reorder("exchange", (Wanted(tee.id, 1, "MUG-01"),), difference="refund", policy="ship_first")
    await forgetful.applied(number, swap)
    await deliver_all(forgetful, number)
    await forgetful.closes(number)
    order = await forgetful.order(number)
    assert (order.status, order.balance.value) == (OrderStatus.COMPLETED, "settled")


async def test_the_same_command_twice_is_one_effect(shop: Shop) -> None:
    number = await shop.placed()
    again = uuid4()
    for _ in range(2):
        await shop.submit(number, RefundMoney("late", amount=1000), command_id=again)
    await shop.decided(again)
    await shop.applied(number, RefundMoney("late", amount=1000))
    order = await shop.order(number)
    assert (len(order.refunds), order.goodwill) == (2, 2000)


async def test_the_same_command_after_the_order_has_closed_is_still_one_effect(shop: Shop) -> None:
    number = await shop.placed()
    first = await shop.submit(number, RefundMoney("late", amount=1000))
    await shop.decided(first)
    await deliver_all(shop, number)
    await shop.closes(number)
    await shop.submit(number, RefundMoney("late", amount=1000), command_id=first)
    await shop.closes(number)
    order = await shop.order(number)
    assert (order.goodwill, order.refunded, order.status) == (1000, 1000, OrderStatus.COMPLETED)


async def test_a_signal_that_cannot_be_read_loses_nothing_else(shop: Shop) -> None:
    number = await shop.placed()
    for target in (shop.workflow(number), shop.workflow(number, 1)):
        await target.signal("submit", {"id": "no uuid", "body": {"kind": "explode"}})
        await target.signal("submit", "nonsense")
    await shop.applied(number, RefundMoney("late", amount=1000))
    await shop.applied(number, Hold(1, "fraud"))
    assert (await shop.order(number)).section(1).status is SectionStatus.ON_HOLD


async def test_commands_on_an_order_that_does_not_exist_are_rejected(shop: Shop) -> None:
    for body in (RefundMoney("no", amount=1), Cancel("no"), Ship(1, "CJ", "1"), Deliver(1)):
        row = await shop.do("261122-0000000", body)
        assert (row["status"], row["problem"]["code"]) == ("rejected", "order_not_found"), body
    await shop.closes("261122-0000000")
    await shop.closes("261122-0000000", 1)


async def test_a_section_that_does_not_exist_refuses_its_commands(shop: Shop) -> None:
    number = await shop.placed()
    row = await shop.do(number, Ship(9, "CJ", "1"))
    assert (row["status"], row["problem"]["code"]) == ("rejected", "invalid_request")


async def test_a_refused_command_changes_nothing_and_says_why(shop: Shop) -> None:
    number = await shop.placed()
    before = await shop.order(number)
    for body, code in ((RefundMoney("no", amount=99999), "amount_exceeded"), (Capture(), "nothing_to_do")):
        row = await shop.do(number, body)
        assert (row["status"], row["problem"]["code"]) == ("rejected", code)
    assert await shop.order(number) == before


async def test_buying_again_what_is_not_sold_is_refused_however_often_it_is_delivered(shop: Shop) -> None:
    number = await shop.placed()
    mug = next(i for i in (await shop.order(number)).items if i.sku == "MUG-01")
    body = Reorder("again", (Wanted(mug.id, 1, "NO-SUCH"),), new_number="261122-0000001")
    refused = await shop.submit(number, body)
    assert (await shop.decided(refused))["status"] == "rejected"
    await shop.submit(number, body, command_id=refused)
    await shop.applied(number, RefundMoney("the order still listens", amount=1))


async def test_buying_again_is_an_order_of_its_own(shop: Shop) -> None:
    number, taken = await shop.placed(), await shop.placed()
    row = await shop.do(number, Reorder("again", new_number=taken))
    assert row["status"] == "applied"
    found = "SELECT number, status FROM orders WHERE store_id = :store AND reorder_of = :number"
    [(new, status)] = await until("the order is there", lambda: shop.sql(found, store=STORE, number=number))
    assert (status, new != taken) == ("pending_payment", True)
    made = await until("the command names it", lambda: _named(shop, row["id"], new))
    assert made == new


async def _named(shop: Shop, command_id: UUID, number: str) -> str | None:
    result = (await shop.command(command_id))["result"]
    return number if result["order"] == number else None


async def test_a_checkout_asked_again_is_the_same_order_even_when_later_commands_have_reopened_it(shop: Shop) -> None:
    place_id = uuid4()
    first = await shop.checkout(a_checkout(), place_id=place_id)
    await shop.workflow(first.number).terminate("lost")
    await shop.applied(first.number, RefundMoney("late", amount=1000))
    again = await shop.checkout(a_checkout(), number=first.number, place_id=place_id)
    assert again.number == first.number
    assert again.answer is not None
    assert again.answer.status == "placed"


async def test_a_number_that_is_taken_is_drawn_again_silently(shop: Shop) -> None:
    taken = await shop.placed()
    other = await shop.checkout(a_checkout(), number=taken)
    assert other.number != taken
    assert (await shop.order(other.number)).status is OrderStatus.PLACED


async def test_an_order_that_a_fence_of_the_database_refuses_is_refused_and_never_drawn_again(shop: Shop) -> None:
    await shop.sql("ALTER TABLE orders ADD CONSTRAINT of_a_test CHECK (customer_id <> 'c-refused') NOT VALID")
    try:
        placed = await shop.checkout(a_checkout(customer=Customer("c-refused")))
    finally:
        await shop.sql("ALTER TABLE orders DROP CONSTRAINT of_a_test")
    assert placed.answer is not None
    assert placed.answer.refused is not None
    assert placed.answer.refused.code == "storage_refused"
