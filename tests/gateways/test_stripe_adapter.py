"""The adapter and the sandbox's Stripe together over real HTTP: what no law asks, and webhooks."""

import asyncio
import dataclasses
import http.server
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from typing_extensions import override

from domain.gateway import Amounts, Outcome, Retry
from gateways.stripe.adapter import StripeGateway
from tests.gateways.rig import (
    AUTHORIZE,
    CAPTURE,
    KEY,
    LOOKUP,
    NEUTRALIZE,
    REFUND,
    VOID,
    SandboxRig,
    SandboxServer,
    eventually,
    succeeded,
)
from tests.gateways.rigs.stripe import WEBHOOK_SECRET, set_search_lag, stripe_account

ACCOUNT = "stripe-server"
Start = Callable[..., SandboxServer]
Received = list[tuple[bytes, dict[str, str]]]


@pytest.fixture
async def shop_rig(sandbox: SandboxServer) -> AsyncIterator[SandboxRig]:
    """An account of this file's own."""
    sandbox.http.delete("/_faults").raise_for_status()
    set_search_lag(sandbox, ACCOUNT, 0)
    rig = SandboxRig(StripeGateway(stripe_account(sandbox, ACCOUNT)), sandbox, ACCOUNT)
    yield rig
    await rig.gateway.close()


@pytest.fixture
def shop() -> Iterator[tuple[str, Received]]:
    """A receiver of webhooks: its address, and what it has taken."""
    received: Received = []

    class Shop(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((raw, dict(self.headers)))
            self.send_response(200)
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


async def test_the_adapter_names_the_page_on_which_the_customer_must_act(shop_rig: SandboxRig) -> None:
    call = dataclasses.replace(shop_rig.charge(token="tok_3ds"), return_url="https://shop.test/back")
    answer = await shop_rig.gateway.perform(call)
    assert answer.outcome is Outcome.ACTION_REQUIRED
    assert answer.action is not None
    assert answer.action.kind == "redirect"
    assert (answer.action.url or "").startswith(f"{shop_rig.url}/stripe/{ACCOUNT}/authenticate/pi_")


async def test_a_part_is_taken_once_and_the_rest_counts_as_released(shop_rig: SandboxRig) -> None:
    charge = shop_rig.charge(capture_now=False)
    held = await succeeded(shop_rig, charge)
    assert held.authorized_until is not None
    assert timedelta(days=6) < held.authorized_until - datetime.now(UTC) < timedelta(days=8)
    taken = await succeeded(shop_rig, shop_rig.follow(charge, CAPTURE, 7_000, held.reference))
    assert taken.amounts == Amounts(authorized=10_000, captured=7_000, refunded=0, voided=3_000)
    second = await shop_rig.gateway.perform(shop_rig.follow(charge, CAPTURE, 3_000, held.reference))
    assert second.outcome is Outcome.DECLINED
    for amount, outcome in ((3_000, Outcome.SUCCEEDED), (2_999, Outcome.DECLINED)):
        released = await shop_rig.gateway.perform(shop_rig.follow(charge, VOID, amount, held.reference))
        assert released.outcome is outcome
    back = await succeeded(shop_rig, shop_rig.follow(charge, REFUND, 2_500, held.reference))
    assert back.amounts == Amounts(authorized=10_000, captured=7_000, refunded=2_500, voided=3_000)
    assert (shop_rig.money(charge).net, shop_rig.money(charge).held) == (4_500, 0)


@pytest.mark.parametrize(
    ("token", "begin", "end", "net"),
    [
        ("pm_card_pendingRefund", Outcome.PENDING, Outcome.SUCCEEDED, 6_000),
        ("pm_card_refundFail", Outcome.SUCCEEDED, Outcome.DECLINED, 10_000),
    ],
)
async def test_a_refund_may_wait_and_may_fail_after_it_has_succeeded(
    shop_rig: SandboxRig, token: str, begin: Outcome, end: Outcome, net: int
) -> None:
    charge = shop_rig.charge(token=token)
    reference = (await succeeded(shop_rig, charge)).reference
    refund = shop_rig.follow(charge, REFUND, 4_000, reference)
    waiting = await shop_rig.gateway.perform(refund)
    assert waiting.outcome is begin
    known = dataclasses.replace(shop_rig.about(refund, LOOKUP), subject_reference=waiting.operation_ref)
    for asked in (known, shop_rig.about(refund, LOOKUP)):
        answer = await shop_rig.gateway.perform(asked)
        while answer.outcome is begin:
            answer = await shop_rig.gateway.perform(asked)
        assert (answer.outcome, answer.operation_ref) == (end, waiting.operation_ref)
    replayed = await shop_rig.gateway.perform(refund)
    assert (replayed.outcome, replayed.evidence.replayed) == (end, True)
    assert shop_rig.money(charge).net == net


async def test_a_lookup_finds_a_refund_among_many(shop_rig: SandboxRig) -> None:
    charge = shop_rig.charge(amount=200_000)
    reference = (await succeeded(shop_rig, charge)).reference
    refunds = [shop_rig.follow(charge, REFUND, 1_000, reference) for _ in range(102)]
    first = await succeeded(shop_rig, refunds[0])
    for refund in refunds[1:]:
        await succeeded(shop_rig, refund)
    found = await succeeded(shop_rig, shop_rig.about(refunds[0], LOOKUP))
    assert found.operation_ref == first.operation_ref


async def test_the_settlement_is_read_over_several_pages(shop_rig: SandboxRig) -> None:
    calls = [shop_rig.charge(amount=1_000 + number) for number in range(103)]
    for call in calls:
        await succeeded(shop_rig, call)
    wanted = {call.merchant_ref: call.amount for call in calls}
    day = datetime.now(UTC).date()
    lines = [line async for line in shop_rig.gateway.settlement_lines(day) if line.merchant_ref in wanted]
    assert {line.merchant_ref: line.gross for line in lines} == wanted
    assert len({line.line_id for line in lines}) == 103
    assert [line async for line in shop_rig.gateway.settlement_lines(day - timedelta(days=2))] == []


async def test_after_the_life_of_its_key_an_attempt_is_found_by_search_or_stays_unknown(shop_rig: SandboxRig) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=30)
    lost, paid = shop_rig.charge(), shop_rig.charge()
    await succeeded(shop_rig, paid)
    for call, outcome in ((lost, Outcome.UNKNOWN), (paid, Outcome.SUCCEEDED)):
        old = dataclasses.replace(shop_rig.about(call, NEUTRALIZE), subject_sent_at=long_ago)
        assert (await shop_rig.gateway.perform(old)).outcome is outcome
        assert shop_rig.money(call).net == 0


