"""Stripe under the laws: the adapter against the sandbox's Stripe personality, whose search is not late here."""

from gateways.catalog import build_gateway
from gateways.gateway import Account
from tests.gateways.rig import KEY, Rig, SandboxServer

ACCOUNT = "stripe-laws"
WEBHOOK_SECRET = "whsec_of_the_laws"


def stripe_account(server: SandboxServer, name: str = ACCOUNT) -> Account:
    """The settings of an account at the sandbox's Stripe."""
    return Account(name, f"{server.url}/stripe/{name}", KEY, webhook_secret=WEBHOOK_SECRET)


def set_search_lag(server: SandboxServer, account: str, milliseconds: int) -> None:
    """How late the search of an account is from now on."""
    server.http.post(f"/stripe/{account}/_search", data={"lag_ms": str(milliseconds)}).raise_for_status()


class StripeRig(Rig):
    """Stripe has neither a PaymentIntent nor an answer under the key for a payment method that does not exist."""

    keeps_no_trace_of_nobody = True


def stripe_rig(server: SandboxServer) -> Rig:
    """One line of ``RIGS``."""
    set_search_lag(server, ACCOUNT, 0)
    return StripeRig(build_gateway("stripe", stripe_account(server)), server, ACCOUNT)
