"""What may be done with a PaymentIntent in which state, in Stripe's words. Pure.

https://docs.stripe.com/payments/paymentintents/lifecycle
"""

from typing import Any

from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_objects as objects
from gateways.sandbox.server.vendors.stripe_intake import Complaint

Json = dict[str, Any]

CANCELLATIONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")
_CANCELLABLE = (
    "requires_payment_method",
    "requires_capture",
    "requires_confirmation",
    "requires_action",
    "processing",
)
_CONFIRMABLE = ("requires_payment_method", "requires_confirmation")
_UPDATABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
_CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
_CONFIRMATIONS = ("automatic", "manual")
_REDIRECTS = ("always", "never")
_USAGES = ("off_session", "on_session")
_TEXTS = {
    "description": 1000,
    "on_behalf_of": None,
    "statement_descriptor": 22,
    "statement_descriptor_suffix": 22,
    "transfer_group": None,
}
"""How long they may be."""
_ONLY_CONFIRMED = ("off_session", "return_url")
_ALWAYS = frozenset({"description", "expand", "metadata", "receipt_email", "shipping", "transfer_group"})
"""What may be said of a PaymentIntent that has been paid or canceled, too."""


def chosen(params: Json, before: Json) -> Json:
    """The fields of a PaymentIntent that a request states; ``before``: the PaymentIntent, or empty for a new one."""
    said = texts(params)
    if "metadata" in params or not before:
        said["metadata"] = intake.metadata(params, before.get("metadata"))
    if "shipping" in params:
        said["shipping"] = intake.shipping(params)
    for name, allowed in (
        ("capture_method", _CAPTURE_METHODS),
        ("confirmation_method", _CONFIRMATIONS),
        ("setup_future_usage", _USAGES),
    ):
        if name in params:
            value = intake.choice(params, name, allowed)
            if value is not None or name == "setup_future_usage":
                said[name] = value
    types = intake.method_types(params)
    if types is not None:
        said["payment_method_types"] = types
        if before:
            said["automatic_payment_methods"] = None
    automatic = params.get("automatic_payment_methods")
    if isinstance(automatic, dict) or (not before and types is None):
        said["automatic_payment_methods"] = _automatic(automatic, types)
    return said


def texts(params: Json) -> Json:
    """The words that a request states. Raises `Complaint` for one that is too long."""
    said: Json = {name: intake.text(params, name, most) for name, most in _TEXTS.items() if name in params}
    if "receipt_email" in params:
        said["receipt_email"] = intake.email(params, "receipt_email")
    return said


def check_descriptor(intent: Json) -> None:
    """Raises `Complaint` for a PaymentIntent that says on a card's statement what only others' may say."""
    is_of_cards = intent.get("automatic_payment_methods") is None and "card" in intent["payment_method_types"]
    if intent.get("statement_descriptor") and (is_of_cards or intent.get("payment_method")):
        message = (
            "The `statement_descriptor` parameter is not supported for the `card` payment method type. Please use "
            "`statement_descriptor_suffix` instead."
        )
        raise Complaint(400, message, param="statement_descriptor")


def check_new(params: Json, *, confirm: bool) -> None:
    """Raises `Complaint` for what only the confirmation of a PaymentIntent can say."""
    for name in _ONLY_CONFIRMED:
        if name in params and not confirm:
            message = f"The parameter `{name}` cannot be passed when creating a PaymentIntent unless confirm is true."
            raise Complaint(400, message, code="parameter_invalid", param=name)


def check_way_back(intent: Json, params: Json) -> None:
    """Raises `Complaint` if a customer might be sent away and nobody has said rightly where to come back to."""
    back = intake.url(params, "return_url", of_app=True)
    automatic = intent["automatic_payment_methods"]
    might_leave = automatic is not None and automatic["allow_redirects"] == "always"
    stays = intake.flag(params, "use_stripe_sdk") or is_off_session(params)
    if might_leave and not stays and back is None:
        message = (
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of "
            "these payment methods might redirect your customer off of your page, you must provide a `return_url`. If "
            "you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to "
            "`true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and "
            "Payment Intents."
        )
        raise Complaint(400, message)


def is_off_session(params: Json) -> bool:
    """Whether the customer is not there: ``off_session`` is true, or the older ``one_off`` or ``recurring``."""
    if params.get("off_session") in {"one_off", "recurring"}:
        return True
    return intake.flag(params, "off_session")


def choose_method(intent: Json, method: Json | None) -> None:
    """The PaymentIntent is to be paid with this, if there is one."""
    if method is None:
        return
    intent["payment_method"] = method["id"]
    if intent["status"] == "requires_payment_method":
        intent["status"] = "requires_confirmation"


