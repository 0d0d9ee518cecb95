"""The pay page as HTML: what a customer reads, and what a screen reader makes of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typing_extensions import override

from api.pay.bank import BANKS, bank_name
from api.pay.page import write
from api.pay.view import Deposit, Goods, View
from api.pay.words import LANGUAGES, REASONS, WORDS
from domain.schedule import Standing

SEOUL = ZoneInfo("Asia/Seoul")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MESSAGES = ("paid", "over", "busy", "no_way", "unknown", "slow")
NAME = "A very long name of a thing <b>&amp; more</b> " + "x" * 80
OPEN = View(
    state="open",
    number="261122-7K3M9QX",
    currency="KRW",
    section=None,
    goods=(Goods(NAME, 2, 39_800),),
    shipping=3000,
    discount=500,
    credit=0,
    total=42_300,
    paid=10_000,
    returning=0,
    asked=0,
    left=32_300,
    amounts=(12_300, 32_300),
    due_at=NOW,
    parts=(
        Standing(10_000, NOW - timedelta(days=3), 10_000, "paid"),
        Standing(13_000, NOW, 700, "due"),
        Standing(19_300, NOW + timedelta(days=9), 0, "upcoming"),
    ),
    declined="insufficient_funds",
)
ONE = replace(OPEN, paid=0, left=42_300, amounts=(42_300,), parts=(), declined=None)
GO_ON = replace(ONE, state="go_on", asked=42_300, left=0, action_url="https://pg.example/pay?a=1&b=2")
DEPOSIT = replace(
    GO_ON, state="deposit", action_url=None, deposit=Deposit("20", "X5678901234567", "Shop <Inc.>", 42_300, NOW)
)
PAGES = {"parts": OPEN, "one amount": ONE, "go on": GO_ON, "deposit": DEPOSIT}


class Read(HTMLParser):
    """A document as its elements, each with its attributes and the text within it."""

    VOID = frozenset({"meta", "br", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[int] = []
        self.inside: list[tuple[str, ...]] = []
        self.feed(html)
        self.close()
        assert not self._open, "every element is closed"

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside.append(tuple(self.elements[n][0] for n in self._open))
        self.elements.append((tag, dict(attrs), []))
        if tag not in self.VOID:
            self._open.append(len(self.elements) - 1)

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag

    @override
    def handle_data(self, data: str) -> None:
        for n in self._open:
            self.elements[n][2].append(data)

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        """The attributes of every such element."""
        return [a for name, a, _ in self.elements if name == tag and wanted.items() <= a.items()]

    def text(self, tag: str, **wanted: str) -> list[str]:
        """What stands in every such element, in one line."""
        found = (texts for name, a, texts in self.elements if name == tag and wanted.items() <= a.items())
        return [" ".join("".join(texts).split()) for texts in found]


def shown(view: View, language: str = "en", **more: Any) -> Read:
    """The page of a request."""
    form = {"amounts": view.amounts, "methods": ["card", "transfer"], "once": "1", "link": "/pay/x", "changed": False}
    return Read(write("pay.html", language, nonce="n", view=view, clock=SEOUL, **(form | more)))


def rows(page: Read) -> dict[str, str]:
    """The last table: what is paid for, and what of it is paid."""
    heads, cells = page.text("th", scope="row"), page.text("td")
    assert len(heads) == len(cells)
    return dict(zip(heads, cells, strict=True))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("view", PAGES.values(), ids=PAGES)
def test_every_part_of_the_page_has_a_name_for_those_who_hear_it(view: View, language: str) -> None:
    page = shown(view, language)
    assert [a["lang"] for a in page.all("html")] == [language]
    assert len(page.all("h1")) == len(page.all("main")) == 1
    [title] = page.text("title")
    assert "261122-7K3M9QX" in title
    ids = {a["id"] for name, a, _ in page.elements if "id" in a}
    assert {a["aria-labelledby"] for a in page.all("table")} <= ids
    assert len(page.all("th", scope="row")) == len(page.all("th")) == len(page.all("td"))
    for place, (name, attributes, _) in zip(page.inside, page.elements, strict=True):
        if name == "input" and attributes["type"] != "hidden":
            assert {"label", "fieldset", "form"} <= set(place)
    assert len(page.all("legend")) == len(page.all("fieldset"))
    [other] = [a for a in page.all("a") if "hreflang" in a]
    assert other["lang"] == other["hreflang"] != language
    assert all(page.text("a")), "a link says where it goes"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("view", PAGES.values(), ids=PAGES)
def test_every_time_is_of_the_stores_clock_and_can_be_read_by_machines(view: View, language: str) -> None:
    page = shown(view, language)
    times = [datetime.fromisoformat(str(a["datetime"])) for a in page.all("time")]
    assert {t.utcoffset() for t in times} == {timedelta(hours=9)}
    [body] = page.text("body")
    assert body.count("KST") == len(times) >= 1
    assert NOW in times


@pytest.mark.parametrize("view", PAGES.values(), ids=PAGES)
def test_long_names_wrap_and_amounts_do_not(view: View) -> None:
    page = shown(view)
    [body], [style] = page.text("body"), page.text("style")
    assert body.count(" KRW") == len(page.all("span", **{"class": "amount"})), "every amount is marked as one"
    assert ".amount, .unbroken { white-space: nowrap; }" in style
    assert "overflow-wrap: anywhere" in style
    assert any(NAME in head for head in page.text("th")), "a name is text, whatever is in it"


def test_nothing_is_called_paid_that_is_only_asked_for() -> None:
    for view in (GO_ON, DEPOSIT):
        assert "Already paid" not in rows(shown(view))
    assert shown(GO_ON).text("p", **{"class": "due"}) == ["42,300 KRW"]
    assert shown(DEPOSIT).text("dd")[3] == "42,300 KRW"
    part = rows(shown(replace(DEPOSIT, paid=7_300, asked=35_000)))
    assert (part["Total"], part["Already paid"], part["To pay now"]) == ("42,300 KRW", "7,300 KRW", "35,000 KRW")
    back = rows(shown(replace(OPEN, paid=4_000, returning=6_000), "ko"))
    assert (back["결제 완료 금액"], back["환불 진행 중"]) == ("4,000 KRW", "6,000 KRW")


@pytest.mark.parametrize(("language", "named"), [("en", "Credit for what you send back"), ("ko", "반품 상품 차감액")])
def test_what_an_exchanged_item_was_worth_stands_beside_what_the_new_one_costs(language: str, named: str) -> None:
    exchange = replace(ONE, goods=(Goods("T-shirt", 1, 19_900),), shipping=0, discount=0, credit=14_900, total=5_000)
    assert rows(shown(exchange, language))[named] == "-14,900 KRW"
    assert named not in rows(shown(ONE, language))


def test_a_deposit_names_its_bank_and_not_the_code_of_it() -> None:
    assert shown(DEPOSIT).text("dd")[:3] == ["Woori Bank", "X5678901234567", "Shop <Inc.>"]
    assert shown(DEPOSIT, "ko").text("dd")[0] == "우리은행"
    assert [bank_name(code, "ko") for code in ("088", "88", "신한은행", "", "999")] == [
        "신한은행",
        "신한은행",
        "신한은행",
        "",
        "999",
    ]
    assert all(names.keys() == set(LANGUAGES) for names in BANKS.values())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("category", [*REASONS, "a category of tomorrow"])
def test_a_decline_is_told_in_whole_sentences_of_our_own(category: str, language: str) -> None:
    page = shown(replace(ONE, declined=category), language)
    [alert] = page.text("p", role="alert")
    assert "_" not in alert
    assert ".." not in alert
    assert alert.endswith(".")
    if language == "ko":
        assert not any("a" <= letter <= "z" for letter in alert.lower()), "all of it in the customer's language"
    [title] = page.text("title")
    assert title.startswith(WORDS[language]["declined_title"])


def test_what_has_changed_is_said_beside_the_amount() -> None:
    assert shown(ONE).text("p", role="status") == []
    assert shown(ONE, changed=True).text("p", role="status") == [WORDS["en"]["changed"]]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_stands_alone_and_only_what_is_soon_over_looks_again_by_itself(name: str, language: str) -> None:
    view = None if name in {"unknown", "slow"} else ONE
    refresh = 3 if name == "busy" else None
    page = Read(write("message.html", language, nonce="n", message=name, refresh=refresh, view=view))
    assert page.text("h1") == [WORDS[language][f"{name}_title"]]
    assert [a["content"] for a in page.all("meta", **{"http-equiv": "refresh"})] == (["3"] if refresh else [])
    assert (WORDS[language]["again"] in page.text("a")) == (name == "busy")
    assert any(ONE.number in text for text in page.text("p")) == (view is not None)


@pytest.mark.parametrize("view", PAGES.values(), ids=PAGES)
def test_a_page_that_somebody_reads_or_fills_in_is_not_taken_away_from_them(view: View) -> None:
    assert shown(view).all("meta", **{"http-equiv": "refresh"}) == []
