"""`python -m tests.workflows.record`: write the histories that `test_replay.py` replays.

Record anew only for a new path through a workflow. A history that no longer replays is what the test is for: such a
change needs `workflow.patched`, see docs/guides.
"""

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from contracts.command import Cancel, Command, Hold, Pay, RefundMoney, Release, Reorder
from domain.checkout import AskedPayment
from domain.reorder import Wanted
from tests.stack import STORE, Ground, Shop, a_checkout, open_shop
from tests.workflows.test_commands import deliver_all

FOLDER = Path(__file__).parent / "histories"
MANIFEST = FOLDER / "manifest.json"


async def delivered(shop: Shop) -> str:
    """Paid by points and card, held and released, shipped, delivered."""
    number = await shop.placed()
    await shop.applied(number, Hold(1, "fraud"))
    await shop.applied(number, Release(1, "fraud"))
    await deliver_all(shop, number)
    return number


async def reopened(shop: Shop) -> str:
    """Closed, then a refund, then an exchange with a section of its own."""
    number = await delivered(shop)
    await shop.closes(number)
    await shop.applied(number, RefundMoney("scratched", amount=1000))
    tee = next(i for i in (await shop.order(number)).items if i.sku == "TEE-BLK-M")
    swap = Reorder("exchange", (Wanted(tee.id, 1, "MUG-01"),), difference="refund", policy="ship_first")
    await shop.applied(number, swap)
    await deliver_all(shop, number)
    return number


async def declined(shop: Shop) -> str:
    """Declined, paid again, canceled."""
    number = (await shop.checkout(a_checkout(token="tok_lost"))).number
    await shop.applied(number, Pay((AskedPayment("card", 57700, "tok_ok"),)))
    await shop.applied(number, Cancel("changed my mind"))
    return number


async def in_doubt(shop: Shop) -> str:
    """The PG's answer was lost after the effect; asked again."""
    shop.sandbox.arm("drop_after", "authorize")
    number = await shop.placed()
    await deliver_all(shop, number)
    return number


async def pending(shop: Shop) -> str:
    """The PG answers later."""
    number = await shop.placed(token="tok_pending")
    await shop.applied(number, Cancel("too slow"))
    return number


async def repeated(shop: Shop) -> str:
    """Every command comes twice. When this was recorded, the second was decided as well, and changed nothing."""
    number = await shop.placed()
    for section, body in ((None, RefundMoney("late", amount=1000)), (1, Hold(1, "fraud")), (1, Release(1, "fraud"))):
        command = await shop.submit(number, body)
        await shop.workflow(number, section).signal("submit", Command(command, STORE, number, "staff", body))
        await shop.decided(command)
    await deliver_all(shop, number)
    return number


PATHS: tuple[Callable[[Shop], Awaitable[str]], ...] = (delivered, reopened, declined, in_doubt, pending, repeated)


async def main() -> None:
    """Drive every path and write its histories beside the manifest of their workflow ids."""
    FOLDER.mkdir(exist_ok=True)
    manifest: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "stack").mkdir()
        ground = Ground(Path(name) / "stack")
        await ground.start()
        async with open_shop(ground, "record") as shop:
            for path in PATHS:
                number = await path(shop)
                await shop.closes(number)
                for section in (None, *(s.number for s in (await shop.order(number)).sections)):
                    handle = shop.workflow(number, section)
                    file = f"{path.__name__}.{'order' if section is None else f'section-{section}'}.json"
                    history = json.loads((await handle.fetch_history()).to_json())
                    (FOLDER / file).write_text(json.dumps(history, indent=1) + "\n")
                    manifest[file] = handle.id
        await ground.stop()
    MANIFEST.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
