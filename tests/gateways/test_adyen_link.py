"""Payment links of the sandbox's Adyen: paid once, expired, or made good for several payments."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.gateways.rig import KEY, LOOKUP, eventually
from tests.gateways.rigs.adyen import MERCHANT, AdyenRig, post


def a_link(adyen: AdyenRig, **more: Any) -> dict[str, Any]:
    """A new link of 10.00 EUR."""
    body = {"merchantAccount": MERCHANT, "reference": uuid4().hex, "amount": {"currency": "EUR", "value": 1000}}
    said = post(adyen, "/v72/paymentLinks", {**body, **more})
    link: dict[str, Any] = said.json()
    assert (said.status_code, link["status"], link["id"][:2], link["reference"]) == (
        201,
        "active",
        "PL",
        body["reference"],
    )
    return link


def press(link: dict[str, Any], action: str) -> httpx.Response:
    return httpx.post(link["url"], data={"action": action}, trust_env=False)


def status(adyen: AdyenRig, link: dict[str, Any]) -> str:
    return str(adyen.get(f"/v72/paymentLinks/{link['id']}").json()["status"])


def patch(adyen: AdyenRig, link: str, body: Any) -> httpx.Response:
    url = f"{adyen.url}/adyen/{adyen.account}/v72/paymentLinks/{link}"
    return httpx.patch(url, json=body, headers={"X-API-Key": KEY}, trust_env=False)


def test_a_link_is_paid_once_after_a_refusal(adyen: AdyenRig) -> None:
    link = a_link(adyen, returnUrl="https://shop.example/thanks")
    assert "Pay" in httpx.get(link["url"], trust_env=False).text
    assert "refused" in press(link, "decline").text
    assert (status(adyen, link), press(link, "rob").status_code) == ("active", 422)
    paid = press(link, "pay")
    assert (paid.status_code, paid.headers["location"]) == (303, "https://shop.example/thanks")
    assert "completed" in press(link, "pay").text
    assert (status(adyen, link), adyen.net(link["reference"])) == ("completed", 1000)
    heard = eventually(lambda: adyen.items("AUTHORISATION"), lambda items: len(items) == 2)
    assert [item["success"] for item in heard] == ["false", "true"]
    assert patch(adyen, link["id"], {"status": "expired"}).status_code == 422


def test_a_link_that_was_expired_takes_no_payment(adyen: AdyenRig) -> None:
    link = a_link(adyen)
    assert patch(adyen, link["id"], {"status": "active"}).status_code == 422
    assert patch(adyen, link["id"], {"status": "expired"}).json()["status"] == "expired"
    adyen.arm("clock_skew", LOOKUP, ms=-60_000)
    over = a_link(adyen, expiresAt=(datetime.now(UTC) - timedelta(seconds=30)).isoformat())
    for gone in (link, over):
        assert (status(adyen, gone), "expired" in press(gone, "pay").text) == ("expired", True)
        assert adyen.net(gone["reference"]) == 0


def test_a_reusable_link_is_paid_again_and_manual_capture_only_holds(adyen: AdyenRig) -> None:
    link = a_link(adyen, reusable=True)
    for _ in range(2):
        assert "Paid" in press(link, "pay").text
    assert (status(adyen, link), adyen.net(link["reference"])) == ("active", 2000)
    held = a_link(adyen, manualCapture=True)
    press(held, "pay")
    assert adyen.net(held["reference"]) == 0


def test_a_link_that_is_not_there_is_not_valid(adyen: AdyenRig) -> None:
    for said in (adyen.get("/v72/paymentLinks/PLNOBODY"), patch(adyen, "PLNOBODY", {"status": "expired"})):
        assert (said.status_code, said.json()["message"]) == (422, "Field 'linkId' is not valid.")
    page = f"{adyen.url}/adyen/{adyen.account}/checkoutshopper/link/PLNOBODY"
    assert httpx.get(page, trust_env=False).status_code == 404


@pytest.mark.parametrize("days", [-1, 0, 71])
def test_a_link_ends_in_the_future_and_within_seventy_days(adyen: AdyenRig, days: int) -> None:
    until = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    body = {"merchantAccount": MERCHANT, "reference": "r", "amount": {"currency": "EUR", "value": 1}}
    said = post(adyen, "/v72/paymentLinks", {**body, "expiresAt": until})
    words = (422, "192", "Field 'expiresAt' is not valid.")
    assert (said.status_code, said.json()["errorCode"], said.json()["message"]) == words
