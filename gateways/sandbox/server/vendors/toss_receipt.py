"""Toss Payments' cash receipts (현금영수증) beside its payments: issued, cancelled and listed. They move no money."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateways.sandbox.server.personality import Counter, Said
from gateways.sandbox.server.vendors import toss_intake as intake
from gateways.sandbox.server.vendors.toss_error import TossError
from gateways.sandbox.server.vendors.toss_payment import KST, RECEIPT_TYPES, cash_receipt, korean

_USUAL, _MOST = 100, 10_000


class Receipts:
    """``POST /v1/cash-receipts``, ``POST /v1/cash-receipts/{receiptKey}/cancel``, ``GET /v1/cash-receipts``."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def issue(self, account: str, body: Mapping[str, Any]) -> Said:
        """For a payment that did not go through Toss."""
        intake.check_order(body, "현금영수증")
        kind, customer = intake.text(body, "type", 10), intake.text(body, "customerIdentityNumber", 30)
        if kind not in RECEIPT_TYPES or not customer.isdecimal():
            raise TossError("INVALID_REQUEST")
        fixed = {name: body[name] for name in ("orderId", "orderName", "amount")}
        about = {"receiptKey": secrets.token_urlsafe(24), "type": kind, "customerIdentityNumber": customer, **fixed}
        return self._write(account, about | {"taxFreeAmount": intake.whole(body, "taxFreeAmount", 0)}, "CONFIRM")

    def cancel(self, account: str, key: str, body: Mapping[str, Any]) -> Said:
        """All that is left of one, or ``amount`` of it."""
        events = [one for one in self._counter.every(account, "receipt") if one["receiptKey"] == key]
        if not events:
            raise TossError("NOT_FOUND")
        left = events[0]["amount"] - sum(one["amount"] for one in events[1:])
        amount = intake.whole(body, "amount", left)
        if not 0 < amount <= left:
            raise TossError("INVALID_REQUEST")
        untaxed = events[0]["taxFreeAmount"] if amount == events[0]["amount"] else 0
        return self._write(account, events[0] | {"amount": amount, "taxFreeAmount": untaxed}, "CANCEL")

    def listed(self, account: str, query: Mapping[str, str]) -> Said:
        """What was asked for on the Korean day ``requestDate``, from behind ``cursor``, ``limit`` at once."""
        day, limit = query.get("requestDate", ""), _number(query, "limit", _USUAL)
        if not 1 <= limit <= _MOST or not _is_day(day):
            raise TossError("INVALID_REQUEST")
        after = _number(query, "cursor", 0)
        rows = [
            (number, event)
            for number, event in enumerate(self._counter.every(account, "receipt"), start=1)
            if number > after and korean(event["at"]).startswith(day)
        ]
        page = rows[:limit]
        last = page[-1][0] if page else after
        shown = [self._shown(account, event) for _, event in page]
        return Said.json(200, {"hasNext": len(rows) > limit, "lastCursor": last, "data": shown})

    def _write(self, account: str, about: Mapping[str, Any], transaction: str) -> Said:
        number = f"{secrets.randbelow(10**9):09d}"
        event = {**about, "transactionType": transaction, "issueNumber": number, "at": self._counter.clock()}
        self._counter.write(account, "receipt", f"{about['receiptKey']}:{number}", event)
        return Said.json(200, self._shown(account, event))

    def _shown(self, account: str, event: Mapping[str, Any]) -> dict[str, Any]:
        return cash_receipt(event, self._counter.clock(), f"{self._counter.public_url}/toss/{account}")


def _is_day(text: str) -> bool:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=KST).date().isoformat() == text
    except ValueError:
        return False


def _number(query: Mapping[str, str], name: str, usual: int) -> int:
    text = query.get(name)
    if text is None:
        return usual
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise TossError("INVALID_REQUEST")
    return int(text)
