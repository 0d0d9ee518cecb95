"""What a command would do, computed on a copy and thrown away: refuses early what the workflow would refuse later.

The workflow still decides finally, under the order's lock; a preview that passes promises nothing.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID, uuid4

from uuid_utils.compat import uuid7

from contracts.command import Body
from contracts.rules import Catalog, apply_body
from domain.cascade import cascade
from domain.moment import Moment, Routed
from domain.order import Order
from domain.payment import Payment


class _RouteAsked(Exception):
    """The rule wants a PG account chosen, which only the transaction that stores the choice may do."""


def dry_run(
    order: Order,
    body: Body,
    catalog: Catalog,
    now: datetime,
    *,
    command_id: UUID | None = None,
    capturing_once: Collection[str] = frozenset(),
) -> Order:
    """The order as the rule of ``body`` would leave it, its derived statuses too; nothing is stored.

    ``command_id`` stands on what the rule makes (refunds, operations); ``capturing_once``: the accounts that let go of
    what a capture leaves of their hold. Raises what the rule raises (`Rejected`).
    A rule that goes on to choose a PG account ends the dry run: the order comes back as it was.
    """
    moment = Moment(now, uuid7, _no_route, captures_once=capturing_once.__contains__)
    try:
        return cascade(apply_body(order, command_id or uuid4(), body, catalog, moment))
    except _RouteAsked:
        return order


def _no_route(_payment: Payment, _excluded: frozenset[str], **_hold: bool) -> Routed:
    raise _RouteAsked
