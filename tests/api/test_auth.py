"""Keys are looked up once in a while, together, and never after they have died."""

import asyncio
from uuid import UUID

import pytest

from api.auth import MOST_REMEMBERED, REMEMBERED, KeyRing, require
from queries.store import KeyView

KEY = KeyView(UUID(int=1), "demo", "shop", frozenset({"checkout"}))


class Keys:
    """A database of keys, with a clock."""

    def __init__(self) -> None:
        self.asked = 0
        self.now = 0.0
        self.view: KeyView | None = KEY
        self.away = False

    async def find(self, key_hash: str) -> KeyView | None:
        assert len(key_hash) == 64
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise ConnectionRefusedError
        return self.view

    def clock(self) -> float:
        return self.now


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def ring(keys: Keys) -> KeyRing:
    return KeyRing(keys.find, clock=keys.clock)


async def test_a_rush_with_one_key_costs_one_look_up(keys: Keys, ring: KeyRing) -> None:
    found = await asyncio.gather(*(ring.find("k") for _ in range(100)))
    assert set(found) == {KEY}
    await ring.find("k")
    assert keys.asked == 1


async def test_a_revoked_key_dies_within_five_seconds(keys: Keys, ring: KeyRing) -> None:
    await ring.find("k")
    keys.view = None
    keys.now = REMEMBERED - 0.1
    assert await ring.find("k") is KEY
    keys.now = REMEMBERED
    assert await ring.find("k") is None


async def test_an_unknown_key_works_as_soon_as_it_exists(keys: Keys, ring: KeyRing) -> None:
    keys.view = None
    assert await ring.find("k") is None
    keys.view = KEY
    assert await ring.find("k") is KEY


async def test_an_outage_is_told_and_not_remembered(keys: Keys, ring: KeyRing) -> None:
    keys.away = True
    with pytest.raises(ConnectionRefusedError):
        await ring.find("k")
    keys.away = False
    assert await ring.find("k") is KEY


async def test_memory_is_bounded(keys: Keys, ring: KeyRing) -> None:
    for number in range(MOST_REMEMBERED + 10):
        await ring.find(f"k{number}")
    assert len(ring._known) == MOST_REMEMBERED


def test_a_scope_that_does_not_exist_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no scopes"):
        require("everything")
