"""Refunds of the Stripe personality, over the sandbox's ledger.

Every method runs inside the caller's transaction.
"""

from typing import Any

from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_objects as objects
from gateways.sandbox.server.vendors.stripe_event import Events
from gateways.sandbox.server.vendors.stripe_intake import Complaint
from gateways.sandbox.server.vendors.stripe_payout import Payouts
from gateways.sandbox.server.vendors.stripe_shelf import Shelf
from gateways.sandbox.server.vendors.stripe_words import money

Json = dict[str, Any]

_REASONS = ("duplicate", "fraudulent", "requested_by_customer")


class Refunds:
    """Money that goes back."""

    def __init__(self, counter: Counter, shelf: Shelf, events: Events, payouts: Payouts) -> None:
        self._counter = counter
        self._ledger = counter.ledger
        self._shelf = shelf
        self._events = events
        self._payouts = payouts

    def create(self, account: str, params: Json, key: str) -> Json:
        """``POST /v1/refunds`` of a PaymentIntent or a charge. A refund may fail after it has succeeded."""
        reason = intake.choice(params, "reason", _REASONS)
        metadata = intake.metadata(params)
        amount = intake.amount(params, "amount")
        charge = self._refundable(account, params)
        self._check_left(charge, amount)
        before = dict(charge)
        left = charge["amount"] - charge["amount_refunded"]
        refund = objects.refund(charge, amount or left, metadata, reason, self._counter.clock())
        ending = self._shelf.instrument_of(account, charge["payment_method"]).refunds
        if ending == "pending_succeeded":
            refund["pending_reason"] = "processing"
        else:
            self._go_back(account, charge, refund, key)
        if ending != "succeeded":
            payload = {"refund": refund["id"], "status": ending, "key": key}
            self._counter.later(account, "refund_ends", payload, seconds=self._counter.pending_seconds)
        set_aside(charge, refund["amount"])
        self._shelf.put(account, refund, charge)
        self._shelf.add_refund(account, charge["id"], refund["id"])
        self._events.tell(account, "refund.created", refund, "refund")
        self._events.tell(account, "charge.refunded", charge, "refund", before)
        return refund

    def create_of(self, account: str, params: Json, key: str) -> Json:
        """``POST /v1/charges/{charge}/refunds``."""
        self._shelf.take(account, params["charge"], "charge")
        return self.create(account, params, key)

    def page_of(self, account: str, params: Json) -> Json:
        """``GET /v1/charges/{charge}/refunds``."""
        charge = self._shelf.take(account, params["charge"], "charge")
        return self._shelf.list_parts(account, charge, "refunds", params)

    def end(self, account: str, refund_id: str, status: str, key: str) -> None:
        """A refund that was pending goes back now; one that had succeeded has failed after all."""
        before = self._shelf.take(account, refund_id, "refund")
        charge = self._shelf.take(account, before["charge"], "charge")
        refund = {name: value for name, value in before.items() if name != "pending_reason"}
        if status == "pending_succeeded":
            self._go_back(account, charge, refund, key)
        else:
            self._come_again(account, charge, refund, key)
        self._shelf.put(account, refund, charge)
        kind = "refund.failed" if refund["status"] == "failed" else "refund.updated"
        self._events.tell(account, kind, refund, "refund", before)

    def update(self, account: str, refund_id: str, params: Json) -> Json:
        """``POST /v1/refunds/{id}``: metadata."""
        before = self._shelf.take(account, refund_id, "refund")
        refund = {**before, "metadata": intake.metadata(params, before["metadata"])}
        self._shelf.put(account, refund)
        self._events.tell(account, "refund.updated", refund, "refund", before)
        return refund

    def cancel(self, account: str, refund_id: str) -> Json:
        """``POST /v1/refunds/{id}/cancel``: only of one that waits for its customer, and no card's refund does."""
        refund = self._shelf.take(account, refund_id, "refund")
        raise Complaint(400, f"Refund {refund['id']} cannot be canceled: its status is {refund['status']}.")

    def release(self, account: str, charge: Json, amount: int) -> None:
        """What is not captured stands as a refund of the charge that moves nothing in the balance."""
        refund = objects.refund(charge, amount, {}, None, self._counter.clock())
        refund["status"] = "succeeded"
        set_aside(charge, amount)
        self._shelf.put(account, refund)
        self._shelf.add_refund(account, charge["id"], refund["id"])

    def _refundable(self, account: str, params: Json) -> Json:
        """The captured charge that a refund is for. Raises `Complaint`."""
        intent_id, charge_id = intake.text(params, "payment_intent"), intake.text(params, "charge")
        if (intent_id is None) == (charge_id is None):
            message = "One of the following params should be provided for this request: payment_intent or charge."
            raise Complaint(400, message, code="parameter_missing")
        if intent_id is not None:
            charge_id = self._shelf.take(account, intent_id, "payment_intent", param="payment_intent")["latest_charge"]
        charge = None if charge_id is None else self._shelf.take(account, charge_id, "charge", param="charge")
        if charge is None or charge["status"] != "succeeded":
            message = f"This PaymentIntent ({intent_id}) does not have a successful charge to refund."
            raise Complaint(400, message, kept=True)
        if charge["amount_refunded"] >= charge["amount"]:
            message = f"Charge {charge['id']} has already been refunded."
            raise Complaint(400, message, code="charge_already_refunded", kept=True)
        if not charge["captured"]:
            message = f"Charge {charge['id']} has not been captured: cancel its PaymentIntent."
            raise Complaint(400, message, code="payment_intent_unexpected_state", kept=True)
        return charge

    @staticmethod
    def _check_left(charge: Json, amount: int | None) -> None:
        """Raises `Complaint` for more than is left of the charge."""
        left, currency = charge["amount"] - charge["amount_refunded"], charge["currency"]
        if amount is not None and amount > left:
            of_what = "unrefunded amount on charge" if charge["amount_refunded"] else "charge amount"
            message = f"Refund amount ({money(amount, currency)}) is greater than {of_what} ({money(left, currency)})"
            raise Complaint(400, message, param="amount", kept=True)

    def _go_back(self, account: str, charge: Json, refund: Json, key: str) -> None:
        payment = self._ledger.find(account, self._shelf.payment_of(account, charge["payment_intent"]))
        self._ledger.refund(payment, refund["amount"], payment.currency, self._counter.stamp(account, key))
        entry = objects.balance_transaction(refund, -refund["amount"], "refund", self._counter.clock())
        refund.update(status="succeeded", balance_transaction=entry["id"])
        self._payouts.enter(account, entry)

    def _come_again(self, account: str, charge: Json, refund: Json, key: str) -> None:
        """The bank sent it back: the merchant has the money again."""
        payment = self._ledger.find(account, self._shelf.payment_of(account, charge["payment_intent"]))
        self._ledger.take_back(payment, "refund", refund["amount"], self._counter.stamp(account, key))
        entry = objects.balance_transaction(refund, refund["amount"], "refund_failure", self._counter.clock())
        refund.update(
            status="failed", failure_reason="expired_or_canceled_card", failure_balance_transaction=entry["id"]
        )
        set_aside(charge, -refund["amount"])
        self._payouts.enter(account, entry)


def set_aside(charge: Json, amount: int) -> None:
    """Count an amount of a charge as refunded."""
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
