"""One request to Stripe through its official SDK, and what each thing that can go wrong on the way means.

The SDK retries nothing here, sends no telemetry, and speaks over our own httpx client: no proxies from the environment,
connections kept shorter than the far side keeps them, a timeout for each step.
"""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import stripe
from typing_extensions import override

from domain.gateway import Answer, Evidence, OperationKind, Outcome
from gateways.gateway import MisconfiguredGateway
from gateways.stripe.wire import Outgoing
from gateways.transport import BROKEN_OFF, Patience, Reply, not_executed

stripe.enable_telemetry = False  # else each request tells of this machine, and a file is written into the home folder

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_MISADDRESSED = (httpx.InvalidURL, httpx.UnsupportedProtocol)
_REFUSED_KEY = frozenset({401, 403})
_RATE_LIMITED = 429
_IN_PROGRESS = 409
_KEEPALIVE_SECONDS = 20.0
_MAX_CONNECTIONS = 200


class PlainHttpx(stripe.HTTPClient):
    """The SDK over httpx. Its own `HTTPXClient` posts in a way that httpx warns of, and heeds the environment."""

    name = "httpx"

    def __init__(self, patience: Patience, client: httpx.AsyncClient | None) -> None:
        """A ``client`` given from outside is not closed here."""
        super().__init__()
        self._limits = httpx.Timeout(patience.read, connect=patience.connect, pool=patience.connect)
        self._owned = client is None
        self._sender = client or httpx.AsyncClient(
            trust_env=False,
            limits=httpx.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=_KEEPALIVE_SECONDS),
        )

    @override
    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send once. Raises `stripe.APIConnectionError` with httpx's error as its cause.

        Raises `stripe.APIError` for an answer in which Stripe does not speak: the SDK trips over some of those.
        """
        try:
            response = await self._sender.request(
                method,
                url,
                headers=dict(headers),
                content=(post_data or "").encode(),
                timeout=self._limits,
                follow_redirects=False,
            )
        except (*BROKEN_OFF, httpx.InvalidURL) as error:
            raise stripe.APIConnectionError(type(error).__name__, should_retry=False) from error  # type: ignore[no-untyped-call]
        if not _is_stripe(response):
            raise stripe.APIError("unreadable", http_status=response.status_code, headers=dict(response.headers))
        return response.content, response.status_code, response.headers

    @override
    async def close_async(self) -> None:
        if self._owned:
            await self._sender.aclose()


class StripeLine:
    """Sends one request at a time to one Stripe account."""

    def __init__(self, url: str, key: str, *, patience: Patience, client: httpx.AsyncClient | None) -> None:
        """Raises `MisconfiguredGateway` for a key that no header can carry."""
        if not key.isascii() or not key.isprintable() or not key.strip() == key != "":
            raise MisconfiguredGateway("the secret key has characters that cannot be sent")
        self._http = PlainHttpx(patience, client)
        self._stripe = stripe.StripeClient(
            key, base_addresses={"api": url.rstrip("/")}, max_network_retries=0, http_client=self._http
        )

    async def send(self, kind: OperationKind, outgoing: Outgoing) -> Reply | Answer:
        """Send once. A `Reply` is Stripe speaking (2xx, 400, 402, 404); an `Answer` is all that can be known else.

        Raises `MisconfiguredGateway`.
        """
        options = {} if outgoing.key is None else {"idempotency_key": outgoing.key}
        try:
            response = await self._stripe.raw_request_async(
                outgoing.method, outgoing.path, **outgoing.params, **options
            )
        except stripe.StripeError as error:
            return translate(kind, error)
        body: dict[str, Any] = json.loads(response.body)
        return Reply(kind, response.code, body, response.headers)

    async def close(self) -> None:
        """Release connections."""
        await self._http.close_async()


def translate(kind: OperationKind, error: stripe.StripeError) -> Reply | Answer:
    """The table of what an exception of the SDK means. Raises `MisconfiguredGateway`."""
    if isinstance(error, stripe.APIConnectionError):
        return _unsent(kind, error.__cause__)
    status, headers = error.http_status or 0, error.headers or {}
    body = error.json_body if isinstance(error.json_body, dict) else None
    code = _text(error.error.code if error.error is not None else None)
    if status in _REFUSED_KEY or (status == 404 and body is None):
        raise MisconfiguredGateway(f"Stripe answered {status} {code}".rstrip())
    reply = Reply(kind, status, body or {}, headers)
    if isinstance(error, stripe.RateLimitError) or status == _RATE_LIMITED:
        return not_executed(kind, evidence=reply.evidence(code or "rate_limit"))
    if body is None or status == _IN_PROGRESS or not 400 <= status < 500:
        return Answer(Outcome.UNKNOWN, evidence=reply.evidence(code))
    return reply


def _unsent(kind: OperationKind, cause: BaseException | None) -> Answer:
    if isinstance(cause, _MISADDRESSED):
        raise MisconfiguredGateway(f"the gateway's address cannot be called: {type(cause).__name__}") from cause
    detail = type(cause).__name__
    if isinstance(cause, _NEVER_SENT):
        return not_executed(kind, detail=detail)
    return Answer(Outcome.UNKNOWN, evidence=Evidence(detail=detail))


def _is_stripe(response: httpx.Response) -> bool:
    """A JSON object; with an ``error`` object in it unless the status is 2xx."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and (response.is_success or isinstance(body.get("error"), dict))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
