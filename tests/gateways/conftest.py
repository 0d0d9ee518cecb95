"""One sandbox PG server for the folder, and one rig for every vendor of the catalogue."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from gateways.catalog import VENDORS, build_gateway
from gateways.gateway import Account
from tests.gateways.rig import KEY, Rig, SandboxServer
from tests.gateways.rigs.adyen import AdyenRig, adyen_rig
from tests.gateways.rigs.nice import nice_rig
from tests.gateways.rigs.stripe import stripe_rig
from tests.gateways.rigs.toss import toss_rig

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


def _sandbox_rig(server: SandboxServer) -> Rig:
    return Rig(build_gateway("sandbox", Account("sandbox-a", server.url, KEY)), server, "sandbox-a")


RIGS: dict[str, Callable[[SandboxServer], Rig]] = {
    "adyen": adyen_rig,
    "nice": nice_rig,
    "sandbox": _sandbox_rig,
    "stripe": stripe_rig,
    "toss": toss_rig,
}


@pytest.fixture(params=sorted(VENDORS))
async def rig(request: pytest.FixtureRequest, sandbox: SandboxServer) -> AsyncIterator[Rig]:
    """A vendor under the laws; a vendor without a rig fails every law."""
    sandbox.http.delete("/_faults").raise_for_status()
    built = RIGS[request.param](sandbox)
    yield built
    await built.close()


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
