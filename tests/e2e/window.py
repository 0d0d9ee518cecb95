"""The PGs' own pages as a customer's browser sees them: what they show, and what they send the customer back with."""

import re
from dataclasses import dataclass
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import httpx

BACK = "https://shop.test/back?cart=7"
Fields = dict[str, str]


@dataclass(frozen=True)
class Window:
    """One account's page, and the choices that a customer has there."""

    account: str
    approve: Fields
    decline: Fields
    """The customer says no, or whoever issued the card does."""
    try_again: bool = False
    """After a no the page stays, for another card: only a yes ends it."""

    def decided(self, url: str, choice: Fields) -> Fields:
        """What the browser brings to the shop after the choice."""
        target, fields = form_of(httpx.get(url, timeout=30))
        answer = httpx.post(target, data=fields | choice, timeout=30)
        address = answer.headers.get("location") or form_of(answer)[0]
        assert address.startswith(BACK), answer.text
        return brought_by(answer)


SANDBOX = Window("sandbox-a", {"action": "approve"}, {"action": "decline"})
"""The sandbox PG's own page takes the money at once."""
TOSS = Window("toss-demo", {"action": "pay", "instrument": "tok_ok"}, {"action": "pay", "instrument": "tok_lost"})
"""Toss only authenticates: the shop confirms, and the issuer may say no even then."""
NICE = Window(
    "nice-demo", {"action": "approve", "instrument": "tok_ok"}, {"action": "approve", "instrument": "tok_lost"}
)
"""So does NICE."""
ADYEN = Window("adyen-demo", {"action": "pay"}, {"action": "decline"}, try_again=True)
"""Adyen's page of a payment link takes the money at once."""
STRIPE = Window("stripe-demo", {"action": "pay"}, {"action": "decline"}, try_again=True)
"""So does Stripe's Checkout."""


def window_at(url: str) -> Window:
    """Whose page an address is; where a card is authenticated, all ask as the sandbox PG's own does."""
    path = urlsplit(url).path
    pages = {
        "/toss/toss-demo/window": TOSS,
        "/nice/nice-demo/window": NICE,
        "/adyen/adyen-demo/checkoutshopper/link": ADYEN,
        "/stripe/stripe-demo/c/pay": STRIPE,
    }
    return next((window for start, window in pages.items() if path.startswith(start)), SANDBOX)


def form_of(page: httpx.Response) -> tuple[str, Fields]:
    """Where a page's form goes (if it does not say, to the page itself), and its hidden fields."""
    found = re.search(r'<form method="post" action="([^"]+)"', page.text)
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)
    return unescape(found[1]) if found else str(page.url), {unescape(name): unescape(value) for name, value in fields}


def brought_by(answer: httpx.Response) -> Fields:
    """What the browser brings to the shop: in the address that it is sent to, or in the form that the page posts."""
    location = answer.headers.get("location")
    return form_of(answer)[1] if location is None else dict(parse_qsl(urlsplit(location).query))
