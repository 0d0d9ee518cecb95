"""The sandbox's NICE against the manual's own examples and tables, field by field, and as NICE's samples call it."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateways.gateway import MisconfiguredGateway
from gateways.nice.seal import seal
from tests.gateways.rig import KEY, SandboxServer, eventually
from tests.gateways.rigs.nice import CLIENT_KEY
from tests.gateways.rigs.nice_client import an_order, approve, cancel, pay, visit
from tests.gateways.rigs.nice_example import CHARGE, PAID, answered, refusal

ACCOUNT = "nice-f"
BACK = "http://shop.test/back"
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0900"
"""The manual's example of an approval (common/test.md)."""
PER_PAYMENT = {"tid", "orderId", "ediDate", "signature", "paidAt", "receiptUrl"}


@pytest.fixture
def raw(sandbox: SandboxServer) -> Iterator[httpx.Client]:
    """A client that knows the manual and not our adapter."""
    base = f"{sandbox.url}/nice/{ACCOUNT}"
    with httpx.Client(base_url=base, auth=(CLIENT_KEY, KEY), trust_env=False) as client:
        yield client


def returned(raw: httpx.Client, amount: int = 1004, **more: str) -> dict[str, str]:
    """What the window posts to the shop once its customer has agreed."""
    pay(raw, an_order())
    order = {"clientId": CLIENT_KEY, "method": "card", "orderId": uuid4().hex, "amount": str(amount)}
    asked = order | {"goodsName": "나이스페이-상품", "returnUrl": BACK} | more
    page = visit(raw, "/window/decision", asked | {"action": "approve", "instrument": "tok_ok"})
    pairs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)
    return {html.unescape(name): html.unescape(value) for name, value in pairs}


