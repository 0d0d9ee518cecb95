"""What NICE's answers mean. Pure translation: no I/O, no clock, no state; the way there is `wire`.

NICE answers HTTP 200 to almost everything: what happened is in ``resultCode`` and ``status``. The manual does not say
whether a payment that has failed is found with ``0000`` or with its own code, nor whose order id a cancel's answer
has; both ways are read.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.gateway import Action, Amounts, Answer, Call, Decline, Issue, OperationKind, Outcome, Retry
from gateways.field import Unreadable, text, whole
from gateways.gateway import MisconfiguredGateway
from gateways.nice import codes
from gateways.nice.seal import is_sealed
from gateways.nice.wire import KOREA, is_our_refund, refund_reason
from gateways.transport import Reply, malformed, not_executed, unlisted

_CANCELLED, _READY, _FAILED, _EXPIRED = "cancelled", "ready", "failed", "expired"
_OUTCOMES = {
    "paid": Outcome.SUCCEEDED,
    "partialCancelled": Outcome.SUCCEEDED,
    _READY: Outcome.PENDING,
    _CANCELLED: Outcome.NOT_EXECUTED,
    _FAILED: Outcome.DECLINED,
    _EXPIRED: Outcome.DECLINED,
}
"""What a payment's status says of its authorization, before `_outcome` has looked closer."""
_STANDING = ("paid", "partialCancelled")
_LONGEST_WORD = 20
_NEVER_AT = (None, "", "0")
"""What the manual has for a point in time that has not come."""


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left of a payment to cancel: ``balance`` minor units; None: nobody has paid into its account yet."""

    tid: str
    balance: int | None


def read_authorization(call: Call, reply: Reply, secret: str) -> Answer:
    """The answer to a billing payment or an approval. Raises `MisconfiguredGateway`."""
    code = _code(reply)
    if code == codes.SUCCESS:
        return _payment(call, reply, secret)
    if code in codes.NET_CANCELLED:
        return not_executed(reply.kind, evidence=reply.evidence(code))
    if code in codes.PAYMENT_DECLINES or (code not in codes.DUPLICATES and _status(reply) == _FAILED):
        return _declined(call, reply, code)
    return _refusal(reply, code)


def read_lookup(call: Call, reply: Reply, secret: str) -> Answer:
    """What became of an authorization. Raises `MisconfiguredGateway`.

    "Not found" is `NOT_EXECUTED` with the detail ``not_found``; the manual does not say when it is final.
    """
    code = _code(reply)
    if code == codes.SUCCESS or _status(reply) in _OUTCOMES:
        return _payment(call, reply, secret)
    if is_not_found(reply):
        return Answer(Outcome.NOT_EXECUTED, evidence=reply.evidence("not_found"))
    return _refusal(reply, code)


def read_refund_lookup(call: Call, reply: Reply, key: str) -> Answer:
    """What became of the refund with ``key``, read out of its payment. Raises `MisconfiguredGateway`."""
    code = _code(reply)
    if code == codes.SUCCESS or _status(reply) in _OUTCOMES:
        return _refund(call, reply, key)
    return _refusal(reply, code)


def read_refund(call: Call, reply: Reply) -> Answer:
    """The answer to a cancel. A refusal needs `after_refusal` before it is believed. Raises `MisconfiguredGateway`."""
    code = _code(reply)
    if code == codes.SUCCESS:
        return _refund(call, reply, call.key)
    if code in codes.CANCEL_DECLINES:
        decline = codes.decline_of(codes.CANCEL_DECLINES, code, _message(reply))
        return Answer(Outcome.DECLINED, reference=call.reference, decline=decline, evidence=reply.evidence(code))
    return _refusal(reply, code)


def may_be_repeated(refused: Answer) -> bool:
    """Whether a refund's refusal can be NICE's answer to the second sending of what the first has done."""
    return refused.outcome is Outcome.DECLINED or refused.evidence.detail in codes.DUPLICATES


def after_refusal(refused: Answer, found: Answer) -> Answer:
    """What a refused cancel means once its payment has been looked at: what happened, the refusal, or unknown."""
    if found.outcome is Outcome.NOT_EXECUTED:
        return refused
    return found if found.outcome is Outcome.SUCCEEDED else Answer(Outcome.UNKNOWN, evidence=refused.evidence)


def is_not_found(reply: Reply) -> bool:
    """Whether a lookup found no such payment, on the day it asked about."""
    return _code(reply) in codes.NOT_FOUND


def comes_too_late(reply: Reply) -> bool:
    """Whether a net cancel was refused because its hour is over."""
    return _code(reply) in codes.NET_CANCEL_TOO_LATE


def read_net_cancel(call: Call, reply: Reply, *, settled: bool) -> Answer:
    """The answer to a net cancel. ``settled``: the payment can no longer be on its way. Raises `MisconfiguredGateway`.

    The manual does not say that NICE keeps a net cancel in mind for a payment that comes after it, so "there is no
    such payment" counts only once none can come.
    """
    code = _code(reply)
    if code == codes.SUCCESS:
        return _undone(call, reply)
    if code in codes.CANCELLED_ALREADY or (code in codes.NOT_FOUND and settled):
        return Answer(Outcome.SUCCEEDED, reference=call.reference, evidence=reply.evidence(code))
    return _refusal(reply, code)


def read_remainder(call: Call, reply: Reply) -> Remainder | Answer:
    """What is left to cancel of a payment whose net cancel came too late, or what is known without cancelling."""
    if _code(reply) != codes.SUCCESS and _status(reply) not in _OUTCOMES:
        return _refusal(reply, _code(reply))
    try:
        status, tid = text(reply.body, "status"), text(reply.body, "tid")
        balance = whole(reply.body, "balanceAmt")
        issues = _issues(call, reply.body, frozenset({call.merchant_ref}), whole(reply.body, "amount"))
    except Unreadable as missing:
        return malformed(reply, f"unreadable {missing}")
    if issues:
        return Answer(Outcome.UNKNOWN, reference=tid, issues=issues, evidence=reply.evidence(status[:_LONGEST_WORD]))
    if status in {_CANCELLED, _FAILED, _EXPIRED}:
        return Answer(Outcome.SUCCEEDED, reference=tid, evidence=reply.evidence(status))
    if status not in _OUTCOMES:
        return malformed(reply, f"status {status[:_LONGEST_WORD]}")
    return Remainder(tid, None if status == _READY else balance)


def read_undoing(call: Call, reply: Reply) -> Answer:
    """The answer to the cancel of a `Remainder`. Raises `MisconfiguredGateway`."""
    code = _code(reply)
    if code in codes.CANCELLED_ALREADY:
        return Answer(Outcome.SUCCEEDED, reference=call.reference, evidence=reply.evidence(code))
    return _undone(call, reply) if code == codes.SUCCESS else _refusal(reply, code)


def _undone(call: Call, reply: Reply) -> Answer:
    try:
        tid, status, balance = text(reply.body, "tid"), text(reply.body, "status"), whole(reply.body, "balanceAmt")
        issues = _issues(call, reply.body, frozenset({call.merchant_ref, call.key}), whole(reply.body, "amount"))
        amounts = _amounts(reply.body)
    except Unreadable as missing:
        return malformed(reply, f"unreadable {missing}")
    gone = status == _CANCELLED or (status == "partialCancelled" and balance == 0)
    outcome = Outcome.SUCCEEDED if gone and not issues else Outcome.UNKNOWN
    return Answer(
        outcome, reference=tid, amounts=amounts, issues=issues, evidence=reply.evidence(status[:_LONGEST_WORD])
    )


def _payment(call: Call, reply: Reply, secret: str) -> Answer:
    body = reply.body
    try:
        tid, status = text(body, "tid"), text(body, "status")
        outcome = _outcome(body, status)
        issues = _issues(call, body, frozenset({call.merchant_ref}), whole(body, "amount"))
        sealed = _is_sealed(body, secret)
        action = _deposit(body) if outcome is Outcome.ACTION_REQUIRED else None
        amounts = _amounts(body)
    except Unreadable as missing:
        return malformed(reply, f"unreadable {missing}")
    if not issues and not sealed:
        return malformed(reply, "signature")
    return Answer(
        outcome=outcome,
        reference=tid,
        operation_ref=tid,
        amounts=amounts,
        action=action,
        decline=_decline(reply, status) if outcome is Outcome.DECLINED else None,
        issues=issues,
        evidence=reply.evidence(status[:_LONGEST_WORD]),
    )


def _outcome(body: dict[str, Any], status: str) -> Outcome:
    """An account to pay into is the customer's turn; a payment that we gave back ourselves has been one."""
    if status == _READY and isinstance(body.get("vbank"), dict):
        return Outcome.ACTION_REQUIRED
    if status == _CANCELLED and any(is_our_refund(one.get("reason")) for one in _cancels(body)):
        return Outcome.SUCCEEDED
    return _OUTCOMES.get(status, Outcome.PENDING)


