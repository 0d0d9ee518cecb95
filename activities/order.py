"""The steps of an order: open, read, decide a command, record an answer, expire. Each one transaction."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity
from typing_extensions import override
from uuid_utils.compat import uuid7

from activities.change import change_order
from activities.command import (
    broken_fence,
    decide_command,
    finish_commands,
    new_order_of,
    refuse_command,
    renumber_result,
    shelf_for,
)
from activities.desk import Desk, utc_now
from activities.health import note_health
from activities.progress import refusal, report_progress
from activities.saving import Cause, lock_order
from contracts.command import Command
from contracts.order import (
    ApplyCommand,
    NoteNewNumber,
    OpenOrder,
    OrderRef,
    OrderSteps,
    PlaceOrder,
    Progress,
    RecordAnswer,
)
from domain.capture import capture_lapsing
from domain.checkout import Opening, open_order, quote
from domain.errors import IllegalTransition, NumberTaken, Problem, Rejected, UnknownOrder
from domain.gateway import Capabilities
from domain.health import Heard, heard
from domain.moment import Moment
from domain.offer import Needs
from domain.order import Order
from domain.paying import expire
from domain.payment import UNRESOLVED
from domain.recording import record
from domain.resolution import Ask, doubt_what_was_lost, weighed
from models.database import Database
from queries.catalog import load_shelf
from queries.order import load_order

log = structlog.get_logger()

IDENTITY = ("uq_orders_store_id_number", "uq_orders_checkout_id")
"""The fences that tell one order from another; any other fence that an opening breaks is a bug of ours."""


class OrderActivities(OrderSteps):
    """Writes orders. ``capabilities`` by PG account: what the resolution of doubts may rely on."""

    def __init__(self, database: Database, capabilities: Mapping[str, Capabilities]) -> None:
        self._database = database
        self._capabilities = capabilities

    @override
    @activity.defn
    async def open_order(self, request: OpenOrder) -> Progress:
        """Open the order, or find that it already is; a refusal leaves no trace but its number."""
        try:
            async with self._database.transaction() as connection:
                return await self._open(connection, request)
        except IntegrityError as fence:
            if not any(name in str(fence.orig) for name in IDENTITY):
                return refusal(broken_opening(request, fence))
            return await self._already_open(request)
        except Rejected as no:
            return refusal(no.problem)

    @override
    @activity.defn
    async def read_order(self, request: OrderRef) -> Progress:
        """Where the order stands. After a lost run, what may have been sent counts as unknown, not as unsent."""

        def rule(order: Order, moment: Moment) -> Order:
            return doubt_what_was_lost(order, moment.now) if request.after_loss else order

        return await self._change(request, "order_reopened", rule)

    @override
    @activity.defn
    async def apply_command(self, request: ApplyCommand) -> Progress:
        """Decide a command once; its row and its effect commit together, and so does a refusal with its reason."""
        command = request.command
        try:
            async with self._database.transaction() as connection:
                before, decided = await lock_order(connection, command.store, command.number, command_id=command.id)
                if decided:
                    again = new_order_of(before, command, await shelf_for(connection, before, command))
                    return await report_progress(connection, before, self._capabilities, new_order=again)
                desk = Desk.of(self._database, connection, before, self._capabilities)
                saved, shelf = await decide_command(connection, desk, before, request)
                await finish_commands(connection, before, saved, desk.now)
                return await report_progress(
                    connection, saved, self._capabilities, new_order=new_order_of(saved, command, shelf)
                )
        except Rejected as no:
            return await self._refuse(command, no.problem)
        except IntegrityError as fence:
            return await self._refuse(command, broken_fence(command, fence))

    async def _refuse(self, command: Command, problem: Problem) -> Progress:
        async with self._database.transaction() as connection:
            await refuse_command(connection, command, problem, utc_now())
            try:
                order = await load_order(connection, command.store, command.number)
            except UnknownOrder:
                return refusal(problem)
            return await report_progress(connection, order, self._capabilities)

    @override
    @activity.defn
    async def record_answer(self, request: RecordAnswer) -> Progress:
        """Fold an answer in, and open what follows from it; then keep the circuit of the account that gave it."""
        news: list[Heard | None] = []

        def rule(order: Order, moment: Moment) -> Order:
            operation = order.operation(request.operation_id)
            answer = request.answer
            counted = request.tries is not None and operation.tries > request.tries
            if counted and answer.outcome in UNRESOLVED:
                return order  # This step has run before, and died after its commit.
            news.append(heard(order, operation, request.asked, answer))
            account = self._capabilities.get(order.attempt(operation.attempt_id).account)
            if request.asked in {Ask.SEND, Ask.LOOKUP} and account is not None:
                answer = weighed(operation, answer, account, moment.now)
            try:
                return record(order, request.asked, operation, answer, moment, sent=request.sent)
            except IllegalTransition as impossible:  # A bug of ours must not keep the order from all that comes later.
                log.exception("gateway.answer_does_not_fit", order=order.number, reason=impossible.detail)
                return order.put(replace(operation, tries=operation.tries + 1, detail=impossible.detail))

        progress = await self._change(request.order, f"gateway_{request.asked}", rule)
        if news and news[0]:
            await note_health(self._database, news[0], utc_now())
        return progress

    @override
    @activity.defn
    async def expire_order(self, request: OrderRef) -> Progress:
        """End the requests whose time is over: stock and money go back. Capture the holds that are about to lapse."""

        def rule(order: Order, moment: Moment) -> Order:
            return capture_lapsing(expire(order, moment), moment)

        return await self._change(request, "payment_window_over", rule)

    @override
    @activity.defn
    async def note_new_number(self, request: NoteNewNumber) -> None:
        """Correct the number on the row of the command that asked for a new order."""
        async with self._database.transaction() as connection:
            await renumber_result(connection, request.command_id, request.number)

    async def _change(self, ref: OrderRef, cause: str, rule: Callable[[Order, Moment], Order]) -> Progress:
        return await change_order(self._database, self._capabilities, ref, cause, rule)

    async def _open(self, connection: AsyncConnection, request: OpenOrder) -> Progress:
        place = request.place
        wanted = [item.sku for section in place.checkout.sections for item in section.items]
        shelf = await load_shelf(connection, request.store, wanted)
        needs = Needs(shelf.currency, several_captures=_ships_in_parts(place))
        desk = Desk(self._database, connection, store=request.store, needs=needs, capabilities=self._capabilities)
        priced = quote(place.checkout, shelf.skus, currency=shelf.currency, now=desk.now)
        opening = Opening(
            order_id=uuid7(),
            store_id=request.store,
            number=request.number,
            checkout_id=place.id,
            now=desk.now,
            expires_at=desk.now + timedelta(seconds=shelf.payment_window_seconds),
            new_id=uuid7,
        )
        order = await desk.decide(lambda _: open_order(place.checkout, priced, opening))
        cause = Cause("checkout", place.actor, request.workflow_id, desk.now, place.id)
        return await report_progress(connection, await desk.save(None, order, cause), self._capabilities)

    async def _already_open(self, request: OpenOrder) -> Progress:
        """The row is there: by an earlier run of this step, or the number is another order's."""
        async with self._database.reading() as connection:
            try:
                order = await load_order(connection, request.store, request.number)
            except UnknownOrder:
                taken = NumberTaken(f"checkout {request.place.id} has already become another order")
                return refusal(taken.problem)
            if order.checkout_id != request.place.id:
                return refusal(NumberTaken(f"order number {request.number} is taken").problem)
            return await report_progress(connection, order, self._capabilities)


def broken_opening(request: OpenOrder, fence: IntegrityError) -> Problem:
    """The last line of defence has held; the customer is told, the log says which rule."""
    log.error("checkout.broke_a_fence", order=request.number, rule=str(fence.orig))
    return Problem("storage_refused", "the database's own rules refuse this order; nothing was placed or charged")


def _ships_in_parts(place: PlaceOrder) -> bool:
    """Money is captured with each parcel that leaves, and any two pieces can leave apart."""
    pieces = sum(item.quantity for section in place.checkout.sections for item in section.items)
    return place.checkout.capture == "on_shipment" and pieces > 1
