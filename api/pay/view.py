"""What a payment request looks like to the customer who holds its link. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from domain.order import Order
from domain.payment import DEAD_TENDERS, LIVE_REQUESTS, Payment, PaymentRequest
from domain.schedule import Standing, action_due, next_amount, standing
from domain.section import Section
from domain.states import RequestStatus, TenderStatus

State = Literal["open", "busy", "go_on", "deposit", "paid", "over"]

_BUSY = {TenderStatus.CREATED, TenderStatus.PROCESSING, TenderStatus.UNKNOWN, TenderStatus.CONFLICTED}
_CUSTOMERS_TURN = {TenderStatus.ACTION_REQUIRED, TenderStatus.AWAITING_DEPOSIT}


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
    total: int
    left: int
    amounts: tuple[int, ...]
    """What may be paid now: what is due, and if that is but a part, all that is left."""
    due_at: datetime | None
    parts: tuple[Standing, ...] = ()
    action_url: str | None = None
    deposit: Deposit | None = None
    declined: str | None = None


def view_of(order: Order, request: PaymentRequest) -> View:
    """The page of a request of this order."""
    sections = [s for s in order.sections if request.section_id in {None, s.id}]
    items = [i for s in sections for i in order.section_items(s)]
    tenders = sorted(order.tenders(request), key=lambda p: p.position)
    waiting = next((p for p in tenders if p.status in _CUSTOMERS_TURN), None)
    exposed = sum(p.exposed for p in tenders)
    return View(
        state=_state(request, tenders, waiting),
        number=order.number,
        currency=order.currency,
        section=_number_of(sections, request),
        goods=tuple(Goods(i.name, i.quantity, i.gross) for i in items),
        shipping=sum(s.shipping_fee for s in sections),
        discount=sum(i.discount for i in items),
        total=request.amount,
        left=request.amount - exposed,
        amounts=tuple(sorted({next_amount(request, exposed), request.amount - exposed})),
        due_at=request.due_at,
        parts=standing(request),
        action_url=waiting.action_url if waiting else None,
        deposit=_deposit(request, waiting),
        declined=_declined(tenders),
    )


def _state(request: PaymentRequest, tenders: list[Payment], waiting: Payment | None) -> State:
    if request.status is RequestStatus.PAID:
        return "paid"
    if request.status not in LIVE_REQUESTS:
        return "over"
    if waiting is not None:
        return "deposit" if waiting.action_kind == "deposit" else "go_on"
    busy = any(p.status in _BUSY for p in tenders)
    return "busy" if busy else "open"


def _number_of(sections: list[Section], request: PaymentRequest) -> int | None:
    return sections[0].number if request.section_id and sections else None


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
    last = tenders[-1] if tenders else None
    return last.decline_message if last is not None and last.status in DEAD_TENDERS else None
