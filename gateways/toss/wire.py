"""What Toss Payments' answers mean in our words (`request` is the other way). Pure: no I/O, no clock, no state.

Amounts are KRW, whose minor unit is the won. Times of Toss are Korean (+09:00), also where they say no zone.
"""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from domain.gateway import Action, Amounts, Answer, Call, Decline, Issue, OperationKind, Outcome, Retry
from gateways.field import Unreadable, text, whole
from gateways.toss.code import NOT_FOUND, NOT_OURS, abort_decline, code_of, evidence_of, refusal, unknown
from gateways.toss.request import VIRTUAL_ACCOUNT, is_marked, mark_of, neutralization_mark
from gateways.transport import Reply, turned_away

KST = timezone(timedelta(hours=9), "KST")
NOT_FOUND_FINAL = timedelta(seconds=60)
"""Younger requests that Toss does not find may still be on their way."""
SESSION = timedelta(minutes=40)
"""30 minutes for the customer to authenticate, 10 more to confirm; whatever was opened has expired then."""

_PAID = frozenset({"DONE", "PARTIAL_CANCELED", "CANCELED"})
_UNPAID = frozenset({"READY", "IN_PROGRESS", "WAITING_FOR_DEPOSIT", "ABORTED", "EXPIRED"})
_PAYOUT_FAILED = frozenset({"FAILED", "PARTIAL_FAILED"})


def read_change(call: Call, reply: Reply) -> Answer:
    """The answer to authorize, void, refund, or to the cancel of a neutralisation. Raises `MisconfiguredGateway`."""
    if reply.status >= 400:
        return turned_away(code_of(reply), evidence_of(reply)) if _is_anothers(call, reply) else refusal(reply)
    try:
        if call.kind is OperationKind.AUTHORIZE:
            return _authorized(call, reply)
        if call.kind is OperationKind.NEUTRALIZE:
            return _neutralized(call, reply) or unknown(reply, "the payment still stands")
        cancel = _our_cancel(call, reply.body)
        return unknown(reply, "the cancel is missing") if cancel is None else _cancelled(call, cancel, reply)
    except Unreadable as missing:
        return unknown(reply, f"unreadable {missing}")


def read_lookup(call: Call, reply: Reply, now: datetime) -> Answer:
    """The outcome of the subject; "not found" is `NOT_EXECUTED` only when its time is over.

    Raises `MisconfiguredGateway`.
    """
    if reply.status >= 400:
        return _missing(call, reply, now) if code_of(reply) == NOT_FOUND else refusal(reply)
    try:
        if call.subject is OperationKind.AUTHORIZE:
            return _authorized(call, reply)
        if call.subject is OperationKind.CAPTURE:
            return never_captures()
        cancel = _our_cancel(call, reply.body)
        return _not_cancelled(call, reply, now) if cancel is None else _cancelled(call, cancel, reply)
    except Unreadable as missing:
        return unknown(reply, f"unreadable {missing}")


def read_before_neutralizing(call: Call, reply: Reply, now: datetime) -> Answer | None:
    """Whether the subject has no effect any more; None: it has one, cancel the payment."""
    if call.subject is OperationKind.AUTHORIZE and reply.status < 400:
        try:
            return _neutralized(call, reply)
        except Unreadable as missing:
            return unknown(reply, f"unreadable {missing}")
    found = read_lookup(call, reply, now)
    match found.outcome:
        case Outcome.NOT_EXECUTED | Outcome.DECLINED:
            return replace(found, outcome=Outcome.SUCCEEDED, decline=None)
        case Outcome.SUCCEEDED:
            decline = Decline("state", "ALREADY_CANCELED_PAYMENT", "a cancel cannot be undone", Retry.NEVER)
            return replace(found, outcome=Outcome.DECLINED, decline=decline)
        case _:
            return found


