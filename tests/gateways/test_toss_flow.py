"""Toss's ways to pay, end to end over HTTP: the customer's window, the virtual account, a billing key that waits."""

import base64
import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from domain.gateway import Amounts, Answer, Call, Outcome
from gateways.toss.adapter import TossGateway
from tests.gateways.rig import KEY, LOOKUP, NEUTRALIZE, REFUND, VOID, SandboxServer, effects, eventually, succeeded
from tests.gateways.rigs.toss import TossRig, an_account

ACCOUNT = "toss-c"
BACK = "https://shop.test/back?cart=1"
CREDENTIALS = {"Authorization": f"Basic {base64.b64encode(f'{KEY}:'.encode()).decode()}"}


@pytest.fixture
async def toss(sandbox: SandboxServer) -> AsyncIterator[TossRig]:
    sandbox.http.delete("/_faults").raise_for_status()
    rig = TossRig(TossGateway(an_account(sandbox, ACCOUNT)), sandbox, ACCOUNT)
    yield rig
    await rig.gateway.close()


def window(rig: TossRig) -> Call:
    return dataclasses.replace(rig.charge(), token=None, return_url=BACK, description='<i>"Order"</i>')


async def opened(rig: TossRig, call: Call) -> tuple[Answer, str]:
    answer = await rig.gateway.perform(call)
    assert (answer.outcome, answer.issues) == (Outcome.ACTION_REQUIRED, ())
    assert answer.action is not None
    assert answer.action.url is not None
    return answer, answer.action.url


async def test_a_customer_pays_in_the_window_comes_back_and_is_charged_once(
    toss: TossRig, sandbox: SandboxServer
) -> None:
    call = window(toss)
    answer, url = await opened(toss, call)
    page = sandbox.http.get(url).text
    assert "&lt;i&gt;" in page
    assert "<i>" not in page
    assert (await toss.gateway.perform(toss.about(call, LOOKUP))).outcome is Outcome.ACTION_REQUIRED
    early = dataclasses.replace(call, details={"payment_key": str(answer.reference), "amount": "10000"})
    assert sandbox.http.post(url, data={"action": "rob"}).status_code == 422
    back = sandbox.http.post(url, data={"action": "pay", "instrument": "tok_ok"})
    assert back.status_code == 303
    returned = {name: values[0] for name, values in parse_qs(urlsplit(back.headers["location"]).query).items()}
    assert returned == {
        "cart": "1",
        "paymentType": "NORMAL",
        "orderId": call.merchant_ref,
        "paymentKey": answer.reference,
        "amount": "10000",
    }
    assert toss.money(call).rows == ()
    forged = dataclasses.replace(early, details=early.details | {"amount": "1"})
    refused = await toss.gateway.perform(forged)
    assert (refused.outcome, refused.issues) == (Outcome.ACTION_REQUIRED, ())
    confirmation = dataclasses.replace(
        call, details={"payment_key": returned["paymentKey"], "amount": returned["amount"]}, reference=answer.reference
    )
    toss.arm("drop_after", call.kind)
    assert (await toss.gateway.perform(confirmation)).outcome is Outcome.UNKNOWN
    for asked in (confirmation, toss.about(confirmation, LOOKUP), confirmation):
        assert (await succeeded(toss, asked)).reference == answer.reference
    assert (effects(toss, call), toss.money(call).net) == (1, 10_000)
    another_key = dataclasses.replace(confirmation, key=f"{confirmation.key}-2")
    assert (await toss.gateway.perform(another_key)).outcome is Outcome.UNKNOWN
    assert "READY" not in sandbox.http.post(url, data={"action": "pay", "instrument": "tok_ok"}).text


