"""An order that is paid in three parts (10 000 now, 20 000 in ten days, 32 700 in twenty), for the tests."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from domain.checkout import AskedPayment, Checkout
from domain.paying import expire, pay
from domain.schedule import AskedPart
from tests.domain.desk import START, Desk, a_checkout

WINDOW, SECOND, THIRD = START + timedelta(minutes=30), START + timedelta(days=10), START + timedelta(days=20)
PARTS = (AskedPart(10_000), AskedPart(20_000, SECOND), AskedPart(32_700, THIRD))


def scheduled(*payments: AskedPayment, parts: Sequence[AskedPart] = PARTS, capture: str = "automatic") -> Checkout:
    """The checkout; its first part is paid by card unless said otherwise."""
    begun = payments or (AskedPayment("card", parts[0].amount, "tok"),)
    return replace(a_checkout(*begun, mode="accumulate", capture=capture), payment_schedule=tuple(parts))


def pays(desk: Desk, *amounts: int, method: str = "card") -> None:
    """The customer pays so much, each amount by a card of its own."""
    legs = [AskedPayment(method, amount, "tok") for amount in amounts]
    desk.decide(lambda m: pay(desk.order, None, legs, m, command_id=desk.new_id()))


def expires(desk: Desk, at: datetime) -> None:
    """It is this late, and what is due is looked at."""
    desk.now = at
    desk.decide(lambda m: expire(desk.order, m))
