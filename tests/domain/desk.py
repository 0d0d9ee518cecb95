"""A desk for the tests: applies rules as the activities do, and holds every order against what must always be true.

There is no database: `check` repeats what the tables' own CHECKs demand, so a rule that a database would refuse, or
that would let money slip, fails here first. Ids count up, so that a test's orders are the same on every run.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from domain.cascade import cascade
from domain.checkout import (
    AskedDiscount,
    AskedItem,
    AskedPayment,
    AskedSection,
    CatalogSku,
    Checkout,
    Customer,
    Destination,
    Opening,
    open_order,
    quote,
)
from domain.errors import NoGatewayEligible
from domain.fulfillment import deliver, ship
from domain.gateway import Answer, Decline, Issue, OperationKind, Outcome, Retry
from domain.moment import Moment, Routed
from domain.order import Order
from domain.owing import spent
from domain.payment import DEPOSIT_METHODS, LOST_LEGS, RELEASED_OUTCOMES, Operation, Payment
from domain.recording import record
from domain.refund import settle_refunds
from domain.resolution import Ask
from domain.section import Item, Section, stock_moves
from domain.states import BalanceState, PaidStatus
from domain.taking import capturable, settle

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
SEOUL = Destination("Kim Minji", "12 Teheran-ro", "Seoul", "06236", "KR")
BUSAN = Destination("Lee Jun", "3 Haeundae", "Busan", "48094", "KR")
CATALOG = {
    s.sku: s
    for s in (
        CatalogSku("TEE", "T-shirt", 19900, 1000, tracked=True, available=1000),
        CatalogSku("MUG", "Mug", 14900, 1000, tracked=True, available=1000),
        CatalogSku("CARD", "Gift card", 10000, 0, tracked=False, available=0),
        CatalogSku("PEN", "Pen", 7, 1000, tracked=False, available=0),
    )
}
OK = Answer(Outcome.SUCCEEDED, reference="pg-1", operation_ref="op-1")
UNKNOWN = Answer(Outcome.UNKNOWN)
PENDING = Answer(Outcome.PENDING, reference="pg-1")
NOT_EXECUTED = Answer(Outcome.NOT_EXECUTED)
MISMATCH = Answer(Outcome.SUCCEEDED, reference="pg-1", issues=(Issue.AMOUNT_MISMATCH,))


def declined(retry: Retry = Retry.NEVER) -> Answer:
    """A definite no."""
    return Answer(Outcome.DECLINED, decline=Decline("generic", "05", "do not honor", retry))


def ids() -> Iterator[UUID]:
    """Ids that sort as they were made."""
    return (UUID(int=n) for n in count(1))


def a_checkout(
    *payments: AskedPayment,
    sections: Sequence[AskedSection] = (),
    discount: int = 0,
    mode: str = "atomic",
    capture: str = "automatic",
    expected: int | None = None,
) -> Checkout:
    """Two shirts to Seoul and a mug to Busan (62 700), or what is given; by card unless said otherwise."""
    sections = sections or (
        AskedSection(SEOUL, "standard", 3000, (AskedItem("TEE", 2),)),
        AskedSection(BUSAN, "express", 5000, (AskedItem("MUG", 1),)),
    )
    goods = sum(CATALOG[i.sku].price * i.quantity for s in sections for i in s.items if i.sku in CATALOG)
    total = goods + sum(s.shipping_fee for s in sections) - discount if expected is None else expected
    return Checkout(
        customer=Customer("c-1"),
        currency="KRW",
        sections=tuple(sections),
        expected_total=total,
        payments=payments or (AskedPayment("card", total, "tok_ok"),),
        discounts=(AskedDiscount("WELCOME", discount),) if discount else (),
        payment_mode=mode,  # type: ignore[arg-type]
        capture=capture,  # type: ignore[arg-type]
    )


class Desk:
    """One order and its PGs' accounts. Own value is moved at once, as in the activities; PGs answer by `answer`."""

    start = START

    def __init__(
        self,
        checkout: Checkout,
        *,
        accounts: Sequence[str] = ("a", "b"),
        points: int = 10**9,
        refund_days: int | None = None,
        chargers: Sequence[str] = (),
        unsafe: Sequence[str] = (),
    ) -> None:
        self.now = self.start
        self.accounts = accounts
        self.chargers = chargers
        """Of the accounts, those that cannot hold: they charge at once."""
        self.unsafe = unsafe
        """Of the accounts, those where a charge whose answer is lost could not be undone."""
        self.once: Sequence[str] = ()
        """Of the accounts, those that let go of what a capture leaves of their hold."""
        self.points = points
        self.held_points = 0
        self.refund_days = refund_days
        """So long every account gives money back."""
        self.store_credit = 0
        """Given in place of refunds that no PG would take."""
        self._ids = ids()
        opening = Opening(self.new_id(), "demo", "261122-7K3M9QX", self.new_id(), self.now, self.now, self.new_id)
        opening = replace(opening, expires_at=self.now + timedelta(minutes=30))
        priced = quote(checkout, CATALOG, currency="KRW", now=self.now)
        self.order: Order = None  # type: ignore[assignment]
        self.decide(lambda _: open_order(checkout, priced, opening), before=())

    def new_id(self) -> UUID:
        """The next id."""
        return next(self._ids)

    @property
    def moment(self) -> Moment:
        """Now, ids and the router."""
        return Moment(self.now, self.new_id, self._route, captures_once=self.once.__contains__)

    def decide(self, rule: Callable[[Moment], Order], *, before: tuple[Item, ...] | None = None) -> Order:
        """Apply a rule (its refusal leaves all as it was) and everything that follows from it without a PG."""
        old = self.order.items if before is None else before
        order = self._settled(rule(self.moment))
        while due := [o for o in order.operations if o.outcome is Outcome.INITIATED and _own(order, o)]:
            for operation in due:
                answer = OK if self._move_value(order, operation) else declined()
                order = self._settled(record(order, Ask.SEND, operation, answer, self.moment))
        order = cascade(order)
        check(order)
        _check_captured_once(order, self.moment)
        stock_balances(old, order.items)
        assert cascade(order) == order, "the cascade of a cascade is itself"
        assert self._settled(order) == order, "settling twice changes nothing"
        self.order = order
        return order

    def answer(self, operation: Operation, answer: Answer, asked: Ask = Ask.SEND) -> Order:
        """A PG has answered."""
        return self.decide(lambda moment: record(self.order, asked, operation, answer, moment))

    def due(self, kind: OperationKind | None = None) -> list[Operation]:
        """The operations whose end is not known."""
        return [o for o in self.order.operations if o.outcome in UNENDED and kind in {None, o.kind}]

    def succeed(self, kind: OperationKind | None = None) -> Order:
        """Every PG says yes, until nothing of this kind is in flight."""
        while due := self.due(kind):
            self.answer(due[0], OK)
        return self.order

    def ships(self, number: int) -> None:
        """All of a section leaves; nothing is captured for it."""
        self.decide(lambda m: ship(self.order, number, (), m, carrier="CJ", tracking_number="1")[0])

    def delivers(self, number: int) -> None:
        """All of a section has arrived."""
        self.decide(lambda m: deliver(self.order, number, (), m, shipment_id=None))

    def payment(self, position: int) -> Payment:
        """The payment at this place in the order of taking."""
        return next(p for p in self.order.payments if p.position == position)

    def section(self, number: int) -> Section:
        """The section of this number."""
        return self.order.section(number)

    def item(self, sku: str) -> Item:
        """The first row of this SKU."""
        return next(i for i in self.order.items if i.sku == sku)

    def _settled(self, order: Order) -> Order:
        return settle_refunds(settle(order, self.moment), self.moment)

    def _route(self, _payment: Payment, excluded: frozenset[str], *, hold: bool) -> Routed:
        left = [a for a in self.accounts if a not in excluded and not (hold and a in self.chargers)]
        if not left:
            raise NoGatewayEligible("nobody is left")
        return Routed(left[0], 1, {"reason": "first in line"}, self.refund_days, hold_first=left[0] in self.unsafe)

    def _move_value(self, order: Order, operation: Operation) -> bool:
        amount = operation.amount
        if not order.payment(operation.payment_id).internal:
            self.store_credit += amount
            return True
        match operation.kind:
            case OperationKind.AUTHORIZE:
                if self.points - self.held_points < amount:
                    return False
                self.held_points += amount
            case OperationKind.CAPTURE:
                self.held_points -= amount
                self.points -= amount
            case OperationKind.VOID:
                self.held_points -= amount
            case _:
                self.points += amount
        assert self.points >= self.held_points >= 0, "points were moved that were not there"
        return True


