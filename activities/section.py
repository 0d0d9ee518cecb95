"""The step of a section beside its commands: hand its goods to the warehouse."""

from collections.abc import Mapping

from temporalio import activity
from typing_extensions import override

from activities.change import change_order
from contracts.order import OrderRef, Progress
from contracts.section import SectionRef, SectionSteps
from domain.fulfillment import prepare
from domain.gateway import Capabilities
from domain.moment import Moment
from domain.order import Order
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

        def rule(order: Order, _: Moment) -> Order:
            return prepare(order, request.section)

        ref = OrderRef(request.store, request.number, request.workflow_id)
        return await change_order(self._database, self._capabilities, ref, "section_started", rule)
