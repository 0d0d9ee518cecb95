"""Waiting for a condition, with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable

FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.5
"""Seconds between two looks; each pause is half as long again as the one before."""


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, *, within: float, longest_pause: float = LONGEST_PAUSE
) -> None:
    """Return once the condition holds; raises `TimeoutError` naming ``what`` after ``within`` seconds."""
    pause = FIRST_PAUSE
    try:
        async with asyncio.timeout(within):
            while not await condition():
                await asyncio.sleep(pause)
                pause = min(1.5 * pause, longest_pause)
    except TimeoutError as late:
        raise TimeoutError(f"waited {within:.0f} s for {what}") from late
