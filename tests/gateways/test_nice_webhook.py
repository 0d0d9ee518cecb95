"""NICE's webhooks and settlement lines, as the adapter reads them."""

import json
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from domain.gateway import Outcome
from gateways.gateway import Account, GatewayUnavailable, WebhookRefused, WebhookTrust
from gateways.nice.adapter import NiceGateway
from gateways.nice.seal import seal
from tests.gateways.rigs.nice_example import CANCEL, CANCELLED, CLIENT_KEY, EDI_DATE, ORDER, PAID, SECRET_KEY, TID, nice

LINE = {
    "tid": TID,
    "cancelledTid": CANCEL["tid"],
    "orderId": ORDER,
    "status": "partialCancelled",
    "amount": -1004,
    "fee": 20,
    "vat": 2,
    "settlementAmt": -1026,
    "currency": "KRW",
    "transactionAt": EDI_DATE,
    "depositDate": "20211007",
}


async def test_the_settlement_is_read_page_by_page() -> None:
    pages = iter([[LINE | {"status": "paid", "cancelledTid": None, "amount": 1004, "depositDate": None}], [LINE]])
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.query.decode())
        body = {"resultCode": "0000", "settlements": next(pages), "hasNext": len(asked) == 1}
        return httpx.Response(200, json=body)

    async with nice(respond) as gateway:
        charge, refund = [line async for line in gateway.settlement_lines(date(2021, 10, 5))]
    assert asked == ["settlementDate=20211005&page=1&size=500", "settlementDate=20211005&page=2&size=500"]
    assert (charge.kind, charge.operation_ref, charge.paid_on) == ("charge", TID, date(2021, 10, 5))
    assert (refund.kind, refund.operation_ref, refund.paid_on) == ("refund", CANCEL["tid"], date(2021, 10, 7))
    assert (refund.gross, refund.fee, refund.net) == (-1004, 22, -1026)
    assert charge.line_id != refund.line_id


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"resultCode": "2000", "settlements": [], "hasNext": False},
        {"resultCode": "0000", "settlements": [{}], "hasNext": False},
        {"resultCode": "0000", "settlements": [], "hasNext": "no"},
        {"resultCode": "0000", "settlements": [LINE | {"amount": "1"}], "hasNext": False},
        {"resultCode": "0000", "settlements": [LINE | {"depositDate": "soon"}], "hasNext": False},
    ],
)
async def test_a_settlement_that_cannot_be_read_is_unavailable(body: Any) -> None:
    async with nice(lambda _request: httpx.Response(200, json=body)) as gateway:
        with pytest.raises(GatewayUnavailable):
            [line async for line in gateway.settlement_lines(date(2021, 10, 5))]
    async with nice(lambda _request: httpx.Response(500)) as gateway:
        with pytest.raises(GatewayUnavailable):
            [line async for line in gateway.settlement_lines(date(2021, 10, 5))]


def parsed(raw: bytes, *, secret: str = "") -> Any:
    account = Account("nice-a", "http://pg.test", SECRET_KEY, webhook_secret=secret, merchant=CLIENT_KEY)
    return NiceGateway(account).parse_webhook(raw, {})


def test_a_sealed_webhook_is_translated_and_acknowledged_as_nice_wants_it() -> None:
    raw = json.dumps(PAID).encode()
    batch = parsed(raw)
    (event,) = batch.events
    assert (batch.trust, batch.ack_status, batch.ack_body, batch.ack_content_type) == (
        WebhookTrust.SIGNED,
        200,
        b"OK",
        "text/html",
    )
    assert (event.kind, event.reference, event.merchant_ref) == ("payment.paid", TID, ORDER)
    assert event.occurred_at == datetime(2021, 10, 5, 7, 56, 34, tzinfo=UTC)
    assert parsed(raw) == batch
    (cancelled,) = parsed(json.dumps(CANCELLED | {"cancelledAt": "2021-10-06T00:00:00"}).encode()).events
    assert cancelled.event_id != event.event_id
    assert cancelled.occurred_at == datetime(2021, 10, 5, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("paid", Outcome.SUCCEEDED), *((s, None) for s in ("ready", "failed", "expired", "cancelled", "newWord"))],
)
def test_only_paid_tells_of_money(status: str, outcome: Outcome | None) -> None:
    moments = dict.fromkeys(("paidAt", "failedAt", "cancelledAt"), EDI_DATE)
    (event,) = parsed(json.dumps(PAID | moments | {"status": status}).encode()).events
    assert event.outcome is outcome


def test_webhooks_are_sealed_with_the_key_and_no_other_secret() -> None:
    body = PAID | {"signature": seal(TID, 1004, EDI_DATE, "another")}
    assert parsed(json.dumps(PAID).encode(), secret="another").events
    with pytest.raises(WebhookRefused):
        parsed(json.dumps(body).encode(), secret="another")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage",
        b"[]",
        b"null",
        b"{}",
        b" " * 65_537,
        *(
            json.dumps(PAID | changes).encode()
            for changes in (
                {"amount": 1005},
                {"amount": "1004"},
                {"amount": True},
                {"tid": "another"},
                {"tid": ["another"]},
                {"ediDate": "2021-10-06T16:56:34.447+0900"},
                {"signature": None},
                {"signature": "é" * 64},
                {"signature": seal(TID, 1004, EDI_DATE, "another")},
                {"orderId": None},
                {"orderId": "x" * 201},
                {"status": None},
                {"cancelledTid": 1},
                {"paidAt": "yesterday"},
            )
        ),
    ],
)
def test_a_forged_or_malformed_webhook_is_refused(raw: bytes) -> None:
    with pytest.raises(WebhookRefused):
        parsed(raw)
