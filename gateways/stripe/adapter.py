"""One account at Stripe, through the interface that every gateway has."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date
from typing import ClassVar

import httpx
from typing_extensions import override

from domain.gateway import (
    Answer,
    Call,
    Capabilities,
    Decline,
    Evidence,
    Flow,
    Idempotency,
    MethodLimit,
    NeutralizeBy,
    OperationKind,
    Outcome,
    Retry,
)
from gateways.field import Unreadable
from gateways.gateway import Account, Gateway, SettlementLine, WebhookBatch
from gateways.stripe import reading, wire
from gateways.stripe.client import StripeLine
from gateways.stripe.currency import Inexpressible
from gateways.stripe.inquiry import Inquiry, read, unfound, with_issues
from gateways.stripe.session import session_of
from gateways.stripe.settlement import settlement_lines
from gateways.stripe.webhook import read_webhook
from gateways.transport import USUAL_PATIENCE, Patience, Reply, malformed, not_executed

_KEY_SECONDS = 24 * 3600
"""Stripe keeps a key at least so long."""
_MARGIN_SECONDS = 3600
_SLACK_SECONDS = 1.0
"""With the usual patience 14 s for a call: less than the activity that makes it is given."""
_METHOD = "card"
_MAXIMUM = 99_999_999
"""Stripe takes at most eight digits."""
_MINIMUMS = {"KRW": 100, "JPY": 50, "USD": 50, "EUR": 50, "GBP": 30, "SGD": 50, "HKD": 400, "AUD": 50, "CAD": 50}

CAPABILITIES = Capabilities(
    flows=frozenset({Flow.SERVER_TOKEN, Flow.HOSTED_SESSION}),
    limits=tuple(MethodLimit(_METHOD, currency, minimum, _MAXIMUM) for currency, minimum in _MINIMUMS.items()),
    manual_capture=True,
    multiple_captures=False,
    partial_capture=True,
    partial_refund=True,
    idempotency=Idempotency(ttl_seconds=_KEY_SECONDS, body_compared=True, replays_errors=True),
    lookup_by_reference=True,
    lookup_by_merchant_ref=True,
    not_found_final_after_seconds=None,
    neutralize_by=NeutralizeBy.MERCHANT_REFERENCE,
    neutralize_window_seconds=_KEY_SECONDS - _MARGIN_SECONDS,
    neutralize_undoes_capture=True,
    asynchronous=frozenset({OperationKind.AUTHORIZE, OperationKind.REFUND}),
    merchant_ref_unique=False,
    settlement=True,
    webhooks=True,
)


class StripeGateway(Gateway):
    """Speaks to Stripe through its SDK."""

    vendor: ClassVar[str] = "stripe"

    def __init__(
        self,
        account: Account,
        *,
        patience: Patience = USUAL_PATIENCE,
        client: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``account.url``: ``https://api.stripe.com``; ``key``: ``sk_...``; ``webhook_secret``: ``whsec_...``.

        ``clock``: Unix seconds. Raises `MisconfiguredGateway` for a key that no header can carry.
        """
        self._account = account.name
        self._webhook_secret = account.webhook_secret
        self._clock = clock
        self._whole_seconds = patience.connect + patience.read + _SLACK_SECONDS
        self._line = StripeLine(account.url, account.key, patience=patience, client=client)
        self._inquiry = Inquiry(self._line)

    @override
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    @override
    async def perform(self, call: Call) -> Answer:
        """Some answers take several requests: together they get no more time than a single one may take."""
        try:
            async with asyncio.timeout(self._whole_seconds):
                return await super().perform(call)
        except TimeoutError:
            return Answer(Outcome.UNKNOWN, evidence=Evidence(detail="out of time"))

    @override
    async def authorize(self, call: Call) -> Answer:
        """By its payment method, else on Stripe's page."""
        if call.token is None and (call.return_url is None or call.method != _METHOD):
            return _pageless()
        if call.instalments > 1:
            return _unsent(call, "no instalments")
        return await self._perform(call, call.kind, call.key)

    @override
    async def capture(self, call: Call) -> Answer:
        return await self._perform(call, call.kind, call.key)

    @override
    async def void(self, call: Call) -> Answer:
        return await self._perform(call, call.kind, call.key)

    @override
    async def refund(self, call: Call) -> Answer:
        return await self._perform(call, call.kind, call.key)

    @override
    async def lookup(self, call: Call) -> Answer:
        subject = wire.subject_of(call)
        if subject is None:
            return _nameless()
        return await self._inquiry.find(call, *subject)

    @override
    async def neutralize(self, call: Call) -> Answer:
        subject = wire.subject_of(call)
        if subject is None:
            return _nameless()
        kind, key = subject
        if kind is OperationKind.AUTHORIZE and wire.is_session(call.subject_reference):
            return await self._close(call, key, call.subject_reference)
        if kind is OperationKind.AUTHORIZE and call.reference is not None:
            return await self._abandon(call, key, call.reference)
        if self._is_old(call):
            return await self._undo(call, kind, key, await self._inquiry.find(call, kind, key))
        fenced = await self._fence(call, kind, key)
        if fenced is not None:
            return fenced
        return await self._undo(call, kind, key, await self._perform(call, kind, key))

    @override
    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookBatch:
        return read_webhook(raw, headers, secret=self._webhook_secret, now=self._clock())

    @override
    def settlement_lines(self, day: date) -> AsyncIterator[SettlementLine]:
        """What was paid out on a day (UTC), and the balance transactions of that day. Raises `GatewayUnavailable`."""
        return settlement_lines(self._line, self._account, day)

    @override
    async def close(self) -> None:
        await self._line.close()

    async def _perform(self, call: Call, kind: OperationKind, key: str) -> Answer:
        """Send an operation under its key, and read what it has become if this was a replay of the past."""
        try:
            outgoing = _outgoing(call, kind, key)
        except Inexpressible as error:
            return _unsent(call, f"Stripe cannot state {error}")
        if outgoing is None:
            missing = "a token or a return URL" if kind is OperationKind.AUTHORIZE else "the gateway's reference"
            return _unsent(call, f"{kind} needs {missing}")
        reply = await self._line.send(call.kind, outgoing)
        if isinstance(reply, Answer):
            # A 500 that Stripe has stored says the same for ever: only looking says more.
            lost_for_ever = reply.evidence.replayed and reply.outcome is Outcome.UNKNOWN
            return _as_replayed(await self._inquiry.find(call, kind, key)) if lost_for_ever else reply
        if reply.status >= 400:
            refused = reading.read_refusal(call, kind, reply)
            return await self._unless_fenced(call, kind, key, refused) if _is_mismatch(reply) else refused
        answer = read(call, kind, key, reply)
        if not answer.evidence.replayed:
            return answer
        return _as_replayed(with_issues(await self._as_it_stands(call, kind, key, answer), answer.issues))

    async def _as_it_stands(self, call: Call, kind: OperationKind, key: str, past: Answer) -> Answer:
        """The object of a replayed answer, read now."""
        if kind is OperationKind.REFUND:
            return await self._inquiry.ask(call, kind, key, wire.retrieve_refund(past.operation_ref or ""))
        if wire.is_session(past.operation_ref):
            now = await self._inquiry.ask(call, kind, key, wire.retrieve_session(past.operation_ref))
            return dataclasses.replace(now, operation_ref=now.operation_ref or past.operation_ref)
        return await self._inquiry.ask(call, kind, key, wire.retrieve(past.reference or ""))

    async def _unless_fenced(self, call: Call, kind: OperationKind, key: str, refused: Answer) -> Answer:
        """The key was used with other parameters: by our own fence, or by somebody else."""
        reply = await self._line.send(call.kind, wire.fence(call, kind, key))
        intent = None if isinstance(reply, Answer) else reading.intent_in(reply)
        fenced = _is_replay(reply) if intent is None else intent.is_fence_of(key)
        if not fenced:
            return refused
        return Answer(Outcome.NOT_EXECUTED, final=True, evidence=dataclasses.replace(refused.evidence, detail="fenced"))

    def _is_old(self, call: Call) -> bool:
        """Whether Stripe may have forgotten the subject's key: sending under it again would be a new operation."""
        sent_at = call.subject_sent_at
        return sent_at is not None and self._clock() - sent_at.timestamp() > _KEY_SECONDS - _MARGIN_SECONDS

    async def _fence(self, call: Call, kind: OperationKind, key: str) -> Answer | None:
        """Make sure that what has not come yet never comes. None: its key is used, so sending it again is a replay."""
        try:
            outgoing = wire.fence(call, kind, key)
        except Inexpressible as error:
            return Answer(Outcome.SUCCEEDED, evidence=Evidence(detail=f"Stripe cannot state {error}"))
        reply = await self._line.send(call.kind, outgoing)
        if isinstance(reply, Answer):
            # Stripe tells again only what it told to the same parameters: the key was the fence's before.
            return dataclasses.replace(reply, outcome=Outcome.SUCCEEDED) if _is_replay(reply) else reply
        if _is_mismatch(reply):
            return None
        intent = reading.intent_in(reply)
        if reply.status >= 400 or intent is None:
            return malformed(reply, "no fence")
        return await self._abandon(call, key, intent.reference)

    async def _undo(self, call: Call, kind: OperationKind, key: str, done: Answer) -> Answer:
        """Undo an operation of which is known what it has ``done``. What has gone back to the customer stays there."""
        if kind is OperationKind.AUTHORIZE:
            return await self._undo_authorization(call, key, done)
        if done.outcome in {Outcome.NOT_EXECUTED, Outcome.DECLINED}:
            return dataclasses.replace(done, outcome=Outcome.SUCCEEDED, decline=None, issues=(), final=False)
        if done.outcome is not Outcome.SUCCEEDED or done.reference is None:
            return dataclasses.replace(done, outcome=Outcome.UNKNOWN, action=None)
        if kind is OperationKind.CAPTURE:
            return await self._give_back(call, key, done.reference)
        refusal = Decline("state", "cannot_undo", f"The {kind} has happened and cannot be taken back.", Retry.NEVER)
        return dataclasses.replace(done, outcome=Outcome.DECLINED, decline=refusal)

    async def _undo_authorization(self, call: Call, key: str, done: Answer) -> Answer:
        if done.reference is None and not wire.is_session(done.operation_ref):
            done = await self._inquiry.find_by_metadata(call, key)
        if wire.is_session(done.operation_ref):
            return await self._close(call, key, done.operation_ref)
        if done.reference is None:
            return dataclasses.replace(done, outcome=Outcome.UNKNOWN, decline=None)
        return await self._abandon(call, key, done.reference)

    async def _close(self, call: Call, key: str, reference: str) -> Answer:
        """End a Checkout Session; if somebody has paid by it, undo its PaymentIntent. Unknown while that is open."""
        reply = await self._line.send(call.kind, wire.expire_session(reference))
        if not isinstance(reply, Answer) and reply.status >= 400:
            reply = await self._line.send(call.kind, wire.retrieve_session(reference))
        if isinstance(reply, Answer):
            return reply
        try:
            session = session_of(reply.body) if reply.status < 400 else None
        except Unreadable as missing:
            return malformed(reply, f"unreadable {missing}")
        if session is None:
            return unfound(reply)
        if session.is_dead:
            return Answer(Outcome.SUCCEEDED, operation_ref=reference, evidence=reply.evidence("session expired"))
        if session.intent is None or session.status == "open":
            return malformed(reply, session.status)
        return await self._abandon(call, key, session.intent.reference)

    async def _abandon(self, call: Call, key: str, reference: str) -> Answer:
        """Cancel a PaymentIntent; if it has taken money already, give all of it back."""
        reply = await self._line.send(call.kind, wire.abandon(reference, call.key))
        if _is_replay(reply) and _canceled(reply) is None:
            # What was refused or broke then is told again for ever; cancelling twice is no more than once.
            reply = await self._line.send(call.kind, wire.abandon(reference, None))
        if isinstance(reply, Answer):
            return reply
        return _canceled(reply) or await self._give_back_if_taken(call, key, reference)

    async def _give_back_if_taken(self, call: Call, key: str, reference: str) -> Answer:
        """A PaymentIntent that could not be cancelled: give back what it took; unknown while it is on its way."""
        reply = await self._line.send(call.kind, wire.retrieve(reference))
        if isinstance(reply, Answer):
            return reply
        intent = reading.intent_in(reply)
        if intent is None:
            return unfound(reply)
        undone = _canceled(reply) or (_undone(reply, intent) if intent.undone_by(key) == "succeeded" else None)
        if undone is not None:
            return undone
        if intent.status != "succeeded":
            return malformed(reply, intent.status)
        return await self._give_back(call, key, reference)

    async def _give_back(self, call: Call, key: str, reference: str) -> Answer:
        """Refund everything that is left, once."""
        reply = await self._line.send(call.kind, wire.give_back(call, reference, key))
        if isinstance(reply, Answer):
            return reply
        if reply.status >= 400:
            code = str(reading.error_of(reply).get("code"))
            nothing_left = code == "charge_already_refunded"
            outcome = Outcome.SUCCEEDED if nothing_left else Outcome.UNKNOWN
            return Answer(outcome, reference=reference, evidence=reply.evidence(code))
        refund = reading.read_refund(call, reply)
        outcome = Outcome.SUCCEEDED if refund.outcome is Outcome.SUCCEEDED else Outcome.UNKNOWN
        return dataclasses.replace(refund, outcome=outcome, decline=None, issues=())


