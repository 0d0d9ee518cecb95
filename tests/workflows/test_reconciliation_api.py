"""Reconciliation as finance asks for it over HTTP: days, files, bank credits, cases; refusals by their codes."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from api.app import create_app
from commands.reconciliation import LARGEST_FILE
from tests.stack import Shop, until
from tests.workflows.settled import a_report, adyen, an_account, settled


@pytest.fixture(scope="module")
async def filed(shop: Shop) -> str:
    """An account whose PG settles by files; the server knows its adapter, the workers do not."""
    return await an_account(shop, "adyen")


@pytest.fixture(scope="module")
async def http(shop: Shop, filed: str) -> AsyncIterator[httpx.AsyncClient]:
    """The API with the administrator's key."""
    app = create_app(replace(shop.resources, gateways={filed: adyen(filed)}))
    headers = {"Authorization": "Bearer admin"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://opms", headers=headers) as client:
        yield client


async def ended(http: httpx.AsyncClient, location: str) -> dict[str, Any]:
    """The reconciliation at its end."""

    async def seen() -> dict[str, Any] | None:
        found: dict[str, Any] = (await http.get(location)).raise_for_status().json()
        return found if found["state"] in {"reconciled", "failed"} else None

    return await until(f"{location} has its end", seen)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_day_is_reconciled_and_asked_for_again_it_is_the_same(shop: Shop, http: httpx.AsyncClient) -> None:
    await shop.placed()
    body = {"account": "sandbox-a", "day": datetime.now(UTC).date().isoformat()}
    first = await http.post("/v1/reconciliations", json=body)
    assert first.status_code == 202
    assert first.headers["location"] == f"/v1/reconciliations/{first.json()['id']}"
    done = await ended(http, first.headers["location"])
    assert (done["state"], done["problem"]) == ("reconciled", None)
    assert sum(done["findings"].values()) == done["new"]
    again = await http.post("/v1/reconciliations", json=body)
    assert again.json()["id"] == first.json()["id"]
    assert (await ended(http, again.headers["location"]))["new"] == done["new"]


async def test_who_waits_gets_the_finished_run_and_one_that_goes_on_is_told_as_it_stands(
    shop: Shop, http: httpx.AsyncClient
) -> None:
    body = {"account": "sandbox-b", "day": datetime.now(UTC).date().isoformat()}
    done = await http.post("/v1/reconciliations", json=body, headers={"Prefer": "wait=30"})
    assert (done.status_code, done.json()["state"]) == (200, "reconciled")
    assert done.headers["preference-applied"] == "wait=30"
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended('opms.reconciliation.sandbox-b', 0))")
    async with shop.resources.database.transaction() as judging:
        await judging.execute(lock)  # As long as another run judges this account.
        late = await http.post("/v1/reconciliations", json=body, headers={"Prefer": "wait=1"})
        assert (late.status_code, late.json()["state"] in {"requested", "reading", "read"}) == (202, True)
        unasked = await http.post("/v1/reconciliations", json=body)
        assert (unasked.status_code, "preference-applied" in unasked.headers) == (202, False)
    assert (await ended(http, late.headers["location"]))["state"] == "reconciled"
    bad = await http.post("/v1/reconciliations", json=body, headers={"Prefer": "wait=soon"})
    assert code_of(bad) == (422, "invalid_header")


async def test_a_run_that_fails_within_the_wait_has_ended_too_and_the_same_file_again_has_ended_at_once(
    http: httpx.AsyncClient, filed: str
) -> None:
    headers = {"Prefer": "wait=30"}
    for _ in range(2):
        answer = await http.post(f"/v1/settlements/{filed}", content=a_report([settled(77)]), headers=headers)
        assert (answer.status_code, answer.json()["state"]) == (200, "failed")
        assert filed in answer.json()["problem"]


async def test_a_file_is_one_reconciliation_however_often_it_is_sent(http: httpx.AsyncClient, filed: str) -> None:
    report = a_report(settled(n) for n in range(20))
    first = await http.post(f"/v1/settlements/{filed}", content=report, headers={"Content-Type": "text/csv"})
    again = await http.post(f"/v1/settlements/{filed}", content=_in_pieces(report))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    failed = await ended(http, first.headers["location"])
    assert failed["state"] == "failed"
    assert filed in failed["problem"]


async def _in_pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 700):
        yield content[start : start + 700]


async def test_what_is_received_is_kept_byte_for_byte(shop: Shop, http: httpx.AsyncClient, filed: str) -> None:
    report = a_report(settled(n) for n in range(9_000))
    answer = await http.post(f"/v1/settlements/{filed}", content=_in_pieces(report))
    kept = await shop.sql(
        "SELECT content FROM settlement_file_chunk WHERE import_id = :id ORDER BY position", id=answer.json()["id"]
    )
    assert len(kept) > 1
    assert b"".join(bytes(part) for (part,) in kept) == report


