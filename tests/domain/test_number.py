"""An order number survives a telephone: what was mistyped is noticed."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.number import DICE_SIDES, make_number, order_workflow_id, parse_number, section_workflow_id

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
days = st.dates(date(2000, 1, 1), date(2099, 12, 31))
throws = st.integers(0, DICE_SIDES - 1)
SAMPLES = [
    make_number(date(2026, 11, 22), 0),
    make_number(date(2026, 11, 22), DICE_SIDES - 1),
    make_number(date(2026, 1, 1), 123_456_789),
    make_number(date(2031, 12, 31), 987_654_321),
    make_number(date(2000, 2, 29), 1),
    make_number(date(2026, 10, 11), 555_555_555),
]


@given(days, throws)
def test_a_number_is_read_back_as_it_was_made(day: date, dice: int) -> None:
    number = make_number(day, dice)
    assert parse_number(number) == number
    assert number[:6] == day.strftime("%y%m%d")
    assert (len(number), number[6]) == (14, "-")


@given(days, throws, throws)
def test_two_throws_are_two_numbers(day: date, one: int, other: int) -> None:
    assert (make_number(day, one) == make_number(day, other)) == (one == other)


@given(days, throws, st.data())
def test_a_number_is_read_in_any_case_with_lookalikes_and_without_its_dash(
    day: date, dice: int, data: st.DataObject
) -> None:
    number = make_number(day, dice)
    spelt = ""
    for char in number:
        options = {"1": "1IiLl", "0": "0Oo", "-": ["-", ""]}.get(char, [char, char.lower()])
        spelt += data.draw(st.sampled_from(list(options)))
    assert parse_number(f"  {spelt}\n") == number


@pytest.mark.parametrize("number", SAMPLES)
def test_every_wrong_character_is_detected(number: str) -> None:
    for place, right in enumerate(number):
        for wrong in set(ALPHABET) - {right}:
            with pytest.raises(Invalid):
                parse_number(number[:place] + wrong + number[place + 1 :])


@pytest.mark.parametrize("number", SAMPLES)
@pytest.mark.parametrize("dash", ["-", ""])
def test_every_swap_of_two_characters_is_detected(number: str, dash: str) -> None:
    plain = number.replace("-", "")
    for left in range(len(plain)):
        for right in range(left + 1, len(plain)):
            chars = list(plain)
            chars[left], chars[right] = chars[right], chars[left]
            swapped = "".join(chars)
            if swapped != plain:
                with pytest.raises(Invalid):
                    parse_number(swapped[:6] + dash + swapped[6:])


@given(days, throws, st.integers(0, 12), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_detected_in_any_number(day: date, dice: int, place: int, wrong: str) -> None:
    plain = make_number(day, dice).replace("-", "")
    if plain[place] != wrong:
        with pytest.raises(Invalid):
            parse_number(plain[:place] + wrong + plain[place + 1 :])


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", "six digits"),
        ("261122", "six digits"),
        ("261122-7K3M9Q", "six digits"),
        ("26112-27K3M9QX", "six digits"),
        ("261122--7K3M9QX", "six digits"),
        ("261122-7K3M9QXX", "six digits"),
        ("261122-7K3M9Q\u0131", "six digits"),
        ("\u0662\u0666\u0661\u0661\u0662\u0662-7K3M9QX", "six digits"),
        ("2611A2-7K3M9QX", "date in digits"),
        ("261122-UK3M9QX", "no letter U"),
        ("261322-7K3M9QX", "no day 261322"),
        ("260230-7K3M9QX", "no day 260230"),
        (SAMPLES[0][:-1] + "Z", "mistyped"),
    ],
)
def test_what_is_no_order_number_is_refused_with_the_reason(text: str, detail: str) -> None:
    with pytest.raises(Invalid, match=detail):
        parse_number(text)


@pytest.mark.parametrize(
    ("day", "dice"),
    [(date(2026, 1, 1), -1), (date(2026, 1, 1), DICE_SIDES), (date(1999, 1, 1), 0), (date(2100, 1, 1), 0)],
)
def test_throws_and_days_outside_the_range_make_no_number(day: date, dice: int) -> None:
    with pytest.raises(ValueError, match="no order number"):
        make_number(day, dice)


def test_workflow_ids_carry_store_and_number() -> None:
    assert order_workflow_id("demo", "261122-7K3M9QX") == "order.demo.261122-7K3M9QX"
    assert section_workflow_id("demo", "261122-7K3M9QX", 2) == "section.demo.261122-7K3M9QX.2"
