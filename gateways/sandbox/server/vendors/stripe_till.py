"""What the Stripe personality tells of money that has moved: charges, the balance, and that nothing is paid out."""

from typing import Any

from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_objects as objects
from gateways.sandbox.server.vendors.stripe_event import Events
from gateways.sandbox.server.vendors.stripe_shelf import Shelf

Json = dict[str, Any]


class Till:
    """Charges and balance transactions of all accounts."""

    def __init__(self, counter: Counter, shelf: Shelf, events: Events) -> None:
        self._counter = counter
        self._shelf = shelf
        self._events = events

    def list_charges(self, account: str, params: Json) -> Json:
        """``GET /v1/charges``."""
        wanted = {name: intake.text(params, name) for name in ("customer", "payment_intent", "transfer_group")}
        return self._shelf.page(account, "charge", params, "/v1/charges", lambda one: _is_like(one, wanted))

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
        """``GET /v1/balance_transactions``. The sandbox pays nothing out, so no payout has any."""
        wanted = {name: intake.text(params, name) for name in ("type", "currency", "source", "payout")}
        found = self._shelf.page(
            account, "balance_transaction", params, "/v1/balance_transactions", lambda one: _is_like(one, wanted)
        )
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

    def list_nothing(self, account: str, params: Json, kind: str) -> Json:
        """A list of what the sandbox never has: payouts, disputes."""
        return self._shelf.page(account, kind, params, f"/v1/{kind}s", lambda _: True)

    def _settled(self, transaction: Json) -> Json:
        is_there = transaction["available_on"] <= self._counter.clock()
        return {**transaction, "status": "available" if is_there else "pending"}


def _is_like(thing: Json, wanted: Json) -> bool:
    return all(value is None or thing.get(name) == value for name, value in wanted.items())
