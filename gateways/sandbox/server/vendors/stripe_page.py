"""The pages on which a customer of the Stripe personality pays or authenticates a card, and the way back."""

from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.responses import HTMLResponse, RedirectResponse, Response


def ask(intent: dict[str, Any]) -> Response:
    """Two buttons."""
    words = f"{intent['amount']} {intent['currency'].upper()} (smallest unit)"
    buttons = (
        '<form method="post"><button name="action" value="approve">Complete authentication</button> '
        '<button name="action" value="decline">Fail authentication</button></form>'
    )
    return _page("3D Secure", words, buttons)


def checkout(session: dict[str, Any], refusal: str | None = None) -> Response:
    """The page of a Checkout Session; ``refusal``: why the card before was not taken."""
    price = f"{session['amount_total']} {session['currency'].upper()} (smallest unit)"
    words = price if refusal is None else f"{refusal} Try another card: {price}"
    buttons = (
        '<form method="post"><button name="action" value="pay">Pay</button> '
        '<button name="action" value="decline">Pay with a card that is declined</button></form>'
    )
    away = session["cancel_url"]
    link = "" if away is None else f'<p><a href="{escape(away)}">Back to the shop</a></p>'
    return _page("Checkout", words, buttons + link)


def leave(session: dict[str, Any]) -> Response:
    """To the shop, which finds the session's id in its address if it asked for that."""
    return RedirectResponse(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]), 303)


def tell(title: str, words: str, status: int = 200) -> Response:
    """Nothing to choose."""
    return _page(title, words, "", status)


def back(intent: dict[str, Any], return_url: str | None, *, approved: bool) -> Response:
    """To the shop, with what Stripe adds to its address; without one, a page that says how it went."""
    result = "succeeded" if approved else "failed"
    if return_url is None:
        return tell(f"Authentication {result}", "You can go back to the shop.")
    added = {
        "payment_intent": intent["id"],
        "payment_intent_client_secret": intent["client_secret"],
        "redirect_status": result,
    }
    parts = urlsplit(return_url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *added.items()])
    return RedirectResponse(urlunsplit(parts._replace(query=query)), 303)


def _page(title: str, words: str, form: str, status: int = 200) -> Response:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<h1>{escape(title)}</h1><p>{escape(words)}</p>{form}</html>",
        status,
    )
