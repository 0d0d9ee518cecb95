"""Checkout Sessions of the Stripe personality: a page where a customer pays once, until it is paid or over.

Mode ``payment`` on Stripe's hosted page alone. The PaymentIntent is made when the customer first tries to pay; a card
that is declined leaves the session open for another one.

https://docs.stripe.com/api/checkout/sessions
"""

from typing import Any, Protocol

from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_intent as rules
from gateways.sandbox.server.vendors import stripe_objects as objects
from gateways.sandbox.server.vendors.stripe_event import Events
from gateways.sandbox.server.vendors.stripe_intake import Complaint
from gateways.sandbox.server.vendors.stripe_item import line_items, total
from gateways.sandbox.server.vendors.stripe_shelf import Shelf

Json = dict[str, Any]

SESSION = "checkout.session"
RUN_OUT = "run_out"
"""The job that ends a session which nobody has paid in time."""
_CARDS = {"pay": "pm_card_visa", "decline": "pm_card_chargeDeclined"}
"""What the customer does on the page -> the test card that is tried."""
_SHORTEST_SECONDS, _LONGEST_SECONDS = 30 * 60, 24 * 3600
_MAX_REFERENCE = 200
_PAID = frozenset({"succeeded", "requires_capture"})
_MODES = ("payment", "setup", "subscription")
_UI_MODES = ("elements", "embedded_page", "form", "hosted_page")
_OLDER_UI_MODES = {"custom": "elements", "embedded": "embedded_page", "hosted": "hosted_page"}
_LOCALES = (
    "auto bg cs da de el en en-GB es es-419 et fi fil fr fr-CA hi-IN hr hu id it ja ko lt lv ms mt nb nl pl pt pt-BR "
    "ro ru sk sl sv th tr vi zh zh-HK zh-TW"
)
_STATUSES = ("complete", "expired", "open")


class Intents(Protocol):
    """The PaymentIntents that sessions are paid with."""

    def create(self, account: str, params: Json, key: str) -> Json:
        """Make one."""

    def pay(self, account: str, intent_id: str, params: Json, key: str) -> Json:
        """Confirm one of a session. Raises `Complaint` for a declined card."""

    def call_off(self, account: str, intent_id: str, reason: str | None, key: str, word: str) -> Json:
        """Cancel one."""


