"""Between our words and Adyen's Checkout API. Pure translation: no I/O, no clock, no state."""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from domain.gateway import (
    Action,
    Amounts,
    Answer,
    Call,
    Decline,
    Evidence,
    Issue,
    OperationKind,
    Outcome,
    Retry,
)
from gateways.adyen.currency import to_value
from gateways.adyen.refusal import NOT_TAKEN, by_code, by_error
from gateways.field import Unreadable, text
from gateways.transport import Reply, malformed, not_executed, turned_away, unlisted

CLOSED_LINK = b'{"status":"expired"}'
"""The body of a PATCH after which nobody can pay by a link."""
VERSION = "v72"
LONGEST_KEY = 64
"""Characters of an Idempotency-Key."""
_STATEMENT = re.compile(r"[^A-Za-z0-9.,'_?+* /-]")
_LONGEST_STATEMENT = 22
_LONGEST_DESCRIPTION = 280

_RESULTS = {
    "Authorised": Outcome.SUCCEEDED,
    "PartiallyAuthorised": Outcome.SUCCEEDED,
    "Refused": Outcome.DECLINED,
    "Error": Outcome.DECLINED,
    "Cancelled": Outcome.DECLINED,
    "Pending": Outcome.PENDING,
    "Received": Outcome.PENDING,
    "RedirectShopper": Outcome.ACTION_REQUIRED,
    "IdentifyShopper": Outcome.ACTION_REQUIRED,
    "ChallengeShopper": Outcome.ACTION_REQUIRED,
    "PresentToShopper": Outcome.ACTION_REQUIRED,
}
"""resultCode -> outcome; every other word, those of authentication alone included, is pending."""

_LINKS = {"active": Outcome.ACTION_REQUIRED, "expired": Outcome.DECLINED}
"""A link's status -> its authorization; completed, paid and every other word: pending, a webhook says how it ended."""

_IN_PROGRESS = "704"
_NO_RESULT = "14_"
"""Of ``/payments/details``: error codes of what the customer's browser brought."""
_PATHS = {OperationKind.CAPTURE: "captures", OperationKind.VOID: "cancels", OperationKind.REFUND: "refunds"}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One POST: ``path`` is quoted and relative to the account's address; ``key`` its Idempotency-Key."""

    path: str
    body: bytes
    key: str


def key_mark(key: str) -> str:
    """What stands for an operation's key in a reference: 32 hex digits, as a reference has 80 characters at most."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def modification_reference(merchant_ref: str, key: str) -> str:
    """Our reference of a capture, cancel or refund. Its webhook brings it back: payment and operation in one word."""
    return f"{merchant_ref}.{key_mark(key)}"


def charge(call: Call, merchant: str, return_url: str) -> Outgoing:
    """Authorize, and with ``capture_now`` capture; or go on with what the customer brought back from a redirect.

    Raises `gateways.adyen.currency.Inexact`.
    """
    redirect_result = call.details.get("redirect_result")
    if redirect_result is not None:
        return _post(
            "/payments/details",
            {"details": {"redirectResult": redirect_result}},
            _derived(call.key, f"details {redirect_result}"),
        )
    fields: dict[str, Any] = {
        "merchantAccount": merchant,
        "reference": call.merchant_ref,
        "amount": _amount(call),
        "paymentMethod": {"type": "scheme", "storedPaymentMethodId": call.token},
        "shopperInteraction": "ContAuth",
        "recurringProcessingModel": "CardOnFile",
        "channel": "Web",
        "returnUrl": call.return_url or return_url,
    }
    if call.capture_now:
        fields["captureDelayHours"] = 0
    else:
        fields["additionalData"] = {"manualCapture": "true"}
    if call.customer is not None:
        fields["shopperReference"] = call.customer
    if call.instalments > 1:
        fields["installments"] = {"value": call.instalments}
    if statement := _STATEMENT.sub("", call.description)[:_LONGEST_STATEMENT].strip():
        fields["shopperStatement"] = statement
    return _post("/payments", fields, call.key)


def link(call: Call, merchant: str) -> Outgoing:
    """A page of Adyen's where the customer pays once by card. Raises `gateways.adyen.currency.Inexact`."""
    fields: dict[str, Any] = {
        "merchantAccount": merchant,
        "reference": call.merchant_ref,
        "amount": _amount(call),
        "allowedPaymentMethods": ["scheme"],
        "reusable": False,
        "returnUrl": call.return_url,
    }
    fields |= {"captureDelayHours": 0} if call.capture_now else {"manualCapture": True}
    if call.description:
        fields["description"] = call.description[:_LONGEST_DESCRIPTION]
    key = call.key if call.subject_key is None else call.subject_key
    return _post("/paymentLinks", fields, key)