def _refund(call: Call, reply: Reply, key: str) -> Answer:
    """One cancel, found by the key in its reason, else by its tid, in an answer to a cancel or a lookup."""
    body, asked = reply.body, reply.kind is OperationKind.REFUND
    try:
        tid, cancels = text(body, "tid"), _cancels(body)
        known = body.get("cancelledTid") if asked else call.subject_reference
        mine = [one for one in cancels if one.get("reason") == refund_reason(key)]
        mine = mine or [one for one in cancels if known and one.get("tid") == known]
        if not mine and not asked:
            return _absent(call, reply, cancels)
        if not mine:
            mine = [_whole_cancel(body, known)]
        orders = frozenset({call.merchant_ref, key} if asked else {call.merchant_ref})
        issues = _issues(call, body, orders, whole(mine[0], "amount"))
        return Answer(
            Outcome.SUCCEEDED,
            reference=tid,
            operation_ref=text(mine[0], "tid"),
            amounts=_amounts(body),
            issues=issues,
            evidence=reply.evidence(text(body, "status")[:_LONGEST_WORD]),
        )
    except Unreadable as missing:
        return malformed(reply, f"unreadable {missing}")


def _absent(call: Call, reply: Reply, cancels: list[dict[str, Any]]) -> Answer:
    """No cancel has our key. One of the same amount and another hand's reason might be ours all the same.

    Raises `Unreadable` for a payment of which something was cancelled and no cancel is listed.
    """
    if not cancels and text(reply.body, "status") in (_CANCELLED, "partialCancelled"):
        raise Unreadable("cancels")
    if any(one.get("amount") == call.amount and not is_our_refund(one.get("reason")) for one in cancels):
        return malformed(reply, "a cancel of this amount without our reason")
    return Answer(Outcome.NOT_EXECUTED, reference=text(reply.body, "tid"), evidence=reply.evidence("not_found"))