class Checkouts:
    """Sessions of all accounts. Every method but `show` runs inside the caller's transaction."""

    def __init__(self, counter: Counter, shelf: Shelf, events: Events, intents: Intents) -> None:
        self._counter = counter
        self._shelf = shelf
        self._events = events
        self._intents = intents

    def create(self, account: str, params: Json) -> Json:
        """``POST /v1/checkout/sessions``. Raises `Complaint`."""
        _check_kind(params)
        now = self._counter.clock()
        items = line_items(params, now)
        currency, amount = total(items)
        session_id = objects.new_id("cs_test")
        session = _session(params, (currency, amount), {"id": session_id, "created": int(now)})
        session["url"] = f"{self._counter.public_url}/stripe/{account}/c/pay/{session_id}"
        session["expires_at"] = _expiry(params, int(now))
        self._shelf.put(account, session)
        self._shelf.add_items(account, session_id, items)
        self._counter.write(account, "session_intent", session_id, _intent_form(params, currency, amount))
        seconds = session["expires_at"] - now
        self._counter.later(account, RUN_OUT, {"session": session_id}, seconds=seconds)
        return session

    def show(self, account: str, session_id: str) -> Json:
        """``GET /v1/checkout/sessions/{id}``. Raises `Complaint`."""
        with self._counter.transaction():
            return self.visit(account, session_id)

    def list_items(self, account: str, session_id: str, params: Json) -> Json:
        """``GET /v1/checkout/sessions/{id}/line_items``, in the order of the request."""
        session = self._shelf.take(account, session_id, SESSION)
        return self._shelf.list_parts(account, session, "line_items", params)

    def page(self, account: str, params: Json) -> Json:
        """``GET /v1/checkout/sessions``."""
        wanted = {name: intake.text(params, name) for name in ("customer", "payment_intent")}
        wanted["status"] = intake.choice(params, "status", _STATUSES)

        def fits(one: Json) -> bool:
            return all(value is None or one.get(name) == value for name, value in wanted.items())

        return self._shelf.page(account, SESSION, params, "/v1/checkout/sessions", fits)

    def update(self, account: str, session_id: str, params: Json) -> Json:
        """``POST /v1/checkout/sessions/{id}``: metadata."""
        session = self._shelf.take(account, session_id, SESSION)
        session["metadata"] = intake.metadata(params, session["metadata"])
        self._shelf.put(account, session)
        return session

    def expire(self, account: str, session_id: str, key: str) -> Json:
        """``POST /v1/checkout/sessions/{id}/expire``: nobody can pay it any more. Raises `Complaint`."""
        session = self._shelf.take(account, session_id, SESSION)
        if session["status"] != "open":
            message = (
                'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status '
                f"of `{session['status']}`."
            )
            raise Complaint(400, message, kept=True)
        return self._over(account, session, key, "neutralize")

    def run_out(self, account: str, session_id: str) -> None:
        """Its time is over; what was paid stays paid."""
        session = self._shelf.take(account, session_id, SESSION)
        if session["status"] == "open":
            self._over(account, session, "", "authorize")

    def visit(self, account: str, session_id: str) -> Json:
        """The session as a customer finds it who opens its page now. Raises `Complaint`."""
        session = self._shelf.take(account, session_id, SESSION)
        if session["status"] == "open" and session["expires_at"] <= self._counter.clock():
            return self._over(account, session, "", "authorize")
        return session

    def choose(self, account: str, session_id: str, action: str) -> Json:
        """Try a card. Raises `Complaint` 402 for a decline, which has left its traces."""
        session = self.visit(account, session_id)
        if session["status"] != "open":
            return session
        if session["payment_intent"] is None:
            form = self._counter.read(account, "session_intent", session_id) or {}
            intent = self._intents.create(account, form, "")
            session["payment_intent"] = intent["id"]
            self._shelf.put(account, session)
            self._counter.write(account, "session_of", intent["id"], {"session": session_id})
        card = {"payment_method": _CARDS[action], "return_url": session["success_url"]}
        self._intents.pay(account, session["payment_intent"], card, "")
        return self._shelf.take(account, session_id, SESSION)

    def check_free(self, account: str, intent_id: str, done: str) -> None:
        """Raises `Complaint` for a PaymentIntent that an open session will still be paid with."""
        session = self._of(account, intent_id)
        if session is not None and session["status"] == "open":
            message = f"You cannot {done} a PaymentIntent that was created by a Checkout Session which is still open."
            raise Complaint(400, message, code="payment_intent_unexpected_state", kept=True)

    def follow(self, account: str, intent: Json) -> None:
        """A PaymentIntent has changed: what has paid a session completes it."""
        session = self._of(account, intent["id"])
        if session is None or intent["status"] not in _PAID:
            return
        was_open = session["status"] == "open"
        session["payment_status"] = "paid" if intent["status"] == "succeeded" else "unpaid"
        if was_open:
            session.update(status="complete", url=None, customer_details=_CUSTOMER)
        self._shelf.put(account, session)
        if was_open:
            self._events.tell(account, f"{SESSION}.completed", session, "authorize")

    def is_of_session(self, account: str, intent_id: str) -> bool:
        """Whether a PaymentIntent was made by a session."""
        return self._counter.read(account, "session_of", intent_id) is not None

    def _of(self, account: str, intent_id: str) -> Json | None:
        found = self._counter.read(account, "session_of", intent_id)
        return None if found is None else self._shelf.take(account, found["session"], SESSION)

    def _over(self, account: str, session: Json, key: str, word: str) -> Json:
        session.update(status="expired", url=None)
        self._shelf.put(account, session)
        if session["payment_intent"] is not None:
            self._intents.call_off(account, session["payment_intent"], "expired", key, word)
        self._events.tell(account, f"{SESSION}.expired", session, word)
        return session


