"""Requests: what is taken, what is refused, and where the refusal points."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from api.schemas.cancellation import CancelIn
from api.schemas.checkout import CheckoutIn
from api.schemas.example import CARD_CHECKOUT, CHECKOUT
from api.schemas.moment import Moment, Until, read_time, rfc3339
from api.schemas.payment import CaptureIn, PayIn
from api.schemas.refund import BankAccountIn, RefundIn, RefundPreviewIn
from api.schemas.reorder import ReorderIn
from api.schemas.section import HoldIn, ShipIn
from contracts.command import Cancel, RefundMoney
from domain.checkout import AskedPayment

Path = tuple[str | int, ...]


def changed(document: dict[str, Any], path: Path, value: object) -> dict[str, Any]:
    """The document with one value replaced."""
    document = deepcopy(document)
    place: Any = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return document


def refusal(model: type[BaseModel], document: dict[str, Any]) -> tuple[Path, str]:
    """Where and why a document is refused."""
    with pytest.raises(ValidationError) as refused:
        model.model_validate(document)
    [error] = refused.value.errors()
    return error["loc"], error["type"]


@pytest.mark.parametrize("document", [CHECKOUT, CARD_CHECKOUT])
def test_the_checkout_of_the_documentation_is_taken(document: dict[str, Any]) -> None:
    checkout = CheckoutIn.model_validate(document).to_domain()

    assert checkout.expected_total == document["expected_total"]
    assert len(checkout.sections) == len(document["sections"])


def test_a_checkout_becomes_the_domains_own_words() -> None:
    checkout = CheckoutIn.model_validate(CHECKOUT).to_domain()

    assert checkout.payments == (AskedPayment("points", 7700), AskedPayment("card", 50000, "tok_ok"))
    assert checkout.sections[1].destination.city == "Busan"
    assert checkout.sections[0].items[0].quantity == 2


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("sections", 0, "items", 0, "quantity"), 0, "greater_than_equal"),
        (("sections", 0, "items", 0, "quantity"), 10_001, "less_than_equal"),
        (("sections", 0, "items", 0, "quantity"), 2.0, "int_type"),
        (("sections", 0, "items", 0, "quantity"), "2", "int_type"),
        (("sections", 0, "items", 0, "quantity"), True, "int_type"),
        (("sections", 0, "shipping_fee"), -1, "greater_than_equal"),
        (("sections", 0, "shipping_fee"), 10**12 + 1, "less_than_equal"),
        (("sections", 0, "shipping_fee"), 3000.5, "int_type"),
        (("sections", 0, "destination", "country"), "kr", "string_pattern_mismatch"),
        (("sections", 0, "destination", "country"), "ZZ", "unknown_country"),
        (("sections", 0, "destination", "city"), "  ", "string_too_short"),
        (("sections", 0, "destination", "city"), "Se\x00oul", "control_character"),
        (("sections", 0, "destination", "city"), "Se\noul", "control_character"),
        (("sections", 0, "destination", "city"), "x" * 201, "string_too_long"),
        (("sections", 0, "destination", "city"), None, "string_type"),
        (("sections", 0, "destination", "planet"), "Earth", "extra_forbidden"),
        (("sections", 0, "items"), [], "too_short"),
        (("sections",), [], "too_short"),
        (("sections",), CHECKOUT["sections"] * 26, "too_long"),
        (("customer", "email"), "no address", "string_pattern_mismatch"),
        (("customer", "name"), "\ud800", "string_unicode"),
        (("currency",), "krw", "string_pattern_mismatch"),
        (("discounts", 0, "amount"), -5, "greater_than_equal"),
        (("expected_total",), None, "int_type"),
        (("payments", 0, "amount"), 0, "greater_than_equal"),
        (("payments", 0, "method"), "cash", "literal_error"),
        (("payments", 0, "token"), "tok_ok", "token_not_accepted"),
        (("payments", 1, "token"), None, "token_required"),
        (("payments",), CHECKOUT["payments"] * 11, "too_long"),
        (("payment_mode",), "sometimes", "literal_error"),
        (("capture",), "never", "literal_error"),
    ],
)
def test_a_checkout_that_is_misshapen_is_refused_where_it_is(path: Path, value: object, code: str) -> None:
    assert refusal(CheckoutIn, changed(CHECKOUT, path, value)) == (path, code)


def test_a_card_without_a_token_points_at_the_token() -> None:
    document = {"payments": [{"method": "card", "amount": 100}]}

    assert refusal(PayIn, document) == (("payments", 0, "token"), "token_required")


def test_an_order_has_at_most_two_hundred_lines() -> None:
    line = {"sku": "MUG-01", "quantity": 1}
    document = changed(CHECKOUT, ("sections", 0, "items"), [line] * 200)

    assert refusal(CheckoutIn, document) == (("sections",), "too_many_lines")


def test_text_is_trimmed() -> None:
    assert HoldIn.model_validate({"reason": "  fraud check "}).reason == "fraud check"


def test_nothing_named_captures_what_is_left() -> None:
    command = CaptureIn.model_validate({}).to_command()

    assert (command.payment_id, command.amount) == (None, None)


def test_nothing_named_cancels_the_order() -> None:
    assert CancelIn.model_validate({"reason": "no"}).to_command() == Cancel("no")


def test_a_cancellation_names_items_or_a_section() -> None:
    document = {"reason": "no", "items": [{"item_id": str(uuid4()), "quantity": 1}], "section": 1}

    assert refusal(CancelIn, document) == (("section",), "ambiguous")


def test_a_shipment_needs_its_carrier() -> None:
    assert refusal(ShipIn, {"tracking_number": "1"}) == (("carrier",), "missing")


def test_a_refund_without_a_policy_is_reversed() -> None:
    command = RefundIn.model_validate({"reason": "broken", "shipping": True}).to_command()

    assert command == RefundMoney("broken", shipping=True, policy="reverse")


@pytest.mark.parametrize(
    ("extra", "where", "code"),
    [
        ({"policy": "manual"}, ("legs",), "legs_required"),
        ({"policy": "reverse", "legs": [{"payment_id": str(uuid4()), "amount": 1}]}, ("legs",), "policy_conflict"),
        ({"shipping": 1}, ("shipping",), "bool_type"),
        ({"amount": 0}, ("amount",), "greater_than_equal"),
        ({"policy": "random"}, ("policy",), "literal_error"),
    ],
)
def test_a_refund_that_contradicts_itself_is_refused(extra: dict[str, Any], where: Path, code: str) -> None:
    assert refusal(RefundIn, {"reason": "broken", **extra}) == (where, code)


def test_a_preview_needs_no_reason() -> None:
    assert RefundPreviewIn.model_validate({"shipping": True}).to_command().shipping


def test_an_exchange_names_its_items_and_buying_again_need_not() -> None:
    assert refusal(ReorderIn, {"kind": "exchange"}) == (("items",), "items_required")
    assert ReorderIn.model_validate({"kind": "again"}).to_command("261122-7MM4XX9").new_number == "261122-7MM4XX9"


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-22T09:30:00Z",
        "2026-11-22t09:30:00z",
        "2026-11-22T18:30:00+09:00",
        "2026-11-22T18:30:00 09:00",
        "2026-11-22T09:30:00.000000000Z",
        "2026-11-22T09:30Z",
    ],
)
def test_a_time_is_read_in_any_zone(written: str) -> None:
    assert read_time(written) == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("written", ["", "yesterday", "2026-11-22T09:30:00", "2026-13-01", "1700000000", 1700000000])
def test_what_is_no_time_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Moment).validate_python(written)


def test_a_plain_date_is_from_its_beginning_until_its_end() -> None:
    assert TypeAdapter(Moment).validate_python("2026-11-22") == datetime(2026, 11, 22, tzinfo=UTC)
    assert TypeAdapter(Until).validate_python("2026-11-22") == datetime(2026, 11, 23, tzinfo=UTC)


def test_times_are_written_in_utc() -> None:
    assert rfc3339(read_time("2026-11-22T18:30:00+09:00")) == "2026-11-22T09:30:00.000000Z"
    assert rfc3339(None) is None


@pytest.mark.parametrize(
    ("number", "digits"),
    [("1002-123-456789", "1002123456789"), ("KR1002123456789", "1002123456789"), ("123456", "123456")],
)
def test_a_bank_account_is_digits_whatever_stands_between_them(number: str, digits: str) -> None:
    body = BankAccountIn.model_validate({"bank": "20", "number": number, "holder": "Kim Minji"})
    assert body.to_command(uuid4()).account.number == digits


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("KR4111111111111111", "card_number_not_accepted"),
        ("4111-1111-1111-1111", "card_number_not_accepted"),
        ("12345", "string_pattern_mismatch"),
        ("1002 123", "string_pattern_mismatch"),
        ("kr1002123456789", "string_pattern_mismatch"),
    ],
)
def test_a_card_does_not_pass_as_a_bank_account(number: str, why: str) -> None:
    document = {"bank": "20", "number": number, "holder": "Kim Minji"}
    assert refusal(BankAccountIn, document) == (("number",), why)
