"""Gift cards and adjustments on a real Postgres: once each, never below nothing, and no code is kept anywhere."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from commands.value import Adjustment, GiftCardTerms, Giver, adjust_value, issue_gift_card
from domain.errors import InsufficientValue, Invalid
from domain.gateway import OperationKind, Outcome
from domain.value import ALPHABET, code_hash, last_four
from models.database import Database
from queries.value import LotView, customer_lots
from tests.activities.value_shop import Owner, a_store, act

STORE = "value"
GIVER = Giver(STORE, "key:test")
TERMS = GiftCardTerms(50_000, "KRW")
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
async def shop(database: Database) -> Database:
    """The database with the store in it."""
    await a_store(database)
    return database


async def balance(database: Database, customer: str, now: datetime | None = None) -> list[LotView]:
    """What a customer has now."""
    async with database.reading() as connection:
        return await customer_lots(connection, STORE, customer, now or datetime.now(UTC))


async def entries(database: Database, customer: str) -> list[tuple[str, int, str, str]]:
    """What the ledger says of a customer."""
    look = """
        SELECT e.operation, e.amount, e.reason, e.actor FROM value_entry e JOIN value_lot l ON l.id = e.lot_id
         WHERE l.owner = :owner ORDER BY e.at, e.key, e.part
    """
    async with database.reading() as connection:
        return [tuple(row) for row in await connection.execute(text(look), {"owner": customer})]


async def test_a_card_pays_with_its_code_however_it_is_typed(shop: Database) -> None:
    card = await issue_gift_card(shop, GIVER, TERMS, card_id=uuid4())
    assert card.code is not None
    owner = Owner("gift_card", name=code_hash(f" {card.code.lower().replace('-', ' ')} "))
    async with shop.transaction() as connection:
        call = owner.call(OperationKind.AUTHORIZE, 50_000, uuid4().hex)
        assert (await act(connection, owner, call)).outcome is Outcome.SUCCEEDED


async def test_a_code_is_told_once_and_kept_nowhere(shop: Database) -> None:
    card_id = uuid4()
    card = await issue_gift_card(shop, GIVER, TERMS, card_id=card_id)
    assert card.code is not None
    letters = card.code.replace("-", "")
    assert (len(letters), set(letters) <= set(ALPHABET), card.last_four) == (20, True, letters[-4:])
    again = await issue_gift_card(shop, GIVER, TERMS, card_id=card_id)
    assert again == replace(card, code=None)
    async with shop.reading() as connection:
        for table in ("value_lot", "value_entry", "value_hold"):
            rows = (await connection.execute(text(f"SELECT row_to_json(t)::text FROM {table} t"))).scalars().all()
            assert not any(letters in row or card.code in row for row in rows)
        lots = await connection.execute(text("SELECT owner, last_four FROM value_lot WHERE id = :id"), {"id": card_id})
        assert lots.one() == (code_hash(card.code), last_four(card.code))


async def test_codes_differ(shop: Database) -> None:
    cards = await asyncio.gather(*(issue_gift_card(shop, GIVER, TERMS, card_id=uuid4()) for _ in range(50)))
    assert len({card.code for card in cards}) == 50


async def test_one_card_from_many_requests_at_once_has_one_code(shop: Database) -> None:
    card_id = uuid4()
    cards = await asyncio.gather(*(issue_gift_card(shop, GIVER, TERMS, card_id=card_id) for _ in range(8)))
    assert sum(card.code is not None for card in cards) == 1
    assert len({card.last_four for card in cards}) == 1


@pytest.mark.parametrize(
    ("terms", "pointer"),
    [(replace(TERMS, currency="USD"), "/currency"), (replace(TERMS, expires_at=PAST), "/expires_at")],
)
async def test_a_card_that_nobody_could_use_is_not_issued(shop: Database, terms: GiftCardTerms, pointer: str) -> None:
    card_id = uuid4()
    with pytest.raises(Invalid) as refused:
        await issue_gift_card(shop, GIVER, terms, card_id=card_id)
    assert [flaw.pointer for flaw in refused.value.flaws] == [pointer]
    async with shop.reading() as connection:
        assert not (await connection.execute(text("SELECT 1 FROM value_lot WHERE id = :id"), {"id": card_id})).all()


async def test_what_is_given_is_a_lot_with_its_reason_and_who_gave_it(shop: Database) -> None:
    customer = uuid4().hex
    gift = Adjustment("points", 900, "birthday", FUTURE, promotional=True)
    await adjust_value(shop, GIVER, customer, gift, adjustment_id=uuid4())
    [lot] = await balance(shop, customer)
    assert (lot.kind, lot.left, lot.expires_at, lot.promotional) == ("points", 900, FUTURE, True)
    assert await entries(shop, customer) == [("grant", 900, "birthday", "key:test")]


@pytest.mark.parametrize("amount", [700, -700])
async def test_one_adjustment_from_many_requests_at_once_happens_once(shop: Database, amount: int) -> None:
    customer, adjustment_id = uuid4().hex, uuid4()
    for _ in range(2):
        await adjust_value(shop, GIVER, customer, Adjustment("points", 1000, "begin"), adjustment_id=uuid4())
    change = Adjustment("points", amount, "correct")
    await asyncio.gather(*(adjust_value(shop, GIVER, customer, change, adjustment_id=adjustment_id) for _ in range(6)))
    assert sum(lot.left for lot in await balance(shop, customer)) == 2000 + amount


async def test_a_correction_takes_what_is_free_and_not_more(shop: Database) -> None:
    customer = uuid4().hex
    owner = Owner("store_credit", name=customer)
    await adjust_value(shop, GIVER, customer, Adjustment("store_credit", 1000, "begin"), adjustment_id=uuid4())
    async with shop.transaction() as connection:
        await act(connection, owner, owner.call(OperationKind.AUTHORIZE, 300, uuid4().hex))
    too_much = Adjustment("store_credit", -701, "a mistake")
    with pytest.raises(InsufficientValue) as refused:
        await adjust_value(shop, GIVER, customer, too_much, adjustment_id=uuid4())
    assert refused.value.figures == {"requested": 701, "available": 700}
    await adjust_value(shop, GIVER, customer, replace(too_much, amount=-700), adjustment_id=uuid4())
    [lot] = await balance(shop, customer)
    assert (lot.left, lot.held) == (300, 300)
    assert (await entries(shop, customer))[-1] == ("correct", 700, "a mistake", "key:test")


async def test_corrections_at_once_never_go_below_nothing(shop: Database) -> None:
    customer = uuid4().hex
    await adjust_value(shop, GIVER, customer, Adjustment("points", 1000, "begin"), adjustment_id=uuid4())
    change = Adjustment("points", -300, "less")
    done = await asyncio.gather(
        *(adjust_value(shop, GIVER, customer, change, adjustment_id=uuid4()) for _ in range(8)),
        return_exceptions=True,
    )
    assert sum(one is None for one in done) == 3
    assert sum(isinstance(one, InsufficientValue) for one in done) == 5
    assert sum(lot.left for lot in await balance(shop, customer)) == 100


async def test_value_that_has_expired_is_neither_shown_nor_given(shop: Database) -> None:
    customer, soon = uuid4().hex, datetime.now(UTC) + timedelta(hours=1)
    with pytest.raises(Invalid):
        await adjust_value(shop, GIVER, customer, Adjustment("points", 5, "late", PAST), adjustment_id=uuid4())
    for expires_at in (soon, FUTURE):
        gift = Adjustment("points", 500, "welcome", expires_at)
        await adjust_value(shop, GIVER, customer, gift, adjustment_id=uuid4())
    assert [lot.expires_at for lot in await balance(shop, customer)] == [soon, FUTURE]
    assert [lot.expires_at for lot in await balance(shop, customer, soon)] == [FUTURE]


async def test_another_store_sees_nothing_of_it(shop: Database) -> None:
    customer = uuid4().hex
    await a_store(shop, "value-other")
    await adjust_value(shop, GIVER, customer, Adjustment("points", 1000, "begin"), adjustment_id=uuid4())
    with pytest.raises(InsufficientValue):
        elsewhere, less = Giver("value-other", "key:test"), Adjustment("points", -1, "less")
        await adjust_value(shop, elsewhere, customer, less, adjustment_id=uuid4())
    async with shop.reading() as connection:
        assert await customer_lots(connection, "value-other", customer, datetime.now(UTC)) == []


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.integers(-60, 60).filter(bool), max_size=10))
async def test_the_balance_is_the_sum_of_all_that_was_applied_and_never_negative(
    shop: Database, changes: list[int]
) -> None:
    customer, expected = UUID(int=uuid4().int).hex, 0
    for amount in changes:
        change = Adjustment("points", amount, "property")
        if expected + amount < 0:
            with pytest.raises(InsufficientValue):
                await adjust_value(shop, GIVER, customer, change, adjustment_id=uuid4())
        else:
            await adjust_value(shop, GIVER, customer, change, adjustment_id=uuid4())
            expected += amount
        lots = await balance(shop, customer)
        assert sum(lot.left for lot in lots) == expected
        assert all(0 < lot.left <= lot.amount for lot in lots)
