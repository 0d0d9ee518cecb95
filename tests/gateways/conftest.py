"""One sandbox PG server for the folder, and one rig for every vendor of the catalogue and each kind of own value."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from domain.payment import INTERNAL_METHODS
from gateways.catalog import VENDORS, build_gateway
from gateways.gateway import Account
from models.database import Database
from tests.gateways.rig import KEY, Rig, SandboxRig, SandboxServer
from tests.gateways.rigs.adyen import AdyenRig, adyen_rig
from tests.gateways.rigs.nice import nice_rig
from tests.gateways.rigs.post import Post
from tests.gateways.rigs.stripe import stripe_rig
from tests.gateways.rigs.toss import toss_rig
from tests.gateways.rigs.value import Tables, value_rig

PENDING_MS = 150
SLOW_MS = 400


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    """A real server with a folder of its own."""
    server = SandboxServer(
        tmp_path_factory.mktemp("sandbox"), "--pending-ms", str(PENDING_MS), "--slow-ms", str(SLOW_MS)
    )
    yield server
    server.close()


@pytest.fixture
async def adyen(sandbox: SandboxServer) -> AsyncIterator[AdyenRig]:
    """An account of its own with a receiver of its webhooks."""
    sandbox.http.delete("/_faults").raise_for_status()
    built = AdyenRig(sandbox)
    yield built
    await built.close()


def _sandbox_rig(server: SandboxServer, account: str = "sandbox-a") -> SandboxRig:
    return SandboxRig(build_gateway("sandbox", Account(account, server.url, KEY)), server, account)


RIGS: dict[str, Callable[..., SandboxRig]] = {
    "adyen": adyen_rig,
    "nice": nice_rig,
    "sandbox": _sandbox_rig,
    "stripe": stripe_rig,
    "toss": toss_rig,
}


@pytest.fixture(scope="session")
def tables(database_url: str) -> Iterator[Tables]:
    """The judge of our own value."""
    judge = Tables(database_url)
    yield judge
    judge.close()


Place = tuple[Database, Tables] | SandboxServer
"""Where a gateway's ledger is."""


@pytest.fixture(params=[*sorted(VENDORS), *sorted(INTERNAL_METHODS)])
def subject(request: pytest.FixtureRequest) -> tuple[str, Place]:
    """A vendor of the catalogue, or a kind of own value; nothing is started that it does not need."""
    if request.param in INTERNAL_METHODS:
        return request.param, (request.getfixturevalue("database"), request.getfixturevalue("tables"))
    return request.param, request.getfixturevalue("sandbox")


@pytest.fixture
async def rig(subject: tuple[str, Place]) -> AsyncIterator[Rig]:
    """A gateway under the laws; a vendor without a rig fails every law."""
    name, place = subject
    built: Rig
    if isinstance(place, SandboxServer):
        place.http.delete("/_faults").raise_for_status()
        built = RIGS[name](place)
    else:
        built = await value_rig(*place, name)
    yield built
    await built.close()


@pytest.fixture(params=sorted(VENDORS))
async def vendor(request: pytest.FixtureRequest, sandbox: SandboxServer) -> AsyncIterator[SandboxRig]:
    """A vendor of the catalogue under the laws about what is lost on the way."""
    sandbox.http.delete("/_faults").raise_for_status()
    built = RIGS[request.param](sandbox)
    yield built
    await built.close()


@pytest.fixture(params=sorted(VENDORS))
async def post(request: pytest.FixtureRequest, sandbox: SandboxServer) -> AsyncIterator[Post]:
    """A vendor that declares webhooks: an account of its own, and whatever comes to its address."""
    sandbox.http.delete("/_faults").raise_for_status()
    built = RIGS[request.param](sandbox, f"{request.param}-{uuid4().hex[:12]}")
    if not built.gateway.capabilities().webhooks:
        await built.close()
        pytest.skip("declares no webhooks")
    opened = Post(built)
    yield opened
    await opened.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., SandboxServer]]:
    """Starts a server of the test's own, with a folder of its own; it is stopped after the test."""
    started: list[SandboxServer] = []

    def build(*arguments: str) -> SandboxServer:
        started.append(SandboxServer(tmp_path, *arguments))
        return started[-1]

    yield build
    for server in started:
        server.close()
