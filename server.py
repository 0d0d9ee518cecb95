"""The door of the server: one ASGI application with the API, run by uvicorn."""

import sys

import uvicorn
import uvloop

from api.app import create_app
from wiring.logging import configure_logging, stop_logging
from wiring.resources import open_resources
from wiring.settings import BadSettings, Settings, settings


async def run(given: Settings) -> None:
    """Serve until SIGTERM or SIGINT; open streams get three seconds."""
    resources = await open_resources(given, role="server", lazy=True)
    config = uvicorn.Config(
        create_app(resources),
        host=given.api_host,
        port=given.api_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=3,
        server_header=False,
    )
    try:
        await uvicorn.Server(config).serve()
    finally:
        await resources.close()


def main() -> int:
    """Exit code 1 for settings that are wrong."""
    try:
        given = settings()
    except BadSettings as bad:
        sys.stderr.write(f"{bad}\n")
        return 1
    configure_logging(given.log_level, "server")
    try:
        uvloop.run(run(given))
    finally:
        stop_logging()
    return 0


if __name__ == "__main__":
    sys.exit(main())
