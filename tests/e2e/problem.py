"""Refusals as a client must be able to read them."""

from typing import Any

import httpx

FIELDS = {"type", "title", "status", "detail", "code", "errors", "request_id", "retryable"}


def refusal(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem of an answer that must be refused like this."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert set(problem) >= FIELDS, problem
    assert (problem["code"], problem["status"]) == (code, status), problem
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["type"] == f"/problems/{code}"
    assert all(set(error) == {"pointer", "code", "detail"} for error in problem["errors"])
    assert "Traceback" not in answer.text
    return problem


def pointers(answer: httpx.Response) -> dict[str, str]:
    """Where a payload is wrong, and by which rule."""
    errors = refusal(answer, 422, "invalid_request")["errors"]
    return {error["pointer"]: error["code"] for error in errors}
