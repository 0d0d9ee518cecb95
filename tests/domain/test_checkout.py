"""Checkout: prices by the catalogue, shares that add up to the last unit, refusals that point at what is wrong."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.allocation import tax_included
from domain.checkout import AskedItem, AskedPayment, AskedSection, CatalogSku, Checkout, quote
from domain.errors import Invalid, OutOfStock, Rejected, TotalMismatch
from domain.states import ItemState, OrderStatus, SectionStatus, TenderStatus
from tests.domain.desk import BUSAN, CATALOG, SEOUL, START, Desk, a_checkout

SKUS = st.builds(
    CatalogSku,
    sku=st.sampled_from(["A", "B", "C", "D"]),
    name=st.just("thing"),
    price=st.integers(0, 10**7),
    tax_rate=st.sampled_from([0, 500, 1000, 2500]),
    tracked=st.just(False),
    available=st.just(0),
)
LINES = st.lists(st.tuples(st.sampled_from(["A", "B", "C", "D"]), st.integers(1, 99)), min_size=1, max_size=5)
CARTS = st.lists(st.tuples(LINES, st.integers(0, 10**5)), min_size=1, max_size=4)


def cart(sections: list[tuple[list[tuple[str, int]], int]]) -> tuple[AskedSection, ...]:
    return tuple(
        AskedSection(SEOUL, "standard", fee, tuple(AskedItem(sku, n) for sku, n in lines)) for lines, fee in sections
    )


@given(skus=st.lists(SKUS, min_size=4, max_size=4), sections=CARTS, part=st.integers(0, 1000))
def test_the_shares_of_any_cart_add_up_to_the_last_unit(
    skus: list[CatalogSku], sections: list[tuple[list[tuple[str, int]], int]], part: int
) -> None:
    catalog = {name: replace(sku, sku=name) for name, sku in zip("ABCD", skus, strict=True)}
    goods = sum(catalog[sku].price * n for lines, _ in sections for sku, n in lines)
    fees = sum(fee for _, fee in sections)
    discount = goods * part // 1000
    total = goods + fees - discount
    asked = replace(
        a_checkout(sections=cart(sections), discount=discount, expected=total),
        payments=(AskedPayment("card", total, "tok"),) if total else (),
    )
    priced = quote(asked, catalog, currency="KRW", now=START)
    assert priced.total == total
    assert sum(line.discount for line in priced.lines) == discount
    assert sum(line.paid for line in priced.lines) == goods - discount
    for n, (_, fee) in enumerate(sections):
        assert sum(line.shipping for line in priced.lines if line.section == n) == fee
    for rate in {s.tax_rate for s in catalog.values()}:
        mine = [line for line in priced.lines if line.sku.tax_rate == rate]
        due = tax_included(sum(line.paid + line.shipping for line in mine), rate)
        assert sum(line.tax_included + line.shipping_tax for line in mine) == due
    assert all(0 <= line.discount <= line.gross for line in priced.lines)


def test_the_example_of_the_contract_costs_what_the_contract_says() -> None:
    priced = quote(a_checkout(discount=5000), CATALOG, currency="KRW", now=START)
    assert priced.figures == {
        "items": 54700,
        "discount": 5000,
        "shipping": 8000,
        "tax_included": 5245,
        "total": 57700,
        "payments": 57700,
        "expected_total": 57700,
        "currency": "KRW",
    }
    tee = priced.lines[0]
    assert (tee.discount, tee.tax_included, tee.paid) == (3638, 3287, 36162)


def test_an_order_opens_unpaid_with_its_stock_held_and_its_own_value_first() -> None:
    desk = Desk(a_checkout(AskedPayment("card", 50000, "tok"), AskedPayment("points", 12700)))
    order = desk.order
    assert (order.status, order.total, order.tax_included) == (OrderStatus.PENDING_PAYMENT, 62700, 5700)
    assert {s.status for s in order.sections} == {SectionStatus.AWAITING_PAYMENT}
    assert {i.state for i in order.items} == {ItemState.PENDING}
    assert [(p.method, p.status) for p in order.payments] == [
        ("points", TenderStatus.AUTHORIZED),
        ("card", TenderStatus.PROCESSING),
    ]
    assert (order.section(2).recipient, order.section(2).city) == ("Lee Jun", "Busan")
    assert sum(i.shipping_tax for i in order.items) == sum(s.shipping_tax for s in order.sections)


def test_an_order_that_costs_nothing_is_placed_at_once() -> None:
    free = (AskedSection(SEOUL, "standard", 0, (AskedItem("MUG", 1),)),)
    desk = Desk(replace(a_checkout(sections=free, discount=14900), payments=()))
    assert desk.order.status is OrderStatus.PLACED
    assert desk.item("MUG").state is ItemState.ALLOCATED


FLAWS: list[tuple[str, dict[str, Any], str, str]] = [
    ("another currency", {"currency": "USD"}, "/currency", "currency_not_of_store"),
    ("no section", {"sections": ()}, "/sections", "empty"),
    ("an empty section", {"sections": (AskedSection(SEOUL, "s", 0, ()),)}, "/sections/0/items", "empty"),
    (
        "an unknown SKU",
        {"sections": (AskedSection(SEOUL, "s", 0, (AskedItem("MUG", 1), AskedItem("NO", 1))),)},
        "/sections/0/items/1/sku",
        "unknown_sku",
    ),
    (
        "no pieces",
        {"sections": (AskedSection(BUSAN, "s", 0, (AskedItem("MUG", 0),)),)},
        "/sections/0/items/0/quantity",
        "too_small",
    ),
    (
        "a negative fee",
        {"sections": (AskedSection(BUSAN, "s", -1, (AskedItem("MUG", 1),)),)},
        "/sections/0/shipping_fee",
        "too_small",
    ),
    ("a leg that pays nothing", {"payments": (AskedPayment("card", 0),)}, "/payments/0/amount", "too_small"),
    (
        "a leg that takes away",
        {"payments": (AskedPayment("card", 70000), AskedPayment("points", -7300))},
        "/payments/1/amount",
        "too_small",
    ),
]


@pytest.mark.parametrize(("changed", "pointer", "code"), [f[1:] for f in FLAWS], ids=[f[0] for f in FLAWS])
def test_what_does_not_fit_together_is_pointed_at(changed: dict[str, Any], pointer: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        quote(replace(a_checkout(), **changed), CATALOG, currency="KRW", now=START)
    assert [(f.pointer, f.code) for f in refused.value.flaws] == [(pointer, code)]


def test_discounts_cannot_exceed_the_items_nor_be_negative() -> None:
    asked = a_checkout(discount=5000)
    for amount, pointer in ((54701, "/discounts"), (-1, "/discounts/0/amount")):
        wrong = replace(asked, discounts=(replace(asked.discounts[0], amount=amount),))
        with pytest.raises(Invalid) as refused:
            quote(wrong, CATALOG, currency="KRW", now=START)
        assert refused.value.flaws[0].pointer == pointer


@pytest.mark.parametrize(
    "changed",
    [
        {"expected_total": 62701},
        {"payments": (AskedPayment("card", 62699),)},
        {"payments": (AskedPayment("card", 62701),)},
        {"payments": (AskedPayment("card", 62701),), "payment_mode": "accumulate"},
    ],
    ids=["another total", "too little", "too much", "too much for the rest"],
)
def test_a_total_that_is_off_is_answered_with_the_servers_figures(changed: dict[str, Any]) -> None:
    with pytest.raises(TotalMismatch) as refused:
        quote(replace(a_checkout(), **changed), CATALOG, currency="KRW", now=START)
    assert refused.value.figures["total"] == 62700


def test_an_order_that_accumulates_may_begin_with_less() -> None:
    part = replace(a_checkout(mode="accumulate"), payments=(AskedPayment("card", 700),))
    assert quote(part, CATALOG, currency="KRW", now=START).total == 62700


def test_stock_is_checked_over_all_lines_of_a_sku() -> None:
    sections = tuple(AskedSection(SEOUL, "s", 0, (AskedItem("TEE", 501), AskedItem("CARD", 9999))) for _ in range(2))
    with pytest.raises(OutOfStock) as refused:
        quote(a_checkout(sections=sections), CATALOG, currency="KRW", now=START)
    assert refused.value.figures == {"skus": [{"sku": "TEE", "wanted": 1002, "available": 1000}]}


def test_a_refused_checkout_is_an_answer_not_a_failure() -> None:
    wrong: Checkout = replace(a_checkout(), currency="USD")
    with pytest.raises(Rejected) as refused:
        quote(wrong, CATALOG, currency="KRW", now=START)
    assert refused.value.problem.code == "invalid_request"
