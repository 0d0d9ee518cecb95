"""``python -m gateways.sandbox --host 127.0.0.1 --port 8420 --data DIR``: run the sandbox PG."""

import argparse
import json
import logging
import os
import sqlite3
import sys
from pathlib import Path
from typing import NoReturn

import uvicorn
from typing_extensions import override

from gateways.sandbox.server.app import Options, build_app
from gateways.sandbox.server.storage import FolderInUse

_KEYS_VARIABLE = "OPMS_SANDBOX_KEYS"
_MERCHANTS_VARIABLE = "OPMS_SANDBOX_MERCHANTS"
_KEEP_ALIVE_SECONDS = 75
"""Longer than any client keeps an idle connection, so that none is closed under a request."""


class _OneSentence(argparse.ArgumentParser):
    @override
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Exit code 2: the arguments, 1: the folder or the port."""
    parser = _OneSentence(prog="python -m gateways.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=8420)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="where the ledger is kept")
    parser.add_argument("--keys", type=_names, help=f"JSON object account -> key; else ${_KEYS_VARIABLE}; else any key")
    parser.add_argument(
        "--merchants", type=_names, help=f"JSON object account -> merchant; else ${_MERCHANTS_VARIABLE}; else any"
    )
    parser.add_argument("--public-url", help="how customers reach this server; default http://HOST:PORT")
    parser.add_argument("--pending-ms", type=_milliseconds, default=1000, help="until tok_pending has its result")
    parser.add_argument("--slow-ms", type=_milliseconds, default=3000, help="until tok_slow is answered")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    options = Options(
        folder=given.data,
        public_url=(given.public_url or f"http://{given.host}:{given.port}").rstrip("/"),
        keys=given.keys if given.keys is not None else _of_environment(parser, _KEYS_VARIABLE),
        merchants=given.merchants if given.merchants is not None else _of_environment(parser, _MERCHANTS_VARIABLE),
        pending_seconds=given.pending_ms / 1000,
        slow_seconds=given.slow_ms / 1000,
    )
    return _serve(options, given.host, given.port)


def _serve(options: Options, host: str, port: int) -> int:
    try:
        app = build_app(options)
    except FolderInUse:
        sys.stderr.write(f"Another sandbox PG is running on the folder {options.folder}.\n")
        return 1
    except (OSError, sqlite3.Error) as error:
        sys.stderr.write(f"The folder {options.folder} cannot hold the ledger: {error}.\n")
        return 1
    uvicorn.run(
        app,
        host=host,
        port=port,
        http="httptools",
        loop="uvloop",
        ws="none",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    return 0


def _of_environment(parser: argparse.ArgumentParser, variable: str) -> dict[str, str]:
    try:
        return _names(os.environ.get(variable) or "{}")
    except argparse.ArgumentTypeError as error:
        parser.error(f"{variable}: {error}")


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


def _milliseconds(text: str) -> int:
    if not text.isdecimal() or int(text) > 600_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of milliseconds from 0 to 600000")
    return int(text)


def _names(text: str) -> dict[str, str]:
    """One text for each account."""
    try:
        names = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("it is not JSON") from error
    if not isinstance(names, dict) or not all(isinstance(name, str) and name for name in names.values()):
        raise argparse.ArgumentTypeError("it must be a JSON object of account to text")
    return names


if __name__ == "__main__":
    sys.exit(main())
