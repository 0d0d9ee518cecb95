"""Order numbers for people: the store's local date, six random characters and a check character (domain page, 6)."""

import re
from datetime import date

from domain.errors import Invalid

DICE_SIDES = 32**6
"""Numbers that one store can draw on one day."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford base32: no I, L, O, U."""
_VALUES = {char: value for value, char in enumerate(_ALPHABET)}
_LOOKALIKES = str.maketrans("ILO", "110")
_SHAPE = re.compile(r"([0-9A-Za-z]{6})-?([0-9A-Za-z]{7})")


def make_number(local_date: date, dice: int) -> str:
    """``YYMMDD-XXXXXXC`` from the store's local date and a throw ``0 <= dice < DICE_SIDES``; same in, same out."""
    if not 0 <= dice < DICE_SIDES or not 2000 <= local_date.year <= 2099:
        raise ValueError(f"no order number for {local_date} and {dice}")
    day = f"{local_date:%y%m%d}"
    drawn = "".join(_ALPHABET[dice >> shift & 31] for shift in range(25, -1, -5))
    return f"{day}-{drawn}{_ALPHABET[_residue(day + drawn)]}"


def parse_number(text: str) -> str:
    """The number as we write it, from what a person typed: any case, I and L for 1, O for 0, the dash left out.

    Raises `Invalid` if it cannot be one: wrong shape, no such date, or a typo that the check character betrays.
    """
    shape = _SHAPE.fullmatch(text.strip())
    if shape is None:
        raise Invalid(f"{text!r} is not an order number: six digits, a dash, seven letters or digits")
    day, tail = (part.upper().translate(_LOOKALIKES) for part in shape.groups())
    if not day.isdigit() or not set(tail) <= _VALUES.keys():
        raise Invalid(f"{text!r} is not an order number: a date in digits, a dash, then no letter U")
    try:
        date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))
    except ValueError as error:
        raise Invalid(f"{text!r} is not an order number: there is no day {day}") from error
    if _residue(day + tail[:-1]) != _VALUES[tail[-1]]:
        raise Invalid(f"{text!r} is mistyped: its check character does not fit")
    return f"{day}-{tail}"


def renumbered(number: str, dice: int) -> str:
    """Another number of the same day, for when the first is taken."""
    day = date(2000 + int(number[:2]), int(number[2:4]), int(number[4:6]))
    return make_number(day, dice)


def order_workflow_id(store: str, number: str) -> str:
    """The one workflow that owns an order; starting a second one is refused, which keeps numbers unique."""
    return f"order.{store}.{number}"


def section_workflow_id(store: str, number: str, n: int) -> str:
    """The workflow of the order's ``n``-th section."""
    return f"section.{store}.{number}.{n}"


def _residue(chars: str) -> int:
    """The check value: characters weighted with the powers of alpha in GF(32) = GF(2)[x] / (x^5 + x^2 + 1).

    Alpha (x) is primitive, so the weights of the 13 places differ and none is zero: one wrong character changes the
    sum, and so does a swap of any two. (A sum modulo 32 would miss swaps: half of its weights are even.)
    """
    residue = 0
    for char in chars:
        residue = _times_alpha(residue ^ _VALUES[char])
    return residue


def _times_alpha(value: int) -> int:
    """Multiply by x and reduce."""
    return value << 1 if value < 16 else value << 1 ^ 0b100101
