"""One merchant account at Adyen, through the interface that every gateway has.

Adyen answers captures, cancels and refunds with "received" and has no lookup. What became of an operation is said by
its signed webhooks alone, so the adapter is given a port to the events that OPMS has verified and stored.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import date
from typing import ClassVar, Protocol

import httpx
from typing_extensions import override

from domain.gateway import (
    Answer,
    Call,
    Capabilities,
    Decline,
    Evidence,
    Flow,
    Idempotency,
    MethodLimit,
    NeutralizeBy,
    OperationKind,
    Outcome,
    Retry,
)
from gateways.adyen import wire
from gateways.adyen.currency import Inexact
from gateways.adyen.evidence import is_undone, paid_by_link, resolve, what_came
from gateways.adyen.link import Links
from gateways.adyen.settlement import SettlementReader, read_report
from gateways.adyen.webhook import read_webhook
from gateways.gateway import (
    Account,
    Gateway,
    GatewayUnavailable,
    MisconfiguredGateway,
    SettlementLine,
    UnreadableSettlement,
    WebhookBatch,
    WebhookEvent,
)
from gateways.transport import USUAL_PATIENCE, Patience, Reply, Transport, not_executed

_DAY_SECONDS = 86_400
_REPORT = "settlement_detail_report"
_REPORTS_OF = {"live": "https://ca-live.adyen.com", "test": "https://ca-test.adyen.com"}
_CURRENCIES = ("KRW", "JPY", "USD", "EUR", "GBP", "SGD", "AUD", "CAD", "CHF", "HKD", "SEK", "NOK", "DKK", "PLN")
_MAXIMUM = 10**12
_METHOD = "card"

CAPABILITIES = Capabilities(
    flows=frozenset({Flow.SERVER_TOKEN, Flow.HOSTED_SESSION}),
    limits=tuple(MethodLimit(_METHOD, currency, 1, _MAXIMUM) for currency in _CURRENCIES),
    manual_capture=True,
    multiple_captures=True,
    partial_capture=True,
    partial_refund=True,
    idempotency=Idempotency(ttl_seconds=7 * _DAY_SECONDS, replays_errors=True, marks_replays=False),
    lookup_by_reference=False,
    lookup_by_merchant_ref=False,
    not_found_final_after_seconds=None,
    neutralize_by=NeutralizeBy.MERCHANT_REFERENCE,
    neutralize_undoes_capture=False,
    neutralize_bars_late=False,
    merchant_ref_unique=False,
    asynchronous=frozenset(OperationKind) - {OperationKind.LOOKUP},
    settlement=True,
    webhooks=True,
)


class VerifiedEvents(Protocol):
    """Events of this account that `AdyenGateway.parse_webhook` has verified and OPMS has stored."""

    async def of(self, merchant_ref: str) -> Sequence[WebhookEvent]:
        """All events of one payment reference of ours, in any order, each event once or more."""

    async def reports(self, day: date) -> Sequence[WebhookEvent]:
        """The REPORT_AVAILABLE events whose ``occurred_at`` lies on ``day`` in the account's own time zone."""


class NoEvents:
    """Nothing has been heard: every lookup is unknown."""

    async def of(self, _merchant_ref: str) -> Sequence[WebhookEvent]:
        """None."""
        return ()

    async def reports(self, _day: date) -> Sequence[WebhookEvent]:
        """None."""
        return ()


