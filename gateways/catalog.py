"""Which vendors there are: one line each. The law suite runs over this table."""

from collections.abc import Callable

from gateways.adyen.adapter import AdyenGateway, VerifiedEvents
from gateways.gateway import Account, Gateway, MisconfiguredGateway
from gateways.nice.adapter import NiceGateway
from gateways.sandbox.adapter import SandboxGateway
from gateways.stripe.adapter import StripeGateway
from gateways.toss.adapter import TossGateway

Build = Callable[[Account, VerifiedEvents | None], Gateway]


def _alone(kind: Callable[[Account], Gateway]) -> Build:
    """A vendor that can be asked, and needs nothing that OPMS has heard from it."""
    return lambda account, _: kind(account)


VENDORS: dict[str, Build] = {
    "adyen": lambda account, events: AdyenGateway(account, events=events),
    "nice": _alone(NiceGateway),
    "sandbox": _alone(SandboxGateway),
    "stripe": _alone(StripeGateway),
    "toss": _alone(TossGateway),
}
"""vendor -> how to build one account."""


def build_gateway(vendor: str, account: Account, events: VerifiedEvents | None = None) -> Gateway:
    """The gateway of one account; ``events``: what OPMS has heard from it, for a PG that cannot be asked.

    Raises `MisconfiguredGateway` for a vendor that nobody has written, or that has no words for what its account wants.
    """
    build = VENDORS.get(vendor)
    if build is None:
        raise MisconfiguredGateway(f"no gateway vendor {vendor!r}; there are: {', '.join(sorted(VENDORS))}")
    gateway = build(account, events)
    if account.reports_tax and not gateway.capabilities().reports_tax:
        raise MisconfiguredGateway(f"{account.name}: reports_tax, but {vendor} is never told what is free of tax")
    return gateway
