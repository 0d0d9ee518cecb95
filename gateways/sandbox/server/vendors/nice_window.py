"""What customers see of NICE: the window that authenticates them, and the bank where a virtual account is filled.

NICE's window is a script on the shop's page (``/v1/js/``). It posts what ``AUTHNICE.requestPay`` is given to the page
here; the customer decides; the page posts the result to the shop's ``returnUrl``, as the manual says
(api/payment-window-server.md).
"""

import re
import secrets
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from gateways.sandbox.server.intake import ACCOUNT
from gateways.sandbox.server.payment import UNDECIDED
from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors.nice_book import Book
from gateways.sandbox.server.vendors.nice_paper import MESSAGES, PAY_METHODS, seal, stamp_of

_MAX_FORM_BYTES = 20_000
_KEPT = ("clientId", "method", "orderId", "amount", "goodsName", "returnUrl")
_MORE = ("mallReserved", "mallUserId", "buyerName", "buyerTel", "buyerEmail", "cardQuota", "vbankHolder", "taxFreeAmt")
_HOURS = "vbankValidHours"
_INSTRUMENTS = ("tok_ok", "tok_declined", "tok_lost", "tok_insufficient", "tok_pending")
_DECISIONS = ("Approve", "Cancel")
_WAITS = "tok_3ds"
"""The instrument of a virtual account: the ledger waits for a decision, which is the deposit."""
_DEFAULT_HOURS = 7 * 24

_SCRIPT = """var AUTHNICE = {requestPay: function (fields) {
  var form = document.createElement("form");
  form.method = "POST";
  form.action = "%s/window";
  Object.keys(fields).forEach(function (name) {
    if (typeof fields[name] === "function") { return; }
    var input = document.createElement("input");
    input.type = "hidden"; input.name = name; input.value = fields[name];
    form.appendChild(input);
  });
  document.body.appendChild(form);
  form.submit();
}};
"""


