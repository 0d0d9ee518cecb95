"""One payment as the sandbox PG keeps it, and the tokens that decide how it goes."""

import sqlite3
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Self


class Status(StrEnum):
    """The sandbox's own words for where a payment is."""

    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    REFUNDED = "refunded"
    VOIDED = "voided"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    """Neutralised by its merchant: whatever had happened was undone, nothing can happen any more."""


UNDECIDED = frozenset({Status.PROCESSING, Status.REQUIRES_ACTION})

PAGE = ""
"""No token: the customer pays on the sandbox's own page."""
TOKEN_STATUS = {
    PAGE: Status.REQUIRES_ACTION,
    "tok_ok": Status.AUTHORIZED,
    "tok_slow": Status.AUTHORIZED,
    "tok_3ds": Status.REQUIRES_ACTION,
    "tok_pending": Status.PROCESSING,
}
TOKEN_DECLINE = {
    "tok_declined": "generic_decline",
    "tok_lost": "lost_card",
    "tok_insufficient": "insufficient_funds",
}
SLOW_TOKEN = "tok_slow"  # noqa: S105 - a name of the sandbox, no secret
INVALID_TOKEN = "invalid_token"  # noqa: S105 - the code of a decline
AUTHENTICATION_FAILED = "authentication_failed"

DECLINE_MESSAGES = {
    "generic_decline": "The issuer declined the payment.",
    "lost_card": "The card was reported lost.",
    "insufficient_funds": "The account does not hold enough money.",
    INVALID_TOKEN: "There is no such instrument.",
    AUTHENTICATION_FAILED: "The customer did not authenticate.",
}


@dataclass(frozen=True, slots=True)
class Payment:
    """A row of ``payments``. Amounts in minor units; ``authorized``, ``captured`` ... are sums over its life."""

    reference: str
    account: str
    merchant_ref: str
    idempotency_key: str
    amount: int
    currency: str
    method: str
    capture_now: int
    status: Status
    created_at: str
    decline: str | None = None
    authorized: int = 0
    captured: int = 0
    refunded: int = 0
    voided: int = 0
    settles_at: float | None = None

    @property
    def held(self) -> int:
        """Reserved on the customer's instrument and neither taken nor released."""
        return self.authorized - self.captured - self.voided

    @property
    def kept(self) -> int:
        """Taken and not given back."""
        return self.captured - self.refunded

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> Self:
        """Read a row of ``payments``."""
        values = dict(row)
        return cls(**{**values, "status": Status(values["status"])})

    def settled(self) -> Self:
        """The same payment with the status that its sums imply."""
        if self.status is Status.CANCELLED:
            return self
        if self.captured:
            status = Status.REFUNDED if self.kept == 0 and self.held == 0 else Status.CAPTURED
        else:
            status = Status.AUTHORIZED if self.held else Status.VOIDED
        return replace(self, status=status)

    def as_json(self, public_url: str) -> dict[str, Any]:
        """The shape in every answer."""
        decline = None
        if self.decline is not None:
            decline = {"code": self.decline, "message": DECLINE_MESSAGES[self.decline]}
        action = None
        if self.status is Status.REQUIRES_ACTION:
            action = {"type": "redirect", "url": f"{public_url}/{self.account}/3ds/{self.reference}"}
        names = ("reference", "merchant_ref", "status", "amount", "currency", "method", "authorized", "captured")
        shown = {name: getattr(self, name) for name in (*names, "refunded", "voided", "created_at")}
        return {**shown, "decline": decline, "next_action": action}


COLUMNS = tuple(column.name for column in fields(Payment))
