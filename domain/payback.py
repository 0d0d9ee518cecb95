"""Where the money of a deposit goes back to: a bank account that the customer names. No PG gives it back without.

The account belongs to the payment, and every later refund of it carries it (`domain.gateway.Call.details`). What was to
be given back and could not, because nobody had named one, is given back as soon as somebody does.
"""

from dataclasses import dataclass, replace
from uuid import UUID

from domain.errors import IllegalTransition, Rejected
from domain.gateway import OperationKind
from domain.moment import Moment, Why
from domain.order import Order
from domain.orphan import recheck, stranded
from domain.payment import DEPOSIT_METHODS, LIVE_REQUESTS, UNRESOLVED
from domain.states import RequestStatus
from domain.taking import open_operation


@dataclass(frozen=True, slots=True)
class BankAccount:
    """An account at a bank: ``bank`` as the PG calls it, ``number`` in digits, ``holder`` as the bank knows them."""

    bank: str
    number: str
    holder: str


class NoBankAccountNeeded(Rejected):
    """The payment is no deposit: its money goes back where it came from."""

    code = "bank_account_not_needed"


def name_account(
    order: Order, payment_id: UUID, account: BankAccount, moment: Moment, *, command_id: UUID | None = None
) -> Order:
    """The order with the account that a deposit goes back to, and what was waiting for it on its way.

    Raises `NoBankAccountNeeded`, `Invalid` for a payment of another order; `IllegalTransition` while a refund to
    another account is in flight: a PG must be asked again with the very same words (R4).
    """
    payment = order.payment(payment_id)
    if payment.method not in DEPOSIT_METHODS:
        raise NoBankAccountNeeded(f"payment {payment.id} is paid by {payment.method}; it goes back there by itself")
    details = {
        **(payment.details or {}),
        "refund_bank": account.bank,
        "refund_account": account.number,
        "refund_holder": account.holder,
    }
    if details == payment.details:
        return order
    mine = [o for o in order.operations if o.payment_id == payment.id and o.kind is OperationKind.REFUND]
    if any(o.outcome in UNRESOLVED for o in mine):
        raise IllegalTransition("a refund to the account named before is on its way; wait for its end")
    payment = replace(payment, details=details)
    order = order.put(payment)
    for attempt in stranded(order):
        if attempt.payment_id == payment.id:
            order = recheck(order, attempt.merchant_ref, moment, command_id=command_id)
    status, amount = order.request(payment.request_id).status, payment.refundable
    if status in LIVE_REQUESTS or status is RequestStatus.PAID or not amount:
        return order
    order = order.put(replace(payment, refund_pending=payment.refund_pending + amount))
    return open_operation(order, payment, OperationKind.REFUND, amount, moment, why=Why(command_id=command_id))
