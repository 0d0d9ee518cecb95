"""Between our words and the sandbox PG's. Pure translation: no I/O, no clock, no state."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from domain.gateway import Action, Amounts, Answer, Call, Decline, Issue, OperationKind, Outcome, Retry
from gateways.field import Unreadable, text, whole
from gateways.gateway import GatewayUnavailable, SettlementLine
from gateways.transport import Reply, malformed, not_executed, unlisted

_PAYMENT_OUTCOMES = {
    "processing": Outcome.PENDING,
    "requires_action": Outcome.ACTION_REQUIRED,
    "authorized": Outcome.SUCCEEDED,
    "captured": Outcome.SUCCEEDED,
    "refunded": Outcome.SUCCEEDED,
    "voided": Outcome.SUCCEEDED,
    "declined": Outcome.DECLINED,
    "cancelled": Outcome.NOT_EXECUTED,
}
"""What a payment's status says of its authorization. Cancelled: neutralised, it has no effect any more."""

_OPERATION_OUTCOMES = {
    "succeeded": Outcome.SUCCEEDED,
    "processing": Outcome.PENDING,
    "declined": Outcome.DECLINED,
    "refused": Outcome.DECLINED,
}

_DECLINES = {
    "generic_decline": ("generic", Retry.OTHER_PG),
    "lost_card": ("lost_or_stolen", Retry.NEVER),
    "insufficient_funds": ("insufficient_funds", Retry.AFTER_CUSTOMER_ACTION),
    "invalid_token": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "authentication_failed": ("authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "capture_exceeds_authorized": ("amount_exceeded", Retry.NEVER),
    "refund_exceeds_captured": ("amount_exceeded", Retry.NEVER),
    "not_capturable": ("state", Retry.NEVER),
    "not_voidable": ("state", Retry.NEVER),
    "not_refundable": ("state", Retry.NEVER),
    "cannot_undo": ("state", Retry.NEVER),
    "currency_mismatch": ("state", Retry.NEVER),
    "payment_not_found": ("state", Retry.NEVER),
}
"""The PG's code -> our category and what it says about trying again. A code that is not here: never."""

_NOT_TAKEN = frozenset(
    {
        "not_accepted",
        "request_expired",
        "merchant_ref_cancelled",
        "operation_cancelled",
        "malformed_json",
        "missing_field",
        "unknown_field",
        "invalid_field",
        "body_too_large",
    }
)
"""Refused before execution. Everything else that is not a decline stays unknown."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request: ``path`` is quoted and relative to the account."""

    method: str
    path: str
    body: bytes = b""


def charge(call: Call) -> Outgoing:
    """Authorize, and with ``capture_now`` capture."""
    fields = {
        "merchant_ref": call.merchant_ref,
        "amount": call.amount,
        "currency": call.currency,
        "method": call.method,
        "capture": call.capture_now,
    }
    optional = {"token": call.token, "customer": call.customer, "return_url": call.return_url}
    return _post("/payments", fields | {name: value for name, value in optional.items() if value is not None})


def change(call: Call, reference: str) -> Outgoing:
    """Capture, void or refund of the payment ``reference``."""
    path = f"/payments/{quote(reference, safe='')}"
    if call.kind is OperationKind.VOID:
        return _post(f"{path}/voids", {})
    word = "captures" if call.kind is OperationKind.CAPTURE else "refunds"
    return _post(f"{path}/{word}", {"amount": call.amount, "currency": call.currency})


def cancellation(call: Call) -> Outgoing:
    """Neutralize: the whole payment if its authorization is in doubt, else the one operation."""
    fields = {"merchant_ref": call.merchant_ref}
    if call.subject is not OperationKind.AUTHORIZE and call.subject_key is not None:
        fields["operation_key"] = call.subject_key
    return _post("/cancellations", fields)


def question(call: Call) -> Outgoing | None:
    """Lookup of ``call.subject``; None if the call does not say enough to ask."""
    if call.subject is OperationKind.AUTHORIZE:
        if call.reference is not None:
            return Outgoing("GET", f"/payments/{quote(call.reference, safe='')}")
        return Outgoing("GET", f"/payments?merchant_ref={quote(call.merchant_ref, safe='')}")
    if call.subject_key is None:
        return None
    return Outgoing("GET", f"/operations/{quote(call.subject_key, safe='')}")


def read_change(call: Call, reply: Reply) -> Answer:
    """The answer to authorize, capture, void, refund or neutralize."""
    return _read(call, call.kind, reply)


def read_lookup(call: Call, reply: Reply) -> Answer:
    """The outcome of the subject. "Not found" is `NOT_EXECUTED` with the detail ``not_found``.

    The caller holds that against ``not_found_final_after_seconds``: only it knows when the subject was sent.
    """
    code = _code(reply)
    if code == "operation_not_found":
        return Answer(Outcome.NOT_EXECUTED, evidence=reply.evidence("not_found"))
    if code is not None and reply.status >= 400:
        return malformed(reply, code) if code == "payment_not_found" else _refusal(reply, code)
    if call.subject is not OperationKind.AUTHORIZE:
        return _read(call, call.subject or call.kind, reply)
    payments = reply.body.get("payments", [reply.body.get("payment")])
    if payments == []:
        detail = "cancelled" if reply.body.get("cancelled") else "not_found"
        return Answer(Outcome.NOT_EXECUTED, evidence=reply.evidence(detail))
    if not isinstance(payments, list) or len(payments) != 1:
        return malformed(reply, "payments")
    return _read(call, call.subject, Reply(reply.kind, reply.status, {"payment": payments[0]}, reply.headers))


def settlement_path(day: date, cursor: str) -> str:
    """One page of what was settled on ``day``; ``cursor`` empty: the first."""
    return f"/settlements?day={day.isoformat()}" + (f"&cursor={quote(cursor, safe='')}" if cursor else "")


def read_settlement(account: str, day: date, reply: Reply) -> tuple[list[SettlementLine], str | None]:
    """The lines of a page and the cursor of the next. Raises `GatewayUnavailable` for anything else."""
    try:
        lines = [_settlement_line(account, day, line) for line in reply.body["lines"]]
        following = reply.body["next"]
    except (AttributeError, KeyError, TypeError, ValueError, Unreadable) as error:
        raise GatewayUnavailable(f"{account} gave a settlement of {day} that cannot be read") from error
    return lines, None if following is None else str(following)


def _settlement_line(account: str, day: date, line: dict[str, Any]) -> SettlementLine:
    return SettlementLine(
        account=account,
        line_id=text(line, "id"),
        kind=text(line, "kind"),
        reference=text(line, "reference"),
        operation_ref=text(line, "operation_id"),
        merchant_ref=text(line, "merchant_ref"),
        gross=whole(line, "gross"),
        fee=whole(line, "fee"),
        net=whole(line, "net"),
        currency=text(line, "currency"),
        occurred_at=datetime.fromisoformat(text(line, "at")),
        paid_on=day,
    )


def _read(call: Call, kind: OperationKind, reply: Reply) -> Answer:
    """An answer about one operation of ``kind``, which for a lookup is the subject."""
    code = _code(reply)
    if code is not None and code not in _DECLINES:
        return _refusal(reply, code)
    try:
        return _translate(call, kind, reply, code)
    except Unreadable as missing:
        return malformed(reply, f"unreadable {missing}")


def _translate(call: Call, kind: OperationKind, reply: Reply, code: str | None) -> Answer:
    payment = _part(reply.body, "payment")
    operation = _part(reply.body, "operation")
    if kind is OperationKind.AUTHORIZE and code is None:
        outcome = _PAYMENT_OUTCOMES.get(text(payment, "status"), Outcome.PENDING)
    else:
        outcome = _OPERATION_OUTCOMES.get(text(operation, "status"), Outcome.PENDING)
    action = None
    if outcome is Outcome.ACTION_REQUIRED:
        action = Action("redirect", text(_part(payment, "next_action"), "url"))
    decline = None
    if outcome is Outcome.DECLINED:
        decline = _decline(_part(reply.body, "error") or _part(payment, "decline"))
    elif outcome is Outcome.SUCCEEDED and not payment and kind is not OperationKind.NEUTRALIZE:
        raise Unreadable("payment")
    return Answer(
        outcome=outcome,
        reference=text(payment, "reference") if payment else None,
        operation_ref=text(operation, "id") if operation else None,
        amounts=_amounts(payment) if payment else None,
        action=action,
        decline=decline,
        issues=_issues(call, kind, operation, payment),
        evidence=reply.evidence(code or ""),
    )


def _issues(call: Call, kind: OperationKind, operation: dict[str, Any], payment: dict[str, Any]) -> tuple[Issue, ...]:
    """Where the answer is not about what was asked (R12)."""
    parts = [part for part in (operation, payment) if part]
    stated = [whole(operation, "amount")] if operation else []
    expected = call.amount
    if kind is OperationKind.AUTHORIZE:
        stated = [whole(part, "amount") for part in parts]
    elif kind is OperationKind.VOID and payment:
        expected = whole(payment, "voided") if text(operation, "status") == "succeeded" else 0
    elif kind is OperationKind.NEUTRALIZE:
        stated = []
    found = []
    if any(amount != expected for amount in stated):
        found.append(Issue.AMOUNT_MISMATCH)
    if any(part.get("currency") not in (None, call.currency) for part in parts):
        found.append(Issue.CURRENCY_MISMATCH)
    strangers = any(part.get("merchant_ref") not in (None, call.merchant_ref) for part in parts)
    other = call.reference is not None and payment and text(payment, "reference") != call.reference
    if strangers or other:
        found.append(Issue.REFERENCE_MISMATCH)
    return tuple(found)


def _refusal(reply: Reply, code: str) -> Answer:
    if code in _NOT_TAKEN:
        return not_executed(reply.kind, evidence=reply.evidence(code))
    return unlisted(reply, code)


def _decline(stated: dict[str, Any]) -> Decline:
    code = text(stated, "code")
    category, retry = _DECLINES.get(code, ("unlisted", Retry.NEVER))
    return Decline(category=category, code=code, message=text(stated, "message"), retry=retry)


def _amounts(payment: dict[str, Any]) -> Amounts:
    return Amounts(*(whole(payment, name) for name in ("authorized", "captured", "refunded", "voided")))


def _code(reply: Reply) -> str | None:
    """The error code of a refusal; None for an answer. A 4xx without a code that we can read has the code ``""``."""
    error = reply.body.get("error")
    if error is None:
        return None if reply.status < 400 or "operation" in reply.body else ""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else ""


def _post(path: str, fields: dict[str, Any]) -> Outgoing:
    return Outgoing("POST", path, json.dumps(fields, separators=(",", ":"), sort_keys=True).encode())


def _part(body: dict[str, Any], name: str) -> dict[str, Any]:
    part = body.get(name)
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise Unreadable(name)
    return part
