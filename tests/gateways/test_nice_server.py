"""The sandbox's NICE over real HTTP: shaped as the manual says; an order id is paid once, and cancels once."""

import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from domain.gateway import OperationKind, Outcome
from gateways.nice.adapter import NiceGateway
from gateways.nice.seal import seal
from gateways.nice.wire import KOREA
from tests.gateways.rig import KEY, SandboxServer
from tests.gateways.rigs.nice import ACCOUNT, CLIENT_KEY, NiceRig, an_account
from tests.gateways.rigs.nice_client import an_order, cancel, pay

Start = Callable[..., SandboxServer]
EXAMPLE = [
    *("resultCode", "resultMsg", "tid", "cancelledTid", "orderId", "ediDate"),
    *("signature", "status", "paidAt", "failedAt", "cancelledAt", "payMethod"),
    *("amount", "balanceAmt", "goodsName", "mallReserved", "useEscrow", "currency"),
    *("channel", "approveNo", "buyerName", "buyerTel", "buyerEmail", "receiptUrl"),
    *("mallUserId", "issuedCashReceipt", "coupon", "card", "vbank", "cancels"),
    *("cashReceipts",),
]
"""The fields of the manual's example (common/test.md); ``bank`` stands in its tables."""
CARD = [
    *("cardCode", "cardName", "cardNum", "cardQuota", "isInterestFree"),
    *("cardType", "canPartCancel", "acquCardCode", "acquCardName"),
]


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


def korean_today() -> str:
    return f"{datetime.now(KOREA):%Y%m%d}"


