"""Any order, driven at random by commands and by PGs that answer, lose, doubt, decline and change their minds.

The PG of this test keeps a ledger of its own. Whatever happens, no customer is ever exposed beyond what is asked, and
once every question has its answer our books and the PG's agree and nothing is left to be asked.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from typing_extensions import override

from domain.cancellation import cancel
from domain.capture import capture, capture_shipped
from domain.checkout import AskedItem, AskedPayment, AskedSection
from domain.errors import Rejected
from domain.fulfillment import Pieces, deliver, hold, prepare, release, ship
from domain.gateway import OperationKind, Outcome
from domain.judgement import Judgement, Verdict, judge
from domain.moment import Moment
from domain.order import Order
from domain.owing import spare, to_capture
from domain.paying import pay
from domain.payment import LIVE_REQUESTS, Operation
from domain.refund import AskedLeg, AskedRefund, grant
from domain.reorder import AskedReorder, Wanted, reorder
from domain.resolution import Ask
from domain.reversal import doubt, takes_money
from domain.states import BalanceState, RefundStatus, RequestStatus
from domain.taking import over
from tests.domain.desk import BUSAN, CATALOG, OK, SEOUL, Desk, a_checkout
from tests.domain.pg import Pg

AUTHORIZE, CAPTURE, VOID, REFUND = (
    OperationKind.AUTHORIZE,
    OperationKind.CAPTURE,
    OperationKind.VOID,
    OperationKind.REFUND,
)
PICK = st.integers(0, 99)
METHODS = ["card", "card", "points", "transfer", "virtual_account"]
LIVES = settings(
    max_examples=int(os.environ.get("ANY_ORDERS", "300")),
    derandomize="ANY_ORDERS" not in os.environ,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
"""The same lives on every run, so that what fails fails because of a change; `make explore` tries lives never seen."""

HOW = st.sampled_from(
    ["yes"] * 5
    + ["lost before", "lost after", "declined", "declined for good", "pending", "action", "refused before", "mismatch"]
)


class AnyOrder(RuleBasedStateMachine):
    """One order, its customer, its staff and its PGs."""

    def __init__(self) -> None:
        super().__init__()
        self.pg = Pg()
        self.desk: Any = None
        self.written_off: set[UUID] = set()
        """Refunds that had bounced, were given anew, and are there after all: a person has taken note of the loss."""

    @initialize(
        mode=st.sampled_from(["atomic", "accumulate"]),
        capture_mode=st.sampled_from(["automatic", "manual", "on_shipment"]),
        methods=st.lists(st.sampled_from(METHODS), min_size=1, max_size=3),
        weights=st.lists(st.integers(1, 9), min_size=3, max_size=3),
        points=st.sampled_from([10**9, 5000]),
        accounts=st.sampled_from([("a",), ("a", "b")]),
        chargers=st.sampled_from([(), (), ("b",), ("a", "b")]),
        once=st.sampled_from([(), (), ("b",), ("a", "b")]),
        discount=st.sampled_from([0, 4999]),
        begun=st.sampled_from(["", "paid", "shipped", "delivered"]),
    )
    def place(self, mode: str, capture_mode: str, methods: list[str], weights: list[int], **terms: Any) -> None:
        """A checkout with these terms; perhaps the beginning has gone well already."""
        sections = (
            AskedSection(SEOUL, "standard", 3000, (AskedItem("TEE", 2), AskedItem("PEN", 3))),
            AskedSection(BUSAN, "express", 0, (AskedItem("MUG", 1),)),
        )
        total = 2 * 19900 + 21 + 14900 + 3000 - terms["discount"]
        checkout = a_checkout(
            *self._legs(total, methods, weights),
            sections=sections,
            discount=terms["discount"],
            mode=mode,
            capture=capture_mode,
        )
        self.desk = Desk(checkout, accounts=terms["accounts"], points=terms["points"], chargers=terms["chargers"])
        self.desk.once = terms["once"]
        if terms["begun"]:
            self.all_goes_well()
        for act in (self.staff_ship, self.the_carrier_delivers)[
            : {"shipped": 1, "delivered": 2}.get(terms["begun"], 0)
        ]:
            act(0, None)
            act(1, None)

    def _legs(self, total: int, methods: list[str], weights: list[int]) -> list[AskedPayment]:
        """The total over the methods, by weight; the last takes the rest."""
        legs, left = [], total
        for n, method in enumerate(methods):
            part = left if n == len(methods) - 1 else max(1, total * weights[n] // sum(weights[: len(methods)]))
            part = min(part, left - (len(methods) - 1 - n))
            legs.append(AskedPayment(method, part, "tok"))
            left -= part
        return legs

    @rule(pick=PICK, how=HOW, ask=st.sampled_from([Ask.SEND, Ask.SEND, Ask.LOOKUP, Ask.NEUTRALIZE]))
    @precondition(lambda self: self.desk is not None and self.desk.due())
    def a_pg_answers(self, pick: int, how: str, ask: Ask) -> None:
        """About one operation; only authorizations are ever neutralized, and nothing unsent is looked up."""
        due = self.desk.due()
        operation = due[pick % len(due)]
        if operation.outcome is Outcome.INITIATED or (ask is Ask.NEUTRALIZE and operation.kind is not AUTHORIZE):
            ask = Ask.SEND
        if operation.subject_id:
            self.desk.answer(operation, self.pg.say(self.desk.order.operation(operation.subject_id), how))
            return
        asked = {Ask.SEND: self.pg.send, Ask.LOOKUP: self.pg.look, Ask.NEUTRALIZE: self.pg.neutralize}[ask]
        self.desk.answer(operation, asked(operation, how), ask)

    @rule(pick=PICK, news=st.sampled_from(["gone", "gone", "false alarm", "there again"]))
    @precondition(lambda self: self.desk is not None)
    def a_pg_takes_back(self, pick: int, news: str) -> None:
        """A refund bounces, a capture fails after all; or somebody says so and it is not true, or not any more."""
        known = [o for o in self._moved() if self.pg.happened(o) != (news == "there again")]
        if news == "there again":
            known = [o for o in known if o.kind is REFUND or not self._let_go_or_taken(o)]
        if not known:
            return
        operation = known[pick % len(known)]
        if news == "gone":
            self.pg.take_back(operation)
        elif news == "there again":
            self.pg.give_again(operation)
        self._command(lambda o, m, c: doubt(o, operation.id, m, command_id=c))

    @rule(pick=PICK)
    @precondition(lambda self: self.desk is not None)
    def a_person_decides(self, pick: int) -> None:
        """What stands, of what had succeeded; they have called the PG. A question about it may be open meanwhile."""
        moved = self._moved()
        if moved:
            operation = moved[pick % len(moved)]
            verdict: Verdict = "succeeded" if self.pg.happened(operation) else "declined"
            if operation.reversed_amount and verdict == "succeeded":
                self.written_off.add(operation.id)
            judgement = Judgement(operation.id, verdict, "the PG's support, ticket 7")
            self._command(lambda o, m, _c: judge(o, judgement, m))

    def _let_go_or_taken(self, operation: Operation) -> bool:
        """The PG has captured or released the payment since, or may be doing so."""
        mine = [o for o in self.desk.order.operations if o.payment_id == operation.payment_id and o.id > operation.id]
        return any(o.kind in {CAPTURE, VOID} and self.pg.of(o).state != "refused" for o in mine)

    def _moved(self) -> list[Operation]:
        done = [o for o in self.desk.order.operations if o.outcome is Outcome.SUCCEEDED and takes_money(o)]
        return [o for o in done if not self.desk.order.own(o)]

    @rule()
    def all_goes_well(self) -> None:
        """Whatever is asked for the first time is granted."""
        for _ in range(10):
            for operation in self.desk.due():
                if operation.outcome is Outcome.INITIATED and operation.id in {o.id for o in self.desk.due()}:
                    self._granted(operation)

    @rule(accounts=st.sampled_from([(), ("a",), ("a", "b")]))
    @precondition(lambda self: self.desk is not None)
    def staff_pause_accounts(self, accounts: tuple[str, ...]) -> None:
        """Only these take new payments from now on."""
        self.desk.accounts = accounts

    @rule(pick=PICK, share=st.integers(1, 3), method=st.sampled_from(METHODS))
    def the_customer_pays(self, pick: int, share: int, method: str) -> None:
        """All that is left, or a part of it; perhaps over two cards."""
        live = [r for r in self.desk.order.requests if r.status in LIVE_REQUESTS]
        if not live:
            return
        request = live[pick % len(live)]
        left = request.amount - sum(p.exposed for p in self.desk.order.tenders(request))
        legs = [AskedPayment(method, max(1, left // share), "tok")]
        if share == 2 and left > 1:
            legs.append(AskedPayment("card", left - legs[0].amount, "tok"))
        self._command(lambda o, m, c: pay(o, request.id, legs, m, command_id=c))

    @rule(amount=st.none() | st.integers(1, 60000), pick=st.none() | PICK)
    def staff_capture(self, amount: int | None, pick: int | None) -> None:
        """By hand."""
        payments = self.desk.order.payments
        one = None if pick is None else payments[pick % len(payments)].id
        self._command(lambda o, m, c: capture(o, amount, m, command_id=c, payment_id=one))

    @rule(pick=PICK, quantity=st.none() | st.integers(1, 3))
    def staff_ship(self, pick: int, quantity: int | None) -> None:
        """A parcel, of a whole section or of a part of one row."""
        section = self._section(pick)
        pieces = self._pieces(pick, quantity, section.number)

        def shipping(order: Order, moment: Moment, command_id: UUID) -> Order:
            order, value = ship(order, section.number, pieces, moment, carrier="CJ", tracking_number="1")
            return capture_shipped(order, value, moment, section_id=section.id, command_id=command_id)

        self._command(lambda o, _m, _c: prepare(o, section.number))
        self._command(shipping)

    @rule(pick=PICK, quantity=st.none() | st.integers(1, 3))
    def the_carrier_delivers(self, pick: int, quantity: int | None) -> None:
        """All, or a part."""
        number = self._section(pick).number
        pieces = self._pieces(pick, quantity, number)
        self._command(lambda o, m, _c: deliver(o, number, pieces, m, shipment_id=None))

    @rule(pick=PICK, off=st.booleans())
    def staff_hold(self, pick: int, off: bool) -> None:
        """Hold or release a section."""
        number = self._section(pick).number
        act = release if off else hold
        self._command(lambda o, m, _c: act(o, number, "fraud check", m))

    @rule(pick=PICK, what=st.sampled_from(["order", "section", "pieces"]), quantity=st.integers(1, 3))
    def staff_cancel(self, pick: int, what: str, quantity: int) -> None:
        """Everything, a section, or some pieces."""
        pieces = self._pieces(pick, quantity) if what == "pieces" else ()
        section = self._section(pick).number if what == "section" else None
        self._command(lambda o, m, c: cancel(o, pieces, section, m, reason="no", command_id=c))

    @rule(
        pick=PICK,
        quantity=st.none() | st.integers(1, 3),
        shipping=st.booleans(),
        amount=st.none() | st.integers(1, 30000),
        policy=st.sampled_from(["reverse", "proportional", "card_first", "store_value_first", "section_bound"]),
    )
    def staff_refund(self, pick: int, quantity: int | None, shipping: bool, amount: int | None, policy: str) -> None:
        """Pieces, shipping, an amount, or all of these."""
        asked = AskedRefund(
            self._pieces(pick, quantity),
            shipping=shipping,
            amount=amount,
            policy=policy,  # type: ignore[arg-type]
        )
        self._command(lambda o, m, c: grant(o, asked, m, command_id=c))

    @rule(pick=PICK, amount=st.integers(1, 9000))
    def staff_refund_by_hand(self, pick: int, amount: int) -> None:
        """To a payment that staff choose."""
        payment = self.desk.order.payments[pick % len(self.desk.order.payments)]
        asked = AskedRefund(amount=amount, policy="manual", legs=(AskedLeg(payment.id, amount),))
        self._command(lambda o, m, c: grant(o, asked, m, command_id=c))

    @rule(
        pick=PICK,
        quantity=st.integers(1, 2),
        kind=st.sampled_from(["exchange", "exchange", "reship"]),
        sku=st.sampled_from([None, "MUG", "TEE", "PEN", "CARD"]),
        difference=st.sampled_from(["collect", "refund", "waive"]),
    )
    def staff_send_again(self, pick: int, quantity: int, kind: str, sku: str | None, difference: str) -> None:
        """Something else, or the same."""
        item = self.desk.order.items[pick % len(self.desk.order.items)]
        wanted = Wanted(item.id, min(quantity, item.quantity), sku if kind == "exchange" else None)
        asked = AskedReorder(kind, (wanted,), difference=difference, return_first=pick % 2 == 0)  # type: ignore[arg-type]
        self._command(lambda o, m, c: reorder(o, asked, CATALOG, m, command_id=c))

    @rule()
    def time_is_up(self) -> None:
        """The payment window closes."""
        self.desk.now += timedelta(hours=1)
        self._command(lambda o, m, _c: _expired(o, m))

    @override
    def teardown(self) -> None:
        """Every PG tells the truth at last: then our books are theirs, and nobody waits for anything."""
        if self.desk is None:
            return
        for _ in range(200):
            due = self.desk.due()
            if not due:
                break
            operation = due[0]
            if operation.outcome is Outcome.INITIATED or operation.subject_id:
                self._granted(operation)
            elif operation.kind is AUTHORIZE and operation.abandoning:
                self.desk.answer(operation, self.pg.neutralize(operation, "yes"), Ask.NEUTRALIZE)
            elif self.pg.of(operation).state == "barred":
                self.desk.answer(operation, OK, Ask.NEUTRALIZE)
            else:
                self.desk.answer(operation, self.pg.send(operation, "yes"), Ask.SEND)
                if any(o.id == operation.id for o in self.desk.due()):
                    self.desk.answer(operation, self.pg.look(operation, "yes"), Ask.LOOKUP)
        assert not self.desk.due(), "questions beget questions for ever"
        self._books_agree()
        self._nothing_is_stuck()

    def _books_agree(self) -> None:
        for operation in self.desk.order.operations:
            beside = operation.subject_id or operation.contradicted or operation.id in self.written_off
            if not self.desk.order.own(operation) and not beside:
                stands = operation.outcome is Outcome.SUCCEEDED and not operation.reversed_amount
                assert stands == self.pg.happened(operation), operation

    def _nothing_is_stuck(self) -> None:
        """What is left undone waits for the customer, for goods, or for a person who is told so."""
        order = self.desk.order
        assert not order.has_unknown_payment
        waits = any(
            o.contradicted for o in order.operations
        )  # For a person: what is not known to be there is not given.
        assert waits or all(r.status is not RefundStatus.EXECUTING for r in order.refunds)
        if order.requires_review:
            return
        live = [r for r in order.requests if r.status in LIVE_REQUESTS]
        over_and_done = [r for r in order.requests if r.status in {RequestStatus.EXPIRED, RequestStatus.CANCELED}]
        assert all(not p.exposed for r in over_and_done for p in order.tenders(r)), "an ended request keeps money"
        if live:
            return
        assert spare(order) <= 0, "money was taken that is not owed, and nobody is told"
        if not to_capture(order):
            assert order.balance is BalanceState.SETTLED
            assert not any(p.capturable for p in order.payments if p.exposed), "a hold that nobody needs is kept"
        elif order.capture == "automatic":
            raise AssertionError("automatic capture left something to capture")

    def _granted(self, operation: Operation) -> None:
        subject = operation.subject_id
        answer = self.pg.say(self.desk.order.operation(subject), "yes") if subject else self.pg.send(operation, "yes")
        self.desk.answer(operation, answer)

    def _command(self, act: Callable[[Order, Moment, UUID], Order]) -> None:
        """A command; refused, it leaves no trace."""
        desk, command_id = self.desk, self.desk.new_id()
        try:
            after = act(desk.order, desk.moment, command_id)
        except Rejected:
            return
        desk.decide(lambda _: after)

    def _section(self, pick: int) -> Any:
        return self.desk.order.sections[pick % len(self.desk.order.sections)]

    def _pieces(self, pick: int, quantity: int | None, section: int | None = None) -> tuple[Pieces, ...]:
        order = self.desk.order
        items = [i for i in order.items if section is None or i.section_id == order.section(section).id]
        if quantity is None or not items:
            return ()
        item = items[pick % len(items)]
        return (Pieces(item.id, min(quantity, item.quantity)),)


def _expired(order: Order, moment: Moment) -> Order:
    for due in order.requests:
        if due.status in LIVE_REQUESTS and due.due_at and due.due_at <= moment.now:
            order = over(order, order.request(due.id), RequestStatus.EXPIRED, moment)
    return order


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = LIVES
