"""What Stripe's answers mean in our words. Pure; a status that is not listed is `PENDING`, a code `UNKNOWN`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from domain.gateway import Action, Amounts, Answer, Call, Decline, Evidence, Issue, OperationKind, Outcome, Retry
from gateways.field import Unreadable, text, whole
from gateways.stripe.currency import Inexpressible, from_stripe
from gateways.stripe.decline import DECLINES, decline
from gateways.stripe.wire import (
    ATTEMPT,
    NEUTRALIZES,
    items,
    metadata_of,
    reference_of,
)
from gateways.transport import Reply, malformed, not_executed, unlisted

_AUTHORIZED = {
    "requires_action": Outcome.ACTION_REQUIRED,
    "processing": Outcome.PENDING,
    "requires_capture": Outcome.SUCCEEDED,
    "succeeded": Outcome.SUCCEEDED,
    "canceled": Outcome.NOT_EXECUTED,
    "requires_confirmation": Outcome.UNKNOWN,
}
"""A PaymentIntent's status -> its authorization. Canceled: it can never succeed. Unconfirmed: the confirmation that
we sent with it may still be on its way."""

_REFUNDED = {
    "succeeded": Outcome.SUCCEEDED,
    "pending": Outcome.PENDING,
    "requires_action": Outcome.ACTION_REQUIRED,
    "failed": Outcome.DECLINED,
    "canceled": Outcome.DECLINED,
}
_VOIDLESS = frozenset({"failed", "canceled"})
"""A refund in these states has given nothing back."""

_STATES = frozenset(
    {
        "payment_intent_unexpected_state",
        "charge_already_captured",
        "charge_already_refunded",
        "charge_disputed",
        "charge_expired_for_capture",
        "capture_charge_authorization_expired",
        "capture_unauthorized_payment",
        "charge_not_refundable",
        "refund_disputed_payment",
        "payment_intent_invalid_parameter",
    }
)
"""The payment is not in the state that the operation needs, and will not be again."""
_NOT_YET = frozenset({"balance_insufficient", "insufficient_funds", "lock_timeout", "rate_limit"})
"""Refused now for a reason that passes: our balance at Stripe, a lock. Nothing was executed."""
_SCHEMA = ("parameter_", "url_invalid", "tls_version_unsupported", "testmode_charges_only")
_INSTRUMENT = frozenset({"payment_method", "source", "payment_method_data"})


@dataclass(frozen=True, slots=True)
class Intent:
    """A PaymentIntent as far as we read it. Amounts in our minor units.

    ``received`` None: it does not say what it has taken. ``charge`` None: there is none, or it is not expanded.
    """

    reference: str
    status: str
    amount: int
    received: int | None
    currency: str
    attempt: str | None
    charge_ref: str | None
    charge: Mapping[str, Any] | None
    body: Mapping[str, Any]

    @property
    def released(self) -> int | None:
        """Of what was authorized, what is neither held nor taken, in minor units; None: it does not say."""
        if self.status == "canceled":
            return self.amount - (self.received or 0)
        if self.status != "succeeded":
            return 0
        return None if self.received is None else self.amount - self.received

    def is_fence_of(self, key: str) -> bool:
        """Whether it was only made to take the key of an operation that must never come."""
        return metadata_of(self.body).get(NEUTRALIZES) == key

    def undone_by(self, key: str) -> str | None:
        """The status of the refund that gives back what the operation with this key has taken; None: there is none."""
        refunds = self.charge.get("refunds") if self.charge is not None else None
        found = refunds.get("data") if isinstance(refunds, dict) else None
        for one in found if isinstance(found, list) else []:
            if (
                isinstance(one, dict)
                and metadata_of(one).get(NEUTRALIZES) == key
                and one.get("status") not in _VOIDLESS
            ):
                return str(one.get("status"))
        return None


def intent_of(body: Mapping[str, Any]) -> Intent:
    """Read a PaymentIntent. Raises `Unreadable`."""
    currency = text(body, "currency").upper()
    charge = body.get("latest_charge")
    try:
        amount = from_stripe(whole(body, "amount"), currency)
        received = from_stripe(whole(body, "amount_received"), currency) if "amount_received" in body else None
    except Inexpressible as error:
        raise Unreadable("amount") from error
    return Intent(
        reference=text(body, "id"),
        status=text(body, "status"),
        amount=amount,
        received=received,
        currency=currency,
        attempt=metadata_of(body).get(ATTEMPT),
        charge_ref=reference_of(charge),
        charge=charge if isinstance(charge, dict) else None,
        body=body,
    )


def read_intent(call: Call, kind: OperationKind, key: str, reply: Reply) -> Answer:
    """The answer about an operation of ``kind`` with ``key`` that acts on a PaymentIntent, from the PaymentIntent."""
    try:
        intent = intent_of(reply.body)
    except Unreadable as missing:
        return malformed(reply, f"unreadable {missing}")
    return judge(call, kind, key, intent, reply.evidence())


def judge(call: Call, kind: OperationKind, key: str, intent: Intent, evidence: Evidence) -> Answer:
    """What the PaymentIntent as it stands says of the operation."""
    outcome, refusal = _verdict(call, kind, intent)
    final = outcome is Outcome.NOT_EXECUTED
    undone = "succeeded" if intent.is_fence_of(key) else intent.undone_by(key)
    if undone is not None:
        final = undone == "succeeded"
        outcome, refusal = Outcome.NOT_EXECUTED if final else Outcome.UNKNOWN, None
        evidence = replace(evidence, detail=f"neutralised: {undone}")
    return Answer(
        outcome=outcome,
        reference=intent.reference,
        operation_ref=None if kind is OperationKind.VOID else intent.charge_ref,
        amounts=_amounts(intent),
        action=_action(intent) if outcome is Outcome.ACTION_REQUIRED else None,
        decline=refusal,
        issues=_issues(call, kind, intent, outcome),
        final=final,
        authorized_until=_authorized_until(intent),
        evidence=evidence if evidence.detail else replace(evidence, detail=_silence(outcome, intent)),
    )


def read_refund(call: Call, reply: Reply, found: Mapping[str, Any] | None = None) -> Answer:
    """The answer about a refund, from the Refund: the reply's own, or one ``found`` in it."""
    body = reply.body if found is None else found
    try:
        currency = text(body, "currency").upper()
        outcome = _REFUNDED.get(text(body, "status"), Outcome.PENDING)
        stated = from_stripe(whole(body, "amount"), currency)
        reference, operation_ref = reference_of(body.get("payment_intent")), text(body, "id")
    except (Unreadable, Inexpressible) as missing:
        return malformed(reply, f"unreadable {missing}")
    attempt = metadata_of(body).get(ATTEMPT)
    issues = []
    if stated != call.amount:
        issues.append(Issue.AMOUNT_MISMATCH)
    if currency != call.currency:
        issues.append(Issue.CURRENCY_MISMATCH)
    if attempt not in {None, call.merchant_ref} or (call.reference is not None and reference != call.reference):
        issues.append(Issue.REFERENCE_MISMATCH)
    reason = body.get("failure_reason")
    code = reason if isinstance(reason, str) else str(body["status"])
    refusal = Decline("refund_failed", code, "The refund did not reach the customer.", Retry.NEVER)
    return Answer(
        outcome=outcome,
        reference=reference,
        operation_ref=operation_ref,
        amounts=_amounts_of(body.get("payment_intent")),
        decline=refusal if outcome is Outcome.DECLINED else None,
        issues=tuple(issues),
        evidence=reply.evidence(),
    )