def test_a_payment_has_the_fields_of_the_manual_and_a_seal_that_fits(raw: httpx.Client) -> None:
    order = an_order(buyerName="김민지", mallReserved="{}")
    paid = pay(raw, order)
    assert [name for name in paid if name != "bank"] == EXAMPLE
    assert list(paid["card"]) == CARD
    assert (paid["resultCode"], paid["status"], paid["amount"], paid["balanceAmt"]) == ("0000", "paid", 10_000, 10_000)
    assert (paid["orderId"], paid["goodsName"], paid["buyerName"]) == (order["orderId"], "셔츠", "김민지")
    assert (paid["failedAt"], paid["cancelledAt"], paid["cancels"]) == ("0", "0", None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0900", paid["paidAt"])
    assert len(paid["tid"]) == 30
    assert paid["signature"] == seal(paid["tid"], 10_000, paid["ediDate"], KEY)
    by_tid = raw.get(f"/v1/payments/{paid['tid']}").json()
    by_order = raw.get(f"/v1/payments/find/{order['orderId']}", params={"orderDate": korean_today()}).json()
    moving = {"ediDate", "signature"}
    for found in (by_tid, by_order):
        assert {k: v for k, v in found.items() if k not in moving} == {k: v for k, v in paid.items() if k not in moving}


def test_an_order_id_is_paid_once_and_a_failed_one_may_be_tried_again(
    raw: httpx.Client, nice: NiceRig, sandbox: SandboxServer
) -> None:
    order = an_order()
    assert pay(raw, order)["resultCode"] == "0000"
    assert pay(raw, order) == {"resultCode": "U112", "resultMsg": "이미 사용된 OrderId 입니다."}
    assert sandbox.ledger(merchant_ref=order["orderId"], account=ACCOUNT)["net"].popitem()[1] == 10_000
    failing = an_order()
    for _ in range(2):
        body = pay(raw, failing, "tok_declined")
        assert (body["resultCode"], body["status"], body["paidAt"]) == ("3095", "failed", "0")
    assert pay(raw, failing)["resultCode"] == "U112"
    rows = sandbox.ledger(merchant_ref=failing["orderId"], account=ACCOUNT)["operations"]
    assert [(row["operation"], row["status"]) for row in rows] == [("authorize", "declined")] * 2


async def test_a_card_that_asks_for_its_customer_cannot_be_charged_with_a_billing_id(nice: NiceRig) -> None:
    charge = nice.charge(token="tok_3ds")
    refused = await nice.gateway.perform(charge)
    assert refused.decline is not None
    assert (refused.outcome, refused.decline.code) == (Outcome.DECLINED, "U311")
    assert refused.decline.category == "authentication_failed"
    found = await nice.gateway.perform(nice.about(charge, OperationKind.LOOKUP))
    assert (found.outcome, nice.money(charge).net) == (Outcome.DECLINED, 0)


def test_a_cancel_order_id_serves_one_cancel_and_the_rest_can_be_cancelled_later(raw: httpx.Client) -> None:
    paid = pay(raw, an_order())
    first = cancel(raw, paid["tid"], cancelAmt=3_000, orderId="cancel-order-" + paid["tid"])
    assert (first["status"], first["balanceAmt"], len(first["cancels"])) == ("partialCancelled", 7_000, 1)
    assert first["cancelledTid"] == first["cancels"][0]["tid"] != paid["tid"]
    assert (first["cancels"][0]["amount"], first["cancels"][0]["reason"]) == (3_000, "고객 요청")
    assert first["signature"] == seal(paid["tid"], 10_000, first["ediDate"], KEY)
    again = cancel(raw, paid["tid"], cancelAmt=3_000, orderId="cancel-order-" + paid["tid"])
    assert again["resultCode"] == "U112"
    refused = [cancel(raw, paid["tid"], cancelAmt=amount)["resultCode"] for amount in (7_001, 0, -1, "칠천")]
    assert refused == ["2032", "2010", "2010", "P010"]
    rest = cancel(raw, paid["tid"])
    assert (rest["status"], rest["balanceAmt"], len(rest["cancels"])) == ("cancelled", 0, 2)
    assert cancel(raw, paid["tid"])["resultCode"] == "2013"


def test_a_cancel_of_the_whole_has_the_payments_tid(raw: httpx.Client) -> None:
    paid = pay(raw, an_order())
    whole = cancel(raw, paid["tid"], orderId=paid["orderId"])
    assert (whole["status"], whole["cancelledTid"], whole["cancels"][0]["tid"]) == (
        "cancelled",
        paid["tid"],
        paid["tid"],
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"orderId": None}, "U100"),
        ({"orderId": ""}, "U100"),
        ({"orderId": 5}, "U131"),
        ({"orderId": "x" * 65}, "P009"),
        ({"amount": None}, "U100"),
        ({"amount": "만원"}, "P010"),
        ({"amount": True}, "P010"),
        ({"amount": 0}, "U127"),
        ({"amount": 10**12}, "U127"),
        ({"amount": 999}, "3041"),
        ({"goodsName": None}, "U100"),
        ({"cardQuota": None}, "U100"),
        ({"cardQuota": "x"}, "P010"),
        ({"cardQuota": 3}, "P037"),
        ({"useShopInterest": True}, "P012"),
        ({"signData": "0" * 64, "ediDate": "2021-10-05T16:56:34.447+0900"}, "U312"),
        ({"signData": "0" * 64}, "U100"),
    ],
)
def test_a_field_that_breaks_its_rule_is_refused_before_anything_happens(
    raw: httpx.Client, sandbox: SandboxServer, changes: dict[str, Any], code: str
) -> None:
    before = sandbox.ledger(account=ACCOUNT)["operations"]
    refused = pay(raw, an_order(**changes))
    assert refused["resultCode"] == code
    assert set(refused) == {"resultCode", "resultMsg"}
    assert sandbox.ledger(account=ACCOUNT)["operations"] == before


def test_what_is_no_json_object_is_refused(raw: httpx.Client) -> None:
    surrogate = json.dumps(an_order(orderId="\ud800")).encode()
    for content in (b"{", b"[]", b"\xff", surrogate):
        assert raw.post("/v1/subscribe/tok_ok/payments", content=content).json()["resultCode"] == "U131"


def test_a_signed_request_is_accepted_where_the_seal_fits(raw: httpx.Client) -> None:
    at = "2021-10-05T16:56:34.447+0900"
    order = an_order(ediDate=at)
    paid = pay(raw, order | {"signData": seal(order["orderId"], "tok_ok", at, KEY)})
    assert paid["resultCode"] == "0000"
    sealed = {"ediDate": at, "signData": seal(paid["tid"], at, KEY)}
    assert cancel(raw, paid["tid"], **sealed)["resultCode"] == "0000"


def test_a_lookup_needs_the_day_of_the_order(raw: httpx.Client) -> None:
    paid = pay(raw, an_order())
    path = f"/v1/payments/find/{paid['orderId']}"
    days: tuple[tuple[str | None, str], ...] = ((None, "U100"), ("today", "U130"), ("20200101", "A118"))
    for day, code in days:
        assert raw.get(path, params={} if day is None else {"orderDate": day}).json()["resultCode"] == code
    assert raw.get("/v1/payments/nobody").json()["resultCode"] == "A118"
    assert cancel(raw, "nobody")["resultCode"] == "2012"