def link_path(reference: str) -> str:
    """Where a link is asked for (GET) and closed (PATCH with `CLOSED_LINK`)."""
    return f"/{VERSION}/paymentLinks/{quote(reference, safe='')}"


def change(call: Call, merchant: str, reference: str) -> Outgoing:
    """Capture, cancel or refund of the payment ``reference``. Raises `gateways.adyen.currency.Inexact`."""
    fields: dict[str, Any] = {
        "merchantAccount": merchant,
        "reference": modification_reference(call.merchant_ref, call.key),
    }
    if call.kind is not OperationKind.VOID:
        fields["amount"] = _amount(call)
    return _post(f"/payments/{quote(reference, safe='')}/{_PATHS[call.kind]}", fields, call.key)


def technical_cancel(call: Call, merchant: str, came: str) -> Outgoing:
    """Cancel by our own reference, for a payment whose answer was lost.

    ``came``: what has been heard of it (`gateways.adyen.evidence.what_came`). After news, and after each time that the
    payment was sent, a new cancel goes out under a key of its own, because the payment may have arrived in between; the
    body stays the same.
    """
    fields = {
        "merchantAccount": merchant,
        "paymentReference": call.merchant_ref,
        "reference": modification_reference(call.merchant_ref, call.key),
    }
    return _post("/cancels", fields, _derived(call.key, f"{came} {call.subject_sent_at}"))


def read_charge(call: Call, reply: Reply) -> Answer:
    """The answer to ``/payments`` and ``/payments/details``: a refusal is HTTP 200 too.

    A redirectResult that is none, or of another payment, has changed nothing of this one.
    """
    if "redirect_result" in call.details:
        code = str(reply.body.get("errorCode") or "")
        if reply.status == 422 and code.startswith(_NO_RESULT):
            return turned_away(code[:40], _evidence(reply, ""))
        if reply.body.get("merchantReference", call.merchant_ref) != call.merchant_ref:
            return turned_away("what was brought is another payment's", _evidence(reply, ""))
    if reply.status >= 400:
        return _read_error(reply)
    try:
        return _translate(call, reply)
    except Unreadable as missing:
        return malformed(reply, f"unreadable {missing}")


def read_link(call: Call, reply: Reply) -> Answer:
    """What a link says of its authorization; ``operation_ref`` is its id. That it was paid is said by webhooks alone.

    A refusal leaves it active: the customer may try another card until it expires.
    """
    if reply.status >= 400:
        return _read_error(reply)
    body = reply.body
    try:
        own, status = text(body, "id"), text(body, "status")
        outcome = _LINKS.get(status, Outcome.PENDING)
        issues = _issues(call, body, amount_named="amount", reference_named="reference")
        url = text(body, "url") if outcome is Outcome.ACTION_REQUIRED else None
    except Unreadable as missing:
        return malformed(reply, f"unreadable {missing}")
    over = Decline("expired", "link_expired", "The time to pay on the page is over.", Retry.AFTER_CUSTOMER_ACTION)
    return Answer(
        outcome=outcome,
        operation_ref=own,
        action=Action("redirect", url) if url is not None else None,
        decline=over if outcome is Outcome.DECLINED else None,
        issues=issues,
        evidence=_evidence(reply, f"link {status}"[:40]),
    )


def read_change(call: Call, reply: Reply) -> Answer:
    """The answer to a modification: received at best; what became of it is said by the webhook alone."""
    if reply.status >= 400:
        return _read_error(reply)
    body = reply.body
    try:
        own = text(body, "pspReference")
        issues = _change_issues(call, body)
    except Unreadable as missing:
        return malformed(reply, f"unreadable {missing}")
    return Answer(
        Outcome.PENDING,
        reference=call.reference,
        operation_ref=own,
        issues=issues,
        evidence=_evidence(reply, str(body.get("status", ""))[:40]),
    )


def _translate(call: Call, reply: Reply) -> Answer:
    body = reply.body
    result = text(body, "resultCode")
    outcome = _RESULTS.get(result, Outcome.PENDING)
    reference = None if body.get("pspReference") is None else text(body, "pspReference")
    if outcome is Outcome.SUCCEEDED and reference is None:
        raise Unreadable("pspReference")
    decline = None
    if outcome is Outcome.DECLINED:
        code, reason = (str(body.get(name) or "") for name in ("refusalReasonCode", "refusalReason"))
        decline = by_code(code, reason, result=result)
    issues = _issues(call, body, amount_named="amount", reference_named="merchantReference")
    if result == "PartiallyAuthorised" and Issue.AMOUNT_MISMATCH not in issues:
        issues = (Issue.AMOUNT_MISMATCH, *issues)
    return Answer(
        outcome=outcome,
        reference=reference,
        amounts=_amounts(call) if outcome is Outcome.SUCCEEDED and not issues else None,
        action=_action(body, result) if outcome is Outcome.ACTION_REQUIRED else None,
        decline=decline,
        issues=issues,
        evidence=_evidence(reply, result[:40]),
    )


