"""What several rooms share: one real Postgres for the tests that need no more than a database."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.database import migrate
from models.database import Database
from wiring.embedded import EmbeddedPostgres, free_ports


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
