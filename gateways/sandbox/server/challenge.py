"""The page on which a customer approves or declines: a tok_3ds payment, or one without a token."""

import secrets
from collections.abc import Callable
from html import escape
from urllib.parse import parse_qs

import httpx
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from gateways.sandbox.server.ledger import Ledger, Stamp
from gateways.sandbox.server.payment import Payment, Status
from gateways.sandbox.server.refusal import Refusal
from gateways.sandbox.server.storage import Storage

_MAX_FORM_BYTES = 2_000


class Challenge:
    """``/{account}/3ds/{reference}``: GET shows the page, POST ``action=approve|decline`` decides, once."""

    def __init__(self, storage: Storage, ledger: Ledger, *, clock: Callable[[], float]) -> None:
        """``clock`` gives Unix seconds."""
        self._storage = storage
        self._ledger = ledger
        self._clock = clock

    def routes(self) -> list[Route]:
        """The routes."""
        path = "/{account}/3ds/{reference}"
        return [Route(path, self._show, methods=["GET"]), Route(path, self._decide, methods=["POST"])]

    async def _show(self, request: Request) -> Response:
        try:
            payment = self._find(request)
        except Refusal as refusal:
            return _page("Unknown payment", refusal.message, status=refusal.status)
        if payment.status is not Status.REQUIRES_ACTION:
            return _decided(payment)
        return _page("Approve this payment?", f"{payment.amount} {payment.currency} (minor units)", form=True)

    async def _decide(self, request: Request) -> Response:
        raw = b""
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > _MAX_FORM_BYTES:
                return _page("Too much", "That was not this form.", status=413)
        action = parse_qs(raw.decode("latin-1")).get("action", [""])[0]
        if action not in {"approve", "decline"}:
            return _page("Nothing chosen", "action must be approve or decline.", status=422)
        try:
            with self._storage.transaction():
                payment = self._find(request)
                if payment.status is not Status.REQUIRES_ACTION:
                    return _decided(payment)
                operation_id = f"op_{secrets.token_hex(10)}"
                stamp = Stamp(payment.account, operation_id, payment.idempotency_key, self._clock())
                payment = self._ledger.decide(payment, stamp, approve=action == "approve")
        except Refusal as refusal:
            return _page("Not possible", refusal.message, status=refusal.status)
        return self._send_back(payment) or _decided(payment)

    def _send_back(self, payment: Payment) -> Response | None:
        """The customer returns to the shop, if the shop has said where."""
        query = "SELECT url FROM returns WHERE reference=?"
        row = self._storage.connection.execute(query, (payment.reference,)).fetchone()
        if row is None:
            return None
        outcome = {"reference": payment.reference, "status": payment.status.value}
        return RedirectResponse(str(httpx.URL(row["url"]).copy_merge_params(outcome)), 303)

    def _find(self, request: Request) -> Payment:
        return self._ledger.find(request.path_params["account"], request.path_params["reference"])


def _decided(payment: Payment) -> Response:
    return _page(f"The payment is {payment.status.value}", "You can go back to the shop.")


def _page(title: str, text: str, *, form: bool = False, status: int = 200) -> Response:
    buttons = (
        '<form method="post"><button name="action" value="approve">Approve</button> '
        '<button name="action" value="decline">Decline</button></form>'
    )
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<h1>{escape(title)}</h1><p>{escape(text)}</p>{buttons if form else ''}</html>",
        status,
    )
