"""Query and path parameters, the same way for every route: unknown ones refused, text that Postgres cannot hold too."""

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel
from starlette.requests import Request
from starlette.types import Scope

from api.problem import Refused, pointer
from domain.errors import Flaw

_KNOWN: WeakKeyDictionary[Any, frozenset[str]] = WeakKeyDictionary()
"""Names of the query parameters by endpoint function: they never change."""

UNMATCHED = "unmatched"


def template_of(scope: Scope) -> str:
    """The route's path with its parameters' names; ``unmatched`` when no route took the request."""
    path = getattr(_effective_route(scope), "path", None)
    return path if isinstance(path, str) else UNMATCHED


async def only_known(request: Request) -> None:
    """A dependency for all routes: refuses query parameters that the route does not declare (422)."""
    known = _known_by(request.scope)
    flaws = [
        Flaw(pointer("query", name), "unknown_parameter", "this address takes no such parameter")
        for name in dict.fromkeys(request.query_params.keys())
        if name not in known
    ]
    if flaws:
        raise Refused("unknown_parameter", f"known parameters: {', '.join(sorted(known)) or 'none'}", flaws=flaws)
    given = [("query", *pair) for pair in request.query_params.multi_items()]
    given += [("path", name, str(value)) for name, value in request.path_params.items()]
    for source, name, value in given:
        if "\x00" in value:
            detail = "text may not contain the character NUL"
            raise Refused("invalid_request", detail, flaws=[Flaw(pointer(source, name), "invalid_text", detail)])


def _effective_route(scope: Scope) -> Any:
    """The route that took the request, with the prefixes and dependencies of the routers that it was included in."""
    return scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")


def _known_by(scope: Scope) -> frozenset[str]:
    endpoint = scope["endpoint"]
    if endpoint not in _KNOWN:
        _KNOWN[endpoint] = frozenset(_names(_effective_route(scope).dependant))
    return _KNOWN[endpoint]


def _names(dependant: Any) -> Iterator[str]:
    """The query parameters of an endpoint and of all that it depends on; a model's fields are parameters."""
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from (inner.alias or name for name, inner in annotation.model_fields.items())
        else:
            yield field.alias
    for inner in dependant.dependencies:
        yield from _names(inner)
