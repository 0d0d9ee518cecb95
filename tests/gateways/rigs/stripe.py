"""Stripe under the laws: the adapter against the sandbox's Stripe personality, whose search is not late here."""

from types import MappingProxyType
from typing import Any

import httpx
from typing_extensions import override

from gateways.catalog import build_gateway
from gateways.gateway import Account
from tests.gateways.rig import AUTHORIZE, KEY, REFUND, SandboxRig, SandboxServer

ACCOUNT = "stripe-laws"
WEBHOOK_SECRET = "whsec_of_the_laws"


def stripe_account(server: SandboxServer, name: str = ACCOUNT) -> Account:
    """The settings of an account at the sandbox's Stripe."""
    return Account(name, f"{server.url}/stripe/{name}", KEY, webhook_secret=WEBHOOK_SECRET)


def set_search_lag(server: SandboxServer, account: str, milliseconds: int) -> None:
    """How late the search of an account is from now on."""
    server.http.post(f"/stripe/{account}/_search", data={"lag_ms": str(milliseconds)}).raise_for_status()


class StripeRig(SandboxRig):
    """Stripe has neither a PaymentIntent nor an answer under the key for a payment method that does not exist."""

    later = MappingProxyType({AUTHORIZE: "tok_pending", REFUND: "pm_card_pendingRefund"})
    beside_code = frozenset({"card_declined"})
    unchecked = frozenset({("KRW", 99)})
    leaves_no_trace = frozenset({"tok_of_nobody"})

    @override
    def settings(self) -> Account:
        return stripe_account(self._server, self.account)


def stripe_rig(server: SandboxServer, account: str = ACCOUNT) -> SandboxRig:
    """One line of ``RIGS``."""
    set_search_lag(server, account, 0)
    return StripeRig(build_gateway("stripe", stripe_account(server, account)), server, account)


class Merchant:
    """Somebody who asks the sandbox's Stripe in plain HTTP, as its documents say."""

    def __init__(self, server: SandboxServer, account: str, key: str = KEY) -> None:
        self.account = account
        self.server = server
        self._base = f"/stripe/{account}/v1"
        self._key = {"Authorization": f"Bearer {key}"}

    def send(self, method: str, path: str, form: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """The whole answer."""
        query = form if method == "GET" else None
        body = None if method == "GET" else form
        sent = {**self._key, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.server.http.request(method, self._base + path, params=query, data=body, headers=sent)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """A body that was answered with 200."""
        return self._ok(self.send("GET", path, query))

    def post(self, path: str, **form: Any) -> dict[str, Any]:
        """A body that was answered with 200."""
        return self._ok(self.send("POST", path, form))

    def pay(self, method: str = "pm_card_visa", **more: Any) -> dict[str, Any]:
        """A PaymentIntent that was confirmed at once."""
        return self.post("/payment_intents", **a_card_payment(method, **more))

    def error(self, method: str, path: str, form: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        """The ``error`` of a refusal, with its HTTP status as ``http``."""
        refused = self.send(method, path, form, **headers)
        return {**refused.json()["error"], "http": refused.status_code}

    @staticmethod
    def _ok(answer: httpx.Response) -> dict[str, Any]:
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


def a_card_payment(method: str = "pm_card_visa", **more: Any) -> dict[str, Any]:
    """The form of a payment that is confirmed at once."""
    fixed = {"amount": "5000", "currency": "krw", "payment_method": method, "confirm": "true"}
    return {**fixed, "payment_method_types[]": "card", **more}
