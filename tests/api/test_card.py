"""What looks like a card number is found wherever it hides; ids, phones and money are not."""

import json
import time
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.card import find_card, has_card, is_luhn

VISA = "4111111111111111"


@st.composite
def luhn_numbers(draw: st.DrawFn) -> str:
    digits = draw(st.text("0123456789", min_size=12, max_size=18))
    return next(digits + check for check in "0123456789" if is_luhn(digits + check))


@st.composite
def written(draw: st.DrawFn) -> str:
    digits = draw(luhn_numbers())
    gaps = draw(st.lists(st.sampled_from(["", " ", "-"]), min_size=len(digits) - 1, max_size=len(digits) - 1))
    return digits[0] + "".join(gap + digit for gap, digit in zip(gaps, digits[1:], strict=True))


@given(written())
def test_every_card_number_is_found_however_it_is_grouped(number: str) -> None:
    assert has_card(number)
    assert has_card(f"card: {number}, thanks")
    assert find_card(json.dumps({"sections": [{"note": number}]}).encode()) == "/sections/0/note"


@given(luhn_numbers())
def test_a_card_number_as_a_number_is_found(digits: str) -> None:
    if not digits.startswith("0"):
        assert find_card(b'{"amount": ' + digits.encode() + b"}") == "/amount"


@given(luhn_numbers())
def test_a_card_number_in_escapes_is_found(digits: str) -> None:
    escaped = "".join(f"\\u{ord(digit):04x}" for digit in digits)
    assert find_card(b'{"note": "' + escaped.encode() + b'"}') == "/note"


@given(st.uuids())
def test_no_uuid_is_a_card_number(identity: UUID) -> None:
    assert not has_card(str(identity))


@given(st.text("0123456789", min_size=1, max_size=12))
def test_less_than_thirteen_digits_are_none(digits: str) -> None:
    assert not has_card(digits)


@pytest.mark.parametrize(
    "text",
    [
        "00000000-0000-7000-8234-411111111111",
        "a4111111111111111",
        "4111111111111111f",
        "+82-10-1234-5678",
        "+86 138 0013 8004",
        "010-1234-5678 010-1234-5678",
        "2026-11-22T10:30:00.123456Z",
        "261122-7K3M9QX",
        "41111111111111111111111",
        "4111111111111112",
    ],
)
def test_ids_phones_and_times_are_none(text: str) -> None:
    assert not has_card(text)


@pytest.mark.parametrize(
    "text",
    ["4111 1111 1111 1111 1227 123", "4111\u00a01111\u00a01111\u00a01111", "tok_4111111111111111", "378282246310005",
     "4111-1111-1111-1111", "pay with 5555555555554444."],
)  # fmt: skip
def test_numbers_among_other_words_are_found(text: str) -> None:
    assert has_card(text)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"4111111111111111": 1}', ""),
        (b'[1, {"a/b": "4111 1111 1111 1111"}]', "/1/a~1b"),
        (b'{"n": 4.111111111111111e15}', "/n"),
        (b"card=4111+1111+1111+1111&x=1", ""),
        (b"card=%34111111111111111", ""),
        (b"{4111111111111111", ""),
        (b"[" * 100_000 + b"4111111111111111", ""),
    ],
)
def test_bodies_of_any_kind_are_searched(body: bytes, pointer: str) -> None:
    assert find_card(body) == pointer


def test_an_ordinary_checkout_passes() -> None:
    body = {
        "customer": {"phone": "+82-10-0000-0000", "name": "김민지"},
        "expected_total": 57700,
        "payments": [{"token": "tok_ok", "amount": 50000}],
        "id": "0192f0c1-2345-7678-8901-234567890123",
    }
    assert find_card(json.dumps(body).encode()) is None


@pytest.mark.parametrize("unit", ["1 ", "111 ", "1", ".", "1 1 1 1 x", "1111 1111-", "    ", "0e0", '"\\u0031",'])
def test_no_body_takes_long(unit: str) -> None:
    body = (unit * (1024 * 1024 // len(unit))).encode()
    started = time.process_time()
    find_card(body)
    assert time.process_time() - started < 5, "seconds of the processor, whatever else the machine does"
