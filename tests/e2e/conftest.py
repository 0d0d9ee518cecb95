"""One running system for all tests of this room."""

from collections.abc import Generator, Iterator

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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What fails on a machine that nobody can look into shows what the processes said."""
    report = yield
    shop = getattr(item, "funcargs", {}).get("shop")
    if report.failed and isinstance(shop, Shop):
        report.sections += [(f"the end of {name}", text) for name, text in shop.logged()]
    return report
