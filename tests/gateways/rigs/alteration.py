"""A PG's real answers on their way to the adapter, with one thing of them changed."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

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
        said = await _heard(await super().handle_async_request(request))
        altered = self._change(said.body)
        self.touched += altered != said.body
        return replace(said, body=altered).response()


@dataclass(frozen=True, slots=True)
class Said:
    """One answer of a PG. ``headers`` without those that describe the body's bytes."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def response(self) -> httpx.Response:
        """As the adapter gets it."""
        return httpx.Response(self.status, headers=list(self.headers), content=self.body)


class Echo(httpx.AsyncHTTPTransport):
    """Sends to the PG and remembers what it answered; then says the same again, as changed, and asks nobody.

    A question that was not asked before goes to the PG all the same.
    """

    def __init__(self) -> None:
        super().__init__(trust_env=False)
        self.said: dict[str, Said] = {}
        self.change: Callable[[Said], Said] | None = None

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = f"{request.method} {request.url}"
        if self.change is not None and asked in self.said:
            return self.change(self.said[asked]).response()
        self.said[asked] = await _heard(await super().handle_async_request(request))
        return self.said[asked].response()

    def bodies(self) -> Iterator[Any]:
        """What was answered, parsed."""
        return (json.loads(said.body) for said in self.said.values())


async def _heard(response: httpx.Response) -> Said:
    body = await response.aread()
    await response.aclose()
    headers = tuple((name, value) for name, value in response.headers.raw if name.lower() not in _OF_THE_BODY)
    return Said(response.status_code, headers, body)


MISSING = object()
"""Instead of a value: the field is not there."""


def fields_of(said: Any) -> dict[str, list[Any]]:
    """Every field of a JSON value at any depth, with the values that it has."""
    found: dict[str, list[Any]] = {}
    for part in _objects(said):
        for name, value in part.items():
            found.setdefault(name, []).append(value)
    return found


def with_field(said: Any, names: frozenset[str], change: Callable[[Any], Any]) -> Any:
    """The same JSON with the fields of these names changed, wherever they stand."""
    if isinstance(said, list):
        return [with_field(one, names, change) for one in said]
    if not isinstance(said, dict):
        return said
    new = {name: change(value) if name in names else with_field(value, names, change) for name, value in said.items()}
    return {name: value for name, value in new.items() if value is not MISSING}


def every_text(said: Any, text: str) -> Any:
    """The same JSON with ``text`` for every text and number in it."""
    if isinstance(said, list):
        return [every_text(one, text) for one in said]
    if isinstance(said, dict):
        return {name: every_text(value, text) for name, value in said.items()}
    return text if isinstance(said, str) else said


def odd_forms(value: Any) -> list[Any]:
    """What may stand where a PG has ``value``: the same as another JSON type, a fraction of it, nothing."""
    match value:
        case bool() | None:
            return [7, "odd", {}]
        case int():
            return [str(value), float(value), value + 0.5, None, [value], {}, MISSING]
        case str():
            return [7, True, None, [value], {}, MISSING]
        case _:
            return [7, None, MISSING]


def in_yen(said: bytes) -> bytes:
    """Every won becomes a yen: neither has decimals, so no amount changes its meaning."""
    return _CURRENCY.sub(lambda found: found[1] + (b"JPY" if found[2] == b"KRW" else b"jpy") + b'"', said)


def about_another(reference: str) -> Change:
    """Another reference of the same length wherever this one stands."""
    return lambda said: said.replace(reference.encode(), another(reference).encode())


def another(reference: str) -> str:
    """The last letter or digit is another."""
    return reference[:-1] + ("0" if reference[-1] != "0" else "1")


def _objects(said: Any) -> Iterator[dict[str, Any]]:
    if isinstance(said, dict):
        yield said
    for part in said.values() if isinstance(said, dict) else said if isinstance(said, list) else ():
        yield from _objects(part)
