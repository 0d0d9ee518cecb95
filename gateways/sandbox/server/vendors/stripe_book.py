"""The Stripe personality's PaymentIntents over the sandbox's ledger: what each request does to them.

Every method runs inside the caller's transaction. A `Complaint` that is ``kept`` has left its effect (a declined
payment); any other is raised before anything is written.
"""

from typing import Any

from gateways.sandbox.server.ledger import Charge
from gateways.sandbox.server.payment import Payment, Status
from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_intent as rules
from gateways.sandbox.server.vendors import stripe_objects as objects
from gateways.sandbox.server.vendors.stripe_checkout import Checkouts
from gateways.sandbox.server.vendors.stripe_event import Events
from gateways.sandbox.server.vendors.stripe_instrument import declined
from gateways.sandbox.server.vendors.stripe_intake import Complaint
from gateways.sandbox.server.vendors.stripe_payout import Payouts
from gateways.sandbox.server.vendors.stripe_person import People
from gateways.sandbox.server.vendors.stripe_refund import Refunds
from gateways.sandbox.server.vendors.stripe_shelf import Shelf
from gateways.sandbox.server.vendors.stripe_till import Till

_REFERENCES = ("attempt", "order_id")
"""Metadata in which merchants keep their own reference; the first that is there names the payment in the ledger."""

Json = dict[str, Any]


