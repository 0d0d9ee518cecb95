"""What a payment asks of the PG account that takes it, and whether any account of a rule would take it now."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.checkout import AskedPayment
from domain.errors import Rejected
from domain.gateway import Flow
from domain.moment import Moment, Route, Routed
from domain.order import Order
from domain.paying import pay
from domain.payment import DEAD_TENDERS, DEPOSIT_METHODS, Payment
from domain.routing import AccountState, Rule, Wanted, contenders, pick, weigh
from domain.states import ItemState
from domain.taking import settle

PAGES = frozenset({Flow.REDIRECT_CONFIRM, Flow.HOSTED_SESSION})
"""The customer pays on the PG's own page and comes back from it."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What an order asks of every account that takes a payment of it."""

    currency: str
    several_captures: bool
    """A wish: without such an account the first capture takes all (gateways page, M6)."""


def needs_of(order: Order) -> Needs:
    """Best captured in parts if goods that leave are captured and there are several pieces: any two can leave apart."""
    pieces = sum(i.quantity for i in order.items if i.state is not ItemState.CANCELED)
    return Needs(order.currency, several_captures=order.capture == "on_shipment" and pieces > 1)


def flows_for(method: str, *, token: bool, page: bool) -> frozenset[Flow]:
    """The ways that are open to a payment: a ``token`` stands for its instrument, or it can come back from a ``page``.

    Without any way nobody can take it.
    """
    if method in DEPOSIT_METHODS:
        return frozenset({Flow.VIRTUAL_ACCOUNT})
    if token:
        return frozenset({Flow.SERVER_TOKEN})
    return PAGES if page else frozenset()


def wanted_of(payment: Payment, excluded: frozenset[str], needs: Needs, *, hold: bool) -> Wanted:
    """The payment as routing sees it; ``hold``: it is taken later than it is asked for."""
    return Wanted(
        method=payment.method,
        currency=needs.currency,
        amount=payment.amount,
        flows=flows_for(payment.method, token=payment.token is not None, page=payment.return_url is not None),
        excluded=excluded,
        manual_capture=hold,
        several_captures=hold and needs.several_captures,
        instalments=payment.instalments,
    )


def is_takeable(order: Order, request_id: UUID, asked: AskedPayment, moment: Moment) -> bool:
    """Whether ``asked`` would reach a PG, if it were paid now towards the request; nothing is kept.

    The payment's own rules say so, with the router of ``moment``: what is offered and what is taken cannot differ.
    """
    command_id = moment.new_id()
    try:
        after = settle(pay(order, request_id, (asked,), moment, command_id=command_id), moment)
    except Rejected:
        return False
    return all(p.status not in DEAD_TENDERS for p in after.payments if p.command_id == command_id)


def route_by(rule: Rule, accounts: Sequence[AccountState], needs: Needs) -> Route:
    """Who could take a payment under the rule, without its shares: for a look that stores nothing."""

    def route(payment: Payment, excluded: frozenset[str], /, *, hold: bool) -> Routed:
        among, why = contenders(rule, weigh(rule, accounts, {}, wanted_of(payment, excluded, needs, hold=hold)))
        return Routed(pick(rule, among).account, rule.version, {"reason": why})

    return route
