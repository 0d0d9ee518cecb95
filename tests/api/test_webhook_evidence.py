"""A PG without a lookup: what it has signed and we have stored is its answer. Adyen's webhooks, on a real database."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from temporalio.client import Client

import domain.payment
import queries.webhook
from api.app import create_app
from cli.database import migrate
from domain.gateway import Call, OperationKind, Outcome
from gateways.adyen.adapter import AdyenGateway
from gateways.adyen.webhook import signature
from gateways.gateway import Account, WebhookTrust
from models.database import Database
from wiring.embedded import EmbeddedPostgres
from wiring.ports import free_ports
from wiring.resources import Resources
from wiring.settings import Settings
from wiring.webhook import StoredEvents

MERCHANT = "ShopECOM"
HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"


@pytest.fixture(scope="module")
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    await postgres.create_database("evidence")
    await migrate(postgres.url("evidence"))
    pools = Database(postgres.url("evidence"), size=4, application="opms-test")
    yield pools
    await pools.close()


@pytest.fixture(scope="module")
async def adyen(database: Database) -> AsyncIterator[AdyenGateway]:
    account = Account("adyen-kr", "http://127.0.0.1:9/v72", "key", HMAC_KEY, MERCHANT)
    gateway = AdyenGateway(account, events=StoredEvents(database, "adyen-kr"))
    yield gateway
    await gateway.close()


@pytest.fixture(scope="module")
async def http(database: Database, adyen: AdyenGateway) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings.model_validate({"database_url": "postgresql://opms@127.0.0.1/opms"})
    client = await Client.connect(f"127.0.0.1:{free_ports(1)[0]}", lazy=True)
    app = create_app(Resources(settings, database, client, {"adyen-kr": adyen}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://opms") as client_of_app:
        yield client_of_app


def an_item(**changed: Any) -> dict[str, Any]:
    item: dict[str, Any] = {
        "amount": {"value": 12_900, "currency": "KRW"},
        "eventCode": "AUTHORISATION",
        "eventDate": "2026-11-23T00:30:00+09:00",
        "merchantAccountCode": MERCHANT,
        "merchantReference": f"op-{uuid4().hex}",
        "pspReference": uuid4().hex[:16].upper(),
        "success": "true",
    }
    return item | changed


async def deliver(http: httpx.AsyncClient, item: dict[str, Any], *, key: str = HMAC_KEY) -> httpx.Response:
    signed = item | {"additionalData": {"hmacSignature": signature(item, bytes.fromhex(key))}}
    body = {"live": "false", "notificationItems": [{"NotificationRequestItem": signed}]}
    return await http.post("/v1/webhooks/adyen-kr", json=body)


def lookup_of(item: dict[str, Any]) -> Call:
    key = f"{uuid4().hex}-authorize"
    return Call(
        operation_id=uuid4(),
        kind=OperationKind.LOOKUP,
        account="adyen-kr",
        merchant_ref=item["merchantReference"],
        key=f"{key}-l",
        amount=12_900,
        currency="KRW",
        method="card",
        token="tok_ok",
        subject=OperationKind.AUTHORIZE,
        subject_key=key,
    )


@pytest.mark.parametrize(("success", "outcome"), [("true", Outcome.SUCCEEDED), ("false", Outcome.DECLINED)])
async def test_a_stored_event_is_the_answer_and_a_forged_one_is_none(
    http: httpx.AsyncClient, adyen: AdyenGateway, success: str, outcome: Outcome
) -> None:
    item = an_item(success=success, reason="Refused")
    call = lookup_of(item)
    assert (await adyen.lookup(call)).outcome is Outcome.UNKNOWN
    assert (await deliver(http, item, key=HMAC_KEY[::-1])).status_code == 401
    assert (await adyen.lookup(call)).outcome is Outcome.UNKNOWN
    for _ in range(2):
        answer = await deliver(http, item)
        assert (answer.status_code, answer.content) == (202, b"[accepted]")
    found = await adyen.lookup(call)
    assert (found.outcome, found.reference, found.issues) == (outcome, item["pspReference"], ())


async def test_a_stored_event_of_another_amount_is_not_believed(http: httpx.AsyncClient, adyen: AdyenGateway) -> None:
    item = an_item(amount={"value": 1, "currency": "KRW"})
    await deliver(http, item)
    found = await adyen.lookup(lookup_of(item))
    assert found.outcome is Outcome.UNKNOWN or found.issues


async def test_an_event_of_an_operation_names_payment_and_operation(
    http: httpx.AsyncClient, database: Database
) -> None:
    reference, mark = f"op-{uuid4().hex}", uuid4().hex
    changed = {"eventCode": "CAPTURE", "merchantReference": f"{reference}.{mark}", "originalReference": "PSP1"}
    await deliver(http, an_item(**changed))
    [event] = await StoredEvents(database, "adyen-kr").of(reference)
    assert (event.kind, event.reference, event.operation_mark) == ("CAPTURE", "PSP1", mark)
    assert (event.outcome, event.amount, event.currency) == (Outcome.SUCCEEDED, 12_900, "KRW")


async def test_an_amount_that_is_none_is_not_kept_and_the_event_is_taken(
    http: httpx.AsyncClient, database: Database
) -> None:
    item = an_item(amount={"value": -1, "currency": "won"})
    assert (await deliver(http, item)).status_code == 202
    [event] = await StoredEvents(database, "adyen-kr").of(item["merchantReference"])
    assert (event.amount, event.currency) == (None, None)


async def test_a_report_is_found_by_its_day_where_it_was_made(http: httpx.AsyncClient, database: Database) -> None:
    report = {"eventCode": "REPORT_AVAILABLE", "merchantReference": "", "reason": "https://reports.example/r.csv"}
    assert (await deliver(http, an_item(**report))).status_code == 202
    stored = StoredEvents(database, "adyen-kr")
    [event] = await stored.reports(date(2026, 11, 23))
    assert event.reason == report["reason"]
    look = text("SELECT reviewed_by, order_id FROM webhook_event WHERE event_id = :id")
    async with database.reading() as connection:
        rows = (await connection.execute(look, {"id": event.event_id})).all()
    assert rows == [("opms", None)], "it is about the account: nobody has to look"
    assert await stored.reports(date(2026, 11, 22)) == ()


def test_the_outcomes_without_an_end_are_those_of_the_domain() -> None:
    assert {f"'{outcome.value}'" for outcome in domain.payment.UNRESOLVED} == set(
        queries.webhook.UNRESOLVED.split(", ")
    )


async def test_every_trust_that_an_adapter_may_claim_can_be_stored(database: Database) -> None:
    async with database.reading() as connection:
        question = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ck_webhook_event_trust_known'"
        rule = str((await connection.execute(text(question))).scalar_one())
    assert all(f"'{trust.value}'" in rule for trust in WebhookTrust)
