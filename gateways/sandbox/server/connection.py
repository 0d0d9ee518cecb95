"""Cutting the TCP connection without an answer, for the faults ``drop_before`` and ``drop_after``."""

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import override

_TRANSPORT = "sandbox.transport"


class TransportInScope:
    """The outermost application: notes uvicorn's transport, which ASGI itself does not pass on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``send`` is a method of uvicorn's request cycle, which owns the transport."""
        if scope["type"] == "http":
            scope[_TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await self._app(scope, receive, send)


class CutConnection(Response):
    """Not a response: the client sees the connection die."""

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Abort, then wait until the server has noticed, so that it does not try to answer."""
        abort = getattr(scope.get(_TRANSPORT), "abort", None)
        if abort is None:
            raise RuntimeError("the HTTP server does not expose its transport")
        abort()
        while (await receive())["type"] != "http.disconnect":
            pass