def _outgoing(call: Call, kind: OperationKind, key: str) -> wire.Outgoing | None:
    """The request of an operation; None if it needs what the call does not have. Raises `Inexpressible`."""
    if kind is OperationKind.AUTHORIZE and call.token is not None:
        return wire.charge(call, key)
    if kind is OperationKind.AUTHORIZE:
        return None if call.return_url is None else wire.session(call, key, call.return_url)
    if call.reference is None:
        return None
    match kind:
        case OperationKind.CAPTURE:
            return wire.capture(call, call.reference, key)
        case OperationKind.VOID:
            return wire.void(call.reference, key)
        case _:
            return wire.refund(call, call.reference, key)


def _is_mismatch(reply: Reply) -> bool:
    return reading.error_of(reply).get("type") == "idempotency_error"


def _is_replay(reply: Reply | Answer) -> bool:
    return reply.evidence.replayed if isinstance(reply, Answer) else reply.evidence().replayed


def _canceled(reply: Reply | Answer) -> Answer | None:
    """The success of a neutralisation, if the answer shows the PaymentIntent canceled."""
    intent = None if isinstance(reply, Answer) else reading.intent_in(reply)
    if isinstance(reply, Answer) or intent is None or intent.status != "canceled":
        return None
    return _undone(reply, intent)


def _undone(reply: Reply, intent: reading.Intent) -> Answer:
    return Answer(Outcome.SUCCEEDED, reference=intent.reference, evidence=reply.evidence(intent.status))


def _as_replayed(answer: Answer) -> Answer:
    return dataclasses.replace(answer, evidence=dataclasses.replace(answer.evidence, replayed=True))


def _nameless() -> Answer:
    return Answer(Outcome.UNKNOWN, evidence=Evidence(detail="the call names no subject and subject_key"))


def _pageless() -> Answer:
    """Neither a payment method nor a card's page with a way back from it: there is nothing to send."""
    refusal = Decline("not_supported", "token_required", "There is no token, and no return URL.", Retry.OTHER_PG)
    return Answer(Outcome.DECLINED, decline=refusal, evidence=Evidence(detail="no token; not sent"))


def _unsent(call: Call, detail: str) -> Answer:
    return not_executed(call.kind, detail=detail)
