"""Whether an error means that Postgres is away or overloaded for the moment: the same call may be repeated later."""

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_AWAY = (
    "08",  # connection exceptions
    "53",  # insufficient resources: too many connections, out of memory
    "57P",  # shutting down, starting up, crashed
    "57014",  # statement timeout
    "40",  # serialization failure, deadlock: the transaction may be repeated
    "55P03",  # lock timeout
    "25006",  # connected to a standby in a fail-over
)
"""Beginnings of SQLSTATEs, Postgres manual appendix A."""


def is_outage(error: BaseException) -> bool:
    """Whether repeating the same call later is the right answer to ``error``. Looks at the error alone, asks nobody."""
    if isinstance(error, OSError | PoolTimeout | InterfaceError | asyncpg.InterfaceError):
        return True  # builtin TimeoutError is an OSError
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    origin = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(origin, "sqlstate", None) or "").startswith(_AWAY)
