"""Which vendors there are: one line each. The law suite runs over this table."""

from collections.abc import Callable

from gateways.gateway import Account, Gateway, MisconfiguredGateway
from gateways.sandbox.adapter import SandboxGateway

VENDORS: dict[str, Callable[[Account], Gateway]] = {
    "sandbox": SandboxGateway,
}
"""vendor -> how to build one account."""


def build_gateway(vendor: str, account: Account) -> Gateway:
    """The gateway of one account. Raises `MisconfiguredGateway` for a vendor that nobody has written."""
    build = VENDORS.get(vendor)
    if build is None:
        raise MisconfiguredGateway(f"no gateway vendor {vendor!r}; there are: {', '.join(sorted(VENDORS))}")
    return build(account)
