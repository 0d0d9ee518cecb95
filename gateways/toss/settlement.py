"""What Toss Payments says it has settled, and the day's activity. Pure translation; amounts in KRW.

``/v1/settlements`` answers for live keys only; ``/v1/transactions`` for test keys too, and on the same day.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from gateways.field import Unreadable, text, whole
from gateways.gateway import GatewayUnavailable, SettlementLine
from gateways.toss.wire import moment
from gateways.transport import Reply

ROWS = "rows"
"""The field of a `Reply` that holds the list; Toss answers with a bare JSON array."""
PAGE = 1_000
"""Rows asked for at once; Toss gives 5,000 at most."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One approval or cancel: the last resort for an operation in doubt. A cancel's ``amount`` is negative.

    A virtual account that was issued is one too, of the ``amount`` 0.
    """

    transaction_key: str
    payment_key: str
    merchant_ref: str
    status: str
    amount: int
    currency: str
    at: datetime


def settlement_path(day: date, page: int) -> str:
    """One page, from 1, of what was sold on ``day`` (Korean)."""
    query = {"startDate": day, "endDate": day, "dateType": "soldDate", "page": page, "size": PAGE}
    return f"/v1/settlements?{urlencode(query)}"


def transactions_path(day: date, after: str | None) -> str:
    """The transactions of ``day`` (Korean), from the one after the transactionKey ``after``."""
    query = {"startDate": f"{day}T00:00:00", "endDate": f"{day}T23:59:59", "limit": PAGE}
    return f"/v1/transactions?{urlencode(query if after is None else {**query, 'startingAfter': after})}"


def read_settlement(account: str, reply: Reply) -> list[SettlementLine]:
    """The lines of a page. Raises `GatewayUnavailable` for anything else."""
    try:
        return [_line(account, row) for row in _rows(reply)]
    except (Unreadable, ValueError) as error:
        raise GatewayUnavailable(f"{account} gave a settlement that cannot be read: {error}") from error


def read_transactions(account: str, reply: Reply) -> list[Transaction]:
    """The transactions of a page. Raises `GatewayUnavailable` for anything else."""
    try:
        return [_transaction(row) for row in _rows(reply)]
    except Unreadable as error:
        raise GatewayUnavailable(f"{account} gave transactions that cannot be read: {error}") from error


def _rows(reply: Reply) -> list[dict[str, Any]]:
    rows = reply.body.get(ROWS)
    if reply.status >= 400 or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Unreadable(f"status {reply.status}")
    return rows


def _line(account: str, row: dict[str, Any]) -> SettlementLine:
    """A cancel's sums are negative here, whichever sign Toss gives them.

    ``fee`` is all that lies between gross and net: Toss's fees, their VAT, interest that the merchant bears.
    """
    cancel = row.get("cancel")
    gross, net = whole(row, "amount"), whole(row, "payOutAmount")
    if isinstance(cancel, dict) and gross > 0:
        gross, net = -gross, -net
    return SettlementLine(
        account=account,
        line_id=text(row, "transactionKey"),
        kind="refund" if isinstance(cancel, dict) else "charge",
        reference=text(row, "paymentKey"),
        operation_ref=text(row, "transactionKey"),
        merchant_ref=text(row, "orderId"),
        gross=gross,
        fee=gross - net,
        net=net,
        currency=text(row, "currency"),
        occurred_at=moment(cancel.get("canceledAt") if isinstance(cancel, dict) else row.get("approvedAt")),
        paid_on=date.fromisoformat(text(row, "paidOutDate")),
    )


def _transaction(row: dict[str, Any]) -> Transaction:
    amount, status = whole(row, "amount"), text(row, "status")
    return Transaction(
        transaction_key=text(row, "transactionKey"),
        payment_key=text(row, "paymentKey"),
        merchant_ref=text(row, "orderId"),
        status=status,
        amount=-abs(amount) if status in {"CANCELED", "PARTIAL_CANCELED"} else amount,
        currency=text(row, "currency"),
        at=moment(row.get("transactionAt")),
    )