def _amounts(call: Call) -> Amounts:
    """Right after the authorization; with ``capture_now`` Adyen captures by itself and sends no CAPTURE."""
    return Amounts(call.amount, call.amount if call.capture_now else 0, 0, 0)


def _action(body: dict[str, Any], result: str) -> Action:
    stated = body.get("action")
    if not isinstance(stated, dict):
        raise Unreadable("action")
    if result != "RedirectShopper":
        return Action(text(stated, "type"))  # Native 3DS and vouchers: shown by Adyen's own component.
    given = stated.get("data") or {}
    if not isinstance(given, dict):
        raise Unreadable("action.data")
    fields = {str(name): str(value) for name, value in given.items()}
    return Action("redirect", text(stated, "url"), str(stated.get("method") or "GET"), fields)


def _change_issues(call: Call, body: dict[str, Any]) -> tuple[Issue, ...]:
    neutralizing = call.kind is OperationKind.NEUTRALIZE
    if call.kind in {OperationKind.CAPTURE, OperationKind.REFUND} and "amount" not in body:
        raise Unreadable("amount")
    found = _issues(call, body, amount_named="amount", reference_named="paymentReference" if neutralizing else "")
    ours = modification_reference(call.merchant_ref, call.key)
    strange = body.get("reference", ours) != ours
    strange = strange or (not neutralizing and body.get("paymentPspReference") != call.reference)
    if strange and Issue.REFERENCE_MISMATCH not in found:
        return (*found, Issue.REFERENCE_MISMATCH)
    return found


def _issues(call: Call, body: dict[str, Any], *, amount_named: str, reference_named: str) -> tuple[Issue, ...]:
    """Where what an answer states differs from what was asked (R12); what it does not state cannot differ."""
    found = []
    stated = body.get(amount_named)
    if stated is not None:
        if not isinstance(stated, dict) or type(stated.get("value")) is not int:
            raise Unreadable(amount_named)
        if stated.get("currency") != call.currency:
            found.append(Issue.CURRENCY_MISMATCH)
        if stated["value"] != to_value(call.amount, call.currency):
            found.insert(0, Issue.AMOUNT_MISMATCH)
    if body.get(reference_named, call.merchant_ref) != call.merchant_ref:
        found.append(Issue.REFERENCE_MISMATCH)
    return tuple(found)


def _read_error(reply: Reply) -> Answer:
    """An HTTP 4xx. ``Transient-Error: true`` says that nothing was sent on: the same key will be processed as new.

    Not so beside 704: this request was not executed because another with the same key is being executed.
    """
    code, message = (str(reply.body.get(name) or "") for name in ("errorCode", "message"))
    if code == _IN_PROGRESS:
        return unlisted(reply, code)
    if reply.headers.get("transient-error", "").lower() == "true":
        return not_executed(reply.kind, evidence=_evidence(reply, code))
    if reply.status == 422 and reply.kind is not OperationKind.NEUTRALIZE:
        decline = by_error(code, message)
        if decline is not None:
            return Answer(Outcome.DECLINED, decline=decline, evidence=_evidence(reply, code))
    if code in NOT_TAKEN and reply.status in {400, 422}:
        return not_executed(reply.kind, evidence=_evidence(reply, code))
    return unlisted(reply, code)


def _evidence(reply: Reply, detail: str) -> Evidence:
    """Adyen names a request by its pspReference, at least in the headers. It does not say what was replayed."""
    own = reply.body.get("pspReference") or reply.headers.get("pspreference")
    return replace(reply.evidence(detail), request_id=own if isinstance(own, str) else None)


def _amount(call: Call) -> dict[str, Any]:
    return {"currency": call.currency, "value": to_value(call.amount, call.currency)}


def _derived(key: str, what: str) -> str:
    return hashlib.sha256(f"{key}.{what}".encode()).hexdigest()[:LONGEST_KEY]


def _post(path: str, fields: dict[str, Any], key: str) -> Outgoing:
    return Outgoing(f"/{VERSION}{path}", json.dumps(fields, separators=(",", ":"), sort_keys=True).encode(), key)
