"""Webhooks at the door, on a real database: verified before anything else, stored once, acknowledged. No Temporal."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog
from sqlalchemy import text
from temporalio.client import Client
from typing_extensions import override

from api.app import create_app
from api.problem import MEDIA_TYPE
from cli.database import migrate
from cli.seed import seed
from commands.webhook import LARGEST_BODY
from domain.gateway import Outcome
from gateways.gateway import Account, Gateway, WebhookBatch, WebhookTrust
from gateways.sandbox.adapter import SandboxGateway
from gateways.sandbox.server.delivery import sign
from models.database import Database
from wiring.embedded import EmbeddedPostgres
from wiring.ports import free_ports
from wiring.resources import Resources
from wiring.settings import Settings
from wiring.webhook import StoredEvents

VISA = "4111111111111111"
SECRET = "key-of-a"
ADMIN = {"Authorization": "Bearer admin"}


class Talkative(SandboxGateway):
    """A PG that wants an answer of its own, and states outcomes in what it signs."""

    @override
    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookBatch:
        batch = super().parse_webhook(raw, headers)
        stated: dict[str, Any] = {
            "outcome": Outcome.SUCCEEDED,
            "amount": 12_900,
            "currency": "KRW",
            "operation_ref": "psp-2",
        }
        events = tuple(replace(event, **stated) for event in batch.events)
        return replace(batch, events=events, ack_status=202, ack_body=b"[accepted]", ack_content_type="text/html")


class Unsigned(SandboxGateway):
    """A PG whose webhooks nobody can verify."""

    @override
    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookBatch:
        return replace(super().parse_webhook(raw, headers), trust=WebhookTrust.UNSIGNED)


GATEWAYS: dict[str, Gateway] = {
    name: kind(Account(name, "http://127.0.0.1:9", SECRET if name == "sandbox-a" else f"key-of-{name}"))
    for name, kind in (
        ("sandbox-a", SandboxGateway),
        ("sandbox-b", SandboxGateway),
        ("talkative", Talkative),
        ("unsigned", Unsigned),
    )
}


@pytest.fixture(scope="module")
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    await postgres.create_database("webhooks")
    url = postgres.url("webhooks")
    await migrate(url)
    await seed(url, api_key="shop", admin_key="admin")
    pools = Database(url, size=4, application="opms-test")
    yield pools
    await pools.close()


@pytest.fixture(scope="module")
async def http(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings.model_validate({"database_url": "postgresql://opms@127.0.0.1/opms"})
    client = await Client.connect(f"127.0.0.1:{free_ports(1)[0]}", lazy=True)
    app = create_app(Resources(settings, database, client, GATEWAYS))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://opms") as client_of_app:
        yield client_of_app


def an_event(**changed: Any) -> dict[str, Any]:
    fixed = {"type": "payment.captured", "occurred_at": "2026-11-23T01:00:00+00:00"}
    return (
        fixed | {"id": f"evt-{uuid4().hex}", "reference": f"pay-{uuid4().hex}", "merchant_ref": uuid4().hex} | changed
    )


def a_body(*events: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"events": events, **more}).encode()


async def deliver(
    http: httpx.AsyncClient, raw: bytes, account: str = "sandbox-a", *, secret: str | None = None, age: float = 0
) -> httpx.Response:
    """As the PG posts it; ``age`` seconds ago."""
    key = secret or (SECRET if account == "sandbox-a" else f"key-of-{account}")
    headers = {"Sandbox-Signature": sign(key, raw, time.time() - age), "Content-Type": "application/json"}
    return await http.post(f"/v1/webhooks/{account}", content=raw, headers=headers)


async def rows(database: Database, event_id: str) -> list[dict[str, Any]]:
    async with database.reading() as connection:
        found = await connection.execute(text("SELECT * FROM webhook_event WHERE event_id = :id"), {"id": event_id})
        return [dict(row) for row in found.mappings()]


async def count_rows(database: Database) -> int:
    async with database.reading() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM webhook_event"))).scalar_one())


async def counted(http: httpx.AsyncClient, name: str, **labels: str) -> float:
    """A counter's value."""
    given = ",".join(f'{label}="{value}"' for label, value in labels.items())
    wanted = f"{name}_total{{{given}}} "
    lines = (await http.get("/metrics")).text.splitlines()
    return float(next((line.removeprefix(wanted) for line in lines if line.startswith(wanted)), "0"))


