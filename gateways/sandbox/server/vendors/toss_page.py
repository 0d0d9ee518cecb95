"""The pages that Toss Payments' customers see: the window, a bank's counter for virtual accounts, a receipt."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from gateways.sandbox.server.payment import TOKEN_DECLINE, TOKEN_STATUS
from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors.toss_desk import Desk
from gateways.sandbox.server.vendors.toss_error import ERRORS
from gateways.sandbox.server.vendors.toss_payment import Paper

_MAX_FORM_BYTES = 2_000
_INSTRUMENTS = (*(token for token in TOKEN_STATUS if token != "tok_3ds"), *TOKEN_DECLINE)  # noqa: S105 - no secret
_CHOICES = "".join(f"<option>{escape(token)}</option>" for token in _INSTRUMENTS)
_WINDOW = (
    f'<form method="post"><label>Instrument <select name="instrument">{_CHOICES}</select></label> '
    '<button name="action" value="pay">Pay</button> <button name="action" value="cancel">Cancel</button></form>'
)
_BANK = (
    '<form method="post"><button name="action" value="deposit">Deposit</button> '
    '<button name="action" value="bounce">Take the deposit back (bank error)</button></form>'
)

Form = Mapping[str, str]


class Pages:
    """Below ``/toss/{account}``: ``/window/{key}``, ``/deposit/{key}``, ``/challenge/{key}``, ``/receipt/{key}``."""

    def __init__(self, counter: Counter, desk: Desk) -> None:
        self._counter = counter
        self._desk = desk

    def routes(self, root: str) -> list[Route]:
        """The routes."""
        return [
            Route(f"{root}/window/{{key}}", self._page(_WINDOW), methods=["GET"]),
            Route(f"{root}/window/{{key}}", self._form(self._pay), methods=["POST"]),
            Route(f"{root}/deposit/{{key}}", self._page(_BANK), methods=["GET"]),
            Route(f"{root}/deposit/{{key}}", self._form(self._bank), methods=["POST"]),
            Route(f"{root}/challenge/{{key}}", self._challenge, methods=["GET"]),
            Route(f"{root}/receipt/{{key}}", self._page(""), methods=["GET"]),
        ]

    def _page(self, form: str) -> Callable[[Request], Any]:
        async def show(request: Request) -> Response:
            account, paper = self._find(request)
            if paper is None:
                return _html("Unknown payment", "There is no such payment.", status=404)
            return self._show(account, paper, form)

        return show

    def _form(self, decide: Callable[[str, Paper, Form], Response]) -> Callable[[Request], Any]:
        async def submit(request: Request) -> Response:
            raw = b""
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > _MAX_FORM_BYTES:
                    return _html("Too much", "That was not this form.", status=413)
            form = {name: values[0] for name, values in parse_qs(raw.decode("latin-1")).items()}
            with self._counter.transaction():
                account, paper = self._find(request)
                if paper is None:
                    return _html("Unknown payment", "There is no such payment.", status=404)
                return decide(account, paper, form)

        return submit

    def _pay(self, account: str, paper: Paper, form: Form) -> Response:
        """The window ends where Toss sends its customers: at successUrl or failUrl, with what Toss adds to them."""
        if self._desk.status(account, paper) != "READY" or paper.success_url is None or paper.fail_url is None:
            return self._show(account, paper, "")
        match form.get("action"):
            case "pay" if form.get("instrument") in _INSTRUMENTS:
                self._desk.authenticated(account, paper, form["instrument"])
                back = {"paymentType": paper.type, "orderId": paper.order_id, "paymentKey": paper.key}
                return _redirect(paper.success_url, {**back, "amount": str(paper.total)})
            case "cancel":
                self._desk.abandoned(account, paper)
                code = "PAY_PROCESS_CANCELED"
                return _redirect(paper.fail_url, {"code": code, "message": ERRORS[code][1]})
            case _:
                return _html("Nothing chosen", "action must be pay or cancel.", status=422)

    def _bank(self, account: str, paper: Paper, form: Form) -> Response:
        match form.get("action"):
            case "deposit":
                self._desk.deposit(account, paper)
            case "bounce":
                self._desk.bounce(account, paper)
            case _:
                return _html("Nothing chosen", "action must be deposit or bounce.", status=422)
        found = self._desk.papers.find(account, paper.key)
        return self._show(account, found or paper, _BANK)

    async def _challenge(self, request: Request) -> Response:
        """A billing key that asks its customer: the sandbox's own page decides."""
        account, paper = self._find(request)
        if paper is None or paper.reference is None:
            return _html("Unknown payment", "There is no such payment.", status=404)
        return RedirectResponse(f"{self._counter.public_url}/{account}/3ds/{paper.reference}", 303)

    def _find(self, request: Request) -> tuple[str, Paper | None]:
        account = request.path_params["account"]
        return account, self._desk.papers.find(account, request.path_params["key"])

    def _show(self, account: str, paper: Paper, form: str) -> Response:
        status = self._desk.status(account, paper)
        text = f"{paper.order_name}: {paper.total} KRW, {status}"
        if paper.account is not None:
            text += f", bank {paper.account['bank']} account {paper.account['number']}"
        open_ = status == "READY" or paper.account is not None
        return _html(paper.method, text, form=form if open_ else "")


def _redirect(url: str, fields: Mapping[str, str]) -> Response:
    """Back to the merchant, whose own query stays."""
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(fields)) if part)
    return RedirectResponse(parts._replace(query=query).geturl(), 303)


def _html(title: str, text: str, *, form: str = "", status: int = 200) -> Response:
    return HTMLResponse(
        f'<!doctype html><html lang="ko"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<h1>{escape(title)}</h1><p>{escape(text)}</p>{form}</html>",
        status,
    )
