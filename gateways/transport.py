"""How every HTTP adapter sends one request, and what each thing that can go wrong on the way means.

The table (transport event -> outcome) lives here once. Nothing is retried: attempts must be visible to Temporal.
"""

import codecs
import json
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx

from domain.gateway import FORGED_RETURN, Answer, Decline, Evidence, OperationKind, Outcome, Retry
from gateways.gateway import GatewayUnavailable, MisconfiguredGateway

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
BROKEN_OFF = (httpx.RequestError, AttributeError)
"""No whole answer. The second is how anyio over uvloop says that a peer has hung up while the connection was opened."""
_MISADDRESSED = (httpx.InvalidURL, httpx.UnsupportedProtocol)
_ABOUT_ANOTHER = frozenset({OperationKind.LOOKUP, OperationKind.NEUTRALIZE})
_SENDABLE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_LONGEST_LINE = 1_048_576
"""Characters of a downloaded line."""
_KEEPALIVE_SECONDS = 20.0
"""Shorter than any PG's: a reused connection that the PG is closing would cost an UNKNOWN."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a connection, and for each read of an answer. Seconds."""

    connect: float = 3.0
    read: float = 10.0


USUAL_PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Reply:
    """A JSON object that the PG answered with a 2xx or 4xx status, still in the PG's own words."""

    kind: OperationKind
    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]

    def evidence(self, detail: str = "") -> Evidence:
        """What this reply proves. ``detail`` must be redacted by the adapter."""
        return Evidence(
            http_status=self.status,
            request_id=self.headers.get("request-id"),
            replayed=self.headers.get("idempotent-replayed", "").lower() == "true",
            detail=detail,
        )


class Transport:
    """Sends one request at a time to one PG account."""

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        patience: Patience = USUAL_PATIENCE,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        """``headers`` carry the credentials. A ``client`` given from outside is not closed here.

        Raises `MisconfiguredGateway` for a header that HTTP cannot carry, such as a key that ends in a line break.
        """
        self._base_url = base_url.rstrip("/")
        self._headers = dict(headers or {})
        if broken := [name for name, value in self._headers.items() if _SENDABLE.fullmatch(value) is None]:
            raise MisconfiguredGateway(f"the header {broken[0]} has characters that cannot be sent")
        self._timeout = httpx.Timeout(patience.read, connect=patience.connect, pool=patience.connect)
        self._owned = client is None
        self._client = client or httpx.AsyncClient(
            trust_env=False,
            limits=httpx.Limits(max_connections=200, keepalive_expiry=_KEEPALIVE_SECONDS),
        )

    async def send(
        self,
        kind: OperationKind,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        listing: str | None = None,
    ) -> Reply | Answer:
        """Send once. A `Reply` is the PG speaking; an `Answer` is all that can be known without its words.

        ``path`` starts with a slash and is already quoted. A PG that answers with a bare JSON array is read as an
        object whose field ``listing`` is the array. Raises `MisconfiguredGateway` for an address that cannot
        be called and for a 401, 403 or 404 without a JSON object.
        """
        try:
            response = await self._client.request(
                method,
                self._base_url + path,
                content=body,
                headers={**self._headers, **(headers or {})},
                timeout=self._timeout,
                follow_redirects=False,
            )
        except _MISADDRESSED as error:
            raise MisconfiguredGateway(f"the gateway's address cannot be called: {type(error).__name__}") from error
        except _NEVER_SENT as error:
            return not_executed(kind, detail=type(error).__name__)
        except BROKEN_OFF as error:
            return _unknown(Evidence(detail=type(error).__name__))
        return _read(kind, response, listing)

    async def lines(self, path: str) -> AsyncGenerator[str, None]:
        """A text that a PG offers for download, line by line with their line breaks, as they come (UTF-8).

        ``path`` as for `send`. Raises `GatewayUnavailable` for anything but a whole 200, `MisconfiguredGateway` for
        refused credentials; what was read before that was no whole text.
        """
        decode = codecs.getincrementaldecoder("utf-8")().decode
        rest = ""
        try:
            async with self._client.stream(
                "GET", self._base_url + path, headers=self._headers, timeout=self._timeout, follow_redirects=False
            ) as response:
                if response.status_code in {401, 403}:
                    raise MisconfiguredGateway(f"the gateway answered a download with {response.status_code}")
                if response.status_code != 200:
                    raise GatewayUnavailable(f"the gateway answered a download with {response.status_code}")
                async for chunk in response.aiter_bytes():
                    *whole, rest = (rest + decode(chunk)).split("\n")
                    if len(rest) > _LONGEST_LINE:
                        raise GatewayUnavailable("the download is no text of lines")
                    for line in whole:
                        yield line + "\n"
                rest += decode(b"", True)  # noqa: FBT003 - the codec's own signature: no more bytes
        except _MISADDRESSED as error:
            raise MisconfiguredGateway(f"the gateway's address cannot be called: {type(error).__name__}") from error
        except (*BROKEN_OFF, UnicodeDecodeError) as error:
            raise GatewayUnavailable(f"the download broke off: {type(error).__name__}") from error
        if rest:
            yield rest

    async def close(self) -> None:
        """Release the connections that this transport opened itself."""
        if self._owned:
            await self._client.aclose()


def not_executed(kind: OperationKind, *, evidence: Evidence | None = None, detail: str = "") -> Answer:
    """The request itself was never executed.

    A lookup and a neutralize answer for *another* operation: if they did not run, that one is as unknown as before.
    """
    outcome = Outcome.UNKNOWN if kind in _ABOUT_ANOTHER else Outcome.NOT_EXECUTED
    return Answer(outcome=outcome, evidence=evidence or Evidence(detail=detail))


def unlisted(reply: Reply, code: str) -> Answer:
    """What a 4xx means whose ``code`` the adapter's table does not list: configuration, else unknown."""
    if reply.status in {401, 403, 404}:
        raise MisconfiguredGateway(f"the gateway answered {reply.status} {code}")
    return _unknown(reply.evidence(code))


def malformed(reply: Reply, detail: str) -> Answer:
    """A reply without what it must contain, such as an id, proves nothing."""
    return _unknown(reply.evidence(detail))


def turned_away(detail: str, seen: Evidence | None = None) -> Answer:
    """What a customer brings back went through anybody's hands. If it is not of this payment, it counts for nothing.

    It is no decline: the window may be paid by then, and whoever brings the right words is charged.
    """
    refusal = Decline("authentication_failed", FORGED_RETURN, "", Retry.AFTER_CUSTOMER_ACTION)
    return Answer(Outcome.ACTION_REQUIRED, decline=refusal, evidence=replace(seen or Evidence(), detail=detail))


def _read(kind: OperationKind, response: httpx.Response, listing: str | None) -> Reply | Answer:
    """Tell a PG's words from noise."""
    seen = Evidence(http_status=response.status_code, request_id=response.headers.get("request-id"))
    if response.is_server_error or not (response.is_success or response.is_client_error):
        return _unknown(seen)
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, list) and listing is not None:
        body = {listing: body}
    if isinstance(body, dict):
        return Reply(kind, response.status_code, body, response.headers)
    if response.status_code in {401, 403, 404}:
        raise MisconfiguredGateway(f"the gateway answered {response.status_code} without a JSON object")
    return _unknown(seen)


def _unknown(evidence: Evidence) -> Answer:
    return Answer(outcome=Outcome.UNKNOWN, evidence=evidence)
