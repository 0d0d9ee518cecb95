"""What becomes of a finished answer under the faults that need not understand its words."""

import asyncio

from starlette.responses import Response

from gateways.sandbox.server.connection import CutConnection, CutShort
from gateways.sandbox.server.fault import FaultKind, Fired


async def damaged(fired: Fired | None, whole: Response) -> Response:
    """As it is sent. The request was executed: the ledger has its effect."""
    match None if fired is None else fired.fault:
        case FaultKind.DROP_AFTER:
            return CutConnection()
        case FaultKind.GARBAGE:
            return Response(b"<html>502 upstream {", 200, media_type="application/json")
        case FaultKind.TRUNCATED:
            return CutShort.of(whole)
        case FaultKind.DELAY if fired is not None:
            await asyncio.sleep(fired.ms / 1000)
    return whole
