"""The pieces of the pay page: tokens, pace, words, and what each state shows."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.pay.link import PayLinks
from api.pay.pace import Pace
from api.pay.routes import completion
from api.pay.view import view_of
from api.pay.words import WORDS, language_of, money
from api.schemas.payment import LARGEST_RETURN, CompletionIn
from domain.gateway import Answer, Outcome
from domain.states import RequestStatus
from domain.taking import over
from tests.domain.desk import OK, PENDING, Desk, a_checkout, declined
from tests.domain.test_paying_actions import PAGE, deposit

LINKS = PayLinks("https://pay.shop/", "a secret of the shop")


@given(st.uuids())
def test_a_token_opens_its_own_request_and_no_other(request_id: UUID) -> None:
    token = LINKS.token(request_id)
    assert (LINKS.read(token), len(token)) == (request_id, 43)
    assert PayLinks("https://pay.shop", "another secret").read(token) is None
    assert PayLinks("https://pay.shop", "").read(token) is None
    assert LINKS.url(request_id) == f"https://pay.shop/pay/{token}"
    assert PayLinks("https://pay.shop", "").url(request_id) is None


@given(st.integers(0, 42), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
def test_a_token_with_one_character_changed_opens_nothing_else(place: int, character: str) -> None:
    request_id = UUID(int=7)
    token = LINKS.token(request_id)
    changed = token[:place] + character + token[place + 1 :]
    assert LINKS.read(changed) in {None, request_id}


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert LINKS.read(text) is None


def test_a_pace_lets_so_many_through_in_any_minute() -> None:
    now = [0.0]
    pace = Pace(2, clock=lambda: now[0])
    assert [pace.allows("a"), pace.allows("a"), pace.allows("a"), pace.allows("b")] == [True, True, False, True]
    now[0] = 60.0
    assert pace.allows("a")


def test_both_languages_say_the_same_things() -> None:
    assert WORDS["en"].keys() == WORDS["ko"].keys()
    assert all(words[name].strip() for words in WORDS.values() for name in words)


@pytest.mark.parametrize(
    ("wanted", "accepted", "language"),
    [("ko", "en", "ko"), (None, "de,ko;q=0.5", "ko"), (None, "fr", "en"), ("xx", "ko", "ko"), (None, "", "en")],
)
def test_the_language_is_the_customers(wanted: str | None, accepted: str, language: str) -> None:
    assert language_of(wanted, accepted) == language


def test_amounts_are_read_as_people_write_them() -> None:
    assert [money(57700, "KRW"), money(1234567, "USD"), money(-5, "USD"), money(1500, "BHD")] == [
        "57,700 KRW",
        "12,345.67 USD",
        "-0.05 USD",
        "1.500 BHD",
    ]


@pytest.mark.parametrize(
    ("answer", "state"),
    [(PAGE, "go_on"), (deposit(2), "deposit"), (PENDING, "busy"), (declined(), "open"), (OK, "paid")],
)
def test_each_state_of_a_request_has_its_page(answer: Answer, state: str) -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    desk.answer(desk.due()[0], answer)
    view = view_of(desk.order, desk.order.requests[0])
    assert (view.state, view.total) == (state, 62_700)
    assert (view.declined is not None) == (answer.outcome is Outcome.DECLINED)
    assert (view.deposit is not None) == (state == "deposit")
    assert (view.action_url is not None) == (state == "go_on")


def test_a_request_that_is_over_says_so() -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    desk.answer(desk.due()[0], declined())
    desk.decide(lambda moment: over(desk.order, desk.order.requests[0], RequestStatus.EXPIRED, moment))
    assert view_of(desk.order, desk.order.requests[0]).state == "over"


def test_what_a_pg_sends_back_is_taken_as_it_came_without_our_own_language() -> None:
    brought = {"paymentKey": "abc", "redirectResult": "x" * 4000, "lines": "a\nb", "empty": ""}
    assert completion({"lang": "ko"} | brought).details == brought


@pytest.mark.parametrize(
    "brought",
    [
        {"paymentKey": "a\x00b"},
        {"payment\x00Key": "abc"},
        {"": "abc"},
        {"a b": "abc"},
        {"n" * 61: "abc"},
        {"paymentKey": "x" * 4001},
        {f"n{n}": "x" for n in range(31)},
        {f"n{n}": "x" * (LARGEST_RETURN // 5) for n in range(5)},
    ],
    ids=["NUL", "NUL in a name", "no name", "odd name", "long name", "long value", "many", "much"],
)
def test_what_the_api_refuses_is_on_the_page_as_if_nothing_had_been_brought(brought: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        CompletionIn(details=brought)
    assert completion({"lang": "ko"} | brought).details == {}
