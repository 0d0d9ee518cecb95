"""Nothing that comes in makes the sandbox PG answer 5xx, and every refusal names what is wrong."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateways.rig import ACCOUNT, SandboxServer, a_payment, post

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        "merchant_ref",
        "amount",
        "currency",
        "method",
        "token",
        "capture",
        "customer",
        "operation_key",
        "fault",
        "times",
        "ms",
    ]
)
PATHS = st.sampled_from(
    [
        "/{a}/v1/payments",
        "/{a}/v1/payments/{x}",
        "/{a}/v1/payments/{x}/captures",
        "/{a}/v1/payments/{x}/voids",
        "/{a}/v1/payments/{x}/refunds",
        "/{a}/v1/cancellations",
        "/{a}/v1/operations/{x}",
        "/{a}/v1/settlements?day={x}",
        "/{a}/3ds/{x}",
        "/_ledger?limit={x}",
        "/_ledger?cursor={x}",
        "/_ledger?{x}=1",
        "/_webhooks",
        "/{x}",
    ]
)


URLS = st.builds(
    lambda path, account, part: path.format(a=account, x=part),
    PATHS,
    st.sampled_from([ACCOUNT, "UPPER", "x" * 41, "%00", "%ff"]),
    st.text(max_size=20).map(lambda text: quote(text, safe="")),
)
BODIES = st.dictionaries(FIELDS, JSON, max_size=4).map(json.dumps) | st.binary(max_size=40) | JSON.map(json.dumps)
KEYS = st.sampled_from([b"", b"short", b"0123456789abcdef", b"x" * 65, b"\x80" * 20])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]), url=URLS, body=BODIES, key=KEYS)
def test_no_input_makes_it_answer_5xx(
    sandbox: SandboxServer, method: str, url: str, body: str | bytes, key: bytes
) -> None:
    headers = [(b"Authorization", b"Bearer k"), (b"Idempotency-Key", key)]
    response = sandbox.http.request(method, url, content=body, headers=headers)
    assert response.status_code < 500
    if response.status_code >= 400 and method != "HEAD" and "/3ds/" not in url:
        assert {"code", "message"} <= set(response.json()["error"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": 0}, "invalid_field"),
        ({"amount": True}, "invalid_field"),
        ({"amount": 10.0}, "invalid_field"),
        ({"amount": 10**13}, "invalid_field"),
        ({"currency": "krw"}, "invalid_field"),
        ({"merchant_ref": "short"}, "invalid_field"),
        ({"customer": "\ud800"}, "invalid_field"),
        ({"surprise": 1}, "unknown_field"),
    ],
)
def test_a_bad_field_is_named(sandbox: SandboxServer, change: dict[str, Any], code: str) -> None:
    sandbox.http.delete("/_faults")
    error = post(sandbox, "/payments", a_payment(**change)).json()["error"]
    assert (error["code"], error["field"]) == (code, next(iter(change)))


def test_a_bad_fault_is_refused(sandbox: SandboxServer) -> None:
    wrong: list[dict[str, Any]] = [
        {},
        {"fault": "fire"},
        {"fault": ["refuse"]},
        {"fault": "refuse", "times": 0},
        {"fault": "refuse", "ms": -1},
        {"fault": "refuse", "operation": "dance"},
        {"fault": "refuse", "operation": {}},
        {"fault": "refuse", "account": 7},
        {"fault": "refuse", "extra": 1},
    ]
    for body in wrong:
        assert sandbox.http.post("/_faults", json=body).status_code == 400
    assert sandbox.http.get("/_faults").json()["armed"] == []


def test_a_body_that_is_too_large_is_refused(sandbox: SandboxServer) -> None:
    assert post(sandbox, "/payments", {"customer": "x" * 70_000}).status_code == 413
