"""Giving value by hand: gift cards, and what staff give to a customer or take back, each once and with its entry."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Flaw, InsufficientValue, Invalid
from domain.value import CustomerKind, code_hash, last_four, new_code
from models.database import Database
from models.ledger import GRANT, MOVES
from queries.catalog import load_shelf

DONE_MEANWHILE = "pk_value_entry"
"""The fence that another run of the same correction has reached first."""

_GRANT = text(GRANT)
_CORRECT = text(MOVES["correct"])
_CARD = text("SELECT last_four, created_at FROM value_lot WHERE id = :card")
_FREE = text(
    """
    SELECT CAST(coalesce(sum(amount - held - spent), 0) AS bigint) FROM value_lot
     WHERE store_id = :store AND owner = :owner AND kind = :kind AND spent < amount
       AND (expires_at IS NULL OR expires_at > :at)
    """
)


@dataclass(frozen=True, slots=True)
class GiftCardTerms:
    """What a card is good for: minor units of ``currency``, until ``expires_at`` (None: for ever)."""

    amount: int
    currency: str
    expires_at: datetime | None = None
    promotional: bool = False


@dataclass(frozen=True, slots=True)
class IssuedCard:
    """A gift card. ``code`` is known here and now, and to nobody ever after; None: the card was issued before."""

    id: UUID
    code: str | None
    last_four: str
    terms: GiftCardTerms
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Value given to a customer, or (``amount`` below 0) taken back of what is neither held nor expired."""

    kind: CustomerKind
    amount: int
    reason: str
    expires_at: datetime | None = None
    promotional: bool = False


@dataclass(frozen=True, slots=True)
class Giver:
    """Who gives, in which store."""

    store: str
    actor: str


async def issue_gift_card(database: Database, giver: Giver, terms: GiftCardTerms, *, card_id: UUID) -> IssuedCard:
    """A new card with a fresh code; the same ``card_id`` again is the same card, without its code.

    Raises `Invalid` for another currency than the store's, or an expiry that is over.
    """
    now = datetime.now(UTC)
    code = new_code(secrets.choice)
    async with database.transaction() as connection:
        currency = await _currency(connection, giver)
        if terms.currency != currency:
            flaw = Flaw("/currency", "currency_not_of_store", f"this store sells in {currency}")
            raise Invalid("a gift card is in the store's currency", flaws=[flaw])
        _refuse_past(terms.expires_at, now)
        card = {"kind": "gift_card", "owner": code_hash(code), "last_four": last_four(code), "currency": currency}
        given = {"amount": terms.amount, "expires_at": terms.expires_at, "promotional": terms.promotional}
        entry = {"key": f"gift-card-{card_id.hex}", "merchant_ref": None, "reason": None, "actor": giver.actor}
        lot = {"lot": card_id, "store": giver.store, "at": now}
        issued = (await connection.execute(_GRANT, lot | card | given | entry)).scalar() is not None
        shown, created_at = (await connection.execute(_CARD, {"card": card_id})).one()
    return IssuedCard(card_id, code if issued else None, shown, terms, created_at)


async def adjust_value(
    database: Database, giver: Giver, customer: str, adjustment: Adjustment, *, adjustment_id: UUID
) -> None:
    """Give value to a customer or correct it, once for each ``adjustment_id``.

    Raises `Invalid` for an expiry that is over, `InsufficientValue` if there is less to take than asked.
    """
    now = datetime.now(UTC)
    parameters: dict[str, Any] = {
        "key": f"adjust-{adjustment_id.hex}",
        "store": giver.store,
        "kind": adjustment.kind,
        "owner": customer,
        "amount": abs(adjustment.amount),
        "merchant_ref": None,
        "reason": adjustment.reason,
        "actor": giver.actor,
        "at": now,
    }
    if adjustment.amount > 0:
        _refuse_past(adjustment.expires_at, now)
        parameters |= {"lot": adjustment_id, "last_four": None, "promotional": adjustment.promotional}
        parameters["expires_at"] = adjustment.expires_at
    try:
        async with database.transaction() as connection:
            parameters["currency"] = await _currency(connection, giver)
            if adjustment.amount > 0:
                await connection.execute(_GRANT, parameters)
            else:
                await _correct(connection, parameters)
    except IntegrityError as twice:
        if DONE_MEANWHILE not in str(twice.orig):
            raise


async def _correct(connection: AsyncConnection, parameters: dict[str, Any]) -> None:
    done = (await connection.execute(_CORRECT, parameters)).scalar()
    if not done:
        owner = {name: parameters[name] for name in ("store", "owner", "kind", "at")}
        free = (await connection.execute(_FREE, owner)).scalar()
        figures = {"requested": parameters["amount"], "available": free}
        raise InsufficientValue(f"asked to take {parameters['amount']}, {free} is there to take", figures=figures)


async def _currency(connection: AsyncConnection, giver: Giver) -> str:
    return (await load_shelf(connection, giver.store, ())).currency


def _refuse_past(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        flaw = Flaw("/expires_at", "in_the_past", "must be in the future")
        raise Invalid("value cannot be given that has expired", flaws=[flaw])
