"""`python -m benchmarks`: measure the system on a stack of its own, print the tables, keep the figures as JSON."""

import asyncio
import json
import signal
import sys
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from benchmarks.plan import Plan, Sizes
from benchmarks.real_shop import BadAnswer
from benchmarks.report import show, summary
from benchmarks.stack import under_load
from cli.refusal import Refusal
from wiring.embedded import ChildFailed, ClusterUnusable
from wiring.settings import BadSettings

FAILURES = (
    BadAnswer,
    BadSettings,
    ChildFailed,
    ClusterUnusable,
    RPCError,
    Refusal,
    TimeoutError,
    WorkflowFailureError,
    httpx.HTTPError,
)
"""What may go wrong in a run; everything else is a mistake of ours and shown with its traceback."""
RESULTS = Path(__file__).parent / "results"


def parse(words: list[str]) -> Namespace:
    """The arguments; the defaults take about two minutes on two cores."""
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--orders", type=int, default=180, help="orders in each kind of phase (180)")
    parser.add_argument("--clients", type=int, default=8, help="clients at the same time (8)")
    parser.add_argument("--rounds", type=int, default=3, help="turns that skeletons and orders take (3)")
    parser.add_argument("--warm-up", type=int, default=64, help="orders before anything is measured (64)")
    parser.add_argument("--skeleton-only", action="store_true", help="measure only the workflows without bodies")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures here too")
    parser.add_argument("--keep", action="store_true", help="leave the folder with data and logs, and say where it is")
    given = parser.parse_args(words)
    if not 1 <= given.rounds <= given.orders or given.clients < 1 or given.warm_up < 1:
        parser.error("orders must be at least as many as rounds, and clients and warm-up at least 1")
    return given


async def measure(given: Namespace, console: Console) -> dict[str, Any]:
    """Bring the stack up, measure, and take it down, also when interrupted."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    sizes = Sizes(given.orders, given.clients, given.warm_up, given.rounds, skeleton_only=given.skeleton_only)
    with console.status("starting the stack") as status:
        async with under_load(keep=given.keep) as system:
            if given.keep:
                console.print(f"Data and logs stay in {system.folder}.", soft_wrap=True)
            return summary(await Plan(system, sizes, status.update).run())


def main(words: list[str]) -> int:
    """Exit code 0: measured; 1: something failed, said in a sentence; 130: interrupted."""
    given = parse(words)
    console = Console()
    try:
        figures = asyncio.run(measure(given, console))
    except* FAILURES as failed:
        sys.stderr.write(f"Nothing was measured: {_first(failed)!r}\n")
        return_code = 1
    except* (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("Interrupted; nothing was measured.\n")
        return_code = 130
    else:
        show(figures, console)
        _keep(figures, given.json, console)
        return_code = 0
    return return_code


def _keep(figures: dict[str, Any], path: Path | None, console: Console) -> None:
    now = datetime.now(UTC)
    text = json.dumps({"measured_at": now.isoformat(timespec="seconds")} | figures, indent=2) + "\n"
    RESULTS.mkdir(exist_ok=True)
    for file in filter(None, (RESULTS / f"{now:%Y%m%d-%H%M%S}.json", path)):
        file.write_text(text)
        console.print(f"Figures: {file}", soft_wrap=True, highlight=False)


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
