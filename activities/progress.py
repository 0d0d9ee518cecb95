"""What a workflow is told after each step: where the order stands, and what is due."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.order import NewOrder, Progress, SectionState
from domain.capture import lapses_at
from domain.cascade import OPEN_CHANGES, OPEN_REFUNDS
from domain.errors import Problem
from domain.gateway import Capabilities, OperationKind, Outcome
from domain.order import Order
from domain.payment import LIVE_REQUESTS, UNRESOLVED, Operation
from domain.resolution import due_call, is_altered, waits_for_resume
from domain.schedule import next_amount
from domain.section import CLOSED_SECTIONS
from domain.states import OrderStatus, SectionStatus

log = structlog.get_logger()

_PAUSED = text("SELECT id FROM gateway_account WHERE id = ANY(:accounts) AND paused_at IS NOT NULL")
ENDED = frozenset({OrderStatus.COMPLETED, OrderStatus.CANCELED, OrderStatus.EXPIRED})


def progress_of(
    order: Order,
    capabilities: Mapping[str, Capabilities],
    *,
    new_order: NewOrder | None = None,
    paused: frozenset[str] = frozenset(),
) -> Progress:
    """The whole of what the order's and the sections' workflows need to go on. ``paused``: accounts that rest."""
    now = datetime.now(UTC)
    due = [o for o in order.operations if o.outcome in UNRESOLVED and not order.own(o)]
    resting = [o for o in due if _account(order, o) in paused and waits_for_resume(o)]
    once = {account for account, can in capabilities.items() if can.captures_once}
    open_ends = (
        order.in_flight
        or any(c.status in OPEN_CHANGES for c in order.changes)
        or any(r.status in OPEN_REFUNDS for r in order.refunds)
        or any(s.status not in CLOSED_SECTIONS for s in order.sections)
    )
    return Progress(
        status=order.status.value,
        payment_status=order.payment_status.value,
        version=order.version,
        needs_attention=order.requires_review
        or order.has_unknown_payment
        or any(_account(order, o) not in capabilities for o in due),
        closed=order.status in ENDED and not open_ends,
        decided=not any(_undecided(o) for o in due if o not in resting),
        unsent=any(_is_unsent(o) for o in due if _account(order, o) in capabilities),
        waits_for=_unconfigured(order, due, capabilities) or _rests(order, resting) or waits_for(order),
        calls=tuple(
            due_call(order, o, capabilities[_account(order, o)], now, paused=paused)
            for o in due
            if _account(order, o) in capabilities
        ),
        sections=tuple(
            SectionState(s.number, s.status in CLOSED_SECTIONS, s.status.value)
            for s in order.sections
            if s.status is not SectionStatus.AWAITING_PAYMENT
        ),
        expires_at=_expires_at(order),
        lapses_at=lapses_at(order, once.__contains__),
        new_order=new_order,
    )


async def report_progress(
    connection: AsyncConnection,
    order: Order,
    capabilities: Mapping[str, Capabilities],
    *,
    new_order: NewOrder | None = None,
) -> Progress:
    """`progress_of` with the accounts that are paused now; asked only if something is due that would wait for one."""
    waiting = {_account(order, o) for o in order.operations if waits_for_resume(o) and not order.own(o)}
    rows = await connection.execute(_PAUSED, {"accounts": sorted(waiting)}) if waiting else ()
    for operation in order.operations:
        if operation.outcome is Outcome.UNKNOWN and is_altered(order, operation):
            log.warning("operation.altered", order=order.number, operation=str(operation.id), kind=operation.kind.value)
    return progress_of(order, capabilities, new_order=new_order, paused=frozenset(account for (account,) in rows))


def refusal(problem: Problem) -> Progress:
    """No order exists: the checkout was refused."""
    return Progress(
        status="refused",
        payment_status="unpaid",
        version=0,
        needs_attention=False,
        closed=True,
        decided=True,
        waits_for="nothing: the checkout was refused",
        refused=problem,
    )


def _account(order: Order, operation: Operation) -> str:
    return order.attempt(operation.attempt_id).account


def _unconfigured(order: Order, due: Sequence[Operation], capabilities: Mapping[str, Capabilities]) -> str | None:
    """Money waits for an account that the settings no longer have."""
    missing = sorted({_account(order, o) for o in due} - capabilities.keys())
    return (
        f"a person: {', '.join(missing)} is not in OPMS_GATEWAYS, put it back and signal look_again"
        if missing
        else None
    )


def _rests(order: Order, resting: Sequence[Operation]) -> str | None:
    """Money waits for an account that a person has paused."""
    what = [f"{o.kind} of {o.amount} {order.currency}" for o in resting]
    accounts = sorted({_account(order, o) for o in resting})
    return f"{', '.join(accounts)} to be resumed: it is paused, and {', '.join(what)} waits" if resting else None


def _expires_at(order: Order) -> datetime | None:
    """When the first of what is asked for is not waited for any more: the checkout, or an exchange's difference."""
    if order.status is OrderStatus.PENDING_PAYMENT:
        return order.expires_at
    return min((r.due_at for r in order.requests if r.status in LIVE_REQUESTS and r.due_at), default=None)


def _undecided(operation: Operation) -> bool:
    """The customer's answer depends on it."""
    if operation.kind is OperationKind.AUTHORIZE:
        return operation.outcome in {Outcome.INITIATED, Outcome.UNKNOWN, Outcome.PENDING}
    return operation.outcome is Outcome.INITIATED and operation.tries == 0


def _is_unsent(operation: Operation) -> bool:
    """A charge that waits for a worker, or is being sent for the first time."""
    return operation.kind is OperationKind.AUTHORIZE and operation.outcome is Outcome.INITIATED and not operation.tries


def waits_for(order: Order) -> str:
    """In plain words, for whoever opens the workflow in the Temporal UI."""
    if order.requires_review:
        return "a person: a payment or refund could not be settled automatically, see the order's timeline"
    for operation in order.operations:
        if operation.outcome in UNRESOLVED:
            account = order.attempt(operation.attempt_id).account
            if operation.outcome is Outcome.ACTION_REQUIRED:
                return f"the customer, to confirm the payment at {account}"
            return f"{account} to answer {operation.kind} of {operation.amount} {order.currency} ({operation.outcome})"
    live = [r for r in order.requests if r.status in LIVE_REQUESTS]
    if live:
        left = sum(next_amount(r, r.paid) for r in live)
        end = _expires_at(order)
        until = f" until {end:%Y-%m-%d %H:%M} UTC" if end else ""
        return f"the customer to pay {left} {order.currency}{until}"
    return _waits_for_goods(order)


def _waits_for_goods(order: Order) -> str:
    held = [s.number for s in order.sections if s.status is SectionStatus.ON_HOLD]
    if held:
        return f"the holds of section {', '.join(map(str, held))} to be released"
    moving = [s.number for s in order.sections if s.status is SectionStatus.OPEN]
    if moving:
        return f"section {', '.join(map(str, moving))} to be shipped and delivered"
    return "nothing" if order.status in ENDED else f"the balance to be settled ({order.balance})"