def read_refusal(call: Call, kind: OperationKind, reply: Reply) -> Answer:
    """The answer about an operation of ``kind`` that was answered with 400, 402 or 404.

    Raises `MisconfiguredGateway` for an object or a route that this account does not have.
    """
    error = error_of(reply)
    code = next((c for c in (error.get("code"), error.get("type")) if isinstance(c, str) and c), "")
    if error.get("type") == "idempotency_error":
        return malformed(reply, "idempotency_error")
    if reply.status == 402 or error.get("type") == "card_error":
        return _refused(call, kind, reply, decline(error))
    if code in _NOT_YET or code.startswith(_SCHEMA):
        return not_executed(reply.kind, evidence=reply.evidence(code))
    if kind is not OperationKind.AUTHORIZE:
        return _read_changes_refusal(call, kind, reply, code)
    declines = _is_about_instrument(error) or (code in DECLINES and code != "resource_missing")
    return _refused(call, kind, reply, decline(error)) if declines else unlisted(reply, code)


def _read_changes_refusal(call: Call, kind: OperationKind, reply: Reply, code: str) -> Answer:
    """Of a capture, a void or a refund: too much, or the wrong state. Raises `MisconfiguredGateway`."""
    error = error_of(reply)
    if _exceeds(kind, error):
        return _refused(call, kind, reply, Decline("amount_exceeded", code, _message(error), Retry.NEVER))
    if code in _STATES:
        return _in_wrong_state(call, kind, reply, Decline("state", code, _message(error), Retry.NEVER))
    return unlisted(reply, code)


