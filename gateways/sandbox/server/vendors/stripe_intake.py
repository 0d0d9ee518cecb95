"""What comes to the Stripe personality from outside: form fields with nested brackets, checked as Stripe does."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from gateways.sandbox.server.vendors.stripe_words import (
    CURRENCIES,
    KNOWN,
    MAX_AMOUNT,
    METHOD_TYPES,
    MINIMUMS,
    NESTED,
    money,
    one_of,
)

_PART = re.compile(r"\[([^\]]*)\]")
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\]]*\])*)")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_WEB_URL = re.compile(r"https?://\S+")
_APP_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_MAX_METADATA = (50, 40, 500)
_MAX_PAGE = 100


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
    return {name: value if name == "metadata" else _listed(value) for name, value in tree.items()}


def check_known(params: Mapping[str, Any], endpoint: str) -> None:
    """Raises `Complaint` ``parameter_unknown``."""
    unknown = sorted(set(params) - KNOWN[endpoint])
    for name in sorted(NESTED):
        unknown += [f"{name}[{inner}]" for inner in sorted(_inside(params, name)) if inner not in NESTED[name]]
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        message = f"Received unknown parameter{plural}: {', '.join(unknown)[:200]}"
        raise Complaint(400, message, code="parameter_unknown", param=unknown[0][:60])


def amount(params: Mapping[str, Any], name: str, currency: str | None = None) -> int | None:
    """A positive integer of the smallest unit, or None. With a ``currency``, within its limits."""
    if params.get(name) is None:
        return None
    found = _whole(required(params, name), name)
    if currency is None:
        return found
    if found > MAX_AMOUNT:
        message = f"Amount must be no more than {money(MAX_AMOUNT, currency)}"
        raise Complaint(400, message, code="amount_too_large", param=name)
    least = MINIMUMS.get(currency, 1)
    if found < least:
        message = f"Amount must be at least {money(least, currency)} {currency}"
        raise Complaint(400, message, code="amount_too_small", param=name)
    return found


def currency(params: Mapping[str, Any]) -> str:
    """One of the currencies that Stripe takes, in lower case."""
    value = str(required(params, "currency")).lower()
    if value not in CURRENCIES:
        message = f"Invalid currency: {value[:20]}. Stripe currently supports these currencies: {', '.join(CURRENCIES)}"
        raise Complaint(400, message, param="currency")
    return value


def method_types(params: Mapping[str, Any]) -> list[str] | None:
    """``payment_method_types``, or None."""
    found = words(params, "payment_method_types")
    for one in found:
        if one not in METHOD_TYPES:
            message = (
                f'The payment method type "{one[:40]}" is invalid. Please ensure the provided type is activated in '
                "your dashboard (https://dashboard.stripe.com/account/payments/settings) and your account is enabled "
                "for any preview features that you are trying to use."
            )
            raise Complaint(400, message, param="payment_method_types")
    return found or None


def required(params: Mapping[str, Any], name: str) -> Any:
    """A parameter that must be there."""
    if params.get(name) is None:
        raise Complaint(400, f"Missing required param: {name}.", code="parameter_missing", param=name)
    if params[name] == "":
        message = (
            f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter; "
            f"however '{name}' cannot be unset. You should remove '{name}' from your request or supply a non-empty "
            "value."
        )
        raise Complaint(400, message, code="parameter_invalid_empty", param=name)
    return params[name]


def text(params: Mapping[str, Any], name: str, most: int | None = None) -> str | None:
    """A text of at most so many characters, or None."""
    value = params.get(name)
    if value is not None and not isinstance(value, str):
        raise Complaint(400, f"Invalid string: {value}", param=name)
    if value is not None and most is not None and len(value) > most:
        raise Complaint(400, f"Invalid string: {value[:10]}...; must be at most {most} characters", param=name)
    return value or None


def email(params: Mapping[str, Any], name: str) -> str | None:
    """A text that may be an address of somebody, or None."""
    value = text(params, name)
    if value is not None and _EMAIL.fullmatch(value) is None:
        raise Complaint(400, f"Invalid email address: {value[:80]}", code="email_invalid", param=name)
    return value


def url(params: Mapping[str, Any], name: str, *, of_app: bool = False) -> str | None:
    """An address of the web, or ``of_app``, with a scheme of its own; or None."""
    value = text(params, name)
    if value is not None and (_APP_URL if of_app else _WEB_URL).fullmatch(value) is None:
        raise Complaint(400, "Not a valid URL", code="url_invalid", param=name)
    return value


def flag(params: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """``true`` or ``false``; older SDKs write them with a capital."""
    value = params.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or value.lower() not in {"true", "false"}:
        raise Complaint(400, f"Invalid boolean: {value}", param=name)
    return bool(value.lower() == "true")


def choice(params: Mapping[str, Any], name: str, allowed: tuple[str, ...], default: str | None = None) -> str | None:
    """One of the ``allowed`` words."""
    value = text(params, name)
    if value is not None and value not in allowed:
        raise Complaint(400, f"Invalid {name}: must be one of {one_of(allowed)}", param=name)
    return value or default


def metadata(params: Mapping[str, Any], before: Mapping[str, str] | None = None) -> dict[str, str]:
    """What ``metadata`` makes of what was there ``before``: an empty value takes a key away, an empty text all."""
    given = params.get("metadata", {})
    if given == "":
        return {}
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise Complaint(400, "Invalid object", param="metadata")
    most, longest_key, longest_value = _MAX_METADATA
    for key, value in given.items():
        if len(key) > longest_key:
            raise Complaint(400, _too_long("keys", longest_key, key), param="metadata")
        if len(value) > longest_value:
            raise Complaint(400, _too_long("values", longest_value, value), param="metadata")
    found = {key: value for key, value in {**(before or {}), **given}.items() if value}
    if len(found) > most:
        raise Complaint(400, f"Metadata can have up to {most} keys, but you passed in {len(found)}.", param="metadata")
    return found


def shipping(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """``shipping`` with all its fields, or None."""
    given = params.get("shipping")
    if not isinstance(given, dict):
        return None
    shown = {name: given.get(name) for name in sorted(NESTED["shipping"])}
    return {**shown, "address": address(given)}


def address(params: Mapping[str, Any]) -> dict[str, Any]:
    """``address`` with all its fields."""
    given = params.get("address")
    return {name: given.get(name) if isinstance(given, dict) else None for name in sorted(NESTED["address"])}


def words(params: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts, such as ``expand``."""
    found = params.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise Complaint(400, "Invalid array", param=name)
    return found


