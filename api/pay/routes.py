"""``/pay/{token}``: the customer sees what is asked, pays it on a PG's page or by deposit, and comes back.

Nothing here decides about money: the page gives the same commands as any client, with ids of its own, so that a double
click or a reloaded page has one effect.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from secrets import token_urlsafe
from urllib.parse import parse_qsl
from uuid import UUID, uuid4, uuid5
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from uuid_utils.compat import uuid7

from api.middleware import read_body
from api.pay.link import links_to_pay
from api.pay.pace import SPAN_SECONDS, Pace
from api.pay.page import write
from api.pay.view import View, is_untold, offers, sent_on, view_of
from api.pay.words import language_of
from api.problem import request_id_of
from api.resources import capabilities_of, resources_of
from api.schemas.payment import CompletionIn
from api.waiting import until_final
from commands.command import submit
from contracts.command import Body, Command, Pay
from domain.checkout import AskedPayment
from domain.errors import Problem
from domain.moment import Moment
from domain.offer import is_takeable, needs_of, route_by
from domain.states import TenderStatus
from queries.order import OrderView, view_order
from queries.pay import UnknownPaymentRequest, find_request
from queries.routing import load_in_force

METHODS = ("card", "transfer", "virtual_account")
"""What the page offers, if an account of the store takes it."""
LARGEST_FORM = 16_384
MOST_FIELDS = 30
OF_ONE_LINK, OF_ONE_STRANGER = 60, 20
"""Requests a minute: with one good link, and with bad ones from one address."""
PATIENCE_SECONDS = 8.0
FIRST_LOOK_SECONDS, LATER_LOOK_SECONDS = 0.05, 1.0
"""Between two looks at an order for news: at first, and at last."""
REFRESH_SECONDS = {"busy": 3, "no_way": 30}
"""Pages that look again by themselves."""
ACTOR = "customer:link"


class PayPage:
    """The three addresses of a link."""

    def __init__(self) -> None:
        self._links = Pace(OF_ONE_LINK, clock=time.monotonic)
        self._strangers = Pace(OF_ONE_STRANGER, clock=time.monotonic)

    def routes(self) -> list[Route]:
        """They stand beside the API: no key, no JSON."""
        return [
            Route("/pay/{token}", self._open, methods=["GET", "POST"]),  # One, so that a 405 names both methods.
            Route("/pay/{token}/back", self._back, methods=["GET", "POST"]),
        ]

    async def _open(self, request: Request) -> Response:
        return await (self._pay if request.method == "POST" else self._show)(request)

    async def _show(self, request: Request) -> Response:
        try:
            found = await self._find(request)
        except Turned as away:
            return away.page(request)
        return await found.page()

    async def _pay(self, request: Request) -> Response:
        try:
            found = await self._find(request)
            form = await _form_of(request)
        except Turned as away:
            return away.page(request)
        if found.view.state != "open":
            return RedirectResponse(found.here, 303)
        amounts, methods = await found.offers()
        chosen = {str(amount): amount for amount in amounts}.get(form.get("amount", ""))
        method, stale = form.get("method", ""), form.get("left") != str(found.view.left)
        if stale or method not in methods or chosen is None:
            return RedirectResponse(f"{found.here}&changed", 303)
        asked = AskedPayment(method, chosen, return_url=found.back)
        command_id = uuid5(found.request.id, f"pay {form.get('once', '')}")
        await found.give(command_id, Pay((asked,), found.request.id, found.view.left))
        await until_final(request, command_id, PATIENCE_SECONDS)
        after = await found.anew()
        return RedirectResponse(after.view.action_url or after.here, 303)

    async def _back(self, request: Request) -> Response:
        try:
            found = await self._find(request)
        except Turned as away:
            return away.page(request)
        brought = await _brought_by(request)
        waiting = [p for p in found.order.tenders(found.request) if p.status is TenderStatus.ACTION_REQUIRED]
        ends = time.monotonic() + PATIENCE_SECONDS
        for payment in waiting:
            digest = sha256(repr(sorted(brought.details.items())).encode()).hexdigest()
            command_id = uuid5(payment.id, f"back {digest}")
            await found.give(command_id, brought.to_command(payment.id))
            await until_final(request, command_id, ends - time.monotonic())
        after = await _told(await found.anew(), ends)
        next_page = sent_on(after.order, after.request, {p.id: p.action_url for p in waiting})
        return RedirectResponse(next_page or after.here, 303)

    async def _find(self, request: Request) -> "Found":
        """The request that the link opens, as it stands. Raises `Turned`."""
        token: str = request.path_params["token"]
        links = links_to_pay(request)
        request_id = links.read(token)
        stranger = request.client.host if request.client else "nobody"
        if request_id is None:
            raise Turned("unknown" if self._strangers.allows(stranger) else "slow")
        if not self._links.allows(token):
            raise Turned("slow")
        async with resources_of(request).database.reading() as connection:
            try:
                place = await find_request(connection, request_id)
            except UnknownPaymentRequest as no:
                raise Turned("unknown") from no
            shown = await view_order(connection, place.store, place.number)
        return Found(request, links.url(request_id) or "", shown, request_id, ZoneInfo(place.timezone))


class Turned(Exception):
    """The link opens nothing, or too often."""

    STATUS: Mapping[str, int] = {"unknown": 404, "slow": 429}

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def page(self, request: Request) -> Response:
        """The page that says so, and when to come again."""
        page = _html("message.html", request, self.STATUS[self.why], message=self.why, refresh=None, view=None)
        if self.why == "slow":
            page.headers["Retry-After"] = str(SPAN_SECONDS)
        return page


class Found:
    """A request and the browser that looks at it."""

    def __init__(self, http: Request, link: str, shown: OrderView, request_id: UUID, clock: ZoneInfo) -> None:
        self._http = http
        self._clock = clock
        self.link = link
        self.order = shown.order
        self.request = shown.order.request(request_id)
        self.view: View = view_of(self.order, self.request, datetime.now(UTC))
        self.deciding = any(c.actor == ACTOR and c.decided_at is None for c in shown.commands)
        """What the customer did last is accepted, and its effect is not to be seen yet."""
        self.language = _language(http)

    @property
    def here(self) -> str:
        """The page in the customer's language, on whatever host it was opened."""
        return f"{self._http.scope.get('root_path', '')}/pay/{self._http.path_params['token']}?lang={self.language}"

    @property
    def back(self) -> str:
        """Where the PG's page sends the customer back to."""
        return f"{self.link}/back?lang={self.language}"

    async def offers(self) -> tuple[tuple[int, ...], list[str]]:
        """The amounts to choose from, and the methods by which routing would find an account for them now."""
        now = datetime.now(UTC)
        can = capabilities_of(self._http)
        async with resources_of(self._http).database.reading() as connection:
            force = await load_in_force(connection, self.order.store_id, can, now)
        if force is None:
            return (), []
        moment = Moment(now, uuid7, route_by(force.rule, force.accounts, needs_of(self.order)))

        def methods_of(amount: int) -> list[str]:
            asked = [AskedPayment(method, amount, return_url=self.back) for method in METHODS]
            return [one.method for one in asked if is_takeable(self.order, self.request.id, one, moment)]

        return offers(self.view.amounts, methods_of)

    async def give(self, command_id: UUID, body: Body) -> None:
        """Give a command in the customer's name."""
        resources = resources_of(self._http)
        command = Command(command_id, self.order.store_id, self.order.number, ACTOR, body, request_id_of(self._http))
        await submit(resources.client, resources.database, command)

    async def anew(self) -> "Found":
        """The same, as it stands by now."""
        async with resources_of(self._http).database.reading() as connection:
            shown = await view_order(connection, self.order.store_id, self.order.number)
        return Found(self._http, self.link, shown, self.request.id, self._clock)

    async def page(self) -> Response:
        """What the request's state asks for."""
        state = "busy" if self.deciding and self.view.state in {"open", "go_on"} else self.view.state
        if state in {"paid", "over", "busy"}:
            return self._message(state)
        amounts, methods = await self.offers() if state == "open" else ((), [])
        if state == "open" and not methods:
            return self._message("no_way")
        form = {"amounts": amounts, "methods": methods, "once": str(uuid4()), "link": self.here}
        changed = "changed" in self._http.query_params
        return _html("pay.html", self._http, 200, view=self.view, changed=changed, clock=self._clock, **form)

    def _message(self, name: str) -> Response:
        refresh = REFRESH_SECONDS.get(name)
        return _html("message.html", self._http, 200, message=name, refresh=refresh, view=self.view)


