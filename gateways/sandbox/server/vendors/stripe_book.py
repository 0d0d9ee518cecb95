"""The Stripe personality's objects over the sandbox's ledger: what each request does to them.

Every method runs inside the caller's transaction. A `Complaint` that is ``kept`` has left its effect (a declined
payment); any other is raised before anything is written.
"""

import json
from typing import Any

from gateways.sandbox.server.ledger import Charge
from gateways.sandbox.server.payment import Payment, Status
from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_objects as objects
from gateways.sandbox.server.vendors.stripe_instrument import INSTRUMENTS, Instrument, declined, instrument_of_card
from gateways.sandbox.server.vendors.stripe_intake import Complaint
from gateways.sandbox.server.vendors.stripe_shelf import Shelf

_REFERENCES = ("attempt", "order_id")
"""Metadata in which merchants keep their own reference; the first that is there names the payment in the ledger."""
_CANCELLABLE = (
    "requires_payment_method",
    "requires_capture",
    "requires_confirmation",
    "requires_action",
    "processing",
)
_CONFIRMABLE = ("requires_payment_method", "requires_confirmation")
_CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
_CANCELLATIONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
_REASONS = ("duplicate", "fraudulent", "requested_by_customer")
_WHAT_MAY_BE_SAID = ("description", "customer", "receipt_email", "statement_descriptor", "statement_descriptor_suffix")

Json = dict[str, Any]


