"""The measurements as tables for people and as JSON for programs."""

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.load import Phase, median, percentile
from benchmarks.plan import Measured

RATIO = 0.6
"""Full lifecycles a second of real orders, over those of skeletons, at least."""
EVENTS = 75
"""History events of an order, all its workflows together, at most."""
PLACED_PER_SECOND = 10.0
"""Placed and paid orders a second at 8 clients, at least."""
STATEMENTS = 40
"""SQL statements until an order is placed and paid, BEGIN and COMMIT included, at most."""

DECISIONS_PER_SECOND = 500.0
"""Routing decisions a second on one rule with several clients, at least."""


def summary(measured: Measured) -> dict[str, Any]:
    """All figures; what was not measured is None."""
    skeleton: dict[str, Any] = {
        "placed_per_second": _rate(measured.skeleton_placing, placed=True),
        "delivered_per_second": _rate(measured.skeleton_lives),
        "delivered_per_second_by_round": [round(p.rate, 2) for p in measured.skeleton_lives],
        "placed_ms": _spread([ms for p in measured.skeleton_placing for ms in p.to_placed_ms()]),
        "footprint": asdict(measured.skeleton_footprint),
        "cpu_ms_per_order": _cpu(measured.skeleton_lives),
    }
    figures: dict[str, Any] = {
        "machine": measured.machine,
        "sizes": asdict(measured.sizes),
        "skeleton": skeleton,
        "orders": None,
        "routing": [],
        "targets": [],
    }
    if measured.footprint is None or measured.statements is None:
        return figures
    ratios = [real.rate / bare.rate for real, bare in zip(measured.lives, measured.skeleton_lives, strict=True)]
    figures["orders"] = {
        "placed_per_second": _rate(measured.placing, placed=True),
        "placed_per_second_by_round": [round(p.placed_rate, 2) for p in measured.placing],
        "delivered_per_second": _rate(measured.lives),
        "delivered_per_second_by_round": [round(p.rate, 2) for p in measured.lives],
        "durable_ms": _spread([a.durable for a in measured.accepts]),
        "answer_without_waiting_ms": _spread([a.answer for a in measured.accepts]),
        "placed_ms": _spread([ms for p in measured.placing for ms in p.to_placed_ms()]),
        "footprint": asdict(measured.footprint),
        "statements": asdict(measured.statements),
        "heaviest_statements": measured.heaviest,
        "cpu_ms_per_order": _cpu(measured.lives),
        "cpu_ms_per_order_placing": _cpu(measured.placing),
    }
    figures["ratio"] = round(median(ratios), 3)
    figures["cpu_ratio"] = round(
        skeleton["cpu_ms_per_order"]["total"] / figures["orders"]["cpu_ms_per_order"]["total"], 3
    )
    figures["ratio_by_round"] = [round(r, 3) for r in ratios]
    figures["routing"] = [asdict(run) for run in measured.routing]
    figures["targets"] = _targets(figures)
    return figures


def show(figures: dict[str, Any], console: Console) -> None:
    """Print the tables."""
    console.print(_machine_line(figures), highlight=False)
    console.print(_main_table(figures))
    console.print(_cpu_table(figures))
    if figures["orders"] is None:
        return
    console.print(_routing_table(figures))
    targets = Table(title="Targets")
    for column in ("what", "target", "measured", ""):
        targets.add_column(column)
    for target in figures["targets"]:
        verdict = "[green]met[/]" if target["met"] else "[red]not met[/]"
        targets.add_row(target["what"], target["target"], f"{target['measured']:g}", verdict)
    console.print(targets)


def _targets(figures: dict[str, Any]) -> list[dict[str, Any]]:
    orders = figures["orders"]
    rows = [
        ("full lifecycles/s, orders / skeletons", ">=", RATIO, figures["ratio"]),
        ("history events per order", "<=", EVENTS, orders["footprint"]["events"]),
        (
            f"placed and paid/s at {figures['sizes']['clients']} clients",
            ">=",
            PLACED_PER_SECOND,
            orders["placed_per_second"],
        ),
        ("SQL statements to placed and paid", "<=", STATEMENTS, orders["statements"]["paid"]),
        *(
            (f"routing decisions/s at {run['clients']} clients", ">=", DECISIONS_PER_SECOND, run["per_second"])
            for run in figures["routing"]
            if run["clients"] > 1
        ),
    ]
    return [
        {
            "what": what,
            "target": f"{sign} {limit:g}",
            "measured": found,
            "met": found >= limit if sign == ">=" else found <= limit,
        }
        for what, sign, limit, found in rows
    ]