class _NotThis(Exception):
    """What a customer is told instead. ``status``: of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Window:
    """``/nice/{account}/window``, ``/nice/{account}/deposit/{tid}`` and the script."""

    def __init__(self, counter: Counter, book: Book) -> None:
        self._counter = counter
        self._book = book

    def routes(self) -> list[BaseRoute]:
        """The routes: open, as the customer has no key."""
        start = "/nice/{account}"
        return [
            Route(f"{start}/v1/js/", self._script, methods=["GET"]),
            Route(f"{start}/window", self._show, methods=["GET", "POST"]),
            Route(f"{start}/window/decision", self._decide, methods=["POST"]),
            Route(f"{start}/deposit/{{tid}}", self._show_deposit, methods=["GET"]),
            Route(f"{start}/deposit/{{tid}}", self._deposit, methods=["POST"]),
        ]

    def virtual_account(self, account: str, session: Mapping[str, Any], now: float) -> dict[str, Any]:
        """A new account to pay into, and the end of its time put off as a job."""
        hours = session[_HOURS]
        self._counter.later(account, "expire", {"orderId": session["orderId"]}, seconds=hours * 3600)
        return {
            "vbankCode": "088",
            "vbankName": "신한은행",
            "vbankNumber": f"562{secrets.randbelow(10**11):011d}",
            "vbankExpDate": stamp_of(now + hours * 3600),
            "vbankHolder": session["vbankHolder"],
        }

    async def _script(self, request: Request) -> Response:
        script = _SCRIPT % f"{self._counter.public_url}/nice/{_account(request)}"
        return Response(script, media_type="text/javascript")

    async def _show(self, request: Request) -> Response:
        try:
            fields = _window_fields(await _form(request))
        except _NotThis as wrong:
            return _page("Not possible", str(wrong), status=wrong.status)
        url = f"{self._counter.public_url}/nice/{_account(request)}/window/decision"
        choice = "".join(f"<option>{token}</option>" for token in _INSTRUMENTS)
        select = f'<label>Instrument <select name="instrument">{choice}</select></label> '
        buttons = "".join(f'<button name="action" value="{word.lower()}">{word}</button> ' for word in _DECISIONS)
        what = f"{fields['goodsName']}: {fields['amount']} KRW by {fields['method']}"
        return _page("Pay?", what, _post_form(url, fields, (select if fields["method"] != "vbank" else "") + buttons))

    async def _decide(self, request: Request) -> Response:
        try:
            given = await _form(request)
            fields = _window_fields(given)
            approved = given.get("action") == "approve"
            result = self._authenticated(_account(request), fields, given) if approved else _given_up(fields)
        except _NotThis as wrong:
            return _page("Not possible", str(wrong), status=wrong.status)
        go = "<button>Back to the shop</button><script>document.forms[0].submit()</script>"
        return _page("Thank you", "You are sent back to the shop.", _post_form(fields["returnUrl"], result, go))

    def _authenticated(self, account: str, fields: dict[str, str], given: dict[str, str]) -> dict[str, str]:
        """Remember what the customer has agreed to; money moves when the shop approves."""
        secret = self._book.secret(account)
        if secret is None:
            raise _NotThis(409, "The sandbox knows no key of this account yet: call its interface first.")
        instrument = given.get("instrument", "tok_ok") if fields["method"] != "vbank" else _WAITS
        hours = given.get(_HOURS, "")
        with self._counter.transaction():
            if not self._counter.claim(account):
                raise _NotThis(403, "This account speaks as another vendor.")
            tid = self._book.new_tid(account, PAY_METHODS[fields["method"]], self._counter.clock())
            agreed = {"amount": int(fields["amount"]), "instrument": instrument}
            lasting = {_HOURS: int(hours) if hours.isdecimal() and 0 < int(hours[:5]) < 9999 else _DEFAULT_HOURS}
            self._counter.write(account, "session", tid, {**fields, **agreed, **lasting})
        token = f"NICEUNTT{secrets.token_hex(16).upper()}"
        return {
            "authResultCode": "0000",
            "authResultMsg": "인증 성공",
            "tid": tid,
            "clientId": fields["clientId"],
            "orderId": fields["orderId"],
            "amount": fields["amount"],
            "mallReserved": fields.get("mallReserved", ""),
            "authToken": token,
            "signature": seal(token, fields["clientId"], fields["amount"], secret),
        }

    async def _show_deposit(self, request: Request) -> Response:
        order = self._book.by_tid(_account(request), request.path_params["tid"])
        if order is None or order["vbank"] is None:
            return _page("Unknown account", "There is no virtual account for this payment.", status=404)
        payment = self._book.payment(_account(request), order)
        if payment.status not in UNDECIDED:
            return _page("Closed", "Nothing can be paid into this account.")
        bank = order["vbank"]
        where = f"{bank['vbankName']} {bank['vbankNumber']} {bank['vbankHolder']}: {payment.amount} KRW"
        return _page("Deposit", where, '<form method="post"><button>Deposit</button></form>')

    async def _deposit(self, request: Request) -> Response:
        account = _account(request)
        with self._counter.transaction():
            order = self._book.by_tid(account, request.path_params["tid"])
            payment = None if order is None else self._book.payment(account, order)
            if order is None or payment is None or order["vbank"] is None or payment.status not in UNDECIDED:
                return _page("Closed", "Nothing can be paid into this account.", status=409)
            self._counter.ledger.decide(payment, self._counter.stamp(account, order["orderId"]), approve=True)
        return _page("Deposited", "The money has arrived.")


def _account(request: Request) -> str:
    account: str = request.path_params["account"]
    return account


def _given_up(fields: dict[str, str]) -> dict[str, str]:
    """The manual returns neither tid nor signature for what has failed."""
    result = {"authResultCode": "I002", "authResultMsg": MESSAGES["I002"]}
    return result | {name: fields[name] for name in ("clientId", "orderId", "amount")}


def _window_fields(given: Mapping[str, str]) -> dict[str, str]:
    """What `AUTHNICE.requestPay` must be given, and what it may be given."""
    if missing := [name for name in _KEPT if not given.get(name)]:
        raise _NotThis(400, f"{missing[0]} is missing.")
    target = urlsplit(given["returnUrl"])
    if target.scheme not in {"http", "https"} or not target.hostname:
        raise _NotThis(400, "returnUrl must be an address of the web.")
    if given["method"] not in PAY_METHODS:
        raise _NotThis(400, f"The window knows {', '.join(sorted(PAY_METHODS))}.")
    if not (given["amount"].isascii() and given["amount"].isdecimal() and 0 < int(given["amount"][:13]) < 10**12):
        raise _NotThis(400, "amount must be whole won.")
    if given["method"] == "vbank" and not given.get("vbankHolder"):
        raise _NotThis(400, "vbankHolder is missing.")
    if len(given["orderId"].encode()) > 64:
        raise _NotThis(400, "orderId has at most 64 bytes.")
    free = given.get("taxFreeAmt") or "0"
    if not (free.isascii() and free.isdecimal() and int(free[:13]) <= int(given["amount"])):
        raise _NotThis(400, MESSAGES["P036"])
    quotas = given.get("cardQuota") or "00"
    if re.fullmatch(r"[0-9]{2}(,[0-9]{2})*", quotas) is None:
        raise _NotThis(400, "cardQuota must be months of two digits, with commas.")
    fields = {name: given[name] for name in (*_KEPT, *_MORE, _HOURS) if given.get(name)}
    return fields | {"cardQuota": quotas[:2]}


async def _form(request: Request) -> dict[str, str]:
    if ACCOUNT.fullmatch(_account(request)) is None:
        raise _NotThis(404, MESSAGES["U313"])
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > _MAX_FORM_BYTES:
            raise _NotThis(413, "That was not this form.")
    given = dict(request.query_params)
    return given | dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))


def _post_form(url: str, fields: Mapping[str, str], inside: str) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )
    return f'<form method="post" action="{escape(url)}" accept-charset="utf-8">{hidden}{inside}</form>'


def _page(title: str, text: str, form: str = "", *, status: int = 200) -> Response:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<h1>{escape(title)}</h1><p>{escape(text)}</p>{form}</html>",
        status,
    )
