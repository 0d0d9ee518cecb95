"""How far an event is believed: what takes back, what nobody signed. Stripe's and Toss's own, on a real database."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import structlog
from sqlalchemy import text
from temporalio.client import Client

from activities.webhook import HINT_AFTER, WebhookActivities
from api.app import create_app
from cli.database import migrate
from cli.seed import seed
from commands.webhook import UNSIGNED_EVERY
from contracts.webhook import DENIED_EVERY, doubt_of
from gateways.adyen.adapter import AdyenGateway
from gateways.gateway import Account, Gateway
from gateways.stripe.adapter import StripeGateway
from gateways.toss.adapter import TossGateway
from models.database import Database
from tests.api.news import HMAC_KEY, SECRET, Charged, a_refund, from_adyen, from_stripe, from_toss
from tests.api.test_webhook import ADMIN, result, rows
from tests.models.test_fences import a_payment, insert
from wiring.embedded import EmbeddedPostgres, EmbeddedTemporal
from wiring.ports import free_ports
from wiring.resources import Resources
from wiring.settings import Settings
from wiring.webhook import StoredEvents

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    await postgres.create_database("trust")
    url = postgres.url("trust")
    await migrate(url)
    await seed(url, api_key="shop", admin_key="admin")
    pools = Database(url, size=4, application="opms-test")
    accounts = """
        INSERT INTO gateway_account (id, store_id, vendor, enabled, created_at)
        VALUES ('stripe', 'demo', 'stripe', true, now()), ('toss', 'demo', 'toss', true, now()),
               ('adyen', 'demo', 'adyen', true, now())
    """
    async with pools.transaction() as connection:
        await connection.execute(text(accounts))
    yield pools
    await pools.close()


@pytest.fixture(scope="module")
async def temporal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedTemporal]:
    server = EmbeddedTemporal(tmp_path_factory.mktemp("trust"), port=free_ports(1)[0])
    await server.start()
    await server.wait_ready()
    yield server
    await server.stop()


@pytest.fixture(scope="module")
async def http(database: Database, temporal: EmbeddedTemporal) -> AsyncIterator[httpx.AsyncClient]:
    """The server with a Temporal that takes hints, and no worker that acts on them."""
    settings = Settings.model_validate({"database_url": "postgresql://opms@127.0.0.1/opms"})
    client = await Client.connect(temporal.address)
    by_stripe = StripeGateway(Account("stripe", NOBODY, "sk_test_1", SECRET))
    by_toss = TossGateway(Account("toss", NOBODY, "test_sk_1"))
    by_adyen = AdyenGateway(
        Account("adyen", NOBODY, "key", HMAC_KEY, "ShopECOM"), events=StoredEvents(database, "adyen")
    )
    gateways: dict[str, Gateway] = {"stripe": by_stripe, "toss": by_toss, "adyen": by_adyen}
    app = create_app(Resources(settings, database, client, gateways))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://opms") as client_of_app:
        yield client_of_app
    for gateway in gateways.values():
        await gateway.close()


async def an_operation(
    database: Database, account: str, kind: str, outcome: str, attempt: str = "succeeded", *, capture_now: bool = False
) -> Charged:
    """An order of the demo store with one payment, one attempt and one operation that has this outcome."""
    attempt_id, merchant_ref, operation_ref = uuid4(), uuid4().hex, f"re_{uuid4().hex}"
    async with database.transaction() as connection:
        order_id, payment_id = await a_payment(connection)
        to_demo = "UPDATE orders SET store_id = 'demo' WHERE id = :id RETURNING number, created_at"
        [(number, now)] = await connection.execute(text(to_demo), {"id": order_id})
        both = {"order_id": order_id, "payment_id": payment_id, "outcome": outcome}
        await insert(
            connection,
            "attempt",
            **both | {"id": attempt_id, "position": 0, "account": account, "outcome": attempt},
            merchant_ref=merchant_ref,
            created_at=now,
        )
        flags = {"capture_now": capture_now, "abandoning": False, "contradicted": False, "orphan": False}
        await insert(
            connection,
            "operation",
            **both | {"id": uuid4(), "attempt_id": attempt_id, "kind": kind, "amount": 1000, "tries": 1} | flags,
            reversed_amount=0,
            key=f"{uuid4().hex}-f1",
            initiated_at=now,
            operation_ref=operation_ref,
        )
    return Charged(order_id, number, attempt_id, merchant_ref, operation_ref)


async def another(database: Database, of: Charged, **changes: Any) -> None:
    """A second operation of the same attempt: a copy of the first but for these columns."""
    copy = """
        INSERT INTO operation SELECT (jsonb_populate_record(o, CAST(:changes AS jsonb))).*
          FROM operation o WHERE order_id = :id AND NOT orphan
    """
    own = {"id": str(uuid4()), "key": f"{uuid4().hex}-f2", "operation_ref": None}
    await sql(database, copy, id=of.order_id, changes=json.dumps(own | changes))


async def asked_about(database: Database, of: Charged, ago: timedelta) -> None:
    """A question about the attempt that was asked so long ago."""
    at = (datetime.now(UTC) - ago).isoformat()
    await another(database, of, kind="lookup", orphan=True, capture_now=False, initiated_at=at)


async def sql(database: Database, statement: str, **given: Any) -> list[Any]:
    async with database.transaction() as connection:
        found = await connection.execute(text(statement), given)
        return list(found.all()) if found.returns_rows else []


async def age(database: Database, event_id: str, by: timedelta) -> None:
    """Time goes by for one event."""
    older = "received_at = received_at - CAST(:by AS interval), delivered_at = delivered_at - CAST(:by AS interval)"
    await sql(database, f"UPDATE webhook_event SET {older} WHERE event_id = :id", by=by, id=event_id)


async def is_delivered(database: Database, event_id: str) -> bool:
    [row] = await rows(database, event_id)
    return row["delivered_at"] is not None


async def commands(database: Database, of: Charged, kind: str) -> int:
    counted = "SELECT count(*) FROM command WHERE number = :n AND kind = :kind"
    return int((await sql(database, counted, n=of.number, kind=kind))[0][0])


async def waiting(http: httpx.AsyncClient, takes_back: str = "true") -> dict[str, dict[str, Any]]:
    """What waits for a person, by the event's id."""
    query = {"takes_back": takes_back, "reviewed": "false", "limit": "200"}
    page = (await http.get("/v1/webhook-events", params=query, headers=ADMIN)).json()
    return {item["event_id"]: item for item in page["items"]}