def changes_payment(params: Json) -> bool:
    """Whether an update says more than words."""
    return not set(params) <= _ALWAYS


def check_update(intent: Json, params: Json) -> None:
    """Raises `Complaint` for what cannot be changed any more."""
    changed = sorted(set(params) - _ALWAYS)
    if changed and intent["status"] not in _UPDATABLE:
        message = (
            f"This PaymentIntent's {changed[0]} could not be updated because it has a status of {intent['status']}. "
            f"You may only update the {changed[0]} of a PaymentIntent with one of the following statuses: "
            f"{', '.join(_UPDATABLE)}."
        )
        raise _unexpected(intent, message)


def check_confirmable(intent: Json) -> None:
    """Raises `Complaint`."""
    if intent["status"] == "succeeded":
        message = (
            "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."
        )
        raise _unexpected(intent, message)
    if intent["status"] not in _CONFIRMABLE:
        raise _unexpected(
            intent, f"You cannot confirm this PaymentIntent because {_only(intent, 'confirmed', _CONFIRMABLE)}"
        )


def check_capturable(intent: Json) -> None:
    """Raises `Complaint`."""
    if intent["status"] == "succeeded":
        raise _unexpected(intent, "This PaymentIntent could not be captured because it has already been captured.")
    if intent["status"] != "requires_capture":
        why = _only(intent, "captured", ("requires_capture",))
        raise _unexpected(intent, f"This PaymentIntent could not be captured because {why}")


def check_capture(intent: Json, amount: int, *, final: bool) -> None:
    """Raises `Complaint` for more than is held, and for a capture that is not the last."""
    if not final:
        message = "You can only set `final_capture` to `false` when multicapture is available for the PaymentIntent."
        raise Complaint(400, message, param="final_capture")
    if amount > intent["amount_capturable"]:
        message = (
            "The payment could not be captured because the requested capture amount is greater than the amount you "
            "can capture for this charge. If you are trying to collect a tip or over-capture, your account might not "
            "be configured for those features. Contact us via https://support.stripe.com/contact/"
        )
        named = {"code": "amount_too_large", "param": "amount_to_capture", "payment_intent": intent}
        raise Complaint(400, message, kept=True, **named)


def check_cancellable(intent: Json) -> None:
    """Raises `Complaint`."""
    if intent["status"] not in _CANCELLABLE:
        raise _unexpected(
            intent, f"You cannot cancel this PaymentIntent because {_only(intent, 'canceled', _CANCELLABLE)}"
        )


def check_owner(intent: Json, method: Json) -> None:
    """A payment method of a customer pays only for that customer. Raises `Complaint`."""
    if method["customer"] is None or method["customer"] == intent["customer"]:
        return
    if intent["customer"] is None:
        message = (
            f"The provided PaymentMethod belongs to the Customer {method['customer']}. Please include the Customer in "
            "the `customer` parameter on the PaymentIntent."
        )
    else:
        message = f"The customer does not have a payment method with the ID {method['id']}."
    raise Complaint(400, message, param="payment_method")


def no_method(intent: Json) -> Complaint:
    """There is nothing to pay with."""
    message = (
        "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
        "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment "
        "method or ConfirmationToken."
    )
    return _unexpected(intent, message)


def next_action(url: str, return_url: str | None) -> Json:
    """Where the customer authenticates: a page that leads back, or without a way back Stripe's own script."""
    if return_url is not None:
        return {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": url}}
    script = {"type": "three_d_secure_redirect", "stripe_js": url, "source": objects.new_id("src")}
    return {"type": "use_stripe_sdk", "use_stripe_sdk": script}


def _automatic(given: Json | None, types: list[str] | None) -> Json | None:
    """``automatic_payment_methods``: on unless types are named or it is switched off."""
    if given is None:
        return {"allow_redirects": "always", "enabled": True}
    if not intake.flag(given, "enabled", default=True):
        return None
    if types is not None:
        message = "You may only specify one of these parameters: automatic_payment_methods, payment_method_types."
        raise Complaint(400, message)
    return {"allow_redirects": intake.choice(given, "allow_redirects", _REDIRECTS, "always"), "enabled": True}


def _only(intent: Json, done: str, allowed: tuple[str, ...]) -> str:
    return (
        f"it has a status of {intent['status']}. Only a PaymentIntent with one of the following statuses may be "
        f"{done}: {', '.join(allowed)}."
    )


def _unexpected(intent: Json, message: str) -> Complaint:
    return Complaint(400, message, code="payment_intent_unexpected_state", payment_intent=intent, kept=True)
