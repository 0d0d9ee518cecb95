"""The proof that nobody is charged twice, as far as a random run can give one; and that the verdict can be guilty."""

import asyncio
import sys
from os import environ
from random import SystemRandom
from uuid import UUID

import pytest

from tests.e2e.shop import Shop
from tests.torture.plan import blows, lives
from tests.torture.run import Torture
from tests.torture.verdict import Books, disagreements, judge, wrongly_untaxed

# A look in the suite; CI runs 2,000 after it, `make torture` as many as one likes.
ORDERS = int(environ.get("TORTURE_ORDERS", "120"))
SEED = int(environ.get("TORTURE_SEED", "0")) or SystemRandom().randrange(1, 1_000_000)


def say(line: str) -> None:
    """Shown by `make torture`, kept by pytest otherwise until something fails."""
    sys.stdout.write(f"{line}\n")


@pytest.mark.timeout(0)
def test_nobody_is_charged_twice_whatever_breaks() -> None:
    say(f"seed {SEED}: TORTURE_SEED={SEED} TORTURE_ORDERS={ORDERS} repeats this plan")
    shop = Shop()
    try:
        report = asyncio.run(Torture(shop, SEED, ORDERS, say).run())
        wrong = report.wrong + asyncio.run(disagreements(shop.demo["database"], shop.demo["sandbox"]))
        audited, words = shop.audit()
    finally:
        shop.close()
    assert len(report.numbers) > ORDERS * 0.9, "most checkouts must have become orders"
    assert report.fired > ORDERS // 20, "faults must have struck"
    assert report.taken_back or ORDERS < 500, "Adyen must have taken something back"
    assert audited == 0, words
    assert not wrong, f"seed {SEED}: " + "; ".join(wrong[:20])


def test_a_seed_means_the_same_lives_and_blows() -> None:
    assert lives(7, 300) == lives(7, 300) != lives(8, 300)
    assert blows(7, 300) == blows(7, 300) != blows(8, 300)


def an_attempt(ref: str, **changes: object) -> dict[str, object]:
    sums = {"amount": 100, "authorized": 100, "captured": 100, "voided": 0, "refunded": 0, "credited": 0}
    names = {"number": "N", "order_status": "placed", "total": 100, "payment_id": UUID(int=1), "status": "captured"}
    return {**sums, **names, "merchant_ref": ref, "outcome": "succeeded", "account": "a", **changes}


def a_row(ref: str, operation: str, amount: int = 100, status: str = "succeeded") -> dict[str, object]:
    return {"merchant_ref": ref, "operation": operation, "amount": amount, "status": status}


CHARGED = [a_row("one", "authorize"), a_row("one", "capture")]


@pytest.mark.parametrize(
    ("attempts", "rows", "guilty"),
    [
        ([an_attempt("one")], CHARGED, ""),
        ([an_attempt("one")], [*CHARGED, a_row("one", "refund", status="refused")], ""),
        ([an_attempt("one")], [], "we say 100"),
        ([an_attempt("one")], [*CHARGED, a_row("two", "authorize")], "know nothing"),
        ([an_attempt("one"), an_attempt("two")], [*CHARGED, a_row("two", "authorize")], "2 attempts"),
        ([an_attempt("one")], [*CHARGED, *CHARGED], "authorized 2 times"),
        ([an_attempt("one", order_status="canceled")], CHARGED, "is canceled"),
    ],
)
def test_the_verdict_sees(attempts: list[dict[str, object]], rows: list[dict[str, object]], guilty: str) -> None:
    found = judge(attempts, Books.of(rows))
    assert any(guilty in line for line in found) if guilty else not found


@pytest.mark.parametrize(("detail", "guilty"), [("U319", True), ("http 200; P036", True), ("2013", False)])
def test_the_verdict_sees_what_was_wrongly_said_to_be_free_of_tax(detail: str, *, guilty: bool) -> None:
    refusal = {"number": "N", "account": "nice", "kind": "refund", "amount": 100, "tax_free": 60, "detail": detail}
    assert bool(wrongly_untaxed([refusal])) is guilty
