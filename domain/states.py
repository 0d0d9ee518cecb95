"""Every state and every move between states, as data (domain page, section 3). `move` is the only door.

Beyond the arrows on that page these are allowed, because the trade needs them:

- section ``open -> completed`` and order ``placed -> completed``: most are never on hold;
- payment request ``open -> paid``: paid in full at once; RMA ``approved -> received``: all came in one parcel;
- tender ``declined -> processing``: a new attempt; ``created -> declined``: no PG is eligible or the points do not
  suffice; ``created -> canceled | expired``: never tried; ``action_required | awaiting_deposit -> declined``: the PG
  said no after the customer's turn; ``action_required -> unknown``: the confirmation got no answer;
  ``partially_captured -> captured | voided``: the rest is taken or released;
- tender ``unknown -> processing | action_required | expired``, ``... -> conflicted | manual_review`` and what leaves
  these: a lookup or a neutralize found out, an answer differs from what was asked, or a person must look;
- leg ``pending | unknown -> succeeded | failed`` and outcome ``action_required -> ...``: resolved on evidence;
- tender ``captured -> partially_captured | authorized``, ``partially_captured -> authorized``: the PG has taken a
  capture back that had succeeded; refund ``succeeded -> executing``: a leg has bounced (`domain.reversal`, ADR 0017).

A capture, void or refund in doubt shows on its *operation*: the tender does not become ``unknown`` again.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from domain.errors import IllegalTransition
from domain.gateway import Outcome

S = TypeVar("S", bound=StrEnum)
Table = Mapping[StrEnum, frozenset[StrEnum]]
"""From each state to where it may go. A state that may go nowhere is terminal."""


class ItemState(StrEnum):
    """An item on the fulfillment axis: where the pieces are."""

    PENDING = "pending"
    BACKORDERED = "backordered"
    ALLOCATED = "allocated"
    PREPARING = "preparing"
    SHIPPED = "shipped"
    RETURNED_TO_SENDER = "returned_to_sender"
    DELIVERED = "delivered"
    LOST = "lost"
    CANCELED = "canceled"


class ReturnState(StrEnum):
    """An item on the return axis: how far it is on its way back."""

    NONE = "none"
    REQUESTED = "requested"
    APPROVED = "approved"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class SectionStatus(StrEnum):
    """A section: the promise that these items go there."""

    AWAITING_PAYMENT = "awaiting_payment"
    OPEN = "open"
    ON_HOLD = "on_hold"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELED = "canceled"


class OrderStatus(StrEnum):
    """An order as a whole."""

    PENDING_PAYMENT = "pending_payment"
    PLACED = "placed"
    ON_HOLD = "on_hold"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELED = "canceled"


class RequestStatus(StrEnum):
    """A payment request: what is asked for."""

    OPEN = "open"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    EXPIRED = "expired"
    CANCELED = "canceled"


class TenderStatus(StrEnum):
    """A payment (tender): one leg that pays a request."""

    CREATED = "created"
    PROCESSING = "processing"
    ACTION_REQUIRED = "action_required"
    AWAITING_DEPOSIT = "awaiting_deposit"
    UNKNOWN = "unknown"
    CONFLICTED = "conflicted"
    MANUAL_REVIEW = "manual_review"
    AUTHORIZED = "authorized"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    VOIDED = "voided"
    DECLINED = "declined"
    EXPIRED = "expired"
    CANCELED = "canceled"


class RefundStatus(StrEnum):
    """A refund: the entitlement, planned into legs."""

    REQUESTED = "requested"
    PLANNED = "planned"
    EXECUTING = "executing"
    PARTIALLY_EXECUTED = "partially_executed"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


class LegStatus(StrEnum):
    """A refund leg: one PG refund."""

    RESERVED = "reserved"
    SENT = "sent"
    PENDING = "pending"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REVERSED = "reversed"


class RmaStatus(StrEnum):
    """A request to send items back."""

    REQUESTED = "requested"
    APPROVED = "approved"
    PARTIALLY_RECEIVED = "partially_received"
    RECEIVED = "received"
    CLOSED = "closed"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELED = "canceled"


class ChangeStatus(StrEnum):
    """A change of a placed order."""

    DRAFT = "draft"
    AWAITING_PAYMENT = "awaiting_payment"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    CANCELED = "canceled"


class FulfillmentStatus(StrEnum):
    """Derived from the items; has no table because it is computed, never moved."""

    UNFULFILLED = "unfulfilled"
    BACKORDERED = "backordered"
    PARTIALLY_SHIPPED = "partially_shipped"
    SHIPPED = "shipped"
    PARTIALLY_DELIVERED = "partially_delivered"
    DELIVERED = "delivered"
    CANCELED = "canceled"


class PaidStatus(StrEnum):
    """Derived from the amounts: ``payment_status`` of a section and an order."""

    UNPAID = "unpaid"
    PARTIALLY_AUTHORIZED = "partially_authorized"
    AUTHORIZED = "authorized"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    OVERPAID = "overpaid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


class ReturnStatus(StrEnum):
    """Derived from the items' return axes."""

    NONE = "none"
    REQUESTED = "requested"
    IN_PROGRESS = "in_progress"
    PARTIALLY_RETURNED = "partially_returned"
    RETURNED = "returned"


