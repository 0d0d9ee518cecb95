"""The migrations make the tables that the code means: nothing is missing, nothing differs."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlmodel import SQLModel

import models
from cli.database import migrate
from wiring.embedded import EmbeddedPostgres, free_ports

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("migrations")
    for parent in (folder, folder.parent):
        parent.chmod(0o755)
    server = EmbeddedPostgres(folder, port=free_ports(1)[0])
    await server.start()
    await server.wait_ready()
    yield server
    await server.stop()
    server.discard()


async def alembic(url: str, *words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "alembic",
        *words,
        cwd=ROOT,
        env=os.environ | {"OPMS_DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_an_empty_database_becomes_the_tables_of_the_models_and_alembic_finds_no_difference(
    postgres: EmbeddedPostgres,
) -> None:
    await postgres.create_database("fresh")
    url = postgres.url("fresh")
    assert await migrate(url)
    code, output = await alembic(url, "check")
    assert code == 0, output
    assert not await migrate(url)


async def test_the_rules_of_the_tables_are_those_of_the_models(postgres: EmbeddedPostgres) -> None:
    await postgres.create_database("ruled")
    await migrate(postgres.url("ruled"))
    connection = await asyncpg.connect(postgres.url("ruled"))
    rows = await connection.fetch(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
    )
    partial = await connection.fetch("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
    await connection.close()
    assert models.__all__
    tables = SQLModel.metadata.tables.values()
    wanted = {str(c.name) for t in tables for c in t.constraints if type(c).__name__ == "CheckConstraint"}
    assert {r["conname"] for r in rows} == wanted
    assert {str(i.name) for t in tables for i in t.indexes} <= {r["indexname"] for r in partial}
