"""What happens around every request, on the real application; nothing it depends on is there."""

import json
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import structlog
from fastapi import FastAPI, Request
from pydantic import BaseModel
from temporalio.client import Client

from api.app import create_app
from api.middleware import LARGEST_BODY, Intake
from api.parameters import template_of
from api.problem import MEDIA_TYPE
from gateways.gateway import Account
from gateways.sandbox.adapter import SandboxGateway
from gateways.sandbox.server.delivery import sign
from models.database import Database
from wiring.ports import free_ports
from wiring.resources import Resources
from wiring.settings import Settings

VISA = "4111111111111111"


class Note(BaseModel):
    text: str = ""
    more: dict[str, str] = {}


@pytest.fixture
async def app() -> AsyncIterator[FastAPI]:
    postgres, temporal = free_ports(2)
    settings = Settings.model_validate({"database_url": f"postgresql://opms:secret@127.0.0.1:{postgres}/opms"})
    database = Database(settings.database_url)
    client = await Client.connect(f"127.0.0.1:{temporal}", lazy=True)
    gateway = SandboxGateway(Account("sandbox-a", "http://127.0.0.1:9", "key"))
    app = create_app(Resources(settings, database, client, {"sandbox-a": gateway}))

    @app.post("/notes/{number}")
    async def take(number: str, note: Note, request: Request) -> dict[str, str]:
        return {"template": template_of(request.scope), "number": number, "text": note.text}

    @app.get("/broken")
    async def break_down() -> None:
        raise ValueError(f"secret {VISA}")

    yield app
    await database.close()


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://opms") as client:
        yield client


def code_of(response: httpx.Response) -> str:
    assert response.headers["content-type"] == MEDIA_TYPE
    body = response.json()
    assert body["status"] == response.status_code
    assert body["request_id"] == response.headers["x-request-id"]
    return str(body["code"])


async def test_an_inbound_request_id_is_kept(http: httpx.AsyncClient) -> None:
    response = await http.get("/healthz", headers={"X-Request-Id": "shop-17:a.b"})
    assert response.headers["x-request-id"] == "shop-17:a.b"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, VISA, '"><script>', "ü"])
async def test_a_strange_request_id_is_replaced(http: httpx.AsyncClient, given: str) -> None:
    response = await http.get("/healthz", headers=[(b"X-Request-Id", given.encode())])
    assert len(response.headers["x-request-id"]) == 36


async def test_an_unknown_address_and_method_are_problems(http: httpx.AsyncClient) -> None:
    assert code_of(await http.get("/nowhere")) == "not_found"
    response = await http.delete("/healthz")
    assert code_of(response) == "method_not_allowed"
    assert response.headers["allow"] == "GET"


async def test_a_misshapen_body_is_a_problem_with_pointers(http: httpx.AsyncClient) -> None:
    response = await http.post("/notes/1", json={"text": 7, "more": {"a": 1}})
    assert code_of(response) == "invalid_request"
    assert [flaw["pointer"] for flaw in response.json()["errors"]] == ["/text", "/more/a"]