async def test_a_refund_that_fails_after_it_had_succeeded_waits_for_a_person(
    http: httpx.AsyncClient, database: Database
) -> None:
    refunded = await an_operation(database, "stripe", "refund", "succeeded")
    before = await result(http, "takes_back", "stripe")
    with structlog.testing.capture_logs() as lines:
        event_id = await from_stripe(http, "refund.failed", a_refund(refunded))
    item = (await waiting(http))[event_id]
    assert (item["takes_back"], item["order"], item["outcome"]) == (True, refunded.number, "declined")
    assert (item["matched"], item["delivered_at"]) == (True, None)
    assert event_id not in await waiting(http, "false")
    assert [line["order"] for line in lines if line["event"] == "webhook.takes_back"] == [refunded.number]
    assert await result(http, "takes_back", "stripe") == before + 1
    outcomes = await sql(database, "SELECT outcome FROM operation WHERE order_id = :id", id=refunded.order_id)
    assert outcomes == [("succeeded",)]
    assert await commands(database, refunded, "doubt") == 1
    await from_stripe(http, "refund.failed", a_refund(refunded), event_id)
    assert await commands(database, refunded, "doubt") == 1, "the same event again is the same command"

    await age(database, event_id, HINT_AFTER * 2)
    assert refunded.number not in {hint.number for hint in await WebhookActivities(database).find_hints()}
    assert not await is_delivered(database, event_id)
    assert event_id in await waiting(http)

    address = f"/v1/webhook-events/{item['id']}/review"
    assert (await http.post(address, json={"note": "paid by hand"}, headers=ADMIN)).status_code == 200
    assert event_id not in await waiting(http)


@pytest.mark.parametrize(
    ("kind", "code"),
    [("capture", "CAPTURE_FAILED"), ("refund", "REFUND_FAILED"), ("refund", "REFUNDED_REVERSED")],
)
async def test_what_adyen_takes_back_waits_for_a_person_and_what_it_confirms_does_not(
    http: httpx.AsyncClient, database: Database, kind: str, code: str
) -> None:
    done = await an_operation(database, "adyen", kind, "succeeded")
    confirmed = await from_adyen(http, kind.upper(), done)
    refused = await from_adyen(http, code, done, success="false")
    taken_back = await from_adyen(http, code, done)
    assert {confirmed, refused, taken_back} & set(await waiting(http)) == {taken_back}
    assert [await is_delivered(database, each) for each in (confirmed, refused, taken_back)] == [True, True, False]
    assert await commands(database, done, "doubt") == 1


@pytest.mark.parametrize(("code", "success", "waits"), [("CHARGEBACK", "true", True), ("CHARGEBACK", "false", False)])
async def test_what_a_customers_bank_asks_back_waits_for_a_person_and_moves_nothing(
    http: httpx.AsyncClient, database: Database, code: str, success: str, waits: bool
) -> None:
    charged = await an_operation(database, "adyen", "capture", "succeeded")
    asked_back = await from_adyen(http, code, replace(charged, operation_ref=f"PSP{uuid4().hex}"), success)
    assert (asked_back in await waiting(http)) is waits
    assert await commands(database, charged, "doubt") == 0