async def test_neutralising_an_old_capture_does_not_capture(shop_rig: SandboxRig) -> None:
    charge = shop_rig.charge(capture_now=False)
    reference = (await succeeded(shop_rig, charge)).reference
    capture = shop_rig.follow(charge, CAPTURE, 10_000, reference)
    long_ago = datetime.now(UTC) - timedelta(hours=30)
    old = dataclasses.replace(shop_rig.about(capture, NEUTRALIZE), subject_sent_at=long_ago)
    assert (await shop_rig.gateway.perform(old)).outcome is Outcome.UNKNOWN
    assert (shop_rig.money(charge).net, shop_rig.money(charge).held) == (0, 10_000)


async def test_a_500_that_is_told_for_ever_is_looked_through(shop_rig: SandboxRig) -> None:
    call = shop_rig.charge()
    shop_rig.arm("500_after", AUTHORIZE)
    assert (await shop_rig.gateway.perform(call)).outcome is Outcome.UNKNOWN
    for _ in range(2):
        assert (await succeeded(shop_rig, call)).evidence.replayed
    await succeeded(shop_rig, shop_rig.about(call, NEUTRALIZE))
    assert (await shop_rig.gateway.perform(call)).outcome is Outcome.NOT_EXECUTED
    assert shop_rig.money(call).net == 0


