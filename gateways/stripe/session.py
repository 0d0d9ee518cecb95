"""What a Checkout Session says of its authorization. Pure; a status that is not listed is `PENDING`.

A session is the customer's way to one PaymentIntent. Where that has moved money, or never will, it is the one to ask; a
card that was declined on the page is no end, as the customer may try another one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from domain.gateway import Action, Answer, Call, Decline, Evidence, Issue, OperationKind, Outcome, Retry
from gateways.field import Unreadable, text, whole
from gateways.stripe import reading
from gateways.stripe.currency import Inexpressible, from_stripe
from gateways.stripe.wire import items
from gateways.transport import Reply, malformed

SESSION = "checkout.session"
_TELLING = frozenset({"succeeded", "requires_capture", "processing"})
"""A PaymentIntent in one of these states says more than its session, whatever that says."""
_HARMLESS = frozenset({"canceled", "requires_payment_method"})
"""Of an expired session: nothing was taken, and nothing is on its way."""
_EXPIRED = Decline(
    "expired", "session_expired", "The page was not paid in time, or was closed.", Retry.AFTER_CUSTOMER_ACTION
)


@dataclass(frozen=True, slots=True)
class Session:
    """A Checkout Session as far as we read it. ``amount`` in our minor units; ``intent`` None: nobody tried to pay."""

    reference: str
    status: str
    amount: int
    currency: str
    client_reference: str | None
    url: str | None
    intent: reading.Intent | None

    @property
    def is_dead(self) -> bool:
        """Nobody has paid by it, and nobody ever can."""
        return self.status == "expired" and (self.intent is None or self.intent.status in _HARMLESS)


def session_of(body: Mapping[str, Any]) -> Session:
    """Read a session whose PaymentIntent is expanded. Raises `Unreadable`."""
    if body.get("object") != SESSION:
        raise Unreadable("object")
    currency = text(body, "currency").upper()
    try:
        amount = from_stripe(whole(body, "amount_total"), currency)
    except Inexpressible as error:
        raise Unreadable("amount_total") from error
    intent = body.get("payment_intent")
    if intent is not None and not isinstance(intent, dict):
        raise Unreadable("payment_intent")
    url, named = body.get("url"), body.get("client_reference_id")
    return Session(
        reference=text(body, "id"),
        status=text(body, "status"),
        amount=amount,
        currency=currency,
        client_reference=named if isinstance(named, str) else None,
        url=url if isinstance(url, str) and url else None,
        intent=None if intent is None else reading.intent_of(intent),
    )


def read_session(call: Call, key: str, reply: Reply, found: Mapping[str, Any] | None = None) -> Answer:
    """What became of the authorization with ``key``, from its session: the reply's own, or one ``found`` in it."""
    try:
        session = session_of(reply.body if found is None else found)
    except Unreadable as missing:
        return malformed(reply, f"unreadable {missing}")
    answer = _judged(call, key, session, reply.evidence())
    if session.status == "open" and answer.outcome is Outcome.ACTION_REQUIRED and answer.action is None:
        return malformed(reply, "an open session without a url")
    issues = dict.fromkeys((*_issues(call, session), *answer.issues))
    return replace(answer, issues=tuple(issues))


def found_session(reply: Reply, merchant_ref: str) -> tuple[dict[str, Any] | None, str | None]:
    """Of a page of sessions, the one that has our reference, and where the next page starts. Raises `Unreadable`."""
    page = items(reply.body)
    for one in page:
        if one.get("client_reference_id") == merchant_ref:
            return one, None
    return None, text(page[-1], "id") if page and reply.body.get("has_more") is True else None


def _judged(call: Call, key: str, session: Session, evidence: Evidence) -> Answer:
    intent = session.intent
    over = session.status == "complete" and intent is not None
    if intent is not None and (over or intent.status in _TELLING):
        answer = reading.judge(call, OperationKind.AUTHORIZE, key, intent, evidence)
        ended = answer.outcome in {Outcome.SUCCEEDED, Outcome.DECLINED, Outcome.NOT_EXECUTED}
        # Until there is an end it is the session that is asked again: the customer may have another try there.
        return answer if ended else replace(answer, reference=None, operation_ref=session.reference)
    if session.is_dead:
        dead = replace(evidence, detail="session expired")
        return Answer(Outcome.DECLINED, operation_ref=session.reference, decline=_EXPIRED, evidence=dead)
    if session.status != "open":
        return Answer(
            Outcome.PENDING, operation_ref=session.reference, evidence=replace(evidence, detail=session.status)
        )
    action = None if session.url is None else Action("redirect", session.url)
    return Answer(Outcome.ACTION_REQUIRED, operation_ref=session.reference, action=action, evidence=evidence)


def _issues(call: Call, session: Session) -> tuple[Issue, ...]:
    """Where the session is not what was asked (R12)."""
    found = []
    if session.amount != call.amount:
        found.append(Issue.AMOUNT_MISMATCH)
    if session.currency != call.currency:
        found.append(Issue.CURRENCY_MISMATCH)
    if session.client_reference not in {None, call.merchant_ref}:
        found.append(Issue.REFERENCE_MISMATCH)
    return tuple(found)