def never_captures() -> Answer:
    """There is no capture at Toss: an approval takes the money."""
    return Answer(Outcome.DECLINED, decline=Decline("state", "NOT_SUPPORTED", "Toss captures at once", Retry.NEVER))


def nothing_held() -> Answer:
    """A void of anything but a virtual account: cancelling would give captured money back, which is a refund."""
    message = "nothing is held; captured money goes back by a refund"
    return Answer(Outcome.DECLINED, decline=Decline("state", "NOT_SUPPORTED", message, Retry.NEVER))


def moment(value: object) -> datetime:
    """An ISO 8601 time. Raises `Unreadable`."""
    try:
        stated = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        stated = None
    if stated is None:
        raise Unreadable("time")
    return stated if stated.tzinfo else stated.replace(tzinfo=KST)


def _is_anothers(call: Call, reply: Reply) -> bool:
    """Whether it refuses a paymentKey that a customer brought and that Toss had not given us: not our account."""
    brought = call.kind is OperationKind.AUTHORIZE and "payment_key" in call.details and call.reference is None
    return brought and code_of(reply) in NOT_OURS


def _missing(call: Call, reply: Reply, now: datetime) -> Answer:
    """Toss does not know the payment. Whether it shows one that nobody has approved is not documented."""
    in_window = call.token is None and "payment_key" not in call.details and call.method != VIRTUAL_ACCOUNT
    patience = SESSION if in_window else NOT_FOUND_FINAL
    if call.subject is not OperationKind.AUTHORIZE or not _older(call, patience, now):
        return unknown(reply, NOT_FOUND)
    return Answer(Outcome.NOT_EXECUTED, evidence=evidence_of(reply, NOT_FOUND))


def _older(call: Call, age: timedelta, now: datetime) -> bool:
    """The subject was sent so long ago that it cannot arrive any more. When nobody knows, it can."""
    return call.subject_sent_at is not None and now - call.subject_sent_at >= age


def _authorized(call: Call, reply: Reply) -> Answer:
    payment = reply.body
    outcome, decline, final = _standing(call, payment)
    status = text(payment, "status")
    return Answer(
        outcome=outcome,
        reference=text(payment, "paymentKey"),
        operation_ref=_optional(payment, "lastTransactionKey") if not _cancels(payment) else None,
        amounts=_amounts(payment),
        action=_action(payment) if outcome is Outcome.ACTION_REQUIRED else None,
        decline=decline,
        issues=_issues(call, payment, whole(payment, "totalAmount")),
        final=final,
        evidence=evidence_of(reply, "" if status == "DONE" else status[:40]),
    )


def _standing(call: Call, payment: dict[str, Any]) -> tuple[Outcome, Decline | None, bool]:
    """What a payment's status says of its authorization, and whether that is its last word."""
    status = text(payment, "status")
    if status == "WAITING_FOR_DEPOSIT" and _part(payment, "virtualAccount").get("expired"):
        status = "EXPIRED"
    match status:
        case "EXPIRED":
            decline = Decline("expired", "EXPIRED", "the time to pay is over", Retry.AFTER_CUSTOMER_ACTION)
            return Outcome.DECLINED, decline, False
        case "ABORTED":
            return Outcome.DECLINED, abort_decline(payment.get("failure")), False
        case "CANCELED":
            return _withdrawn(call, payment)
        case _:
            return _open_standing(call, status, payment), None, False


def _open_standing(call: Call, status: str, payment: dict[str, Any]) -> Outcome:
    """Of a payment that has not failed. A status that nobody has heard of is pending.

    In progress in the window: its customer has authenticated, and nothing happens until somebody confirms it.
    """
    in_window = call.token is None or "payment_key" in call.details
    doubted = call.kind is OperationKind.LOOKUP and in_window
    return {
        "DONE": Outcome.SUCCEEDED,
        "PARTIAL_CANCELED": Outcome.SUCCEEDED,
        "READY": Outcome.ACTION_REQUIRED if payment.get("checkout") else Outcome.PENDING,
        "IN_PROGRESS": Outcome.UNKNOWN if doubted else Outcome.PENDING,
        "WAITING_FOR_DEPOSIT": Outcome.ACTION_REQUIRED,
    }.get(status, Outcome.PENDING)


