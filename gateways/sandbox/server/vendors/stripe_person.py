"""Customers and payment methods of the Stripe personality."""

from typing import Any

from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_objects as objects
from gateways.sandbox.server.vendors.stripe_event import Events
from gateways.sandbox.server.vendors.stripe_instrument import INSTRUMENTS, Instrument, instrument_of_card
from gateways.sandbox.server.vendors.stripe_intake import Complaint
from gateways.sandbox.server.vendors.stripe_shelf import Shelf

Json = dict[str, Any]

_SAID_OF_CUSTOMERS = ("description", "email", "name", "phone")
_REDISPLAY = ("always", "limited", "unspecified")
_ABOUT = "customer"


class People:
    """Customers, and what they pay with."""

    def __init__(self, counter: Counter, shelf: Shelf, events: Events) -> None:
        self._counter = counter
        self._shelf = shelf
        self._events = events

    def create_customer(self, account: str, params: Json) -> Json:
        """``POST /v1/customers``; a payment method that is named is attached."""
        named = intake.text(params, "payment_method")
        customer = objects.customer(_said_of_customer(params, {}), self._counter.clock())
        self._shelf.put(account, customer)
        self._events.tell(account, "customer.created", customer, _ABOUT)
        if named is not None:
            self.attach(account, named, {"customer": customer["id"]})
        return customer

    def update_customer(self, account: str, customer_id: str, params: Json) -> Json:
        """``POST /v1/customers/{id}``."""
        before = self._living(account, customer_id)
        customer = {**before, **_said_of_customer(params, before["metadata"])}
        self._shelf.put(account, customer)
        self._events.tell(account, "customer.updated", customer, _ABOUT, before)
        return customer

    def delete_customer(self, account: str, customer_id: str) -> Json:
        """``DELETE /v1/customers/{id}``: what is left says only that it is gone."""
        customer = self._living(account, customer_id)
        for method in list(self._methods_of(account, customer_id)):
            self.detach(account, method["id"])
        gone = {"id": customer["id"], "object": "customer", "deleted": True}
        self._shelf.put(account, gone)
        self._events.tell(account, "customer.deleted", customer, _ABOUT)
        return gone

    def list_customers(self, account: str, params: Json) -> Json:
        """``GET /v1/customers``."""
        email = intake.text(params, "email")
        return self._shelf.page(
            account, "customer", params, "/v1/customers", lambda one: email in {None, one.get("email")}
        )

    def check_customer(self, account: str, params: Json) -> str | None:
        """The customer that a request names. Raises `Complaint` for one that there is not."""
        customer_id = intake.text(params, "customer")
        if customer_id is not None:
            self._living(account, customer_id, param="customer")
        return customer_id

    def create_method(self, account: str, params: Json) -> Json:
        """``POST /v1/payment_methods`` with a test card's number, or a test token."""
        if intake.required(params, "type") != "card":
            raise Complaint(400, "The sandbox makes payment methods of the type card only.", param="type")
        now = self._counter.clock()
        instrument, month, year = instrument_of_card(intake.required(params, "card"), now)
        redisplay = intake.choice(params, "allow_redisplay", _REDISPLAY, "unspecified")
        chosen = {"allow_redisplay": redisplay, "metadata": intake.metadata(params), **_billing(params, None)}
        return self._new_method(account, instrument, chosen, (month or 12, year or 2034))

    def update_method(self, account: str, method_id: str, params: Json) -> Json:
        """``POST /v1/payment_methods/{id}``."""
        before = self._shelf.take(account, method_id, "payment_method")
        method = {
            **before,
            "allow_redisplay": intake.choice(params, "allow_redisplay", _REDISPLAY, before["allow_redisplay"]),
            "metadata": intake.metadata(params, before["metadata"]),
            **_billing(params, before["billing_details"]),
        }
        self._shelf.put(account, method)
        self._events.tell(account, "payment_method.updated", method, _ABOUT, before)
        return method

    def attach(self, account: str, method_id: str, params: Json) -> Json:
        """``POST /v1/payment_methods/{id}/attach`` to a customer."""
        customer_id = str(intake.required(params, "customer"))
        self._living(account, customer_id, param="customer")
        method = self._named(account, method_id)
        if method["customer"] not in {None, customer_id}:
            message = "The payment method you provided has already been attached to a customer."
            raise Complaint(400, message)
        method["customer"] = customer_id
        self._shelf.put(account, method)
        self._events.tell(account, "payment_method.attached", method, _ABOUT)
        return method

    def detach(self, account: str, method_id: str) -> Json:
        """``POST /v1/payment_methods/{id}/detach``."""
        before = self._shelf.take(account, method_id, "payment_method")
        if before["customer"] is None:
            message = "The payment method you provided is not attached to a customer so detachment is impossible."
            raise Complaint(400, message)
        method = {**before, "customer": None}
        self._shelf.put(account, method)
        self._events.tell(account, "payment_method.detached", method, _ABOUT, before)
        return method

    def list_methods(self, account: str, params: Json) -> Json:
        """``GET /v1/payment_methods`` of a customer."""
        customer_id = intake.text(params, "customer")
        return self._list_methods(account, customer_id, params, "/v1/payment_methods")

    def methods_of(self, account: str, customer_id: str, params: Json) -> Json:
        """``GET /v1/customers/{id}/payment_methods``."""
        self._living(account, customer_id)
        return self._list_methods(account, customer_id, params, f"/v1/customers/{customer_id}/payment_methods")

    def method_for(self, account: str, params: Json) -> Json | None:
        """The payment method of a payment: named, a test instrument, or described. Raises `Complaint`."""
        described, named = params.get("payment_method_data"), intake.text(params, "payment_method")
        if isinstance(described, dict):
            if named is not None:
                message = "You may only specify one of these parameters: payment_method, payment_method_data."
                raise Complaint(400, message)
            return self.create_method(
                account, {name: value for name, value in described.items() if name != "radar_options"}
            )
        return None if named is None else self._named(account, named)

    def _named(self, account: str, named: str) -> Json:
        found = self._counter.read(account, "payment_method", named)
        if found is not None:
            return found
        instrument = INSTRUMENTS.get(named)
        if instrument is None:
            message = f"No such PaymentMethod: '{named[:60]}'"
            raise Complaint(400, message, code="resource_missing", param="payment_method")
        return self._new_method(account, instrument, {}, (12, 2034))

    def _new_method(self, account: str, instrument: Instrument, chosen: Json, expiry: tuple[int, int]) -> Json:
        card = {
            "brand": instrument.brand,
            "country": instrument.country,
            "funding": instrument.funding,
            "last4": instrument.last4,
            "exp_month": expiry[0],
            "exp_year": expiry[1],
        }
        method = objects.payment_method(card, chosen, self._counter.clock())
        self._shelf.put(account, method)
        self._shelf.remember_instrument(account, method["id"], instrument)
        return method

    def _living(self, account: str, customer_id: str, *, param: str | None = None) -> Json:
        """A customer that was not deleted. Raises `Complaint`."""
        found = self._shelf.take(account, customer_id, "customer", param=param)
        if found.get("deleted"):
            message = f"No such customer: '{customer_id[:60]}'"
            raise Complaint(404 if param is None else 400, message, code="resource_missing", param=param or "id")
        return found

    def _methods_of(self, account: str, customer_id: str) -> list[Json]:
        return [one for one in self._shelf.newest(account, "payment_method") if one["customer"] == customer_id]

    def _list_methods(self, account: str, customer_id: str | None, params: Json, url: str) -> Json:
        kind = intake.text(params, "type")
        return self._shelf.page(
            account,
            "payment_method",
            params,
            url,
            lambda one: customer_id is not None and one["customer"] == customer_id and kind in {None, one["type"]},
        )


def _said_of_customer(params: Json, metadata: dict[str, str]) -> Json:
    said: Json = {name: intake.text(params, name) for name in _SAID_OF_CUSTOMERS if name in params}
    if "address" in params:
        said["address"] = intake.address(params) if params["address"] else None
    if "shipping" in params:
        said["shipping"] = intake.shipping(params)
    return {**said, "metadata": intake.metadata(params, metadata)}


def _billing(params: Json, before: Json | None) -> Json:
    """``billing_details``, laid over what is known ``before``."""
    details = before or objects.billing_details()
    given = params.get("billing_details")
    if not isinstance(given, dict):
        return {"billing_details": details}
    address = intake.address(given) if "address" in given else details["address"]
    return {"billing_details": {**details, **given, "address": address}}