_CUSTOMER: Json = {
    **dict.fromkeys(("address", "business_name", "email", "individual_name", "name", "phone", "tax_exempt")),
    "tax_ids": [],
}


def _check_kind(params: Json) -> None:
    """Raises `Complaint` for what is no payment on Stripe's own page."""
    mode = intake.choice({"mode": intake.required(params, "mode")}, "mode", _MODES)
    if mode != "payment":
        raise Complaint(400, f"This sandbox has no Checkout Sessions in `{mode}` mode.", param="mode")
    asked = intake.text(params, "ui_mode") or "hosted_page"
    ui_mode = intake.choice({"ui_mode": _OLDER_UI_MODES.get(asked, asked)}, "ui_mode", _UI_MODES)
    if ui_mode != "hosted_page":
        raise Complaint(400, f"This sandbox has no Checkout Sessions with `ui_mode: {ui_mode}`.", param="ui_mode")
    intake.required(params, "success_url")
    for name in ("success_url", "cancel_url"):
        intake.url(params, name)


def _expiry(params: Json, now: int) -> int:
    """Unix seconds. Raises `Complaint`."""
    asked = intake.amount(params, "expires_at")
    if asked is None:
        return now + _LONGEST_SECONDS
    bound = "at least 30 minutes" if asked < now + _SHORTEST_SECONDS else "less than 24 hours"
    if not now + _SHORTEST_SECONDS <= asked <= now + _LONGEST_SECONDS:
        message = f"The `expires_at` timestamp must be {bound} from Checkout Session creation."
        raise Complaint(400, message, param="expires_at")
    return asked


def _method_types(params: Json) -> list[str]:
    """Raises `Complaint` for any but cards."""
    found = intake.method_types(params) or ["card"]
    if set(found) != {"card"}:
        message = (
            f"This sandbox has Checkout Sessions for cards only, not for {', '.join(sorted({*found} - {'card'}))}."
        )
        raise Complaint(400, message, param="payment_method_types")
    return found


def _intent_form(params: Json, currency: str, amount: int) -> Json:
    """The request that will make the PaymentIntent. Raises `Complaint`."""
    given = params.get("payment_intent_data", {})
    if not isinstance(given, dict):
        raise Complaint(400, "Invalid object", param="payment_intent_data")
    fixed = {"amount": str(amount), "currency": currency, "payment_method_types": ["card"]}
    customer = {"customer": params["customer"]} if "customer" in params else {}
    form = {**given, "metadata": intake.metadata(given), **customer, **fixed}
    rules.check_descriptor(rules.chosen(form, {}))
    return form


def _session(params: Json, price: tuple[str, int], fixed: Json) -> Json:
    """A session that nobody has paid."""
    currency, amount = price
    adaptive = params.get("adaptive_pricing")
    allowed = intake.words(params, "allowed_payment_method_types")
    return {
        "id": fixed["id"],
        "object": SESSION,
        "adaptive_pricing": {"enabled": isinstance(adaptive, dict) and intake.flag(adaptive, "enabled")},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "allowed_payment_method_types": allowed or None,
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": intake.text(params, "cancel_url"),
        "client_reference_id": intake.text(params, "client_reference_id", _MAX_REFERENCE),
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": fixed["created"],
        "currency": currency,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")),
        "customer": intake.text(params, "customer"),
        "customer_account": None,
        "customer_creation": "if_required",
        "customer_details": None,
        "customer_email": intake.email(params, "customer_email"),
        "discounts": [],
        "expires_at": fixed["created"],
        "invoice": None,
        "invoice_creation": None,
        "livemode": False,
        "locale": intake.choice(params, "locale", tuple(_LOCALES.split())),
        "metadata": intake.metadata(params),
        "mode": "payment",
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": _method_types(params),
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": intake.text(params, "submit_type"),
        "subscription": None,
        "success_url": intake.text(params, "success_url"),
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": None,
        "wallet_options": None,
    }
