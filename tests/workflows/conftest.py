"""Three shops on one database: as in production, with very short histories, and with a worker that forgets at once."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from tests.stack import Ground, Shop, open_shop

GRACE = timedelta(seconds=1)


@pytest.fixture(scope="session")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """Postgres and the sandbox PG."""
    ground = Ground(tmp_path_factory.mktemp("stack"))
    await ground.start()
    yield ground
    await ground.stop()


@pytest.fixture(scope="session")
async def shop(ground: Ground) -> AsyncIterator[Shop]:
    """As in production."""
    async with open_shop(ground, "shop", graceful_shutdown_timeout=GRACE) as shop:
        yield shop


@pytest.fixture(scope="session")
async def short(ground: Ground) -> AsyncIterator[Shop]:
    """Every run is asked to continue as new after some forty events."""
    short = {"limit.historyCount.suggestContinueAsNew": "40"}
    async with open_shop(ground, "short", temporal=short, graceful_shutdown_timeout=GRACE) as shop:
        yield shop


@pytest.fixture(scope="session")
async def forgetful(ground: Ground) -> AsyncIterator[Shop]:
    """Nothing is cached: every workflow task replays the whole history.

    The SDK now and then drops a task that it evicts while a local activity runs; the server gives it again after the
    task's time-out, which is therefore short here.
    """
    hasty = {"history.defaultWorkflowTaskTimeout": '"1s"'}
    async with open_shop(
        ground, "forgetful", temporal=hasty, max_cached_workflows=0, graceful_shutdown_timeout=GRACE
    ) as shop:
        yield shop


@pytest.fixture(autouse=True)
def no_faults(ground: Ground) -> Iterator[None]:
    """No test sees another's faults."""
    yield
    ground.sandbox.http.delete("/_faults").raise_for_status()