def error_of(reply: Reply) -> dict[str, Any]:
    """The ``error`` of a refusal; empty for an answer."""
    found = reply.body.get("error") if reply.status >= 400 else None
    return found if isinstance(found, dict) else {}


def intent_in(reply: Reply) -> Intent | None:
    """The PaymentIntent of an answer, or the one that a refusal is about."""
    body = reply.body if reply.status < 400 else error_of(reply).get("payment_intent")
    try:
        return intent_of(body) if isinstance(body, dict) else None
    except Unreadable:
        return None


def exceeds_for_ever(call: Call, kind: OperationKind, intent: Intent) -> bool:
    """Whether the operation asks for more than the payment has ever had, so that it can never be executed."""
    if kind is OperationKind.CAPTURE:
        return call.amount > intent.amount
    taken = intent.received if intent.status == "succeeded" else None
    return kind is OperationKind.REFUND and taken is not None and call.amount > taken


def _verdict(call: Call, kind: OperationKind, intent: Intent) -> tuple[Outcome, Decline | None]:
    if kind is OperationKind.AUTHORIZE:
        return _authorization(intent)
    if intent.status == "requires_capture":
        if exceeds_for_ever(call, kind, intent):
            refusal = Decline("amount_exceeded", "amount_too_large", "More than is authorized.", Retry.NEVER)
            return Outcome.DECLINED, refusal
        return Outcome.UNKNOWN, None
    state = Decline("state", intent.status, f"The PaymentIntent is {intent.status}.", Retry.NEVER)
    if intent.status not in {"succeeded", "canceled"}:
        return Outcome.PENDING, None
    if kind is OperationKind.CAPTURE:
        done = intent.status == "succeeded"
    else:
        done = intent.status == "canceled" or intent.released == call.amount
    return (Outcome.SUCCEEDED, None) if done else (Outcome.DECLINED, state)


def _authorization(intent: Intent) -> tuple[Outcome, Decline | None]:
    if intent.status != "requires_payment_method":
        return _AUTHORIZED.get(intent.status, Outcome.PENDING), None
    failed = intent.body.get("last_payment_error")
    return (Outcome.DECLINED, decline(failed)) if isinstance(failed, dict) else (Outcome.UNKNOWN, None)


def _silence(outcome: Outcome, intent: Intent) -> str:
    return intent.status if outcome in {Outcome.UNKNOWN, Outcome.NOT_EXECUTED} else ""


