"""Money is whole minor units of one known currency."""

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.money import EXPONENTS, Money, exponent_of

currencies = st.sampled_from(sorted(EXPONENTS))
amounts = st.integers(-(10**15), 10**15)


@given(amounts, amounts, currencies)
def test_adding_and_taking_away_again_changes_nothing(a: int, b: int, currency: str) -> None:
    left, right = Money(a, currency), Money(b, currency)
    assert left + right == right + left == Money(a + b, currency)
    assert left + right - right == left


@given(amounts, amounts, currencies)
def test_money_of_one_currency_compares_like_its_amounts(a: int, b: int, currency: str) -> None:
    left, right = Money(a, currency), Money(b, currency)
    assert (left < right, left <= right, left > right, left >= right) == (a < b, a <= b, a > b, a >= b)
    assert (left == right) == (a == b)


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.lt, operator.le, operator.gt, operator.ge])
def test_two_currencies_neither_add_up_nor_compare(operation: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(Invalid, match="KRW and USD"):
        operation(Money(1, "KRW"), Money(1, "USD"))


def test_the_same_amount_in_two_currencies_is_not_equal() -> None:
    assert Money(1, "KRW") != Money(1, "USD")


@pytest.mark.parametrize("amount", [1.0, True, "1", None, Decimal(1)])
def test_an_amount_that_is_no_whole_number_is_refused(amount: Any) -> None:
    with pytest.raises(Invalid, match="minor units"):
        Money(amount, "KRW")


@pytest.mark.parametrize("currency", ["krw", "XXX", "HRK", "", "EURO"])
def test_an_unknown_currency_is_refused(currency: str) -> None:
    with pytest.raises(Invalid, match="ISO 4217"):
        Money(1, currency)


def test_money_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Money(1, "KRW").amount = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (12900, "USD", "129.00"),
        (5, "USD", "0.05"),
        (-129, "USD", "-1.29"),
        (-5, "USD", "-0.05"),
        (0, "EUR", "0.00"),
        (12900, "KRW", "12900"),
        (-1, "JPY", "-1"),
        (5, "BHD", "0.005"),
        (1234567, "KWD", "1234.567"),
    ],
)
def test_an_amount_is_written_with_the_places_of_its_currency(amount: int, currency: str, text: str) -> None:
    assert Money(amount, currency).decimal_text() == text


@given(amounts, currencies)
def test_the_decimal_text_is_the_exact_amount(amount: int, currency: str) -> None:
    text = Money(amount, currency).decimal_text()
    assert Decimal(text).scaleb(exponent_of(currency)) == amount
    assert len(text.partition(".")[2]) == exponent_of(currency)


def test_the_table_has_every_code_once_and_only_known_exponents() -> None:
    assert len(EXPONENTS) == 155
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in EXPONENTS)
    thousandths = {code for code, exponent in EXPONENTS.items() if exponent == 3}
    assert thousandths == {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}
