"""Any order that is paid by schedule, driven at random: all that must hold for any order, and the parts beside it."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from typing_extensions import override

from domain.capture import capture_lapsing
from domain.checkout import AskedPayment
from domain.paying import expire, pay
from domain.payment import LIVE_REQUESTS
from domain.schedule import AskedPart, standing
from domain.states import OrderStatus, RequestStatus
from tests.domain.desk import START, Desk, a_checkout
from tests.domain.test_any_order import LIVES, AnyOrder

TOTAL = 62_700


class AnyScheduledOrder(AnyOrder):
    """One order with two to five parts that are due hours or days apart."""

    @override
    @initialize(
        capture_mode=st.sampled_from(["automatic", "manual", "on_shipment"]),
        cuts=st.sets(st.integers(1, TOTAL - 1), min_size=1, max_size=4),
        hours=st.lists(st.integers(1, 24 * 10), min_size=4, max_size=4),
        methods=st.lists(st.sampled_from(["card", "points"]), min_size=1, max_size=2),
        points=st.sampled_from([10**9, 5000]),
        whole=st.booleans(),
    )
    def place(
        self, capture_mode: str, cuts: set[int], hours: list[int], methods: list[str], points: int, whole: bool
    ) -> None:
        """A checkout that pays the first part, or all of it."""
        ends = [*sorted(cuts), TOTAL]
        amounts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
        times = [START + timedelta(hours=sum(hours[: n + 1])) for n in range(len(amounts) - 1)]
        parts = tuple(AskedPart(a, at) for a, at in zip(amounts, [None, *times], strict=True))
        paid = TOTAL if whole else amounts[0]
        half = paid // 2 if len(methods) > 1 else 0
        legs = [
            AskedPayment(method, amount, "tok") for method, amount in zip(methods, (paid - half, half), strict=False)
        ]
        checkout = a_checkout(*(leg for leg in legs if leg.amount), mode="accumulate", capture=capture_mode)
        self.desk = Desk(replace(checkout, payment_schedule=parts), points=points)

    @rule(share=st.integers(1, 3), card=st.booleans())
    def the_customer_pays_the_next_part(self, share: int, card: bool) -> None:
        """Exactly what is due, perhaps by two cards."""
        request = self.desk.order.requests[0]
        due = [part.amount - part.paid for part in standing(request) if part.status == "due"]
        if not due or request.status not in LIVE_REQUESTS:
            return
        legs = [AskedPayment("card" if card else "points", max(1, due[0] // share), "tok")]
        if legs[0].amount < due[0]:
            legs.append(AskedPayment("card", due[0] - legs[0].amount, "tok"))
        self._command(lambda o, m, c: pay(o, request.id, legs, m, command_id=c))

    @rule(hours=st.integers(1, 72))
    def time_passes(self, hours: int) -> None:
        """The order's workflow wakes up now and then: for a part that is due, for a hold that lapses."""
        self.desk.now += timedelta(hours=hours)
        self._command(lambda o, m, _c: capture_lapsing(expire(o, m), m))

    @invariant()
    def the_parts_are_what_was_agreed(self) -> None:
        """They add up, their money is the request's, and an order that waits does so until its next part is due."""
        if self.desk is None:
            return
        order, request = self.desk.order, self.desk.order.requests[0]
        parts = standing(request)
        assert sum(part.amount for part in parts) == request.amount == TOTAL
        assert sum(part.paid for part in parts) == request.paid
        waits = [part for part in parts if part.status == "due"]
        assert bool(waits) == (request.paid < TOTAL)
        if order.status is OrderStatus.PENDING_PAYMENT:
            assert order.expires_at == request.due_at == waits[0].due_at
            later = [part.due_at for part in request.schedule[1:]]
            assert waits[0].due_at in later or waits[0].due_at < later[0]
        assert (request.status is RequestStatus.PAID) == (request.paid == TOTAL) or request.status not in LIVE_REQUESTS


TestAnyScheduledOrder = AnyScheduledOrder.TestCase
TestAnyScheduledOrder.settings = LIVES
