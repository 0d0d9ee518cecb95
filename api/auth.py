"""Who is asking: a store's key, looked up by its hash and remembered for a few seconds."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from api.problem import Refused
from queries.store import KeyView

SCOPES = ("checkout", "orders:read", "orders:write", "refunds:write", "routing:write", "catalog:write", "admin")
"""What a key may open; ``admin`` opens everything of its store."""
REMEMBERED = 5.0
"""Seconds for which a key is not looked up again; a revoked key dies within this time."""
MOST_REMEMBERED = 2000
"""Keys that one process remembers."""

BEARER = HTTPBearer(
    scheme_name="key", description="A key of one store, sent as `Authorization: Bearer <key>`.", auto_error=False
)

FindKey = Callable[[str], Awaitable[KeyView | None]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request this is. ``label`` is the key's name for the timeline."""

    key_id: UUID
    store: str
    scopes: frozenset[str]
    label: str

    def may(self, scope: str) -> bool:
        """Whether the key opens ``scope``."""
        return scope in self.scopes or "admin" in self.scopes


class KeyRing:
    """Keys that were looked up lately. Requests that need the same key at once share one look-up.

    Unknown keys are not remembered: a new key works at once.
    """

    def __init__(self, find: FindKey, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._find = find
        self._clock = clock
        self._known: dict[str, tuple[float, KeyView]] = {}
        self._asking: dict[str, asyncio.Task[KeyView | None]] = {}

    async def find(self, key: str) -> KeyView | None:
        """The key, or None if it is unknown or revoked. Raises what the database raises."""
        key_hash = hashlib.sha256(key.encode()).hexdigest()
        until, view = self._known.get(key_hash, (0.0, None))
        if view is not None and self._clock() < until:
            return view
        asking = self._asking.get(key_hash)
        if asking is None:
            asking = self._asking[key_hash] = asyncio.create_task(self._ask(key_hash))
        return await asyncio.shield(asking)

    async def _ask(self, key_hash: str) -> KeyView | None:
        try:
            view = await self._find(key_hash)
        finally:
            del self._asking[key_hash]
        self._known.pop(key_hash, None)
        if view is not None:
            while len(self._known) >= MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[key_hash] = (self._clock() + REMEMBERED, view)
        return view


@cache
def require(*scopes: str) -> Callable[..., Awaitable[Caller]]:
    """A dependency that lets a key with one of ``scopes`` (or ``admin``) pass, and says who it is; else 401 or 403."""
    if not scopes or not set(scopes) <= set(SCOPES):
        raise ValueError(f"{scopes} are no scopes")

    async def caller(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
    ) -> Caller:
        found = await authenticate(request, given.credentials if given else None)
        if not any(found.may(scope) for scope in scopes):
            raise Refused("scope_missing", f"this key lacks the scope {' or '.join(scopes)}")
        return found

    return caller


async def authenticate(request: Request, key: str | None) -> Caller:
    """The caller with this key. Raises `Refused` (401); an app keeps its `KeyRing` in ``state.keys``."""
    ring: KeyRing = request.app.state.keys
    view = await ring.find(key) if key else None
    if view is None:
        detail = "this key is unknown or revoked" if key else "send Authorization: Bearer <key>"
        wanted = 'Bearer realm="opms", error="invalid_token"' if key else 'Bearer realm="opms"'
        raise Refused("unauthenticated", detail, headers={"WWW-Authenticate": wanted})
    request.state.store = view.store
    structlog.contextvars.bind_contextvars(store=view.store)
    return Caller(view.id, view.store, view.scopes, view.label)
