"""Everything that OpenAPI allows, and much that it does not: no answer is a 5xx, and all are as they are declared.

The requests go to a store of their own, where they may do what they like.
"""

from typing import Any, cast
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from tests.e2e.other_store import new_store
from tests.e2e.shop import BUSAN, Shop
from wiring.resources import Resources

EXAMPLES = 15
"""Requests for an operation in each of two modes: as declared, and not."""
CUSTOMER = "fuzz-1"
SKU = "FUZZ-1"
OPERATIONS = [
    (path, method)
    for path, methods in create_app(cast("Resources", None)).openapi()["paths"].items()
    for method in methods
    if not path.endswith("/events")  # an endless answer
]
CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]


@pytest.fixture(scope="session")
def key(shop: Shop) -> str:
    """The admin key of a store that is the fuzzer's own."""
    return new_store(shop, "fuzz", customer=CUSTOMER)


@pytest.fixture
def order(shop: Shop, key: str) -> dict[str, Any]:
    """A paid order of that store, for commands to meet something."""
    body: dict[str, Any] = {
        "customer": {"id": CUSTOMER},
        "currency": "KRW",
        "sections": [
            {
                "destination": BUSAN,
                "delivery_method": "standard",
                "shipping_fee": 500,
                "items": [{"sku": SKU, "quantity": 3}],
            }
        ],
        "expected_total": 3500,
        "payments": [{"method": "points", "amount": 3500}],
    }
    with shop.client(key) as http:
        http.put("/v1/skus", json={"skus": [{"sku": SKU, "name": "Fuzz", "price": 1000, "tracked": False}]})
        answer = http.post("/v1/checkouts", json=body, headers={"Idempotency-Key": uuid4().hex})
    assert (answer.status_code, answer.json()["status"]) == (201, "placed"), answer.text
    found: dict[str, Any] = answer.json()
    return found


def real_ids(value: Any, ids: dict[str, str]) -> Any:
    """The body with ids and SKUs that exist, wherever it names one."""
    if isinstance(value, dict):
        return {name: ids.get(name) or real_ids(inner, ids) for name, inner in value.items()}
    return [real_ids(inner, ids) for inner in value] if isinstance(value, list) else value


@pytest.fixture(scope="session")
def schema(shop: Shop) -> schemathesis.BaseSchema:
    """What the server says of itself."""
    return schemathesis.openapi.from_url(f"{shop.demo['api']}/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_no_request_is_answered_otherwise_than_declared(
    schema: schemathesis.BaseSchema, key: str, order: dict[str, Any], path: str, method: str, mode: GenerationMode
) -> None:
    operation = schema[path][method]
    if mode is GenerationMode.NEGATIVE and not (list(operation.iter_parameters()) or operation.body):
        return  # there is nothing to do wrong
    item, payment = order["sections"][0]["items"][0], order["payments"][0]
    ids = {"item_id": item["id"], "sku": SKU, "payment_id": payment["id"]}
    known: dict[str, Any] = {"number": order["number"], "n": 1, "account": "fuzz-pg"}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), real=booleans())
    def ask(case: schemathesis.Case[Any], *, real: bool) -> None:
        if real:
            case.body = real_ids(case.body, ids)
            case.path_parameters |= {name: known[name] for name in case.path_parameters if name in known}
        case.call_and_validate(checks=CHECKS, headers={"Authorization": f"Bearer {key}"}, timeout=20)

    ask()
