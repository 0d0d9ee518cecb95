"""The OpenAPI document: what FastAPI knows of the routes, and what holds for all of them."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problem import MEDIA_TYPE, STATUS

KEY_REQUIRED = frozenset({"/v1/checkouts"})
"""Where an Idempotency-Key has to be sent."""
_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
_FLAW = {
    "type": "object",
    "required": ["pointer", "code", "detail"],
    "properties": {
        "pointer": {"type": "string", "description": "JSON pointer into the body, or below /query, /headers, /path."},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `code` is stable; `figures` are the server's own numbers (minor units).",
    "required": ["type", "title", "status", "detail", "code", "errors", "request_id", "retryable"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "examples": sorted(STATUS)},
        "errors": {"type": "array", "items": _FLAW},
        "request_id": {"type": ["string", "null"]},
        "retryable": {"type": "boolean", "description": "The same request may be sent again unchanged."},
        "figures": {"type": "object"},
    },
}
_KEY = {
    "name": "Idempotency-Key",
    "description": "The same key and body again: the stored answer, with `Idempotent-Replayed: true`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_PREFER = {
    "name": "Prefer",
    "description": "`wait=N`: wait up to so many seconds (0 to 30) for the outcome.",
    "schema": {"type": "string", "pattern": "^wait=([0-9]|[12][0-9]|30)$"},
}
_TAGS = {"type": "string", "pattern": '^([*]|"[0-9]+")$'}
_IF_MATCH = {"name": "If-Match", "description": "Only if this is still the version; else 412.", "schema": _TAGS}
_IF_NONE_MATCH = {"name": "If-None-Match", "description": "304 if this is still the version.", "schema": _TAGS}
_FOREIGN = ("HTTPValidationError", "ValidationError")
"""Shapes that FastAPI declares and we do not answer with."""


def describe(app: FastAPI) -> None:
    """Make ``app`` serve our document; it is built once, at the first request for it."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(
                get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            )
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # FastAPI's documented way


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for foreign in _FOREIGN:
        schemas.pop(foreign, None)
    schemas["Problem"] = _PROBLEM
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _say_problem(operation)
            for header in _headers_of(path, method, operation):
                _say_header(operation, header)
    return document


def _say_problem(operation: dict[str, Any]) -> None:
    """Every refusal has one shape."""
    responses = operation["responses"]
    responses.pop("422", None)
    responses["default"] = {"description": "A refusal.", "content": {MEDIA_TYPE: {"schema": _PROBLEM_REF}}}


def _headers_of(path: str, method: str, operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Headers that routes read themselves."""
    if method == "post" and operation.get("security"):
        yield _KEY | {"required": path in KEY_REQUIRED}
    if "202" in operation["responses"] or path == "/v1/commands/{command_id}":
        yield _PREFER
    if method != "get" and (path == "/v1/routing" or path.startswith("/v1/orders/{number}/")):
        yield _IF_MATCH
    if path == "/v1/orders/{number}":
        yield _IF_NONE_MATCH


def _say_header(operation: dict[str, Any], header: dict[str, Any]) -> None:
    """Declare a header, unless the route has done so."""
    parameters = operation.setdefault("parameters", [])
    if not any(parameter["name"].lower() == header["name"].lower() for parameter in parameters):
        parameters.append({"in": "header", "required": False} | header)
