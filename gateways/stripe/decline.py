"""What Stripe's codes of a refused card mean: a category of ours, and what may be tried next.

https://docs.stripe.com/declines/codes, https://docs.stripe.com/error-codes, and ``advice_code`` of
https://docs.stripe.com/declines/card#retrying-issuer-declines. A code that is not here is never tried again.
"""

from collections.abc import Mapping
from typing import Any

from domain.gateway import Decline, Retry

_CATEGORIES: dict[tuple[str, Retry], str] = {
    ("lost_or_stolen", Retry.NEVER): "lost_card stolen_card pickup_card",
    ("fraud", Retry.NEVER): "fraudulent merchant_blacklist security_violation",
    ("revoked", Retry.NEVER): "revocation_of_authorization revocation_of_all_authorizations stop_payment_order",
    ("forbidden", Retry.NEVER): "do_not_try_again restricted_card",
    ("duplicate", Retry.NEVER): "duplicate_transaction",
    ("insufficient_funds", Retry.AFTER_CUSTOMER_ACTION): (
        "insufficient_funds card_velocity_exceeded withdrawal_count_limit_exceeded"
    ),
    ("expired_instrument", Retry.AFTER_CUSTOMER_ACTION): "expired_card",
    ("invalid_instrument", Retry.AFTER_CUSTOMER_ACTION): (
        "incorrect_number invalid_number incorrect_cvc invalid_cvc incorrect_zip incorrect_address "
        "invalid_expiry_month invalid_expiry_year invalid_account new_account_information_available "
        "card_not_supported resource_missing "
        "payment_method_invalid_parameter payment_method_unactivated payment_method_not_available"
    ),
    ("authentication_required", Retry.AFTER_CUSTOMER_ACTION): (
        "authentication_required authentication_not_handled offline_pin_required online_or_offline_pin_required"
    ),
    ("authentication_failed", Retry.AFTER_CUSTOMER_ACTION): (
        "payment_intent_authentication_failure incorrect_pin invalid_pin pin_try_exceeded "
        "mobile_device_authentication_required"
    ),
    ("abandoned", Retry.AFTER_CUSTOMER_ACTION): (
        "payment_method_customer_decline payment_intent_payment_attempt_expired payment_method_provider_timeout"
    ),
    ("generic", Retry.OTHER_PG): (
        "generic_decline card_declined do_not_honor call_issuer no_action_taken not_permitted service_not_allowed "
        "transaction_not_allowed approve_with_id invalid_amount testmode_decline payment_method_provider_decline "
        "payment_intent_payment_attempt_failed"
    ),
    ("not_supported", Retry.OTHER_PG): "currency_not_supported payment_method_currency_mismatch",
    ("amount_limit", Retry.OTHER_PG): "amount_too_small amount_too_large",
    ("unavailable", Retry.SAME_PG_LATER): "try_again_later issuer_not_available processing_error reenter_transaction",
}
DECLINES: dict[str, tuple[str, Retry]] = {
    code: (category, retry) for (category, retry), codes in _CATEGORIES.items() for code in codes.split()
}
"""Stripe's ``decline_code`` or ``code`` -> our category, and what it says about trying again."""

_ADVICE = {
    "do_not_try_again": Retry.NEVER,
    "confirm_card_data": Retry.AFTER_CUSTOMER_ACTION,
}
"""The network's own word goes before the table's, but never makes a ``never`` milder. ``try_again_later`` comes with
generic declines too and says no more than the table: another PG may be asked at once."""


def decline(error: Mapping[str, Any]) -> Decline:
    """From an ``error`` of a 402 or a ``last_payment_error``."""
    code = next((c for c in (error.get("decline_code"), error.get("code")) if isinstance(c, str) and c), "unlisted")
    category, retry = DECLINES.get(code, ("unlisted", Retry.NEVER))
    if retry is not Retry.NEVER:
        retry = _ADVICE.get(str(error.get("advice_code")), retry)
    message = error.get("message")
    if code == "resource_missing":
        message = "There is no such payment method."  # Stripe's own words repeat the token
    return Decline(category, code, message if isinstance(message, str) else "", retry)
