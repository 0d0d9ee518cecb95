"""The PG accounts of the demo store: two at the sandbox PG itself, and one for each vendor as whom it can speak.

Only the first two are in the demo's routing rule; the others take payments once a rule names them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

MERCHANT = "OpmsDemo"
"""The demo store's name at PGs that want one."""
_SIGN_WITH_THE_KEY = frozenset({"nice", "sandbox"})
"""Vendors that have no secret of their own for webhooks."""

_REPORTS_TAX = frozenset({"nice", "toss"})
"""Vendors that are told what is free of tax."""


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One account. ``weight`` is its share in the demo's rule; 0: in no rule."""

    name: str
    vendor: str
    weight: int = 0

    def settings(self, sandbox: str, key: str) -> dict[str, str | bool]:
        """Its entry in ``OPMS_GATEWAYS``: at the sandbox PG, under the vendor's own paths."""
        url = sandbox if self.vendor == "sandbox" else f"{sandbox}/{self.vendor}/{self.name}"
        common: dict[str, str | bool] = {"vendor": self.vendor, "url": url, "key": key, "merchant": MERCHANT}
        common |= {"reports_tax": True} if self.vendor in _REPORTS_TAX else {}
        return common if self.vendor in _SIGN_WITH_THE_KEY else common | {"webhook_secret": webhook_secret(key)}

    def signs_with(self, key: str) -> str:
        """What the sandbox PG signs this account's webhooks with."""
        return key if self.vendor in _SIGN_WITH_THE_KEY else webhook_secret(key)


ACCOUNTS = (
    DemoAccount("sandbox-a", "sandbox", 70),
    DemoAccount("sandbox-b", "sandbox", 30),
    DemoAccount("stripe-demo", "stripe"),
    DemoAccount("adyen-demo", "adyen"),
    DemoAccount("toss-demo", "toss"),
    DemoAccount("nice-demo", "nice"),
)
MERCHANTS = {account.name: MERCHANT for account in ACCOUNTS if account.vendor == "adyen"}
"""Whom an account belongs to, where its vendor refuses another's name."""
NAMES = tuple(account.name for account in ACCOUNTS)
WEIGHTS: Mapping[str, int] = {account.name: account.weight for account in ACCOUNTS if account.weight}


def webhook_secret(key: str) -> str:
    """Another secret, made from the account's key; hexadecimal, as Adyen wants it."""
    return sha256(f"webhooks {key}".encode()).hexdigest()