@pytest.mark.parametrize(("kind", "asked"), [("authorize", 1), ("refund", 0)])
async def test_a_failed_capture_that_we_never_asked_for_is_about_the_one_that_came_with_the_authorization(
    http: httpx.AsyncClient, database: Database, kind: str, asked: int
) -> None:
    charged = await an_operation(database, "adyen", kind, "succeeded", capture_now=True)
    await from_adyen(http, "CAPTURE_FAILED", replace(charged, operation_ref=f"PSP{uuid4().hex}"))
    assert await commands(database, charged, "doubt") == asked


@pytest.mark.parametrize(("method", "asked"), [("card", 0), ("virtual_account", 1)])
async def test_a_deposit_that_a_bank_takes_back_is_asked_about_once_an_hour_though_nobody_signed_it(
    http: httpx.AsyncClient, database: Database, method: str, asked: int
) -> None:
    deposited = await an_operation(database, "toss", "authorize", "succeeded", capture_now=True)
    paid_by = "UPDATE payment SET method = :method WHERE order_id = :id"
    await sql(database, paid_by, method=method, id=deposited.order_id)
    await from_toss(http, deposited, "WAITING_FOR_DEPOSIT")
    assert await commands(database, deposited, "doubt") == asked
    for ago in (DENIED_EVERY, DENIED_EVERY - timedelta(minutes=1)):
        await asked_about(database, deposited, ago)
        await from_toss(http, deposited, "WAITING_FOR_DEPOSIT")
        assert await commands(database, deposited, "doubt") == 2 * asked


async def test_a_no_that_came_before_our_yes_is_asked_about_by_the_schedule(
    http: httpx.AsyncClient, database: Database
) -> None:
    refunded = await an_operation(database, "stripe", "refund", "pending")
    event_id = await from_stripe(http, "refund.failed", a_refund(refunded))
    await WebhookActivities(database).find_hints()
    assert await commands(database, refunded, "doubt") == 0
    await sql(database, "UPDATE operation SET outcome = 'succeeded' WHERE order_id = :id", id=refunded.order_id)
    for _ in range(2):
        await WebhookActivities(database).find_hints()
    found = "SELECT id, actor, body->>'operation_id' FROM command WHERE number = :n AND kind = 'doubt'"
    [(command_id, actor, operation_id)] = await sql(database, found, n=refunded.number)
    named = {"store": "demo", "number": refunded.number}
    assert command_id == doubt_of("stripe", event_id, UUID(operation_id), **named).id
    assert actor == "webhook:stripe"


async def test_money_that_was_taken_back_and_is_there_again_is_asked_about(
    http: httpx.AsyncClient, database: Database
) -> None:
    deposited = await an_operation(database, "toss", "authorize", "succeeded")
    await from_toss(http, deposited)
    assert await commands(database, deposited, "doubt") == 0
    await sql(database, "UPDATE operation SET reversed_amount = amount WHERE order_id = :id", id=deposited.order_id)
    await from_toss(http, deposited)
    assert await commands(database, deposited, "doubt") == 1
    assert await commands(database, deposited, "recheck") == 0


async def test_news_of_a_deposit_that_came_too_soon_after_a_question_is_asked_about_by_the_schedule(
    http: httpx.AsyncClient, database: Database
) -> None:
    deposited = await an_operation(database, "toss", "authorize", "succeeded", capture_now=True)
    of = {"id": deposited.order_id}
    await sql(database, "UPDATE payment SET method = 'virtual_account' WHERE order_id = :id", **of)
    known = "UPDATE operation SET resolved_at = now() - interval '1 hour', reversed_amount = amount"
    await sql(database, f"{known} WHERE order_id = :id", **of)
    await asked_about(database, deposited, timedelta(seconds=1))
    await sql(
        database,
        "UPDATE operation q SET subject_id = (SELECT id FROM operation WHERE order_id = :id AND NOT orphan)"
        " WHERE order_id = :id AND orphan",
        **of,
    )
    await from_toss(http, deposited)
    assert await commands(database, deposited, "doubt") == 0
    for _ in range(2):
        await WebhookActivities(database).find_hints()
    assert await commands(database, deposited, "doubt") == 1
    await sql(database, "UPDATE operation SET reversed_amount = 0 WHERE order_id = :id AND NOT orphan", **of)
    await from_toss(http, deposited, "WAITING_FOR_DEPOSIT")
    for ago, asked in ((timedelta(minutes=1), 1), (DENIED_EVERY, 2)):
        back = "UPDATE operation SET initiated_at = now() - CAST(:ago AS interval) WHERE order_id = :id AND orphan"
        await sql(database, back, ago=ago, **of)
        await WebhookActivities(database).find_hints()
        assert await commands(database, deposited, "doubt") == asked


