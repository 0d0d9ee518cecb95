"""The door of the workers: `python worker.py orders payments updates` runs the workers of these roles."""

import asyncio
import os
import signal
import sys

import structlog
import uvloop
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from wiring.logging import configure_logging, stop_logging
from wiring.resources import open_gateways, open_resources, settlement_terms
from wiring.settings import BadSettings, Settings, settings
from wiring.upkeep import ensure_schedules
from wiring.workers import ROLES, build_workers

log = structlog.get_logger()


async def run(roles: list[str], given: Settings) -> None:
    """Work until SIGTERM or SIGINT, then let what runs finish."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if given.metrics_port:
        address = f"127.0.0.1:{given.metrics_port}"
        Runtime.set_default(Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address))))
    resources = await open_resources(given, role="-".join(roles))
    gateways = open_gateways(given, resources.database)
    workers = build_workers(roles, resources, gateways)
    running = [asyncio.create_task(worker.run()) for worker in workers]
    if "updates" in roles:
        running.append(asyncio.create_task(ensure_schedules(resources.client, settlement_terms(given))))
    log.info("worker.started", roles=roles, queues=[w.task_queue for w in workers])
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([stopping, *running[: len(workers)]], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await asyncio.gather(*(worker.shutdown() for worker in workers))
    results = await asyncio.gather(*running, return_exceptions=True)
    await asyncio.gather(*(gateway.close() for gateway in gateways.values()))
    await resources.close()
    log.info("worker.stopped", roles=roles)
    for failure in results:
        if isinstance(failure, Exception):
            raise failure


def main(arguments: list[str]) -> int:
    """Exit code 2 for a role that does not exist, 1 for settings that are wrong."""
    roles = list(dict.fromkeys(arguments)) or list(ROLES)
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        sys.stderr.write(f"No such role: {', '.join(unknown)}. Roles: {', '.join(ROLES)}.\n")
        return 2
    try:
        given = settings()
    except BadSettings as bad:
        sys.stderr.write(f"{bad}\n")
        return 1
    configure_logging(given.log_level, "-".join(roles))
    try:
        uvloop.run(run(roles, given))
    finally:
        stop_logging()
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    # Not sys.exit: the SDK's native threads may abort the interpreter while it is torn down (sdk-python #300).
    os._exit(code)
