"""The sandbox's Adyen: a key opens its own merchant account and no other, once the sandbox is told whose it is."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.gateways.rig import KEY, SandboxServer
from tests.gateways.rigs.adyen import MERCHANT, a_payment

OWN, ANY = "adyen-own", "adyen-any"


def post(server: SandboxServer, account: str, path: str, body: dict[str, Any]) -> httpx.Response:
    return server.http.post(f"/adyen/{account}/v72{path}", json=body, headers={"X-API-Key": KEY})


@pytest.fixture
def server(start: Callable[..., SandboxServer]) -> SandboxServer:
    return start("--merchants", json.dumps({OWN: MERCHANT}))


def test_a_payment_for_another_merchant_account_is_refused_and_moves_nothing(server: SandboxServer) -> None:
    body = a_payment(merchantAccount="SomebodyElse")
    refused = post(server, OWN, "/payments", body)
    assert (refused.status_code, refused.json()["errorCode"]) == (403, "901")
    assert server.http.get("/_ledger", params={"merchant_ref": body["reference"]}).json()["operations"] == []
    paid = post(server, OWN, "/payments", body | {"merchantAccount": MERCHANT})
    assert paid.json()["resultCode"] == "Authorised"
    psp = paid.json()["pspReference"]
    for path in (f"/payments/{psp}/refunds", f"/payments/{psp}/cancels", "/cancels", "/sessions"):
        stolen = post(server, OWN, path, {"merchantAccount": "SomebodyElse"})
        assert (stolen.status_code, stolen.json()["errorCode"]) == (403, "901"), path
    assert (
        post(server, ANY, "/payments", a_payment(merchantAccount="SomebodyElse")).json()["resultCode"] == "Authorised"
    )
