"""`python -m cli audit`: the database, every PG ledger that can be read, and Temporal's open workflows, side by side.

Exit code 0 only if all of it was asked and all of it agrees; 1 with a disagreement; 2 if something could not be asked.
"""

import asyncio
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from temporalio.client import Client

from cli.addresses import Addresses, read_addresses
from cli.disagreement import Disagreement, Part
from cli.ledgers import Ledger, compare_ledger
from cli.runs import compare_runs
from models.database import Database
from queries.audit import CHECKS, Check, accounts, open_cases, run_check
from queries.outage import is_outage
from wiring.converter import data_converter
from wiring.settings import PREFIX, settings

EXPLAIN = "read docs/guides/reconciliation.md; assign it, then close it with what explained it"
SHOWN, OF_A_GROUP = 50, 10
"""Disagreements that are printed one by one: of a comparison, of a group of the same."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Whom an audit asks. ``ledgers``: addresses of sandbox PGs by account; None: one sandbox for every account."""

    database: str
    temporal: str
    namespace: str = "default"
    sandbox: str | None = None
    ledgers: Mapping[str, str] | None = None

    @classmethod
    def of(cls, addresses: Addresses) -> "Sources":
        """The system of `make up`, whose accounts are all at its sandbox PG."""
        return cls(addresses.database, addresses.temporal, sandbox=addresses.sandbox)


def configure(parser: ArgumentParser) -> None:
    """No arguments: the settings of a worker if they are there, else the running system of `make up`."""
    parser.epilog = (
        f"With {PREFIX}DATABASE_URL it asks what the settings name; else what `make up` runs in OPMS_DATA_DIR (.opms). "
        "Exit code 0: all agrees; 1: something disagrees; 2: something could not be asked."
    )


def run(_arguments: Namespace) -> int:
    """Compare and print; the exit code says whether all agrees."""
    return asyncio.run(report(_sources(), Console()))


def _sources() -> Sources:
    if f"{PREFIX}DATABASE_URL" not in os.environ:
        return Sources.of(read_addresses())
    given = settings()
    ledgers = {name: one.url for name, one in given.gateways.items() if one.vendor == "sandbox"}
    return Sources(given.database_url, given.temporal_address, given.temporal_namespace, ledgers=ledgers)


async def report(sources: Sources, console: Console) -> int:
    """Compare everything, print it, and give the exit code."""
    parts = await compare_all(sources)
    _print(parts, console)
    if any(part.disagreements for part in parts):
        return 1
    return 2 if any(part.unasked for part in parts) else 0


async def compare_all(sources: Sources) -> list[Part]:
    """Every comparison; one that cannot be made says why and stops no other."""
    async with AsyncExitStack() as stack:
        database = Database(sources.database, size=2, application="opms-audit")
        stack.push_async_callback(database.close)
        parts: list[Part] = []
        for check in CHECKS:
            parts += await _asked(check.name, partial(_sums, database, check))
        parts += await _asked("our books and the PGs' ledgers", partial(_ledgers, database, sources))
        parts += await _asked("open cases of the reconciliation", partial(_cases, database))
        parts += await _asked("what waits, and the workflows that are open", partial(_runs, database, sources))
    return parts


async def _asked(name: str, ask: Callable[[], Awaitable[list[Part]]]) -> list[Part]:
    try:
        return await ask()
    except Exception as error:
        if not is_outage(error):
            raise
        return [Part(name, unasked=f"the database does not answer: {type(error).__name__}")]


async def _sums(database: Database, check: Check) -> list[Part]:
    async with database.reading() as connection:
        count, found = await run_check(connection, check)
    return [Part(check.name, count, tuple(Disagreement(one.subject, one.what, check.remedy) for one in found))]


async def _cases(database: Database) -> list[Part]:
    async with database.reading() as connection:
        count, found = await open_cases(connection)
    told = tuple(Disagreement(one.subject, one.what, EXPLAIN, one.group) for one in found)
    return [Part("settlement lines of the PGs, as reconciled", count, told)]


async def _ledgers(database: Database, sources: Sources) -> list[Part]:
    """The PGs whose ledgers are open; all others are compared by their settlement lines."""
    async with database.reading() as connection:
        every = await accounts(connection)
    parts = []
    for account in every:
        url = sources.sandbox if sources.ledgers is None else sources.ledgers.get(account)
        if url is not None:
            async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
                parts.append(await compare_ledger(database, Ledger(http, account)))
    return parts


async def _runs(database: Database, sources: Sources) -> list[Part]:
    try:
        client = await Client.connect(
            sources.temporal, namespace=sources.namespace, data_converter=data_converter, identity="opms-audit"
        )
    except RuntimeError:
        return [Part("what waits, and the workflows that are open", unasked="Temporal does not answer")]
    return list(await compare_runs(database, client))


def _print(parts: Sequence[Part], console: Console) -> None:
    table = Table(title="What was compared", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("comparison", ratio=1)
    table.add_column("compared", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for part in parts:
        table.add_row(part.name, "" if part.unasked else f"{part.compared:,}", _verdict(part))
    console.print(table)
    for part in parts:
        if part.unasked:
            console.print(f"[yellow]not asked[/] {part.name}: {part.unasked}", highlight=False, soft_wrap=True)
    groups = [
        (part.name, name, list(alike))
        for part in parts
        for name, alike in groupby(part.disagreements, key=lambda one: one.group)
    ]
    for part_name, name, alike in sorted(
        groups, key=lambda group: group[1] is not None
    ):  # What may be many comes last.
        for line in _told(alike, name, part_name):
            console.print(line, highlight=False, soft_wrap=True)
    console.print(_last_word(parts), highlight=False, soft_wrap=True)


def _told(alike: Sequence[Disagreement], group: str | None, part: str) -> Iterator[str]:
    """What is said of disagreements of a comparison, or of a group in it: the first of them, and how many there are."""
    if group is not None:
        yield f"[red]{len(alike):,} x {escape(group)}[/]"
        yield f"    what to do: {alike[0].remedy}"
    most = SHOWN if group is None else OF_A_GROUP
    for one in alike[:most]:
        yield f"[red]{one.subject}[/] {escape(one.what)}"
        if group is None:
            yield f"    what to do: {one.remedy}"
    if len(alike) > most:
        yield f"    and {len(alike) - most:,} more: {escape(group or part)}"


def _verdict(part: Part) -> str:
    if part.unasked:
        return "[yellow]not asked[/]"
    return f"[red]{len(part.disagreements)} differ[/]" if part.disagreements else "[green]agrees[/]"


def _last_word(parts: Sequence[Part]) -> str:
    differing = sum(len(part.disagreements) for part in parts)
    unasked = sum(part.unasked is not None for part in parts)
    if differing:
        return f"[red]{differing} disagreements[/]; {unasked} comparisons could not be made."
    if unasked:
        return f"[yellow]No disagreement, but {unasked} comparisons could not be made: nothing is known of them.[/]"
    return "[green]The database, the PGs' ledgers and the open workflows agree.[/]"
