"""The workflow that owns an order, or one of its sections: its id, its input, how urgent it is, how it is found.

The same whoever starts it: a request, a webhook, a schedule, another workflow.
"""

from dataclasses import dataclass

from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes

from contracts.command import SECTION_COMMANDS, Command
from contracts.order import OrderInput
from contracts.queues import OPMS_NUMBER, OPMS_STORE, ORDER_PRIORITY, SECTION_PRIORITY
from contracts.section import SectionInput
from domain.number import order_workflow_id, section_workflow_id


@dataclass(frozen=True, slots=True)
class Owner:
    """Of an order of ``store``, or of its ``section``."""

    store: str
    number: str
    section: int | None = None

    @classmethod
    def deciding(cls, command: Command) -> "Owner":
        """Who decides a command: the section's workflow about goods, the order's about all else."""
        section = command.body.section if isinstance(command.body, SECTION_COMMANDS) else None
        return cls(command.store, command.number, section)

    @property
    def workflow(self) -> str:
        """The workflow's type."""
        return "Order" if self.section is None else "Section"

    @property
    def workflow_id(self) -> str:
        """There is one owner: a second one of this id is refused while it runs."""
        if self.section is None:
            return order_workflow_id(self.store, self.number)
        return section_workflow_id(self.store, self.number, self.section)

    @property
    def priority(self) -> Priority:
        """What a customer waits for comes first; stores take turns."""
        urgency = ORDER_PRIORITY if self.section is None else SECTION_PRIORITY
        return Priority(priority_key=urgency, fairness_key=self.store)

    @property
    def search_attributes(self) -> TypedSearchAttributes:
        """An operator finds an order and its sections by the order's number."""
        return TypedSearchAttributes(
            [SearchAttributePair(OPMS_STORE, self.store), SearchAttributePair(OPMS_NUMBER, self.number)]
        )

    @property
    def summary(self) -> str:
        """What a list of workflows shows."""
        return f"Order {self.number}" if self.section is None else f"Section {self.section} of order {self.number}"

    def again(self, *pending: Command) -> OrderInput | SectionInput:
        """The input of a later run, with what it is to decide; all else is in the database."""
        if self.section is None:
            return OrderInput(self.store, self.number, pending=pending)
        return SectionInput(self.store, self.number, self.section, report=True, pending=pending)
