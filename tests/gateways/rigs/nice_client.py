"""A client of the sandbox's NICE that knows the manual and not our adapter."""

from typing import Any
from uuid import uuid4

import httpx


def an_order(**changes: Any) -> dict[str, Any]:
    fixed = {"amount": 10_000, "goodsName": "셔츠", "cardQuota": 0, "useShopInterest": False}
    return {"orderId": uuid4().hex, **fixed, **changes}


def pay(raw: httpx.Client, order: dict[str, Any], bid: str = "tok_ok") -> dict[str, Any]:
    response = raw.post(f"/v1/subscribe/{bid}/payments", json=order)
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    return body


def cancel(raw: httpx.Client, tid: str, **fields: Any) -> dict[str, Any]:
    sent = {"reason": "고객 요청", "orderId": uuid4().hex, **fields}
    body: dict[str, Any] = raw.post(f"/v1/payments/{tid}/cancel", json=sent).json()
    return body


def visit(raw: httpx.Client, path: str, fields: dict[str, str] | None = None) -> httpx.Response:
    """As a customer, without keys: look at a page, or post a form to it."""
    return raw.request("GET" if fields is None else "POST", path, data=fields, auth=None)


def approve(raw: httpx.Client, tid: str, amount: int) -> dict[str, Any]:
    body: dict[str, Any] = raw.post(f"/v1/payments/{tid}", json={"amount": amount}).json()
    return body