class Book:
    """All PaymentIntents, charges, refunds and payment methods of all accounts."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._ledger = counter.ledger
        self.shelf = Shelf(counter)

    def create_method(self, account: str, params: Json) -> Json:
        """``POST /v1/payment_methods`` with a test card's number, or a test token."""
        intake.choice(params, "type", ("card",))
        card = intake.required(params, "card")
        instrument = instrument_of_card(card if isinstance(card, dict) else {})
        if instrument is None:
            message = "Your card number is incorrect."
            raise Complaint(402, message, type="card_error", code="incorrect_number", param="number")
        return self._new_method(account, instrument, intake.metadata(params))

    def create(self, account: str, params: Json, key: str) -> Json:
        """``POST /v1/payment_intents``, with ``confirm`` its confirmation too."""
        currency = intake.currency(params)
        intake.required(params, "amount")
        amount = intake.amount(params, "amount", currency)
        confirm = intake.flag(params, "confirm")
        if "return_url" in params and not confirm:
            message = (
                "The parameter `return_url` cannot be passed when creating a PaymentIntent unless confirm is true."
            )
            raise Complaint(400, message, code="parameter_invalid", param="return_url")
        types = intake.words(params, "payment_method_types") or ["card"]
        chosen: Json = {name: intake.text(params, name) for name in _WHAT_MAY_BE_SAID if name in params}
        chosen["capture_method"] = intake.choice(params, "capture_method", _CAPTURE_METHODS, "automatic_async")
        chosen["metadata"] = intake.metadata(params)
        chosen["payment_method_types"] = types
        if "automatic_payment_methods" in params or "payment_method_types" not in params:
            chosen["automatic_payment_methods"] = {"allow_redirects": "always", "enabled": True}
        method = self._method(account, params)
        intent = objects.payment_intent(amount or 0, currency, chosen, self._counter.clock())
        if method is not None:
            intent.update(payment_method=method["id"], status="requires_confirmation")
        self.shelf.put(account, intent)
        self.shelf.index(account, intent)
        self.tell(account, "payment_intent.created", intent, key, "authorize")
        return self._pay(account, intent, params, key) if confirm else intent

    def confirm(self, account: str, intent_id: str, params: Json, key: str) -> Json:
        """``POST /v1/payment_intents/{id}/confirm``."""
        intent = self.shelf.take(account, intent_id, "payment_intent")
        if intent["status"] not in _CONFIRMABLE:
            raise _unexpected("confirm", intent, _CONFIRMABLE)
        method = self._method(account, params)
        if method is not None:
            intent["payment_method"] = method["id"]
        if intent["payment_method"] is None:
            message = "You cannot confirm this PaymentIntent because it's missing a payment method."
            raise Complaint(400, message, code="payment_intent_unexpected_state", payment_intent=intent, kept=True)
        return self._pay(account, intent, params, key)

    def capture(self, account: str, intent_id: str, params: Json, key: str) -> Json:
        """``POST /v1/payment_intents/{id}/capture``: once; what is left is released."""
        intent = self.shelf.take(account, intent_id, "payment_intent")
        if intent["status"] != "requires_capture":
            raise _unexpected("capture", intent, ("requires_capture",))
        amount = intake.amount(params, "amount_to_capture") or intent["amount_capturable"]
        if amount > intent["amount_capturable"]:
            message = "The requested capture amount is greater than the amount you can capture for this charge."
            named = {"code": "amount_too_large", "param": "amount_to_capture", "payment_intent": intent}
            raise Complaint(
                400, f"The payment could not be captured because of its amount. {message}", kept=True, **named
            )
        charge = self.shelf.take(account, intent["latest_charge"], "charge")
        payment = self._ledger.find(account, self.shelf.payment_of(account, intent_id))
        payment = self._ledger.capture(payment, amount, payment.currency, self._counter.stamp(account, key))
        rest = payment.held
        if rest:
            self._ledger.void(payment, self._counter.stamp(account, key))
            self._release(account, charge, rest)
        self._taken(account, intent, charge, amount)
        intent["metadata"].update(intake.metadata(params))
        self.shelf.put(account, charge, intent)
        self.tell(account, "charge.captured", charge, key, "capture")
        self.tell(account, "payment_intent.succeeded", intent, key, "capture")
        return intent

    def cancel(self, account: str, intent_id: str, params: Json, key: str) -> Json:
        """``POST /v1/payment_intents/{id}/cancel``."""
        reason = intake.choice(params, "cancellation_reason", _CANCELLATIONS)
        word = "neutralize" if reason == "abandoned" else "void"
        intent = self.shelf.take(account, intent_id, "payment_intent")
        if intent["status"] not in _CANCELLABLE:
            raise _unexpected("cancel", intent, _CANCELLABLE)
        held = intent["status"] == "requires_capture"
        waiting = intent["status"] in {"requires_action", "processing"}
        if held or waiting:
            payment = self._ledger.find(account, self.shelf.payment_of(account, intent_id))
            stamp = self._counter.stamp(account, key)
            payment = self._ledger.void(payment, stamp) if held else self._ledger.cancel(payment, stamp)
        if held:
            charge = self.shelf.take(account, intent["latest_charge"], "charge")
            self._release(account, charge, intent["amount"])
            self.shelf.put(account, charge)
            self.tell(account, "charge.refunded", charge, key, word)
        now = int(self._counter.clock())
        intent.update(status="canceled", canceled_at=now, cancellation_reason=reason, amount_capturable=0)
        intent.update(next_action=None, processing=None)
        self.shelf.put(account, intent)
        self.tell(account, "payment_intent.canceled", intent, key, word)
        return intent

    def refund(self, account: str, params: Json, key: str) -> Json:
        """``POST /v1/refunds`` of a PaymentIntent or a charge."""
        reason = intake.choice(params, "reason", _REASONS)
        metadata = intake.metadata(params)
        amount = intake.amount(params, "amount")
        charge = self._refundable(account, params)
        left = charge["amount"] - charge["amount_refunded"]
        if amount is not None and amount > left:
            message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
            raise Complaint(400, message, param="amount", kept=True)
        now = self._counter.clock()
        refund = objects.refund(charge, amount or left, metadata, reason, now)
        ending = self.shelf.instrument_of(account, charge["payment_method"]).refunds
        if ending == "succeeded":
            self._gone_back(account, charge, refund, key)
        else:
            payload = {"refund": refund["id"], "status": ending, "key": key}
            self._counter.later(account, "refund_ends", payload, seconds=self._counter.pending_seconds)
        self._set_aside(charge, refund["amount"])
        self.shelf.put(account, refund, charge)
        self.shelf.add_refund(account, charge["id"], refund["id"])
        self.tell(account, "refund.created", refund, key, "refund")
        self.tell(account, "charge.refunded", charge, key, "refund")
        return refund

    def end_refund(self, account: str, refund_id: str, status: str, key: str) -> None:
        """A refund that was pending gets its result: the money has gone back, or it has stayed."""
        refund = self.shelf.take(account, refund_id, "refund")
        charge = self.shelf.take(account, refund["charge"], "charge")
        if status == "pending_succeeded":
            self._gone_back(account, charge, refund, key)
        else:
            refund.update(status="failed", failure_reason="expired_or_canceled_card")
            self._set_aside(charge, -refund["amount"])
        self.shelf.put(account, refund, charge)
        kind = "refund.failed" if refund["status"] == "failed" else "refund.updated"
        self.tell(account, kind, refund, key, "refund")

    def decided(self, payment: Payment, now: float) -> None:
        """An authorization has its result, at once or later."""
        account = payment.account
        intent_id = self.shelf.intent_of_payment(account, payment.merchant_ref)
        intent = self.shelf.take(account, intent_id, "payment_intent")
        self.shelf.link_payment(account, intent_id, payment.reference)
        key = payment.idempotency_key
        if payment.status is Status.REQUIRES_ACTION:
            self._ask_customer(account, intent)
            self.shelf.put(account, intent)
            self.tell(account, "payment_intent.requires_action", intent, key, "authorize")
            return
        charge = self._charge_for(account, intent, now)
        intent.update(latest_charge=charge["id"], next_action=None, processing=None)
        match payment.status:
            case Status.PROCESSING:
                intent.update(status="processing", processing={"card": {}, "type": "card"})
                words = ("charge.pending", "payment_intent.processing")
            case Status.DECLINED:
                self._declined(account, intent, charge, payment.decline or "")
                words = ("charge.failed", "payment_intent.payment_failed")
            case Status.AUTHORIZED:
                charge.update(status="succeeded", paid=True, outcome=objects.outcome(None))
                intent.update(status="requires_capture", amount_capturable=intent["amount"])
                words = ("charge.succeeded", "payment_intent.amount_capturable_updated")
            case _:
                charge.update(status="succeeded", paid=True, outcome=objects.outcome(None))
                self._taken(account, intent, charge, intent["amount"])
                words = ("charge.succeeded", "payment_intent.succeeded")
        self.shelf.put(account, charge, intent)
        for word, about in zip(words, (charge, intent), strict=True):
            self.tell(account, word, about, key, "authorize")

    def tell(self, account: str, kind: str, about: Json, key: str, operation: str) -> None:
        """Post an event. ``key``: of the request that caused it."""
        event = objects.event(kind, about, key or None, self._counter.clock())
        self._counter.post(account, event["id"], json.dumps(event), operation)

    def _pay(self, account: str, intent: Json, params: Json, key: str) -> Json:
        """Confirm: the ledger decides, `decided` writes it down. Raises `Complaint` 402 for a decline."""
        if intent["payment_method"] is None:
            message = "You cannot confirm this PaymentIntent because it's missing a payment method."
            raise Complaint(400, message, code="payment_intent_unexpected_state")
        instrument = self.shelf.instrument_of(account, intent["payment_method"])
        self.shelf.put(account, intent)
        merchant_ref = self._reference(account, intent)
        self.shelf.expect_payment(account, merchant_ref, intent["id"], intake.text(params, "return_url"))
        ordered = Charge(
            merchant_ref=merchant_ref,
            amount=intent["amount"],
            currency=intent["currency"].upper(),
            method="card",
            token=instrument.token,
            capture_now=intent["capture_method"] != "manual",
        )
        stamp = self._counter.stamp(account, key)
        payment = self._ledger.authorize(ordered, stamp)
        alone = intake.flag(params, "off_session") or intake.flag(params, "error_on_requires_action")
        if payment.status is Status.REQUIRES_ACTION and alone:
            self._ledger.decide(payment, self._counter.stamp(account, key), approve=False)
        intent = self.shelf.take(account, intent["id"], "payment_intent")
        if intent["status"] == "requires_payment_method":
            error = dict(intent["last_payment_error"])
            raise Complaint(402, error.pop("message"), kept=True, **error, payment_intent=intent)
        return intent

    def _reference(self, account: str, intent: Json) -> str:
        """What the ledger calls the payment: the merchant's own reference, as long as nobody else has it."""
        named = [intent["metadata"][name] for name in _REFERENCES if name in intent["metadata"]]
        for reference in (*named, intent["id"]):
            if self._ledger.find_by_merchant_ref(account, reference) is None:
                return str(reference)
        return objects.new_id(intent["id"])

    def _ask_customer(self, account: str, intent: Json) -> None:
        url = f"{self._counter.public_url}/stripe/{account}/authenticate/{intent['id']}"
        return_url = self.shelf.return_url(account, intent["id"])
        if return_url is None:
            script = {"type": "three_d_secure_redirect", "stripe_js": url, "source": objects.new_id("src")}
            action: Json = {"type": "use_stripe_sdk", "use_stripe_sdk": script}
        else:
            action = {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": url}}
        intent.update(status="requires_action", next_action=action)

    def _declined(self, account: str, intent: Json, charge: Json, code: str) -> None:
        method = self.shelf.take(account, charge["payment_method"], "payment_method")
        error = {**declined(code), "charge": charge["id"], "payment_method": method}
        charge.update(status="failed", failure_code=error["code"], failure_message=error["message"])
        charge["outcome"] = objects.outcome(error)
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
        entry = objects.balance_transaction(charge, amount, self._counter.clock())
        charge.update(captured=True, amount_captured=amount, balance_transaction=entry["id"])
        intent.update(status="succeeded", amount_received=amount, amount_capturable=0)
        self.shelf.put(account, entry)

    def _release(self, account: str, charge: Json, amount: int) -> None:
        """What is not captured stands as a refund of the charge that moves nothing in the balance."""
        refund = objects.refund(charge, amount, {}, None, self._counter.clock())
        refund["status"] = "succeeded"
        self._set_aside(charge, amount)
        self.shelf.put(account, refund)
        self.shelf.add_refund(account, charge["id"], refund["id"])

    def _refundable(self, account: str, params: Json) -> Json:
        """The captured charge that a refund is for. Raises `Complaint`."""
        intent_id, charge_id = intake.text(params, "payment_intent"), intake.text(params, "charge")
        if (intent_id is None) == (charge_id is None):
            message = "One of the following params should be provided for this request: payment_intent or charge."
            raise Complaint(400, message, code="parameter_missing")
        if intent_id is not None:
            charge_id = self.shelf.take(account, intent_id, "payment_intent", param="payment_intent")["latest_charge"]
        charge = None if charge_id is None else self.shelf.take(account, charge_id, "charge", param="charge")
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

    def _gone_back(self, account: str, charge: Json, refund: Json, key: str) -> None:
        payment = self._ledger.find(account, self.shelf.payment_of(account, charge["payment_intent"]))
        self._ledger.refund(payment, refund["amount"], payment.currency, self._counter.stamp(account, key))
        entry = objects.balance_transaction(refund, -refund["amount"], self._counter.clock())
        refund.update(status="succeeded", balance_transaction=entry["id"])
        self.shelf.put(account, entry)

    @staticmethod
    def _set_aside(charge: Json, amount: int) -> None:
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]

    def _method(self, account: str, params: Json) -> Json | None:
        """The payment method of a request: one that was made before, or a test instrument. Raises `Complaint`."""
        named = intake.text(params, "payment_method")
        if named is None:
            return None
        found = self._counter.read(account, "payment_method", named)
        if found is not None:
            return found
        instrument = INSTRUMENTS.get(named)
        if instrument is None:
            message = f"No such PaymentMethod: '{named[:60]}'"
            raise Complaint(400, message, code="resource_missing", param="payment_method")
        return self._new_method(account, instrument, {})

    def _new_method(self, account: str, instrument: Instrument, metadata: dict[str, str]) -> Json:
        method = objects.payment_method(instrument.last4, metadata, self._counter.clock())
        self.shelf.put(account, method)
        self.shelf.remember_instrument(account, method["id"], instrument)
        return method


def _unexpected(verb: str, intent: Json, allowed: tuple[str, ...]) -> Complaint:
    message = (
        f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}. Only a PaymentIntent "
        f"with one of the following statuses may be used: {', '.join(allowed)}."
    )
    return Complaint(400, message, code="payment_intent_unexpected_state", payment_intent=intent, kept=True)
