"""Asking Stripe what has become of an operation, without sending it. Moves no money."""

import dataclasses
from datetime import datetime

from domain.gateway import Answer, Call, Decline, Evidence, Issue, OperationKind, Outcome, Retry
from gateways.field import Unreadable
from gateways.stripe import reading, wire
from gateways.stripe.client import StripeLine
from gateways.stripe.session import SESSION, found_session, read_session
from gateways.transport import Reply, malformed

_SETTLED = frozenset({"succeeded", "requires_capture", "canceled"})
"""A PaymentIntent in one of these states needs no session to say what became of its authorization."""


class Inquiry:
    """Questions to one account."""

    def __init__(self, line: StripeLine) -> None:
        self._line = line

    async def ask(self, call: Call, kind: OperationKind, key: str, question: wire.Outgoing) -> Answer:
        """A reading that answers about the operation of ``kind`` with ``key``."""
        reply = await self._line.send(OperationKind.LOOKUP, question)
        if isinstance(reply, Answer):
            return reply
        return read(call, kind, key, reply) if reply.status < 400 else unfound(reply)

    async def find(self, call: Call, kind: OperationKind, key: str) -> Answer:
        """What became of an operation, without sending it."""
        if kind is OperationKind.REFUND:
            return await self._find_refund(call, key)
        if kind is OperationKind.AUTHORIZE and wire.is_session(call.subject_reference):
            return await self.ask(call, kind, key, wire.retrieve_session(call.subject_reference))
        if call.reference is not None:
            return await self.ask(call, kind, key, wire.retrieve(call.reference))
        if kind is not OperationKind.AUTHORIZE:
            return Answer(Outcome.UNKNOWN, evidence=Evidence(detail=f"a {kind} needs the gateway's reference"))
        return await self.find_by_metadata(call, key)

    async def find_by_metadata(self, call: Call, key: str) -> Answer:
        """By the search index, which is late: what it has not found may be there all the same."""
        reply = await self._line.send(OperationKind.LOOKUP, wire.search(call.merchant_ref))
        if isinstance(reply, Answer):
            return reply
        try:
            found = wire.items(reply.body) if reply.status < 400 else []
            intents = [reading.intent_of(one) for one in found]
        except Unreadable as missing:
            return malformed(reply, f"unreadable {missing}")
        if not intents and call.token is None and call.subject_sent_at is not None:
            return await self._find_untried(call, key, call.subject_sent_at)
        if len(intents) != 1:
            return malformed(reply, "several PaymentIntents" if intents else "not_found")
        if call.token is None and intents[0].status not in _SETTLED and not intents[0].is_fence_of(key):
            return await self._find_session(call, key, intents[0].reference)
        indexed = reading.judge(call, OperationKind.AUTHORIZE, key, intents[0], reply.evidence())
        now = await self.ask(call, OperationKind.AUTHORIZE, key, wire.retrieve(intents[0].reference))
        return with_issues(now, indexed.issues)

    async def _find_session(self, call: Call, key: str, intent: str) -> Answer:
        """By its PaymentIntent: a card was tried on its page, and perhaps not the last one."""
        reply = await self._line.send(OperationKind.LOOKUP, wire.sessions_of(intent))
        if isinstance(reply, Answer) or reply.status >= 400:
            return reply if isinstance(reply, Answer) else unfound(reply)
        try:
            found = wire.items(reply.body)
        except Unreadable as missing:
            return malformed(reply, f"unreadable {missing}")
        return read_session(call, key, reply, found[0]) if len(found) == 1 else malformed(reply, "no session")

    async def _find_untried(self, call: Call, key: str, sent_at: datetime) -> Answer:
        """Among all sessions of its time, which are complete at once: no card was tried, so the search has nothing."""
        after: str | None = None
        while True:
            reply = await self._line.send(OperationKind.LOOKUP, wire.sessions_since(sent_at, after))
            if isinstance(reply, Answer) or reply.status >= 400:
                return reply if isinstance(reply, Answer) else unfound(reply)
            try:
                found, after = found_session(reply, call.merchant_ref)
            except Unreadable as missing:
                return malformed(reply, f"unreadable {missing}")
            if found is not None:
                return read_session(call, key, reply, found)
            if after is None:
                return malformed(reply, "not_found")

    async def _find_refund(self, call: Call, key: str) -> Answer:
        """By its id, or among the payment's refunds by our key. A payment's list is complete at once."""
        if call.subject_reference is not None:
            return await self.ask(call, OperationKind.REFUND, key, wire.retrieve_refund(call.subject_reference))
        if call.reference is None:
            return Answer(Outcome.UNKNOWN, evidence=Evidence(detail="a refund needs the gateway's reference"))
        after: str | None = None
        while True:
            reply = await self._line.send(OperationKind.LOOKUP, wire.refunds_of(call.reference, after))
            if isinstance(reply, Answer) or reply.status >= 400:
                return reply if isinstance(reply, Answer) else unfound(reply)
            try:
                found, after = reading.found_refund(reply, key)
            except Unreadable as missing:
                return malformed(reply, f"unreadable {missing}")
            if found is not None:
                return reading.read_refund(call, reply, found)
            if after is None:
                return await self._unmade_refund(call, call.reference)

    async def _unmade_refund(self, call: Call, reference: str) -> Answer:
        """No such refund: not yet, or never, if it asks for more than was ever taken."""
        reply = await self._line.send(OperationKind.LOOKUP, wire.retrieve(reference))
        if isinstance(reply, Answer):
            return reply
        intent = reading.intent_in(reply)
        if intent is None or not reading.exceeds_for_ever(call, OperationKind.REFUND, intent):
            return malformed(reply, "not_found")
        refusal = Decline("amount_exceeded", "amount_too_large", "More than was captured.", Retry.NEVER)
        return Answer(Outcome.DECLINED, reference=intent.reference, decline=refusal, evidence=reply.evidence())


def read(call: Call, kind: OperationKind, key: str, reply: Reply) -> Answer:
    """The answer about an operation from the object that it acts on."""
    if kind is OperationKind.REFUND:
        return reading.read_refund(call, reply)
    if kind is OperationKind.AUTHORIZE and reply.body.get("object") == SESSION:
        return read_session(call, key, reply)
    return reading.read_intent(call, kind, key, reply)


def unfound(reply: Reply) -> Answer:
    """An object that we know by its id and Stripe does not: proof of nothing but another account's key."""
    code = reading.error_of(reply).get("code")
    return malformed(reply, code if isinstance(code, str) else "")


def with_issues(answer: Answer, more: tuple[Issue, ...]) -> Answer:
    """The same answer with what another answer about it has shown, too."""
    return dataclasses.replace(answer, issues=tuple(dict.fromkeys((*more, *answer.issues))))
