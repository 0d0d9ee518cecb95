"""Asking Stripe what has become of an operation, without sending it. Moves no money."""

import dataclasses

from domain.gateway import Answer, Call, Decline, Evidence, Issue, OperationKind, Outcome, Retry
from gateways.stripe import reading, wire
from gateways.stripe.client import StripeLine
from gateways.transport import Reply, malformed


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
        except wire.Unreadable as missing:
            return malformed(reply, f"unreadable {missing}")
        if len(intents) != 1:
            return malformed(reply, "several PaymentIntents" if intents else "not_found")
        indexed = reading.judge(call, OperationKind.AUTHORIZE, key, intents[0], reply.evidence())
        now = await self.ask(call, OperationKind.AUTHORIZE, key, wire.retrieve(intents[0].reference))
        return with_issues(now, indexed.issues)

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
            except wire.Unreadable as missing:
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
    return reading.read_intent(call, kind, key, reply)


def unfound(reply: Reply) -> Answer:
    """An object that we know by its id and Stripe does not: proof of nothing but another account's key."""
    code = reading.error_of(reply).get("code")
    return malformed(reply, code if isinstance(code, str) else "")


def with_issues(answer: Answer, more: tuple[Issue, ...]) -> Answer:
    """The same answer with what another answer about it has shown, too."""
    return dataclasses.replace(answer, issues=tuple(dict.fromkeys((*more, *answer.issues))))
