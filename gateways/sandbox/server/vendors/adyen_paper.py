"""What the Adyen personality keeps of payments, and the webhooks that it posts: items with an HMAC each."""

import base64
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from gateways.sandbox.server.payment import Payment
from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors.adyen_word import Amount, new_psp

REPORT = "settlement_detail_report_batch"
_SIGNED = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")


@dataclass(frozen=True, slots=True)
class Paper:
    """One payment as Adyen knows it: ``psp`` its pspReference, ``ledger`` the ledger's own reference."""

    psp: str
    ledger: str
    merchant: str
    reference: str
    currency: str
    value: int
    brand: str
    last_four: str
    refusal: str
    return_url: str

    @property
    def amount(self) -> Amount:
        """What was asked."""
        return Amount(self.currency, self.value)


@dataclass(frozen=True, slots=True)
class Event:
    """One NotificationRequestItem before it is signed."""

    code: str
    psp: str
    merchant: str
    reference: str
    amount: Amount
    success: bool = True
    original: str = ""
    reason: str = ""
    brand: str = ""
    more: dict[str, str] | None = None


class Papers:
    """Documents and webhooks of all accounts that speak Adyen. Every method runs inside a transaction."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter

    def keep(self, account: str, paper: Paper) -> None:
        """Find it again by its pspReference, by the ledger's reference and by the merchant's reference."""
        self.counter.write(account, "payment", paper.psp, asdict(paper))
        self.counter.write(account, "ledger", paper.ledger, {"psp": paper.psp})
        key = f"{paper.merchant}\n{paper.reference}"
        same = self.counter.read(account, "reference", key) or {"psps": []}
        self.counter.write(account, "reference", key, {"psps": [*same["psps"], paper.psp]})

    def find(self, account: str, psp: str) -> Paper | None:
        """By pspReference."""
        found = self.counter.read(account, "payment", psp)
        return None if found is None else Paper(**found)

    def of_ledger(self, account: str, ledger_reference: str) -> Paper | None:
        """By the ledger's own reference; None while the payment is being opened."""
        found = self.counter.read(account, "ledger", ledger_reference)
        return None if found is None else self.find(account, found["psp"])

    def of_reference(self, account: str, merchant: str, reference: str) -> list[Paper]:
        """All payments under a merchant's reference, oldest first: Adyen does not make it unique."""
        found = self.counter.read(account, "reference", f"{merchant}\n{reference}") or {"psps": []}
        return [paper for psp in found["psps"] if (paper := self.find(account, psp)) is not None]

    def authorised(self, account: str, paper: Paper, *, reason: str) -> None:
        """Post AUTHORISATION; ``reason`` of a refusal, empty for a success."""
        shown = reason or f"046829:{paper.last_four}:03/2030"
        event = Event(
            "AUTHORISATION",
            paper.psp,
            paper.merchant,
            paper.reference,
            paper.amount,
            success=not reason,
            reason=shown,
            brand=paper.brand,
        )
        self.post(account, event, "authorize")

    def post(self, account: str, event: Event, operation: str) -> None:
        """Put a webhook with one item into the outbox. ``operation``: what armed webhook faults are told."""
        item = self._item(event)
        secret = self._secret(account)
        if secret is not None:
            item["additionalData"]["hmacSignature"] = sign_item(item, secret)
        body = {"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}
        self.counter.post(account, f"{event.code}:{event.psp}", json.dumps(body), operation)

    def settled(self, account: str, merchant: str) -> None:
        """Money has moved today: see to it that today's report is announced, once."""
        day = datetime.fromtimestamp(self.counter.clock(), UTC).date().isoformat()
        key = f"{merchant}\n{day}"
        if self.counter.read(account, "report", key) is None:
            self.counter.write(account, "report", key, {"announced": True})
            payload = {"merchant": merchant, "day": day}
            self.counter.later(account, "report", payload, seconds=self.counter.pending_seconds)

    def announce_report(self, account: str, merchant: str, day: str) -> None:
        """Post REPORT_AVAILABLE: ``reason`` is where the report lies."""
        name = f"{REPORT}_{day.replace('-', '')}.csv"
        url = f"{self.counter.public_url}/adyen/{account}/reports/download/MerchantAccount/{quote(merchant)}/{name}"
        event = Event("REPORT_AVAILABLE", new_psp(), merchant, "", Amount("EUR", 0), reason=url)
        self.post(account, event, "settlement")

    def _item(self, event: Event) -> dict[str, Any]:
        item: dict[str, Any] = {
            "additionalData": dict(event.more or {}),
            "amount": event.amount.as_json(),
            "eventCode": event.code,
            "eventDate": datetime.fromtimestamp(self.counter.clock(), UTC).isoformat(timespec="seconds"),
            "merchantAccountCode": event.merchant,
            "merchantReference": event.reference,
            "pspReference": event.psp,
            "reason": event.reason,
            "success": "true" if event.success else "false",
        }
        if event.code == "AUTHORISATION":
            item["operations"] = ["CANCEL", "CAPTURE", "REFUND"] if event.success else []
        else:
            item["originalReference"] = event.original
        return item | ({"paymentMethod": event.brand} if event.brand else {})

    def _secret(self, account: str) -> bytes | None:
        """The HMAC key of the account's webhook; None without one in hex: items then go out unsigned, as Adyen's do."""
        query = "SELECT secret FROM webhook_targets WHERE account=?"
        row = self.counter.storage.connection.execute(query, (account,)).fetchone()
        try:
            return None if row is None else bytes.fromhex(row["secret"])
        except ValueError:
            return None


def sign_item(item: dict[str, Any], key: bytes) -> str:
    """Base64 of HMAC-SHA256 over Adyen's eight fields."""
    fields = [item.get(name, "") for name in _SIGNED]
    fields += [str(item["amount"]["value"]), item["amount"]["currency"], item["eventCode"], item["success"]]
    return base64.b64encode(hmac.new(key, ":".join(fields).encode(), hashlib.sha256).digest()).decode()


def refusal_of(paper: Paper, payment: Payment) -> str:
    """The refusalReasonCode of a declined payment: what its instrument says, else that nobody authenticated."""
    return paper.refusal or ("11" if payment.decline == "authentication_failed" else "2")
