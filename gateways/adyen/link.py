"""Adyen's payment links: a page of Adyen's on which a customer without a token pays once.

Three things follow from what Adyen promises. That a link was paid is said by AUTHORISATION webhooks alone. A refusal on
the page is no end, as the customer may try another card. And what must have no effect is a link that is closed: one of
which the id was lost is opened again under the same key, which is the same link, and then closed.
"""

from dataclasses import replace

from domain.gateway import Answer, Call, OperationKind, Outcome
from gateways.adyen import wire
from gateways.adyen.currency import Inexact
from gateways.gateway import MisconfiguredGateway
from gateways.transport import Transport, not_executed


class Links:
    """The links of one account. Holds no state."""

    def __init__(self, transport: Transport, merchant: str) -> None:
        self._transport = transport
        self._merchant = merchant

    async def open(self, call: Call) -> Answer:
        """Open the link of an authorization, or find it again; as it stands now, for a replay tells the past."""
        opened = await self._opened(call)
        if opened.operation_ref is None:
            return opened
        try:
            now = await self.look(call, opened.operation_ref)
        except MisconfiguredGateway:  # To the caller that means "not executed", and the link is open.
            return opened
        return now if now.operation_ref is not None else opened

    async def look(self, call: Call, link: str) -> Answer:
        """What a link says of its authorization."""
        reply = await self._transport.send(OperationKind.LOOKUP, "GET", wire.link_path(link))
        return reply if isinstance(reply, Answer) else wire.read_link(call, reply)

    async def close(self, call: Call) -> Answer:
        """Make sure that nobody can pay by the link any more. Unknown if it was paid: its webhook says the rest."""
        link = call.subject_reference
        if link is None:
            opened = await self._opened(call)
            if opened.operation_ref is None:
                return replace(opened, outcome=Outcome.UNKNOWN, decline=None, action=None)
            link = opened.operation_ref
        reply = await self._transport.send(call.kind, "PATCH", wire.link_path(link), body=wire.CLOSED_LINK)
        if isinstance(reply, Answer):
            return reply
        closed = wire.read_link(call, reply) if reply.status < 400 else await self.look(call, link)
        over = closed.outcome is Outcome.DECLINED
        return replace(closed, outcome=Outcome.SUCCEEDED if over else Outcome.UNKNOWN, decline=None, action=None)

    async def _opened(self, call: Call) -> Answer:
        try:
            outgoing = wire.link(call, self._merchant)
        except Inexact:
            return not_executed(call.kind, detail="inexact_amount")
        headers = {"Idempotency-Key": outgoing.key}
        reply = await self._transport.send(call.kind, "POST", outgoing.path, body=outgoing.body, headers=headers)
        return reply if isinstance(reply, Answer) else wire.read_link(call, reply)
