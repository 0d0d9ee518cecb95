"""``/pay/{token}``: the customer sees what is asked, pays it on a PG's page or by deposit, and comes back.

Nothing here decides about money: the page gives the same commands as any client, with ids of its own, so that a double
click or a reloaded page has one effect.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import parse_qsl
from uuid import UUID, uuid4, uuid5
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from api.middleware import read_body
from api.pay.link import links_to_pay
from api.pay.pace import Pace
from api.pay.view import View, offers, view_of
from api.pay.words import LANGUAGES, WORDS, language_of, money
from api.problem import request_id_of
from api.resources import resources_of
from api.schemas.payment import CompletionIn
from api.waiting import until_final
from commands.command import submit
from contracts.command import Body, Command, Pay
from domain.checkout import AskedPayment
from domain.errors import Problem
from domain.order import Order
from domain.payment import PaymentRequest
from domain.states import TenderStatus
from queries.order import view_order
from queries.pay import UnknownPaymentRequest, find_request, paying_accounts

METHODS = ("card", "transfer", "virtual_account")
"""What the page offers, if an account of the store takes it."""
LARGEST_FORM = 16_384
MOST_FIELDS = 30
OF_ONE_LINK, OF_ONE_STRANGER = 60, 20
"""Requests a minute: with one good link, and with bad ones from one address."""
PATIENCE_SECONDS = 8.0
ACTOR = "customer:link"
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)


class PayPage:
    """The three addresses of a link."""

    def __init__(self) -> None:
        self._links = Pace(OF_ONE_LINK, clock=time.monotonic)
        self._strangers = Pace(OF_ONE_STRANGER, clock=time.monotonic)

    def routes(self) -> list[Route]:
        """They stand beside the API: no key, no JSON."""
        return [
            Route("/pay/{token}", self._show, methods=["GET"]),
            Route("/pay/{token}", self._pay, methods=["POST"]),
            Route("/pay/{token}/back", self._back, methods=["GET", "POST"]),
        ]

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
        back = f"{found.link}/back?lang={found.language}"
        asked = AskedPayment(method, chosen, return_url=back)
        command_id = uuid5(found.request.id, f"pay {form.get('once', '')}")
        await found.give(command_id, Pay((asked,), found.request.id, found.view.left))
        await until_final(request, command_id, PATIENCE_SECONDS)
        after = await self._find(request)
        return RedirectResponse(after.view.action_url or after.here, 303)

    async def _back(self, request: Request) -> Response:
        try:
            found = await self._find(request)
        except Turned as away:
            return away.page(request)
        brought = await _brought_by(request)
        waiting = [p for p in found.order.tenders(found.request) if p.status is TenderStatus.ACTION_REQUIRED]
        for payment in waiting:
            digest = sha256(repr(sorted(brought.details.items())).encode()).hexdigest()
            command_id = uuid5(payment.id, f"back {digest}")
            await found.give(command_id, brought.to_command(payment.id))
            await until_final(request, command_id, PATIENCE_SECONDS)
        return RedirectResponse(found.here, 303)

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
            order = (await view_order(connection, place.store, place.number)).order
        return Found(request, links.url(request_id) or "", order, order.request(request_id), ZoneInfo(place.timezone))


class Turned(Exception):
    """The link opens nothing, or too often."""

    STATUS: Mapping[str, int] = {"unknown": 404, "slow": 429}

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def page(self, request: Request) -> Response:
        """The page that says so."""
        return _html("message.html", request, self.STATUS[self.why], message=self.why, refresh=False)


class Found:
    """A request and the browser that looks at it."""

    def __init__(self, http: Request, link: str, order: Order, request: PaymentRequest, clock: ZoneInfo) -> None:
        self._http = http
        self._clock = clock
        self.link = link
        self.order = order
        self.request = request
        self.view: View = view_of(order, request)
        self.language = _language(http)

    @property
    def here(self) -> str:
        """The page in the customer's language, on whatever host it was opened."""
        return f"{self._http.scope.get('root_path', '')}/pay/{self._http.path_params['token']}?lang={self.language}"

    async def offers(self) -> tuple[tuple[int, ...], list[str]]:
        """The amounts to choose from, and the methods by which an account of the store takes them."""
        resources = resources_of(self._http)
        async with resources.database.reading() as connection:
            names = await paying_accounts(connection, self.order.store_id)
        limits = [
            limit for n in names if n in resources.gateways for limit in resources.gateways[n].capabilities().limits
        ]
        fitting = [limit for limit in limits if limit.currency == self.order.currency]

        def methods_of(amount: int) -> list[str]:
            taken = {limit.method for limit in fitting if limit.minimum <= amount <= limit.maximum}
            return [method for method in METHODS if method in taken]

        return offers(self.view.amounts, methods_of)

    async def give(self, command_id: UUID, body: Body) -> None:
        """Give a command in the customer's name."""
        resources = resources_of(self._http)
        command = Command(command_id, self.order.store_id, self.order.number, ACTOR, body, request_id_of(self._http))
        await submit(resources.client, resources.database, command)

    async def page(self) -> Response:
        """What the request's state asks for."""
        view = self.view
        if view.state in {"paid", "over", "busy"}:
            return _html("message.html", self._http, 200, message=view.state, refresh=view.state == "busy")
        amounts, methods = await self.offers() if view.state == "open" else ((), [])
        if view.state == "open" and not methods:
            return _html("message.html", self._http, 200, message="no_way", refresh=True)
        form = {"amounts": amounts, "methods": methods, "once": str(uuid4()), "link": self.here}
        changed = "changed" in self._http.query_params
        return _html("pay.html", self._http, 200, view=view, changed=changed, when=self._when, **form)

    def _when(self, moment: datetime) -> str:
        return f"{moment.astimezone(self._clock):%Y-%m-%d %H:%M %Z}"


def _language(request: Request) -> str:
    return language_of(request.query_params.get("lang"), request.headers.get("accept-language", ""))


def _html(template: str, request: Request, status: int, **what: object) -> Response:
    language = _language(request)
    nonce = token_urlsafe(12)
    other = next(other for other in LANGUAGES if other != language)
    html = _TEMPLATES.get_template(template).render(
        t=WORDS[language], language=language, other=other, nonce=nonce, money=money, **what
    )
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