async def test_while_the_search_is_late_nothing_is_known_and_neutralising_still_works(
    shop_rig: SandboxRig, sandbox: SandboxServer
) -> None:
    set_search_lag(sandbox, ACCOUNT, 60_000)
    call = shop_rig.charge()
    shop_rig.arm("drop_after", AUTHORIZE)
    await shop_rig.gateway.perform(call)
    found = await shop_rig.gateway.perform(shop_rig.about(call, LOOKUP))
    assert (found.outcome, found.final, found.evidence.detail) == (Outcome.UNKNOWN, False, "not_found")
    await succeeded(shop_rig, shop_rig.about(call, NEUTRALIZE))
    assert (shop_rig.money(call).net, shop_rig.money(call).held) == (0, 0)
    set_search_lag(sandbox, ACCOUNT, 0)


async def test_a_neutralised_attempt_can_be_named_by_its_reference(shop_rig: SandboxRig) -> None:
    call = shop_rig.charge()
    reference = (await succeeded(shop_rig, call)).reference
    known = dataclasses.replace(call, reference=reference)
    await succeeded(shop_rig, shop_rig.about(known, NEUTRALIZE))
    found = await shop_rig.gateway.perform(shop_rig.about(known, LOOKUP))
    assert (found.outcome, found.final) == (Outcome.NOT_EXECUTED, True)
    assert shop_rig.money(call).net == 0


@pytest.mark.parametrize("fault", [None, "drop_before", "drop_after", "500_before", "500_after", "garbage", "delay"])
async def test_a_charge_that_races_its_own_neutralisation_leaves_nothing(
    shop_rig: SandboxRig, fault: str | None
) -> None:
    for capture_now in (True, False):
        call = shop_rig.charge(capture_now=capture_now)
        if fault is not None:
            shop_rig.arm(fault, AUTHORIZE, ms=50)
        undo = shop_rig.about(call, NEUTRALIZE)
        sending = asyncio.gather(*(shop_rig.gateway.perform(call) for _ in range(3)))
        while (await shop_rig.gateway.perform(undo)).outcome is not Outcome.SUCCEEDED:
            pass
        await sending
        assert (await shop_rig.gateway.perform(call)).outcome is Outcome.NOT_EXECUTED
        assert (shop_rig.money(call).net, shop_rig.money(call).held) == (0, 0)


async def test_neutralising_what_was_given_back_already_gives_back_no_more(shop_rig: SandboxRig) -> None:
    charge = shop_rig.charge()
    reference = (await succeeded(shop_rig, charge)).reference
    await succeeded(shop_rig, shop_rig.follow(charge, REFUND, 10_000, reference))
    await succeeded(shop_rig, shop_rig.about(charge, NEUTRALIZE))
    assert [word for word, _, _ in shop_rig.money(charge).rows].count("refund") == 1
    assert shop_rig.money(charge).net == 0


async def test_neutralising_is_done_only_when_its_refund_is(start: Start) -> None:
    server = start("--pending-ms", "2000")
    set_search_lag(server, ACCOUNT, 0)
    rig = SandboxRig(StripeGateway(stripe_account(server, ACCOUNT)), server, ACCOUNT)
    charge = rig.charge(token="pm_card_pendingRefund")
    await succeeded(rig, charge)
    undo = rig.about(charge, NEUTRALIZE)
    answers = [await rig.gateway.perform(undo), await rig.gateway.perform(rig.about(charge, LOOKUP))]
    assert [answer.outcome for answer in answers] == [Outcome.UNKNOWN, Outcome.UNKNOWN]
    while (await rig.gateway.perform(undo)).outcome is not Outcome.SUCCEEDED:
        pass
    assert [word for word, _, _ in rig.money(charge).rows].count("refund") == 1
    assert rig.money(charge).net == 0
    await rig.gateway.close()


async def test_a_refund_that_nobody_made_says_so(shop_rig: SandboxRig) -> None:
    charge = shop_rig.charge()
    reference = (await succeeded(shop_rig, charge)).reference
    refund = shop_rig.follow(charge, REFUND, 4_000, reference)
    strange = dataclasses.replace(shop_rig.about(refund, LOOKUP), subject_reference="re_nothing")
    for asked, detail in ((shop_rig.about(refund, LOOKUP), "not_found"), (strange, "resource_missing")):
        answer = await shop_rig.gateway.perform(asked)
        assert (answer.outcome, answer.evidence.detail) == (Outcome.UNKNOWN, detail)
    nameless = dataclasses.replace(shop_rig.about(refund, LOOKUP), reference=None)
    assert (await shop_rig.gateway.perform(nameless)).outcome is Outcome.UNKNOWN


