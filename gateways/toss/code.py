"""Toss Payments' error codes and what each proves. The HTTP status does not tell: the same class holds every meaning.

Source: docs.tosspayments.com/reference/error-codes. A code that is in no table here proves nothing: unknown.
"""

import re

from domain.gateway import Answer, Decline, Evidence, OperationKind, Outcome, Retry
from gateways.gateway import MisconfiguredGateway
from gateways.transport import Reply, not_executed, unlisted

NOT_FOUND = "NOT_FOUND_PAYMENT"
_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,79}")
_LONGEST_MESSAGE = 200

AUTHORIZE_DECLINES: dict[str, tuple[str, Retry]] = {
    "REJECT_CARD_PAYMENT": ("insufficient_funds", Retry.AFTER_CUSTOMER_ACTION),
    "REJECT_ACCOUNT_PAYMENT": ("insufficient_funds", Retry.AFTER_CUSTOMER_ACTION),
    "REJECT_CARD_COMPANY": ("generic", Retry.OTHER_PG),
    "INVALID_REJECT_CARD": ("refer_to_issuer", Retry.AFTER_CUSTOMER_ACTION),
    "INVALID_STOPPED_CARD": ("blocked_instrument", Retry.NEVER),
    "INVALID_CARD_LOST_OR_STOLEN": ("lost_or_stolen", Retry.NEVER),
    "INVALID_CARD_NUMBER": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "INVALID_CARD_EXPIRATION": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "ALREADY_REMOVED_BILLING_KEY": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "NOT_MATCHES_CUSTOMER_KEY": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "NOT_AVAILABLE_PAYMENT": ("unavailable", Retry.OTHER_PG),
    "FDS_ERROR": ("fraud", Retry.NEVER),
    "BELOW_MINIMUM_AMOUNT": ("amount_too_small", Retry.NEVER),
    "NOT_FOUND_PAYMENT_SESSION": ("expired", Retry.AFTER_CUSTOMER_ACTION),
}
"""Confirm, billing key, virtual account: the code -> our category and what it says about trying again."""

CANCEL_DECLINES: dict[str, tuple[str, Retry]] = {
    "NOT_CANCELABLE_AMOUNT": ("amount_exceeded", Retry.NEVER),
    "NOT_CANCELABLE_PAYMENT": ("state", Retry.NEVER),
    "EXCEED_MAX_REFUND_DUE": ("refund_window", Retry.NEVER),
    "NOT_ALLOWED_PARTIAL_REFUND": ("partial_refund", Retry.NEVER),
    "NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT": ("state", Retry.NEVER),
    "EXCEED_CANCEL_AMOUNT_DISCOUNT_AMOUNT": ("amount_exceeded", Retry.NEVER),
    "INVALID_REFUND_ACCOUNT_INFO": ("refund_account", Retry.AFTER_CUSTOMER_ACTION),
    "INVALID_REFUND_ACCOUNT_NUMBER": ("refund_account", Retry.AFTER_CUSTOMER_ACTION),
    "INVALID_BANK": ("refund_account", Retry.AFTER_CUSTOMER_ACTION),
    "FORBIDDEN_BANK_REFUND_REQUEST": ("refund_account", Retry.AFTER_CUSTOMER_ACTION),
    "REFUND_REJECTED": ("refund_rejected", Retry.NEVER),
    "NOT_MATCHES_REFUNDABLE_AMOUNT": ("amount_mismatch", Retry.NEVER),
}
"""Cancel: the code -> our category and what it says about trying again."""

_LIMITS = "EXCEED_MAX_"
_LIMIT = ("limit_exceeded", Retry.AFTER_CUSTOMER_ACTION)
"""A family of codes of an approval: per card, per day, per withdrawal."""

_ABORTS: dict[str, tuple[str, Retry]] = {
    "PAY_PROCESS_CANCELED": ("canceled_by_customer", Retry.AFTER_CUSTOMER_ACTION),
    "PAY_PROCESS_ABORTED": ("authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
}
"""Only in the ``failure`` of a payment that is over, never an answer to a request."""

NOT_TAKEN = frozenset({"NOT_AVAILABLE_BANK", "FORBIDDEN_CONSECUTIVE_REQUEST"})
"""Refused before execution: bank hours, too many requests. So is any 429."""

MISCONFIGURED = frozenset(
    {
        "UNAUTHORIZED_KEY",
        "INVALID_API_KEY",
        "INCORRECT_BASIC_AUTH_FORMAT",
        "FORBIDDEN_REQUEST",
        "NOT_REGISTERED_BUSINESS",
        "INVALID_REQUEST",
        "INVALID_IDEMPOTENCY_KEY",
    }
)
"""A person must act: keys, contract, or a request that Toss cannot read."""

NOT_OURS = frozenset({"FORBIDDEN_REQUEST", "INVALID_REQUEST"})
"""Of a confirmation: the paymentKey is of another order, or of another amount."""


def code_of(reply: Reply) -> str:
    """The error code of a 4xx; ``""`` if there is none that looks like one, so that evidence holds no foreign text."""
    code = reply.body.get("code")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def evidence_of(reply: Reply, detail: str = "") -> Evidence:
    """What a reply proves, with Toss's own id of the request. A replay is not marked: it is the same bytes."""
    return Evidence(http_status=reply.status, request_id=reply.headers.get("x-tosspayments-trace-id"), detail=detail)


def unknown(reply: Reply, detail: str) -> Answer:
    """What was said proves nothing."""
    return Answer(Outcome.UNKNOWN, evidence=evidence_of(reply, detail))


def refusal(reply: Reply) -> Answer:
    """What a 4xx means for the operation that was asked. Raises `MisconfiguredGateway`."""
    code = code_of(reply)
    evidence = evidence_of(reply, code)
    if reply.status == 429 or code in NOT_TAKEN:
        return not_executed(reply.kind, evidence=evidence)
    if code in MISCONFIGURED:
        raise MisconfiguredGateway(f"Toss answered {reply.status} {code}")
    if not code:
        return unlisted(reply, code)
    meaning = _meaning(reply.kind, code)
    if meaning is None:
        return Answer(Outcome.UNKNOWN, evidence=evidence)
    return Answer(
        Outcome.DECLINED, decline=Decline(meaning[0], code, message_of(reply.body), meaning[1]), evidence=evidence
    )


def abort_decline(failure: object) -> Decline:
    """Why a payment that Toss itself calls failed has failed. An unlisted code must not go to another PG."""
    stated = failure if isinstance(failure, dict) else {}
    code = stated.get("code")
    code = code if isinstance(code, str) and _CODE.fullmatch(code) else "ABORTED"
    category, retry = _ABORTS.get(code) or _meaning(OperationKind.AUTHORIZE, code) or ("unlisted", Retry.NEVER)
    return Decline(category, code, message_of(stated), retry)


def message_of(stated: dict[str, object]) -> str:
    """Toss's sentence, which may be null."""
    message = stated.get("message")
    return message[:_LONGEST_MESSAGE] if isinstance(message, str) else ""


def _meaning(kind: OperationKind, code: str) -> tuple[str, Retry] | None:
    match kind:
        case OperationKind.AUTHORIZE:
            return AUTHORIZE_DECLINES.get(code) or (_LIMIT if code.startswith(_LIMITS) else None)
        case OperationKind.VOID | OperationKind.REFUND | OperationKind.NEUTRALIZE:
            return CANCEL_DECLINES.get(code)
        case _:
            return None