class Book:
    """All PaymentIntents of all accounts, and the rooms beside: sessions, refunds, customers, charges, events."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._ledger = counter.ledger
        self.shelf = Shelf(counter)
        self.events = Events(counter, self.shelf)
        self.people = People(counter, self.shelf, self.events)
        self.payouts = Payouts(counter, self.shelf, self.events)
        self.till = Till(counter, self.shelf, self.events, self.payouts)
        self.refunds = Refunds(counter, self.shelf, self.events, self.payouts)
        self.checkouts = Checkouts(counter, self.shelf, self.events, self)

    def create(self, account: str, params: Json, key: str) -> Json:
        """``POST /v1/payment_intents``, with ``confirm`` its confirmation too."""
        currency = intake.currency(params)
        intake.required(params, "amount")
        amount = intake.amount(params, "amount", currency)
        confirm = intake.flag(params, "confirm")
        rules.check_new(params, confirm=confirm)
        chosen = rules.chosen(params, {})
        chosen["customer"] = self.people.check_customer(account, params)
        method = self.people.method_for(account, params)
        intent = objects.payment_intent(amount or 0, currency, chosen, self._counter.clock())
        rules.choose_method(intent, method)
        rules.check_descriptor(intent)
        if confirm:
            rules.check_way_back(intent, params)
        self.shelf.put(account, intent)
        self.shelf.index(account, intent)
        self.events.tell(account, "payment_intent.created", intent, "authorize")
        return self._pay(account, intent, params, key) if confirm else intent

    def update(self, account: str, intent_id: str, params: Json, key: str) -> Json:
        """``POST /v1/payment_intents/{id}``: anything before it is paid, words only afterwards."""
        before = self.shelf.take(account, intent_id, "payment_intent")
        rules.check_update(before, params)
        intent = {**before, **rules.chosen(params, before)}
        if "currency" in params:
            intent["currency"] = intake.currency(params)
        if "amount" in params:
            intent["amount"] = intake.amount(params, "amount", intent["currency"])
        if "customer" in params:
            intent["customer"] = self.people.check_customer(account, params)
        method = self.people.method_for(account, params)
        if before["status"] == "requires_action" and rules.changes_payment(params):
            payment = self._ledger.find(account, self.shelf.payment_of(account, intent_id))
            self._ledger.cancel(payment, self._counter.stamp(account, key))
            intent.update(status="requires_confirmation", next_action=None)
        rules.choose_method(intent, method)
        rules.check_descriptor(intent)
        self.shelf.put(account, intent)
        self.shelf.index(account, intent)
        return intent

    def page(self, account: str, params: Json) -> Json:
        """``GET /v1/payment_intents``."""
        customer = intake.text(params, "customer")
        return self.shelf.page(
            account,
            "payment_intent",
            params,
            "/v1/payment_intents",
            lambda one: customer in {None, one["customer"]},
        )

    def confirm(self, account: str, intent_id: str, params: Json, key: str) -> Json:
        """``POST /v1/payment_intents/{id}/confirm``."""
        self.checkouts.check_free(account, intent_id, "confirm")
        return self.pay(account, intent_id, params, key)

    def pay(self, account: str, intent_id: str, params: Json, key: str) -> Json:
        """Confirm, by whoever may. Raises `Complaint`."""
        intent = self.shelf.take(account, intent_id, "payment_intent")
        rules.check_confirmable(intent)
        intent.update(rules.chosen(params, intent))
        rules.choose_method(intent, self.people.method_for(account, params))
        rules.check_descriptor(intent)
        rules.check_way_back(intent, params)
        return self._pay(account, intent, params, key)

    def capture(self, account: str, intent_id: str, params: Json, key: str) -> Json:
        """``POST /v1/payment_intents/{id}/capture``: once; what is left is released."""
        intent = self.shelf.take(account, intent_id, "payment_intent")
        rules.check_capturable(intent)
        intent.update(rules.texts(params))
        rules.check_descriptor(intent)
        amount = intake.amount(params, "amount_to_capture") or intent["amount_capturable"]
        rules.check_capture(intent, amount, final=intake.flag(params, "final_capture", default=True))
        charge = self.shelf.take(account, intent["latest_charge"], "charge")
        before = dict(charge)
        payment = self._ledger.find(account, self.shelf.payment_of(account, intent_id))
        payment = self._ledger.capture(payment, amount, payment.currency, self._counter.stamp(account, key))
        rest = payment.held
        if rest:
            self._ledger.void(payment, self._counter.stamp(account, key))
            self.refunds.release(account, charge, rest)
        self._taken(account, intent, charge, amount)
        intent["metadata"] = intake.metadata(params, intent["metadata"])
        self.shelf.put(account, charge, intent)
        self.shelf.index(account, intent)
        self.events.tell(account, "charge.captured", charge, "capture", before)
        self.events.tell(account, "payment_intent.succeeded", intent, "capture")
        self.checkouts.follow(account, intent)
        return intent

    def capture_charge(self, account: str, charge_id: str, params: Json, key: str) -> Json:
        """``POST /v1/charges/{id}/capture``: of its PaymentIntent."""
        intent_id = self.shelf.take(account, charge_id, "charge")["payment_intent"]
        self.capture(account, intent_id, {**params, "amount_to_capture": params.get("amount")}, key)
        return self.shelf.take(account, charge_id, "charge")

    def cancel(self, account: str, intent_id: str, params: Json, key: str) -> Json:
        """``POST /v1/payment_intents/{id}/cancel``."""
        reason = intake.choice(params, "cancellation_reason", rules.CANCELLATIONS)
        self.checkouts.check_free(account, intent_id, "cancel")
        return self.call_off(account, intent_id, reason, key, "neutralize" if reason == "abandoned" else "void")

    def call_off(self, account: str, intent_id: str, reason: str | None, key: str, word: str) -> Json:
        """Cancel, by whoever may; ``word``: what it is for the sandbox's faults. Raises `Complaint`."""
        intent = self.shelf.take(account, intent_id, "payment_intent")
        rules.check_cancellable(intent)
        held = intent["status"] == "requires_capture"
        waiting = intent["status"] in {"requires_action", "processing"}
        if held or waiting:
            payment = self._ledger.find(account, self.shelf.payment_of(account, intent_id))
            stamp = self._counter.stamp(account, key)
            payment = self._ledger.void(payment, stamp) if held else self._ledger.cancel(payment, stamp)
        if held:
            charge = self.shelf.take(account, intent["latest_charge"], "charge")
            before = dict(charge)
            self.refunds.release(account, charge, intent["amount"])
            self.shelf.put(account, charge)
            self.events.tell(account, "charge.refunded", charge, word, before)
        now = int(self._counter.clock())
        intent.update(status="canceled", canceled_at=now, cancellation_reason=reason, amount_capturable=0)
        intent.update(next_action=None, processing=None)
        self.shelf.put(account, intent)
        self.events.tell(account, "payment_intent.canceled", intent, word)
        return intent

    def decided(self, payment: Payment, now: float) -> None:
        """An authorization has its result, at once or later."""
        account = payment.account
        intent_id, alone = self.shelf.intent_of_payment(account, payment.merchant_ref)
        intent = self.shelf.take(account, intent_id, "payment_intent")
        self.shelf.link_payment(account, intent_id, payment.reference)
        if payment.status is Status.REQUIRES_ACTION:
            self._ask_customer(account, intent, alone=alone)
            return
        charge = self._charge_for(account, intent, now)
        instrument = self.shelf.instrument_of(account, charge["payment_method"])
        intent.update(latest_charge=charge["id"], next_action=None, processing=None)
        match payment.status:
            case Status.PROCESSING:
                intent.update(status="processing", processing={"card": {}, "type": "card"})
                words = ("charge.pending", "payment_intent.processing")
            case Status.DECLINED:
                code = "authentication_required" if alone else instrument.decline or payment.decline or ""
                self._declined(account, intent, charge, declined(code), instrument.risk)
                words = ("charge.failed", "payment_intent.payment_failed")
            case Status.AUTHORIZED:
                charge.update(status="succeeded", paid=True, outcome=objects.outcome(None, instrument.risk))
                intent.update(status="requires_capture", amount_capturable=intent["amount"])
                words = ("charge.succeeded", "payment_intent.amount_capturable_updated")
            case _:
                charge.update(status="succeeded", paid=True, outcome=objects.outcome(None, instrument.risk))
                self._taken(account, intent, charge, intent["amount"])
                words = ("charge.succeeded", "payment_intent.succeeded")
        self.shelf.put(account, charge, intent)
        for word, about in zip(words, (charge, intent), strict=True):
            self.events.tell(account, word, about, "authorize")
        self.checkouts.follow(account, intent)

    def _pay(self, account: str, intent: Json, params: Json, key: str) -> Json:
        """Confirm: the ledger decides, `decided` writes it down. Raises `Complaint` 402 for a decline."""
        if intent["payment_method"] is None:
            raise rules.no_method(intent)
        method = self.shelf.take(account, intent["payment_method"], "payment_method")
        rules.check_owner(intent, method)
        self._keep_for_customer(account, intent, method)
        instrument = self.shelf.instrument_of(account, method["id"])
        self.shelf.put(account, intent)
        token = (instrument.off_session if rules.is_off_session(params) else None) or instrument.token
        asks_first = token == _ASKS
        alone = asks_first and (intake.flag(params, "error_on_requires_action") or rules.is_off_session(params))
        merchant_ref = self._reference(account, intent)
        self.shelf.expect_payment(account, merchant_ref, intent["id"], alone=alone)
        self.shelf.send_back_to(account, intent["id"], intake.text(params, "return_url"))
        ordered = Charge(
            merchant_ref=merchant_ref,
            amount=intent["amount"],
            currency=intent["currency"].upper(),
            method="card",
            token=token,
            capture_now=intent["capture_method"] != "manual",
            reference_reusable=self.checkouts.is_of_session(account, intent["id"]),
        )
        payment = self._ledger.authorize(ordered, self._counter.stamp(account, key))
        if payment.status is Status.REQUIRES_ACTION and alone:
            self._ledger.decide(payment, self._counter.stamp(account, key), approve=False)
        intent = self.shelf.take(account, intent["id"], "payment_intent")
        if intent["status"] == "requires_payment_method":
            error = dict(intent["last_payment_error"])
            raise Complaint(402, error.pop("message"), kept=True, **error, payment_intent=intent)
        return intent

    def _keep_for_customer(self, account: str, intent: Json, method: Json) -> None:
        """A payment method that is to be used again belongs to the customer from now on."""
        if intent["setup_future_usage"] and intent["customer"] and method["customer"] is None:
            self.people.attach(account, method["id"], {"customer": intent["customer"]})

    def _reference(self, account: str, intent: Json) -> str:
        """What the ledger calls the payment: the merchant's own reference, as long as nobody else has it.

        The cards that were tried on the page of one session are payments under one reference.
        """
        named = [intent["metadata"][name] for name in _REFERENCES if name in intent["metadata"]]
        if (
            named
            and self._payer(account, named[0]) == intent["id"]
            and self.checkouts.is_of_session(account, intent["id"])
        ):
            return str(named[0])
        for reference in (*named, intent["id"]):
            if self._ledger.find_by_merchant_ref(account, reference) is None:
                return str(reference)
        return objects.new_id(intent["id"])

    def _payer(self, account: str, merchant_ref: str) -> str | None:
        known = self._ledger.find_by_merchant_ref(account, merchant_ref)
        return None if known is None else self.shelf.intent_of_payment(account, merchant_ref)[0]

    def _ask_customer(self, account: str, intent: Json, *, alone: bool) -> None:
        """Wait for the customer to authenticate; nobody is told of it if the payment is refused for that at once."""
        url = f"{self._counter.public_url}/stripe/{account}/authenticate/{intent['id']}"
        intent.update(status="requires_action", next_action=rules.next_action(url, self._return_url(account, intent)))
        self.shelf.put(account, intent)
        if not alone:
            self.events.tell(account, "payment_intent.requires_action", intent, "authorize")

    def _return_url(self, account: str, intent: Json) -> str | None:
        return self.shelf.return_url(account, intent["id"])

    def _declined(self, account: str, intent: Json, charge: Json, said: Json, risk: str) -> None:
        method = self.shelf.take(account, charge["payment_method"], "payment_method")
        error = {**said, "charge": charge["id"], "payment_method": method}
        charge.update(status="failed", failure_code=error["code"], failure_message=error["message"])
        charge["outcome"] = objects.outcome(error, risk)
        intent.update(status="requires_payment_method", payment_method=None, last_payment_error=error)

    def _charge_for(self, account: str, intent: Json, now: float) -> Json:
        """The charge that waits for its result, or a new one."""
        if intent["latest_charge"] is not None:
            charge = self.shelf.take(account, intent["latest_charge"], "charge")
            if charge["status"] == "pending":
                return charge
        method = self.shelf.take(account, intent["payment_method"], "payment_method")
        return objects.charge(intent, method, now)

    def _taken(self, account: str, intent: Json, charge: Json, amount: int) -> None:
        entry = objects.balance_transaction(charge, amount, "charge", self._counter.clock())
        if self.shelf.instrument_of(account, charge["payment_method"]).settled:
            entry.update(available_on=entry["created"], status="available")
        charge.update(captured=True, amount_captured=amount, balance_transaction=entry["id"])
        intent.update(status="succeeded", amount_received=amount, amount_capturable=0)
        self.payouts.enter(account, entry)


_ASKS = "tok_3ds"