async def test_refusals(http: httpx.AsyncClient, filed: str) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    case, day = f"/v1/reconciliation-cases/{uuid4()}", "/v1/reconciliations"
    for answer, expected in (
        (await http.post(day, json={"account": "sandbox-a", "day": tomorrow}), (422, "invalid_request")),
        (await http.post(day, json={"account": "nobodys", "day": "2026-11-01"}), (404, "gateway_not_found")),
        (await http.post("/v1/settlements/nobodys", content=b"x\n"), (404, "gateway_not_found")),
        (await http.post("/v1/settlements/sandbox-a", content=b"x\n"), (409, "settlement_file_not_taken")),
        (await http.post(f"/v1/settlements/{filed}", content=b""), (422, "settlement_file_empty")),
        (await http.get(f"{day}/{uuid4()}"), (404, "reconciliation_not_found")),
        (await http.post(f"{case}/close", json={"note": "x"}), (404, "case_not_found")),
        (await http.get("/v1/reconciliation-cases?kind=nonsense"), (422, "invalid_request")),
        (await http.get("/v1/reconciliation-cases?cursor=nonsense"), (422, "invalid_cursor")),
        (await http.get("/v1/reconciliation-cases?unknown=1"), (422, "unknown_parameter")),
    ):
        assert code_of(answer) == expected
    for path in ("/v1/reconciliation-cases", f"/v1/reconciliations/{uuid4()}"):
        assert code_of(await http.get(path, headers={"Authorization": "Bearer shop"})) == (403, "scope_missing")


async def test_a_file_that_is_too_large_leaves_nothing_behind(shop: Shop, http: httpx.AsyncClient, filed: str) -> None:
    before = await shop.sql("SELECT count(*) FROM settlement_import")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(LARGEST_FILE // 2**20 + 2):
            yield bytes(2**20)

    assert code_of(await http.post(f"/v1/settlements/{filed}", content=endless())) == (413, "body_too_large")
    length = {"Content-Length": str(LARGEST_FILE + 1)}
    assert code_of(await http.post(f"/v1/settlements/{filed}", content=b"x", headers=length)) == (413, "body_too_large")
    assert await shop.sql("SELECT count(*) FROM settlement_import") == before


async def test_cases_are_listed_in_pages_assigned_and_closed(shop: Shop, http: httpx.AsyncClient) -> None:
    account = await an_account(shop)
    rows = """
        INSERT INTO reconciliation_case (id, store_id, account, kind, subject, expected, actual, currency, owner,
                                         opened_at)
        SELECT uuidv7(), 'demo', :account, 'fee_variance', CAST(:subject AS text) || n, 30, 31, 'KRW', 'finance',
               now() - interval '3 days'
          FROM generate_series(1, 5) AS n
    """
    await shop.sql(rows, account=account, subject=account)
    seen, url = [], f"/v1/reconciliation-cases?account={account}&kind=fee_variance&limit=2"
    page = (await http.get(url)).json()
    while page["next_cursor"]:
        seen += page["items"]
        page = (await http.get(f"{url}&cursor={page['next_cursor']}")).json()
    seen += page["items"]
    assert len({case["id"] for case in seen}) == 5
    assert {(case["age_days"], case["state"], case["expected"], case["actual"]) for case in seen} == {
        (3, "open", 30, 31)
    }
    case = f"/v1/reconciliation-cases/{seen[0]['id']}"
    assert {one["owner"] for one in seen} == {"finance"}
    assert (await http.post(f"{case}/assign", json={"owner": "Choi"})).json()["owner"] == "Choi"
    key = {"Idempotency-Key": uuid4().hex}
    for _ in range(2):
        closed = await http.post(f"{case}/close", json={"note": "new contract since May"}, headers=key)
        assert (closed.json()["state"], closed.json()["closed_by"]) == ("closed", "key:demo-admin")
    assert code_of(await http.post(f"{case}/close", json={"note": "again"})) == (409, "case_closed")
    listed = (await http.get(f"/v1/reconciliation-cases?state=closed&account={account}")).json()
    assert [one["id"] for one in listed["items"]] == [seen[0]["id"]]


async def test_a_bank_credit_is_recorded_once(shop: Shop, http: httpx.AsyncClient) -> None:
    account = await an_account(shop)
    credit = {"account": account, "payout_ref": "po-1", "amount": 970, "currency": "KRW", "credited_on": "2026-11-20"}
    first, again = [await http.post("/v1/bank-credits", json=credit) for _ in range(2)]
    assert (first.status_code, first.json()) == (201, again.json())
    other = await http.post("/v1/bank-credits", json=credit | {"amount": 971})
    assert code_of(other) == (409, "bank_credit_differs")
    assert other.json()["figures"]["amount"] == 970