class AdyenGateway(Gateway):
    """Speaks Checkout API v72."""

    vendor: ClassVar[str] = "adyen"

    def __init__(
        self,
        account: Account,
        *,
        patience: Patience = USUAL_PATIENCE,
        client: httpx.AsyncClient | None = None,
        events: VerifiedEvents | None = None,
        reports_url: str | None = None,
    ) -> None:
        """``account.url``: up to and without ``/v72``; ``merchant``: merchantAccount; ``webhook_secret``: hex HMAC key.

        ``reports_url``: where reports are downloaded; default Adyen's own place beside ``account.url``. Raises
        `MisconfiguredGateway` for an HMAC key that is not hex.
        """
        self._account = account.name
        self._url = account.url
        self._merchant = account.merchant
        self._events: VerifiedEvents = events or NoEvents()
        try:
            self._hmac_key = bytes.fromhex(account.webhook_secret)
        except ValueError as error:
            raise MisconfiguredGateway("the HMAC key of Adyen's webhooks is not hex") from error
        headers = {"X-API-Key": account.key}
        self._transport = Transport(
            account.url, headers={**headers, "Content-Type": "application/json"}, patience=patience, client=client
        )
        self._links = Links(self._transport, account.merchant)
        self._reports_url = (reports_url or reports_beside(account.url)).rstrip("/")
        self._reports = Transport(self._reports_url, headers=headers, patience=patience, client=client)

    @override
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    @override
    async def authorize(self, call: Call) -> Answer:
        """By its token, else by a link. What a technical cancel has undone is not sent again: a replay is the past."""
        events = await self._events.of(call.merchant_ref)
        if is_undone(events):
            return not_executed(call.kind, detail="TECHNICAL_CANCEL")
        if call.token is None:
            payable = call.return_url is not None and call.method == _METHOD
            return await self._by_link(call, events) if payable else _pageless()
        try:
            outgoing = wire.charge(call, self._merchant, self._url)
        except Inexact:
            return not_executed(call.kind, detail="inexact_amount")
        return await self._send(call, outgoing, wire.read_charge)

    @override
    async def capture(self, call: Call) -> Answer:
        return await self._change(call)

    @override
    async def void(self, call: Call) -> Answer:
        return await self._change(call)

    @override
    async def refund(self, call: Call) -> Answer:
        return await self._change(call)

    @override
    async def lookup(self, call: Call) -> Answer:
        """From verified events alone; without one that says it, unknown, and never "not executed".

        Of a payment by link, the link says whether it can still be paid.
        """
        events = await self._events.of(call.merchant_ref)
        if not _is_about_link(call):
            return resolve(call, events)
        known = resolve(call, paid_by_link(events))
        if known.outcome is not Outcome.UNKNOWN or call.subject_reference is None:
            return known
        return await self._links.look(call, call.subject_reference)

    @override
    async def neutralize(self, call: Call) -> Answer:
        """Succeeded once events prove that the authorization has no effect; else a technical cancel is asked for.

        A link that nobody has paid is closed.
        """
        if call.subject is not OperationKind.AUTHORIZE:
            return Answer(Outcome.UNKNOWN, evidence=Evidence(detail="only an authorization can be cancelled"))
        events = await self._events.of(call.merchant_ref)
        by_link = _is_about_link(call)
        known = resolve(call, paid_by_link(events) if by_link else events)
        if by_link and known.outcome is Outcome.UNKNOWN:
            closed = await self._links.close(call)
            paid = resolve(call, paid_by_link(await self._events.of(call.merchant_ref))).outcome is Outcome.SUCCEEDED
            return replace(closed, outcome=Outcome.UNKNOWN) if paid else closed  # Paid while it was being closed.
        if known.outcome in {Outcome.NOT_EXECUTED, Outcome.DECLINED}:
            return Answer(Outcome.SUCCEEDED, reference=known.reference, evidence=known.evidence)
        outgoing = wire.technical_cancel(call, self._merchant, what_came(events))
        return await self._send(call, outgoing, wire.read_change)

    @override
    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookBatch:
        """The signature is in the body's items; ``headers`` carry none."""
        return read_webhook(raw, key=self._hmac_key, merchant=self._merchant)

    @override
    async def settlement_lines(self, day: date) -> AsyncIterator[SettlementLine]:
        """The lines of the settlement details reports that Adyen announced on ``day``.

        Raises `GatewayUnavailable` while none is announced, and for a report that cannot be read to its end.
        """
        announced = dict.fromkeys(event.reason or "" for event in await self._events.reports(day))
        addresses = [address for address in announced if _REPORT in address]
        if not addresses:
            raise GatewayUnavailable(f"{self._account} has announced no settlement details report on {day}")
        for address in addresses:
            async for line in self._report(self._path_of(address), day):
                yield line

    def read_settlement_file(self, lines: Iterable[str]) -> Iterator[SettlementLine]:
        """A settlement details report that somebody has downloaded. Raises `UnreadableSettlement`."""
        return read_report(self._account, self._merchant, lines)

    @override
    async def close(self) -> None:
        await self._transport.close()
        await self._reports.close()

    async def _by_link(self, call: Call, events: Sequence[WebhookEvent]) -> Answer:
        """What has been paid already is not opened again."""
        asked = replace(call, subject=call.kind)
        known = resolve(asked, paid_by_link(events))
        return await self._links.open(call) if known.outcome is Outcome.UNKNOWN else known

    async def _change(self, call: Call) -> Answer:
        if call.reference is None:
            return not_executed(call.kind, detail=f"a {call.kind} needs the gateway's reference")
        try:
            outgoing = wire.change(call, self._merchant, call.reference)
        except Inexact:
            return not_executed(call.kind, detail="inexact_amount")
        return await self._send(call, outgoing, wire.read_change)

    async def _send(self, call: Call, outgoing: wire.Outgoing, read: Callable[[Call, Reply], Answer]) -> Answer:
        reply = await self._transport.send(
            call.kind, "POST", outgoing.path, body=outgoing.body, headers={"Idempotency-Key": outgoing.key}
        )
        return reply if isinstance(reply, Answer) else read(call, reply)

    async def _report(self, path: str, day: date) -> AsyncIterator[SettlementLine]:
        reader = SettlementReader(self._account, self._merchant, paid_on=day)
        try:
            async with aclosing(self._reports.lines(path)) as texts:
                async for text in texts:
                    line = reader.feed(text)
                    if line is not None:
                        yield line
            reader.end()
        except UnreadableSettlement as error:
            raise GatewayUnavailable(str(error)) from error

    def _path_of(self, address: str) -> str:
        """The path of a report's address, which is not signed: our key goes to Adyen's own place and nowhere else."""
        path = address.removeprefix(self._reports_url)
        if path == address or not path.startswith("/") or ".." in path:
            raise GatewayUnavailable(f"{self._account} was told of a report that does not lie at {self._reports_url}")
        return path


def _is_about_link(call: Call) -> bool:
    return call.subject is OperationKind.AUTHORIZE and call.token is None


def _pageless() -> Answer:
    """Neither a token nor a card's page with a way back from it: there is nothing to send."""
    refusal = Decline("not_supported", "token_required", "There is no token, and no return URL.", Retry.OTHER_PG)
    return Answer(Outcome.DECLINED, decline=refusal, evidence=Evidence(detail="no token; not sent"))


def reports_beside(url: str) -> str:
    """Where the reports of a Checkout address are: Adyen's Customer Area; for any other host, the address itself."""
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL:
        return url  # Whoever sends there is told.
    if host.endswith(("adyen.com", "adyenpayments.com")):
        return _REPORTS_OF["live" if "live" in host else "test"]
    return url
