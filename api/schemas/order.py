"""The order in JSON. Names are the contract's: fields are added, none is renamed."""

from dataclasses import dataclass
from uuid import UUID

from pydantic_core import to_json
from starlette.responses import Response
from typing_extensions import TypedDict

from api.pay.link import PayLinks
from api.schemas.command import CommandOut, command_out
from api.schemas.moment import rfc3339
from api.schemas.payment import PaymentOut, PaymentRequestOut, payment_out, payment_request_out
from api.schemas.refund import RefundOut, refund_out
from api.schemas.section import SectionOut, WorkflowOut, section_out
from api.version import etag
from domain.checkout import Checkout
from domain.number import order_workflow_id, section_workflow_id
from domain.order import Change, Order
from queries.order import OrderView


class TotalsOut(TypedDict):
    """Minor units. ``balance_due`` = total - credited - (captured - refunded); negative: the customer gets it back."""

    items: int
    discount: int
    shipping: int
    tax_included: int
    total: int
    credited: int
    authorized: int
    captured: int
    refunded: int
    balance_due: int


class CustomerOut(TypedDict):
    """Who bought."""

    id: str
    name: str | None
    email: str | None
    phone: str | None


class DiscountOut(TypedDict):
    """A discount as the customer saw it."""

    code: str
    amount: int


class ChangeOut(TypedDict):
    """A change of a placed order, and the payment request that it waits for."""

    id: str
    kind: str
    status: str
    command_id: str
    section: int | None
    payment_request_id: str | None
    refund_id: str | None


class OrderHead(TypedDict):
    """An order as a list shows it."""

    id: str
    number: str
    store: str
    version: int
    status: str
    payment_status: str
    fulfillment_status: str
    return_status: str
    flags: list[str]
    currency: str
    totals: TotalsOut
    customer: CustomerOut
    created_at: str
    placed_at: str | None
    expires_at: str | None
    reorder_of: str | None
    workflow: WorkflowOut


class OrderOut(OrderHead):
    """One whole order."""

    payment_mode: str
    capture: str
    sections: list[SectionOut]
    discounts: list[DiscountOut]
    payment_requests: list[PaymentRequestOut]
    payments: list[PaymentOut]
    refunds: list[RefundOut]
    rmas: list[dict[str, str]]
    changes: list[ChangeOut]
    commands: list[CommandOut]


class OrderPage(TypedDict):
    """Orders, newest first."""

    items: list[OrderHead]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Links:
    """Where people look at workflows, and pay requests."""

    ui_url: str
    namespace: str
    pay: PayLinks

    def workflow(self, workflow_id: str) -> WorkflowOut:
        """A workflow with its page in the Temporal UI."""
        return {
            "id": workflow_id,
            "url": f"{self.ui_url.rstrip('/')}/namespaces/{self.namespace}/workflows/{workflow_id}",
        }


def order_head(order: Order, links: Links) -> OrderHead:
    """The order without what belongs to it."""
    return {
        "id": str(order.id),
        "number": order.number,
        "store": order.store_id,
        "version": order.version,
        "status": order.status.value,
        "payment_status": order.payment_status.value,
        "fulfillment_status": order.fulfillment_status.value,
        "return_status": order.return_status.value,
        "flags": _flags(order),
        "currency": order.currency,
        "totals": _totals(order),
        "customer": {
            "id": order.customer_id,
            "name": order.customer_name,
            "email": order.customer_email,
            "phone": order.customer_phone,
        },
        "created_at": rfc3339(order.created_at),
        "placed_at": rfc3339(order.placed_at),
        "expires_at": rfc3339(order.expires_at),
        "reorder_of": order.reorder_of,
        "workflow": links.workflow(order_workflow_id(order.store_id, order.number)),
    }


