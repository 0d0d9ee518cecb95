"""Workers that stand still for a while."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.shop import Shop


@contextmanager
def nothing_decided(shop: Shop) -> Iterator[None]:
    """Commands are accepted, and decided after this."""
    orders = shop.pid("orders")
    os.kill(orders, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(orders, signal.SIGCONT)