async def test_without_a_token_and_a_page_another_account_may_take_it_and_stripe_is_not_asked(
    shop_rig: SandboxRig,
) -> None:
    nowhere = dataclasses.replace(shop_rig.charge(), token=None)
    no_card = dataclasses.replace(nowhere, method="transfer", return_url="https://shop.test/back")
    for call in (nowhere, no_card):
        answer = await shop_rig.gateway.perform(call)
        assert answer.decline is not None
        assert (answer.outcome, answer.decline.retry) == (Outcome.DECLINED, Retry.OTHER_PG)
        assert shop_rig.money(call).rows == ()


async def test_no_secret_and_no_token_stands_in_an_answer(shop_rig: SandboxRig) -> None:
    for token in ("tok_ok", "tok_declined", "tok_of_nobody"):
        call = shop_rig.charge(token=token)
        for kind in (AUTHORIZE, LOOKUP, NEUTRALIZE):
            asked = call if kind is AUTHORIZE else shop_rig.about(call, kind)
            answer = repr(await shop_rig.gateway.perform(asked))
            assert token not in answer
            assert KEY not in answer
            assert "_secret_" not in answer


async def test_webhooks_are_signed_duplicated_late_or_never_as_armed(start: Start, shop: tuple[str, Received]) -> None:
    url, received = shop
    server = start("--pending-ms", "100")
    target = {"account": ACCOUNT, "url": url, "secret": WEBHOOK_SECRET}
    assert server.http.post("/_webhooks", json=target).status_code == 201
    gateway = StripeGateway(stripe_account(server, ACCOUNT))
    rig = SandboxRig(gateway, server, ACCOUNT)
    charge = rig.charge(capture_now=False)
    reference = (await succeeded(rig, charge)).reference
    server.arm("webhook_duplicate", "capture", account=ACCOUNT)
    await succeeded(rig, rig.follow(charge, CAPTURE, 10_000, reference))
    server.arm("webhook_late", "refund", ms=600, account=ACCOUNT)
    server.arm("webhook_never", "refund", account=ACCOUNT)
    await succeeded(rig, rig.follow(charge, REFUND, 4_000, reference))
    eventually(lambda: len(received), lambda count: count >= 7)
    events = [event for raw, headers in received for event in gateway.parse_webhook(raw, headers).events]
    assert sorted(event.kind for event in events) == [
        "charge.captured",
        "charge.captured",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "payment_intent.created",
        "payment_intent.succeeded",
        "refund.created",
    ]
    assert events[-1].kind == "refund.created"
    assert {event.reference for event in events} == {reference}
    assert {event.merchant_ref for event in events} == {charge.merchant_ref}
    assert len({event.event_id for event in events}) == 6
    raw, headers = received[0]
    assert stripe.Webhook.construct_event(raw, headers["Stripe-Signature"], WEBHOOK_SECRET).id == events[0].event_id
    await gateway.close()


async def test_a_refund_that_fails_later_is_told(start: Start, shop: tuple[str, Received]) -> None:
    url, received = shop
    server = start("--pending-ms", "100")
    server.http.post("/_webhooks", json={"account": ACCOUNT, "url": url, "secret": WEBHOOK_SECRET}).raise_for_status()
    gateway = StripeGateway(stripe_account(server, ACCOUNT))
    rig = SandboxRig(gateway, server, ACCOUNT)
    charge = rig.charge(token="pm_card_refundFail")
    reference = (await succeeded(rig, charge)).reference
    refund = await gateway.perform(rig.follow(charge, REFUND, 4_000, reference))

    def kinds() -> dict[str, str | None]:
        told = [gateway.parse_webhook(raw, headers).events[0] for raw, headers in list(received)]
        return {event.kind: event.operation_ref for event in told}

    assert eventually(kinds, lambda seen: "refund.failed" in seen)["refund.failed"] == refund.operation_ref
    await gateway.close()
