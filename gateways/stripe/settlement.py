"""Stripe's balance transactions as settlement lines: told when they are made, and again when they are paid out.

A payout is made of what was taken days before it, and only Stripe knows of what: the lines of the day on which a payout
arrives at the bank are those that it is made of, under its name. A line that is known already takes the name over.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import date
from typing import Any

from domain.gateway import Answer, OperationKind
from gateways.field import Unreadable, text
from gateways.gateway import GatewayUnavailable, SettlementLine
from gateways.stripe import wire
from gateways.stripe.client import StripeLine
from gateways.stripe.currency import Inexpressible


async def settlement_lines(line: StripeLine, account: str, day: date) -> AsyncIterator[SettlementLine]:
    """What the payouts that arrive on a day (UTC) are made of, then the other balance transactions made on that day.

    Raises `GatewayUnavailable`.
    """
    told = set()
    try:
        async for payout in _listed(line, wire.payouts(day)):
            if wire.is_explained(payout):
                async for one in _listed(line, wire.made_up_of(text(payout, "id"))):
                    paid = wire.settlement_line(account, one, payout)
                    if paid.occurred_at.date() == day:
                        told.add(paid.line_id)
                    yield paid
        async for one in _listed(line, wire.balance(day)):
            made = wire.settlement_line(account, one)
            if made.line_id not in told:
                yield made
    except (Unreadable, Inexpressible) as error:
        raise GatewayUnavailable(f"{account} gave a settlement of {day} that cannot be read: {error}") from error


async def _listed(line: StripeLine, outgoing: wire.Outgoing) -> AsyncIterator[Mapping[str, Any]]:
    """The objects of a list, page by page. Raises `GatewayUnavailable`, `Unreadable`."""
    after: str | None = None
    while True:
        reply = await line.send(OperationKind.LOOKUP, wire.page_after(outgoing, after))
        if isinstance(reply, Answer) or reply.status >= 400:
            raise GatewayUnavailable(f"Stripe did not answer {outgoing.path}")
        page = wire.items(reply.body)
        for one in page:
            yield one
        if not page or reply.body.get("has_more") is not True:
            return
        after = text(page[-1], "id")