def test_wrong_keys_are_refused_and_a_token_opens_for_half_an_hour(start: Start) -> None:
    server = start("--keys", json.dumps({ACCOUNT: KEY}))
    base = f"{server.url}/nice/{ACCOUNT}/v1"
    wrong = base64.b64encode(f"{CLIENT_KEY}:another".encode()).decode()
    for given in ("", "Basic", "Basic %%%", "Basic \xe9", f"Basic {wrong}", f"Bearer {wrong}", f"Digest {wrong}"):
        headers = {b"Authorization": given.encode("latin-1")} if given else None
        response = server.http.get(f"{base}/payments/x", headers=headers)
        expected = "U305" if given.startswith("Bearer") else "U304"
        assert (response.status_code, response.json()["resultCode"]) == (401, expected)
    first, second = (server.http.post(f"{base}/access-token", auth=(CLIENT_KEY, KEY)).json() for _ in range(2))
    assert (first["resultCode"], first["tokenType"]) == ("0000", "Bearer")
    assert first["accessToken"] == second["accessToken"]
    bearer = {"Authorization": f"Bearer {first['accessToken']}"}
    paid = server.http.post(f"{base}/subscribe/tok_ok/payments", json=an_order(), headers=bearer).json()
    assert paid["signature"] == seal(paid["tid"], 10_000, paid["ediDate"], KEY)


def test_an_order_id_that_the_account_has_used_in_another_way_is_refused(start: Start) -> None:
    server = start()
    card = {"merchant_ref": uuid4().hex, "amount": 1000, "currency": "KRW", "method": "card", "token": "tok_ok"}
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": uuid4().hex}
    assert server.http.post(f"/{ACCOUNT}/v1/payments", json=card, headers=headers).status_code == 201
    with httpx.Client(base_url=f"{server.url}/nice/{ACCOUNT}", auth=(CLIENT_KEY, KEY), trust_env=False) as raw:
        taken = pay(raw, an_order(orderId=card["merchant_ref"]))
        settled = raw.get(f"/v1/settlements?settlementDate={korean_today()}&page=1&size=10").json()
    assert taken["resultCode"] == "U112"
    assert (settled["settlements"], settled["hasNext"]) == ([], False)


def test_a_billing_id_that_was_given_out_pays_until_it_expires(raw: httpx.Client) -> None:
    fields = {"orderId": uuid4().hex, "encData": "6ecfe97e521bc67c3053d74a9dbdba53" * 5, "encMode": "A2"}
    given = raw.post("/v1/subscribe/regist", json=fields).json()
    assert (given["resultCode"], len(given["bid"])) == ("0000", 30)
    assert pay(raw, an_order(), given["bid"])["status"] == "paid"
    expiry = f"/v1/subscribe/{given['bid']}/expire"
    codes = [raw.post(expiry, json={"orderId": uuid4().hex}).json()["resultCode"] for _ in range(2)]
    assert codes == ["0000", "U115"]
    assert pay(raw, an_order(), given["bid"])["resultCode"] == "U115"
    assert pay(raw, an_order(), "BIKYofnobody")["resultCode"] == "U309"
    assert raw.post("/v1/subscribe/regist", json=fields | {"encData": "no hex"}).json()["resultCode"] == "U131"


async def test_a_second_sending_is_unknown_for_a_payment_and_what_happened_for_a_refund(nice: NiceRig) -> None:
    charge = nice.charge()
    paid = await nice.gateway.perform(charge)
    again = await nice.gateway.perform(charge)
    assert (paid.outcome, again.outcome, again.evidence.detail) == (Outcome.SUCCEEDED, Outcome.UNKNOWN, "U112")
    refund = nice.follow(charge, OperationKind.REFUND, 4_000, paid.reference)
    first, second = [await nice.gateway.perform(refund) for _ in range(2)]
    assert (second.outcome, second.operation_ref) == (Outcome.SUCCEEDED, first.operation_ref)
    assert nice.money(charge).net == 6_000


async def test_the_book_survives_kill_9(start: Start) -> None:
    server = start()
    nice = NiceRig(NiceGateway(an_account(server)), server, ACCOUNT)
    charge = nice.charge()
    paid = await nice.gateway.perform(charge)
    server.kill()
    server.restart()
    found = await nice.gateway.perform(nice.about(charge, OperationKind.LOOKUP))
    assert (found.outcome, found.reference) == (Outcome.SUCCEEDED, paid.reference)
    assert (await nice.gateway.perform(charge)).outcome is Outcome.UNKNOWN
    await nice.gateway.close()
