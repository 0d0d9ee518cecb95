"""Payments at the sandbox PG as different vendors' clients make them, and what its fault log and ledger say of them."""

from typing import Any
from uuid import uuid4

import httpx

from tests.gateways.rig import KEY, SandboxServer, a_payment
from tests.gateways.rigs.stripe import Merchant, a_card_payment


def pay_at_sandbox(server: SandboxServer, account: str, **headers: str) -> httpx.Response:
    sent = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": uuid4().hex, **headers}
    return server.http.post(f"/{account}/v1/payments", json=a_payment(), headers=sent)


def pay_at_stripe(server: SandboxServer, account: str, **headers: str) -> httpx.Response:
    return Merchant(server, account).send("POST", "/payment_intents", a_card_payment(), **headers)


PAYING = {"sandbox": pay_at_sandbox, "stripe": pay_at_stripe}
"""A payment of this account, by vendor; ``headers`` go with it."""


def kept(server: SandboxServer, account: str, merchant_ref: str | None = None) -> list[int]:
    """What each payment has kept, by the ledger."""
    named = {} if merchant_ref is None else {"merchant_ref": merchant_ref}
    return list(server.ledger(account=account, **named)["net"].values())


def fired(server: SandboxServer) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = server.http.get("/_faults").raise_for_status().json()["fired"]
    return seen
