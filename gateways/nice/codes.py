"""NICE's result codes (manual, common/code.md) in our words. A code that is in no table here means: unknown.

The manual lists the codes with a title and no more; where a title leaves doubt about money the code is left out.
"""

from domain.gateway import Decline, Retry

SUCCESS = "0000"

PAYMENT_DECLINES: dict[str, tuple[str, Retry]] = {
    "3011": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "3012": ("merchant_not_allowed", Retry.OTHER_PG),
    "3013": ("merchant_not_allowed", Retry.OTHER_PG),
    "3014": ("merchant_not_allowed", Retry.OTHER_PG),
    "3021": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "3022": ("instalments", Retry.AFTER_CUSTOMER_ACTION),
    "3023": ("instalments", Retry.AFTER_CUSTOMER_ACTION),
    "3024": ("instalments", Retry.AFTER_CUSTOMER_ACTION),
    "3031": ("instalments", Retry.AFTER_CUSTOMER_ACTION),
    "3032": ("instalments", Retry.AFTER_CUSTOMER_ACTION),
    "3033": ("instalments", Retry.AFTER_CUSTOMER_ACTION),
    "3041": ("amount_not_allowed", Retry.OTHER_PG),
    "3051": ("not_supported", Retry.OTHER_PG),
    "3052": ("not_supported", Retry.OTHER_PG),
    "3053": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "3055": ("not_supported", Retry.OTHER_PG),
    "3056": ("not_supported", Retry.OTHER_PG),
    "3057": ("authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "3061": ("not_supported", Retry.OTHER_PG),
    "3081": ("insufficient_funds", Retry.AFTER_CUSTOMER_ACTION),
    "3091": ("not_supported", Retry.OTHER_PG),
    "3095": ("generic", Retry.OTHER_PG),
    "4002": ("not_supported", Retry.OTHER_PG),
    "4008": ("unavailable", Retry.OTHER_PG),
    "4101": ("amount_not_allowed", Retry.OTHER_PG),
    "4108": ("merchant_not_allowed", Retry.OTHER_PG),
    "4109": ("generic", Retry.SAME_PG_LATER),
    "4115": ("generic", Retry.SAME_PG_LATER),
    "4116": ("generic", Retry.SAME_PG_LATER),
    "4117": ("generic", Retry.OTHER_PG),
    "4118": ("generic", Retry.SAME_PG_LATER),
    "2151": ("merchant_not_allowed", Retry.OTHER_PG),
    "2152": ("merchant_not_allowed", Retry.OTHER_PG),
    "2159": ("unavailable", Retry.OTHER_PG),
    "F112": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "F115": ("merchant_not_allowed", Retry.OTHER_PG),
    "F116": ("merchant_not_allowed", Retry.OTHER_PG),
    "F117": ("merchant_not_allowed", Retry.OTHER_PG),
    "F118": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "A113": ("amount_not_allowed", Retry.OTHER_PG),
    "A123": ("state", Retry.NEVER),
    "A124": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "A125": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "A126": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "A210": ("authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "A223": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "A242": ("not_supported", Retry.OTHER_PG),
    "A245": ("authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "C001": ("authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "C002": ("authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "I002": ("authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "N001": ("amount_not_allowed", Retry.OTHER_PG),
    "P017": ("amount_not_allowed", Retry.NEVER),
    "P019": ("authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "P021": ("not_supported", Retry.AFTER_CUSTOMER_ACTION),
    "P034": ("state", Retry.NEVER),
    "P037": ("instalments", Retry.AFTER_CUSTOMER_ACTION),
    "P091": ("authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "U110": ("not_supported", Retry.OTHER_PG),
    "U113": ("state", Retry.NEVER),
    "U115": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "U119": ("not_supported", Retry.OTHER_PG),
    "U120": ("authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "U121": ("authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
    "U309": ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION),
    "U311": ("authentication_failed", Retry.AFTER_CUSTOMER_ACTION),
}
"""What a payment may be refused for: money did not move."""

_NOT_CANCELLABLE = (
    "1534 2010 2011 2012 2013 2014 2016 2017 2018 2019 2027 2028 2029 2030 2031 2033 2052 U122 U318 U319 U321 P036"
)
CANCEL_DECLINES: dict[str, tuple[str, Retry]] = {
    **dict.fromkeys(_NOT_CANCELLABLE.split(), ("state", Retry.NEVER)),
    "2003": ("generic", Retry.SAME_PG_LATER),
    "2023": ("state", Retry.SAME_PG_LATER),
    "2026": ("amount_exceeded", Retry.NEVER),
    "2032": ("amount_exceeded", Retry.NEVER),
    "U123": ("amount_exceeded", Retry.NEVER),
}
"""What a cancel may be refused for. Believed only after a look at the payment's cancels: it may be our own second."""

DUPLICATES = frozenset({"2156", "2201", "A127", "A225", "P015", "U112", "U114"})
"""The order id or tid was used: an earlier request has taken effect, or not. A lookup tells."""

NET_CANCELLED = frozenset({"U504"})
"""The payment was refused because its order was net-cancelled: nothing has happened."""

CANCELLED_ALREADY = frozenset({"2013"})
NET_CANCEL_TOO_LATE = frozenset({"2020"})

NOT_FOUND = frozenset({"2012", "A118", "A214", "A217", "A243", "A251", "U107", "U111", "U122", "U126"})

NOT_TAKEN = frozenset(
    {
        *("9000", "9001", "A101", "A102", "A106", "A117", "A147", "A212", "A246", "U100", "U105", "U124", "U125"),
        *("P007", "P008", "P009", "P010", "P011", "P012", "P024", "P028", "U129", "U130", "U131", "U132", "U312"),
        "V003",
    }
)
"""Refused at the door: missing, mistyped or badly signed fields, too many requests. Nothing was executed."""

MISCONFIGURED = frozenset(
    {
        *("A109", "A114", "A224", "P001", "P005", "P014", "P016", "U102", "U104", "U304", "U305", "U308", "U313"),
        *("U315", "U316", "U320"),
    }
)
"""Our keys, our address, the one we call, or the merchant's set-up: a person must act."""

_STRICTER: tuple[tuple[tuple[str, ...], tuple[str, Retry]], ...] = (
    (("분실", "도난"), ("lost_or_stolen", Retry.NEVER)),
    (("한도", "잔액"), ("insufficient_funds", Retry.AFTER_CUSTOMER_ACTION)),
)
"""The issuer's reason has no code of its own in 3095, only words. They may make a decline stricter, never milder."""


def decline_of(table: dict[str, tuple[str, Retry]], code: str, message: str) -> Decline:
    """Our words for a refusal; a code that is not in ``table`` is never tried again."""
    category, retry = table.get(code, ("unlisted", Retry.NEVER))
    if code == "3095":
        told = (meaning for words, meaning in _STRICTER if any(word in message for word in words))
        category, retry = next(told, (category, retry))
    return Decline(category=category, code=code, message=message[:200], retry=retry)
