"""What the customer brings back from the PG's page is sent at once, however long the next look was to wait."""

from temporalio.api.enums.v1 import EventType

from contracts.command import Complete
from domain.gateway import OperationKind, Outcome
from domain.order import Order
from domain.payment import Operation
from tests.stack import Shop, a_checkout

ENOUGH_LOOKS = 4
"""After so many the next look waits for five seconds."""


def charge(order: Order) -> Operation:
    return next(o for o in order.operations if o.kind is OperationKind.AUTHORIZE and not order.own(o))


async def test_a_customer_who_is_back_does_not_wait_for_the_next_look(shop: Shop) -> None:
    placed = await shop.checkout(a_checkout(token="tok_3ds"))
    waiting = await shop.becomes(placed.number, "it was looked up", lambda o: charge(o).tries >= ENOUGH_LOOKS)
    assert charge(waiting).outcome is Outcome.ACTION_REQUIRED
    sent_before = charge(waiting).sent_at
    await shop.applied(placed.number, Complete(charge(waiting).payment_id, {"status": "approved"}))
    await shop.becomes(placed.number, "the PG was told", lambda o: charge(o).sent_at != sent_before)
    since_command = []
    async for event in shop.workflow(placed.number).fetch_history_events():
        since_command.append(event)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            since_command.clear()
    kinds = [event.event_type for event in since_command]
    told = kinds.index(EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
    assert EventType.EVENT_TYPE_TIMER_FIRED not in kinds[:told]
