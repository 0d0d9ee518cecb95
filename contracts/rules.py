"""Which rule decides which command: pure, so that the face can refuse early what the workflow would refuse."""

from collections.abc import Mapping
from uuid import UUID

from contracts.command import (
    Body,
    Cancel,
    Capture,
    Complete,
    Deliver,
    Doubt,
    Hold,
    Judge,
    NameAccount,
    Pay,
    Recheck,
    RefundMoney,
    Release,
    Reorder,
    Ship,
)
from domain.cancellation import cancel
from domain.capture import capture, capture_shipped
from domain.checkout import CatalogSku
from domain.fulfillment import deliver, hold, release, ship
from domain.judgement import Judgement, judge
from domain.moment import Moment
from domain.order import Order
from domain.orphan import recheck
from domain.payback import name_account
from domain.paying import complete, pay, refuse_stale_payer
from domain.refund import AskedRefund, grant
from domain.reorder import AskedReorder, again, reorder
from domain.reversal import doubt

Catalog = Mapping[str, CatalogSku]


def apply_body(order: Order, command_id: UUID, body: Body, catalog: Catalog, moment: Moment) -> Order:
    """The order after a command. ``catalog`` is what `skus_of` names. Raises `Rejected`; calls no PG."""
    match body:
        case Ship() | Deliver() | Hold() | Release():
            return _apply_to_section(order, command_id, body, moment)
        case Pay() | Complete() | Capture() | RefundMoney():
            return _apply_to_money(order, command_id, body, moment)
        case Judge() | Recheck() | Doubt() | NameAccount():
            return _clear_up(order, command_id, body, moment)
        case Cancel():
            return cancel(order, body.items, body.section, moment, reason=body.reason, command_id=command_id)
        case Reorder():
            return _reorder(order, body, catalog, moment, command_id=command_id)


def skus_of(order: Order, body: Body) -> list[str]:
    """The SKUs whose shelf the rule of a command has to see; none for most commands."""
    if not isinstance(body, Reorder):
        return []
    return [w.sku for w in body.items if w.sku] + [i.sku for i in order.items]


def asked_refund(body: RefundMoney) -> AskedRefund:
    """The refund rule's own words for a refund command."""
    return AskedRefund(
        items=body.items,
        shipping=body.shipping,
        amount=body.amount,
        reason=body.reason,
        policy="manual" if body.legs else body.policy,
        legs=body.legs,
    )


def _apply_to_money(
    order: Order, command_id: UUID, body: Pay | Complete | Capture | RefundMoney, moment: Moment
) -> Order:
    match body:
        case Pay():
            refuse_stale_payer(order, body.payment_request_id, body.left)
            return pay(order, body.payment_request_id, body.payments, moment, command_id=command_id)
        case Complete():
            return complete(order, body.payment_id, body.details, moment)
        case Capture():
            return capture(order, body.amount, moment, command_id=command_id, payment_id=body.payment_id)
        case RefundMoney():
            return grant(order, asked_refund(body), moment, command_id=command_id)


def _clear_up(order: Order, command_id: UUID, body: Judge | Recheck | Doubt | NameAccount, moment: Moment) -> Order:
    match body:
        case Judge():
            return judge(order, Judgement(body.operation_id, body.verdict, body.evidence, body.reference), moment)
        case Recheck():
            return recheck(order, body.merchant_ref, moment, command_id=command_id)
        case Doubt():
            return doubt(order, body.operation_id, moment, command_id=command_id)
        case NameAccount():
            return name_account(order, body.payment_id, body.account, moment, command_id=command_id)


def _apply_to_section(order: Order, command_id: UUID, body: Ship | Deliver | Hold | Release, moment: Moment) -> Order:
    match body:
        case Ship():
            order, value = ship(
                order, body.section, body.items, moment, carrier=body.carrier, tracking_number=body.tracking_number
            )
            section_id = order.section(body.section).id
            return capture_shipped(order, value, moment, section_id=section_id, command_id=command_id)
        case Deliver():
            return deliver(order, body.section, body.items, moment, shipment_id=body.shipment_id)
        case Hold():
            return hold(order, body.section, body.reason, moment)
        case Release():
            return release(order, body.section, body.reason, moment)


def _reorder(order: Order, body: Reorder, catalog: Catalog, moment: Moment, *, command_id: UUID) -> Order:
    if body.reorder == "again":
        again(order, body.items, catalog)
        return order
    asked = AskedReorder(
        kind=body.reorder,
        items=body.items,
        destination=body.destination,
        difference=body.difference,
        return_first=body.policy == "return_first" and body.reorder == "exchange",
        reason=body.reason,
    )
    return reorder(order, asked, catalog, moment, command_id=command_id)
