"""The embedded servers survive what happens to them, and `up` keeps them and stops them."""

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import psutil
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from typing_extensions import override

from cli.folder import DATA_VERSION, DataFolder
from cli.refusal import Refusal
from cli.supervisor import Rank, Supervisor
from contracts.queues import SEARCH_ATTRIBUTES
from wiring.embedded import Child, ChildFailed, EmbeddedPostgres, EmbeddedTemporal, Program, free_ports, is_free
from wiring.embedded_temporal import RETENTION

SERVE_A_PORT = (
    "import socket, sys, time\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\nwhile True: s.accept()"
)
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


class Listener(Child):
    """The smallest server: it accepts connections."""

    def __init__(self, folder: Path, port: int, code: str = SERVE_A_PORT) -> None:
        super().__init__(f"listener-{port}", log=folder / f"listener-{port}.log")
        self.port = port
        self._folder = folder
        self._code = code

    @override
    def program(self) -> Program:
        return Program(argv=(sys.executable, "-c", self._code, str(self.port)), folder=self._folder)

    @override
    async def is_ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def test_the_password_is_made_once_however_many_threads_ask_for_it_first() -> None:
    with ThreadPoolExecutor(8) as pool, tempfile.TemporaryDirectory(prefix="opms-") as folder:
        for number in range(50):
            data = Path(folder, str(number))
            data.mkdir()
            server, gate = EmbeddedPostgres(data, port=1), threading.Barrier(8)

            def ask(_: int, server: EmbeddedPostgres = server, gate: threading.Barrier = gate) -> str:
                gate.wait()
                return server.url("opms")

            assert len(set(pool.map(ask, range(8)))) == 1
            assert [file.name for file in data.iterdir()] == ["postgres.password"]


@pytest.fixture(scope="module")
async def postgres() -> AsyncIterator[EmbeddedPostgres]:
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="opms-") as folder:
        server = EmbeddedPostgres(Path(folder), port=port)
        await server.start()
        await server.wait_ready()
        yield server
        await server.stop()
        server.discard()


async def test_postgres_goes_on_with_its_data_after_kill_9(postgres: EmbeddedPostgres) -> None:
    name = f"kept_{secrets.token_hex(4)}"
    assert await postgres.create_database(name)
    connection = await asyncpg.connect(postgres.url(name))
    await connection.execute("CREATE TABLE paid AS SELECT 1000 AS amount")
    os.kill(postgres.pid, signal.SIGKILL)
    assert await postgres.ended() == -signal.SIGKILL
    connection.terminate()

    await postgres.start()
    await postgres.wait_ready()

    assert not await postgres.create_database(name)
    connection = await asyncpg.connect(postgres.url(name))
    assert await connection.fetchval("SELECT amount FROM paid") == 1000
    await connection.close()


async def test_a_lock_file_with_the_id_of_a_living_stranger_does_not_keep_postgres_down(
    postgres: EmbeddedPostgres,
) -> None:
    os.kill(postgres.pid, signal.SIGKILL)
    await postgres.ended()
    lock = postgres.cluster / "postmaster.pid"
    lines = lock.read_text().splitlines()
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    await postgres.start()
    await postgres.wait_ready()
    assert lock.read_text().splitlines()[0] == str(postgres.pid)


async def test_postgres_is_durable_asks_for_a_password_and_listens_on_loopback_only(postgres: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(postgres.url("postgres"))
    for setting, value in {"fsync": "on", "synchronous_commit": "on", "listen_addresses": "127.0.0.1"}.items():
        assert await connection.fetchval("SELECT current_setting($1)", setting) == value
    assert "pg_stat_statements" in await connection.fetchval("SHOW shared_preload_libraries")
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host="127.0.0.1", port=postgres.port, user="opms", password="guess", database="postgres")