class BalanceState(StrEnum):
    """Derived: the customer owes money, nobody does, or we do."""

    DUE = "due"
    SETTLED = "settled"
    CREDIT = "credit"


_MOVES: Mapping[type[StrEnum], Mapping[str, str]] = {
    ItemState: {
        "pending": "allocated backordered canceled",
        "backordered": "allocated canceled",
        "allocated": "preparing backordered canceled",
        "preparing": "shipped allocated canceled",
        "shipped": "delivered lost returned_to_sender",
        "returned_to_sender": "allocated canceled",
    },
    ReturnState: {
        "none": "requested",
        "requested": "approved none",
        "approved": "received none",
        "received": "accepted rejected",
    },
    SectionStatus: {
        "awaiting_payment": "open expired canceled",
        "open": "on_hold completed canceled",
        "on_hold": "open completed canceled",
        "completed": "open",
    },
    OrderStatus: {
        "pending_payment": "placed expired canceled",
        "placed": "on_hold completed canceled",
        "on_hold": "placed completed canceled",
        "completed": "placed",
    },
    RequestStatus: {
        "open": "partially_paid paid expired canceled",
        "partially_paid": "paid expired canceled",
    },
    TenderStatus: {
        "created": "processing declined expired canceled",
        "processing": "authorized captured action_required awaiting_deposit declined unknown conflicted"
        " manual_review expired",
        "action_required": "processing awaiting_deposit authorized captured declined expired canceled unknown"
        " conflicted manual_review",
        "awaiting_deposit": "processing authorized captured declined expired canceled unknown conflicted manual_review",
        "unknown": "processing action_required awaiting_deposit authorized captured declined expired conflicted"
        " manual_review",
        "conflicted": "processing authorized captured declined expired manual_review",
        "manual_review": "processing authorized captured declined voided expired",
        "authorized": "partially_captured captured voided expired",
        "partially_captured": "authorized captured voided",
        "captured": "authorized partially_captured",
        "declined": "processing",
    },
    RefundStatus: {
        "requested": "planned canceled",
        "planned": "executing canceled",
        "executing": "succeeded partially_executed",
        "partially_executed": "executing",
        "succeeded": "executing",
    },
    LegStatus: {
        "reserved": "sent",
        "sent": "succeeded pending failed unknown",
        "pending": "succeeded failed",
        "unknown": "succeeded failed pending",
        "succeeded": "reversed",
    },
    RmaStatus: {
        "requested": "approved denied canceled",
        "approved": "partially_received received expired canceled",
        "partially_received": "received closed",
        "received": "closed",
    },
    ChangeStatus: {
        "draft": "awaiting_payment confirmed expired canceled",
        "awaiting_payment": "confirmed expired canceled",
    },
    Outcome: {
        "initiated": "succeeded pending action_required declined not_executed unknown",
        "pending": "succeeded action_required declined not_executed unknown",
        "action_required": "succeeded pending declined not_executed unknown",
        "unknown": "succeeded pending action_required declined not_executed",
    },
}


def _table(states: type[StrEnum], moves: Mapping[str, str]) -> Table:
    """The moves of one axis with every state in it; a word that is no state of the axis does not import."""
    known = {states(old): frozenset(states(new) for new in words.split()) for old, words in moves.items()}
    return {state: known.get(state, frozenset()) for state in states}


TABLES: Mapping[type[StrEnum], Table] = {states: _table(states, moves) for states, moves in _MOVES.items()}
"""Every axis that moves, by the type of its states."""

TERMINAL: Mapping[type[StrEnum], frozenset[StrEnum]] = {
    states: frozenset(state for state, exits in table.items() if not exits) for states, table in TABLES.items()
}
"""The states of each axis that nothing leaves."""


def move(old: S, new: S, *, what: str) -> S:
    """``new``, if ``what`` may go there from ``old``; staying is a no-op. Raises `IllegalTransition` otherwise.

    Both must be members of one axis (`TypeError`): words such as ``canceled`` are on many axes and compare equal.
    """
    states = type(old)
    if type(new) is not states or states not in TABLES:
        raise TypeError(f"{old!r} and {new!r} are not states of one axis")
    exits = TABLES[states][old]
    if new == old or new in exits:
        return new
    allowed = [state.value for state in states if state in exits]
    raise IllegalTransition(
        f"{what} is {old} and cannot become {new}; allowed: {', '.join(allowed) or 'nothing, it is final'}",
        figures={"from": old.value, "to": new.value, "allowed": allowed},
    )