def _whole_cancel(body: dict[str, Any], known: Any) -> dict[str, Any]:
    """The cancel of a whole payment whose answer has no list of cancels."""
    if body.get("status") != _CANCELLED or whole(body, "balanceAmt") != 0 or body.get("cancels"):
        raise Unreadable("cancels")
    return {"tid": known, "amount": whole(body, "amount")}


def _declined(call: Call, reply: Reply, code: str) -> Answer:
    tid = reply.body.get("tid")
    stated = reply.body.get("orderId")
    strange = stated is not None and stated != call.merchant_ref
    return Answer(
        Outcome.DECLINED,
        reference=tid if isinstance(tid, str) and tid else None,
        decline=codes.decline_of(codes.PAYMENT_DECLINES, code, _message(reply)),
        issues=(Issue.REFERENCE_MISMATCH,) if strange else (),
        evidence=reply.evidence(code),
    )


def _decline(reply: Reply, status: str) -> Decline:
    if status == _EXPIRED:
        return Decline(_EXPIRED, _EXPIRED, _message(reply), Retry.AFTER_CUSTOMER_ACTION)
    code = _code(reply)
    return codes.decline_of(codes.PAYMENT_DECLINES, _FAILED if code == codes.SUCCESS else code, _message(reply))


def _refusal(reply: Reply, code: str) -> Answer:
    """Everything that is neither an answer nor a documented no. Raises `MisconfiguredGateway`."""
    if code in codes.MISCONFIGURED:
        raise MisconfiguredGateway(f"NICE answered {reply.status} {code}")
    if code in codes.NOT_TAKEN:
        return not_executed(reply.kind, evidence=reply.evidence(code))
    if reply.status >= 400 and code not in codes.NOT_FOUND:
        return unlisted(reply, code)
    return malformed(reply, code)