def _withdrawn(call: Call, payment: dict[str, Any]) -> tuple[Outcome, Decline | None, bool]:
    """Cancelled whole: by a neutralisation of ours, before any money came, or given back later."""
    mark = neutralization_mark(call)
    if any(cancel.get("cancelReason") == mark for cancel in _cancels(payment)):
        return Outcome.NOT_EXECUTED, None, True
    if payment.get("approvedAt") is None:
        decline = Decline("canceled", "CANCELED", "cancelled before it was paid", Retry.AFTER_CUSTOMER_ACTION)
        return Outcome.DECLINED, decline, False
    return Outcome.SUCCEEDED, None, False


def _neutralized(call: Call, reply: Reply) -> Answer | None:
    """`SUCCEEDED` once the payment has no effect for ever; None while there is something to cancel."""
    payment = reply.body
    status, reference = text(payment, "status"), text(payment, "paymentKey")
    issues = tuple(one for one in _issues(call, payment, call.amount) if one is not Issue.AMOUNT_MISMATCH)
    gone = status in {"ABORTED", "EXPIRED", "CANCELED"} or (status in _PAID and whole(payment, "balanceAmount") == 0)
    if not gone and status in {"DONE", "PARTIAL_CANCELED", "WAITING_FOR_DEPOSIT"} and not issues:
        return None
    outcome = Outcome.SUCCEEDED if gone else Outcome.PENDING
    ours = _our_cancel(call, payment)
    return Answer(
        outcome=outcome,
        reference=reference,
        operation_ref=None if ours is None else text(ours, "transactionKey"),
        amounts=_amounts(payment),
        issues=issues,
        evidence=evidence_of(reply, status[:40]),
    )


def _our_cancel(call: Call, payment: dict[str, Any]) -> dict[str, Any] | None:
    """The cancel that ``call`` is or asks about. A void asks that nobody can pay: whoever cancelled has done it."""
    mark, known = mark_of(call), call.subject_reference
    for cancel in _cancels(payment):
        if cancel.get("cancelReason") == mark or (known is not None and cancel.get("transactionKey") == known):
            return cancel
    voiding = OperationKind.VOID in {call.kind, call.subject}
    unpaid = payment.get("status") == "CANCELED" and payment.get("approvedAt") is None
    return next(iter(_cancels(payment)), None) if voiding and unpaid else None


def _cancelled(call: Call, cancel: dict[str, Any], reply: Reply) -> Answer:
    """What became of one cancel: a refund's or a void's."""
    payment = reply.body
    status = cancel.get("cancelStatus")
    outcome = {"DONE": Outcome.SUCCEEDED, None: Outcome.SUCCEEDED, "ABORTED": Outcome.DECLINED}.get(
        status if isinstance(status, str | None) else "", Outcome.PENDING
    )
    account = payment.get("virtualAccount")
    payout = account.get("refundStatus") if isinstance(account, dict) else None
    if outcome is Outcome.SUCCEEDED and payout in _PAYOUT_FAILED:
        outcome = Outcome.PENDING
    decline = Decline("refund_rejected", "CANCEL_ABORTED", "the cancel was aborted", Retry.NEVER)
    amount = whole(cancel, "cancelAmount")
    sums = _amounts(payment)
    unpaid = sums is not None and not sums.captured and OperationKind.VOID not in {call.kind, call.subject}
    return Answer(
        outcome=outcome,
        reference=text(payment, "paymentKey"),
        operation_ref=text(cancel, "transactionKey"),
        amounts=None if unpaid else sums,
        decline=decline if outcome is Outcome.DECLINED else None,
        issues=_issues(call, payment, amount),
        evidence=evidence_of(reply, f"payout {payout}" if payout in _PAYOUT_FAILED else ""),
    )


