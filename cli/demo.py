"""`python -m cli demo`: twenty orders through the API of the running system, then our books beside the PG's ledger."""

import asyncio
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from random import SystemRandom

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table

from cli.accounts import WEIGHTS
from cli.addresses import Addresses, read_addresses
from cli.audit import Sources, report
from cli.comparison import Compared, Money, compare, total
from cli.refusal import Refusal
from cli.seed import CUSTOMERS
from cli.shop import Order, Shop, open_shop
from cli.story import STORIES, Scene, Story
from domain.payment import INTERNAL_METHODS

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
    """Play the stories and compare; exit code 1, with a sentence, if a step fails or the books differ.

    It ends with the audit of the whole system, whose exit code it takes.
    """
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
    return await report(Sources.of(addresses), console)


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
    act.scene.finish()


def _stage(acts: list[Act]) -> Table:
    table = Table(title="Orders of two sections, points and card", box=SIMPLE_HEAD)
    for column, width in (("story", 16), ("order", 14), ("PG", 9), ("now", 24)):
        table.add_column(column, min_width=width)
    for act in acts:
        order = act.scene.order or {}
        table.add_row(act.story.title, order.get("number", ""), _accounts(order), _now(act))
    return table


def _now(act: Act) -> str:
    """What is being done; at the end, where the order stands."""
    if not act.scene.done or act.scene.order is None:
        return act.scene.doing
    states = (act.scene.order[name] for name in ("status", "payment_status", "fulfillment_status"))
    return f"[green]{', '.join(states)}[/]"


def _accounts(order: Order) -> str:
    at_pgs = [p for p in order.get("payments", ()) if p["method"] not in INTERNAL_METHODS]
    accounts = [p["gateway"] for p in at_pgs if p["gateway"]]
    return ", ".join(accounts)


def _books(compared: list[Compared]) -> Table:
    title = "Our order database beside the sandbox PG's own ledger, KRW"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in ("PG account", "books"):
        table.add_column(column, no_wrap=True)
    for column in ("cards", "captured", "refunded", "held", "net"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", min_width=9)
    for account in sorted({c.account for c in compared}):
        mine = [c for c in compared if c.account == account]
        weight = f", weight {WEIGHTS[account]}" if account in WEIGHTS else ""
        _add_books(table, account, f"{100 * len(mine) / len(compared):.0f} %{weight}", mine)
    _add_books(table, "total", "", compared)
    return table


def _add_books(table: Table, name: str, below: str, compared: list[Compared]) -> None:
    """Two rows: what we have, and what the PG has."""
    ours, theirs = total(compared)
    verdict = "[green]equal[/]" if all(c.agrees for c in compared) else "[red]DIFFERENT[/]"
    table.add_row(name, "ours", str(len(compared)), *_figures(ours), verdict)
    table.add_row(f"[dim]{below}[/]", "PG's", "", *_figures(theirs), "", end_section=True)


def _figures(money: Money) -> list[str]:
    return [f"{sum_:,}" for sum_ in (money.captured, money.refunded, money.held, money.captured - money.refunded)]


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
