"""``GET /v1/orders/{number}/events``: server-sent events, one for each new version of an order."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.applications import Starlette
from starlette.responses import StreamingResponse

from api.auth import Caller, require
from api.numbering import named
from api.resources import resources_of
from queries.watch import Watch, Watching

router = APIRouter(tags=["orders"])

HEARTBEAT_SECONDS = 15.0
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`event: changed`, `id` and `data.version` are the order's version.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'id: 7\nevent: changed\ndata: {"version": 7, "number": "261122-7K3M9QX"}\n\n',
            }
        },
    }
}


@router.get("/orders/{number}/events", summary="Follow an order", response_model=None, responses=_ANSWER)
async def follow(
    request: Request, number: str, caller: Annotated[Caller, Depends(require("orders:read"))]
) -> StreamingResponse:
    """The current version at once, then each new one. ``Last-Event-ID`` skips the version that is already known."""
    written = named(number)
    watch = watch_of(request.app, request)
    watching = await watch.open(caller.store, written)
    return StreamingResponse(
        _events(watch, watching, written, known=request.headers.get("last-event-id")),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def watch_of(app: Starlette, request: Request) -> Watch:
    """The process's one watch."""
    watch: Watch | None = getattr(app.state, "watch", None)
    if watch is None:
        watch = app.state.watch = Watch(resources_of(request).database)
    return watch


def close_streams(app: Starlette) -> None:
    """Let every open stream end; for the door, before it waits for open connections."""
    watch: Watch | None = getattr(app.state, "watch", None)
    if watch is not None:
        watch.close()


async def _events(watch: Watch, watching: Watching, number: str, *, known: str | None) -> AsyncIterator[bytes]:
    """Frames until the client leaves or the server goes down."""
    async with watch.following(watching):
        told = known if known == str(watching.version) else None
        if told:
            yield b": hello\n\n"
        while not watching.closed:
            version = watching.version
            if told != str(version):
                told = str(version)
                yield _frame(version, number)
            elif not await watching.news(seconds=HEARTBEAT_SECONDS):
                yield b": still here\n\n"


def _frame(version: int, number: str) -> bytes:
    return f"id: {version}\nevent: changed\ndata: {json.dumps({'version': version, 'number': number})}\n\n".encode()
