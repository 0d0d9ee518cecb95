"""Times as the API writes and reads them: RFC 3339, written in UTC with Z."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, overload

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)([Zz]|[+ -]\d\d:\d\d)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@overload
def rfc3339(moment: datetime) -> str: ...
@overload
def rfc3339(moment: datetime | None) -> str | None: ...
def rfc3339(moment: datetime | None) -> str | None:
    """A time as the API writes it."""
    if moment is None:
        return None
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def read_time(text: str) -> datetime:
    """A time as clients write it; a plus sign that a query string turned into a space is one again. `ValueError`."""
    shape = _TIME.fullmatch(text.strip())
    if shape is None:
        raise ValueError(text)
    day, clock, zone = shape.groups()
    zone = "+00:00" if zone in "Zz" else zone.replace(" ", "+")
    whole, _, fraction = clock.partition(".")
    clock = f"{whole}.{fraction[:6].ljust(6, '0')}" if fraction else whole
    try:
        return datetime.fromisoformat(f"{day}T{clock}{zone}").astimezone(UTC)
    except OverflowError as error:
        raise ValueError(text) from error


def _moment(value: object) -> datetime:
    return _read(value, end_of_day=False)


def _end(value: object) -> datetime:
    return _read(value, end_of_day=True)


def _read(value: object, *, end_of_day: bool) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        if not isinstance(value, str):
            raise ValueError(value)  # noqa: TRY004 - pydantic wants a ValueError of it
        if _DAY.fullmatch(value):
            day = datetime.fromisoformat(value).replace(tzinfo=UTC)
            return day + timedelta(days=1) if end_of_day else day
        return read_time(value)
    except (ValueError, OverflowError) as error:
        raise PydanticCustomError(
            "not_a_time", "must be an RFC 3339 time such as 2026-11-22T09:30:00Z, or a date"
        ) from error


_SCHEMA = WithJsonSchema({"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]})
Moment = Annotated[datetime, BeforeValidator(_moment), _SCHEMA]
"""An RFC 3339 time; a plain date is the beginning of that day in UTC."""
Until = Annotated[datetime, BeforeValidator(_end), _SCHEMA]
"""An RFC 3339 time that is not included any more; a plain date is included (in UTC)."""
