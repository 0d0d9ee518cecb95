"""One running system for all tests of this room."""

from collections.abc import Iterator

import pytest

from tests.e2e.shop import Shop


@pytest.fixture(scope="session")
def shop() -> Iterator[Shop]:
    """Started once; every test uses customers and orders of its own and disarms what it armed."""
    running = Shop()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def no_faults(shop: Shop) -> Iterator[None]:
    """No test sees another's faults."""
    yield
    shop.sandbox.delete("/_faults").raise_for_status()
