"""The header ``Prefer: wait=N`` (RFC 7240): how long a client wants to wait for an outcome."""

from starlette.datastructures import Headers

from api.problem import Refused
from domain.errors import Flaw

LONGEST_WAIT = 30
"""Seconds that a request may wait for an outcome."""


def wait_of(headers: Headers) -> int | None:
    """Seconds to wait, 0 to 30; None when nothing is said. Other preferences are ignored. Raises `Refused` (422)."""
    for preference in ",".join(headers.getlist("prefer")).split(","):
        name, _, value = preference.split(";")[0].partition("=")
        if name.strip().lower() != "wait":
            continue
        seconds = value.strip().strip('"')
        if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 2 and int(seconds) <= LONGEST_WAIT):
            detail = f"wait is a whole number of seconds from 0 to {LONGEST_WAIT}"
            raise Refused("invalid_header", detail, flaws=[Flaw("/headers/Prefer", "invalid_wait", detail)])
        return int(seconds)
    return None


def applied(wait: int | None) -> dict[str, str]:
    """The answer's ``Preference-Applied``, when a wait was asked for."""
    return {} if wait is None else {"Preference-Applied": f"wait={wait}"}
