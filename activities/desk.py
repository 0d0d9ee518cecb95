"""One transaction's means to apply rules to an order: time, ids, the router and our own value.

`decide` applies a rule, settles what follows from it, and carries out at once what our own ledger can do, until
nothing is left that does not need a PG. The rules are pure, so one that asks for a route is simply applied again once
the route is decided.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from activities.routing import Router, RoutingNeeded
from activities.saving import Cause, Decision, save_order
from activities.value import PostgresLedger
from domain.gateway import Answer, Capabilities, Outcome
from domain.moment import Moment
from domain.offer import Needs, needs_of
from domain.order import Order
from domain.payment import Operation
from domain.recording import record
from domain.refund import settle_refunds
from domain.resolution import Ask, call_for
from domain.taking import settle
from gateways.value.adapter import ValueGateway
from models.database import Database

Rule = Callable[[Moment], Order]
CREDIT = "store_credit"
"""The kind of our own value that is given where a PG takes no refund."""


def utc_now() -> datetime:
    """The database's facts carry the time of the process that wrote them; UTC."""
    return datetime.now(UTC)


class Desk:
    """Applies rules to one order inside one transaction."""

    def __init__(
        self,
        database: Database,
        connection: AsyncConnection,
        *,
        store: str,
        needs: Needs,
        capabilities: Mapping[str, Capabilities],
    ) -> None:
        self.now = utc_now()
        self._connection = connection
        self._router = Router(database, store, needs, capabilities)
        self.moment = Moment(self.now, uuid7, self._router, self._router.cascades, self._router.captures_once)
        self._value = ValueGateway(PostgresLedger(connection, store, now=self.now), needs.currency)

    @classmethod
    def of(
        cls, database: Database, connection: AsyncConnection, order: Order, capabilities: Mapping[str, Capabilities]
    ) -> "Desk":
        """The desk for an order that exists."""
        return cls(database, connection, store=order.store_id, needs=needs_of(order), capabilities=capabilities)

    async def decide(self, rule: Rule) -> Order:
        """The order after a rule and all that follows from it without a PG."""
        async with self._giving_back():
            order = await self._routed(lambda moment: _settled(rule(moment), moment))
            while due := _inner(order):
                for operation in due:
                    order = await self._perform(order, operation)
        return order

    async def save(
        self, before: Order | None, after: Order, cause: Cause, decide: Callable[[Order], Decision] | None = None
    ) -> Order:
        """Write the difference and the command's decision; routes stand on the attempts that they are for."""
        async with self._giving_back():
            return await save_order(self._connection, before, after, cause, decide)

    @asynccontextmanager
    async def _giving_back(self) -> AsyncIterator[None]:
        """Whatever ends the transaction here takes its routes back: no stock, no such amount, no database."""
        try:
            yield
        except BaseException:
            await self._router.give_back()
            raise

    async def _perform(self, order: Order, operation: Operation) -> Order:
        answer = await self._answer(order, operation)
        return await self._routed(lambda moment: _settled(record(order, Ask.SEND, operation, answer, moment), moment))

    async def _answer(self, order: Order, operation: Operation) -> Answer:
        call = call_for(order, operation)
        if order.payment(operation.payment_id).internal:
            return await self._value.perform(call)
        return await self._value.credit(replace(call, account=CREDIT, method=CREDIT, token=None, reference=None))

    async def _routed(self, rule: Rule) -> Order:
        self._router.forget()
        while True:
            try:
                return rule(self.moment)
            except RoutingNeeded as needed:
                await self._router.decide(self._connection, needed.wanted, self.now)
                self._router.rewind()


def _settled(order: Order, moment: Moment) -> Order:
    return settle_refunds(settle(order, moment), moment)


def _inner(order: Order) -> list[Operation]:
    """Operations that our own ledger carries out, not yet done."""
    return [o for o in order.operations if o.outcome is Outcome.INITIATED and order.own(o)]