async def _told(found: Found, ends: float) -> Found:
    """As it stands once what the customer brought is decided and the PG told of it, but at ``ends`` at the latest.

    ``ends``: seconds of the clock that never goes back.
    """
    pause = FIRST_LOOK_SECONDS
    while (found.deciding or is_untold(found.order, found.request)) and time.monotonic() < ends:
        await asyncio.sleep(pause)
        pause = min(2 * pause, LATER_LOOK_SECONDS)
        found = await found.anew()
    return found


def _language(request: Request) -> str:
    return language_of(request.query_params.get("lang"), request.headers.get("accept-language", ""))


def _html(template: str, request: Request, status: int, **what: object) -> Response:
    nonce = token_urlsafe(12)
    html = write(template, _language(request), nonce=nonce, **what)
    headers = {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex",
        "Content-Security-Policy": f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'",
    }
    return HTMLResponse(html, status, headers)


async def _brought_by(request: Request) -> CompletionIn:
    """What the customer has come back with; nothing, if the API would not take it: the PG is then asked instead."""
    try:
        form = await _form_of(request) if request.method == "POST" else {}
        return completion({**request.query_params, **form})
    except Turned:
        return CompletionIn(details={})


def completion(brought: Mapping[str, str]) -> CompletionIn:
    """The fields of a return without our own ``lang``; without any, if they are not within the API's limits."""
    try:
        return CompletionIn(details={name: value for name, value in brought.items() if name != "lang"})
    except ValidationError:
        return CompletionIn(details={})


async def _form_of(request: Request) -> dict[str, str]:
    """The fields of a form; the last of a name counts. Raises `Turned` for what is no form of ours."""
    raw = await read_body(request.headers, request.receive, most=LARGEST_FORM)
    if raw is None or isinstance(raw, Problem):
        raise Turned("unknown")
    try:
        return dict(parse_qsl(raw.decode(), max_num_fields=MOST_FIELDS))
    except ValueError as bad:
        raise Turned("unknown") from bad
