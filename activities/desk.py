"""One transaction's means to apply rules to an order: time, ids, the router and our own value.

`decide` applies a rule, settles what follows from it, and carries out at once what our own ledger can do, until
nothing is left that does not need a PG. The rules are pure, so one that asks for a route before the router is loaded
is simply applied again.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from activities.routing import Router, RoutingNeeded
from activities.saving import Cause, Decision, save_order
from activities.value import PostgresLedger
from domain.gateway import Capabilities, Outcome
from domain.order import Order
from domain.payment import Operation
from domain.recording import record
from domain.refund import settle_refunds
from domain.resolution import Ask, call_for
from domain.taking import Moment, settle
from gateways.points.adapter import PointsGateway

Rule = Callable[[Moment], Order]


def utc_now() -> datetime:
    """The database's facts carry the time of the process that wrote them; UTC."""
    return datetime.now(UTC)


class Desk:
    """Applies rules to one order inside one transaction."""

    def __init__(
        self,
        connection: AsyncConnection,
        *,
        store: str,
        currency: str,
        manual_capture: bool,
        capabilities: Mapping[str, Capabilities],
    ) -> None:
        self.now = utc_now()
        self._connection = connection
        self._router = Router(store, currency, manual_capture=manual_capture, capabilities=capabilities)
        self.moment = Moment(self.now, uuid7, self._router)
        self._points = PointsGateway(PostgresLedger(connection, store, now=self.now, new_id=uuid7), currency)

    @classmethod
    def of(cls, connection: AsyncConnection, order: Order, capabilities: Mapping[str, Capabilities]) -> "Desk":
        """The desk for an order that exists."""
        return cls(
            connection,
            store=order.store_id,
            currency=order.currency,
            manual_capture=order.capture != "automatic",
            capabilities=capabilities,
        )

    async def decide(self, rule: Rule) -> Order:
        """The order after a rule and all that follows from it without a PG."""
        order = await self._routed(lambda moment: _settled(rule(moment), moment))
        while due := _inner(order):
            for operation in due:
                order = await self._perform(order, operation)
        return order

    async def save(
        self, before: Order | None, after: Order, cause: Cause, decide: Callable[[Order], Decision] | None = None
    ) -> Order:
        """Write the difference, the command's decision, and the router's deficits with the route they belong to."""
        saved = await save_order(self._connection, before, after, cause, decide)
        await self._router.save(self._connection)
        return saved

    async def _perform(self, order: Order, operation: Operation) -> Order:
        answer = await self._points.perform(call_for(order, operation))
        return await self._routed(lambda moment: _settled(record(order, Ask.SEND, operation, answer, moment), moment))

    async def _routed(self, rule: Rule) -> Order:
        try:
            return rule(self.moment)
        except RoutingNeeded:
            await self._router.load(self._connection, self.now)
            return rule(self.moment)


def _settled(order: Order, moment: Moment) -> Order:
    return settle_refunds(settle(order, moment), moment)


def _inner(order: Order) -> list[Operation]:
    """Operations that our own ledger carries out, not yet done."""
    return [o for o in order.operations if o.outcome is Outcome.INITIATED and order.payment(o.payment_id).internal]
