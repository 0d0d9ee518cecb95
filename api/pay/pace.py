"""How often a link may be used: so many requests in a sliding minute, by whatever is counted, in this process."""

from collections import OrderedDict, deque
from collections.abc import Callable

SPAN_SECONDS = 60
"""Whoever waits so long is let through again."""
_REMEMBERED = 20_000


class Pace:
    """Counts requests by a word. Memory is bounded: the words that were quiet the longest are forgotten first."""

    def __init__(self, most: int, *, clock: Callable[[], float]) -> None:
        """``most`` requests a minute for each word. ``clock`` gives seconds that never go back."""
        self._most = most
        self._clock = clock
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def allows(self, word: str) -> bool:
        """Count one request; False if it is one too many."""
        now = self._clock()
        times = self._seen.setdefault(word, deque())
        self._seen.move_to_end(word)
        while times and times[0] <= now - SPAN_SECONDS:
            times.popleft()
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        if len(times) >= self._most:
            return False
        times.append(now)
        return True