async def test_the_schedule_does_not_deliver_what_takes_back_even_while_other_money_is_due(
    http: httpx.AsyncClient, database: Database
) -> None:
    refunded = await an_operation(database, "stripe", "refund", "succeeded")
    event_id = await from_stripe(http, "charge.refund.updated", a_refund(refunded))
    await another(database, refunded, outcome="pending")
    await age(database, event_id, HINT_AFTER * 2)
    hinted = {hint.number for hint in await WebhookActivities(database).find_hints()}
    assert refunded.number not in hinted
    assert not await is_delivered(database, event_id)


@pytest.mark.parametrize(
    ("outcome", "kind", "status"),
    [
        ("pending", "refund.failed", "failed"),
        ("declined", "refund.failed", "failed"),
        ("succeeded", "refund.updated", "succeeded"),
        ("succeeded", "refund.updated", "pending"),
    ],
)
async def test_a_no_to_what_has_not_succeeded_and_a_yes_take_nothing_back(
    http: httpx.AsyncClient, database: Database, outcome: str, kind: str, status: str
) -> None:
    refunded = await an_operation(database, "stripe", "refund", outcome)
    event_id = await from_stripe(http, kind, a_refund(refunded, status))
    assert event_id not in await waiting(http)
    assert await is_delivered(database, event_id)


async def test_a_no_about_another_operation_of_the_order_takes_nothing_back(
    http: httpx.AsyncClient, database: Database
) -> None:
    refunded = await an_operation(database, "stripe", "refund", "succeeded")
    event_id = await from_stripe(http, "refund.failed", a_refund(refunded) | {"id": "re_another"})
    assert event_id not in await waiting(http)


async def test_money_that_stripe_signs_for_on_a_closed_attempt_is_asked_about_once(
    http: httpx.AsyncClient, database: Database
) -> None:
    closed = await an_operation(database, "stripe", "authorize", "declined", attempt="declined")
    about = {"id": "pi_1", "object": "payment_intent", "metadata": {"attempt": closed.merchant_ref}}
    await from_stripe(http, "payment_intent.payment_failed", about)
    assert await commands(database, closed, "recheck") == 0
    await from_stripe(http, "payment_intent.succeeded", about)
    assert await commands(database, closed, "recheck") == 1


async def test_what_nobody_signed_wakes_an_order_once_in_five_seconds_and_the_schedule_tells_of_the_rest(
    http: httpx.AsyncClient, database: Database
) -> None:
    pending, other = [await an_operation(database, "toss", "authorize", "pending", attempt="pending") for _ in range(2)]
    first, second, third = [await from_toss(http, pending) for _ in range(3)]
    assert [await is_delivered(database, each) for each in (first, second, third)] == [True, False, False]
    assert await is_delivered(database, await from_toss(http, other))
    for each in (first, second, third):
        await age(database, each, UNSIGNED_EVERY)
    assert await is_delivered(database, await from_toss(http, pending))
    for each in (second, third):
        await age(database, each, HINT_AFTER)
    [hint] = [hint for hint in await WebhookActivities(database).find_hints() if hint.number == pending.number]
    assert len(hint.events) == 2


async def test_what_is_signed_is_not_held_back(http: httpx.AsyncClient, database: Database) -> None:
    pending = await an_operation(database, "stripe", "refund", "pending")
    for _ in range(3):
        event_id = await from_stripe(http, "refund.updated", a_refund(pending, "pending"))
        assert await is_delivered(database, event_id)


async def test_hearsay_of_money_on_a_closed_attempt_is_asked_about_but_not_again_a_moment_later(
    http: httpx.AsyncClient, database: Database
) -> None:
    closed = await an_operation(database, "toss", "authorize", "declined", attempt="declined")
    await from_toss(http, closed, "ABORTED")
    assert await commands(database, closed, "recheck") == 0
    event_id = await from_toss(http, closed)
    assert await commands(database, closed, "recheck") == 1
    [row] = await rows(database, event_id)
    assert (row["trust"], row["outcome"], row["takes_back"]) == ("unsigned", "succeeded", False)
    assert await StoredEvents(database, "toss").of(closed.merchant_ref) == ()
    for ago in (UNSIGNED_EVERY, timedelta(0)):
        await asked_about(database, closed, ago)
        await from_toss(http, closed)
        assert await commands(database, closed, "recheck") == 2
