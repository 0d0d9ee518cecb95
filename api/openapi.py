"""The OpenAPI document: what FastAPI knows of the routes, and what holds for all of them."""

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
            if method == "post" and operation.get("security"):
                _say_key(operation, required=path in KEY_REQUIRED)
    return document


def _say_problem(operation: dict[str, Any]) -> None:
    """Every refusal has one shape."""
    responses = operation["responses"]
    responses.pop("422", None)
    responses["default"] = {"description": "A refusal.", "content": {MEDIA_TYPE: {"schema": _PROBLEM_REF}}}


def _say_key(operation: dict[str, Any], *, required: bool) -> None:
    """Every POST by a store honours an Idempotency-Key."""
    parameters = operation.setdefault("parameters", [])
    if not any(parameter.get("name", "").lower() == "idempotency-key" for parameter in parameters):
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": required,
                "description": "The same key and body again: the stored answer, with `Idempotent-Replayed: true`.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        )
