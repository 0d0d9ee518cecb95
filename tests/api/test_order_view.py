"""The order in JSON: the contract's names, the sums, and what follows from the domain."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import TypeAdapter
from pydantic_core import to_json

from api.pay.link import PayLinks
from api.schemas.example import placed_order
from api.schemas.order import Links, OrderOut, order_head, order_out, order_response
from api.schemas.refund import refund_preview_out
from commands.preview import dry_run
from contracts.command import Body, Cancel, Deliver, Hold, Pay, RefundMoney, Release, Reorder, Ship
from domain.cascade import cascade
from domain.checkout import AskedPayment
from domain.errors import AmountExceeded, IllegalTransition, Invalid, Rejected
from domain.order import Order
from domain.reorder import Wanted
from domain.states import TenderStatus
from queries.order import CommandView, OrderView

LINKS = Links("http://ui:8080/", "shops", PayLinks("http://shop", "a secret"))
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def names(written: str) -> set[str]:
    """Names, as the contract lists them."""
    return set(written.split())


ORDER_NAMES = names(
    "number id store version status payment_status fulfillment_status return_status flags currency totals customer "
    "placed_at expires_at workflow sections payment_requests payments refunds rmas changes commands created_at "
    "reorder_of discounts"
)
TOTALS_NAMES = names("items discount shipping tax_included total credited authorized captured refunded balance_due")
SECTION_NAMES = names(
    "number status fulfillment_status payment_status destination delivery_method shipping_fee holds workflow items "
    "shipments"
)
ITEM_NAMES = names(
    "id sku name quantity unit_price discount tax_included paid refunded state return_state split_from_id origin"
)
PAYMENT_NAMES = names("id method gateway status amount authorized captured refunded next_action decline attempts")


def shown(order: Order, *commands: CommandView) -> dict[str, Any]:
    """The order as a client reads it."""
    document: dict[str, Any] = json.loads(to_json(order_out(OrderView(order, commands), LINKS)))
    return document


def after(order: Order, *bodies: Body) -> Order:
    """The order after commands, as far as no PG is needed."""
    for body in bodies:
        order = dry_run(order, body, {}, NOW)
    return order


def test_every_name_of_the_contract_is_there() -> None:
    order = shown(after(placed_order(), Ship(1, "CJ", "123")))

    assert order.keys() >= ORDER_NAMES
    assert order["totals"].keys() == TOTALS_NAMES
    section = order["sections"][0]
    assert section.keys() >= SECTION_NAMES
    assert section["items"][0].keys() >= ITEM_NAMES
    assert section["shipments"][0].keys() >= {"id", "carrier", "tracking_number", "items"}
    assert order["payment_requests"][0].keys() >= {"id", "scope", "amount", "status", "due_at", "url"}
    payment = order["payments"][0]
    assert payment.keys() >= PAYMENT_NAMES
    assert payment["attempts"][0].keys() >= {"gateway", "reference", "merchant_ref", "outcome", "decision"}


def test_the_order_has_the_shape_that_the_documentation_tells() -> None:
    order = order_out(OrderView(placed_order(), ()), LINKS)

    assert TypeAdapter(OrderOut).validate_python(order, strict=True, extra="forbid") == order


def test_the_figures_are_those_of_the_contracts_example() -> None:
    order = shown(placed_order())

    assert order["totals"] == {
        "items": 54700,
        "discount": 5000,
        "shipping": 8000,
        "tax_included": 5245,
        "total": 57700,
        "credited": 0,
        "authorized": 57700,
        "captured": 57700,
        "refunded": 0,
        "balance_due": 0,
    }
    item = order["sections"][0]["items"][0]
    assert (item["discount"], item["tax_included"], item["paid"], item["refunded"]) == (3638, 3287, 36162, 0)
    assert (order["status"], order["payment_status"]) == ("placed", "paid")
    assert [p["gateway"] for p in order["payments"]] == ["points", "sandbox-a"]


def test_workflows_are_named_with_their_page() -> None:
    order = shown(placed_order())
    number = order["number"]

    assert order["workflow"] == {
        "id": f"order.demo.{number}",
        "url": f"http://ui:8080/namespaces/shops/workflows/order.demo.{number}",
    }
    assert order["sections"][1]["workflow"]["id"] == f"section.demo.{number}.2"


def test_every_time_is_utc() -> None:
    times = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', json.dumps(shown(placed_order())))

    assert times
    assert all(time.endswith("Z") for time in times)


def test_a_credit_makes_the_balance_negative_until_the_money_is_back() -> None:
    order = shown(after(placed_order(), RefundMoney("late", amount=1000)))

    assert order["totals"]["credited"] == 1000
    assert order["totals"]["balance_due"] == -1000
    [refund] = order["refunds"]
    assert refund["lines"] == [
        {"kind": "amount", "item_id": None, "sku": None, "section": None, "quantity": 0, "amount": 1000}
    ]
    assert [(leg["method"], leg["amount"], leg["status"]) for leg in refund["legs"]] == [("card", 1000, "reserved")]


def test_only_active_holds_are_shown() -> None:
    held = after(placed_order(), Hold(1, "fraud"), Hold(1, "address"), Release(1, "fraud"))

    assert shown(held)["sections"][0]["holds"] == ["address"]


def test_items_that_split_stay_together() -> None:
    order = placed_order()
    tee = next(i for i in order.items if i.sku == "TEE-BLK-M")
    document = {"reason": "one too many", "items": [{"item_id": str(tee.id), "quantity": 1}]}
    order = after(order, TypeAdapter(Cancel).validate_python(document))

    rows = shown(order)["sections"][0]["items"]
    assert [(r["quantity"], r["state"], r["split_from_id"]) for r in rows] == [
        (1, "allocated", None),
        (1, "canceled", str(tee.id)),
    ]
    assert sum(r["paid"] for r in rows) == 36162


def test_a_decline_and_an_action_are_shown_on_their_payment() -> None:
    order = placed_order()
    card = order.payments[1]
    declined = replace(
        card,
        status=TenderStatus.DECLINED,
        decline_category="insufficient_funds",
        decline_code="51",
        decline_message="no",
        decline_retry="other_pg",
    )
    acting = replace(card, action_kind="redirect", action_url="https://pg.test/3ds")

    assert shown(order.put(declined))["payments"][1]["decline"] == {
        "category": "insufficient_funds",
        "code": "51",
        "message": "no",
        "retry": "other_pg",
    }
    assert shown(order.put(acting))["payments"][1]["next_action"] == {
        "kind": "redirect",
        "url": "https://pg.test/3ds",
        "fields": None,
        "due_at": None,
    }
    assert shown(order)["payments"][1]["decline"] is None


def test_flags_are_a_list_of_names() -> None:
    order = replace(placed_order(), has_unknown_payment=True, requires_review=True)

    assert shown(order)["flags"] == ["has_unknown_payment", "requires_review"]


def test_the_list_shows_the_same_names_without_what_belongs_to_the_order() -> None:
    order = placed_order()
    head = order_head(order, LINKS)

    assert head.items() <= order_out(OrderView(order, ()), LINKS).items()
    assert "sections" not in head


def test_commands_are_shown_without_their_body() -> None:
    order = placed_order()
    command = CommandView(
        id=uuid4(),
        store_id="demo",
        number=order.number,
        kind="hold",
        status="rejected",
        actor="key:test",
        request_id=None,
        problem={"code": "nothing_to_do", "detail": "no", "figures": {}, "flaws": []},
        result={},
        accepted_at=NOW,
        decided_at=NOW,
        finished_at=NOW,
    )

    [found] = shown(order, command)["commands"]
    assert found["status"] == "rejected"
    assert found["problem"]["code"] == "nothing_to_do"


def test_the_answer_carries_the_version() -> None:
    response = order_response(OrderView(replace(placed_order(), version=7), ()), LINKS, status=201)

    assert response.headers["etag"] == '"7"'
    assert json.loads(bytes(response.body))["version"] == 7


def test_a_refunds_preview_is_the_calculation() -> None:
    order = placed_order()
    preview = refund_preview_out(order, after(order, RefundMoney("x", shipping=True, policy="proportional")))

    assert (preview["amount"], preview["returnable"], preview["refundable"]) == (8000, 8000, 57700)
    assert [line["amount"] for line in preview["lines"]] == [3000, 5000]
    assert sum(leg["amount"] for leg in preview["legs"]) == 8000
    assert [p["refundable_after"] + p["amount"] for p in preview["payments"]] == [7700, 50000]


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (Deliver(1), Rejected),
        (Ship(9, "CJ", "1"), Invalid),
        (Release(1, "nothing"), Rejected),
        (RefundMoney("x", amount=57701), AmountExceeded),
        (Pay((AskedPayment("card", 1, "tok_ok"),)), IllegalTransition),
        (Reorder("again", items=(Wanted(uuid4(), 1),)), Invalid),
    ],
)
def test_a_dry_run_refuses_what_the_workflow_would_refuse(body: Body, refusal: type[Rejected]) -> None:
    with pytest.raises(refusal):
        dry_run(placed_order(), body, {}, NOW)


def test_a_dry_run_leaves_the_order_as_it_was() -> None:
    order = placed_order()

    _ = dry_run(order, Cancel("no"), {}, NOW + timedelta(hours=1))

    assert cascade(order) == order