UNSETTLED = frozenset({PaidStatus.OVERPAID, PaidStatus.PARTIALLY_PAID})
UNENDED = frozenset({Outcome.INITIATED, Outcome.PENDING, Outcome.ACTION_REQUIRED, Outcome.UNKNOWN})


def _own(order: Order, operation: Operation) -> bool:
    return order.own(operation)


def stock_balances(before: Sequence[Item], after: Sequence[Item]) -> None:
    """Pieces are neither made nor lost: what leaves the shelf is what rows say has left it."""
    for sku, (on_hand, held, committed) in stock_moves(before, after).items():
        left = sum(i.quantity for i in after if i.sku == sku) - sum(i.quantity for i in before if i.sku == sku)
        gone = sum(_idle(i) for i in after if i.sku == sku) - sum(_idle(i) for i in before if i.sku == sku)
        assert held + committed - on_hand == left - gone, f"{sku}: stock does not add up"


def _idle(item: Item) -> int:
    return item.quantity if item.state.value in {"canceled", "backordered"} else 0


def check(order: Order) -> None:
    """Everything that must hold for any order at any time."""
    _check_header(order)
    _check_sections(order)
    _check_exposure(order)
    for payment in order.payments:
        _check_payment(order, payment)
    for item in order.items:
        assert item.quantity >= 1
        assert 0 <= item.credited <= item.paid == item.unit_price * item.quantity - item.discount
        assert item.discount >= 0
    for section in order.sections:
        assert 0 <= section.shipping_credited <= section.shipping_fee
    for refund in order.refunds:
        legs = [g for g in order.legs if g.refund_id == refund.id and g.status not in LOST_LEGS]
        assert sum(g.amount for g in legs) <= refund.returnable <= refund.amount, "a refund gives back too much"
        assert refund.amount == sum(line.amount for line in order.refund_lines if line.refund_id == refund.id)
    open_changes = [c for c in order.changes if c.status.value in {"draft", "awaiting_payment"}]
    assert len(open_changes) <= 1, "two changes are open"
    packed = [(p.shipment_id, p.item_id) for p in order.shipment_items]
    assert len(set(packed)) == len(packed)
    assert all(p.quantity == order.item(p.item_id).quantity for p in order.shipment_items), "a parcel lost pieces"


