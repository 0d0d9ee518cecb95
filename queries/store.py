"""Keys of stores, by their hash."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key that may still be used: whose it is and what it opens."""

    id: UUID
    store: str
    label: str
    scopes: frozenset[str]


_KEY = text("SELECT id, store_id, label, scopes FROM api_key WHERE key_hash = :key_hash AND revoked_at IS NULL")


async def find_key(connection: AsyncConnection, key_hash: str) -> KeyView | None:
    """The key with this SHA-256 (lower-case hex); None if there is none or it was revoked."""
    row = (await connection.execute(_KEY, {"key_hash": key_hash})).first()
    return None if row is None else KeyView(row[0], row[1], row[2], frozenset(row[3]))
