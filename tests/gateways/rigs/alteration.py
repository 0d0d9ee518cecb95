"""A PG's real answers on their way to the adapter, with one thing of them changed."""

import re
from collections.abc import Callable

import httpx
from typing_extensions import override

Change = Callable[[bytes], bytes]
_CURRENCY = re.compile(rb'("currency":\s*")(KRW|krw)"')
_OF_THE_BODY = {b"content-length", b"content-encoding", b"transfer-encoding"}


class Alteration(httpx.AsyncHTTPTransport):
    """Sends to the PG as ever. ``touched`` counts the answers in which there was something to change."""

    def __init__(self, change: Change) -> None:
        super().__init__(trust_env=False)
        self._change = change
        self.sent = 0
        self.touched = 0

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent += 1
        response = await super().handle_async_request(request)
        said = await response.aread()
        await response.aclose()
        altered = self._change(said)
        self.touched += altered != said
        headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _OF_THE_BODY]
        return httpx.Response(response.status_code, headers=headers, content=altered)


def in_yen(said: bytes) -> bytes:
    """Every won becomes a yen: neither has decimals, so no amount changes its meaning."""
    return _CURRENCY.sub(lambda found: found[1] + (b"JPY" if found[2] == b"KRW" else b"jpy") + b'"', said)


def about_another(reference: str) -> Change:
    """Another reference of the same length wherever this one stands."""
    return lambda said: said.replace(reference.encode(), _other(reference).encode())


def _other(reference: str) -> str:
    """The last letter or digit is another."""
    return reference[:-1] + ("0" if reference[-1] != "0" else "1")
