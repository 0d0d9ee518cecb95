"""The door of the server: one ASGI application with the API, run by uvicorn."""

import socket
import sys

import uvicorn
import uvloop
from fastapi import FastAPI
from typing_extensions import override

from api.app import create_app
from api.routes.event import close_streams
from wiring.logging import configure_logging, stop_logging
from wiring.resources import open_gateways, open_resources
from wiring.settings import BadSettings, Settings, settings

GRACE_SECONDS = 2
"""What a request that still runs is given when the server stops."""


class StreamEndingServer(uvicorn.Server):
    """Lets open event streams end before it waits for connections."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then everything else."""
        close_streams(self._app)
        await super().shutdown(sockets)


async def run(given: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    resources = await open_resources(given, role="server", lazy=True, gateways=open_gateways(given))
    app = create_app(resources)
    config = uvicorn.Config(
        app,
        host=given.api_host,
        port=given.api_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
    )
    try:
        await StreamEndingServer(config, app).serve()
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