def _issues(call: Call, kind: OperationKind, intent: Intent, outcome: Outcome) -> tuple[Issue, ...]:
    """Where the PaymentIntent is not what was asked (R12)."""
    done = outcome is Outcome.SUCCEEDED
    stated = {
        OperationKind.AUTHORIZE: intent.amount,
        OperationKind.CAPTURE: intent.received if done else None,
        OperationKind.VOID: intent.released if done else None,
    }
    found = []
    if stated[kind] not in {None, call.amount}:
        found.append(Issue.AMOUNT_MISMATCH)
    if intent.currency != call.currency:
        found.append(Issue.CURRENCY_MISMATCH)
    if intent.attempt not in {None, call.merchant_ref} or call.reference not in {None, intent.reference}:
        found.append(Issue.REFERENCE_MISMATCH)
    return tuple(found)


def _amounts(intent: Intent) -> Amounts | None:
    """The sums of the whole payment. What is released without being taken stands in the charge as refunded, too."""
    released = intent.released
    if intent.charge is None or released is None:
        return None
    try:
        refunded = from_stripe(whole(intent.charge, "amount_refunded"), intent.currency)
    except (Unreadable, Inexpressible):
        return None
    if intent.charge.get("status") != "succeeded":
        return Amounts(0, 0, 0, 0)
    return Amounts(intent.amount, intent.received or 0, max(0, refunded - released), released)


def _amounts_of(body: object) -> Amounts | None:
    try:
        return _amounts(intent_of(body)) if isinstance(body, dict) else None
    except Unreadable:
        return None


def _action(intent: Intent) -> Action | None:
    """A page to send the customer to; what only Stripe's own script can show has none."""
    following = intent.body.get("next_action")
    redirect = following.get("redirect_to_url") if isinstance(following, dict) else None
    url = redirect.get("url") if isinstance(redirect, dict) else None
    return Action("redirect", url) if isinstance(url, str) and url else None


def _authorized_until(intent: Intent) -> datetime | None:
    if intent.status != "requires_capture" or intent.charge is None:
        return None
    details = intent.charge.get("payment_method_details")
    card = details.get("card") if isinstance(details, dict) else None
    until = card.get("capture_before") if isinstance(card, dict) else None
    return datetime.fromtimestamp(until, UTC) if type(until) is int else None


def _is_about_instrument(error: Mapping[str, Any]) -> bool:
    param = error.get("param")
    return isinstance(param, str) and param.partition("[")[0] in _INSTRUMENT and error.get("code") in DECLINES


def _exceeds(kind: OperationKind, error: Mapping[str, Any]) -> bool:
    """Stripe gives over-refunds no code: the parameter alone says it."""
    code = error.get("code")
    return code == "amount_too_large" or (
        kind is OperationKind.REFUND and code is None and error.get("param") == "amount"
    )


def _in_wrong_state(call: Call, kind: OperationKind, reply: Reply, refusal: Decline) -> Answer:
    """Refused, unless the state is the very one that a void was to bring about."""
    intent = intent_in(reply)
    if kind is OperationKind.VOID and intent is not None and intent.released == call.amount:
        return judge(call, kind, call.key, intent, reply.evidence(refusal.code))
    return _refused(call, kind, reply, refusal)


def _refused(call: Call, kind: OperationKind, reply: Reply, refusal: Decline) -> Answer:
    intent = intent_in(reply)
    issues: tuple[Issue, ...] = ()
    if intent is not None and kind is not OperationKind.REFUND:
        issues = _issues(call, kind, intent, Outcome.DECLINED)
    return Answer(
        outcome=Outcome.DECLINED,
        reference=intent.reference if intent is not None else call.reference,
        amounts=_amounts(intent) if intent is not None else None,
        decline=refusal,
        issues=issues,
        evidence=reply.evidence(refusal.code),
    )


def _message(error: Mapping[str, Any]) -> str:
    message = error.get("message")
    return message if isinstance(message, str) else ""


def found_refund(reply: Reply, key: str) -> tuple[dict[str, Any] | None, str | None]:
    """Of a page of refunds, the one that the operation with ``key`` made, and where the next page starts.

    Raises `Unreadable`.
    """
    page = items(reply.body)
    for one in page:
        if metadata_of(one).get("operation") == key:
            return one, None
    return None, text(page[-1], "id") if page and reply.body.get("has_more") is True else None
