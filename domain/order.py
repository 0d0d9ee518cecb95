"""The order: one value that holds everything that belongs to it, and the only thing that rules change.

A rule is a pure function `Order -> Order`. An activity loads the order under its row lock, applies a rule, runs the
cascade and saves the difference; every difference becomes a timeline row. No entity is ever removed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from domain.errors import Flaw, Invalid
from domain.payment import (
    UNRESOLVED,
    Allocation,
    Attempt,
    Leg,
    Operation,
    Payment,
    PaymentRequest,
    Refund,
    RefundLine,
)
from domain.section import Hold, Item, Section, Shipment, ShipmentItem
from domain.states import (
    BalanceState,
    ChangeStatus,
    FulfillmentStatus,
    OrderStatus,
    PaidStatus,
    ReturnStatus,
)


@dataclass(frozen=True, slots=True)
class Discount:
    """A discount as the customer saw it; its parts are stored on the items."""

    id: UUID
    order_id: UUID
    code: str
    amount: int


@dataclass(frozen=True, slots=True)
class Change:
    """A set of actions on a placed order that may have to wait for money. At most one open per order."""

    id: UUID
    order_id: UUID
    kind: str
    status: ChangeStatus
    command_id: UUID
    section_id: UUID | None = None
    request_id: UUID | None = None
    refund_id: UUID | None = None


Entity = (
    Section
    | Item
    | Hold
    | Shipment
    | ShipmentItem
    | PaymentRequest
    | Payment
    | Attempt
    | Operation
    | Allocation
    | Refund
    | RefundLine
    | Leg
    | Discount
    | Change
)
E = TypeVar("E", bound=Entity)


@dataclass(frozen=True, slots=True)
class Order:
    """What one customer bought in one checkout. Amounts are minor units of ``currency``.

    ``total`` is the price of everything ever ordered, ``credited`` what of it is no longer owed (granted refunds,
    cancellations, exchange credit); ``total - credited`` is what the order costs now.
    """

    id: UUID
    store_id: str
    number: str
    version: int
    status: OrderStatus
    currency: str
    customer_id: str
    created_at: datetime
    checkout_id: UUID
    """The command that placed it: what makes a second run of the checkout the same order."""
    payment_mode: str = "atomic"
    capture: str = "automatic"
    payment_status: PaidStatus = PaidStatus.UNPAID
    fulfillment_status: FulfillmentStatus = FulfillmentStatus.UNFULFILLED
    return_status: ReturnStatus = ReturnStatus.NONE
    balance: BalanceState = BalanceState.DUE
    has_unknown_payment: bool = False
    requires_review: bool = False
    customer_name: str | None = None
    customer_email: str | None = None
    customer_phone: str | None = None
    items_total: int = 0
    discount_total: int = 0
    shipping_total: int = 0
    tax_included: int = 0
    total: int = 0
    goodwill: int = 0
    """Credited without naming an item."""
    credited: int = 0
    authorized: int = 0
    captured: int = 0
    refunded: int = 0
    placed_at: datetime | None = None
    expires_at: datetime | None = None
    reorder_of: str | None = None
    sections: tuple[Section, ...] = ()
    items: tuple[Item, ...] = ()
    holds: tuple[Hold, ...] = ()
    shipments: tuple[Shipment, ...] = ()
    shipment_items: tuple[ShipmentItem, ...] = ()
    discounts: tuple[Discount, ...] = ()
    requests: tuple[PaymentRequest, ...] = ()
    payments: tuple[Payment, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    operations: tuple[Operation, ...] = ()
    allocations: tuple[Allocation, ...] = ()
    refunds: tuple[Refund, ...] = ()
    refund_lines: tuple[RefundLine, ...] = ()
    legs: tuple[Leg, ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def target(self) -> int:
        """What the order costs now."""
        return self.total - self.credited

    @property
    def in_flight(self) -> bool:
        """Some operation at a PG has no known end yet."""
        return any(o.outcome in UNRESOLVED for o in self.operations)

    def put(self, *entities: Entity) -> "Order":
        """The order with each entity replaced (same id) or added."""
        groups: dict[str, dict[UUID, Any]] = {}
        for entity in entities:
            name = COLLECTIONS[type(entity)]
            if name not in groups:
                groups[name] = {e.id: e for e in getattr(self, name)}
            groups[name][entity.id] = entity
        changed: dict[str, Any] = {name: tuple(group.values()) for name, group in groups.items()}
        return replace(self, **changed)

    def own(self, operation: Operation) -> bool:
        """Our own ledger carries it out: own value moves, or store credit is given in place of money."""
        if self.payment(operation.payment_id).internal:
            return True
        return any(g.id == operation.leg_id and g.destination == "store_credit" for g in self.legs)

    def section(self, number: int) -> Section:
        """Section by its number; refuses one that does not exist."""
        for section in self.sections:
            if section.number == number:
                return section
        raise Invalid(
            f"order {self.number} has no section {number}",
            flaws=[Flaw("/section", "unknown_section", f"sections: {', '.join(str(s.number) for s in self.sections)}")],
        )

    def item(self, item_id: UUID) -> Item:
        """Item by id; refuses one that is not of this order."""
        return _find(self.items, item_id, "item")

    def payment(self, payment_id: UUID) -> Payment:
        """Payment by id; refuses one that is not of this order."""
        return _find(self.payments, payment_id, "payment")

    def request(self, request_id: UUID) -> PaymentRequest:
        """Payment request by id; refuses one that is not of this order."""
        return _find(self.requests, request_id, "payment_request")

    def attempt(self, attempt_id: UUID) -> Attempt:
        """Attempt by id."""
        return _find(self.attempts, attempt_id, "attempt")

    def operation(self, operation_id: UUID) -> Operation:
        """Operation by id."""
        return _find(self.operations, operation_id, "operation")

    def refund(self, refund_id: UUID) -> Refund:
        """Refund by id."""
        return _find(self.refunds, refund_id, "refund")

    def section_items(self, section: Section) -> tuple[Item, ...]:
        """The item rows of a section, in order."""
        return tuple(i for i in self.items if i.section_id == section.id)

    def active_holds(self, section: Section) -> tuple[Hold, ...]:
        """The reasons why a section does not move."""
        return tuple(h for h in self.holds if h.section_id == section.id and h.released_at is None)

    def tenders(self, request: PaymentRequest) -> tuple[Payment, ...]:
        """The payments of a request, in the order of taking."""
        return tuple(p for p in self.payments if p.request_id == request.id)


COLLECTIONS: dict[type[Any], str] = {
    Section: "sections",
    Item: "items",
    Hold: "holds",
    Shipment: "shipments",
    ShipmentItem: "shipment_items",
    Discount: "discounts",
    PaymentRequest: "requests",
    Payment: "payments",
    Attempt: "attempts",
    Operation: "operations",
    Allocation: "allocations",
    Refund: "refunds",
    RefundLine: "refund_lines",
    Leg: "legs",
    Change: "changes",
}
HEADER = tuple(f.name for f in fields(Order) if f.name not in COLLECTIONS.values())
"""The order's own columns, without what belongs to it."""


