"""Our own value in requests and answers: what is taken, and that a gift card's code goes no further than the face."""

from typing import Any

import pytest
from pydantic import ValidationError

from api.schemas.payment import PaymentIn
from api.schemas.value import AdjustmentIn, GiftCardIn
from commands.value import Adjustment
from domain.checkout import AskedPayment
from domain.value import code_hash

CODE = "BCDF-GHJK-LMNP-QRST-VWXZ"


@pytest.mark.parametrize("typed", [CODE, CODE.lower(), " BCDFGHJK LMNPQRST VWXZ "])
def test_a_code_becomes_its_hash_before_anything_else_sees_it(typed: str) -> None:
    leg = PaymentIn.model_validate({"method": "gift_card", "amount": 100, "token": typed}).to_domain()
    assert leg == AskedPayment("gift_card", 100, code_hash(CODE))
    assert leg.token is not None
    assert len(leg.token) == 64


@pytest.mark.parametrize(
    ("method", "token", "code"),
    [
        ("gift_card", None, "token_required"),
        ("card", None, "token_required"),
        ("points", CODE, "token_not_accepted"),
        ("store_credit", CODE, "token_not_accepted"),
    ],
)
def test_who_needs_a_token_must_have_one_and_nobody_else(method: str, token: str | None, code: str) -> None:
    with pytest.raises(ValidationError) as refused:
        PaymentIn.model_validate({"method": method, "amount": 100, "token": token})
    assert [error["type"] for error in refused.value.errors()] == [code]


@pytest.mark.parametrize(
    ("change", "where", "code"),
    [
        ({"amount": 0}, "amount", "nothing"),
        ({"amount": 1.0}, "amount", "int_type"),
        ({"amount": -(10**12) - 1}, "amount", "greater_than_equal"),
        ({"kind": "gift_card"}, "kind", "literal_error"),
        ({"reason": " "}, "reason", "string_too_short"),
        ({"amount": -5, "expires_at": "2999-01-01"}, "expires_at", "not_given"),
        ({"amount": -5, "promotional": True}, "promotional", "not_given"),
    ],
)
def test_an_adjustment_that_is_misshapen_is_refused_where_it_is(change: dict[str, Any], where: str, code: str) -> None:
    with pytest.raises(ValidationError) as refused:
        AdjustmentIn.model_validate({"kind": "points", "amount": 5, "reason": "x"} | change)
    assert [(error["loc"], error["type"]) for error in refused.value.errors()] == [((where,), code)]


def test_a_negative_amount_corrects() -> None:
    asked = AdjustmentIn.model_validate({"kind": "store_credit", "amount": -5, "reason": "typo"})
    assert asked.to_command() == Adjustment("store_credit", -5, "typo")


def test_the_day_on_which_a_card_expires_is_its_last() -> None:
    terms = GiftCardIn.model_validate({"amount": 5, "currency": "KRW", "expires_at": "2999-01-01"}).to_terms()
    assert terms.expires_at is not None
    assert terms.expires_at.isoformat() == "2999-01-02T00:00:00+00:00"
