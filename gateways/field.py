"""What a PG's JSON must contain, read as it is: a number that comes as a text is no number. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

_LONGEST_WORD = 200


class Unreadable(Exception):
    """A reply that lacks what it must contain."""


def text(part: Mapping[str, Any], name: str) -> str:
    """A text that must be there. Raises `Unreadable`."""
    value = part.get(name)
    if not isinstance(value, str) or not value:
        raise Unreadable(name)
    return value


def whole(part: Mapping[str, Any], name: str) -> int:
    """A whole number that must be there. Raises `Unreadable`."""
    value = part.get(name)
    if type(value) is not int:
        raise Unreadable(name)
    return value


def word(value: object, longest: int = _LONGEST_WORD) -> str:
    """A short text of a webhook. Raises ``TypeError``."""
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise TypeError("not a short text")
    return value


def moment(value: object) -> datetime:
    """A time of a webhook that says its zone. Raises ``TypeError``, ``ValueError``."""
    stated = datetime.fromisoformat(word(value))
    if stated.tzinfo is None:
        raise ValueError("a time without its zone")
    return stated
