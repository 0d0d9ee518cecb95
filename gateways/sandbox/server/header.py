"""A fault that a request names itself: ``Sandbox-Fault: delay; ms=500``. It strikes that request or its first event."""

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateways.sandbox.server.arming import read_kind, read_milliseconds
from gateways.sandbox.server.fault import ASKED, Asked
from gateways.sandbox.server.refusal import Refusal, invalid
from gateways.sandbox.server.response import answer_json

NAME = "Sandbox-Fault"
_VALUE = re.compile(r"(?P<fault>[a-z0-9_]{1,40})(?:\s*;\s*ms=(?P<ms>-?[0-9]{1,9}))?")


class FaultInHeader:
    """Reads the header before the vendor's personality sees the request; a wrong one is refused in our own words."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set for every request: a pipelined one is begun in the context of the one before."""
        given = Headers(scope=scope).get(NAME) if scope["type"] == "http" else None
        try:
            ASKED.set(None if given is None else read(given))
        except Refusal as refusal:
            await answer_json(refusal.status, {"error": refusal.as_json()})(scope, receive, send)
            return
        await self._app(scope, receive, send)


def read(value: str) -> Asked:
    """Raises `NotTaken`."""
    match = _VALUE.fullmatch(value.strip())
    if match is None:
        raise invalid(NAME, "must be a fault, or a fault and its milliseconds: delay; ms=500")
    kind = read_kind(match["fault"], NAME)
    return Asked(kind, read_milliseconds(None if match["ms"] is None else int(match["ms"]), kind))
