"""The step of a section beside its commands: hand its goods to the warehouse."""

from collections.abc import Mapping

from temporalio import activity
from typing_extensions import override

from activities.desk import Desk
from activities.order import change_order
from contracts.order import OrderRef, Progress
from contracts.section import SectionRef, SectionSteps
from domain.fulfillment import prepare
from domain.gateway import Capabilities
from models.database import Database


class SectionActivities(SectionSteps):
    """Writes sections; every change goes through the order they are part of, under its lock."""

    def __init__(self, database: Database, capabilities: Mapping[str, Capabilities]) -> None:
        self._database = database
        self._capabilities = capabilities

    @override
    @activity.defn
    async def prepare_section(self, request: SectionRef) -> Progress:
        """Allocated items become preparing; nothing to do where they are, or while the section is held."""
        ref = OrderRef(request.store, request.number, request.workflow_id)
        async with self._database.transaction() as connection:
            return await change_order(
                connection,
                lambda c, order: Desk(
                    c,
                    store=order.store_id,
                    currency=order.currency,
                    manual_capture=order.capture != "automatic",
                    capabilities=self._capabilities,
                ),
                ref,
                "section_started",
                lambda order, _: prepare(order, request.section),
                self._capabilities,
            )