def order_out(view: OrderView, links: Links) -> OrderOut:
    """The whole order."""
    order = view.order
    numbers = {s.id: s.number for s in order.sections}
    sections = sorted(order.sections, key=lambda s: s.number)
    return {
        **order_head(order, links),
        "payment_mode": order.payment_mode,
        "capture": order.capture,
        "sections": [
            section_out(order, s, links.workflow(section_workflow_id(order.store_id, order.number, s.number)))
            for s in sections
        ],
        "discounts": [{"code": d.code, "amount": d.amount} for d in order.discounts],
        "payment_requests": [payment_request_out(r, numbers, links.pay) for r in order.requests],
        "payments": [payment_out(order, p, numbers) for p in sorted(order.payments, key=lambda p: p.position)],
        "refunds": [refund_out(order, r, numbers) for r in sorted(order.refunds, key=lambda r: r.requested_at)],
        "rmas": [],
        "changes": [_change_out(c, numbers) for c in order.changes],
        "commands": [command_out(c) for c in view.commands],
    }


def order_response(view: OrderView, links: Links, *, status: int, headers: dict[str, str] | None = None) -> Response:
    """The order as an answer, with its version as ``ETag``."""
    return Response(
        to_json(order_out(view, links)),
        status_code=status,
        headers={"ETag": etag(view.order.version), **(headers or {})},
        media_type="application/json",
    )


def order_to_come(checkout: Checkout, store: str, number: str, links: Links) -> dict[str, object]:
    """What is known of an order that is accepted and not yet written: its number, and what it will cost."""
    customer = checkout.customer
    parts = ("sections", "payment_requests", "payments", "refunds", "rmas", "changes", "commands")
    return {
        "id": None,
        "number": number,
        "store": store,
        "version": 0,
        "status": "pending_payment",
        "payment_status": "unpaid",
        "fulfillment_status": "unfulfilled",
        "return_status": "none",
        "flags": [],
        "currency": checkout.currency,
        "totals": _totals_to_come(checkout),
        "customer": {
            "id": customer.id,
            "name": customer.name,
            "email": customer.email,
            "phone": customer.phone,
        },
        "created_at": None,
        "placed_at": None,
        "expires_at": None,
        "reorder_of": checkout.reorder_of,
        "workflow": links.workflow(order_workflow_id(store, number)),
        "payment_mode": checkout.payment_mode,
        "capture": checkout.capture,
        "discounts": [{"code": d.code, "amount": d.amount} for d in checkout.discounts],
        **{part: [] for part in parts},
    }


def _totals_to_come(checkout: Checkout) -> dict[str, object]:
    """The totals of a checkout that was priced and has cost nothing yet; its tax is not known here."""
    discount = sum(d.amount for d in checkout.discounts)
    shipping = sum(s.shipping_fee for s in checkout.sections)
    total = checkout.expected_total
    return {
        "items": total - shipping + discount,
        "discount": discount,
        "shipping": shipping,
        "tax_included": None,
        "total": total,
        "credited": 0,
        "authorized": 0,
        "captured": 0,
        "refunded": 0,
        "balance_due": total,
    }


def _flags(order: Order) -> list[str]:
    return [name for name in ("has_unknown_payment", "requires_review") if getattr(order, name)]


def _totals(order: Order) -> TotalsOut:
    return {
        "items": order.items_total,
        "discount": order.discount_total,
        "shipping": order.shipping_total,
        "tax_included": order.tax_included,
        "total": order.total,
        "credited": order.credited,
        "authorized": order.authorized,
        "captured": order.captured,
        "refunded": order.refunded,
        "balance_due": order.target - (order.captured - order.refunded),
    }


def _change_out(change: Change, sections: dict[UUID, int]) -> ChangeOut:
    return {
        "id": str(change.id),
        "kind": change.kind,
        "status": change.status.value,
        "command_id": str(change.command_id),
        "section": sections.get(change.section_id) if change.section_id else None,
        "payment_request_id": str(change.request_id) if change.request_id else None,
        "refund_id": str(change.refund_id) if change.refund_id else None,
    }
