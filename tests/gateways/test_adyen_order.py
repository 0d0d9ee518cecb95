"""Orders of the sandbox's Adyen: several payments for one amount."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.gateways.rig import eventually
from tests.gateways.rigs.adyen import MERCHANT, AdyenRig, a_payment, post

MANUAL = {"additionalData": {"manualCapture": "true"}}
REDIRECTED = {"type": "scheme", "storedPaymentMethodId": "tok_3ds"}
REFUSED = {"type": "scheme", "storedPaymentMethodId": "tok_declined"}


def eur(value: int) -> dict[str, Any]:
    return {"currency": "EUR", "value": value}


def an_order(adyen: AdyenRig, value: int = 2500, **more: Any) -> dict[str, str]:
    """A new order, as payments name it."""
    body = {"merchantAccount": MERCHANT, "reference": "order-1", "amount": eur(value), **more}
    said = post(adyen, "/v72/orders", body)
    assert (said.status_code, said.json()["resultCode"], said.json()["remainingAmount"]) == (200, "Success", eur(value))
    return {name: said.json()[name] for name in ("pspReference", "orderData")}


def pay(adyen: AdyenRig, order: dict[str, str], value: int, **more: Any) -> httpx.Response:
    return post(adyen, "/v72/payments", a_payment(order=order, amount=eur(value), **more))


def test_an_order_is_closed_once_its_payments_have_paid_it(adyen: AdyenRig) -> None:
    order = an_order(adyen)
    assert pay(adyen, order, 1000).json()["order"]["remainingAmount"] == eur(1500)
    assert pay(adyen, order, 1500, paymentMethod=REFUSED).json()["order"]["remainingAmount"] == eur(1500)
    too_much = pay(adyen, order, 1501)
    assert (too_much.status_code, too_much.json()["errorCode"]) == (422, "166")
    last = pay(adyen, order, 1500).json()
    assert (last["resultCode"], last["order"]["remainingAmount"]) == ("Authorised", eur(0))
    items = eventually(lambda: [*adyen.items("ORDER_OPENED"), *adyen.items("ORDER_CLOSED")], lambda seen: len(seen) > 1)
    assert [(item["success"], item["pspReference"]) for item in items] == [("true", order["pspReference"])] * 2
    assert pay(adyen, order, 1).json()["errorCode"] == "14_037"


def test_a_payment_that_is_redirected_counts_and_closes_the_order_when_it_is_authorised(adyen: AdyenRig) -> None:
    order = an_order(adyen)
    redirected = pay(adyen, order, 1500, paymentMethod=REDIRECTED).json()
    assert pay(adyen, order, 1000).json()["order"]["remainingAmount"] == eur(0)
    assert pay(adyen, order, 1).json()["errorCode"] == "166"
    assert len(eventually(lambda: adyen.items("ORDER_OPENED"), bool)) == 1
    assert adyen.items("ORDER_CLOSED") == []
    back = httpx.post(redirected["action"]["url"], data={"action": "approve"}, trust_env=False).headers["location"]
    details = {"details": {"redirectResult": parse_qs(urlsplit(back).query)["redirectResult"][0]}}
    assert post(adyen, "/v72/payments/details", details).json()["order"]["remainingAmount"] == eur(0)
    assert eventually(lambda: adyen.items("ORDER_CLOSED"), bool)[0]["success"] == "true"


@pytest.mark.parametrize("more", [{}, MANUAL])
def test_a_cancelled_order_gives_back_what_its_payments_took_or_held(adyen: AdyenRig, more: Any) -> None:
    order = an_order(adyen)
    body = a_payment(order=order, amount=eur(1000), **more)
    assert post(adyen, "/v72/payments", body).json()["resultCode"] == "Authorised"
    cancel = {"merchantAccount": MERCHANT, "order": order}
    cancelled = post(adyen, "/v72/orders/cancel", cancel)
    assert (cancelled.status_code, cancelled.json()["resultCode"]) == (200, "Received")
    assert eventually(lambda: adyen.items("ORDER_CLOSED"), bool)[0]["success"] == "false"
    assert adyen.net(body["reference"]) == 0
    assert post(adyen, "/v72/orders/cancel", cancel).json()["errorCode"] == "14_037"


def test_an_order_that_is_not_there_or_over_takes_no_payment(adyen: AdyenRig) -> None:
    order = an_order(adyen)
    over = an_order(adyen, expiresAt="2020-01-01T00:00:00Z")
    for wrong in ({**order, "orderData": "forged"}, {**order, "pspReference": "NOBODY"}, over):
        assert pay(adyen, wrong, 1).json()["errorCode"] == "14_037"
    other = a_payment(order=order, amount={"currency": "USD", "value": 1})
    assert post(adyen, "/v72/payments", other).json()["errorCode"] == "166"


def test_there_are_no_gift_cards(adyen: AdyenRig) -> None:
    body = {
        "merchantAccount": MERCHANT,
        "amount": eur(1),
        "paymentMethod": {"type": "givex", "number": "4126491073027401"},
    }
    said = post(adyen, "/v72/paymentMethods/balance", body)
    assert (said.status_code, said.json()["errorCode"], said.json()["errorType"]) == (500, "905_1", "configuration")
