"""What a seed means: the life of every order and every blow, drawn before anything runs, so that a run can be repeated.

Only the interleaving is left to chance; what is asked and what is broken is not.
"""

from dataclasses import dataclass
from random import Random
from typing import Literal

PAGE = "page"
"""No token: the customer pays on the PG's own page, where it has one."""
TOKENS = (
    ("tok_ok", 60),
    ("tok_declined", 8),
    ("tok_lost", 4),
    ("tok_insufficient", 4),
    ("tok_3ds", 6),
    ("tok_pending", 10),
    (PAGE, 15),
)
FATES = (("deliver", 30), ("cancel", 20), ("refund", 25), ("ship", 10), ("leave", 15))
FAULTS = (
    "refuse",
    "drop_before",
    "drop_after",
    "500_before",
    "500_after",
    "garbage",
    "wrong_amount",
    "delay",
    "webhook_duplicate",
    "webhook_late",
    "webhook_never",
)
STRUCK = ("authorize", "capture", "void", "refund", "lookup", "neutralize", None)
VICTIMS = ("orders", "payments", "server", "sandbox", "postgres", "temporal")
WEIGHTS = {"sandbox-a": 25, "sandbox-b": 15, "stripe-demo": 20, "adyen-demo": 10, "toss-demo": 15, "nice-demo": 15}
"""How the orders are spread over the PGs."""
DEAF = {("adyen-demo", "webhook_never")}
"""Not survived within a run, and rightly: what became of a capture or a refund Adyen tells by its webhook alone, it has
no lookup, and its first answer says no more than "received". Without the webhook the operation stays pending until a
person has read the settlement report of the day and decides; nothing else would be evidence. Late and doubled
webhooks are survived, and so is the loss of any answer."""
ORDERS_FOR_A_FAULT = 6
ORDERS_FOR_A_KILL = 250

Fate = Literal["deliver", "cancel", "refund", "ship", "leave"]


@dataclass(frozen=True, slots=True)
class Life:
    """One order: how it is paid and what becomes of it."""

    index: int
    tokens: tuple[str, ...]
    points: int
    capture: str
    mode: str
    fate: Fate
    approves: bool
    """What the customer does on a page of the PG."""
    double_click: bool
    taken_back: bool
    """What Adyen has captured or given back of it fails after all, where that can be."""


@dataclass(frozen=True, slots=True)
class Blow:
    """A fault to arm, or a process to kill, before the order of this index is begun."""

    before: int
    fault: str | None = None
    account: str | None = None
    operation: str | None = None
    times: int = 1
    victim: str | None = None


def _drawn(dice: Random, table: tuple[tuple[str, int], ...]) -> str:
    return dice.choices([word for word, _ in table], [weight for _, weight in table])[0]


def lives(seed: int, orders: int) -> list[Life]:
    """The same lives for the same seed."""
    dice = Random(f"lives {seed}")
    return [_life(dice, index) for index in range(orders)]


def _life(dice: Random, index: int) -> Life:
    two_cards = dice.random() < 0.1
    tokens = tuple(_drawn(dice, TOKENS) for _ in range(2 if two_cards else 1))
    fate = _drawn(dice, FATES)
    return Life(
        index=index,
        tokens=tokens,
        points=dice.choice((0, 0, 7_700)),
        capture=dice.choice(("automatic", "automatic", "manual", "on_shipment")),
        mode=dice.choice(("atomic", "atomic", "accumulate")),
        fate=fate,  # type: ignore[arg-type]
        approves=dice.random() < 0.7,
        double_click=dice.random() < 0.15,
        taken_back=dice.random() < 0.3,
    )


def _fault(dice: Random, orders: int) -> Blow | None:
    account, fault = dice.choice(list(WEIGHTS)), dice.choice(FAULTS)
    before, operation, times = dice.randrange(orders), dice.choice(STRUCK), dice.randint(1, 3)
    return None if (account, fault) in DEAF else Blow(before, fault, account, operation, times)


def blows(seed: int, orders: int) -> list[Blow]:
    """The same blows for the same seed, in the order in which they fall."""
    dice = Random(f"blows {seed}")
    faults = [blow for _ in range(orders // ORDERS_FOR_A_FAULT) if (blow := _fault(dice, orders)) is not None]
    kills = [Blow(dice.randrange(orders), victim=dice.choice(VICTIMS)) for _ in range(orders // ORDERS_FOR_A_KILL)]
    return sorted([*faults, *kills], key=lambda b: b.before)
