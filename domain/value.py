"""Our own value: kinds of it, and gift card codes, which are known by their hash and nothing else.

A code has 20 letters of an alphabet of 20 (86 bits): no digits, so that none ever looks like a card number, and no
vowels, so that none is a word.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal

CustomerKind = Literal["points", "store_credit"]
"""Kinds that belong to a customer. A gift card belongs to whoever knows its code."""

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
CODE_LETTERS = 20
GROUP = 4


def new_code(choose: Callable[[Sequence[str]], str]) -> str:
    """A fresh code in groups of four; ``choose`` picks one of a sequence and must be unguessable."""
    letters = [choose(ALPHABET) for _ in range(CODE_LETTERS)]
    return "-".join("".join(letters[n : n + GROUP]) for n in range(0, CODE_LETTERS, GROUP))


def code_hash(code: str) -> str:
    """SHA-256 in hexadecimal of a code as people type it: case, spaces and dashes do not count."""
    return hashlib.sha256(_plain(code).encode()).hexdigest()


def last_four(code: str) -> str:
    """What of a code may be shown."""
    return _plain(code)[-4:]


def _plain(code: str) -> str:
    return "".join(c for c in code.upper() if not c.isspace() and c != "-")
