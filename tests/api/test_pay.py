"""The pieces of the pay page: tokens, pace, words, and what each state shows."""

from base64 import urlsafe_b64decode
from collections.abc import Iterable
from datetime import timedelta
from string import ascii_letters, digits
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.pay.link import PayLinks
from api.pay.pace import Pace
from api.pay.routes import completion
from api.pay.view import NEWS_TAKES, View, is_untold, sent_on, view_of
from api.pay.words import REASONS, WORDS, language_of, money, reason_of
from api.schemas.payment import LARGEST_RETURN, CompletionIn
from domain.checkout import AskedPayment
from domain.gateway import Action, Answer, Decline, OperationKind, Outcome, Retry
from domain.paying import complete
from domain.reorder import Wanted
from domain.resolution import GIVE_UP_AFTER, Ask
from domain.states import RequestStatus, TenderStatus
from domain.taking import over
from gateways.adyen import refusal as adyen
from gateways.nice import codes as nice
from gateways.stripe import decline as stripe
from gateways.toss import code as toss
from tests.domain.desk import OK, PENDING, UNKNOWN, Desk, a_checkout, declined
from tests.domain.test_paying_actions import PAGE, deposit
from tests.domain.test_reorder import sends, shipped

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
def test_a_token_with_one_character_changed_opens_nothing(place: int, character: str) -> None:
    request_id = UUID(int=7)
    token = LINKS.token(request_id)
    changed = token[:place] + character + token[place + 1 :]
    assert LINKS.read(changed) == (request_id if changed == token else None)


def test_the_same_bytes_written_otherwise_open_nothing() -> None:
    token = LINKS.token(UUID(int=7))
    aliases = [token[:-1] + last for last in ascii_letters + digits if last != token[-1]]
    same = [alias for alias in aliases if urlsafe_b64decode(alias + "=") == urlsafe_b64decode(token + "=")]
    assert same
    assert [LINKS.read(alias) for alias in same] == [None] * len(same)


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
    view = view_of(desk.order, desk.order.requests[0], desk.now)
    assert (view.state, view.total) == (state, 62_700)
    assert (view.declined is not None) == (answer.outcome is Outcome.DECLINED)
    assert (view.deposit is not None) == (state == "deposit")
    assert (view.action_url is not None) == (state == "go_on")


def shown(desk: Desk) -> View:
    """The page of the order's first request as it is now."""
    return view_of(desk.order, desk.order.requests[0], desk.now)


@pytest.mark.parametrize("answer", [PAGE, deposit(2), PENDING, UNKNOWN])
def test_what_a_payment_waits_for_is_not_paid(answer: Answer) -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    desk.answer(desk.due()[0], answer)
    view = shown(desk)
    assert (view.paid, view.returning, view.left) == (0, 0, 0)
    assert view.asked == (62_700 if view.state in {"go_on", "deposit"} else 0)


def test_what_is_held_beside_a_deposit_that_is_awaited_is_paid_and_the_deposit_is_asked_for() -> None:
    legs = (AskedPayment("points", 7_700), AskedPayment("virtual_account", 55_000))
    desk = Desk(a_checkout(*legs, mode="accumulate"), accounts=("a",))
    desk.answer(desk.due()[0], deposit(2))
    view = shown(desk)
    assert (view.state, view.paid, view.asked, view.left) == ("deposit", 7_700, 55_000, 0)


def test_what_is_being_given_back_is_not_paid_and_nothing_can_be_paid_until_it_is_back() -> None:
    desk = Desk(a_checkout(AskedPayment("card", 40_000, "tok"), AskedPayment("card", 22_700, "tok")), accounts=("a",))
    desk.answer(desk.due()[0], OK)
    assert shown(desk).paid == 40_000
    desk.answer(desk.due(OperationKind.AUTHORIZE)[0], declined())
    view = shown(desk)
    assert (view.state, view.paid, view.returning, view.left) == ("busy", 0, 40_000, 22_700)
    desk.answer(desk.due(OperationKind.VOID)[0], OK)
    view = shown(desk)
    assert (view.state, view.paid, view.returning, view.amounts) == ("open", 0, 0, (62_700,))
    assert view.declined == "generic"


def test_a_decline_is_told_whichever_of_the_payments_that_came_together_it_was() -> None:
    desk = Desk(a_checkout(AskedPayment("card", 40_000, "tok"), AskedPayment("card", 22_700, "tok")), accounts=("a",))
    desk.answer(desk.due()[0], declined())
    assert [p.status for p in desk.order.payments] == [TenderStatus.DECLINED, TenderStatus.CANCELED]
    assert (shown(desk).state, shown(desk).declined) == ("open", "generic")


def test_a_payment_that_a_person_must_look_at_is_not_offered_again() -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    desk.answer(desk.due()[0], UNKNOWN)
    desk.now += GIVE_UP_AFTER + timedelta(seconds=1)
    desk.answer(desk.due()[0], UNKNOWN, Ask.LOOKUP)
    assert desk.payment(0).status is TenderStatus.MANUAL_REVIEW
    assert shown(desk).state == "busy"


def returned() -> Desk:
    """An order whose customer is back from the PG's page, a minute later; the PG is not told yet."""
    desk = Desk(a_checkout(), accounts=("a",))
    desk.answer(desk.due()[0], PAGE)
    assert (shown(desk).state, shown(desk).action_url) == ("go_on", "https://pg.example/pay")
    desk.now += timedelta(minutes=1)
    desk.decide(lambda moment: complete(desk.order, desk.payment(0).id, {"paymentKey": "abc"}, moment))
    return desk


