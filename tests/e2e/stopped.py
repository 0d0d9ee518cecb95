"""Workers that stand still for a while."""

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.e2e.shop import Shop


@contextmanager
def stopped(shop: Shop, *roles: str) -> Iterator[None]:
    """These workers do nothing, and go on after this."""
    workers = [shop.pid(role) for role in roles]
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)


def nothing_decided(shop: Shop) -> AbstractContextManager[None]:
    """Commands are accepted, and decided after this."""
    return stopped(shop, "orders")
