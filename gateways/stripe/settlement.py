"""Stripe's balance transactions as settlement lines: told when they are made, and again when they are paid out.

A payout is made of what was taken days before it, and only Stripe knows of what: the lines of the day on which a payout
arrives at the bank are those that it is made of, under its name. A line that is known already takes the name over.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import date
from typing import Any

import structlog

from domain.gateway import Answer, OperationKind
from gateways.field import Unreadable, text
from gateways.gateway import GatewayUnavailable, SettlementLine
from gateways.stripe import wire
from gateways.stripe.client import StripeLine
from gateways.stripe.currency import Inexpressible

log = structlog.get_logger()


class _Refused(Exception):
    """Stripe will not give this list, however often it is asked."""


async def settlement_lines(line: StripeLine, account: str, day: date) -> AsyncIterator[SettlementLine]:
    """What the payouts that arrive on a day (UTC) are made of, then the other balance transactions made on that day.

    What a payout that failed was made of is told too, without its name: a later payout has it. Raises
    `GatewayUnavailable`.
    """
    told = set()  # Of that day alone: a payout of a month would be too much to remember.
    try:
        async for payout in _listed(line, wire.payouts(day)):
            async for paid in _made_up_of(line, account, payout):
                if paid.occurred_at.date() == day:
                    told.add(paid.line_id)
                yield paid
        async for one in _listed(line, wire.balance(day)):
            made = wire.settlement_line(account, one)
            if made.line_id not in told:
                yield made
    except _Refused as error:
        raise GatewayUnavailable(f"{account} gave no settlement of {day}: {error}") from error
    except (Unreadable, Inexpressible) as error:
        raise GatewayUnavailable(f"{account} gave a settlement of {day} that cannot be read: {error}") from error


async def _made_up_of(line: StripeLine, account: str, payout: Mapping[str, Any]) -> AsyncIterator[SettlementLine]:
    """One payout that cannot be explained takes no other line with it."""
    if not wire.is_explained(payout):
        return
    name = text(payout, "id")
    try:
        async for one in _listed(line, wire.made_up_of(name)):
            yield wire.settlement_line(account, one, payout if wire.arrives(payout) else None)
    except _Refused as refused:
        log.warning("settlement.payout_not_explained", account=account, payout=name, reason=str(refused))


async def _listed(line: StripeLine, outgoing: wire.Outgoing) -> AsyncIterator[Mapping[str, Any]]:
    """The objects of a list, page by page. Raises `GatewayUnavailable`, `Unreadable`, `_Refused`."""
    after: str | None = None
    while True:
        reply = await line.send(OperationKind.LOOKUP, wire.page_after(outgoing, after))
        if isinstance(reply, Answer):
            raise GatewayUnavailable(f"Stripe did not answer {outgoing.path}")
        if reply.status >= 400:
            raise _Refused(f"Stripe answered {outgoing.path} with {reply.status}")
        page = wire.items(reply.body)
        for one in page:
            yield one
        if not page or reply.body.get("has_more") is not True:
            return
        after = text(page[-1], "id")
