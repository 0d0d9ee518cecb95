"""The sandbox's NICE as customers see it: the window, and the bank of a virtual account."""

import dataclasses
import html
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from domain.gateway import Call, OperationKind, Outcome
from gateways.nice.adapter import NiceGateway
from tests.gateways.rig import KEY, Rig, SandboxServer
from tests.gateways.rigs.nice import ACCOUNT, CLIENT_KEY, NiceRig, an_account
from tests.gateways.rigs.nice_client import an_order, approve, pay, visit

BACK = "http://shop.test/back"


@pytest.fixture
async def nice(sandbox: SandboxServer) -> AsyncIterator[NiceRig]:
    """The laws' account at the folder's one server."""
    sandbox.http.delete("/_faults")
    rig = NiceRig(NiceGateway(an_account(sandbox)), sandbox, ACCOUNT)
    yield rig
    await rig.gateway.close()


@pytest.fixture
def raw(sandbox: SandboxServer) -> Iterator[httpx.Client]:
    """A client that knows the manual and not our adapter."""
    base = f"{sandbox.url}/nice/{ACCOUNT}"
    with httpx.Client(base_url=base, auth=(CLIENT_KEY, KEY), trust_env=False) as client:
        yield client


def fields_of(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of a page's form."""
    pairs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)
    return {html.unescape(name): html.unescape(value) for name, value in pairs}


async def through_the_window(nice: Rig, call: Call, **choice: str) -> tuple[Call, str]:
    """The call after the customer has been at the window, and the address that the result was posted to."""
    answer = await nice.gateway.perform(call)
    assert answer.action is not None
    assert answer.action.url is not None
    async with httpx.AsyncClient(trust_env=False) as browser:
        page = await browser.get(answer.action.url)
        assert page.status_code == 200
        decision = re.findall(r'action="([^"]+)"', page.text)[0]
        result = await browser.post(html.unescape(decision), data={**fields_of(page), **choice})
    names = {"authResultCode": "auth_result_code", "orderId": "order_id", "authToken": "auth_token"}
    details = {names.get(name, name): value for name, value in fields_of(result).items()}
    target = html.unescape(re.findall(r'action="([^"]+)"', result.text)[0])
    return dataclasses.replace(call, details=details), target


def a_window_call(nice: Rig, **changes: Any) -> Call:
    return dataclasses.replace(nice.charge(), token=None, return_url=BACK, **changes)


async def test_the_window_sends_the_customer_back_and_the_shop_approves_once(nice: NiceRig, raw: httpx.Client) -> None:
    pay(raw, an_order())
    call = a_window_call(nice, description='<b>"Shirt" & tie</b>')
    returned, target = await through_the_window(nice, call, action="approve", instrument="tok_ok")
    assert target == BACK
    assert {"tid", "auth_token", "signature", "amount", "clientId", "order_id"} <= set(returned.details)
    assert nice.money(call).rows == ()
    paid = await nice.gateway.perform(returned)
    assert (paid.outcome, paid.reference, paid.issues) == (Outcome.SUCCEEDED, returned.details["tid"], ())
    again = await nice.gateway.perform(returned)
    assert (again.outcome, again.evidence.detail) == (Outcome.UNKNOWN, "U114")
    assert nice.money(call).net == 10_000
    found = await nice.gateway.perform(nice.about(call, OperationKind.LOOKUP))
    assert (found.outcome, found.reference) == (Outcome.SUCCEEDED, paid.reference)


async def test_the_window_escapes_what_it_shows_and_refuses_what_it_cannot_open(
    nice: NiceRig, raw: httpx.Client
) -> None:
    answer = await nice.gateway.perform(a_window_call(nice, description="<script>alert(1)</script>"))
    assert answer.action is not None
    fields = answer.action.fields
    page = visit(raw, "/window", fields)
    assert "<script>alert(1)" not in page.text
    assert "&lt;script&gt;" in page.text
    for broken in ({"returnUrl": "javascript:alert(1)"}, {"amount": "ten"}, {"cardQuota": "x"}, {"orderId": ""}):
        assert visit(raw, "/window", fields | broken).status_code == 400
    assert "AUTHNICE" in visit(raw, "/v1/js/").text


async def test_a_customer_who_gives_up_or_a_card_that_is_refused_pays_nothing(nice: NiceRig, raw: httpx.Client) -> None:
    pay(raw, an_order())
    given_up, _ = await through_the_window(nice, a_window_call(nice), action="cancel")
    assert "tid" not in given_up.details
    assert (await nice.gateway.perform(given_up)).outcome is Outcome.DECLINED
    refused, _ = await through_the_window(nice, a_window_call(nice), action="approve", instrument="tok_lost")
    answer = await nice.gateway.perform(refused)
    assert answer.decline is not None
    assert answer.decline.category == "lost_or_stolen"
    assert (nice.money(given_up).net, nice.money(refused).net) == (0, 0)


async def test_an_amount_that_was_not_authenticated_is_not_approved(nice: NiceRig, raw: httpx.Client) -> None:
    pay(raw, an_order())
    returned, _ = await through_the_window(nice, a_window_call(nice), action="approve")
    tid = returned.details["tid"]
    assert approve(raw, tid, 9_999)["resultCode"] == "A123"
    assert approve(raw, "nobody", 9_999)["resultCode"] == "U120"
    assert approve(raw, tid, 10_000)["status"] == "paid"


async def test_a_virtual_account_waits_for_its_deposit_and_is_refunded_to_an_account(
    nice: NiceRig, raw: httpx.Client
) -> None:
    pay(raw, an_order())
    call = a_window_call(nice, method="virtual_account", description="Shirt")
    returned, _ = await through_the_window(nice, call, action="approve")
    waiting = await nice.gateway.perform(returned)
    assert waiting.outcome is Outcome.ACTION_REQUIRED
    assert waiting.action is not None
    assert set(waiting.action.fields) == {"bank", "account", "holder"}
    assert waiting.action.due_at is not None
    assert timedelta(days=6) < waiting.action.due_at - datetime.now(UTC) < timedelta(days=8)
    lookup = nice.about(call, OperationKind.LOOKUP)
    assert (await nice.gateway.perform(lookup)).outcome is Outcome.ACTION_REQUIRED
    bank = f"/deposit/{waiting.reference}"
    assert waiting.action.fields["account"] in visit(raw, bank).text
    assert visit(raw, bank, {}).status_code == 200
    assert visit(raw, bank, {}).status_code == 409
    assert (await nice.gateway.perform(lookup)).outcome is Outcome.SUCCEEDED
    assert nice.money(call).net == 10_000
    refund = nice.follow(call, OperationKind.REFUND, 10_000, waiting.reference)
    assert (await nice.gateway.perform(refund)).outcome is Outcome.NOT_EXECUTED
    details = {"refund_account": "110123456789", "refund_bank": "088", "refund_holder": "김민지"}
    assert (await nice.gateway.perform(dataclasses.replace(refund, details=details))).outcome is Outcome.SUCCEEDED
    assert nice.money(call).net == 0


async def test_a_virtual_account_that_nobody_paid_into_is_closed_by_neutralising_it(
    nice: NiceRig, raw: httpx.Client
) -> None:
    pay(raw, an_order())
    call = a_window_call(nice, method="virtual_account")
    returned, _ = await through_the_window(nice, call, action="approve")
    waiting = await nice.gateway.perform(returned)
    assert (await nice.gateway.perform(nice.about(call, OperationKind.NEUTRALIZE))).outcome is Outcome.SUCCEEDED
    assert visit(raw, f"/deposit/{waiting.reference}", {}).status_code == 409
    assert nice.money(call).net == 0
