"""Card numbers do not belong here: finds what looks like one (13 to 19 digits, Luhn) anywhere in a body.

Found values are never returned: whoever asks learns that there is one and where, not which.
"""

import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_plus

from api.problem import pointer

SHORTEST, LONGEST = 13, 19
"""Digits of a card number (ISO/IEC 7812)."""
PHONE_DIGITS = 15
"""Most digits of a phone number in its international form, ``+`` first (E.164); no card is written with a plus."""

SMALLEST_GROUP = 3

_DOUBLED = str.maketrans("0123456789", "0246813579")
_GAP = "[ \\-\u00a0\u2010-\u2015]"
_RUN = re.compile(rf"(?<![A-Za-z0-9])(\+?)([0-9](?:{_GAP}*[0-9])*)(?![A-Za-z0-9])")
_GROUP = re.compile(rf"([0-9]+)({_GAP}*)")
_UUID = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])")
_SUSPECT = re.compile(rb"[0-9](?:(?:[ +\-]|\xc2\xa0|\xe2\x80[\x90-\x95])*[0-9]){12}|[0-9][eE]\+?[0-9]")
"""Quick look at the raw bytes: without this there is no number in them, unless it is written in escapes."""


def find_card(body: bytes) -> str | None:
    """A JSON pointer to the first value with a card number (of its object, when a name has it); None if there is none.

    A body that is no JSON is searched as text, form encoding undone; the pointer is then empty.
    """
    if not (_SUSPECT.search(body) or b"\\u" in body or b"%" in body):
        return None
    try:
        document = json.loads(body, parse_int=str, parse_float=_whole)
    except (ValueError, RecursionError):
        text = body.decode(errors="replace")
        return "" if any(has_card(each) for each in {text, unquote_plus(text)}) else None
    return next((at for at, text in texts_of(document) if has_card(text)), None)


def has_card(text: str) -> bool:
    """Whether ``text`` has a card number, alone or among other words; spaces and dashes between its digits count not.

    Digits that touch a letter, and UUIDs, are ids.
    """
    if len(text) < SHORTEST:
        return False
    return any(_is_card(run.group(2), plus=bool(run.group(1))) for run in _RUN.finditer(_UUID.sub("x", text)))


def is_luhn(digits: str) -> bool:
    """Whether the check digit fits (ISO/IEC 7812-1, annex B)."""
    total = sum(digits[-1::-2].encode()) + sum(digits[-2::-2].translate(_DOUBLED).encode())
    return (total - ord("0") * len(digits)) % 10 == 0


def _is_card(run: str, *, plus: bool) -> bool:
    """Whether a run of digits is one, or whether groups of it with one and the same gap between them are."""
    groups = [(digits, gap) for digits, gap in _GROUP.findall(run)]
    whole = "".join(digits for digits, _ in groups)
    if plus and len(whole) <= PHONE_DIGITS:
        return False
    return _fits(whole) or any(_fits(digits) for digits in _windows(groups))


def _windows(groups: list[tuple[str, str]]) -> Iterator[str]:
    """Neighbouring groups joined while the gap between them stays the same: a number with its expiry behind it.

    Groups before the last have three digits or more, as cards are printed; so the work stays small on any body.
    """
    for start, (digits, gap) in enumerate(groups):
        joined, place = digits, start
        while len(groups[place][0]) >= SMALLEST_GROUP and groups[place][1] == gap and len(joined) < LONGEST:
            yield joined
            place += 1
            if place == len(groups):
                break
            joined += groups[place][0]
        yield joined


def _fits(digits: str) -> bool:
    return SHORTEST <= len(digits) <= LONGEST and is_luhn(digits)


def _whole(written: str) -> str:
    """A number with a point or an exponent as the digits of its whole part, if it has no other."""
    value = float(written)
    return f"{value:.0f}" if abs(value) < 10**LONGEST and value.is_integer() else ""


def texts_of(document: object) -> Iterator[tuple[str, str]]:
    """Every text and number of a JSON document with its pointer; names of members stand for their object."""
    stack: list[tuple[str, object]] = [("", document)]
    while stack:
        at, value = stack.pop()
        if isinstance(value, str):
            yield at, value
        elif isinstance(value, Mapping):
            for name, inner in value.items():
                yield at, name
                stack.append((at + pointer(name), inner))
        elif isinstance(value, list):
            stack.extend((at + pointer(place), inner) for place, inner in enumerate(value))
