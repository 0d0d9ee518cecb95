"""Our own value on a real Postgres: lots are never overdrawn, and what goes back goes back to where it came from."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from domain.gateway import Call, OperationKind, Outcome
from models.database import Database
from tests.activities.value_shop import (
    DAY,
    NOW,
    Gift,
    Owner,
    a_store,
    act,
    gateway,
    give,
    ledger_sums,
    lots,
)

HOLD, CAPTURE = OperationKind.AUTHORIZE, OperationKind.CAPTURE
RELEASE, REFUND = OperationKind.VOID, OperationKind.REFUND


@pytest.fixture(scope="module")
async def shop(database: Database) -> Database:
    """The database with the store in it."""
    await a_store(database)
    await a_store(database, "value-other")
    return database


class Books:
    """What must come of movements, kept by hand: lots in the order in which they are spent."""

    def __init__(self, gifts: list[Gift]) -> None:
        self.lots = [(gift.amount, 0, 0) for gift in gifts]
        self.payments: dict[str, list[dict[str, int]]] = {}

    def move(self, kind: OperationKind, amount: int, payment: str, usable: list[bool]) -> bool:
        """Whether it is covered; then it is done."""
        if kind is HOLD:
            free = [(a - h - s) * ok for (a, h, s), ok in zip(self.lots, usable, strict=True)]
        else:
            rows = self.payments.get(payment) or [{"held": 0, "spent": 0} for _ in self.lots]
            free = [row["spent" if kind is REFUND else "held"] for row in rows]
        if sum(free) < amount:
            return False
        rows = self.payments.setdefault(payment, [{"held": 0, "spent": 0} for _ in self.lots])
        places = range(len(free)) if kind in {HOLD, CAPTURE} else reversed(range(len(free)))
        for place in places:
            part = min(free[place], amount)
            amount -= part
            held = {HOLD: part, CAPTURE: -part, RELEASE: -part}.get(kind, 0)
            spent = {CAPTURE: part, REFUND: -part}.get(kind, 0)
            a, h, s = self.lots[place]
            self.lots[place] = (a, h + held, s + spent)
            rows[place]["held"] += held
            rows[place]["spent"] += spent
        return True


GIFTS = st.lists(st.integers(1, 40), min_size=1, max_size=4)
MOVES = st.lists(
    st.tuples(
        st.sampled_from([HOLD, HOLD, CAPTURE, RELEASE, REFUND]),
        st.integers(1, 60),
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 3),
    ),
    max_size=14,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(amounts=GIFTS, moves=MOVES)
async def test_any_sequence_of_movements_keeps_lots_and_ledger_the_same_and_within_what_was_given(
    shop: Database, amounts: list[int], moves: list[tuple[OperationKind, int, str, int]]
) -> None:
    gifts = [Gift(amount, days=n + 1) for n, amount in enumerate(amounts)]
    owner, books, run = Owner(), Books(gifts), uuid4().hex
    held: set[str] = set()
    async with shop.transaction() as connection:
        ids = await give(connection, owner, *gifts)
        for kind, amount, payment, day in moves:
            if kind is HOLD and payment in held:
                continue  # an attempt is authorized once
            usable = [gift.days is not None and gift.days > day for gift in gifts]
            call = owner.call(kind, amount, f"{run}-{payment}")
            answer = await act(connection, owner, call, now=NOW + day * DAY)
            covered = books.move(kind, amount, payment, usable)
            assert (answer.outcome is Outcome.SUCCEEDED) == covered, (kind, amount, payment)
            held |= {payment} if kind is HOLD and covered else set()
            assert await lots(connection, ids) == books.lots
            assert all(h >= 0 and s >= 0 and h + s <= a for a, h, s in books.lots)
        assert await ledger_sums(connection, ids) == books.lots


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(amounts=GIFTS, share=st.integers(1, 100), parts=st.lists(st.integers(1, 30), max_size=5))
async def test_refunds_in_any_parts_restore_the_lots(
    shop: Database, amounts: list[int], share: int, parts: list[int]
) -> None:
    owner, payment = Owner(), uuid4().hex
    amount = max(1, sum(amounts) * share // 100)
    async with shop.transaction() as connection:
        ids = await give(connection, owner, *(Gift(a, days=n + 1) for n, a in enumerate(amounts)))
        before = await lots(connection, ids)
        for kind in (HOLD, CAPTURE):
            assert (await act(connection, owner, owner.call(kind, amount, payment))).outcome is Outcome.SUCCEEDED
        left = amount
        for part in [*parts, amount]:
            part = min(part, left)  # noqa: PLW2901 - no more than is left
            if part:
                answer = await act(connection, owner, owner.call(REFUND, part, payment))
                assert answer.outcome is Outcome.SUCCEEDED
                left -= part
        assert await lots(connection, ids) == before
        assert (await act(connection, owner, owner.call(REFUND, 1, payment))).outcome is Outcome.DECLINED


async def test_the_lot_that_expires_first_is_taken_first_and_given_back_last(shop: Database) -> None:
    owner, payment = Owner(), uuid4().hex
    async with shop.transaction() as connection:
        ids = await give(connection, owner, Gift(100), Gift(50, days=9), Gift(30, days=2, promotional=True))
        await act(connection, owner, owner.call(HOLD, 100, payment))
        assert await lots(connection, ids) == [(100, 20, 0), (50, 50, 0), (30, 30, 0)]
        await act(connection, owner, owner.call(CAPTURE, 90, payment))
        assert await lots(connection, ids) == [(100, 10, 10), (50, 0, 50), (30, 0, 30)]
        await act(connection, owner, owner.call(RELEASE, 10, payment))
        await act(connection, owner, owner.call(REFUND, 40, payment))
        assert await lots(connection, ids) == [(100, 0, 0), (50, 0, 20), (30, 0, 30)]


async def test_promotional_value_goes_back_to_its_own_lot_with_its_own_expiry(shop: Database) -> None:
    owner, payment = Owner("store_credit"), uuid4().hex
    look = text("SELECT kind, owner, expires_at, promotional FROM value_lot WHERE owner = :owner ORDER BY id")
    async with shop.transaction() as connection:
        ids = await give(connection, owner, Gift(30, days=2, promotional=True), Gift(70))
        before = (await connection.execute(look, {"owner": owner.name})).all()
        for kind in (HOLD, CAPTURE, REFUND):
            await act(connection, owner, owner.call(kind, 60, payment))
        assert await lots(connection, ids) == [(30, 0, 0), (70, 0, 0)]
        assert (await connection.execute(look, {"owner": owner.name})).all() == before


async def test_what_expired_meanwhile_goes_back_is_not_spendable_and_the_answer_says_so(shop: Database) -> None:
    owner, payment, later = Owner(), uuid4().hex, NOW + 3 * DAY
    async with shop.transaction() as connection:
        ids = await give(connection, owner, Gift(30, days=2), Gift(10, days=9))
        await act(connection, owner, owner.call(HOLD, 40, payment))
        taken = await act(connection, owner, owner.call(CAPTURE, 40, payment), now=later)
        assert taken.outcome is Outcome.SUCCEEDED, "what is held may be taken, also after its time"
        back = await act(connection, owner, owner.call(REFUND, 25, payment), now=later)
        assert back.evidence.detail == "15 of it went back to value that expired on 2026-11-24: it cannot be spent"
        assert await lots(connection, ids) == [(30, 0, 15), (10, 0, 0)]
        again = await act(connection, owner, owner.call(HOLD, 11, uuid4().hex), now=later)
        assert again.decline is not None
        assert (again.outcome, again.decline.code) == (Outcome.DECLINED, "insufficient_value")
        assert (await act(connection, owner, owner.call(HOLD, 10, uuid4().hex), now=later)).decline is None


@pytest.mark.parametrize(
    ("change", "amount", "now", "code"),
    [
        ({"name": "0" * 64}, 10, NOW, "gift_card_invalid"),
        ({"store": "value-other"}, 10, NOW, "gift_card_invalid"),
        ({"currency": "USD"}, 10, NOW, "gift_card_invalid"),
        ({}, 10, NOW + 9 * DAY, "gift_card_invalid"),
        ({}, 101, NOW, "insufficient_value"),
        ({"kind": "points"}, 10, NOW, "insufficient_value"),
    ],
    ids=["wrong code", "other store's", "other currency", "expired", "too little on it", "a code is no customer"],
)
async def test_a_gift_card_that_cannot_pay_is_declined_and_untouched(
    shop: Database, change: dict[str, Any], amount: int, now: datetime, code: str
) -> None:
    card = Owner("gift_card")
    asked = Owner(**({"kind": "gift_card", "name": card.name} | change))
    async with shop.transaction() as connection:
        ids = await give(connection, card, Gift(100, days=9))
        answer = await act(connection, asked, asked.call(HOLD, amount, uuid4().hex), now=now)
        assert answer.decline is not None
        assert (answer.outcome, answer.decline.code) == (Outcome.DECLINED, code)
        assert await lots(connection, ids) == [(100, 0, 0)]


async def test_an_exhausted_gift_card_is_known_but_covers_nothing(shop: Database) -> None:
    card, payment = Owner("gift_card"), uuid4().hex
    async with shop.transaction() as connection:
        await give(connection, card, Gift(100))
        for kind in (HOLD, CAPTURE):
            await act(connection, card, card.call(kind, 100, payment))
        answer = await act(connection, card, card.call(HOLD, 1, uuid4().hex))
        assert answer.decline is not None
        assert answer.decline.code == "insufficient_value"


@pytest.mark.parametrize("kind", [HOLD, CAPTURE, RELEASE, REFUND])
async def test_the_same_key_twice_is_one_movement(shop: Database, kind: OperationKind) -> None:
    owner, payment = Owner(), uuid4().hex
    before = {HOLD: [], CAPTURE: [HOLD], RELEASE: [HOLD], REFUND: [HOLD, CAPTURE]}[kind]
    async with shop.transaction() as connection:
        ids = await give(connection, owner, Gift(60, days=1), Gift(60))
        for earlier in before:
            await act(connection, owner, owner.call(earlier, 80, payment))
        call = owner.call(kind, 40, payment)
        first = await act(connection, owner, call)
        after = await lots(connection, ids)
        assert await act(connection, owner, call) == first
        assert await lots(connection, ids) == after


async def test_many_holds_at_once_never_take_more_than_the_card_has(shop: Database) -> None:
    card = Owner("gift_card")
    async with shop.transaction() as connection:
        ids = await give(connection, card, Gift(1000))

    async def hold() -> bool:
        async with shop.transaction() as connection:
            answer = await act(connection, card, card.call(HOLD, 70, uuid4().hex))
            return answer.outcome is Outcome.SUCCEEDED

    done = await asyncio.gather(*(hold() for _ in range(40)))
    assert sum(done) == 1000 // 70
    async with shop.reading() as connection:
        assert await lots(connection, ids) == [(1000, 70 * sum(done), 0)]
        assert await ledger_sums(connection, ids) == [(1000, 70 * sum(done), 0)]


async def test_holds_captures_and_refunds_at_once_over_several_lots_leave_the_books_whole(shop: Database) -> None:
    owner = Owner()
    async with shop.transaction() as connection:
        ids = await give(connection, owner, Gift(200, days=1), Gift(300, days=2), Gift(500))

    async def buy(n: int) -> int:
        payment, kept = uuid4().hex, 0
        for kind, amount in ((HOLD, 40 + n), (CAPTURE, 30 + n), (RELEASE, 10), (REFUND, 5 + n)):
            async with shop.transaction() as connection:
                answer = await act(connection, owner, owner.call(kind, amount, payment))
            if answer.outcome is not Outcome.SUCCEEDED:
                assert kind is HOLD, answer
                return 0
            kept = 25
        return kept

    spent = sum(await asyncio.gather(*(buy(n) for n in range(30))))
    assert spent > 0
    async with shop.reading() as connection:
        after = await lots(connection, ids)
        assert await ledger_sums(connection, ids) == after
    assert [held for _, held, _ in after] == [0, 0, 0]
    assert sum(s for _, _, s in after) == spent


async def test_one_key_from_two_at_once_moves_value_once(shop: Database) -> None:
    owner, payment = Owner(), uuid4().hex
    async with shop.transaction() as connection:
        ids = await give(connection, owner, Gift(50, days=1), Gift(50))
    call = owner.call(HOLD, 50, payment)

    async def hold() -> bool:
        async with shop.transaction() as connection:
            return (await act(connection, owner, call)).outcome is Outcome.SUCCEEDED

    done = await asyncio.gather(*(hold() for _ in range(4)), return_exceptions=True)
    assert True in done
    assert all(one is True or isinstance(one, IntegrityError) for one in done)
    async with shop.reading() as connection:
        assert await lots(connection, ids) == [(50, 50, 0), (50, 0, 0)]


@pytest.fixture
def statements(shop: Database) -> Iterator[list[str]]:
    """The statements that the writing pool is sent."""
    sent: list[str] = []
    engine = shop._writing.sync_engine

    def note(*args: Any) -> None:
        sent.append(args[2])

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


async def test_each_movement_costs_one_statement_over_however_many_lots(shop: Database, statements: list[str]) -> None:
    owner, payment = Owner(), uuid4().hex
    async with shop.transaction() as connection:
        await give(connection, owner, Gift(10, days=1), Gift(10, days=2), Gift(10))
        for kind, amount in ((HOLD, 30), (CAPTURE, 20), (RELEASE, 10), (REFUND, 20)):
            statements.clear()
            answer = await act(connection, owner, owner.call(kind, amount, payment))
            assert answer.outcome is Outcome.SUCCEEDED
            assert len(statements) == 1


async def test_store_credit_is_given_once_and_can_be_spent(shop: Database) -> None:
    owner = Owner("store_credit")
    call = owner.call(REFUND, 900, uuid4().hex)
    async with shop.transaction() as connection:
        for _ in range(2):
            answer = await gateway(connection, owner).credit(call)
            assert (answer.outcome, "store credit" in answer.evidence.detail) == (Outcome.SUCCEEDED, True)
        held = await act(connection, owner, owner.call(HOLD, 900, uuid4().hex))
        assert held.outcome is Outcome.SUCCEEDED
        rows = await connection.execute(
            text("SELECT amount, held, promotional, expires_at FROM value_lot WHERE owner = :owner"),
            {"owner": owner.name},
        )
        assert rows.all() == [(900, 900, False, None)]


async def test_a_look_up_and_a_neutralize_tell_what_the_ledger_holds(shop: Database) -> None:
    owner, payment = Owner(), uuid4().hex
    async with shop.transaction() as connection:
        ids = await give(connection, owner, Gift(100))
        hold = owner.call(HOLD, 60, payment)
        asked = _about(owner.call(OperationKind.LOOKUP, 60, payment), hold.key)
        assert (await act(connection, owner, asked)).outcome is Outcome.NOT_EXECUTED
        await act(connection, owner, hold)
        found = await act(connection, owner, asked)
        assert found.amounts is not None
        assert (found.outcome, found.amounts.authorized) == (Outcome.SUCCEEDED, 60)
        stop = _about(owner.call(OperationKind.NEUTRALIZE, 60, payment), hold.key)
        for _ in range(2):
            assert (await act(connection, owner, stop)).outcome is Outcome.SUCCEEDED
        assert await lots(connection, ids) == [(100, 0, 0)]


def _about(call: Call, key: str) -> Call:
    return replace(call, subject=HOLD, subject_key=key)


@pytest.mark.parametrize("change", ["UPDATE value_entry SET amount = 1", "DELETE FROM value_entry"])
async def test_the_ledger_is_only_ever_added_to(shop: Database, change: str) -> None:
    with pytest.raises(IntegrityError, match="only ever added"):
        async with shop.transaction() as connection:
            await connection.execute(text(change))


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("held", 101, "spent_within_amount"),
        ("held", -1, "spent_within_amount"),
        ("spent", 101, "spent_within_amount"),
        ("spent", -1, "spent_within_amount"),
        ("amount", 0, "amount_positive"),
        ("kind", "miles", "kind_known"),
        ("owner", "", "owner_named"),
        ("last_four", "ABCD", "card_has_last_four"),
        ("expires_at", NOW - 9 * DAY, "expires_after_birth"),
    ],
)
async def test_a_lot_in_a_wrong_state_is_refused(shop: Database, column: str, value: object, rule: str) -> None:
    with pytest.raises(IntegrityError, match=rule):
        async with shop.transaction() as connection:
            [lot] = await give(connection, Owner(), Gift(100))
            change = text(f"UPDATE value_lot SET {column} = :value WHERE id = :id")
            await connection.execute(change, {"value": value, "id": lot})


@pytest.mark.parametrize(
    ("sums", "rule"),
    [
        ({"captured": 60, "released": 41}, "taken_within_amount"),
        ({"captured": 50, "refunded": 51}, "refunded_within_captured"),
        ({"released": -1}, "taken_within_amount"),
    ],
)
async def test_a_payment_never_takes_more_of_a_lot_than_it_held(
    shop: Database, sums: dict[str, int], rule: str
) -> None:
    owner, payment = Owner(), uuid4().hex
    with pytest.raises(IntegrityError, match=rule):
        async with shop.transaction() as connection:
            await give(connection, owner, Gift(100))
            await act(connection, owner, owner.call(HOLD, 100, payment))
            changes = ", ".join(f"{name} = {value}" for name, value in sums.items())
            await connection.execute(
                text(f"UPDATE value_hold SET {changes} WHERE merchant_ref = :ref"), {"ref": payment}
            )


async def test_a_code_in_the_clear_is_refused_by_the_table(shop: Database) -> None:
    with pytest.raises(IntegrityError, match="card_is_hashed"):
        async with shop.transaction() as connection:
            await give(connection, Owner("gift_card", name="BCDF-GHJK-LMNP-QRST-VWXZ"), Gift(100))
