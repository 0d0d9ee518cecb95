"""What the Stripe personality tells of money that has moved: charges and the balance."""

from typing import Any

from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_objects as objects
from gateways.sandbox.server.vendors.stripe_event import Events
from gateways.sandbox.server.vendors.stripe_payout import Payouts
from gateways.sandbox.server.vendors.stripe_shelf import Shelf, is_like

Json = dict[str, Any]


class Till:
    """Charges and balance transactions of all accounts."""

    def __init__(self, counter: Counter, shelf: Shelf, events: Events, payouts: Payouts) -> None:
        self._counter = counter
        self._shelf = shelf
        self._events = events
        self._payouts = payouts

    def list_charges(self, account: str, params: Json) -> Json:
        """``GET /v1/charges``."""
        wanted = {name: intake.text(params, name) for name in ("customer", "payment_intent", "transfer_group")}
        return self._shelf.page(account, "charge", params, "/v1/charges", lambda one: is_like(one, wanted))

    def update_charge(self, account: str, charge_id: str, params: Json) -> Json:
        """``POST /v1/charges/{id}``."""
        before = self._shelf.take(account, charge_id, "charge")
        said: Json = {name: intake.text(params, name) for name in ("description", "receipt_email") if name in params}
        charge = {**before, **said, "metadata": intake.metadata(params, before["metadata"])}
        if "shipping" in params:
            charge["shipping"] = intake.shipping(params)
        self._shelf.put(account, charge)
        self._events.tell(account, "charge.updated", charge, "charge", before)
        return charge

    def take_transaction(self, account: str, transaction_id: str) -> Json:
        """``GET /v1/balance_transactions/{id}``."""
        return self._settled(self._shelf.take(account, transaction_id, "balance_transaction"))

    def list_balance(self, account: str, params: Json) -> Json:
        """``GET /v1/balance_transactions``; of a ``payout``: what it is made of, and itself."""
        wanted = {name: intake.text(params, name) for name in ("type", "currency", "source")}
        payout = intake.text(params, "payout")
        if payout is not None:
            self._shelf.take(account, payout, "payout", param="payout")

        def fits(one: Json) -> bool:
            return is_like(one, wanted) and (payout is None or self._payouts.payout_of(account, one["id"]) == payout)

        found = self._shelf.page(account, "balance_transaction", params, "/v1/balance_transactions", fits)
        return {**found, "data": [self._settled(one) for one in found["data"]]}

    def balance(self, account: str) -> Json:
        """``GET /v1/balance``: what has moved, available once it has settled."""
        sums: dict[str, tuple[int, int]] = {}
        for one in self._shelf.newest(account, "balance_transaction"):
            available, pending = sums.get(one["currency"], (0, 0))
            if self._settled(one)["status"] == "available":
                available += one["net"]
            else:
                pending += one["net"]
            sums[one["currency"]] = (available, pending)
        return objects.balance(sums or {"usd": (0, 0)})

    def list_disputes(self, account: str, params: Json) -> Json:
        """``GET /v1/disputes``: the sandbox never has any."""
        return self._shelf.page(account, "dispute", params, "/v1/disputes", lambda _: True)

    def _settled(self, transaction: Json) -> Json:
        is_there = transaction["available_on"] <= self._counter.clock()
        return {**transaction, "status": "available" if is_there else "pending"}
