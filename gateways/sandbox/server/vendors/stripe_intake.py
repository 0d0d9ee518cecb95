"""What comes to the Stripe personality from outside: form fields with nested brackets, checked as Stripe does."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

_PART = re.compile(r"\[([^\]]*)\]")
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\]]*\])*)")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_MAX_AMOUNT = 99_999_999
_MINIMUMS = {"usd": 50, "eur": 50, "sgd": 50, "jpy": 50, "gbp": 30}
_CURRENCY = re.compile(r"[a-z]{3}")
_MAX_METADATA = (50, 40, 500)

_CREATE = (
    "amount currency allowed_payment_method_types amount_details application_fee_amount automatic_payment_methods "
    "capture_method confirm confirmation_method confirmation_token customer customer_account description "
    "error_on_requires_action excluded_payment_method_types expand hooks mandate mandate_data metadata off_session "
    "on_behalf_of payment_details payment_method payment_method_configuration payment_method_data "
    "payment_method_options payment_method_types radar_options receipt_email return_url setup_future_usage shipping "
    "statement_descriptor statement_descriptor_suffix transfer_data transfer_group use_stripe_sdk"
)
KNOWN: dict[str, frozenset[str]] = {
    name: frozenset(fields.split())
    for name, fields in {
        "create": _CREATE,
        "confirm": (
            "amount_details amount_to_confirm capture_method client_secret confirmation_token error_on_requires_action "
            "excluded_payment_method_types expand hooks mandate mandate_data off_session payment_details "
            "payment_method payment_method_data payment_method_options payment_method_types radar_options "
            "receipt_email return_url setup_future_usage shipping use_stripe_sdk"
        ),
        "capture": (
            "amount_details amount_to_capture application_fee_amount expand final_capture hooks metadata "
            "payment_details statement_descriptor statement_descriptor_suffix transfer_data"
        ),
        "cancel": "cancellation_reason expand",
        "refund": (
            "amount charge currency customer expand instructions_email metadata origin payment_intent reason "
            "refund_application_fee reverse_transfer"
        ),
        "payment_method": "allow_redisplay billing_details card customer expand metadata payment_method type",
        "retrieve": "client_secret expand",
        "list_refunds": "charge created ending_before expand limit payment_intent starting_after",
        "list_balance": "created currency ending_before expand limit payout source starting_after type",
        "search": "expand limit page query",
    }.items()
}
"""The documented parameters of each endpoint; another one is refused."""


class Complaint(Exception):
    """An error answer. ``kept``: execution had begun, so it is stored under the key."""

    def __init__(self, status: int, message: str, *, kept: bool = False, **fields: Any) -> None:
        """``fields``: more of the error object, such as ``code`` and ``param``."""
        super().__init__(message)
        self.status = status
        self.kept = kept
        self.error: dict[str, Any] = {"type": "invalid_request_error", "message": message, **fields}
        if code := fields.get("code"):
            self.error["doc_url"] = f"https://docs.stripe.com/error-codes/{str(code).replace('_', '-')}"


def parse(text: str) -> dict[str, Any]:
    """``a[b]=1&c[]=2`` as nested objects and lists. Raises `Complaint`."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=1_000):
        match = _NAME.fullmatch(name)
        if match is None:
            raise Complaint(400, f"Invalid hash: {name[:60]}", param=name[:60])
        _put(tree, [match[1], *_PART.findall(match[2])], value, name)
    return {name: _listed(value) for name, value in tree.items()}


def check_known(params: Mapping[str, Any], endpoint: str) -> None:
    """Raises `Complaint` ``parameter_unknown``."""
    if unknown := sorted(set(params) - KNOWN[endpoint]):
        message = f"Received unknown parameter: {unknown[0][:60]}"
        raise Complaint(400, message, code="parameter_unknown", param=unknown[0][:60])


def amount(params: Mapping[str, Any], name: str, currency: str | None = None) -> int | None:
    """A positive integer of the smallest unit, or None. With a ``currency``, within its limits."""
    value = params.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or _INTEGER.fullmatch(value) is None:
        raise Complaint(400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
    found = int(value)
    if found < 1:
        message = "This value must be greater than or equal to 1."
        raise Complaint(400, message, code="parameter_invalid_integer", param=name)
    if currency is None:
        return found
    if found > _MAX_AMOUNT:
        raise Complaint(400, f"Amount must be no more than {_MAX_AMOUNT}.", code="amount_too_large", param=name)
    least = _MINIMUMS.get(currency, 1)
    if found < least:
        raise Complaint(400, f"Amount must be at least {least} {currency}", code="amount_too_small", param=name)
    return found


def currency(params: Mapping[str, Any]) -> str:
    """Three letters, in lower case."""
    value = str(required(params, "currency")).lower()
    if _CURRENCY.fullmatch(value) is None:
        raise Complaint(400, f"Invalid currency: {value[:20]}.", param="currency")
    return value


def required(params: Mapping[str, Any], name: str) -> Any:
    """A parameter that must be there."""
    if params.get(name) in (None, ""):
        raise Complaint(400, f"Missing required param: {name}.", code="parameter_missing", param=name)
    return params[name]


def text(params: Mapping[str, Any], name: str) -> str | None:
    """A text, or None."""
    value = params.get(name)
    if value is not None and not isinstance(value, str):
        raise Complaint(400, f"Invalid string: {value}", param=name)
    return value or None


def flag(params: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """``true`` or ``false``."""
    value = params.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or value not in {"true", "false"}:
        raise Complaint(400, f"Invalid boolean: {value}", param=name)
    return bool(value == "true")


def choice(params: Mapping[str, Any], name: str, allowed: tuple[str, ...], default: str | None = None) -> str | None:
    """One of the ``allowed`` words."""
    value = text(params, name)
    if value is not None and value not in allowed:
        raise Complaint(400, f"Invalid {name}: must be one of {', '.join(allowed)}", param=name)
    return value or default


def metadata(params: Mapping[str, Any]) -> dict[str, str]:
    """Up to 50 keys of 40 characters with values of 500."""
    found = params.get("metadata") or {}
    most, longest_key, longest_value = _MAX_METADATA
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise Complaint(400, "Invalid hash", param="metadata")
    if len(found) > most or any(len(k) > longest_key or len(v) > longest_value for k, v in found.items()):
        message = f"Metadata has at most {most} keys of {longest_key} characters with values of {longest_value}."
        raise Complaint(400, message, param="metadata")
    return {key: value for key, value in found.items() if value}


def words(params: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts, such as ``expand``."""
    found = params.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise Complaint(400, "Invalid array", param=name)
    return found


def limit(params: Mapping[str, Any]) -> int:
    """The size of a page: 1 to 100, usually 10."""
    value = params.get("limit", "10")
    if not isinstance(value, str) or _INTEGER.fullmatch(value) is None or not 1 <= int(value) <= 100:
        raise Complaint(400, f"Invalid limit: {value}", code="parameter_invalid_integer", param="limit")
    return int(value)


def _put(tree: dict[str, Any], path: list[str], value: str, name: str) -> None:
    *parents, last = path
    for part in parents:
        tree = tree.setdefault(part or str(len(tree)), {})
        if not isinstance(tree, dict):
            raise Complaint(400, f"Invalid hash: {name[:60]}", param=name[:60])
    tree[last or str(len(tree))] = value


def _listed(value: Any) -> Any:
    """Objects whose keys are 0, 1, 2 ... are lists."""
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(one) for key, one in value.items()}
    return list(inner.values()) if inner and all(key.isdecimal() for key in inner) else inner
