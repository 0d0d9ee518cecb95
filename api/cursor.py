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
        ours = isinstance(values, list) and len(values) == arity and all(map(_is_key, values))
        ours = ours and encode(values) == cursor
    except ValueError as wrong:  # also what no UTF-8 can hold
        raise invalid_cursor() from wrong
    if not ours:
        raise invalid_cursor()
    return list(values)


def invalid_cursor() -> Refused:
    """For callers that cannot read a value as the id or time that it has to be."""
    detail = "take the cursor from next_cursor of the page before, unchanged, with the same filters"
    return Refused("invalid_cursor", detail, flaws=[Flaw("/query/cursor", "invalid_cursor", detail)])


def _is_key(value: object) -> bool:
    """Whether Postgres can compare with it; text there has no NUL."""
    if isinstance(value, str):
        return "\x00" not in value
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _seal(payload: bytes) -> bytes:
    return hashlib.sha256(b"opms cursor" + payload).digest()[:_SEAL]
