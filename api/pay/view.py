"""What a payment request looks like to the customer who holds its link. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from domain.order import Order
from domain.payment import DEAD_TENDERS, HELD_TENDERS, LIVE_REQUESTS, UNRESOLVED, Operation, Payment, PaymentRequest
from domain.resolution import PENDING_LADDER
from domain.schedule import Standing, action_due, next_amount, standing
from domain.section import Section
from domain.states import RequestStatus, TenderStatus
from domain.taking import is_broken

State = Literal["open", "busy", "go_on", "deposit", "paid", "over"]

NEWS_TAKES = timedelta(seconds=PENDING_LADDER[-1] + 10)
"""So long after a return a PG that had nothing to say to it may not have been asked again: the longest pause between
two questions, and the time of one."""


@dataclass(frozen=True, slots=True)
class Goods:
    """A line of what is paid for. ``amount`` in minor units, before discount."""

    name: str
    quantity: int
    amount: int


@dataclass(frozen=True, slots=True)
class Deposit:
    """Where to deposit what, and until when."""

    bank: str
    account: str
    holder: str
    amount: int
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class View:
    """A request as its page shows it. Amounts in minor units of ``currency``."""

    state: State
    number: str
    currency: str
    section: int | None
    goods: tuple[Goods, ...]
    shipping: int
    discount: int
    credit: int
    """What an exchange takes off for the pieces that come back."""
    total: int
    paid: int
    """What is there of it, and stays."""
    returning: int
    """What is there and is just being given back: it pays nothing."""
    asked: int
    """What the customer is to pay on a PG's page or to deposit; 0: nothing is waited for."""
    left: int
    """What no payment covers that was made, is waited for, or is just being given back."""
    amounts: tuple[int, ...]
    """What may be paid now: what is due, and if that is but a part, all that is left."""
    due_at: datetime | None
    parts: tuple[Standing, ...] = ()
    action_url: str | None = None
    deposit: Deposit | None = None
    declined: str | None = None
    """The category of the last decline, if nothing was paid since; the PG's own words are for the shop's people."""


def view_of(order: Order, request: PaymentRequest, now: datetime) -> View:
    """The page of a request of this order."""
    sections = [s for s in order.sections if request.section_id in {None, s.id}]
    items = [i for s in sections for i in order.section_items(s)]
    tenders = sorted(order.tenders(request), key=lambda p: p.position)
    waiting = next((p for p in tenders if _is_customers_turn(order, p, now)), None)
    exposed = sum(p.exposed for p in tenders)
    return View(
        state=_state(order, request, waiting),
        number=order.number,
        currency=order.currency,
        section=_number_of(sections, request),
        goods=tuple(Goods(i.name, i.quantity, i.gross) for i in items),
        shipping=sum(s.shipping_fee for s in sections),
        discount=sum(i.discount for i in items),
        credit=_credit(order, request),
        total=request.amount,
        paid=request.paid,
        returning=max(0, sum(p.exposed for p in tenders if p.status in HELD_TENDERS) - request.paid),
        asked=waiting.amount if waiting else 0,
        left=request.amount - exposed,
        amounts=tuple(sorted({next_amount(request, exposed), request.amount - exposed})),
        due_at=request.due_at,
        parts=standing(request),
        action_url=waiting.action_url if waiting else None,
        deposit=_deposit(request, waiting),
        declined=_declined(tenders),
    )


def is_untold(order: Order, request: PaymentRequest) -> bool:
    """Whether a customer is back from a PG's page, and that PG has not been told; the order tells it at once."""
    at_a_page = [p for p in order.tenders(request) if p.status is TenderStatus.ACTION_REQUIRED]
    return any(_is_untold(o) for payment in at_a_page for o in _waiting(order, payment))


def sent_on(order: Order, request: PaymentRequest, left: Mapping[UUID, str | None]) -> str | None:
    """The page that a PG names in place of the one that the customer has ``left`` (by payment), if it wants another."""
    waiting = (p for p in order.tenders(request) if p.status is TenderStatus.ACTION_REQUIRED and p.id in left)
    return next((p.action_url for p in waiting if p.action_url != left[p.id]), None)


def _is_customers_turn(order: Order, payment: Payment, now: datetime) -> bool:
    """A deposit is awaited, or the PG's page; not the page that the customer has just left, perhaps having paid."""
    if payment.status is not TenderStatus.ACTION_REQUIRED:
        return payment.status is TenderStatus.AWAITING_DEPOSIT
    return not any(_is_untold(o) or _is_just_back(o, now) for o in _waiting(order, payment))


def _waiting(order: Order, payment: Payment) -> list[Operation]:
    """What waits for the customer; what an earlier attempt had waited for is over."""
    return [o for o in order.operations if o.payment_id == payment.id and o.outcome in UNRESOLVED]


def _is_untold(operation: Operation) -> bool:
    """As `domain.resolution` sees it: what the customer has brought is sent, and that is not done."""
    back, sent = operation.completed_at, operation.sent_at
    return back is not None and (sent is None or sent <= back)


def _is_just_back(operation: Operation, now: datetime) -> bool:
    return operation.completed_at is not None and now < operation.completed_at + NEWS_TAKES


def _state(order: Order, request: PaymentRequest, waiting: Payment | None) -> State:
    if request.status is RequestStatus.PAID:
        return "paid"
    if request.status not in LIVE_REQUESTS:
        return "over"
    if waiting is not None:
        return "deposit" if waiting.action_kind == "deposit" else "go_on"
    tenders = list(order.tenders(request))
    unsettled = any(p.status not in HELD_TENDERS | DEAD_TENDERS for p in tenders)
    releasing = any(p.exposed and is_broken(order, p) for p in tenders)
    return "busy" if unsettled or releasing else "open"


def _number_of(sections: list[Section], request: PaymentRequest) -> int | None:
    return sections[0].number if request.section_id and sections else None


def _credit(order: Order, request: PaymentRequest) -> int:
    given = [c.refund_id for c in order.changes if c.request_id == request.id and c.refund_id]
    return sum(order.refund(each).amount for each in given)


def offers(amounts: Sequence[int], methods_of: Callable[[int], list[str]]) -> tuple[tuple[int, ...], list[str]]:
    """The amounts and the methods to offer, such that every method takes every amount.

    The first amount that anything takes counts, with its methods, and of the larger ones those that these take too.
    """
    for n, amount in enumerate(amounts):
        if methods := methods_of(amount):
            return tuple(a for a in amounts[n:] if set(methods) <= set(methods_of(a))), methods
    return (), []


def _deposit(request: PaymentRequest, payment: Payment | None) -> Deposit | None:
    if payment is None or payment.action_kind != "deposit":
        return None
    fields = payment.action_fields or {}
    return Deposit(
        fields.get("bank", ""),
        fields.get("account", ""),
        fields.get("holder", ""),
        payment.amount,
        action_due(request, payment),
    )


def _declined(tenders: list[Payment]) -> str | None:
    """Why one of those that came last, together, was refused."""
    last = [p for p in tenders if p.command_id == tenders[-1].command_id]
    return next((p.decline_category for p in last if p.status is TenderStatus.DECLINED), None)