def _check_sections(order: Order) -> None:
    """What is settled as a whole is settled in each section, whichever payments have paid and given back."""
    if order.balance is BalanceState.SETTLED and not order.in_flight:
        odd = {s.number: s.payment_status for s in order.sections if s.payment_status in UNSETTLED}
        assert not odd, "a section of a settled order is not"


def _check_header(order: Order) -> None:
    assert order.total == order.items_total - order.discount_total + order.shipping_total
    assert 0 <= order.credited <= order.total, "more is credited than the order ever cost"
    assert 0 <= order.refunded <= order.captured <= order.authorized
    assert order.goodwill >= 0


def _check_exposure(order: Order) -> None:
    """R1 and R2: the customer can never be charged more than is asked, and by one account at a time.

    A bank that has taken a deposit back may bring it again, whoever has paid in its place since.
    """
    asked_again = {o.payment_id for o in order.operations if o.subject_id}
    brought = {p.id for p in order.payments if p.method in DEPOSIT_METHODS and p.id in asked_again}
    for request in order.requests:
        exposed = sum(p.exposed for p in order.tenders(request) if p.id not in brought)
        assert exposed <= request.amount, "exposed beyond the request"
    for payment in order.payments:
        open_ones = [a for a in order.attempts if a.payment_id == payment.id and a.outcome not in RELEASED_OUTCOMES]
        assert len(open_ones) <= 1, "two accounts may charge for one payment"