async def refused(http: httpx.AsyncClient, reason: str, account: str = "sandbox-a") -> float:
    return await counted(http, "opms_webhooks_refused", account=account, reason=reason)


async def result(http: httpx.AsyncClient, what: str, account: str = "sandbox-a") -> float:
    return await counted(http, "opms_webhook_events", account=account, result=what)


def code_of(response: httpx.Response) -> str:
    assert response.headers["content-type"] == MEDIA_TYPE
    return str(response.json()["code"])


async def test_a_verified_event_is_stored_without_its_body_and_acknowledged(
    http: httpx.AsyncClient, database: Database
) -> None:
    event = an_event()
    raw = b"  " + a_body(event, customer={"card": VISA, "name": "Kim Minji"})
    before = await result(http, "unmatched")
    with structlog.testing.capture_logs() as lines:
        answer = await deliver(http, raw)
    assert (answer.status_code, answer.content) == (200, b"")
    [row] = await rows(database, event["id"])
    told = {"account": "sandbox-a", "kind": event["type"], "merchant_ref": event["merchant_ref"], "trust": "signed"}
    assert row | told | {"reference": event["reference"], "store_id": "demo"} == row
    assert row["occurred_at"] == datetime(2026, 11, 23, 1, tzinfo=UTC)
    assert bytes(row["body_hash"]) == hashlib.sha256(raw).digest()
    assert (row["order_id"], row["matched"], row["delivered_at"], row["outcome"]) == (None, False, None, "succeeded")
    assert VISA not in f"{row}{lines}"
    assert "Minji" not in f"{row}{lines}"
    assert await result(http, "unmatched") == before + 1


async def test_the_same_event_again_is_acknowledged_and_stored_once_even_after_a_week(
    http: httpx.AsyncClient, database: Database
) -> None:
    event = an_event()
    duplicates = await result(http, "duplicate")
    assert (await deliver(http, a_body(event))).status_code == 200
    [first] = await rows(database, event["id"])
    async with database.statement() as connection:
        statement = "UPDATE webhook_event SET received_at = received_at - interval '7 days' WHERE event_id = :id"
        await connection.execute(text(statement), {"id": event["id"]})
    for body in (a_body(event), a_body(event | {"type": "payment.voided"})):
        assert (await deliver(http, body)).status_code == 200
    [row] = await rows(database, event["id"])
    assert (row["id"], row["kind"]) == (first["id"], "payment.captured")
    assert await result(http, "duplicate") == duplicates + 2