def _not_cancelled(call: Call, reply: Reply, now: datetime) -> Answer:
    """Our cancel is not among the payment's. What no balance covers can never come; the rest may be on its way.

    A cancel of the same amount without a mark of ours may be a person's, or ours if Toss rewrote the reason: unknown.
    """
    payment = reply.body
    if not _cancels(payment) and text(payment, "status") in {"PARTIAL_CANCELED", "CANCELED"}:
        raise Unreadable("cancels")
    issues = _issues(call, payment, call.amount)
    reference = text(payment, "paymentKey")
    alike = (one for one in _cancels(payment) if one.get("cancelAmount") == call.amount)
    if not all(is_marked(one.get("cancelReason")) for one in alike):
        return Answer(Outcome.UNKNOWN, reference, issues=issues, evidence=evidence_of(reply, "a cancel without a mark"))
    if call.amount > whole(payment, "balanceAmount") and not issues:
        decline = Decline("amount_exceeded", "NOT_CANCELABLE_AMOUNT", "more than is left", Retry.NEVER)
        return Answer(Outcome.DECLINED, reference, decline=decline, evidence=evidence_of(reply))
    over = _older(call, NOT_FOUND_FINAL, now)
    outcome = Outcome.NOT_EXECUTED if over else Outcome.UNKNOWN
    return Answer(outcome, reference, issues=issues, evidence=evidence_of(reply, "not among the cancels"))


def _action(payment: dict[str, Any]) -> Action:
    if payment.get("status") == "READY":
        return Action("redirect", text(_part(payment, "checkout"), "url"))
    account = _part(payment, "virtualAccount")
    fields = {
        "bank": text(account, "bankCode"),
        "account": text(account, "accountNumber"),
        "holder": text(account, "customerName"),
    }
    return Action("deposit", fields=fields, due_at=moment(account.get("dueDate")))


def _amounts(payment: dict[str, Any]) -> Amounts | None:
    """Toss's own sums. Approved is captured; ``balanceAmount`` is what has not been given back.

    None: in a status that nobody has heard of, nobody knows what they mean.
    """
    total, balance = whole(payment, "totalAmount"), whole(payment, "balanceAmount")
    status = text(payment, "status")
    if status not in _PAID | _UNPAID:
        return None
    if status in _UNPAID or (status == "CANCELED" and payment.get("approvedAt") is None):
        return Amounts(0, 0, 0, 0)
    return Amounts(authorized=total, captured=total, refunded=total - balance, voided=0)


def _issues(call: Call, payment: dict[str, Any], amount: int) -> tuple[Issue, ...]:
    """Where the answer is not about what was asked (R12)."""
    found = []
    if amount != call.amount:
        found.append(Issue.AMOUNT_MISMATCH)
    if payment.get("currency") != call.currency:
        found.append(Issue.CURRENCY_MISMATCH)
    expected = call.reference
    if "payment_key" in call.details:
        expected = call.details["payment_key"] if call.kind is OperationKind.AUTHORIZE else None
    other = expected is not None and payment.get("paymentKey") != expected
    if other or payment.get("orderId") != call.merchant_ref:
        found.append(Issue.REFERENCE_MISMATCH)
    return tuple(found)


def _cancels(payment: dict[str, Any]) -> list[dict[str, Any]]:
    cancels = payment.get("cancels")
    if cancels is None:
        return []
    if not isinstance(cancels, list) or not all(isinstance(one, dict) for one in cancels):
        raise Unreadable("cancels")
    return cancels


def _part(body: dict[str, Any], name: str) -> dict[str, Any]:
    part = body.get(name)
    if not isinstance(part, dict):
        raise Unreadable(name)
    return part


def _optional(part: dict[str, Any], name: str) -> str | None:
    value = part.get(name)
    return value if isinstance(value, str) and value else None
