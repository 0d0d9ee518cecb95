"""The demo's stories: what happens to each of its orders, told step by step through the API."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from cli.refusal import Refusal
from cli.shop import Order, Shop

POINTS = 7_700
TOTAL = 2 * 19_900 + 14_900 + 3_000 + 5_000
SECTIONS = (
    {
        "destination": {
            "name": "Kim Minji",
            "line1": "12 Teheran-ro",
            "city": "Seoul",
            "postal_code": "06236",
            "country": "KR",
        },
        "delivery_method": "standard",
        "shipping_fee": 3_000,
        "items": [{"sku": "TEE-BLK-M", "quantity": 2}],
    },
    {
        "destination": {
            "name": "Lee Jun",
            "line1": "3 Haeundae",
            "city": "Busan",
            "postal_code": "48094",
            "country": "KR",
        },
        "delivery_method": "express",
        "shipping_fee": 5_000,
        "items": [{"sku": "MUG-01", "quantity": 1}],
    },
)
EXCHANGED_FOR = "TEE-BLK-L"


class Scene:
    """One order on its way. ``tell`` shows what is being done; ``order`` is what was last seen of it."""

    def __init__(self, shop: Shop, customer: str, tell: Callable[["Scene"], None]) -> None:
        self.shop = shop
        self.customer = customer
        self.order: Order | None = None
        self.doing = "waits"
        self.done = False
        self._tell = tell

    @property
    def number(self) -> str:
        """The order's number; raises `Refusal` before it is placed."""
        if self.order is None:
            raise Refusal(f"{self.customer} has placed no order yet.")
        return str(self.order["number"])

    def show(self, doing: str) -> None:
        """Say what is being done now."""
        self.doing = doing
        self._tell(self)

    def finish(self) -> None:
        """Nothing more happens to it."""
        self.done = True
        self._tell(self)

    async def place(self, token: str = "tok_ok") -> None:  # noqa: S107 - a name of the sandbox, no secret
        """Check out two sections, paid by points and card."""
        self.show("checks out")
        self.order = await self.shop.place(
            {
                "customer": {"id": self.customer, "name": "Kim Minji", "email": "minji@example.com"},
                "currency": "KRW",
                "sections": list(SECTIONS),
                "expected_total": TOTAL,
                "payments": [
                    {"method": "points", "amount": POINTS},
                    {"method": "card", "amount": TOTAL - POINTS, "token": token},
                ],
            }
        )

    async def wait(self, holds: Callable[[Order], bool], what: str) -> Order:
        """Wait until it holds of the order."""
        self.show(f"waits for {what}")
        self.order = await self.shop.order_when(self.number, holds, what)
        return self.order

    async def command(self, doing: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Give a command, wait until it is applied, look at the order again."""
        self.show(doing)
        command = await self.shop.command(self.number, path, body)
        self.order = await self.shop.order(self.number)
        self.show(doing)
        return command

    async def ship(self, section: int, *, item: str | None = None, pieces: int = 1) -> None:
        """A parcel leaves: everything of the section, or some pieces of one item."""
        body: dict[str, Any] = {"carrier": "CJ", "tracking_number": f"CJ-{self.number}-{section}-{pieces}"}
        if item is not None:
            body["items"] = [{"item_id": item, "quantity": pieces}]
        part = f"{pieces} of 2 pieces of " if item else ""
        await self.command(f"ships {part}section {section}", f"sections/{section}/shipments", body)

    async def deliver(self, section: int) -> None:
        """All parcels of a section have arrived."""
        await self.command(f"delivers section {section}", f"sections/{section}/deliveries", {})


@dataclass(frozen=True, slots=True)
class Story:
    """What happens to one order, in words and as steps. ``alone``: nothing else may run beside it."""

    title: str
    play: Callable[[Scene], Awaitable[None]]
    alone: bool = False


async def lost_answer(scene: Scene) -> None:
    """The PG takes the money and its answer is lost: the order asks again instead of charging twice."""
    async with scene.shop.fault(fault="drop_after", operation="authorize", times=1) as fired:
        await scene.place()
        await _paid(scene)
        if not await fired():
            raise Refusal(f"Order {scene.number}: the lost answer was armed at the sandbox, but never happened.")


async def declined(scene: Scene) -> None:
    """The card is refused: the points that were held with it come back."""
    await scene.place(token="tok_lost")  # noqa: S106 - a name of the sandbox, no secret
    order = await scene.wait(lambda o: _leg(o, "card")["status"] == "declined", "the decline")
    if order["status"] != "pending_payment":
        raise Refusal(f"Order {scene.number} is {order['status']} after its card was declined.")
    await scene.wait(lambda o: _held(_leg(o, "points")) == 0, "the points to come back")


async def shipped_in_parts(scene: Scene) -> None:
    """One of two pieces leaves first, the other follows; then everything is delivered."""
    await scene.place()
    order = await _prepared(scene)
    await scene.ship(1, item=order["sections"][0]["items"][0]["id"])
    await scene.wait(lambda o: o["sections"][0]["fulfillment_status"] == "partially_shipped", "a part to be on its way")
    await scene.ship(1)
    await scene.ship(2)
    await _delivered(scene, 1, 2)


async def refunded(scene: Scene) -> None:
    """One piece came damaged: its money goes back."""
    await _fulfilled(scene)
    item = _item(scene.order, 1)
    refund = {"items": [{"item_id": item["id"], "quantity": 1}], "reason": "damaged"}
    await scene.command("refunds one piece", "refunds", refund)
    await scene.wait(
        lambda o: bool(o["refunds"]) and all(r["status"] == "succeeded" for r in o["refunds"]), "the refund"
    )


async def exchanged(scene: Scene) -> None:
    """One piece in the wrong size: another goes out in a new section."""
    await _fulfilled(scene)
    wanted = {"item_id": _item(scene.order, 1)["id"], "quantity": 1, "sku": EXCHANGED_FOR}
    body = {"kind": "exchange", "items": [wanted], "policy": "ship_first", "reason": "too small"}
    await scene.command(f"exchanges one piece for {EXCHANGED_FOR}", "reorders", body)
    await scene.wait(
        lambda o: len(o["sections"]) == len(SECTIONS) + 1 and o["sections"][-1]["items"][0]["state"] == "preparing",
        "the new section to be prepared",
    )
    new = len(SECTIONS) + 1
    await scene.ship(new)
    await _delivered(scene, new)


async def bought(scene: Scene) -> None:
    """Placed, paid, shipped, delivered."""
    await _fulfilled(scene)


STORIES = (
    Story("lost answer", lost_answer, alone=True),
    Story("declined", declined, alone=True),
    Story("shipped in parts", shipped_in_parts),
    Story("refunded", refunded),
    Story("exchanged", exchanged),
    *(Story("bought", bought) for _ in range(15)),
)


async def _paid(scene: Scene) -> Order:
    return await scene.wait(
        lambda o: (o["status"], o["payment_status"]) == ("placed", "paid"), "the order to be placed and paid"
    )


async def _prepared(scene: Scene) -> Order:
    await _paid(scene)
    return await scene.wait(
        lambda o: all(i["state"] == "preparing" for s in o["sections"] for i in s["items"]), "the warehouse"
    )


async def _fulfilled(scene: Scene) -> None:
    await scene.place()
    await _prepared(scene)
    await scene.ship(1)
    await scene.ship(2)
    await _delivered(scene, 1, 2)


async def _delivered(scene: Scene, *sections: int) -> None:
    for section in sections:
        await scene.deliver(section)
    await scene.wait(
        lambda o: all(s["fulfillment_status"] == "delivered" for s in o["sections"]), "everything to be delivered"
    )


def _leg(order: Order, method: str) -> dict[str, Any]:
    legs = [p for p in order["payments"] if p["method"] == method]
    if len(legs) != 1:
        raise Refusal(f"Order {order['number']} has {len(legs)} payments by {method}, not one.")
    leg: dict[str, Any] = legs[0]
    return leg


def _held(leg: dict[str, Any]) -> int:
    """What of a leg is still the store's: held or taken, and not given back."""
    return int(leg["authorized"]) - int(leg["voided"]) - int(leg["refunded"])


def _item(order: Order | None, section: int) -> dict[str, Any]:
    if order is None:
        raise Refusal("There is no order to take an item from.")
    item: dict[str, Any] = order["sections"][section - 1]["items"][0]
    return item
