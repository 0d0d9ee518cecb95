"""The shape of every change that is not a command: lock, apply a rule and what follows, save."""

from collections.abc import Callable, Mapping

from activities.command import finish_commands
from activities.desk import Desk
from activities.progress import refusal, report_progress
from activities.saving import Cause, lock_order
from contracts.order import OrderRef, Progress
from domain.errors import UnknownOrder
from domain.gateway import Capabilities
from domain.moment import Moment
from domain.order import Order
from models.database import Database


async def change_order(
    database: Database,
    capabilities: Mapping[str, Capabilities],
    ref: OrderRef,
    cause: str,
    rule: Callable[[Order, Moment], Order],
) -> Progress:
    """One transaction. An order that does not exist is refused as a value, so that its workflow can end."""
    try:
        async with database.transaction() as connection:
            before, _ = await lock_order(connection, ref.store, ref.number)
            desk = Desk.of(database, connection, before, capabilities)
            after = await desk.decide(lambda moment: rule(before, moment))
            saved = await desk.save(before, after, Cause(cause, "system", ref.workflow_id, desk.now))
            await finish_commands(connection, before, saved, desk.now)
            return await report_progress(connection, saved, capabilities)
    except UnknownOrder as no:
        return refusal(no.problem)