def test_who_is_back_from_the_pgs_page_is_not_sent_there_again_before_the_pg_has_been_told() -> None:
    desk = returned()
    for later in (timedelta(0), NEWS_TAKES, timedelta(minutes=20)):
        desk.now += later
        assert is_untold(desk.order, desk.order.requests[0])
        view = shown(desk)
        assert (view.state, view.action_url, view.asked) == ("busy", None, 0)


def test_who_is_back_is_sent_there_again_if_the_pg_still_says_so_when_it_must_have_been_asked_again() -> None:
    desk = returned()
    desk.now += timedelta(seconds=1)
    desk.answer(desk.due()[0], PAGE)
    assert not is_untold(desk.order, desk.order.requests[0])
    assert shown(desk).state == "busy", "it may have repeated what it had said before"
    desk.now += NEWS_TAKES
    desk.answer(desk.due()[0], PAGE, Ask.LOOKUP)
    assert (shown(desk).state, shown(desk).action_url) == ("go_on", "https://pg.example/pay")


def test_another_page_and_a_deposit_follow_a_return_at_once() -> None:
    desk = returned()
    left: dict[UUID, str | None] = {desk.payment(0).id: "https://pg.example/pay"}
    assert sent_on(desk.order, desk.order.requests[0], left) is None
    desk.now += timedelta(seconds=1)
    other = Answer(Outcome.ACTION_REQUIRED, reference="pg-1", action=Action("redirect", "https://bank.example/otp"))
    desk.answer(desk.due()[0], other)
    assert sent_on(desk.order, desk.order.requests[0], left) == "https://bank.example/otp"
    desk.answer(desk.due()[0], deposit(2))
    assert (shown(desk).state, sent_on(desk.order, desk.order.requests[0], left)) == ("deposit", None)


def test_the_page_of_another_pg_that_takes_over_is_shown_at_once() -> None:
    desk = Desk(a_checkout(), accounts=("a", "b"))
    desk.answer(desk.due()[0], PAGE)
    desk.decide(lambda moment: complete(desk.order, desk.payment(0).id, {"paymentKey": "abc"}, moment))
    desk.answer(desk.due()[0], declined(Retry.OTHER_PG), Ask.LOOKUP)
    other = Answer(Outcome.ACTION_REQUIRED, reference="pg-2", action=Action("redirect", "https://other.example/pay"))
    desk.answer(desk.due()[0], other)
    assert not is_untold(desk.order, desk.order.requests[0])
    assert (shown(desk).state, shown(desk).action_url) == ("go_on", "https://other.example/pay")


def listed(table: Iterable[tuple[str, Retry]]) -> set[str]:
    """The categories of an adapter's table of refusals."""
    return {category for category, _ in table}


def test_every_category_that_an_adapter_gives_for_a_payment_has_its_words() -> None:
    given = listed(toss.AUTHORIZE_DECLINES.values()) | listed(nice.PAYMENT_DECLINES.values())
    given |= listed(stripe.DECLINES.values()) | {adyen.by_code(str(n), "").category for n in range(60)}
    given |= {toss.abort_decline({"code": code}).category for code in ("PAY_PROCESS_CANCELED", "PAY_PROCESS_ABORTED")}
    assert given <= REASONS.keys(), given - REASONS.keys()
    for words in WORDS.values():
        said = {name for name in words if name.startswith("declined_")} - {"declined_title"}
        assert {reason_of(category) for category in REASONS} == said
    assert reason_of("a category of tomorrow") == "declined_general"


def test_that_a_card_is_stolen_blocked_or_suspected_is_not_told_to_whoever_holds_the_link() -> None:
    quiet = {"lost_or_stolen", "fraud", "blocked", "blocked_instrument", "forbidden", "revoked"}
    assert {reason_of(category) for category in quiet} == {reason_of("generic")}


def test_the_page_knows_a_decline_by_its_category_and_not_by_the_words_of_the_pg() -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    message = "Your card has insufficient funds (adyen-demo)"
    decline = Decline("insufficient_funds", "12", message, Retry.AFTER_CUSTOMER_ACTION)
    desk.answer(desk.due()[0], Answer(Outcome.DECLINED, decline=decline))
    assert desk.payment(0).decline_message == message, "for the shop's people"
    assert shown(desk).declined == "insufficient_funds"
    assert message not in repr(shown(desk))


def test_what_an_exchange_asks_for_adds_up_with_what_comes_back() -> None:
    desk = shipped()
    sends(desk, "exchange", Wanted(desk.item("MUG").id, 1, "TEE"))
    view = view_of(desk.order, desk.order.requests[1], desk.now)
    assert (view.section, view.credit, view.total) == (3, 14_900, 5_000)
    assert sum(goods.amount for goods in view.goods) + view.shipping - view.discount - view.credit == view.total
    assert shown(desk).credit == 0


def test_a_request_that_is_over_says_so() -> None:
    desk = Desk(a_checkout(), accounts=("a",))
    desk.answer(desk.due()[0], declined())
    desk.decide(lambda moment: over(desk.order, desk.order.requests[0], RequestStatus.EXPIRED, moment))
    assert view_of(desk.order, desk.order.requests[0], desk.now).state == "over"


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