async def test_a_folder_that_the_postgres_user_cannot_walk_into_is_worked_around(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    [port] = free_ports(1)
    server = EmbeddedPostgres(closed / "data", port=port)
    try:
        await server.start()
        await server.wait_ready()
    finally:
        await server.stop()
        server.discard()
    assert not (closed / "data" / "postgres").is_symlink()


async def test_temporal_has_our_search_attributes_and_keeps_history(tmp_path: Path) -> None:
    port, ui_port = free_ports(2)
    server = EmbeddedTemporal(tmp_path, port=port, ui_port=ui_port, time_skipping=True)
    try:
        for _ in ("first start", "second start on the same file"):
            await server.start()
            await server.wait_ready()
            client = await Client.connect(server.address)
            for key in SEARCH_ATTRIBUTES:
                assert (await client.count_workflows(f"{key.name} IS NULL")).count >= 0
            namespace = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
            assert namespace.config.workflow_execution_retention_ttl.ToTimedelta() == RETENTION
            os.kill(server.pid, signal.SIGKILL)
            await server.ended()
    finally:
        await server.stop()


async def test_a_killed_child_is_started_again_and_everything_stops_in_time(tmp_path: Path) -> None:
    said: list[str] = []
    back = asyncio.Event()

    def say(line: str) -> None:
        said.append(line)
        if "is back" in line:
            back.set()

    folder = DataFolder(tmp_path / "data")
    folder.path.mkdir()
    supervisor = Supervisor(record=folder.running, say=say)
    lower, upper = (Listener(tmp_path, port) for port in free_ports(2))
    [deaf_port] = free_ports(1)
    deaf = Listener(tmp_path, deaf_port, DEAF + SERVE_A_PORT)
    for child, rank in ((lower, Rank.DATABASE), (upper, Rank.WORKER), (deaf, Rank.SERVER)):
        await supervisor.begin(child, rank)
    first = lower.pid
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(60):
        await back.wait()
    assert lower.pid != first
    assert said[0].startswith(f"{lower.name} ended (killed by signal 9); starting it again in 0.2 s")

    async with asyncio.timeout(60):
        await supervisor.stop_all()
    assert all(is_free(child.port) for child in (lower, upper, deaf))
    assert not (folder.path / "running.json").exists()


async def left_over(port: int) -> int:
    """A server whose parent has gone, as after `kill -9` of a supervisor; returns its pid."""
    words = [sys.executable, "-c", SERVE_A_PORT, str(port)]
    start = f"import subprocess as s; print(s.Popen({words!r}, stdout=s.DEVNULL).pid)"
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", start, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    await parent.wait()
    return pid


async def test_what_an_earlier_run_left_over_is_ended_and_a_reused_pid_is_not(tmp_path: Path) -> None:
    record = DataFolder(tmp_path).running
    orphan, stranger = [await left_over(port) for port in free_ports(2)]
    for name, pid in {"orphan": orphan, "stranger": stranger}.items():
        record.note(name, pid, signal.SIGTERM)
    noted = json.loads((tmp_path / "running.json").read_text())
    noted["stranger"]["started"] -= 100
    (tmp_path / "running.json").write_text(json.dumps(noted))
    try:
        assert await asyncio.to_thread(record.end_orphans) == ["orphan"]
        assert psutil.pid_exists(stranger)
        assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE
    finally:
        os.kill(stranger, signal.SIGKILL)


async def test_a_child_that_ends_at_once_says_why(tmp_path: Path) -> None:
    child = Listener(tmp_path, free_ports(1)[0], "raise SystemExit('the ledger is full')")
    await child.start()
    with pytest.raises(ChildFailed, match=r"ended with code 1: the ledger is full \(log: .*\)"):
        await child.wait_ready()


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with DataFolder(tmp_path).held(), pytest.raises(Refusal, match="already runs in"), DataFolder(tmp_path).held():
        pass


def test_data_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "version").write_text(f"{DATA_VERSION + 1}\n")
    with pytest.raises(Refusal, match="of a newer OPMS"), DataFolder(tmp_path).held():
        pass


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match="cannot be written"), DataFolder(tmp_path / "file" / "data").held():
        pass


def test_keys_are_made_once_and_are_ours_alone(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    first = folder.keys("api_key", "admin_key")
    assert folder.keys("api_key", "admin_key") == first
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600


def command_line(*words: str, **environment: str) -> tuple[str, ...]:
    """The words of one command of ours, with settings in front."""
    return ("env", *(f"{name}={value}" for name, value in environment.items()), sys.executable, "-m", "cli", *words)


async def refused(*words: str, **environment: str) -> tuple[int | None, str]:
    """Run a command that cannot go on; returns its exit code and what it said."""
    pipe = asyncio.subprocess.PIPE
    command = await asyncio.create_subprocess_exec(*command_line(*words, **environment), stdout=pipe, stderr=pipe)
    out, err = await command.communicate()
    return command.returncode, (out + err).decode()


async def test_up_says_which_port_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = await refused("up", OPMS_PORT_BASE=str(port), OPMS_DATA_DIR=str(tmp_path / "data"))
    assert code == 1
    assert said.startswith(f"Port {port} (api) is taken; ")
    assert said.count("\n") == 1


async def test_a_bad_setting_or_command_is_one_sentence() -> None:
    assert (await refused("up", OPMS_PORT_BASE="x"))[1].startswith("OPMS_PORT_BASE is wrong: ")
    commands = "up, seed, demo, audit, reference"
    assert (await refused("fly")) == (2, f"There is no command 'fly'; the commands are {commands}.\n")
    assert (await refused("up", "--fast"))[1].startswith("python -m cli up: unrecognized arguments: --fast; see ")
