"""Versions as ``ETag`` and ``If-Match`` (RFC 9110): a change that must not act on a stale view names the view."""

import re
from typing import Any

from starlette.datastructures import Headers

from api.problem import Refused
from domain.errors import Flaw

_LIST = re.compile(r'\s*\*\s*|\s*(?:W/)?"[^"]*"\s*(?:,\s*(?:W/)?"[^"]*"\s*)*')
_TAG = re.compile(r'(W/)?"([^"]*)"')


def etag(version: int) -> str:
    """The version as a strong entity tag."""
    return f'"{version}"'


def refuse_stale(headers: Headers, current: int, **figures: Any) -> None:
    """Pass when ``If-Match`` is absent, ``*`` or names ``current``. Raises `Refused`: 412 stale, 422 misshapen."""
    given = headers.get("if-match")
    if given is None:
        return
    if not _LIST.fullmatch(given):
        detail = 'If-Match is * or entity tags such as "7"'
        raise Refused("invalid_header", detail, flaws=[Flaw("/headers/If-Match", "invalid_entity_tag", detail)])
    if given.strip() == "*" or ("", str(current)) in _TAG.findall(given):
        return
    raise Refused(
        "stale_version",
        f"this is version {current} by now",
        figures={"current_version": current, **figures},
        headers={"ETag": etag(current)},
    )
