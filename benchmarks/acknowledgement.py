"""How the skeleton's steps tell the load that they ran: a datagram on loopback, the cheapest word there is."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from typing_extensions import override

from wiring.ports import LOOPBACK


class Acknowledger:
    """Sends the words."""

    def __init__(self, port: int) -> None:
        self._to = (LOOPBACK, port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def tell(self, word: str) -> None:
        """Send one word; never waits."""
        self._socket.sendto(word.encode(), self._to)


class Acknowledgements(asyncio.DatagramProtocol):
    """Hears the words and lets those go on who wait for one."""

    def __init__(self) -> None:
        self._heard: dict[str, asyncio.Event] = {}

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One word has come."""
        self._event(data.decode()).set()

    async def wait(self, word: str, within: float = 60.0) -> None:
        """Return once the word has come; raises `TimeoutError` after ``within`` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._event(word).wait()
        except TimeoutError as late:
            raise TimeoutError(f"no skeleton said {word!r} within {within:.0f} s") from late
        del self._heard[word]

    def _event(self, word: str) -> asyncio.Event:
        return self._heard.setdefault(word, asyncio.Event())


@asynccontextmanager
async def listening(port: int) -> AsyncIterator[Acknowledgements]:
    """Hear words on this port while this is open."""
    loop = asyncio.get_running_loop()
    transport, heard = await loop.create_datagram_endpoint(Acknowledgements, local_addr=(LOOPBACK, port))
    try:
        yield heard
    finally:
        transport.close()
