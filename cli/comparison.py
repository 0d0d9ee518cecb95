"""Our database beside the PG's own ledger: what each says was taken and given back, attempt by attempt."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cli.shop import Order, Shop
from domain.payment import CHARGED_METHODS, INTERNAL_METHODS


@dataclass(frozen=True, slots=True)
class Money:
    """Sums in minor units. ``held``: authorized, and neither taken nor let go."""

    captured: int = 0
    refunded: int = 0
    held: int = 0

    def __add__(self, other: "Money") -> "Money":
        return Money(self.captured + other.captured, self.refunded + other.refunded, self.held + other.held)

    def is_met_by(self, theirs: "Money") -> bool:
        """Equal to the last won, also where the PG took, gave back and took again: a deposit that was made twice.

        Ours has what stands of an operation; what a PG undid by itself is in its ledger on both sides (ADR 0017).
        """
        undone = theirs.captured - self.captured
        return undone >= 0 and undone == theirs.refunded - self.refunded and theirs.held == self.held


@dataclass(frozen=True, slots=True)
class Compared:
    """One attempt at one PG account, as both sides have it."""

    number: str
    account: str
    merchant_ref: str
    ours: Money
    theirs: Money

    @property
    def agrees(self) -> bool:
        """Whether nobody has more than the other says."""
        return self.ours.is_met_by(self.theirs)


async def compare(shop: Shop, orders: Iterable[Order]) -> list[Compared]:
    """Every attempt of these orders at a PG, our side from the order, their side from the ledger."""
    return [
        Compared(
            number=order["number"],
            account=attempt["gateway"],
            merchant_ref=attempt["merchant_ref"],
            ours=_ours(order, payment, attempt),
            theirs=await _theirs(shop, attempt["gateway"], attempt["merchant_ref"]),
        )
        for order in orders
        for payment in order["payments"]
        if payment["method"] not in INTERNAL_METHODS
        for attempt in payment["attempts"]
    ]


def total(compared: Sequence[Compared]) -> tuple[Money, Money]:
    """Our sum and theirs."""
    return sum((c.ours for c in compared), Money()), sum((c.theirs for c in compared), Money())


def _ours(order: Order, payment: Order, attempt: Order) -> Money:
    """A payment's money lies at its attempt that succeeded; at every other attempt there must be none."""
    if attempt["outcome"] != "succeeded":
        return Money()
    charged = payment["method"] in CHARGED_METHODS
    held = 0 if charged else payment["authorized"] - payment["captured"] - payment["voided"]
    return Money(captured=payment["captured"], refunded=payment["refunded"] - _credited(order, payment), held=held)


def _credited(order: Order, payment: Order) -> int:
    """What of a payment was given back as store credit: the PG knows nothing of it."""
    legs = [leg for refund in order["refunds"] for leg in refund["legs"] if leg["payment_id"] == payment["id"]]
    given = [leg for leg in legs if leg["destination"] == "store_credit" and leg["status"] == "succeeded"]
    return sum(leg["amount"] for leg in given)


async def _theirs(shop: Shop, account: str, merchant_ref: str) -> Money:
    sums = dict.fromkeys(("authorize", "capture", "void", "refund"), 0)
    for line in await shop.ledger(account=account, merchant_ref=merchant_ref):
        if line["status"] == "succeeded" and line["operation"] in sums:
            sums[line["operation"]] += line["amount"]
    held = sums["authorize"] - sums["capture"] - sums["void"]
    return Money(captured=sums["capture"], refunded=sums["refund"], held=held)