def _find(entities: Iterable[E], entity_id: UUID, what: str) -> E:
    for entity in entities:
        if entity.id == entity_id:
            return entity
    raise Invalid(f"no such {what} in this order", flaws=[Flaw(f"/{what}_id", f"unknown_{what}", str(entity_id))])


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one entity that a change moved; ``old`` is None for what is new."""

    entity: str
    entity_id: UUID
    field: str
    old: Any
    new: Any


def differences(before: Order | None, after: Order) -> list[Difference]:
    """Everything that differs, field by field: what becomes the timeline. Nothing differs: nothing is written."""
    found: list[Difference] = []
    if before is None:
        found.append(Difference("order", after.id, "status", None, after.status))
    else:
        found += _changed("order", before, after, (n for n in HEADER if n != "version"))
    for kind, name in COLLECTIONS.items():
        old = {e.id: e for e in getattr(before, name)} if before else {}
        for entity in getattr(after, name):
            word = kind.__name__.lower()
            known = old.get(entity.id)
            if known is None:
                found.append(Difference(word, entity.id, "created", None, _first_state(entity)))
            elif known is not entity:
                found += _changed(word, known, entity, (f.name for f in fields(kind)))
    return found


def changed_entities(before: Order | None, after: Order) -> dict[str, list[Any]]:
    """The rows to write, by collection: new and changed ones."""
    changed: dict[str, list[Any]] = {}
    for name in COLLECTIONS.values():
        old = {e.id: e for e in getattr(before, name)} if before else {}
        rows = [e for e in getattr(after, name) if old.get(e.id) != e]
        if rows:
            changed[name] = rows
    return changed


UNTOLD = frozenset({"details"})
"""What a customer gives beside the token (a bank account): that it changed is told, its values are nobody's to read."""
SILENT = frozenset({"fingerprint"})
"""What changes only together with something that is told, and says nothing to people."""


def _changed(word: str, old: Any, new: Any, names: Iterable[str]) -> list[Difference]:
    changed = [name for name in names if name not in SILENT and getattr(old, name) != getattr(new, name)]
    return [
        Difference(word, new.id, name, None, "not shown")
        if name in UNTOLD
        else Difference(word, new.id, name, getattr(old, name), getattr(new, name))
        for name in changed
    ]


def _first_state(entity: Any) -> Any:
    for name in ("state", "status", "outcome", "reason"):
        if hasattr(entity, name):
            return getattr(entity, name)
    return None
