"""What several rooms share: one real Postgres for the tests that need no more than a database."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import settings

from cli.database import migrate
from models.database import Database
from wiring.embedded import EmbeddedPostgres, free_ports

MEMORY = Path("/dev/shm")  # noqa: S108 - only folders of our own are made there, with names that nobody can guess
ROOM = 8 << 30
"""Bytes that must be free there; the torture writes the most."""

if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM:
    # A disk that others use too stands still for seconds now and then, and every commit with it. What a killed process
    # has written is there in memory as it is on a disk; only a power cut, which no test makes, tells them apart.
    tempfile.tempdir = os.environ["TMPDIR"] = str(MEMORY)

settings.register_profile("anywhere", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "anywhere")
"""A slow machine is no failure. CI tries the same cases each time: what fails there fails because of the change."""


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[EmbeddedPostgres]:
    """A server of our own, gone after the tests."""
    with tempfile.TemporaryDirectory(prefix="opms-test-") as home:
        [port] = free_ports(1)
        server = EmbeddedPostgres(Path(home), port=port)
        await server.start()
        await server.wait_ready()
        yield server
        await server.stop()
        await asyncio.to_thread(server.discard)


@pytest.fixture(scope="session")
async def database_url(postgres: EmbeddedPostgres) -> str:
    """A migrated database."""
    await postgres.create_database("opms_test")
    url = postgres.url("opms_test")
    await migrate(url)
    return url


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    """Its pools."""
    pools = Database(database_url, size=4, application="opms-test")
    yield pools
    await pools.close()
