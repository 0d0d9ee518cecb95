"""SKUs as they come in and go out."""

from typing import Any

import pytest
from pydantic import ValidationError

from api.schemas.catalog import MOST_SKUS, MoneyIn, SkuIn, SkusIn, sku_out
from commands.catalog import SkuTerms
from queries.catalog import SkuView

CAP: dict[str, Any] = {"sku": "CAP", "name": "Cap", "price": 12900}


def test_the_example_of_the_document_is_taken() -> None:
    [example] = SkusIn.model_json_schema()["examples"]
    assert SkusIn.model_validate(example).skus[0].sku == "CAP-NVY"


def test_what_is_not_said_has_a_default() -> None:
    assert SkuIn.model_validate(CAP).to_terms() == SkuTerms("CAP", "Cap", 12900, 0, True, None, {})


def test_a_price_may_name_its_currency() -> None:
    sku = SkuIn.model_validate(CAP | {"price": {"amount": 5, "currency": "KRW"}})
    assert sku.price == MoneyIn(amount=5, currency="KRW")
    assert sku.to_terms().price == 5


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"price": -1}, ("price",)),
        ({"price": 1.5}, ("price",)),
        ({"price": "1"}, ("price",)),
        ({"price": {"amount": 1}}, ("price",)),
        ({"tax_rate": 10_001}, ("tax_rate",)),
        ({"on_hand": -1}, ("on_hand",)),
        ({"on_hand": True}, ("on_hand",)),
        ({"tracked": False, "on_hand": 3}, ("on_hand",)),
        ({"sku": " "}, ("sku",)),
        ({"name": "a\nb"}, ("name",)),
        ({"options": {"size": 3}}, ("options",)),
        ({"weight": 3}, ("weight",)),
    ],
)
def test_one_thing_wrong_is_one_error_where_it_is(change: dict[str, Any], where: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as wrong:
        SkuIn.model_validate(CAP | change)
    [error] = wrong.value.errors()
    assert error["loc"][: len(where)] == where


@pytest.mark.parametrize("count", [0, MOST_SKUS + 1])
def test_a_request_has_one_to_a_thousand_skus(count: int) -> None:
    with pytest.raises(ValidationError):
        SkusIn.model_validate({"skus": [CAP] * count})


def test_an_untracked_sku_shows_no_counts() -> None:
    tracked = SkuView("CAP", "Cap", 1, 1000, True, 10, 2, 3, {})
    assert sku_out(tracked, "KRW").available == 5
    hidden = sku_out(SkuView("CAP", "Cap", 1, 1000, False, 10, 2, 3, {}), "KRW")
    assert (hidden.on_hand, hidden.held, hidden.committed, hidden.available) == (None, None, None, None)
