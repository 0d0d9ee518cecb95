"""What Adyen's noes mean: refusal reasons of authorizations and modifications, and the error codes of HTTP 4xx."""

from domain.gateway import Decline, Retry

_BY_CODE: dict[str, tuple[str, str, Retry]] = {
    "0": ("Unknown", "generic", Retry.OTHER_PG),
    "2": ("Refused", "generic", Retry.OTHER_PG),
    "3": ("Referral", "generic", Retry.OTHER_PG),
    "4": ("Acquirer Error", "technical", Retry.OTHER_PG),
    "5": ("Blocked Card", "lost_or_stolen", Retry.NEVER),
    "6": ("Expired Card", "expired_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "7": ("Invalid Amount", "amount", Retry.NEVER),
    "8": ("Invalid Card Number", "invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "9": ("Issuer Unavailable", "technical", Retry.OTHER_PG),
    "10": ("Not supported", "not_supported", Retry.OTHER_PG),
    "11": ("3D Not Authenticated", "authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "12": ("Not enough balance", "insufficient_funds", Retry.AFTER_CUSTOMER_ACTION),
    "14": ("Acquirer Fraud", "fraud", Retry.NEVER),
    "15": ("Cancelled", "cancelled", Retry.AFTER_CUSTOMER_ACTION),
    "16": ("Shopper Cancelled", "cancelled", Retry.AFTER_CUSTOMER_ACTION),
    "17": ("Invalid Pin", "authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "18": ("Pin tries exceeded", "authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "19": ("Pin validation not possible", "authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "20": ("FRAUD", "fraud", Retry.NEVER),
    "21": ("Not Submitted", "technical", Retry.OTHER_PG),
    "22": ("FRAUD-CANCELLED", "fraud", Retry.NEVER),
    "23": ("Transaction Not Permitted", "not_permitted", Retry.AFTER_CUSTOMER_ACTION),
    "24": ("CVC Declined", "invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "25": ("Restricted Card", "lost_or_stolen", Retry.NEVER),
    "26": ("Revocation Of Auth", "not_permitted", Retry.NEVER),
    "27": ("Declined Non Generic", "generic", Retry.OTHER_PG),
    "28": ("Withdrawal amount exceeded", "insufficient_funds", Retry.AFTER_CUSTOMER_ACTION),
    "29": ("Withdrawal count exceeded", "insufficient_funds", Retry.AFTER_CUSTOMER_ACTION),
    "31": ("Issuer Suspected Fraud", "fraud", Retry.NEVER),
    "32": ("AVS Declined", "invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "33": ("Card requires online pin", "authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "34": ("No checking account available on Card", "not_permitted", Retry.AFTER_CUSTOMER_ACTION),
    "35": ("No savings account available on Card", "not_permitted", Retry.AFTER_CUSTOMER_ACTION),
    "36": ("Mobile pin required", "authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "37": ("Contactless fallback", "not_permitted", Retry.AFTER_CUSTOMER_ACTION),
    "38": ("Authentication required", "authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "39": ("RReq not received from DS", "authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "40": ("Current AID is in Penalty Box.", "not_permitted", Retry.NEVER),
    "41": ("CVM Required Restart Payment", "authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "42": ("3DS Authentication Error", "authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "46": ("Transaction blocked by Adyen to prevent excessive retry fees", "blocked", Retry.NEVER),
}
"""refusalReasonCode -> refusalReason, our category, what it says of trying again ("Refusal reasons")."""

_BY_REASON = {reason.casefold(): code for code, (reason, _, _) in _BY_CODE.items()}

_MODIFICATIONS = {
    "insufficient balance on payment": "amount_exceeded",
    "transaction hasn't been captured, refund not possible": "state",
    "transaction has been cancelled": "state",
    "transaction has already been captured": "state",
    "capture failed": "failed_later",
    "refund failed": "failed_later",
}
"""``reason`` of a refused capture, cancel or refund -> our category. None of them is worth a second try."""

_ERRORS = {
    "101": "invalid_instrument",
    "103": "invalid_instrument",
    "105": "invalid_instrument",
    "129": "expired_instrument",
    "140": "invalid_instrument",
    "141": "invalid_instrument",
    "153": "invalid_instrument",
    "800": "invalid_instrument",
    "803": "invalid_instrument",
    "167": "state",
}
"""errorCode of a 422 that is a no to this payment; ``state``: the original payment is not there."""

NOT_TAKEN = frozenset(
    {"100", "130", "132", "133", "137", "138", "158", "192", "702", "14_004", "14_006", "14_030", "29_001", "29_100"}
)
"""errorCode of a 4xx that refused the request by its shape: nothing was executed."""


def by_code(code: str, reason: str, *, result: str = "Refused") -> Decline:
    """The no of a payment's answer. An unlisted code never goes to another PG."""
    if code in _BY_CODE:
        _, category, retry = _BY_CODE[code]
        return Decline(category, code, reason, retry)
    if result == "Cancelled":
        return Decline("cancelled", code or "cancelled", reason, Retry.AFTER_CUSTOMER_ACTION)
    return Decline("unlisted", code or "unlisted", reason, Retry.NEVER)


def by_reason(reason: str) -> Decline:
    """The no of a webhook, which has words and no code."""
    code = _BY_REASON.get(reason.casefold())
    if code is not None:
        return by_code(code, reason)
    category = _MODIFICATIONS.get(reason.casefold(), "unlisted")
    return Decline(category, "unlisted" if category == "unlisted" else category, reason, Retry.NEVER)


def by_error(code: str, message: str) -> Decline | None:
    """The no of an HTTP 422; None: the code does not say that this payment was refused."""
    category = _ERRORS.get(code)
    if category is None:
        return None
    retry = Retry.NEVER if category == "state" else Retry.AFTER_CUSTOMER_ACTION
    return Decline(category, code, message, retry)