@pytest.mark.parametrize("body", [b"{", b"[" * 200_000, b'{"text": "\xff"}'])
async def test_a_body_that_is_no_json_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    response = await http.post("/notes/1", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in {400, 422}
    assert code_of(response) in {"bad_request", "invalid_request"}


async def test_a_body_above_one_mebibyte_is_refused(http: httpx.AsyncClient) -> None:
    fits = json.dumps({"text": "x" * (LARGEST_BODY - 12)}).encode()
    assert len(fits) == LARGEST_BODY
    as_json = {"Content-Type": "application/json"}
    assert (await http.post("/notes/1", content=fits, headers=as_json)).status_code == 200
    assert code_of(await http.post("/notes/1", content=fits + b" ", headers=as_json)) == "body_too_large"

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(LARGEST_BODY // 65536 + 1):
            yield b" " * 65536

    assert code_of(await http.post("/notes/1", content=chunks(), headers=as_json)) == "body_too_large"


async def test_a_card_number_is_refused_and_neither_told_nor_logged(http: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        response = await http.post("/notes/1", json={"more": {"pan": "4111 1111 1111 1111"}})
    assert code_of(response) == "card_number_not_accepted"
    assert response.json()["errors"][0]["pointer"] == "/more/pan"
    assert "1111" not in response.text
    assert "1111" not in str(lines)


async def test_bodies_of_gateways_are_theirs_and_are_sent_again_while_they_cannot_be_stored(
    http: httpx.AsyncClient,
) -> None:
    event = {"id": VISA, "type": "t", "reference": VISA, "merchant_ref": "m", "occurred_at": "2026-11-23T00:00:00Z"}
    raw = json.dumps({"events": [event]}).encode()
    headers = {"Sandbox-Signature": sign("key", raw, time.time())}
    with structlog.testing.capture_logs() as lines:
        response = await http.post("/v1/webhooks/sandbox-a", content=raw, headers=headers)
    assert response.status_code == 503
    assert code_of(response) == "unavailable"
    assert VISA not in f"{lines}{response.text}"


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "\udc00\ud800"])
async def test_text_that_postgres_cannot_hold_is_refused(http: httpx.AsyncClient, text: str) -> None:
    response = await http.post(
        "/notes/1", content=json.dumps({"text": text}), headers={"Content-Type": "application/json"}
    )
    assert code_of(response) == "invalid_request"


@pytest.mark.parametrize("text", ["😀", "한글", "\\u0000", "\\ud800", "😀😀"])
async def test_text_in_escapes_passes(http: httpx.AsyncClient, text: str) -> None:
    response = await http.post(
        "/notes/1", content=json.dumps({"text": text}), headers={"Content-Type": "application/json"}
    )
    assert response.json()["text"] == text


async def test_unknown_query_parameters_are_refused_everywhere(http: httpx.AsyncClient) -> None:
    for address in ("/healthz?limit=1", "/v1/skus?q=1&Limit=3&limit", "/metrics?limit", "/v1/routing/stats?limit=2"):
        response = await http.get(address)
        assert code_of(response) == "unknown_parameter", address
        [flaw] = response.json()["errors"]
        assert flaw["pointer"].lower() == "/query/limit"


async def test_nul_in_an_address_is_refused(http: httpx.AsyncClient) -> None:
    assert code_of(await http.get("/v1/skus?q=%00")) == "invalid_request"
    assert code_of(await http.post("/notes/a%00b", json={})) == "invalid_request"


async def test_a_bug_is_a_500_without_details(http: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        response = await http.get("/broken")
    assert response.status_code == 500
    assert code_of(response) == "internal_error"
    assert "secret" not in response.text
    assert "secret" not in str(lines)
    assert [line["event"] for line in lines] == ["http.failed", "http.request"]
    assert lines[0]["kinds"] == ["builtins.ValueError"]


async def test_without_postgres_a_request_may_be_repeated(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/skus", headers={"Authorization": "Bearer k"})
    assert code_of(response) == "unavailable"
    assert response.json()["retryable"] is True
    assert response.headers["retry-after"]


async def test_without_a_key_nothing_is_asked(http: httpx.AsyncClient) -> None:
    for headers in ({}, {"Authorization": "Basic eA=="}, {"Authorization": "Bearer "}):
        response = await http.get("/v1/skus", headers=headers)
        assert code_of(response) == "unauthenticated"
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_readiness_names_what_is_away(http: httpx.AsyncClient) -> None:
    response = await http.get("/readyz")
    assert code_of(response) == "unavailable"
    assert response.json()["figures"] == {"postgres": "unreachable", "temporal": "unreachable", "workers": "unknown"}


async def test_one_line_for_a_request_without_what_is_in_it(http: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        await http.post("/notes/minji@example.com", json={"text": "Seoul"})
        await http.get("/minji@example.com")
    first, second = lines
    assert first["event"] == "http.request"
    assert (first["method"], first["route"], first["status"]) == ("POST", "/notes/{number}", 200)
    assert (second["route"], second["status"]) == ("unmatched", 404)
    assert "minji" not in str(lines)


async def test_metrics_know_templates_only(http: httpx.AsyncClient) -> None:
    await http.post("/notes/a-number", json={})
    await http.get("/v1/commands/0192f0c1-2345-7678-8901-234567890123")
    text = (await http.get("/metrics")).text
    assert 'route="/notes/{number}"' in text
    assert 'route="/v1/commands/{command_id}"' in text
    assert "a-number" not in text


async def test_the_body_is_read_once_and_disconnects_pass() -> None:
    seen = []

    async def inner(_scope: object, receive: object, _send: object) -> None:
        seen.extend([await receive(), await receive()])  # type: ignore[operator]

    messages: Iterator[dict[str, object]] = iter(
        [
            {"type": "http.request", "body": b'{"a"', "more_body": True},
            {"type": "http.request", "body": b": 1}"},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> dict[str, object]:
        return next(messages)

    async def send(_message: object) -> None:
        raise AssertionError

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    await Intake(inner)(scope, receive, send)
    assert seen == [{"type": "http.request", "body": b'{"a": 1}', "more_body": False}, {"type": "http.disconnect"}]


async def test_the_openapi_document_declares_the_key(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert document["paths"]["/v1/skus"]["put"]["security"] == [{"key": []}]
