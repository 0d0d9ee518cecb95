"""How the sandbox's Stripe refuses: in Stripe's words, with Stripe's codes and headers."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateways.sandbox.server.vendors.stripe_objects import API_VERSION
from tests.gateways.rig import SandboxServer
from tests.gateways.rigs.stripe import Merchant, a_card_payment

ACCOUNT = "stripe-refusals"
NEW = {"amount": "5000", "currency": "krw"}


@pytest.fixture
def merchant(sandbox: SandboxServer) -> Merchant:
    """One account for all."""
    sandbox.http.delete("/_faults").raise_for_status()
    return Merchant(sandbox, ACCOUNT)


@pytest.mark.parametrize(
    ("form", "code", "param", "message"),
    [
        (
            {"currency": "zzz"},
            None,
            "currency",
            "Invalid currency: zzz. Stripe currently supports these currencies: usd, aed",
        ),
        ({"currency": "usd", "amount": "49"}, "amount_too_small", "amount", "Amount must be at least $0.50 usd"),
        (
            {"currency": "usd", "amount": "100000000"},
            "amount_too_large",
            "amount",
            "Amount must be no more than $999,999.99",
        ),
        ({"amount": "0"}, "parameter_invalid_integer", "amount", "This value must be greater than or equal to 1."),
        ({"amount": ""}, "parameter_invalid_empty", "amount", "You passed an empty string for 'amount'."),
        ({"a": "1", "b": "2"}, "parameter_unknown", "a", "Received unknown parameters: a, b"),
        (
            {"automatic_payment_methods[on]": "1"},
            "parameter_unknown",
            "automatic_payment_methods[on]",
            "Received unknown parameter: automatic_payment_methods[on]",
        ),
        (
            {"capture_method": "late"},
            None,
            "capture_method",
            "Invalid capture_method: must be one of automatic, automatic_async, or manual",
        ),
        (
            {"payment_method_types[]": "shells"},
            None,
            "payment_method_types",
            'The payment method type "shells" is invalid.',
        ),
        (
            {"payment_method_types[]": "card", "automatic_payment_methods[enabled]": "true"},
            None,
            None,
            "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.",
        ),
        (
            {"metadata[k]": "x" * 501},
            None,
            "metadata",
            "Metadata values can have up to 500 characters, but you passed in a value that is 501",
        ),
        ({"metadata": "x"}, None, "metadata", "Invalid object"),
        ({"customer": "cus_none"}, "resource_missing", "customer", "No such customer: 'cus_none'"),
        (
            {"payment_method": "pm_none"},
            "resource_missing",
            "payment_method",
            "No such PaymentMethod: 'pm_none'",
        ),
        (
            {"confirm": "true", "payment_method": "pm_card_visa"},
            None,
            None,
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard.",
        ),
        ({"off_session": "true"}, "parameter_invalid", "off_session", "The parameter `off_session` cannot be passed"),
        ({"description": "x" * 1001}, None, "description", "Invalid string: xxxxxxxxxx...; must be at most 1000"),
        (
            {"statement_descriptor_suffix": "x" * 23},
            None,
            "statement_descriptor_suffix",
            "Invalid string: xxxxxxxxxx...; must be at most 22 characters",
        ),
        (
            {"statement_descriptor": "SHOP", "payment_method_types[]": "card"},
            None,
            "statement_descriptor",
            "The `statement_descriptor` parameter is not supported for the `card` payment method type.",
        ),
        ({"receipt_email": "kim"}, "email_invalid", "receipt_email", "Invalid email address: kim"),
        (
            {"confirm": "true", "payment_method": "pm_card_visa", "return_url": "shop"},
            "url_invalid",
            "return_url",
            "Not a valid URL",
        ),
        (
            {"payment_method_options[card][colour]": "red"},
            "parameter_unknown",
            "payment_method_options[card][colour]",
            "Received unknown parameter: payment_method_options[card][colour]",
        ),
        (
            {"payment_method": "pm_card_visa", "payment_method_data[type]": "card"},
            None,
            None,
            "You may only specify one of these parameters: payment_method, payment_method_data.",
        ),
        (
            {"confirm": "true", "payment_method_types[]": "card"},
            "payment_intent_unexpected_state",
            None,
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
        ),
    ],
)
def test_a_wrong_parameter_is_named(
    merchant: Merchant, form: dict[str, Any], code: str | None, param: str | None, message: str
) -> None:
    error = merchant.error("POST", "/payment_intents", {**NEW, **form})
    assert (error["http"], error["type"]) == (400, "invalid_request_error")
    assert (error.get("code"), error.get("param")) == (code, param)
    assert error["message"].startswith(message)
    assert error["request_log_url"].startswith("https://dashboard.stripe.com/test/logs/req_")


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ({"limit": "0"}, "parameter_invalid_integer", "limit"),
        ({"limit": "101"}, "parameter_invalid_integer", "limit"),
        ({"starting_after": "re_none"}, "resource_missing", "starting_after"),
        ({"starting_after": "re_a", "ending_before": "re_b"}, None, None),
        ({"created[about]": "1"}, None, "created"),
        ({"payment_intent": "pi_none"}, "resource_missing", "payment_intent"),
        ({"expand[]": "charge"}, None, None),
    ],
)
def test_a_wrong_filter_is_named(
    merchant: Merchant, query: dict[str, str], code: str | None, param: str | None
) -> None:
    error = merchant.error("GET", "/refunds", query)
    assert (error["http"], error.get("code"), error.get("param")) == (400, code, param)
    if "expand[]" in query:
        assert "You may want to try expanding 'data.charge' instead." in error["message"]


def test_a_time_that_is_none_is_named(merchant: Merchant) -> None:
    for created in ({"created": "abc"}, {"created[gte]": "abc"}):
        error = merchant.error("GET", "/charges", created)
        assert (error["http"], error["param"]) == (400, "created")
        assert error["message"] == "Invalid created: abc is no time in Unix seconds."


def test_a_statement_of_a_card_is_told_by_its_suffix_alone(merchant: Merchant) -> None:
    held = merchant.pay(capture_method="manual", statement_descriptor_suffix="ORDER 1")
    path = f"/payment_intents/{held['id']}/capture"
    assert merchant.error("POST", path, {"statement_descriptor": "SHOP"})["param"] == "statement_descriptor"
    assert merchant.post(path, statement_descriptor_suffix="ORDER 2")["statement_descriptor_suffix"] == "ORDER 2"
    late = merchant.post("/payment_intents", **NEW, statement_descriptor="SHOP")
    card = {"payment_method": "pm_card_visa", "return_url": "shop:back"}
    refused = merchant.error("POST", f"/payment_intents/{late['id']}/confirm", card)
    assert refused["param"] == "statement_descriptor"
    assert merchant.get(f"/payment_intents/{late['id']}")["status"] == "requires_payment_method"


def test_automatic_payment_methods_are_shown_as_they_were_chosen(merchant: Merchant) -> None:
    never = {"automatic_payment_methods[enabled]": "true", "automatic_payment_methods[allow_redirects]": "never"}
    for form, shown in (
        ({}, {"allow_redirects": "always", "enabled": True}),
        (never, {"allow_redirects": "never", "enabled": True}),
        ({"automatic_payment_methods[enabled]": "false"}, None),
        ({"payment_method_types[]": "card"}, None),
    ):
        assert merchant.post("/payment_intents", **NEW, **form)["automatic_payment_methods"] == shown
    paid = merchant.post("/payment_intents", **NEW, **never, confirm="true", payment_method="pm_card_visa")
    assert paid["status"] == "succeeded"


def test_older_sdks_write_true_and_false_with_a_capital(merchant: Merchant) -> None:
    automatic = {"automatic_payment_methods[enabled]": "True", "automatic_payment_methods[allow_redirects]": "never"}
    paid = merchant.post("/payment_intents", **NEW, **automatic, confirm="True", payment_method="pm_card_visa")
    assert paid["status"] == "succeeded"
    assert merchant.post("/payment_intents", **NEW, **automatic, confirm="False")["status"] == "requires_payment_method"
    assert merchant.error("POST", "/payment_intents", {**NEW, "confirm": "yes"})["message"] == "Invalid boolean: yes"


def test_the_wrong_state_is_told_in_stripes_words(merchant: Merchant) -> None:
    paid = merchant.pay()
    held = merchant.pay(capture_method="manual")
    canceled = merchant.post(f"/payment_intents/{merchant.pay(capture_method='manual')['id']}/cancel")
    only = "Only a PaymentIntent with one of the following statuses may be"
    wanted = (
        (paid, "capture", "This PaymentIntent could not be captured because it has already been captured."),
        (canceled, "capture", f"could not be captured because it has a status of canceled. {only} captured: requires"),
        (
            paid,
            "cancel",
            f"You cannot cancel this PaymentIntent because it has a status of succeeded. {only} canceled:",
        ),
        (paid, "confirm", "You cannot confirm this PaymentIntent because it has already succeeded after being"),
        (held, "confirm", f"because it has a status of requires_capture. {only} confirmed:"),
    )
    for intent, verb, message in wanted:
        error = merchant.error("POST", f"/payment_intents/{intent['id']}/{verb}")
        assert (error["http"], error["code"]) == (400, "payment_intent_unexpected_state")
        assert (message in error["message"], error["payment_intent"]["id"]) == (True, intent["id"])


def test_more_than_there_is_is_refused_with_the_amounts(merchant: Merchant) -> None:
    held = merchant.pay(capture_method="manual", currency="usd", amount=5_000)
    path = f"/payment_intents/{held['id']}/capture"
    error = merchant.error("POST", path, {"amount_to_capture": "5001"})
    assert (error["http"], error["code"]) == (400, "amount_too_large")
    assert "is greater than the amount you can capture for this charge" in error["message"]
    assert merchant.error("POST", path, {"amount_to_capture": "1000", "final_capture": "false"})["http"] == 400
    merchant.post(path)
    error = merchant.error("POST", "/refunds", {"payment_intent": held["id"], "amount": "5001"})
    assert error["message"] == "Refund amount ($50.01) is greater than charge amount ($50.00)"
    merchant.post("/refunds", payment_intent=held["id"], amount="2000")
    error = merchant.error("POST", "/refunds", {"payment_intent": held["id"], "amount": "3001"})
    assert error["message"] == "Refund amount ($30.01) is greater than unrefunded amount on charge ($30.00)"
    assert (error["http"], error.get("code"), error["param"]) == (400, None, "amount")
    error = merchant.error("POST", "/refunds", {"payment_intent": held["id"], "reason": "whim"})
    assert error["message"] == "Invalid reason: must be one of duplicate, fraudulent, or requested_by_customer"


@pytest.mark.parametrize(
    ("method", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
        ("pm_card_chargeDeclinedFraudulent", "card_declined", "fraudulent"),
        ("pm_card_chargeDeclinedVelocityLimitExceeded", "card_declined", "card_velocity_exceeded"),
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
        ("pm_card_cvcCheckFail", "incorrect_cvc", None),
        ("pm_card_radarBlock", "card_declined", "fraudulent"),
    ],
)
def test_stripes_test_cards_are_refused_as_documented(
    merchant: Merchant, method: str, code: str, decline_code: str | None
) -> None:
    error = merchant.error("POST", "/payment_intents", a_card_payment(method))
    intent = error["payment_intent"]
    assert (error["http"], error["type"], error["code"]) == (402, "card_error", code)
    assert error.get("decline_code") == decline_code
    assert (intent["status"], intent["payment_method"]) == ("requires_payment_method", None)
    assert intent["last_payment_error"]["code"] == code
    charge = merchant.get(f"/charges/{error['charge']}")
    assert (charge["status"], charge["failure_code"], charge["id"]) == ("failed", code, intent["latest_charge"])
    paid = merchant.post(f"/payment_intents/{intent['id']}/confirm", payment_method="pm_card_visa")
    assert (paid["status"], paid["last_payment_error"]) == ("succeeded", intent["last_payment_error"])


def test_a_card_is_kept_though_every_charge_of_it_will_fail(merchant: Merchant) -> None:
    customer = merchant.post("/customers")["id"]
    card = {"card[number]": "4000000000000341", "card[exp_month]": "1", "card[exp_year]": "2040"}
    method = merchant.post("/payment_methods", type="card", **card)["id"]
    assert merchant.post(f"/payment_methods/{method}/attach", customer=customer)["customer"] == customer
    error = merchant.error("POST", "/payment_intents", a_card_payment(method, customer=customer))
    assert (error["http"], error["code"]) == (402, "card_declined")


def test_what_is_blocked_for_its_risk_never_reaches_the_network(merchant: Merchant) -> None:
    error = merchant.error("POST", "/payment_intents", a_card_payment("pm_card_radarBlock"))
    outcome = merchant.get(f"/charges/{error['charge']}")["outcome"]
    assert (outcome["type"], outcome["network_status"]) == ("blocked", "not_sent_to_network")


@pytest.mark.parametrize(
    ("card", "code", "param"),
    [
        ({"number": "4242424242424241"}, "incorrect_number", "number"),
        ({"number": "4111111111111111"}, "card_declined", None),
        ({"number": "4242424242424242", "exp_month": "13"}, "invalid_expiry_month", "exp_month"),
        ({"number": "4242424242424242", "exp_year": "2001"}, "invalid_expiry_year", "exp_year"),
    ],
)
def test_a_card_that_cannot_be_is_refused_when_it_is_told(
    merchant: Merchant, card: dict[str, str], code: str, param: str | None
) -> None:
    told = {f"card[{name}]": value for name, value in {"exp_month": "1", "exp_year": "2040", **card}.items()}
    error = merchant.error("POST", "/payment_methods", {"type": "card", **told})
    assert (error["http"], error["type"], error["code"], error.get("param")) == (402, "card_error", code, param)


def test_nobody_is_there_to_authenticate(merchant: Merchant) -> None:
    alone = ({"off_session": "true"}, {"error_on_requires_action": "true"})
    for said in alone:
        error = merchant.error("POST", "/payment_intents", a_card_payment("pm_card_authenticationRequired", **said))
        assert (error["http"], error["code"]) == (402, "authentication_required")
        about = error["payment_intent"]["id"]
        told = [one for one in merchant.get("/events", limit="10")["data"] if one["data"]["object"]["id"] == about]
        assert [one["type"] for one in told] == ["payment_intent.payment_failed", "payment_intent.created"]


def test_a_card_that_is_set_up_asks_nobody_who_is_not_there(merchant: Merchant) -> None:
    method = "pm_card_authenticationRequiredSetupForOffSession"
    assert merchant.pay(method, off_session="true")["status"] == "succeeded"
    assert merchant.pay(method)["status"] == "requires_action"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nothing"), ("DELETE", "/payment_intents/pi_1"), ("PUT", "/refunds"), ("PATCH", "/refunds/re_1")],
)
def test_an_address_that_stripe_does_not_have_is_unrecognized(merchant: Merchant, method: str, path: str) -> None:
    refused = merchant.send(method, path)
    said = f"Unrecognized request URL ({method}: /v1{path}). Please see https://stripe.com/docs or we can help at "
    error = {"type": "invalid_request_error", "message": f"{said}https://support.stripe.com/."}
    assert (refused.status_code, refused.json()) == (404, {"error": error})
    assert refused.headers["request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/payment_intents/x", "intent"),
        ("/charges/x", "id"),
        ("/payment_methods/x", "payment_method"),
        ("/events/x", "id"),
    ],
)
def test_what_is_not_there_is_missing(merchant: Merchant, path: str, param: str) -> None:
    error = merchant.error("GET", path)
    assert (error["http"], error["code"], error["param"]) == (404, "resource_missing", param)
    assert error["message"].startswith("No such ")


def test_a_body_that_is_no_form_is_refused(sandbox: SandboxServer, merchant: Merchant) -> None:
    url, auth = f"/stripe/{ACCOUNT}/v1/payment_intents", ("sk_test", "")
    refused = sandbox.http.post(url, json={"amount": 5_000, "currency": "krw"}, auth=auth)
    assert refused.status_code == 400
    assert (
        "check that your POST content type is application/x-www-form-urlencoded" in refused.json()["error"]["message"]
    )


def test_who_has_no_key_is_challenged(sandbox: SandboxServer) -> None:
    refused = sandbox.http.get(f"/stripe/{ACCOUNT}/v1/balance")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="Stripe"')
    assert refused.json()["error"]["message"].startswith("You did not provide an API key.")
    assert "request_log_url" not in refused.json()["error"]


def test_the_version_that_was_asked_for_is_told(merchant: Merchant) -> None:
    for asked, told in (
        (API_VERSION, API_VERSION),
        ("2026-09-30.endive", "2026-09-30.endive"),
        ("2020-08-27", API_VERSION),
    ):
        assert merchant.send("GET", "/balance", Stripe_Version=asked).headers["stripe-version"] == told
    error = merchant.error("GET", "/balance", Stripe_Version="banana")
    assert (error["http"], error["message"]) == (400, "Invalid Stripe API version: banana")


def test_the_first_answer_names_itself_as_the_original(merchant: Merchant) -> None:
    key = uuid4().hex

    def send(form: dict[str, str]) -> httpx.Response:
        return merchant.send("POST", "/payment_intents", form, Idempotency_Key=key)

    first, again = send(NEW), send(NEW)
    for answer in (first, again):
        assert answer.headers["original-request"] == first.headers["request-id"]
        assert (answer.headers["idempotency-key"], answer.headers["stripe-should-retry"]) == (key, "false")
    merchant.server.arm("500_after", "authorize", account=ACCOUNT)
    key = uuid4().hex
    broken, *replays = send(NEW), send(NEW), send(NEW)
    for again in replays:
        assert (broken.status_code, again.status_code) == (500, 500)
        assert again.headers["original-request"] == broken.headers["request-id"] != again.headers["request-id"]
    told = merchant.get("/events", limit="1")["data"][0]["request"]
    assert told == {"id": broken.headers["request-id"], "idempotency_key": key}
