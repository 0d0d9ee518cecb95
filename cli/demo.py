"""`python -m cli demo`: twenty orders through the API of the running system, then our books beside the PG's ledger."""

import asyncio
from argparse import ArgumentParser, Namespace
from collections import Counter
from dataclasses import dataclass
from random import SystemRandom

from rich.console import Console
from rich.live import Live
from rich.table import Table

from cli.addresses import Addresses, read_addresses
from cli.comparison import Compared, Money, compare, total
from cli.refusal import Refusal
from cli.seed import CUSTOMERS, WEIGHTS
from cli.shop import Order, Shop, open_shop
from cli.story import STORIES, Scene, Story

AT_ONCE = 5
"""Stories that are played at the same time."""


@dataclass(frozen=True, slots=True)
class Act:
    """One story with its order."""

    story: Story
    scene: Scene


def configure(parser: ArgumentParser) -> None:
    """No arguments: everything is found in the data folder of `make up`."""
    parser.epilog = "Run `make up` first. OPMS_DATA_DIR (.opms) says where it runs."


def run(_arguments: Namespace) -> int:
    """Play the stories and compare; exit code 1, with a sentence, if a step fails or the books differ."""
    return asyncio.run(_run(read_addresses(), Console()))


async def _run(addresses: Addresses, console: Console) -> int:
    async with open_shop(addresses) as shop:
        acts = await _play(shop, console)
        orders = [await shop.order(act.scene.number) for act in acts]
        compared = await compare(shop, orders)
    console.print(_books(compared))
    _where_to_look(addresses, acts, orders, console)
    differing = [c for c in compared if not c.agrees]
    if differing:
        lines = "; ".join(f"{c.number} at {c.account} ({c.merchant_ref}): {c.ours} / {c.theirs}" for c in differing)
        raise Refusal(f"Our database and the PG's ledger differ: {lines}.")
    console.print(f"All {len(compared)} card payments agree with the PG's own ledger to the last won.")
    return 0


async def _play(shop: Shop, console: Console) -> list[Act]:
    first = SystemRandom().randrange(CUSTOMERS)
    acts: list[Act] = []
    with Live(console=console, auto_refresh=console.is_terminal, transient=console.is_terminal) as live:

        def tell(_: Scene) -> None:
            if console.is_terminal:
                live.update(_stage(acts))

        for n, story in enumerate(STORIES):
            acts.append(Act(story, Scene(shop, f"c-{(first + n) % CUSTOMERS + 1}", tell)))
        for act in acts:
            if act.story.alone:
                await _act(act)
        await _together([act for act in acts if not act.story.alone])
    console.print(_stage(acts))
    return acts


async def _together(acts: list[Act]) -> None:
    """A few at once; the first that fails stops the others, and is what is told."""
    left = iter(acts)

    async def actor() -> None:
        for act in left:
            await _act(act)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(actor())
    except* Refusal as refusals:
        first = refusals.exceptions[0]
        raise Refusal(str(first)) from first


async def _act(act: Act) -> None:
    try:
        await act.story.play(act.scene)
    except Refusal as refusal:
        raise Refusal(f"The story {act.story.title!r} failed while it {act.scene.doing}. {refusal}") from refusal
    act.scene.show("[green]done[/]")


def _stage(acts: list[Act]) -> Table:
    table = Table(title="Orders of two sections, points and card")
    for column in ("story", "order", "PG", "status", "payment", "fulfillment", "now"):
        table.add_column(column, overflow="fold")
    for act in acts:
        order = act.scene.order or {}
        states = [str(order.get(name, "")) for name in ("status", "payment_status", "fulfillment_status")]
        table.add_row(act.story.title, order.get("number", ""), _accounts(order), *states, act.scene.doing)
    return table


def _accounts(order: Order) -> str:
    accounts = [p["gateway"] for p in order.get("payments", ()) if p["method"] != "points" and p["gateway"]]
    return ", ".join(accounts)


def _books(compared: list[Compared]) -> Table:
    table = Table(title="Our order database / the sandbox PG's own ledger, KRW")
    table.add_column("PG account")
    for column in ("payments", "share", "captured", "refunded", "held", "net", ""):
        table.add_column(column, justify="right")
    accounts = Counter(c.account for c in compared)
    for account in sorted(accounts):
        mine = [c for c in compared if c.account == account]
        weight = WEIGHTS.get(account)
        share = f"{100 * len(mine) / len(compared):.0f} %" + (f" of {weight} %" if weight else "")
        table.add_row(account, str(len(mine)), share, *_both(*total(mine)))
    table.add_section()
    table.add_row("total", str(len(compared)), "", *_both(*total(compared)))
    return table


def _both(ours: Money, theirs: Money) -> list[str]:
    pairs = [
        (ours.captured, theirs.captured),
        (ours.refunded, theirs.refunded),
        (ours.held, theirs.held),
        (ours.captured - ours.refunded, theirs.captured - theirs.refunded),
    ]
    verdict = "[green]equal[/]" if ours == theirs else "[red]DIFFERENT[/]"
    return [*(f"{one:,} / {other:,}" for one, other in pairs), verdict]


def _where_to_look(addresses: Addresses, acts: list[Act], orders: list[Order], console: Console) -> None:
    """One link into the Temporal UI and one into the API for each kind of story."""
    console.print("Where to look (the API wants the header `Authorization: Bearer <api_key of demo.json>`):")
    shown: set[str] = set()
    for act, order in zip(acts, orders, strict=True):
        if act.story.title in shown:
            continue
        shown.add(act.story.title)
        console.print(f"  [bold]{act.story.title}[/]", highlight=False)
        console.print(f"    workflow  {order['workflow']['url']}", soft_wrap=True, highlight=False)
        console.print(f"    order     {addresses.api}/v1/orders/{order['number']}", soft_wrap=True, highlight=False)
    console.print(f"  ledger      {addresses.sandbox}/_ledger", soft_wrap=True, highlight=False)