async def test_a_customer_who_leaves_the_window_or_has_no_money_is_declined(
    toss: TossRig, sandbox: SandboxServer
) -> None:
    left = window(toss)
    answer, url = await opened(toss, left)
    early = dataclasses.replace(left, details={"payment_key": str(answer.reference), "amount": "10000"})
    assert (await toss.gateway.perform(early)).outcome is Outcome.DECLINED
    back = sandbox.http.post(url, data={"action": "cancel"}).headers["location"]
    assert parse_qs(urlsplit(back).query)["code"] == ["PAY_PROCESS_CANCELED"]
    assert (await toss.gateway.perform(toss.about(left, LOOKUP))).outcome is Outcome.DECLINED
    assert (await succeeded(toss, toss.about(left, NEUTRALIZE))).outcome is Outcome.SUCCEEDED
    poor = window(toss)
    answer, url = await opened(toss, poor)
    sandbox.http.post(url, data={"action": "pay", "instrument": "tok_insufficient"})
    confirmation = dataclasses.replace(poor, details={"payment_key": str(answer.reference), "amount": "10000"})
    declined = await toss.gateway.perform(confirmation)
    assert declined.decline is not None
    assert declined.decline.code == "REJECT_CARD_PAYMENT"
    assert toss.money(poor).net == 0


def account_of(rig: TossRig) -> Call:
    return dataclasses.replace(rig.charge(), token=None, method="virtual_account")


async def test_a_deposit_is_found_refunded_to_an_account_and_may_bounce(toss: TossRig, sandbox: SandboxServer) -> None:
    call = account_of(toss)
    answer = await toss.gateway.perform(call)
    assert answer.action is not None
    assert (answer.outcome, answer.action.kind) == (Outcome.ACTION_REQUIRED, "deposit")
    due = answer.action.due_at
    assert due is not None
    assert timedelta(hours=167) < due - datetime.now(UTC) <= timedelta(hours=168)
    page = f"/toss/{ACCOUNT}/deposit/{answer.reference}"
    assert "Deposit" in sandbox.http.get(page).text
    for action, outcome, net in (
        ("deposit", Outcome.SUCCEEDED, 10_000),
        ("bounce", Outcome.ACTION_REQUIRED, 0),
        ("deposit", Outcome.SUCCEEDED, 10_000),
    ):
        assert sandbox.http.post(page, data={"action": action}).status_code == 200
        assert (await toss.gateway.perform(toss.about(call, LOOKUP))).outcome is outcome
        assert (toss.money(call).net, toss.money(call).held) == (net, 0)
    reference = answer.reference
    assert (await toss.gateway.perform(toss.follow(call, VOID, 10_000, reference))).outcome is Outcome.DECLINED
    nowhere = toss.follow(call, REFUND, 4_000, reference)
    assert (await toss.gateway.perform(nowhere)).outcome is Outcome.DECLINED
    where = {"refund_bank": "20", "refund_account": "1002123456789", "refund_holder": "김민지"}
    refund = await succeeded(toss, dataclasses.replace(toss.follow(call, REFUND, 4_000, reference), details=where))
    assert refund.amounts == Amounts(10_000, 10_000, 4_000, 0)
    assert toss.money(call).net == 6_000


NAMED = """
02 12 23 27 30 35 45 48 50 54 60 64 S0 S6 ST
06=KOOKMIN 88=SHINHAN 45=SAEMAUL 90=KAKAOBANK 54=HSBC S0=YUANTA_SECURITES S6=KOREA_INVESTMENT_AND_SECURITIES
45=새마을 92=토스 92=토스뱅크 90=카카오 90=카카오뱅크 89=케이 31=iM뱅크
31=대구 37=전북은행 35=제주 48=신협 27=씨티 23=SC제일 ST=토스증권
"""
"""The number that an answer has, and what else a request may call the bank or securities firm."""


