"""Toss Payments' lists: the day's transactions and what was settled. Without fees, as the sandbox settles."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from gateways.sandbox.server.personality import Said
from gateways.sandbox.server.vendors.toss_desk import Desk
from gateways.sandbox.server.vendors.toss_error import TossError
from gateways.sandbox.server.vendors.toss_payment import (
    CARD,
    KST,
    TRANSFER,
    VIRTUAL_ACCOUNT,
    Paper,
    korean,
    receipt_url,
)

_USUAL, _MOST = 100, 5_000
_PAID_OUT_AFTER = timedelta(days=2)


def transactions(desk: Desk, account: str, query: Mapping[str, str]) -> Said:
    """``GET /v1/transactions?startDate&endDate&startingAfter&limit``: times in Korea, both ends included."""
    first, last = _moment(query, "startDate"), _moment(query, "endDate")
    base = desk.base(account)
    issued = [(paper.requested_at, _issue(paper, base)) for paper in desk.papers.every(account) if paper.issued]
    moved = [(at, _transaction(paper, row, base)) for at, paper, row in _movements(desk, account)]
    rows = [
        row
        for at, row in sorted(issued + moved, key=lambda one: one[0])
        if first <= datetime.fromtimestamp(at, KST) <= last
    ]
    after = query.get("startingAfter")
    if after is not None:
        keys = [row["transactionKey"] for row in rows]
        if after not in keys:
            raise TossError("INVALID_REQUEST")
        rows = rows[keys.index(after) + 1 :]
    return Said.json(200, rows[: _number(query, "limit", _USUAL)])


def settlements(desk: Desk, account: str, query: Mapping[str, str]) -> Said:
    """``GET /v1/settlements?startDate&endDate&dateType=soldDate|paidOutDate&page&size``: days in Korea."""
    kind = query.get("dateType", "soldDate")
    if kind not in {"soldDate", "paidOutDate"}:
        raise TossError("INVALID_REQUEST")
    first, last = _day(query, "startDate").isoformat(), _day(query, "endDate").isoformat()
    rows = [_settlement(desk, account, paper, row) for _, paper, row in _movements(desk, account)]
    rows = [row for row in rows if first <= row[kind] <= last]
    page, size = _number(query, "page", 1), _number(query, "size", _USUAL)
    return Said.json(200, rows[(page - 1) * size : page * size])


Movement = tuple[float, Paper, dict[str, Any] | None]
"""When, of which payment, and its cancel; None: the approval."""


def _movements(desk: Desk, account: str) -> list[Movement]:
    """Every approval and cancel of money, in the order in which they happened."""
    found: list[Movement] = []
    for paper in desk.papers.every(account):
        if paper.approved_at is not None:
            found.append((paper.approved_at, paper, None))
            found.extend((cancel["canceledAt"], paper, cancel) for cancel in paper.cancels)
    return sorted(found, key=lambda movement: movement[0])


def _issue(paper: Paper, base: str) -> dict[str, Any]:
    """A virtual account that was issued: no money yet."""
    changed = {"transactionKey": paper.issued, "status": "WAITING_FOR_DEPOSIT", "amount": 0}
    return {**_transaction(paper, None, base), **changed, "transactionAt": korean(paper.requested_at)}


def _transaction(paper: Paper, cancel: dict[str, Any] | None, base: str) -> dict[str, Any]:
    whole = cancel is not None and cancel["refundableAmount"] == 0 and len(paper.cancels) == 1
    cancelled = "CANCELED" if whole else "PARTIAL_CANCELED"
    return {
        "mId": "sandbox",
        "transactionKey": paper.approval if cancel is None else cancel["transactionKey"],
        "paymentKey": paper.key,
        "orderId": paper.order_id,
        "method": paper.method,
        "customerKey": paper.customer,
        "useEscrow": paper.escrow,
        "receiptUrl": receipt_url(paper, base),
        "status": "DONE" if cancel is None else cancelled,
        "transactionAt": korean(paper.approved_at or 0 if cancel is None else cancel["canceledAt"]),
        "currency": "KRW",
        "amount": paper.total if cancel is None else -cancel["cancelAmount"],
    }


def _settlement(desk: Desk, account: str, paper: Paper, cancel: dict[str, Any] | None) -> dict[str, Any]:
    shown = desk.shown(account, paper)
    amount = paper.total if cancel is None else -cancel["cancelAmount"]
    sold = datetime.fromtimestamp(paper.approved_at or 0 if cancel is None else cancel["canceledAt"], KST).date()
    methods = {"card": CARD, "virtualAccount": VIRTUAL_ACCOUNT, "transfer": TRANSFER}
    return {
        "mId": "sandbox",
        "paymentKey": paper.key,
        "transactionKey": paper.approval if cancel is None else cancel["transactionKey"],
        "orderId": paper.order_id,
        "currency": "KRW",
        "method": paper.method,
        "amount": amount,
        "interestFee": 0,
        "fee": 0,
        "fees": [{"type": "BASE", "fee": 0}],
        "supplyAmount": 0,
        "suppliedAmount": 0,
        "vat": 0,
        "payOutAmount": amount,
        "approvedAt": shown["approvedAt"],
        "soldDate": sold.isoformat(),
        "paidOutDate": (sold + _PAID_OUT_AFTER).isoformat(),
        **{name: shown[name] if paper.method == method else None for name, method in methods.items()},
        "easyPay": shown["easyPay"],
        "giftCertificate": shown["giftCertificate"],
        "mobilePhone": shown["mobilePhone"],
        "cancel": None if cancel is None else {**cancel, "canceledAt": korean(cancel["canceledAt"])},
    }


def _moment(query: Mapping[str, str], name: str) -> datetime:
    try:
        stated = datetime.fromisoformat(query.get(name, ""))
    except ValueError as error:
        raise TossError("INVALID_REQUEST") from error
    return stated if stated.tzinfo else stated.replace(tzinfo=KST)


def _day(query: Mapping[str, str], name: str) -> date:
    return _moment(query, name).date()


def _number(query: Mapping[str, str], name: str, usual: int) -> int:
    text = query.get(name)
    if text is None:
        return usual
    if not (text.isascii() and text.isdecimal() and len(text) <= 6) or not 1 <= int(text) <= _MOST:
        raise TossError("INVALID_REQUEST")
    return int(text)