def shape(value: Any) -> Any:
    """Names and types; a point in time is its pattern."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, str) and re.fullmatch(MOMENT, value):
        return "moment"
    return type(value)


def test_an_approval_is_the_manuals_example_but_for_what_differs_by_payment(raw: httpx.Client) -> None:
    back = returned(raw)
    fields = [
        "authResultCode",
        "authResultMsg",
        "tid",
        "clientId",
        "orderId",
        "amount",
        "mallReserved",
        "authToken",
        "signature",
    ]
    assert list(back) == fields
    assert len(back["authToken"]) == 40
    paid = approve(raw, back["tid"], 1004)
    assert paid.pop("bank") is None
    assert shape(paid) == shape(PAID)
    fixed = {name: value for name, value in paid.items() if name not in PER_PAYMENT}
    assert fixed == {name: value for name, value in PAID.items() if name not in PER_PAYMENT}


def test_the_vendors_samples_send_the_amount_as_a_string(raw: httpx.Client) -> None:
    back = returned(raw)
    paid = raw.post(f"/v1/payments/{back['tid']}", json={"amount": back["amount"]}).json()
    assert (paid["resultCode"], paid["amount"]) == ("0000", 1004)
    whole = cancel(raw, paid["tid"], amount=back["amount"], reason="test")
    assert (whole["resultCode"], whole["status"], whole["balanceAmt"]) == ("0000", "cancelled", 0)
    billed = pay(raw, an_order(amount="5000", cardQuota="0"))
    assert (billed["resultCode"], billed["amount"]) == ("0000", 5_000)
    partial = cancel(raw, billed["tid"], cancelAmt="2000")
    assert (partial["balanceAmt"], partial["cancels"][0]["amount"]) == (3_000, 2_000)
    cancelled = ["tid", "amount", "cancelledAt", "reason", "receiptUrl", "couponAmt"]
    assert list(partial["cancels"][0]) == cancelled


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"orderId": None}, "orderId 필수입력항목이 누락되었습니다."),
        ({"amount": "만원"}, "파라미터 amount[만원]가 숫자형식이 아닙니다."),
        ({"goodsName": "x" * 41}, f"파라미터 goodsName:{'x' * 41} 길이가 최대길이40 보다 큰값 입니다."),
        ({"useShopInterest": True}, "파라미터 useShopInterest[True]는 false 값만 허용 합니다."),
        ({"orderId": 5}, "허용된 Data형식이 아닙니다."),
    ],
)
def test_a_refusal_says_what_the_code_list_says(raw: httpx.Client, change: dict[str, Any], message: str) -> None:
    assert pay(raw, an_order(**change))["resultMsg"] == message


def test_an_address_or_a_method_that_nice_does_not_have_is_told_with_its_codes(raw: httpx.Client) -> None:
    for method, path, expected in (
        ("GET", "/v1/nothing", (404, "U320", "페이지를 찾을 수 없습니다.")),
        ("POST", "/v2/payments/x", (404, "U320", "페이지를 찾을 수 없습니다.")),
        ("DELETE", "/v1/payments/x", (405, "U308", "Method Not Allowed.")),
        ("GET", "/v1/access-token", (405, "U308", "Method Not Allowed.")),
    ):
        answer = raw.request(method, path)
        assert (answer.status_code, *answer.json().values()) == expected


async def test_a_method_that_nice_does_not_have_is_for_a_person() -> None:
    for code, status in (("U308", 405), ("U320", 200)):
        with pytest.raises(MisconfiguredGateway):
            await answered(CHARGE, refusal(code), status=status)


def test_a_token_says_when_it_ends_under_both_names_of_the_manual(raw: httpx.Client) -> None:
    token = raw.post("/v1/access-token").json()
    fields = ["resultCode", "resultMsg", "accessToken", "tokenType", "expireAt", "expiredAt", "now"]
    assert list(token) == fields
    assert token["expireAt"] == token["expiredAt"] > token["now"]
    assert re.fullmatch(MOMENT, token["expireAt"])
    assert re.fullmatch("[0-9a-f]{40}", token["accessToken"])


def test_a_billing_id_is_said_in_small_letters_and_in_capitals(raw: httpx.Client) -> None:
    fields = {"orderId": uuid4().hex, "encData": "6ecfe97e521bc67c3053d74a9dbdba53" * 5, "encMode": "A2"}
    given = raw.post("/v1/subscribe/regist", json=fields).json()
    small = ["resultCode", "resultMsg", "tid", "orderId", "bid", "authDate", "cardCode", "cardName"]
    capital = ["ResultCode", "ResultMsg", "TID", "OrderID", "BID", "AuthDate", "CardCode", "CardName"]
    assert [given[name] for name in small] == [given[name] for name in capital]
    assert (given["resultMsg"], given["orderId"]) == ("빌키가 정상적으로 생성되었습니다.", fields["orderId"])
    assert given["cardName"] == "[삼성]"
    assert (len(given["bid"]), len(given["tid"])) == (30, 30)
    gone = raw.post(f"/v1/subscribe/{given['bid']}/expire", json={"orderId": uuid4().hex}).json()
    assert set(gone) == {"resultCode", "resultMsg", "tid", "orderId", "bid", "authDate"}


def test_an_amount_is_checked_before_and_after_the_approval(raw: httpx.Client) -> None:
    tid = returned(raw)["tid"]
    for _ in range(2):
        for amount, valid in ((1004, True), (1005, False)):
            said = raw.post(f"/v1/check-amount/{tid}", json={"amount": amount}).json()
            assert set(said) == {"resultCode", "resultMsg", "ediDate", "signature", "isValid", "tid"}
            assert (said["resultCode"], said["isValid"], said["tid"]) == ("0000", valid, tid)
            assert said["signature"] == seal(tid, said["ediDate"], KEY)
        approve(raw, tid, 1004)
    assert raw.post("/v1/check-amount/nobody", json={"amount": 1}).json()["resultCode"] == "A118"


def test_an_answer_comes_in_the_charset_that_was_asked_for(raw: httpx.Client) -> None:
    paid = raw.post("/v1/subscribe/tok_ok/payments", json=an_order(returnCharSet="euc-kr"))
    body = json.loads(paid.content.decode("euc-kr"))
    assert body["goodsName"] == "셔츠"
    assert paid.headers["content-type"] == "application/json;charset=euc-kr"
    found = raw.get(f"/v1/payments/{body['tid']}?returnCharSet=euc-kr")
    assert "셔츠" in found.content.decode("euc-kr")
    assert "셔츠" in raw.get(f"/v1/payments/{body['tid']}").content.decode()


def test_a_lookup_with_a_seal_of_something_else_is_refused(raw: httpx.Client) -> None:
    paid, at = pay(raw, an_order()), "2021-10-05T16:56:34.447+0900"
    path = f"/v1/payments/{paid['tid']}"
    assert raw.get(path, params={"ediDate": at, "signData": seal(paid["tid"], at, KEY)}).json()["status"] == "paid"
    assert raw.get(path, params={"ediDate": at, "signData": "0" * 64}).json()["resultCode"] == "U312"


@pytest.mark.parametrize(
    ("method", "pays", "has_card"),
    [
        ("cellphone", "cellphone", False),
        ("bank", "bank", False),
        ("naverpayCard", "naverpay", True),
        ("kakaopayMoney", "kakaopay", True),
        ("samsungpayCard", "samsungpay", True),
        ("cardAndEasyPay", "card", True),
    ],
)
def test_the_window_has_the_manuals_ways_to_pay(raw: httpx.Client, method: str, pays: str, *, has_card: bool) -> None:
    paid = approve(raw, returned(raw, method=method)["tid"], 1004)
    assert (paid["resultCode"], paid["payMethod"], paid["card"] is not None) == ("0000", pays, has_card)


@pytest.mark.parametrize("how", ["cancel", "netcancel"])
def test_an_account_that_nobody_paid_into_is_told_of_when_it_is_issued_and_when_it_is_cancelled(
    raw: httpx.Client, sandbox: SandboxServer, how: str
) -> None:
    """Nothing listens there: the outbox shows what is to be told."""
    target = {"account": ACCOUNT, "url": "http://127.0.0.1:9/hook", "secret": KEY}
    back = returned(raw, method="vbank", vbankHolder="나이스")
    sandbox.http.post("/_webhooks", json=target).raise_for_status()

    def told() -> int:
        return sum(sandbox.http.get("/_webhooks").json()["deliveries"].values())

    before = told()
    assert approve(raw, back["tid"], 1004)["status"] == "ready"
    assert told() == before + 1
    if how == "cancel":
        closed = cancel(raw, back["tid"])
    else:
        closed = raw.post("/v1/payments/netcancel", json={"orderId": back["orderId"]}).json()
    assert (closed["resultCode"], closed["status"], closed["cancelledTid"]) == ("0000", "cancelled", back["tid"])
    assert eventually(told, lambda count: count == before + 2) == before + 2
