"""Breaking the TCP connection: instead of an answer (``drop_before``, ``drop_after``) or in it (``truncated``)."""

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
        await _end(scope, receive, "abort")


class CutShort(Response):
    """The first half of a body whose headers announce all of it; then the connection ends."""

    @classmethod
    def of(cls, whole: Response) -> "CutShort":
        """The same answer, which will not come to its end."""
        short = cls(whole.body, whole.status_code)
        short.raw_headers = whole.raw_headers
        return short

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What was written must leave before the end: a close waits for it, an abort does not."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await _end(scope, receive, "close")


async def _end(scope: Scope, receive: Receive, how: str) -> None:
    end = getattr(scope.get(_TRANSPORT), how, None)
    if end is None:
        raise RuntimeError("the HTTP server does not expose its transport")
    end()
    while (await receive())["type"] != "http.disconnect":
        pass
