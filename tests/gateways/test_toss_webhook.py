"""Toss's settlement and webhooks: read exactly, believed as far as they can be."""

import json
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from domain.gateway import Outcome
from gateways.gateway import Account, GatewayUnavailable, WebhookRefused, WebhookTrust
from gateways.toss.adapter import TossGateway
from gateways.toss.webhook import signatures
from tests.gateways.rigs.toss_samples import CANCEL, CHARGE, PAYMENT, SECRET, Respond, perform, said

LINE: dict[str, Any] = {
    "paymentKey": "pk_1",
    "transactionKey": "TX1",
    "orderId": "order-000001",
    "currency": "KRW",
    "amount": 15_000,
    "interestFee": 0,
    "fees": [{"type": "BASE", "fee": 495}],
    "suppliedAmount": 450,
    "vat": 45,
    "payOutAmount": 14_505,
    "approvedAt": "2026-11-23T00:30:00+09:00",
    "soldDate": "2026-11-23",
    "paidOutDate": "2026-11-25",
}
RETURN = LINE | {"transactionKey": "TX2", "cancel": CANCEL | {"canceledAt": "2026-11-23T10:00:00+09:00"}}


async def settled(respond: Respond) -> list[Any]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
        gateway = TossGateway(Account("toss-a", "https://pg.test", SECRET), client=client)
        return [line async for line in gateway.settlement_lines(date(2026, 11, 23))]


@pytest.mark.parametrize("sign", [1, -1])
async def test_a_settlement_adds_up_and_a_refund_is_negative_whichever_sign_toss_writes(sign: int) -> None:
    back = RETURN | {"amount": sign * 4_000, "payOutAmount": sign * 3_868}
    charge, refund = await settled(said([LINE, back]))
    assert (charge.kind, charge.gross, charge.fee, charge.net) == ("charge", 15_000, 495, 14_505)
    assert (refund.kind, refund.gross, refund.fee, refund.net) == ("refund", -4_000, -132, -3_868)
    assert (charge.occurred_at, charge.paid_on) == (datetime(2026, 11, 22, 15, 30, tzinfo=UTC), date(2026, 11, 25))
    assert (refund.operation_ref, refund.merchant_ref) == ("TX2", "order-000001")


async def test_a_settlement_is_read_page_by_page() -> None:
    pages: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        pages.append(request.url.params["page"])
        count = 1_000 if len(pages) == 1 else 3
        return httpx.Response(200, json=[LINE] * count)

    assert len(await settled(respond)) == 1_003
    assert pages == ["1", "2"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 200),
        ([LINE | {"amount": "15000"}], 200),
        ([LINE | {"paidOutDate": "soon"}], 200),
        ([LINE | {"approvedAt": None}], 200),
        (["x"], 200),
        ({"code": "FORBIDDEN_REQUEST", "message": None}, 403),
        ({"code": "COMMON_ERROR", "message": None}, 500),
    ],
)
async def test_a_settlement_that_cannot_be_read_is_unavailable(body: Any, status: int) -> None:
    with pytest.raises(GatewayUnavailable):
        await settled(said(body, status))


async def test_transactions_that_cannot_be_read_are_unavailable() -> None:
    bodies: list[Any] = [{}, [{"transactionKey": "TX1"}]]
    for body in bodies:
        async with httpx.AsyncClient(transport=httpx.MockTransport(said(body))) as client:
            gateway = TossGateway(Account("toss-a", "https://pg.test", SECRET), client=client)
            with pytest.raises(GatewayUnavailable):
                [row async for row in gateway.transactions(date(2026, 11, 23))]


async def test_a_list_is_an_answer_only_to_who_asked_for_one() -> None:
    assert (await perform(CHARGE, said([PAYMENT]))).outcome is Outcome.UNKNOWN


STATUS_CHANGED = {
    "eventType": "PAYMENT_STATUS_CHANGED",
    "createdAt": "2026-11-23T12:00:00.000000",
    "data": PAYMENT,
}
DEPOSITED = {
    "createdAt": "2026-11-23T12:00:00.000000",
    "secret": "ps_1",
    "status": "DONE",
    "transactionKey": "TX1",
    "orderId": "order-000001",
}
PAYOUT_KEY, PAYOUT_TIME, PAYOUT = "security-key", "2024-09-05T12:19:21+09:00", b'{"eventType":"payout.changed"}'
PAYOUT_SIGNATURE = "v1:AKytaUCTQDvdISJxfBwEriVVTViflyxr5o6oKOkbkTw="


