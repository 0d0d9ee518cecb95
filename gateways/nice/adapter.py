"""One account at NICE Payments, through the interface that every gateway has."""

import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import ClassVar

import httpx
from typing_extensions import override

from domain.gateway import (
    Action,
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
from gateways.gateway import Account, Gateway, GatewayUnavailable, SettlementLine, WebhookBatch
from gateways.nice import answer, codes, wire
from gateways.nice.seal import is_sealed
from gateways.nice.settlement import read_settlement
from gateways.nice.webhook import read_webhook
from gateways.transport import USUAL_PATIENCE, Patience, Reply, Transport, turned_away

_MAXIMUM = 10**12 - 1
"""NICE's amounts have at most twelve digits."""
_NET_CANCEL_SECONDS = 3600
_ON_ITS_WAY_SECONDS = 60
"""Longer than a payment of ours can be under way at NICE, which tells its clients to wait for 30 seconds."""
_LIVE_HOSTS = (".nicepay.co.kr",)

CAPABILITIES = Capabilities(
    flows=frozenset({Flow.SERVER_TOKEN, Flow.REDIRECT_CONFIRM, Flow.VIRTUAL_ACCOUNT}),
    refunds_sent_again=True,
    limits=(
        MethodLimit("card", "KRW", 1_000, _MAXIMUM, max_instalments=12, instalments_from=50_000),
        MethodLimit("transfer", "KRW", 2, _MAXIMUM),
        MethodLimit("virtual_account", "KRW", 2, _MAXIMUM),
    ),
    manual_capture=False,
    multiple_captures=False,
    partial_capture=False,
    partial_refund=True,
    idempotency=Idempotency(ttl_seconds=0),
    lookup_by_reference=True,
    lookup_by_merchant_ref=True,
    not_found_final_after_seconds=None,
    neutralize_by=NeutralizeBy.MERCHANT_REFERENCE,
    neutralize_window_seconds=_NET_CANCEL_SECONDS,
    neutralize_bars_late=False,
    refund_days={"card": 365, "virtual_account": 180},
    asynchronous=frozenset({OperationKind.AUTHORIZE}),
    cascades_after_decline=False,
    settlement=True,
    webhooks=True,
)
"""No more than the manual says. A card can be cancelled for a year, a virtual account refunded for 180 days; that a net
cancel stops a payment that comes after it is not said, so `NiceGateway` believes one only when none can come."""


class NiceGateway(Gateway):
    """Speaks to NICE over HTTP, with a billing id or with what the customer brings back from NICE's window."""

    vendor: ClassVar[str] = "nice"

    def __init__(
        self,
        account: Account,
        *,
        patience: Patience = USUAL_PATIENCE,
        client: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
        window_url: str | None = None,
    ) -> None:
        """``account.merchant`` is the client key, ``account.key`` the secret key, also of webhooks: NICE has no other.

        ``clock``: Unix seconds. ``window_url``: a page that opens NICE's window with the fields of its query. NICE has
        only a script to be called by such a page; without one the sandbox's page is used, and none for a live account.
        """
        self._account = account.name
        self._capabilities = replace(CAPABILITIES, reports_tax=account.reports_tax)
        self._credentials = wire.Credentials(account.merchant, account.key)
        self._window_url = window_url or _sandbox_window(account.url)
        self._clock = clock
        basic = b64encode(f"{account.merchant}:{account.key}".encode()).decode()
        self._transport = Transport(
            account.url,
            headers={"Authorization": f"Basic {basic}", "Content-Type": "application/json;charset=utf-8"},
            patience=patience,
            client=client,
        )

    @override
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @override
    async def authorize(self, call: Call) -> Answer:
        if not call.capture_now:
            return _unsent("NICE takes money at once")
        if call.currency != "KRW":
            return _unsent("this account takes KRW")
        if call.token is not None:
            return await self._pay(call, wire.billing(call, call.token, self._edi_date(), self._secret))
        if "tid" in call.details or "auth_result_code" in call.details:
            return await self._approve(call)
        return self._open_window(call)

    @override
    async def capture(self, call: Call) -> Answer:
        return _unsent("NICE takes money at once: there is nothing to capture")

    @override
    async def void(self, call: Call) -> Answer:
        return _unsent("NICE takes money at once: there is nothing to void")

    @override
    async def refund(self, call: Call) -> Answer:
        if call.reference is None:
            return _unsent("a refund needs the gateway's reference")
        reply = await self._send(call.kind, wire.refund(call, call.reference, self._edi_date(), self._secret))
        if isinstance(reply, Answer):
            return reply
        given = answer.read_refund(call, reply)
        if not answer.may_be_repeated(given):
            return given
        return answer.after_refusal(given, await self._find_refund(call, call.reference, call.key))

    @override
    async def lookup(self, call: Call) -> Answer:
        if call.subject is OperationKind.REFUND and call.reference is not None and call.subject_key is not None:
            return await self._find_refund(call, call.reference, call.subject_key)
        if call.subject is not OperationKind.AUTHORIZE:
            return Answer(Outcome.UNKNOWN, evidence=Evidence(detail="the lookup does not say enough to ask"))
        reply = await self._find(call)
        return reply if isinstance(reply, Answer) else answer.read_lookup(call, reply, self._secret)

    @override
    async def neutralize(self, call: Call) -> Answer:
        if call.subject is OperationKind.REFUND:
            return _not_undone(await self.lookup(call))
        if call.subject is not OperationKind.AUTHORIZE:
            return Answer(Outcome.UNKNOWN, evidence=Evidence(detail="NICE knows no such operation"))
        reply = await self._send(call.kind, wire.net_cancel(call, self._edi_date(), self._secret))
        if isinstance(reply, Answer):
            return reply
        if answer.comes_too_late(reply):
            return await self._cancel_all(call)
        return answer.read_net_cancel(call, reply, settled=self._is_settled(call))

    @override
    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookBatch:
        return read_webhook(raw, secret=self._secret)

    @override
    async def settlement_lines(self, day: date) -> AsyncIterator[SettlementLine]:
        page, more = 1, True
        while more:
            reply = await self._send(OperationKind.LOOKUP, wire.settlement_page(day, page))
            if isinstance(reply, Answer):
                raise GatewayUnavailable(f"{self._account} gave no settlement of {day}: {reply.evidence.detail}")
            lines, more = read_settlement(self._account, day, reply)
            page += 1
            for line in lines:
                yield line

    @override
    async def close(self) -> None:
        await self._transport.close()

    @property
    def _secret(self) -> str:
        return self._credentials.secret_key

    def _edi_date(self) -> str:
        return wire.edi_date(self._clock())

    async def _send(self, kind: OperationKind, outgoing: wire.Outgoing) -> Reply | Answer:
        return await self._transport.send(kind, outgoing.method, outgoing.path, body=outgoing.body)

    async def _pay(self, call: Call, outgoing: wire.Outgoing) -> Answer:
        reply = await self._send(call.kind, outgoing)
        return reply if isinstance(reply, Answer) else answer.read_authorization(call, reply, self._secret)

    async def _approve(self, call: Call) -> Answer:
        """Take what the window's return speaks of, once its seal and its amount fit. No money has moved before."""
        brought = call.details
        if brought.get("order_id", call.merchant_ref) != call.merchant_ref:
            return turned_away("the window's return is of another payment; not sent")
        code = brought.get("auth_result_code", codes.SUCCESS)
        if code != codes.SUCCESS:
            decline = Decline("authentication_failed", code[:20], "", Retry.AFTER_CUSTOMER_ACTION)
            return Answer(Outcome.DECLINED, decline=decline, evidence=Evidence(detail="refused in the window"))
        amount, token = brought.get("amount", ""), brought.get("auth_token", "")
        if not is_sealed(brought.get("signature"), token, self._credentials.client_key, amount, self._secret):
            return turned_away("the window's return is not sealed by NICE; not sent")
        if amount != str(call.amount):
            return turned_away("another amount than was asked; not sent")
        return await self._pay(call, wire.approval(call, brought["tid"], self._edi_date(), self._secret))

    def _open_window(self, call: Call) -> Answer:
        """The customer pays in NICE's window. NICE hears of it from the customer's browser, not from us.

        The address is complete for a plain redirect; ``fields`` are the same once more, for a shop that calls
        ``AUTHNICE.requestPay`` on a page of its own.
        """
        if call.method not in wire.METHODS:
            return _unsent("NICE's window has no such method")
        if self._window_url is None or call.return_url is None:
            return _unfit("no token, and no page or no return address for the window")
        fields = wire.window_fields(call, self._credentials, call.return_url)
        url = str(httpx.URL(self._window_url).copy_merge_params(fields))
        return Answer(Outcome.ACTION_REQUIRED, action=Action("redirect", url, fields=fields))

    async def _find(self, call: Call) -> Reply | Answer:
        """Ask by NICE's id, else by our reference on the days on which the payment may have been ordered."""
        if call.reference is not None:
            return await self._send(OperationKind.LOOKUP, wire.question(call.reference))
        sent_at = call.subject_sent_at or datetime.fromtimestamp(self._clock(), UTC)
        return await self._first_found(call, wire.order_days(sent_at))

    async def _first_found(self, call: Call, days: Iterable[date]) -> Reply | Answer:
        reply: Reply | Answer | None = None
        for day in days:
            reply = await self._send(OperationKind.LOOKUP, wire.search(call.merchant_ref, day))
            if isinstance(reply, Answer) or not answer.is_not_found(reply):
                return reply
        if reply is None:
            raise AssertionError("a payment is ordered on some day")
        return reply

    async def _find_refund(self, call: Call, tid: str, key: str) -> Answer:
        reply = await self._send(OperationKind.LOOKUP, wire.question(tid))
        return reply if isinstance(reply, Answer) else answer.read_refund_lookup(call, reply, key)

    async def _cancel_all(self, call: Call) -> Answer:
        """Its hour for net cancels is over: find what is left of the payment, and cancel that."""
        reply = await self._find(call)
        if isinstance(reply, Answer):
            return reply
        left = answer.read_remainder(call, reply)
        if isinstance(left, Answer):
            return left
        outgoing = wire.undoing(call, left.tid, left.balance, self._edi_date(), self._secret)
        reply = await self._send(call.kind, outgoing)
        return reply if isinstance(reply, Answer) else answer.read_undoing(call, reply)

    def _is_settled(self, call: Call) -> bool:
        """Whether the payment was sent so long ago that it cannot be on its way any more."""
        if call.subject_sent_at is None:
            return False
        return self._clock() - call.subject_sent_at.timestamp() >= _ON_ITS_WAY_SECONDS


def _sandbox_window(url: str) -> str | None:
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL:
        return None
    return None if host.endswith(_LIVE_HOSTS) else f"{url.rstrip('/')}/window"


def _unsent(detail: str) -> Answer:
    return Answer(Outcome.NOT_EXECUTED, evidence=Evidence(detail=detail))


def _unfit(detail: str) -> Answer:
    """NICE cannot take what this customer brings, another PG may: nothing is sent, and NICE is not sick."""
    refusal = Decline("not_supported", "not_sent", detail, Retry.OTHER_PG)
    return Answer(Outcome.DECLINED, decline=refusal, evidence=Evidence(detail=detail))


def _not_undone(found: Answer) -> Answer:
    """A refund cannot be taken back, and NICE cannot be told to refuse one that is still to come."""
    if found.outcome is not Outcome.SUCCEEDED:
        return Answer(Outcome.UNKNOWN, evidence=found.evidence)
    decline = Decline("state", "", "the refund has happened and cannot be taken back", Retry.NEVER)
    return Answer(Outcome.DECLINED, reference=found.reference, decline=decline, evidence=found.evidence)