def limit(params: Mapping[str, Any]) -> int:
    """The size of a page: 1 to 100, usually 10."""
    found = _whole(params.get("limit", "10"), "limit")
    if found > _MAX_PAGE:
        message = f"This value must be less than or equal to {_MAX_PAGE}."
        raise Complaint(400, message, code="parameter_invalid_integer", param="limit")
    return found


def cursors(params: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """``starting_after`` and ``ending_before``, of which only one may be given."""
    after, before = text(params, "starting_after"), text(params, "ending_before")
    if after is not None and before is not None:
        raise Complaint(400, "You cannot parameterize both starting_after and ending_before.")
    return after, before


def _inside(params: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The fields of ``a[b]``, if it is an object."""
    found: Any = params
    for part in name.replace("]", "").split("["):
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _whole(value: Any, name: str) -> int:
    """An integer of at least 1."""
    if not isinstance(value, str) or _INTEGER.fullmatch(value) is None:
        raise Complaint(400, f"Invalid integer: {str(value)[:60]}", code="parameter_invalid_integer", param=name)
    if int(value) < 1:
        message = "This value must be greater than or equal to 1."
        raise Complaint(400, message, code="parameter_invalid_integer", param=name)
    return int(value)


def _too_long(what: str, most: int, given: str) -> str:
    return (
        f"Metadata {what} can have up to {most} characters, but you passed in a {what[:-1]} that is {len(given)} "
        f"characters. Invalid {what[:-1]}: {given[:80]}"
    )


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
