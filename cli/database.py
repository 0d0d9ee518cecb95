"""Bring the database to the schema of this version, at no cost when it is there already."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from cli.refusal import Refusal

ROOT = Path(__file__).resolve().parents[1]


async def migrate(url: str) -> bool:
    """Run the migrations that are missing; returns whether there were any. Raises `Refusal`."""
    scripts = ScriptDirectory(str(ROOT / "migrations"))
    current = await _current_revision(url)
    if current is not None:
        _check_known(scripts, current)
    if current is not None and [current] == scripts.get_heads():
        return False
    await _upgrade(url)
    return True


async def _current_revision(url: str) -> str | None:
    connection = await asyncpg.connect(url)
    try:
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()
    return revision


def _check_known(scripts: ScriptDirectory, revision: str) -> None:
    try:
        scripts.get_revision(revision)
    except CommandError as unknown:
        raise Refusal(
            f"The database is at revision {revision}, which this version of OPMS does not know; "
            "update this project, or set OPMS_DATA_DIR to another folder."
        ) from unknown


async def _upgrade(url: str) -> None:
    alembic = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "alembic",
        "upgrade",
        "head",
        cwd=ROOT,
        env=os.environ | {"OPMS_DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await alembic.communicate()
    if alembic.returncode:
        raise Refusal(f"The migrations failed:\n{output.decode(errors='replace').strip()}")