def _machine_line(figures: dict[str, Any]) -> str:
    machine, sizes = figures["machine"], figures["sizes"]
    return (
        f"{machine['cores']} cores, load before {machine['load_before']}, Python {machine['python']}, workflow sandbox "
        f"{machine['workflow_sandbox']}; {sizes['orders']} orders, {sizes['rounds']} rounds, {sizes['clients']} clients"
    )


def _main_table(figures: dict[str, Any]) -> Table:
    skeleton, orders = figures["skeleton"], figures["orders"]
    table = Table(title="Orders of two sections, points and card, beside workflows of the same shape without bodies")
    table.add_column("")
    table.add_column("orders", justify="right")
    table.add_column("skeletons", justify="right")

    def row(what: str, *path: str, digits: int = 1) -> None:
        table.add_row(what, _figure(orders, path, digits), _figure(skeleton, path, digits))

    row("placed and paid, a second", "placed_per_second")
    row("from placing to delivered, a second", "delivered_per_second")
    row("durably accepted by Temporal, p50 ms", "durable_ms", "p50", digits=0)
    row("durably accepted by Temporal, p99 ms", "durable_ms", "p99", digits=0)
    row("answered with Prefer: wait=0, p50 ms", "answer_without_waiting_ms", "p50", digits=0)
    row("answered with Prefer: wait=0, p99 ms", "answer_without_waiting_ms", "p99", digits=0)
    row("placed and paid, p50 ms", "placed_ms", "p50", digits=0)
    row("placed and paid, p99 ms", "placed_ms", "p99", digits=0)
    row("placed and paid, one alone, ms", "statements", "alone_ms", digits=0)
    row("history events", "footprint", "events", digits=0)
    row("workflow runs", "footprint", "workflows", digits=0)
    row("activities", "footprint", "activities", digits=0)
    row("local activities", "footprint", "local_activities", digits=0)
    row("signals", "footprint", "signals", digits=0)
    row("SQL statements to placed and paid", "statements", "paid", digits=0)
    row("the same without BEGIN and COMMIT", "statements", "paid_without_transaction", digits=0)
    row("commits to placed and paid", "statements", "commits", digits=0)
    row("SQL statements with sections prepared", "statements", "prepared", digits=0)
    return table


def _cpu_table(figures: dict[str, Any]) -> Table:
    skeleton, orders = figures["skeleton"], figures["orders"]
    table = Table(title="CPU milliseconds an order, from placing to delivered")
    table.add_column("process")
    table.add_column("orders", justify="right")
    table.add_column("skeletons", justify="right")
    for name in skeleton["cpu_ms_per_order"]:
        path = ("cpu_ms_per_order", name)
        table.add_row(name, _figure(orders, path, 1), _figure(skeleton, path, 1))
    return table


def _routing_table(figures: dict[str, Any]) -> Table:
    table = Table(title="Routing decisions on one rule")
    for column in ("clients", "processes", "a second", "p50 ms", "p99 ms", "off by, payments"):
        table.add_column(column, justify="right")
    for run in figures["routing"]:
        cells = (run["per_second"], run["p50_ms"], run["p99_ms"], run["off_by"])
        table.add_row(str(run["clients"]), str(run["processes"]), *(f"{cell:,.1f}" for cell in cells))
    return table


def _figure(figures: dict[str, Any] | None, path: tuple[str, ...], digits: int) -> str:
    found: Any = figures
    for name in path:
        if found is None or name not in found:
            return "-"
        found = found[name]
    return f"{found:,.{digits}f}"


def _rate(phases: list[Phase], *, placed: bool = False) -> float:
    """Orders a second over all rounds together."""
    rates = [p.placed_rate if placed else p.rate for p in phases]
    seconds = sum(len(p.journeys) / rate for p, rate in zip(phases, rates, strict=True))
    return round(sum(len(p.journeys) for p in phases) / seconds, 2)


def _spread(values: list[float]) -> dict[str, float]:
    return {name: round(percentile(values, share), 1) for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}


def _cpu(phases: list[Phase]) -> dict[str, float]:
    """CPU milliseconds an order, by process and in total, over all rounds together."""
    journeys = sum(len(p.journeys) for p in phases)
    names = list(phases[0].cpu)
    used = {name: round(1000 * sum(p.cpu.get(name, 0.0) for p in phases) / journeys, 1) for name in names}
    return used | {"total": round(sum(used.values()), 1)}
