"""The one step that speaks to a PG. It runs on the queue of that PG account and never touches the database."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.gateway import Answer, Call


class PaymentSteps(ABC):
    """Calls to payment gateways."""

    @activity.defn
    @abstractmethod
    async def call_gateway(self, call: Call) -> Answer: ...