def _issues(call: Call, body: dict[str, Any], orders: frozenset[str], amount: int) -> tuple[Issue, ...]:
    """Where the answer, which states ``amount``, is not about what was asked (R12)."""
    found = []
    if amount != call.amount:
        found.append(Issue.AMOUNT_MISMATCH)
    if text(body, "currency") != call.currency:
        found.append(Issue.CURRENCY_MISMATCH)
    other = call.reference is not None and text(body, "tid") != call.reference
    if other or text(body, "orderId") not in orders:
        found.append(Issue.REFERENCE_MISMATCH)
    return tuple(found)


def _is_sealed(body: dict[str, Any], secret: str) -> bool:
    """NICE seals only what it calls valid payments; what has no seal is not refused for that."""
    given = body.get("signature")
    if given is None or given == "":
        return True
    return is_sealed(given, text(body, "tid"), whole(body, "amount"), text(body, "ediDate"), secret)


def _amounts(body: dict[str, Any]) -> Amounts:
    taken = whole(body, "amount") if _was_paid(body) else 0
    left = whole(body, "balanceAmt") if taken else 0
    return Amounts(authorized=taken, captured=taken, refunded=taken - left, voided=0)


def _was_paid(body: dict[str, Any]) -> bool:
    """NICE says when; where it does not, nothing else may say that it was paid. Raises `Unreadable`."""
    if body.get("paidAt") not in _NEVER_AT:
        return True
    if body.get("status") in _STANDING or any(is_our_refund(one.get("reason")) for one in _cancels(body)):
        raise Unreadable("paidAt")
    return False


def _deposit(body: dict[str, Any]) -> Action:
    account = body["vbank"]
    fields = {"bank": "vbankName", "account": "vbankNumber", "holder": "vbankHolder"}
    try:
        due_at = datetime.fromisoformat(text(account, "vbankExpDate"))
        due_at = due_at if due_at.tzinfo else due_at.replace(tzinfo=KOREA)
    except ValueError as error:
        raise Unreadable("vbankExpDate") from error
    return Action("deposit", fields={ours: text(account, name) for ours, name in fields.items()}, due_at=due_at)


def _cancels(body: dict[str, Any]) -> list[dict[str, Any]]:
    cancels = body.get("cancels") or []
    if not isinstance(cancels, list) or not all(isinstance(one, dict) for one in cancels):
        raise Unreadable("cancels")
    return cancels


def _code(reply: Reply) -> str:
    code = reply.body.get("resultCode")
    return code[:_LONGEST_WORD] if isinstance(code, str) else ""


def _status(reply: Reply) -> str:
    status = reply.body.get("status")
    return status if isinstance(status, str) else ""


def _message(reply: Reply) -> str:
    message = reply.body.get("resultMsg")
    return message if isinstance(message, str) else ""