async def test_a_deposit_goes_back_to_every_bank_and_securities_firm_that_toss_lists(
    toss: TossRig, sandbox: SandboxServer
) -> None:
    call = account_of(toss)
    reference = (await toss.gateway.perform(call)).reference
    assert sandbox.http.post(f"/toss/{ACCOUNT}/deposit/{reference}", data={"action": "deposit"}).status_code == 200
    path = f"/toss/{ACCOUNT}/v1/payments/{reference}"
    for number, _, name in (word.partition("=") for word in NAMED.split()):
        named = name or number
        where = {"refund_bank": named, "refund_account": "1002123456789", "refund_holder": "김민지"}
        await succeeded(toss, dataclasses.replace(toss.follow(call, REFUND, 100, reference), details=where))
        shown = sandbox.http.get(path, headers=CREDENTIALS).json()["virtualAccount"]
        assert shown["refundReceiveAccount"]["bankCode"] == number, named
    nobody = {"refund_bank": "금고은행", "refund_account": "1002123456789", "refund_holder": "김민지"}
    refused = await toss.gateway.perform(dataclasses.replace(toss.follow(call, REFUND, 100, reference), details=nobody))
    assert refused.decline is not None
    assert refused.decline.code == "INVALID_BANK"
    firm = await toss.gateway.perform(dataclasses.replace(account_of(toss), details={"bank": "S0"}))
    assert firm.outcome is not Outcome.ACTION_REQUIRED, "nobody can deposit at a securities firm"


@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
async def test_an_account_that_nobody_paid_into_is_voided_whole_and_once(toss: TossRig, fault: str) -> None:
    call = account_of(toss)
    reference = (await toss.gateway.perform(call)).reference
    void = toss.follow(call, VOID, 10_000, reference)
    part = dataclasses.replace(toss.follow(call, REFUND, 1_000, reference))
    assert (await toss.gateway.perform(part)).outcome is Outcome.DECLINED
    toss.arm(fault, VOID)
    assert (await toss.gateway.perform(void)).outcome is Outcome.UNKNOWN
    found = await toss.gateway.perform(toss.about(void, LOOKUP))
    assert found.outcome is (Outcome.SUCCEEDED if fault == "drop_after" else Outcome.NOT_EXECUTED)
    await succeeded(toss, void)
    await succeeded(toss, toss.about(void, LOOKUP))
    assert effects(toss, void) == 1
    assert (await toss.gateway.perform(toss.about(call, LOOKUP))).outcome is Outcome.DECLINED
    await succeeded(toss, toss.about(call, NEUTRALIZE))
    assert (toss.money(call).net, toss.money(call).held) == (0, 0)


async def test_an_account_that_nobody_paid_into_is_neutralised(toss: TossRig) -> None:
    call = account_of(toss)
    await toss.gateway.perform(call)
    await succeeded(toss, toss.about(call, NEUTRALIZE))
    found = await toss.gateway.perform(toss.about(call, LOOKUP))
    assert (found.outcome, found.final) == (Outcome.NOT_EXECUTED, True)


async def test_a_pending_charge_is_neutralised_once_it_is_decided(toss: TossRig) -> None:
    call = toss.charge(token="tok_pending")
    assert (await toss.gateway.perform(call)).outcome is Outcome.PENDING
    undo = toss.about(call, NEUTRALIZE)
    assert (await toss.gateway.perform(undo)).outcome is Outcome.PENDING
    eventually(lambda: toss.money(call).net, lambda net: net == 10_000)
    await succeeded(toss, undo)
    assert toss.money(call).net == 0


async def test_a_billing_key_that_asks_its_customer_is_decided_on_a_page(toss: TossRig, sandbox: SandboxServer) -> None:
    for action, outcome in (("approve", Outcome.SUCCEEDED), ("decline", Outcome.DECLINED)):
        call = toss.charge(token="tok_3ds")
        _, url = await opened(toss, call)
        page = sandbox.http.get(url, follow_redirects=True)
        assert sandbox.http.post(str(page.url), data={"action": action}).status_code == 200
        assert (await toss.gateway.perform(toss.about(call, LOOKUP))).outcome is outcome