def _check_captured_once(order: Order, moment: Moment) -> None:
    """Who captures once is asked once, and what that has left is not taken to be held."""
    for payment in order.payments:
        asked = [o for o in order.operations if o.payment_id == payment.id and o.kind is OperationKind.CAPTURE]
        stand = [o for o in asked if o.outcome in UNENDED or (o.outcome is Outcome.SUCCEEDED and not o.reversed_amount)]
        refused = any(o.kind is OperationKind.VOID and o.outcome is Outcome.DECLINED for o in order.operations)
        if spent(order, payment, moment.captures_once):
            assert len(stand) == 1, "an account that captures once is asked again"
            still_held = 0 if refused or stand[0].outcome in UNENDED else capturable(order, payment)
            assert not still_held, "what was let go counts as held"


def _check_payment(order: Order, payment: Payment) -> None:
    mine = [o for o in order.operations if o.payment_id == payment.id and not o.orphan]
    kept = [o for o in mine if o.outcome is Outcome.SUCCEEDED]
    done = {kind: sum(o.amount - o.reversed_amount for o in kept if o.kind is kind) for kind in OperationKind}
    pending = sum(o.amount for o in mine if o.kind is OperationKind.REFUND and o.outcome in UNENDED)
    authorizing = [o for o in kept if o.kind is OperationKind.AUTHORIZE]
    at_once = sum(o.amount - o.reversed_amount for o in authorizing if o.capture_now)
    assert payment.authorized == sum(o.amount for o in authorizing)
    assert payment.captured == done[OperationKind.CAPTURE] + at_once
    assert payment.voided == done[OperationKind.VOID]
    assert payment.refunded == done[OperationKind.REFUND]
    assert payment.refund_pending == pending
    assert 0 <= payment.refunded + payment.refund_pending <= payment.captured
    assert 0 <= payment.captured + payment.voided <= payment.authorized <= payment.amount
    _check_tax_free(mine)
    rows = [a for a in order.allocations if a.payment_id == payment.id]
    for row in rows:
        assert 0 <= row.refunded <= row.captured <= row.authorized <= row.amount, "an allocation out of its bounds"
    if rows:
        sums = [sum(getattr(r, name) for r in rows) for name in ("authorized", "captured", "refunded")]
        assert sums == [payment.authorized - payment.voided, payment.captured, payment.refunded]
        assert len({r.section_id for r in rows}) == len(rows)


def _check_tax_free(operations: Sequence[Operation]) -> None:
    """A PG never hears of more money back without tax than it was told of, nor of more with tax."""
    alive = [o for o in operations if o.outcome not in RELEASED_OUTCOMES]
    there = [o for o in alive if o.kind is OperationKind.AUTHORIZE]
    back = [o for o in alive if o.kind in {OperationKind.VOID, OperationKind.REFUND}]
    if there and not any(o.reversed_amount for o in alive):
        free = sum(o.tax_free for o in there) - sum(o.tax_free for o in back)
        assert 0 <= free <= sum(o.amount for o in there) - sum(o.amount for o in back), "tax-free out of its bounds"
