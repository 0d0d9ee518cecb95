"""Toss's webhooks leave unsigned, are repeated until 200, and go wrong as armed; windows and accounts expire."""

import dataclasses
import http.server
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typing_extensions import override

from domain.gateway import Call, Outcome
from gateways.gateway import Account, WebhookEvent, WebhookTrust
from gateways.sandbox.server.vendors.toss import TossPayments
from gateways.toss.adapter import TossGateway
from tests.gateways.rig import KEY, LOOKUP, NEUTRALIZE, REFUND, VOID, SandboxServer, eventually, succeeded
from tests.gateways.rigs.toss import CUSTOMER, TossRig, an_account
from tests.gateways.rigs.toss_samples import CHARGE, WINDOW, about
from tests.gateways.stage import Stage

ACCOUNT = "toss-d"
Start = Callable[..., SandboxServer]
Received = list[tuple[bytes, dict[str, str]]]


@pytest.fixture
def shop() -> Iterator[tuple[str, Received]]:
    """A receiver of webhooks that answers the first delivery of each body with 202, which is not what Toss takes."""
    received: Received = []
    refused: set[bytes] = set()

    class Shop(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            first = raw not in refused
            refused.add(raw)
            if not first:
                received.append((raw, dict(self.headers)))
            self.send_response(202 if first else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        @override
        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", received
    server.shutdown()
    thread.join()
    server.server_close()


def listening(server: SandboxServer, url: str) -> TossRig:
    target = {"account": ACCOUNT, "url": url, "secret": KEY}
    assert server.http.post("/_webhooks", json=target).status_code == 201
    return TossRig(TossGateway(an_account(server, ACCOUNT)), server, ACCOUNT)


def events_of(rig: TossRig, received: Received) -> list[WebhookEvent]:
    batches = [rig.gateway.parse_webhook(raw, headers) for raw, headers in received]
    assert {batch.trust for batch in batches} <= {WebhookTrust.UNSIGNED}
    return [event for batch in batches for event in batch.events]


async def test_events_are_hints_repeated_duplicated_late_and_lost(start: Start, shop: tuple[str, Received]) -> None:
    url, received = shop
    rig = listening(start(), url)
    calls = [rig.charge() for _ in range(4)]
    references = [(await succeeded(rig, call)).reference for call in calls]
    for fault in ("webhook_never", "webhook_duplicate", "webhook_late"):
        rig.arm(fault, REFUND, ms=900)
    for call, reference in zip(calls, references, strict=True):
        await succeeded(rig, rig.follow(call, REFUND, 4_000, reference))
    eventually(lambda: len(received), lambda count: count >= 4)
    events = events_of(rig, received)
    never, duplicate, late, plain = references
    taken = [event.reference for event in events]
    assert never not in taken
    assert taken[-1] == late
    assert sorted(map(str, taken)) == sorted(map(str, [duplicate, duplicate, late, plain]))
    assert len({event.event_id for event in events}) == 3
    assert {event.kind for event in events} == {"PAYMENT_STATUS_CHANGED"}
    lowered = [{name.lower(): value for name, value in headers.items()} for _, headers in received]
    assert all("tosspayments-webhook-signature" not in headers for headers in lowered)
    shown = [json.loads(raw)["data"] for raw, _ in received]
    retried = [headers["tosspayments-webhook-transmission-retried-count"] for headers in lowered]
    assert {plain: "1", late: "1"}.items() <= dict(zip(taken, retried, strict=True)).items()
    assert {(one["status"], one["balanceAmount"]) for one in shown} == {("PARTIAL_CANCELED", 6_000)}
    await rig.gateway.close()


async def test_a_deposit_is_told_twice_with_the_payments_secret_as_is_its_account_before(
    start: Start, shop: tuple[str, Received]
) -> None:
    url, received = shop
    server = start()
    rig = listening(server, url)
    call = dataclasses.replace(rig.charge(), token=None, method="virtual_account")
    reference = (await rig.gateway.perform(call)).reference
    assert server.http.post(f"/toss/{ACCOUNT}/deposit/{reference}", data={"action": "deposit"}).status_code == 200
    eventually(lambda: len(received), lambda count: count >= 3)
    events = {event.kind: event for event in events_of(rig, received)}
    changed, deposited = events["PAYMENT_STATUS_CHANGED"], events["DEPOSIT_CALLBACK"]
    payment = next(json.loads(raw)["data"] for raw, _ in received if b"eventType" in raw)
    assert (changed.reference, changed.merchant_ref, payment["status"]) == (reference, call.merchant_ref, "DONE")
    assert (deposited.reference, deposited.merchant_ref) == (None, call.merchant_ref)
    assert deposited.secret == payment["secret"]
    forged = json.dumps({**payment, "secret": "mine", "createdAt": payment["approvedAt"], "status": "DONE"}).encode()
    batch = rig.gateway.parse_webhook(forged, {})
    assert batch.trust is WebhookTrust.UNSIGNED  # Whatever it states is hearsay.
    assert batch.events[0].secret != payment["secret"]
    await succeeded(rig, rig.about(call, LOOKUP))
    await rig.gateway.close()


async def test_a_billing_charge_sends_no_event_of_its_success(start: Start, shop: tuple[str, Received]) -> None:
    url, received = shop
    server = start()
    rig = listening(server, url)
    await succeeded(rig, rig.charge())
    declined = rig.charge(token="tok_declined")
    assert (await rig.gateway.perform(declined)).outcome is Outcome.DECLINED
    eventually(lambda: len(received), lambda count: count >= 1)
    (event,) = events_of(rig, received)
    assert event.merchant_ref == declined.merchant_ref
    assert sum(server.http.get("/_webhooks").json()["deliveries"].values()) == 1
    await rig.gateway.close()


class TossStage(Stage):
    """A Toss in this process whose clock can be put forward."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "toss", ACCOUNT, TossPayments)
        self.gateway = TossGateway(Account(ACCOUNT, self.url, KEY), client=self.http, clock=lambda: self.now)

    async def pay(self, url: str) -> None:
        """The customer chooses an instrument."""
        assert (await self.http.post(url, data={"action": "pay", "instrument": "tok_ok"})).status_code == 303


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[TossStage]:
    built = TossStage(tmp_path)
    yield built
    await built.close()


def fresh(call: Call) -> Call:
    return dataclasses.replace(call, merchant_ref=f"order-{uuid4().hex[:12]}", key=uuid4().hex, customer=CUSTOMER)


@pytest.mark.parametrize(("authenticated", "seconds"), [(False, 1_800), (True, 600)])
async def test_a_window_expires_by_itself_and_then_cannot_be_confirmed(
    stage: TossStage, seconds: int, *, authenticated: bool
) -> None:
    call = fresh(WINDOW)
    opened = await stage.gateway.perform(call)
    assert opened.action is not None
    assert opened.action.url is not None
    if authenticated:
        stage.now += 1_000
        await stage.pay(opened.action.url)
    waiting = Outcome.UNKNOWN if authenticated else Outcome.ACTION_REQUIRED
    stage.now += seconds - 1
    stage.run_jobs()
    assert (await stage.gateway.perform(about(call, LOOKUP))).outcome is waiting
    assert (await stage.gateway.perform(about(call, NEUTRALIZE))).outcome is Outcome.PENDING
    assert stage.posted == []
    stage.now += 1
    stage.run_jobs()
    stage.run_jobs()
    assert [event["data"]["status"] for event in stage.posted] == ["EXPIRED"]
    late = dataclasses.replace(call, details={"payment_key": str(opened.reference), "amount": "15000"})
    declined = await stage.gateway.perform(late)
    assert declined.decline is not None
    assert declined.decline.code == "NOT_FOUND_PAYMENT_SESSION"
    assert (await stage.gateway.perform(about(call, LOOKUP))).outcome is Outcome.DECLINED
    assert (await stage.gateway.perform(about(call, NEUTRALIZE))).outcome is Outcome.SUCCEEDED


async def test_a_virtual_account_expires_when_it_is_due(stage: TossStage) -> None:
    call = fresh(dataclasses.replace(CHARGE, token=None, method="virtual_account"))
    opened = await stage.gateway.perform(call)
    assert opened.action is not None
    stage.now += 168 * 3600 - 1
    assert (await stage.gateway.perform(about(call, LOOKUP))).outcome is Outcome.ACTION_REQUIRED
    stage.now += 1
    assert (await stage.gateway.perform(about(call, LOOKUP))).outcome is Outcome.DECLINED
    stage.run_jobs()
    assert [event.get("data", event)["status"] for event in stage.posted] == ["WAITING_FOR_DEPOSIT", "EXPIRED"]
    assert stage.posted[-1]["data"]["failure"]["code"] == "EXPIRED_PAYMENT"
    page = f"http://pg.test/toss/{ACCOUNT}/deposit/{opened.reference}"
    assert (await stage.http.post(page, data={"action": "deposit"})).status_code == 200
    assert (await stage.gateway.perform(about(call, LOOKUP))).outcome is Outcome.DECLINED


@pytest.mark.parametrize(
    ("deposited", "told"),
    [
        (False, ["WAITING_FOR_DEPOSIT", "CANCELED", "PAYMENT_STATUS_CHANGED CANCELED"]),
        (True, ["WAITING_FOR_DEPOSIT", "DONE", "PAYMENT_STATUS_CHANGED DONE"]),
    ],
)
async def test_a_virtual_account_is_told_of_when_it_is_issued_paid_and_cancelled(
    stage: TossStage, told: list[str], *, deposited: bool
) -> None:
    call = fresh(dataclasses.replace(CHARGE, token=None, method="virtual_account"))
    reference = (await stage.gateway.perform(call)).reference
    if deposited:
        page = f"http://pg.test/toss/{ACCOUNT}/deposit/{reference}"
        assert (await stage.http.post(page, data={"action": "deposit"})).status_code == 200
    details = {"refund_bank": "20", "refund_account": "1002123456789", "refund_holder": "김민지"} if deposited else {}
    kind = REFUND if deposited else VOID
    back = dataclasses.replace(call, kind=kind, key=uuid4().hex, amount=4_000, reference=reference, details=details)
    assert (await stage.gateway.perform(back)).outcome is Outcome.SUCCEEDED
    if deposited:
        told = [*told, "PARTIAL_CANCELED", "PAYMENT_STATUS_CHANGED PARTIAL_CANCELED"]
    words = [" ".join((one.get("eventType", ""), one.get("data", one)["status"])).strip() for one in stage.posted]
    assert words == told
    callbacks = [one for one in stage.posted if "eventType" not in one]
    assert all(set(one) == {"createdAt", "secret", "status", "transactionKey", "orderId"} for one in callbacks)
    assert len({one["transactionKey"] for one in callbacks}) == len(callbacks)


async def test_a_key_is_forgotten_after_fifteen_days(stage: TossStage) -> None:
    headers = {"Authorization": "Basic a2V5LW9mLXRoZS1sYXdzOg==", "Idempotency-Key": "a-key"}
    url = f"http://pg.test/toss/{ACCOUNT}/v1/billing/tok_ok"
    answers = []
    for days in (0, 14.9, 0.2, 0, 15):
        stage.now += days * 86_400
        order = {"orderId": f"order-{uuid4().hex[:12]}", "orderName": "x", "amount": 1_000, "customerKey": CUSTOMER}
        answers.append((await stage.http.post(url, json=order, headers=headers)).content)
    assert answers[0] == answers[1] != answers[2] == answers[3] != answers[4]


async def test_another_secret_key_does_not_open_the_account(stage: TossStage) -> None:
    refused = await stage.http.get(
        f"http://pg.test/toss/{ACCOUNT}/v1/payments/x", headers={"Authorization": "Basic dGVzdF9za194Og=="}
    )
    assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHORIZED_KEY")