async def test_many_deliveries_of_one_event_at_once_are_one_row(http: httpx.AsyncClient, database: Database) -> None:
    event = an_event()
    answers = await asyncio.gather(*(deliver(http, a_body(event)) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await rows(database, event["id"])) == 1


async def test_one_body_may_have_many_events_or_none(http: httpx.AsyncClient, database: Database) -> None:
    events = [an_event(), an_event()]
    assert (await deliver(http, a_body(*events, events[0]))).status_code == 200
    assert [len(await rows(database, event["id"])) for event in events] == [1, 1]
    stored = await count_rows(database)
    assert (await deliver(http, a_body())).status_code == 200
    assert await count_rows(database) == stored


async def test_the_same_event_id_of_two_accounts_is_two_events(http: httpx.AsyncClient, database: Database) -> None:
    event = an_event()
    for account in ("sandbox-a", "sandbox-b"):
        assert (await deliver(http, a_body(event), account)).status_code == 200
    assert {row["account"] for row in await rows(database, event["id"])} == {"sandbox-a", "sandbox-b"}


async def test_what_is_not_signed_now_by_this_account_is_refused_counted_and_not_stored(
    http: httpx.AsyncClient, database: Database
) -> None:
    stored, before = await count_rows(database), await refused(http, "webhook_refused")
    raw = a_body(an_event(), card=VISA)
    stamped = {"Sandbox-Signature": sign(SECRET, raw, time.time())}
    with structlog.testing.capture_logs() as lines:
        answers = [
            await deliver(http, raw, age=7 * 86_400),
            await deliver(http, raw, age=-3_600),
            await deliver(http, raw, secret="key-of-sandbox-b"),
            await http.post("/v1/webhooks/sandbox-a", content=raw),
            await http.post("/v1/webhooks/sandbox-a", content=raw.replace(b"captured", b"refunded"), headers=stamped),
            await http.post("/v1/webhooks/sandbox-a", content=raw + b" ", headers=stamped),
            await deliver(http, b"no webhook at all"),
        ]
    assert [(answer.status_code, code_of(answer)) for answer in answers] == [(401, "webhook_refused")] * 7
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert await count_rows(database) == stored
    assert await refused(http, "webhook_refused") == before + 7
    reasons = [line["reason"] for line in lines if line["event"] == "webhook.refused"]
    assert "the signature is too old or from the future" in reasons
    assert VISA not in f"{lines}{[answer.text for answer in answers]}"


async def test_an_account_that_nobody_has_is_unknown_whatever_it_sends(
    http: httpx.AsyncClient, database: Database
) -> None:
    stored, before = await count_rows(database), await refused(http, "gateway_not_found", "unknown")
    for account in ("nobody", "x" * 300, VISA):
        answer = await deliver(http, a_body(an_event()), account, secret=SECRET)
        assert (answer.status_code, code_of(answer)) == (404, "gateway_not_found")
        assert account not in answer.text
    assert await count_rows(database) == stored
    assert await refused(http, "gateway_not_found", "unknown") == before + 3
    assert VISA not in (await http.get("/metrics")).text


async def test_a_large_body_is_refused_before_it_is_read_to_its_end(
    http: httpx.AsyncClient, database: Database
) -> None:
    stored, before = await count_rows(database), await refused(http, "body_too_large")
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 64 * LARGEST_BODY:
            taken += 65_536
            yield b" " * 65_536

    announced = await http.post("/v1/webhooks/sandbox-a", content=b" " * (LARGEST_BODY + 1))
    streamed = await http.post("/v1/webhooks/sandbox-a", content=endless())
    for answer in (announced, streamed):
        assert (answer.status_code, code_of(answer)) == (413, "body_too_large")
        assert str(LARGEST_BODY) in answer.json()["detail"]
    assert LARGEST_BODY < taken <= LARGEST_BODY + 2 * 65_536
    assert await count_rows(database) == stored
    assert await refused(http, "body_too_large") == before + 2


@pytest.mark.parametrize("sent_as", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "ü"])
async def test_the_raw_bytes_reach_the_adapter_whatever_they_say_they_are(
    http: httpx.AsyncClient, sent_as: str
) -> None:
    raw = b"\n\t " + a_body(an_event(), tid=VISA, text="\x00 \ud800")
    headers = [(b"Sandbox-Signature", sign(SECRET, raw, time.time()).encode()), (b"Content-Type", sent_as.encode())]
    assert (await http.post("/v1/webhooks/sandbox-a", content=raw, headers=headers)).status_code == 200