def parse(body: Any, **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    gateway = TossGateway(Account("toss-a", "https://pg.test", SECRET, webhook_secret=PAYOUT_KEY))
    sent = {f"TossPayments-Webhook-{name.replace('_', '-')}": value for name, value in headers.items()}
    return gateway.parse_webhook(raw, sent)


def test_a_payment_event_is_an_unsigned_hint() -> None:
    batch = parse(STATUS_CHANGED)
    (event,) = batch.events
    assert (batch.trust, batch.ack_status) == (WebhookTrust.UNSIGNED, 200)
    assert (event.kind, event.reference, event.merchant_ref) == ("PAYMENT_STATUS_CHANGED", "pk_1", "order-000001")
    assert event.event_id == "PAYMENT_STATUS_CHANGED:pk_1:DONE:TX1"
    assert event.occurred_at == datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
    assert event.outcome is Outcome.SUCCEEDED
    assert parse(STATUS_CHANGED, transmission_id="t-1").events[0].event_id == "t-1"


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (STATUS_CHANGED, Outcome.SUCCEEDED),
        (DEPOSITED, Outcome.SUCCEEDED),
        *((STATUS_CHANGED | {"data": PAYMENT | {"status": s}}, None) for s in ("ABORTED", "CANCELED", "NEW_WORD")),
        (DEPOSITED | {"status": "CANCELED"}, None),
        (DEPOSITED | {"status": "WAITING_FOR_DEPOSIT"}, Outcome.ACTION_REQUIRED),
        ({"eventType": "CANCEL_STATUS_CHANGED", "createdAt": "2026-11-23T12:00:00", "data": {"status": "DONE"}}, None),
    ],
)
def test_only_done_tells_of_money_and_never_as_something_signed(body: Any, outcome: Outcome | None) -> None:
    batch = parse(body)
    assert (batch.trust, batch.events[0].outcome) == (WebhookTrust.UNSIGNED, outcome)


def test_a_deposit_brings_its_secret_and_does_not_show_it() -> None:
    (event,) = parse(DEPOSITED).events
    assert (event.kind, event.secret, event.merchant_ref) == ("DEPOSIT_CALLBACK", "ps_1", "order-000001")
    assert "ps_1" not in repr(event)
    assert event.event_id == "DEPOSIT_CALLBACK:order-000001:DONE:TX1"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("CANCEL_STATUS_CHANGED", CANCEL),
        ("BILLING_DELETED", {"billingKey": "billing-key", "reason": "expired"}),
        ("SOMETHING_NEW", {}),
    ],
)
def test_other_events_are_hints_without_a_payment_and_without_their_keys(kind: str, data: dict[str, Any]) -> None:
    (event,) = parse({"eventType": kind, "createdAt": "2026-11-23T12:00:00", "data": data}).events
    assert (event.kind, event.reference, event.merchant_ref) == (kind, None, None)
    assert "billing-key" not in repr(event)


def test_the_documented_signature_of_a_payout_is_verified() -> None:
    assert signatures(PAYOUT, PAYOUT_TIME, PAYOUT_KEY) == PAYOUT_SIGNATURE
    for given in (PAYOUT_SIGNATURE, f"v1:AAAA,{PAYOUT_SIGNATURE}"):
        batch = parse(PAYOUT, signature=given, transmission_time=PAYOUT_TIME)
        assert batch.trust is WebhookTrust.SIGNED
    for headers in (
        {"signature": PAYOUT_SIGNATURE},
        {"signature": "v1:AAAA", "transmission_time": PAYOUT_TIME},
        {"transmission_time": PAYOUT_TIME},
    ):
        with pytest.raises(WebhookRefused):
            parse(PAYOUT, **headers)
    with pytest.raises(WebhookRefused):
        parse(PAYOUT + b" ", signature=PAYOUT_SIGNATURE, transmission_time=PAYOUT_TIME)
    keyless = TossGateway(Account("toss-a", "https://pg.test", SECRET))
    with pytest.raises(WebhookRefused):
        keyless.parse_webhook(PAYOUT, {"tosspayments-webhook-signature": PAYOUT_SIGNATURE})


@pytest.mark.parametrize(
    "body",
    [
        b"garbage",
        b"[]",
        b"\xff",
        b"{" + b'"a":' * 30_000,
        b" " * 65_537,
        {},
        {"eventType": 7},
        {"eventType": "<script>"},
        {"eventType": "PAYMENT_STATUS_CHANGED", "createdAt": "2026-11-23T12:00:00"},
        STATUS_CHANGED | {"data": "DONE"},
        STATUS_CHANGED | {"data": {"paymentKey": "pk_1"}},
        STATUS_CHANGED | {"data": PAYMENT | {"paymentKey": "x" * 201}},
        STATUS_CHANGED | {"createdAt": "soon"},
        DEPOSITED | {"secret": ""},
        {name: value for name, value in DEPOSITED.items() if name != "orderId"},
    ],
)
def test_a_body_of_another_shape_or_size_is_refused(body: Any) -> None:
    with pytest.raises(WebhookRefused):
        parse(body)
