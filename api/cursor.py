"""Opaque cursors: the sort key of the last row of a page. Whoever changes one is told so."""

import base64
import hashlib
import json
from collections.abc import Sequence

from api.problem import Refused
from domain.errors import Flaw

Value = str | int | None
"""What a sort key is made of; times and ids as text."""

_SEAL = 6
"""Bytes of the digest in front: against slips and curiosity, not a secret. A forged cursor only starts elsewhere."""


def encode(values: Sequence[Value]) -> str:
    """A cursor for the page that begins behind ``values``."""
    payload = json.dumps(list(values), separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(_seal(payload) + payload).rstrip(b"=").decode()


def decode(cursor: str, arity: int) -> list[Value]:
    """The values of a cursor made by `encode` with ``arity`` values. Raises `Refused` (422 ``invalid_cursor``)."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        values = json.loads(raw[_SEAL:])
    except ValueError as wrong:
        raise invalid_cursor() from wrong
    whole = isinstance(values, list) and len(values) == arity and all(isinstance(v, str | int | None) for v in values)
    if not whole or raw[:_SEAL] != _seal(raw[_SEAL:]) or encode(values) != cursor:
        raise invalid_cursor()
    return list(values)


def invalid_cursor() -> Refused:
    """For callers that cannot read a value as the id or time that it has to be."""
    detail = "take the cursor from next_cursor of the page before, unchanged, with the same filters"
    return Refused("invalid_cursor", detail, flaws=[Flaw("/query/cursor", "invalid_cursor", detail)])


def _seal(payload: bytes) -> bytes:
    return hashlib.sha256(b"opms cursor" + payload).digest()[:_SEAL]