@pytest.mark.parametrize("strange", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
async def test_a_time_that_is_none_is_not_kept(http: httpx.AsyncClient, database: Database, strange: str) -> None:
    event = an_event(occurred_at=strange)
    assert (await deliver(http, a_body(event))).status_code == 200
    [row] = await rows(database, event["id"])
    assert (row["occurred_at"], row["occurred_on"]) == (None, None)


@pytest.mark.parametrize(
    "strange", [{"id": "a\x00b"}, {"type": "\ud800"}, {"reference": "x" * 201}, {"merchant_ref": "\udfff"}]
)
async def test_text_that_the_table_cannot_hold_is_refused_not_sent_again_for_days(
    http: httpx.AsyncClient, database: Database, strange: dict[str, str]
) -> None:
    stored = await count_rows(database)
    answer = await deliver(http, a_body(an_event(), an_event(**strange)))
    assert (answer.status_code, code_of(answer)) == (401, "webhook_refused")
    assert await count_rows(database) == stored


async def test_an_event_is_acknowledged_as_its_pg_wants_and_keeps_what_it_states(
    http: httpx.AsyncClient, database: Database
) -> None:
    first, second = an_event(), an_event()
    second["merchant_ref"] = first["merchant_ref"]
    answer = await deliver(http, a_body(first), "talkative")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (202, b"[accepted]", "text/html")
    assert (await deliver(http, a_body(second), "talkative")).status_code == 202
    [row] = await rows(database, first["id"])
    stated = {"outcome": "succeeded", "amount": 12_900, "currency": "KRW", "operation_ref": "psp-2"}
    assert row | stated | {"store_id": None} == row
    signed = await StoredEvents(database, "talkative").of(first["merchant_ref"])
    assert [event.event_id for event in signed] == [first["id"], second["id"]]
    raw = a_body(first)
    headers = {"Sandbox-Signature": sign("key-of-talkative", raw, time.time())}
    [read] = GATEWAYS["talkative"].parse_webhook(raw, headers).events
    assert signed[0] == read
    assert await StoredEvents(database, "sandbox-a").of(first["merchant_ref"]) == ()


async def test_what_is_neither_signed_nor_about_an_order_is_acknowledged_counted_and_not_stored(
    http: httpx.AsyncClient, database: Database
) -> None:
    stored, before = await count_rows(database), await result(http, "unmatched_unsigned", "unsigned")
    raw = a_body(an_event(), an_event())
    for _ in range(2):
        assert (await deliver(http, raw, "unsigned")).status_code == 200
    assert await count_rows(database) == stored
    assert await result(http, "unmatched_unsigned", "unsigned") == before + 4
    assert await result(http, "duplicate", "unsigned") == 0
    assert await result(http, "unmatched", "unsigned") == 0


async def test_what_is_about_no_order_waits_for_review_page_by_page(http: httpx.AsyncClient) -> None:
    events = [an_event() for _ in range(3)]
    for event in events:
        await deliver(http, a_body(event))
    query: dict[str, Any] = {"matched": "false", "reviewed": "false", "limit": 2}
    seen: list[dict[str, Any]] = []
    while True:
        page = (await http.get("/v1/webhook-events", params=query, headers=ADMIN)).json()
        assert len(page["items"]) <= 2
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    ids = [item["event_id"] for item in seen]
    assert ids[-3:] == [event["id"] for event in events]
    assert len({item["id"] for item in seen}) == len(seen)
    last = seen[-1]
    assert (last["matched"], last["order"], last["trust"], last["reviewed_at"]) == (False, None, "signed", None)
    assert last["occurred_at"] == "2026-11-23T01:00:00.000000Z"
    assert "body" not in "".join(last)
    matched = (await http.get("/v1/webhook-events?matched=true", headers=ADMIN)).json()
    assert matched == {"items": [], "next_cursor": None}
    strange = await http.get("/v1/webhook-events?cursor=x", headers=ADMIN)
    assert (strange.status_code, code_of(strange)) == (422, "invalid_cursor")


async def test_a_person_reviews_an_event_once_with_a_note(http: httpx.AsyncClient) -> None:
    event = an_event()
    await deliver(http, a_body(event))
    waiting = (await http.get("/v1/webhook-events?reviewed=false&limit=200", headers=ADMIN)).json()["items"]
    [found] = [item for item in waiting if item["event_id"] == event["id"]]
    address = f"/v1/webhook-events/{found['id']}/review"
    assert (await http.post(address, json={}, headers=ADMIN)).status_code == 422
    key = {"Idempotency-Key": uuid4().hex}
    first = await http.post(address, json={"note": "by hand in the console"}, headers=ADMIN | key)
    assert (first.status_code, first.json()["review_note"]) == (200, "by hand in the console")
    assert first.json()["reviewed_by"] == "demo-admin"
    again = await http.post(address, json={"note": "by hand in the console"}, headers=ADMIN | key)
    assert again.headers["idempotent-replayed"] == "true"
    other = await http.post(address, json={"note": "something else"}, headers=ADMIN)
    assert other.json() == first.json()
    reviewed = (await http.get("/v1/webhook-events?matched=false&reviewed=true", headers=ADMIN)).json()["items"]
    assert event["id"] in {item["event_id"] for item in reviewed}
    waiting = (await http.get("/v1/webhook-events?reviewed=false&limit=200", headers=ADMIN)).json()["items"]
    assert event["id"] not in {item["event_id"] for item in waiting}


async def test_only_the_stores_own_admin_sees_and_reviews_events(http: httpx.AsyncClient, database: Database) -> None:
    event = an_event()
    await deliver(http, a_body(event), "talkative")
    [row] = await rows(database, event["id"])
    shop = {"Authorization": "Bearer shop"}
    for answer, status in (
        (await http.get("/v1/webhook-events"), 401),
        (await http.get("/v1/webhook-events", headers=shop), 403),
        (await http.post(f"/v1/webhook-events/{row['id']}/review", json={"note": "x"}, headers=shop), 403),
        (await http.post(f"/v1/webhook-events/{row['id']}/review", json={"note": "x"}, headers=ADMIN), 404),
        (await http.post(f"/v1/webhook-events/{uuid4()}/review", json={"note": "x"}, headers=ADMIN), 404),
    ):
        assert answer.status_code == status
    [row] = await rows(database, event["id"])
    assert row["reviewed_at"] is None
