"""What the Stripe personality pays out, by schedule alone, and what it is made of.

On the day (UTC) after money has become available, all that is goes to the bank, in one payout for each currency. A
balance that is below nothing waits until there is more.
"""

from typing import Any

from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_objects as objects
from gateways.sandbox.server.vendors.stripe_event import Events
from gateways.sandbox.server.vendors.stripe_shelf import Shelf, is_like, within

Json = dict[str, Any]

PAY_OUT = "pay_out"
"""The job of a payday."""
_DAY = 24 * 3600


class Payouts:
    """Payouts of all accounts. Every method that writes runs inside the caller's transaction."""

    def __init__(self, counter: Counter, shelf: Shelf, events: Events) -> None:
        self._counter = counter
        self._shelf = shelf
        self._events = events

    def enter(self, account: str, transaction: Json) -> None:
        """Keep a balance transaction, and see to the midnight after which it can be paid out."""
        self._shelf.put(account, transaction)
        now = self._counter.true_clock()
        payday = (max(transaction["available_on"], now) // _DAY + 1) * _DAY
        planned = self._counter.read(account, "settings", "paydays") or {"at": []}
        if payday not in planned["at"]:
            self._counter.write(account, "settings", "paydays", {"at": [*planned["at"], payday]})
            self._counter.later(account, PAY_OUT, {"payday": payday}, seconds=payday - now)

    def pay_out(self, account: str, payday: float) -> None:
        """Pay out what is available and was not paid out; it arrives on the very day."""
        planned = (self._counter.read(account, "settings", "paydays") or {"at": []})["at"]
        self._counter.write(account, "settings", "paydays", {"at": [one for one in planned if one != payday]})
        midnight = int(max(payday, self._counter.true_clock() // _DAY * _DAY))  # A job may be early by a rounding.
        there: dict[str, list[Json]] = {}
        for one in self._counter.every(account, "balance_transaction"):
            if one["available_on"] < midnight and self.payout_of(account, one["id"]) is None:
                there.setdefault(one["currency"], []).append(one)
        for currency, transactions in there.items():
            amount = sum(one["net"] for one in transactions)
            if amount > 0:
                self._send(account, midnight, amount, currency, transactions)

    def _send(self, account: str, midnight: int, amount: int, currency: str, transactions: list[Json]) -> None:
        now = self._counter.clock()
        payout = _payout(amount, currency, self._bank_of(account, currency), midnight, now)
        entry = objects.balance_transaction(payout, -amount, "payout", now)
        entry.update(available_on=midnight, status="available")
        payout["balance_transaction"] = entry["id"]
        self._shelf.put(account, entry, payout)
        for one in (*transactions, entry):
            self._counter.write(account, "paid_out", one["id"], {"payout": payout["id"]})
        for word in ("payout.created", "payout.paid"):
            self._events.tell(account, word, payout, "payout")

    def _bank_of(self, account: str, currency: str) -> str:
        """The bank account of an account, known from its first payout on."""
        found = next((one for one in self._counter.every(account, "bank_account") if one["currency"] == currency), None)
        if found is None:
            found = _bank_account(account, currency)
            self._shelf.put(account, found)
        return str(found["id"])

    def payout_of(self, account: str, transaction_id: str) -> str | None:
        """The id of the payout that a balance transaction is a part of; None: it was not paid out."""
        found = self._counter.read(account, "paid_out", transaction_id)
        return None if found is None else str(found["payout"])

    def page(self, account: str, params: Json) -> Json:
        """``GET /v1/payouts``; ``arrival_date`` is a time or ``gt gte lt lte``."""
        wanted = {name: intake.text(params, name) for name in ("status", "destination")}
        arrives = within(params, "arrival_date")
        return self._shelf.page(
            account, "payout", params, "/v1/payouts", lambda one: arrives(one) and is_like(one, wanted)
        )


def _bank_account(account: str, currency: str) -> dict[str, Any]:
    """Where the payouts of an account in a currency go to."""
    return {
        "id": objects.new_id("ba"),
        "object": "bank_account",
        "account": f"acct_{objects.fingerprint(account)}",
        "account_holder_name": None,
        "account_holder_type": None,
        "account_type": None,
        "available_payout_methods": ["standard"],
        "bank_name": "STRIPE TEST BANK",
        "country": "US",
        "currency": currency,
        "default_for_currency": True,
        "fingerprint": objects.fingerprint(account + currency),
        "last4": "6789",
        "metadata": {},
        "routing_number": "110000000",
        "status": "new",
    }


def _payout(amount: int, currency: str, destination: str, arrival: int, now: float) -> dict[str, Any]:
    """What the schedule of an account pays out, and has explained; ``arrival``: midnight UTC, Unix seconds."""
    absent = (
        "application_fee application_fee_amount balance_transaction failure_balance_transaction failure_code "
        "failure_message original_payout payout_method reversed_by statement_descriptor trace_id"
    )
    return {
        "id": objects.new_id("po"),
        "object": "payout",
        **dict.fromkeys(absent.split()),
        "amount": amount,
        "arrival_date": arrival,
        "automatic": True,
        "created": int(now),
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "destination": destination,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "reconciliation_status": "completed",
        "source_type": "card",
        "status": "paid",
        "type": "bank_account",
    }
